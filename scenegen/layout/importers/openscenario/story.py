"""The storyboard: acts, groups, maneuvers and events, which start by their triggers and end with their actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from scenegen.layout.importers.openscenario.actions import IsDone, start_private
from scenegen.layout.importers.openscenario.actor import Actor
from scenegen.layout.importers.openscenario.conditions import Trigger
from scenegen.layout.importers.openscenario.environment import environment_of
from scenegen.layout.importers.xml_file import XmlElement

STANDBY, RUNNING, COMPLETE = "standby", "running", "complete"
BELOW = {
    "story": ("act", "Act"),
    "act": ("maneuverGroup", "ManeuverGroup"),
    "maneuverGroup": ("maneuver", "Maneuver"),
    "maneuver": ("event", "Event"),
}
"""Kind of each node to the kind and tag of its children."""
STATES_BEGUN = {"startTransition": RUNNING, "runningState": RUNNING}
STATES_ENDED = frozenset({"endTransition", "completeState", "stopTransition", "endMove"})


@dataclass(kw_only=True)
class Node:
    """One element of the storyboard. Its state follows from those of its children; an event's from its actions."""

    kind: str
    name: str
    element: XmlElement
    children: list[Node] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)
    trigger: Trigger | None = None
    stop: Trigger | None = None
    state: str = STANDBY
    has_begun: bool = False
    running: list[IsDone] = field(default_factory=list)

    def everything(self) -> Iterator[Node]:
        """Go through this node and all below it."""
        yield self
        for child in self.children:
            yield from child.everything()


