"""A layout as an OpenSCENARIO 1.1 file: who is there, when, and where at every step; its map lies beside it (`.xodr`).

Why our own writer: as for OpenDRIVE, `scenariogeneration` brings a C++ extension and a schema library, for what is here
a list of vertices. It reads what is written here.

Every unbroken presence of an agent is one trajectory with absolute times, a vertex per step and one more where it would
be at the next step; who stands has a position only. Entities that come later are added and deleted by events. The
reference point of vehicles, the middle of the rear axle, is taken to lie 0.3 of the length behind the middle of the
box; the ego's is its own. The category of an entity, where OpenSCENARIO has no such word, stands in its property
`scenegen.category`, its colour in `color`, as esmini has it.

Lost: stated velocities (readers differentiate positions), attributes, prompt, style and edits; of the map what
`exporters.opendrive` says.
"""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.exporters.openscenario_entities import REAR_AXLE_SHARE, add_entity, add_environment, entity_names
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M
from scenegen.layout.overlap import ego_as_agent
from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.taxonomy import VEHICLE_CATEGORIES

EARLY_S = 0.005
"""Triggers fire this much before the step that they mean, so that no rounding makes them late."""
STANDING_M = 1e-6


def layout_to_openscenario(layout: Layout, *, road_file: str) -> str:
    """Return the text of an OpenSCENARIO file; the frame is the layout's world.

    Args:
        layout: any layout.
        road_file: name of the OpenDRIVE file beside it.

    Raises:
        LayoutError: the ego has nothing to be followed by: a layout of one step.
    """
    if layout.timeline.num_steps < 2:
        raise LayoutError("a layout of at least two steps", found="one", where=layout.layout_id)
    ego = ego_as_agent(layout.ego)
    agents = [agent for agent in layout.agents if agent.valid.any()]
    names = entity_names(agents)
    root = ElementTree.Element("OpenSCENARIO")
    ElementTree.SubElement(
        root, "FileHeader", revMajor="1", revMinor="1", date="2000-01-01T00:00:00", author="scenegen",
        description=f"{layout.layout_id} ({layout.licence})",
    )  # fmt: skip
    for empty in ("ParameterDeclarations", "CatalogLocations"):
        ElementTree.SubElement(root, empty)
    ElementTree.SubElement(ElementTree.SubElement(root, "RoadNetwork"), "LogicFile", filepath=road_file)
    entities = ElementTree.SubElement(root, "Entities")
    tracks = [(names[0], ego), *zip(names[1:], agents, strict=True)]
    for name, track in tracks:
        add_entity(entities, name, track, axle_m=_axle_m(track, is_ego=track is ego))
    board = ElementTree.SubElement(root, "Storyboard")
    actions = ElementTree.SubElement(ElementTree.SubElement(board, "Init"), "Actions")
    add_environment(actions, layout.environment)
    story = ElementTree.SubElement(board, "Story", name="presence")
    act = ElementTree.SubElement(story, "Act", name="presence")
    for name, track in tracks:
        _add_track(actions, act, name, track, layout, axle_m=_axle_m(track, is_ego=track is ego))
    if not len(act):
        board.remove(story)
    else:
        _add_trigger(act, "StartTrigger", -1.0)
    _add_trigger(board, "StopTrigger", (layout.timeline.num_steps - 1) / layout.timeline.rate_hz - EARLY_S)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _axle_m(track: AgentTrack, *, is_ego: bool) -> float:
    """Return how far behind the middle of the box the reference point is."""
    if is_ego:
        return EGO_CENTER_FROM_AXLE_M
    return REAR_AXLE_SHARE * float(track.size_lwh_m[0]) if track.category in VEHICLE_CATEGORIES else 0.0


