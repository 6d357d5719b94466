"""Private actions: teleport, speed, lane change, lane offset, route, trajectory. Others are reported as lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scenegen.layout.importers.openscenario.actor import Actor, Change, Timed
from scenegen.layout.importers.openscenario.conditions import Stage
from scenegen.layout.importers.openscenario.places import UnknownPlaceError, shifted_lane
from scenegen.layout.importers.xml_file import XmlElement
from scenegen.layout.paths import make_path

IsDone = Callable[[], bool]
SHAPES = ("step", "linear", "cubic", "sinusoidal")
STEEPEST = {"linear": 1.0, "cubic": 1.5, "sinusoidal": 0.5 * np.pi, "step": 1.0}
"""Largest slope of a shape, for dynamics that give a rate."""
LONGEST_S = 3_600.0


def start_private(action: XmlElement, actor: Actor, stage: Stage) -> IsDone:
    """Start the action of a `<PrivateAction>` and return what says that it has ended.

    Raises:
        LayoutError: an element or number is missing or impossible.
    """
    item = _innermost(action)
    starters: dict[str, Callable[[XmlElement, Actor, Stage], IsDone]] = {
        "TeleportAction": _teleport,
        "SpeedAction": _speed,
        "LaneChangeAction": _lane_change,
        "LaneOffsetAction": _lane_offset,
        "AssignRouteAction": _route,
        "FollowTrajectoryAction": _trajectory,
    }
    if item.tag not in starters:
        stage.lose(f"action <{item.tag}> of entity {actor.entity.name!r} ({item.spot})")
        return _at_once
    try:
        return starters[item.tag](item, actor, stage)
    except UnknownPlaceError as error:
        stage.lose(f"position <{error}> of action <{item.tag}> of entity {actor.entity.name!r} ({item.spot})")
        return _at_once


def _at_once() -> bool:
    return True


def _innermost(action: XmlElement) -> XmlElement:
    groups = ("LongitudinalAction", "LateralAction", "RoutingAction")
    inner = action.children[0] if len(action.children) == 1 else None
    if inner is None:
        action.fail("one action", f"{len(action.children)}")
    if inner.tag not in groups:
        return inner
    if len(inner.children) != 1:
        inner.fail("one action", f"{len(inner.children)}")
    return inner.children[0]


def _teleport(item: XmlElement, actor: Actor, stage: Stage) -> IsDone:
    actor.teleport(actor.places.resolve(item.one("Position"), lambda element: stage.actor_of(element).place))
    return _at_once


def _change(dynamics: XmlElement, begin: float, target: Callable[[], float], actor: Actor, stage: Stage) -> Change:
    """Build a transition from dynamics that give a time, a distance or a rate."""
    shape = dynamics.word("dynamicsShape")
    if shape not in SHAPES:
        dynamics.fail(f"a dynamicsShape out of {', '.join(SHAPES)}", repr(shape))
    dimension = dynamics.word("dynamicsDimension")
    if dimension not in ("time", "distance", "rate"):
        dynamics.fail("a dynamicsDimension time, distance or rate", repr(dimension))
    value = dynamics.number("value")
    duration_s = distance_m = 0.0
    if dimension == "rate" and shape != "step":
        if value == 0.0:
            dynamics.fail("a rate other than 0", "0")
        duration_s = STEEPEST[shape] * abs(target() - begin) / abs(value)
    elif dimension == "time":
        duration_s = value
    elif dimension == "distance":
        distance_m = value
    if not (0.0 <= duration_s <= LONGEST_S and distance_m >= 0.0):
        dynamics.fail(f"a time from 0 to {LONGEST_S:g} s or a distance of at least 0", f"{value:g}")
    return Change(
        begin=begin,
        target=target,
        shape=shape,
        duration_s=duration_s,
        distance_m=distance_m,
        since_s=stage.time_s,
        since_m=actor.travelled_m,
    )


def _speed(item: XmlElement, actor: Actor, stage: Stage) -> IsDone:
    holder = item.one("SpeedActionTarget")
    absolute, relative = holder.first("AbsoluteTargetSpeed"), holder.first("RelativeTargetSpeed")
    keeps_on = False
    if absolute is not None:
        value = absolute.number("value")

        def target() -> float:
            return value
    elif relative is not None:
        other, value = stage.actor_of(relative), relative.number("value")
        kind = relative.word("speedTargetValueType", "delta")
        if kind not in ("delta", "factor"):
            relative.fail("a speedTargetValueType delta or factor", repr(kind))
        keeps_on = relative.word("continuous", "false") == "true"
        now_mps = other.speed_mps

        def target() -> float:
            base_mps = other.speed_mps if keeps_on else now_mps
            return base_mps * value if kind == "factor" else base_mps + value
    else:
        holder.fail("an <AbsoluteTargetSpeed> or <RelativeTargetSpeed>", "neither")
    change = _change(item.one("SpeedActionDynamics"), actor.speed_mps, target, actor, stage)
    change.keeps_on = keeps_on
    actor.speed_change = change
    if change.shape == "step":
        actor.speed_mps = max(target(), 0.0)
    return lambda: change.is_done or actor.speed_change is not change


def _lane_change(item: XmlElement, actor: Actor, stage: Stage) -> IsDone:
    place = actor.place
    if place.key is None:
        stage.lose(f"lane change of entity {actor.entity.name!r}, which is on no lane ({item.spot})")
        return _at_once
    holder = item.one("LaneChangeTarget")
    absolute, relative = holder.first("AbsoluteTargetLane"), holder.first("RelativeTargetLane")
    if absolute is not None:
        lane_id = absolute.integer("value")
    elif relative is not None:
        other = stage.actor_of(relative).place
        if other.key is None:
            stage.lose(f"lane change relative to an entity on no lane ({item.spot})")
            return _at_once
        sense = 1.0 if actor.places.network.strips[other.key].runs_with_s == other.is_along else -1.0
        lane_id = shifted_lane(other.key[2], relative.integer("value"), sense)
    else:
        holder.fail("an <AbsoluteTargetLane> or <RelativeTargetLane>", "neither")
    road_id, section, _ = place.key
    key = (road_id, section, lane_id)
    if key not in actor.places.network.strips:
        stage.lose(f"lane change of entity {actor.entity.name!r}: road {road_id!r} has no lane {lane_id} there")
        return _at_once
    heading_rad = actor.heading_rad
    actor.follow(actor.places.place_at(actor.position_m, heading_rad, key))
    offset_m = item.number("targetLaneOffset", 0.0)
    change = _change(item.one("LaneChangeActionDynamics"), actor.left_m, lambda: offset_m, actor, stage)
    actor.heading_rad, actor.lateral_change = heading_rad, change
    return lambda: change.is_done or actor.lateral_change is not change


def _lane_offset(item: XmlElement, actor: Actor, stage: Stage) -> IsDone:
    holder = item.one("LaneOffsetTarget")
    absolute = holder.first("AbsoluteTargetLaneOffset")
    if absolute is None:
        stage.lose(f"lane offset relative to an entity ({item.spot})")
        return _at_once
    course = actor.course
    runs_with_s = course is None or (
        actor.places.network.strips[course.key_at(actor.s_m)].runs_with_s == course.is_along
    )
    target_m = absolute.number("value") * (1.0 if runs_with_s else -1.0)
    dynamics = item.one("LaneOffsetActionDynamics")
    shape = dynamics.word("dynamicsShape")
    if shape not in SHAPES:
        dynamics.fail(f"a dynamicsShape out of {', '.join(SHAPES)}", repr(shape))
    hardest_mps2 = dynamics.number("maxLateralAcc", 1.0)
    if hardest_mps2 <= 0.0:
        dynamics.fail("a positive maxLateralAcc", f"{hardest_mps2:g}")
    # Of a half sine wave: the largest acceleration is D pi^2 / (2 T^2).
    duration_s = float(np.pi * np.sqrt(abs(target_m - actor.left_m) / (2.0 * hardest_mps2)))
    change = Change(
        begin=actor.left_m, target=lambda: target_m, shape=shape, duration_s=duration_s, distance_m=0.0,
        since_s=stage.time_s, since_m=actor.travelled_m,
    )  # fmt: skip
    actor.lateral_change = change
    return lambda: change.is_done or actor.lateral_change is not change


def _route(item: XmlElement, actor: Actor, stage: Stage) -> IsDone:
    waypoints = actor.places.route_of(item)
    actor.roads = actor.places.roads_of(waypoints, lambda element: stage.actor_of(element).place)
    if actor.is_present and not actor.is_on_trajectory:
        actor.follow(actor.place)
    return _at_once


def _trajectory(item: XmlElement, actor: Actor, stage: Stage) -> IsDone:
    holder = item.first("TrajectoryRef") or item
    reference = holder.first("CatalogReference")
    trajectory = actor.places.catalogs.entry(reference) if reference is not None else holder.one("Trajectory")
    polyline = trajectory.one("Shape").first("Polyline")
    if polyline is None:
        kinds = ", ".join(child.tag for child in trajectory.one("Shape").children)
        stage.lose(f"trajectory of shape {kinds} of entity {actor.entity.name!r} ({item.spot})")
        return _at_once
    vertices = polyline.all("Vertex")
    if len(vertices) < 2:
        polyline.fail("at least two vertices", f"{len(vertices)}")
    places = [
        actor.places.resolve(vertex.one("Position"), lambda element: stage.actor_of(element).place)
        for vertex in vertices
    ]
    position_m = np.stack([place.position_m for place in places])
    if not np.linalg.norm(np.diff(position_m, axis=0), axis=1).max() > 1e-6:
        polyline.fail("vertices at different places", "all at one")
    reference_time = item.first("TimeReference")
    timing = reference_time.first("Timing") if reference_time is not None else None
    actor.is_present = True
    if timing is None:
        actor.take_trajectory(make_path(position_m))
        return lambda: not actor.is_on_trajectory
    at_s = np.array([vertex.number("time") for vertex in vertices]) * timing.number("scale", 1.0)
    at_s += timing.number("offset", 0.0)
    if timing.word("domainAbsoluteRelative", "absolute") == "relative":
        at_s += stage.time_s
    if (np.diff(at_s) <= 0.0).any():
        vertices[int(np.argmax(np.diff(at_s) <= 0.0)) + 1].fail("vertex times that increase", "one that does not")
    turned = [_has_orientation(vertex) for vertex in vertices]
    heading_rad = np.unwrap([place.heading_rad for place in places]) if all(turned) else None
    actor.take_trajectory(make_path(position_m))
    timed = Timed(at_s=at_s, position_m=position_m, heading_rad=heading_rad)
    actor.timed = timed
    if at_s[0] < stage.time_s:
        actor.join_timed(stage.time_s)
    return lambda: actor.timed is not timed


def _has_orientation(vertex: XmlElement) -> bool:
    kinds = vertex.one("Position").children
    return bool(kinds) and (kinds[0].first("Orientation") is not None or kinds[0].has("h"))