class Storyboard:
    """A scenario while it plays. Implements the `Stage` that conditions look at."""

    def __init__(self, root: XmlElement, actors: dict[str, Actor], parameters: dict[str, str], step_s: float) -> None:
        self.actors, self.parameters = actors, parameters
        self.time_s = 0.0
        self.lost: dict[str, None] = {}
        self._step_s = step_s
        self._board = root.one("Storyboard")
        self._environment = environment_of(root)
        self.stories = [self._node("story", story, parent_actors=[]) for story in self._board.all("Story")]
        self._stop = Trigger(self._board.first("StopTrigger"), self, step_s)

    def actor_of(self, element: XmlElement) -> Actor:
        """Return the actor that an element's `entityRef` names.

        Raises:
            LayoutError: there is no entity of that name.
        """
        name = element.word("entityRef")
        if name not in self.actors:
            element.fail("an entity of the scenario", repr(name))
        return self.actors[name]

    def lose(self, what: str) -> None:
        """Note what was not understood."""
        self.lost[what] = None

    def has_state(self, kind: str, name: str, state: str) -> bool:
        """Say whether an element of the storyboard is, or for transitions has been, in a state."""
        for story in self.stories:
            for node in story.everything():
                if node.kind == kind and node.name == name:
                    if state in STATES_ENDED:
                        return node.state == COMPLETE
                    if state in STATES_BEGUN:
                        return node.has_begun if state == "startTransition" else node.state == RUNNING
                    return state == "standbyState" and node.state == STANDBY
        return False

    def play_init(self) -> None:
        """Place all entities: first those placed by themselves, then those relative to others; then the rest."""
        init = self._board.one("Init").one("Actions")
        later: list[tuple[XmlElement, Actor]] = []
        teleports: list[tuple[XmlElement, Actor]] = []
        for child in init.children:
            if child.tag != "Private":
                self._begin_global(child)
                continue
            actor = self.actor_of(child)
            for action in child.all("PrivateAction"):
                is_teleport = action.first("TeleportAction") is not None
                (teleports if is_teleport else later).append((action, actor))
        routes = [item for item in later if _has_below(item[0], "AssignRouteAction")]
        later = [item for item in later if item not in routes]
        teleports.sort(key=lambda item: any(element.has("entityRef") for element in item[0].below()))
        for action, actor in (*routes, *teleports, *_independent_first(later)):
            start_private(action, actor, self)
        for actor in self.actors.values():
            if actor.speed_change is not None and actor.speed_change.shape == "step":
                actor.speed_mps = max(actor.speed_change.target(), 0.0)

    def play_step(self) -> bool:
        """Let triggers fire and actions begin at the present time; return whether the scenario has stopped."""
        for story in self.stories:
            self._update(story, parent_runs=True)
        return not self._stop.is_empty and self._stop.is_true()

    def _node(self, kind: str, element: XmlElement, *, parent_actors: list[Actor]) -> Node:
        actors = parent_actors
        if kind == "maneuverGroup":
            holder = element.one("Actors")
            if holder.word("selectTriggeringEntities", "false") == "true":
                self.lose(f"actors that are the triggering entities ({holder.spot})")
            actors = [self.actor_of(reference) for reference in holder.all("EntityRef")]
            for reference in element.all("CatalogReference"):
                self.lose(f"maneuver of a catalog ({reference.spot})")
        start = element.first("StartTrigger")
        node = Node(
            kind=kind,
            name=element.word("name", ""),
            element=element,
            actors=actors,
            trigger=Trigger(start, self, self._step_s) if start is not None else None,
            stop=Trigger(element.first("StopTrigger"), self, self._step_s) if element.first("StopTrigger") else None,
        )
        if kind in BELOW:
            child_kind, tag = BELOW[kind]
            node.children = [self._node(child_kind, child, parent_actors=actors) for child in element.all(tag)]
        return node

    def _update(self, node: Node, *, parent_runs: bool) -> None:
        """Bring a node and all below it to the present time."""
        fires = node.trigger is None or node.trigger.is_empty or node.trigger.is_true()
        if node.state == STANDBY and parent_runs and fires:
            node.state, node.has_begun = RUNNING, True
            if node.kind == "event":
                self._begin(node)
        for child in node.children:
            self._update(child, parent_runs=node.state == RUNNING)
        if node.state != RUNNING:
            return
        if node.kind == "event":
            is_over = all(is_done() for is_done in node.running)
        else:
            is_over = all(child.state == COMPLETE for child in node.children)
        if is_over or (node.stop is not None and node.stop.is_true()):
            node.state = COMPLETE

    def _begin(self, event: Node) -> None:
        """Start all actions of an event, for every actor of its group."""
        if event.element.word("priority", "parallel") in ("overwrite", "override"):
            self._end_others(event)
        for action in event.element.all("Action"):
            private = action.first("PrivateAction")
            if private is not None:
                event.running += [start_private(private, actor, self) for actor in event.actors]
                continue
            self._begin_global(action)

    def _begin_global(self, action: XmlElement) -> None:
        """Set a parameter, or add or delete an entity; other global actions are lost. Weather is read elsewhere."""
        for element in action.below():
            if element is self._environment:
                return
            if element.tag == "ParameterAction" and element.first("SetAction") is not None:
                self.parameters[element.word("parameterRef")] = element.one("SetAction").word("value")
                return
            if element.tag == "EntityAction" and element.first("DeleteEntityAction") is not None:
                self.actor_of(element).is_present = False
                return
            if element.tag == "EntityAction" and element.first("AddEntityAction") is not None:
                start_private(_as_teleport(element), self.actor_of(element), self)
                return
        self.lose(f"action {_names_below(action)} ({action.spot})")

    def _end_others(self, event: Node) -> None:
        for story in self.stories:
            for node in story.everything():
                if node.kind == "maneuver" and event in node.children:
                    for other in node.children:
                        if other is not event and other.state == RUNNING:
                            other.state = COMPLETE


def _as_teleport(element: XmlElement) -> XmlElement:
    """Wrap the position of an `<AddEntityAction>` as the private action that it amounts to."""
    added = element.one("AddEntityAction")
    inner = replace(added, tag="TeleportAction")
    return replace(added, tag="PrivateAction", children=[inner])


def _independent_first(actions: list[tuple[XmlElement, Actor]]) -> list[tuple[XmlElement, Actor]]:
    return sorted(actions, key=lambda item: any(element.has("entityRef") for element in item[0].below()))


def _has_below(element: XmlElement, tag: str) -> bool:
    return any(child.tag == tag for child in element.below())


def _names_below(element: XmlElement) -> str:
    """Name an element by the chain of its only children."""
    names: list[str] = []
    at: XmlElement | None = element
    while at is not None and len(names) < 4:
        names.append(f"<{at.tag}>")
        at = at.children[0] if at.children else None
    return " ".join(names)