def _add_track(
    actions: ElementTree.Element,
    act: ElementTree.Element,
    name: str,
    track: AgentTrack,
    layout: Layout,
    *,
    axle_m: float,
) -> None:
    """Place an entity and let it move from the beginning, or by events where it comes later or leaves."""
    rate_hz, steps = layout.timeline.rate_hz, layout.timeline.num_steps
    edges = np.flatnonzero(np.diff(np.concatenate([[False], track.valid, [False]]).astype(np.int8)))
    spans = [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]
    events: list[tuple[float, list[ElementTree.Element]]] = []
    for first, stop in spans:
        places = _places(track, first, stop, rate_hz, axle_m)
        private = ElementTree.Element("PrivateAction")
        if float(np.ptp(places[:-1, 1:3], axis=0).max()) > STANDING_M:
            _add_trajectory(private, f"{name} from {first / rate_hz:.3f} s", places)
        if first == 0:
            own = ElementTree.SubElement(actions, "Private", entityRef=name)
            teleport = ElementTree.SubElement(ElementTree.SubElement(own, "PrivateAction"), "TeleportAction")
            _add_position(teleport, places[0])
            if len(private):
                own.append(private)
        else:
            events.append((first / rate_hz, [_presence(name, places[0]), *([private] if len(private) else [])]))
        if stop < steps:
            events.append(((stop - 1) / rate_hz + 2.0 * EARLY_S, [_presence(name, None)]))
    if not events:
        return
    group = ElementTree.SubElement(act, "ManeuverGroup", name=name, maximumExecutionCount="1")
    actors = ElementTree.SubElement(group, "Actors", selectTriggeringEntities="false")
    ElementTree.SubElement(actors, "EntityRef", entityRef=name)
    maneuver = ElementTree.SubElement(group, "Maneuver", name=name)
    for number, (at_s, parts) in enumerate(events):
        event = ElementTree.SubElement(
            maneuver, "Event", name=f"{name} {number}", priority="parallel", maximumExecutionCount="1"
        )
        for k, part in enumerate(parts):
            ElementTree.SubElement(event, "Action", name=f"{name} {number} {k}").append(part)
        _add_trigger(event, "StartTrigger", at_s - EARLY_S)


def _places(track: AgentTrack, first: int, stop: int, rate_hz: float, axle_m: float) -> Float64[np.ndarray, "S 4"]:
    """Return time, x, y and heading of the reference point at every step of a span, and at the next one."""
    heading_rad = np.unwrap(track.heading_rad[first:stop])
    ahead = np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=1)
    position_m = track.center_world_m[first:stop, :2] - axle_m * ahead
    is_moving = stop - first > 1 and float(np.ptp(position_m, axis=0).max()) > STANDING_M
    onward_m = position_m[-1] + ((position_m[-1] - position_m[-2]) if is_moving else 0.0)
    t_s = np.arange(first, stop + 1) / rate_hz
    return np.column_stack(
        [t_s, np.concatenate([position_m, onward_m[None]]), np.concatenate([heading_rad, heading_rad[-1:]])]
    )


def _add_trajectory(private: ElementTree.Element, name: str, places: Float64[np.ndarray, "S 4"]) -> None:
    routing = ElementTree.SubElement(private, "RoutingAction")
    follow = ElementTree.SubElement(routing, "FollowTrajectoryAction")
    trajectory = ElementTree.SubElement(
        ElementTree.SubElement(follow, "TrajectoryRef"), "Trajectory", name=name, closed="false"
    )
    ElementTree.SubElement(trajectory, "ParameterDeclarations")
    polyline = ElementTree.SubElement(ElementTree.SubElement(trajectory, "Shape"), "Polyline")
    for place in places:
        vertex = ElementTree.SubElement(polyline, "Vertex", time=_number(place[0]))
        _add_position(vertex, place)
    time = ElementTree.SubElement(follow, "TimeReference")
    ElementTree.SubElement(time, "Timing", domainAbsoluteRelative="absolute", scale="1", offset="0")
    ElementTree.SubElement(follow, "TrajectoryFollowingMode", followingMode="position")


def _add_position(parent: ElementTree.Element, place: Float64[np.ndarray, "4"]) -> None:
    _, x_m, y_m, heading_rad = place
    position = ElementTree.SubElement(parent, "Position")
    ElementTree.SubElement(
        position, "WorldPosition", x=_number(x_m), y=_number(y_m), z="0", h=_number(heading_rad), p="0", r="0"
    )


def _presence(name: str, place: Float64[np.ndarray, "4"] | None) -> ElementTree.Element:
    """Return the action that adds an entity at a place, or deletes it."""
    action = ElementTree.Element("GlobalAction")
    entity = ElementTree.SubElement(action, "EntityAction", entityRef=name)
    if place is None:
        ElementTree.SubElement(entity, "DeleteEntityAction")
    else:
        _add_position(ElementTree.SubElement(entity, "AddEntityAction"), place)
    return action


def _add_trigger(parent: ElementTree.Element, tag: str, after_s: float) -> None:
    group = ElementTree.SubElement(ElementTree.SubElement(parent, tag), "ConditionGroup")
    condition = ElementTree.SubElement(group, "Condition", name="time", delay="0", conditionEdge="none")
    by_value = ElementTree.SubElement(condition, "ByValueCondition")
    ElementTree.SubElement(by_value, "SimulationTimeCondition", value=_number(after_s), rule="greaterThan")


def _number(value: float) -> str:
    return repr(round(float(value), 6))
