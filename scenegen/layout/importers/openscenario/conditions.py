"""Conditions of triggers: time, states of the storyboard, and how entities stand to each other.

What is not understood is never true, and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from scenegen.layout.importers.openscenario.actor import Actor
from scenegen.layout.importers.openscenario.places import UnknownPlaceError
from scenegen.layout.importers.xml_file import XmlElement
from scenegen.layout.overlap import boxes_overlap

RULES: dict[str, Callable[[float, float], bool]] = {
    "greaterThan": lambda a, b: a > b,
    "greaterOrEqual": lambda a, b: a >= b,
    "lessThan": lambda a, b: a < b,
    "lessOrEqual": lambda a, b: a <= b,
    "equalTo": lambda a, b: abs(a - b) < 1e-6,
    "notEqualTo": lambda a, b: abs(a - b) >= 1e-6,
}
STANDING_MPS = 0.01


class Stage(Protocol):
    """What conditions look at."""

    @property
    def time_s(self) -> float: ...
    @property
    def actors(self) -> Mapping[str, Actor]: ...
    @property
    def parameters(self) -> Mapping[str, str]: ...
    def has_state(self, kind: str, name: str, state: str) -> bool: ...
    def actor_of(self, element: XmlElement) -> Actor: ...
    def lose(self, what: str) -> None: ...


class Trigger:
    """Groups of conditions: any group whose conditions are all true."""

    def __init__(self, element: XmlElement | None, stage: Stage, step_s: float) -> None:
        groups = element.all("ConditionGroup") if element is not None else []
        self._groups = [[_Watched(item, stage, step_s) for item in group.all("Condition")] for group in groups]
        self.is_empty = element is None or not groups

    def is_true(self) -> bool:
        """Evaluate now; to be called once per step."""
        results = [[watched.is_true() for watched in group] for group in self._groups]
        return any(all(group) for group in results if group)


class _Watched:
    """One condition with its edge and delay."""

    def __init__(self, element: XmlElement, stage: Stage, step_s: float) -> None:
        self._edge = element.word("conditionEdge", "none")
        if self._edge not in ("none", "rising", "falling", "risingOrFalling"):
            element.fail("a conditionEdge none, rising, falling or risingOrFalling", repr(self._edge))
        delay_s = element.number("delay", 0.0)
        if delay_s < 0.0:
            element.fail("a delay of at least 0", f"{delay_s:g}")
        self._delay = round(delay_s / step_s)
        self._test = _test_of(element, stage)
        self._before: bool | None = None
        self._history: list[bool] = []

    def is_true(self) -> bool:
        now = self._test()
        before, self._before = self._before, now
        rises, falls = before is False and now, before is True and not now
        met = {"none": now, "rising": rises, "falling": falls, "risingOrFalling": rises or falls}[self._edge]
        if not self._delay:
            return met
        self._history.append(met)
        return len(self._history) > self._delay and self._history[-1 - self._delay]


def _test_of(element: XmlElement, stage: Stage) -> Callable[[], bool]:
    by_value, by_entity = element.first("ByValueCondition"), element.first("ByEntityCondition")
    if by_value is not None and len(by_value.children) == 1:
        return _value_test(by_value.children[0], stage)
    if by_entity is None:
        element.fail("a <ByValueCondition> of one condition, or a <ByEntityCondition>", "neither")
    return _entity_test(by_entity, stage)


def _rule(element: XmlElement) -> Callable[[float], bool]:
    name = element.word("rule")
    if name not in RULES:
        element.fail(f"a rule out of {', '.join(RULES)}", repr(name))
    compare, value = RULES[name], element.number("value")
    return lambda found: compare(found, value)


def _never(element: XmlElement, stage: Stage) -> Callable[[], bool]:
    stage.lose(f"condition <{element.tag}>: never true ({element.spot})")
    return lambda: False


def _value_test(element: XmlElement, stage: Stage) -> Callable[[], bool]:
    if element.tag == "SimulationTimeCondition":
        rule = _rule(element)
        return lambda: rule(stage.time_s)
    if element.tag == "StoryboardElementStateCondition":
        kind, name = element.word("storyboardElementType"), element.word("storyboardElementRef")
        state = element.word("state")
        return lambda: stage.has_state(kind, name, state)
    if element.tag == "ParameterCondition":
        reference, rule = element.word("parameterRef"), _rule(element)
        return lambda: _is_number(stage.parameters.get(reference, "")) and rule(float(stage.parameters[reference]))
    return _never(element, stage)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _entity_test(element: XmlElement, stage: Stage) -> Callable[[], bool]:
    triggering = element.one("TriggeringEntities")
    who = [stage.actor_of(reference) for reference in triggering.all("EntityRef")]
    holder = element.one("EntityCondition")
    if len(holder.children) != 1:
        holder.fail("one condition", f"{len(holder.children)}")
    measure = _measure_of(holder.children[0], stage)
    if measure is None:
        return _never(holder.children[0], stage)
    combine: dict[str, Callable[[Sequence[bool]], bool]] = {
        "any": any,
        "all": all,
        "none": lambda found: not any(found),
    }
    rule = triggering.word("triggeringEntitiesRule", "any")
    if rule not in combine:
        triggering.fail("a triggeringEntitiesRule any, all or none", repr(rule))
    return lambda: combine[rule]([measure(actor) for actor in who if actor.is_present])


def _measure_of(element: XmlElement, stage: Stage) -> Callable[[Actor], bool] | None:
    """Return what tests one entity, or None where the condition is not understood."""
    tag = element.tag
    if tag == "ReachPositionCondition":
        tolerance_m = element.number("tolerance")
        return lambda actor: _distance_to_place(actor, element, stage) <= tolerance_m
    if tag == "TraveledDistanceCondition":
        least_m = element.number("value")
        return lambda actor: actor.travelled_m >= least_m
    if tag == "StandStillCondition":
        return _lasting(lambda actor: actor.speed_mps <= STANDING_MPS, element.number("duration"), stage)
    if tag == "OffroadCondition":
        return _lasting(lambda actor: not actor.places.is_on_lane(actor.position_m), element.number("duration"), stage)
    if tag == "CollisionCondition" and element.first("EntityRef") is not None:
        struck = stage.actor_of(element.one("EntityRef"))
        return lambda actor: struck.is_present and actor is not struck and _touch(actor, struck)
    if tag not in ("SpeedCondition", "AccelerationCondition", "RelativeSpeedCondition", "RelativeDistanceCondition",
                   "TimeHeadwayCondition", "TimeToCollisionCondition", "DistanceCondition"):  # fmt: skip
        return None
    rule = _rule(element)
    if tag == "SpeedCondition":
        return lambda actor: rule(actor.speed_mps)
    if tag == "AccelerationCondition":
        return lambda actor: rule(actor.acceleration_mps2)
    if tag == "DistanceCondition":
        return lambda actor: rule(_distance_to_place(actor, element, stage))
    target = element.first("TimeToCollisionConditionTarget")
    holder = element if target is None else target.first("EntityRef")
    if holder is None:
        return None
    other, is_free = stage.actor_of(holder), element.word("freespace", "false") == "true"
    if tag == "RelativeSpeedCondition":
        return lambda actor: rule(actor.speed_mps - other.speed_mps)
    if tag == "RelativeDistanceCondition":
        kind = element.word("relativeDistanceType", "euclidianDistance")
        return lambda actor: other.is_present and rule(_distance(actor, other, kind=kind, is_free=is_free))
    if tag == "TimeHeadwayCondition":
        return lambda actor: other.is_present and rule(_headway_s(actor, other, is_free=is_free))
    return lambda actor: other.is_present and rule(_time_to_collision_s(actor, other, is_free=is_free))


def _lasting(is_so: Callable[[Actor], bool], duration_s: float, stage: Stage) -> Callable[[Actor], bool]:
    """Test whether something has been so for a time."""
    since: dict[str, float] = {}

    def test(actor: Actor) -> bool:
        if not is_so(actor):
            since.pop(actor.entity.name, None)
            return False
        return stage.time_s - since.setdefault(actor.entity.name, stage.time_s) >= duration_s

    return test


def _touch(actor: Actor, other: Actor) -> bool:
    """Say whether the boxes of two entities overlap."""
    boxes = []
    for each in (actor, other):
        ahead_m, left_m, _ = each.entity.center_m
        cos, sin = np.cos(each.heading_rad), np.sin(each.heading_rad)
        center_m = each.position_m + np.array([cos * ahead_m - sin * left_m, sin * ahead_m + cos * left_m])
        boxes += [center_m[None], np.array([each.heading_rad]), 0.5 * np.array(each.entity.size_lwh_m[:2])[None]]
    return bool(boxes_overlap(*boxes)[0])


def _distance_to_place(actor: Actor, element: XmlElement, stage: Stage) -> float:
    try:
        place = actor.places.resolve(element.one("Position"), lambda item: stage.actor_of(item).place)
    except UnknownPlaceError as error:
        stage.lose(f"position <{error}> of a condition: never reached ({element.spot})")
        return float("inf")
    return float(np.linalg.norm(place.position_m - actor.position_m))


def _ahead_m(actor: Actor, other: Actor, *, is_free: bool) -> float:
    """Return how far ahead another entity is, from reference points or, freespace, from bumper to bumper."""
    direction = np.array([np.cos(actor.heading_rad), np.sin(actor.heading_rad)])
    apart_m = float((other.position_m - actor.position_m) @ direction)
    if not is_free:
        return apart_m
    own, their = actor.entity, other.entity
    front_m = own.center_m[0] + 0.5 * own.size_lwh_m[0]
    rear_m = their.center_m[0] - 0.5 * their.size_lwh_m[0]
    return apart_m - front_m + rear_m


def _distance(actor: Actor, other: Actor, *, kind: str, is_free: bool) -> float:
    away_m = other.position_m - actor.position_m
    if kind == "longitudinal":
        return abs(_ahead_m(actor, other, is_free=is_free))
    if kind == "lateral":
        return abs(float(away_m @ np.array([-np.sin(actor.heading_rad), np.cos(actor.heading_rad)])))
    sizes_m = 0.5 * (actor.entity.size_lwh_m[0] + other.entity.size_lwh_m[0]) if is_free else 0.0
    return max(float(np.linalg.norm(away_m)) - sizes_m, 0.0)


def _headway_s(actor: Actor, other: Actor, *, is_free: bool) -> float:
    """Return the time to reach where another entity is; behind, none (negative)."""
    ahead_m = _ahead_m(actor, other, is_free=is_free)
    if ahead_m <= 0.0:
        return -1.0
    return ahead_m / actor.speed_mps if actor.speed_mps > STANDING_MPS else float("inf")


def _time_to_collision_s(actor: Actor, other: Actor, *, is_free: bool) -> float:
    ahead_m = _ahead_m(actor, other, is_free=is_free)
    closing_mps = actor.speed_mps - other.speed_mps * float(np.cos(other.heading_rad - actor.heading_rad))
    return ahead_m / closing_mps if ahead_m > 0.0 and closing_mps > STANDING_MPS else float("inf")
