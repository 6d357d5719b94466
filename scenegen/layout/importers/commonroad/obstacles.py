"""Obstacles of a CommonRoad file: tracks of what moves, standing agents, and buildings and building sites as areas.

Positions are those of the middle of the shape. Stated speeds are taken along the heading; where there are none,
velocities are differences of positions. Intervals are halved. Heights, which the format does not have, are the usual
ones of the category.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.commonroad.values import Extent, State, extent_of, outline_of, state_of
from scenegen.layout.importers.source_tracks import hold_last_valid, velocity_by_differences
from scenegen.layout.importers.xml_file import XmlElement
from scenegen.layout.motion import DEFAULT_SIZE_LWH_M, default_attribute
from scenegen.types.layout import AgentTrack, Area
from scenegen.types.taxonomy import AgentCategory
from scenegen.types.timeline import Timeline

CATEGORY_OF_TYPE = {
    "car": AgentCategory.CAR,
    "taxi": AgentCategory.CAR,
    "priorityVehicle": AgentCategory.CAR,
    "parkedVehicle": AgentCategory.CAR,
    "truck": AgentCategory.TRUCK,
    "bus": AgentCategory.BUS,
    "motorcycle": AgentCategory.MOTORCYCLE,
    "bicycle": AgentCategory.BICYCLE,
    "pedestrian": AgentCategory.PEDESTRIAN,
    "roadBoundary": AgentCategory.BARRIER,
    "train": AgentCategory.OTHER,
    "unknown": AgentCategory.OTHER,
}
AREA_OF_TYPE = {"constructionZone": "construction", "building": "building"}
BUILDING_HEIGHT_M = 9.0
MOST_STATES = 1_000_000
DISAGREES_MPS = 1.0


def obstacles_in(root: XmlElement) -> list[tuple[XmlElement, str]]:
    """Return all obstacles with their role: `static`, `dynamic` or `environment`.

    Raises:
        LayoutError: an unknown role, or an id that is used twice.
    """
    roles = {"staticObstacle": "static", "dynamicObstacle": "dynamic", "environmentObstacle": "environment"}
    found: list[tuple[XmlElement, str]] = []
    seen: set[str] = set()
    for element in root.children:
        if element.tag == "obstacle":
            role = element.one("role").text_word()
            if role not in ("static", "dynamic"):
                element.one("role").fail("a role static or dynamic", repr(role))
        elif element.tag in roles:
            role = roles[element.tag]
        else:
            continue
        if element.word("id") in seen:
            element.fail("an id that is used once", repr(element.word("id")))
        seen.add(element.word("id"))
        found.append((element, role))
    return found


def states_of(element: XmlElement, role: str, lost: Counter[str]) -> list[State]:
    """Return the states of an obstacle in the order of time.

    Raises:
        LayoutError: the initial state is missing, or a state is not later than the one before it.
    """
    states = [state_of(element.one("initialState"))]
    trajectory = element.first("trajectory")
    if role == "dynamic" and trajectory is None:
        lost["occupancy sets of obstacles, which are there at their first step only"] += 1
    for state in trajectory.all("state") if trajectory is not None and role == "dynamic" else ():
        states.append(state_of(state))
        if states[-1].step <= states[-2].step:
            state.fail("states in the order of time", f"step {states[-1].step} after step {states[-2].step}")
    if any(state.is_uncertain for state in states):
        lost["obstacles with uncertain states, of which the middle is kept"] += 1
    return states


def area_of(element: XmlElement) -> Area | None:
    """Return an obstacle that is an area of the layout, or None."""
    kind = AREA_OF_TYPE.get(element.one("type").text_word())
    if kind is None:
        return None
    corners_m = outline_of(element.one("shape"))
    initial = element.first("initialState")
    if initial is not None:
        state = state_of(initial)
        corners_m = corners_m @ _turned(state.heading_rad or 0.0).T + np.array(state.position_m)
    return Area(kind=kind, polygon_world_m=corners_m, height_m=BUILDING_HEIGHT_M if kind == "building" else 0.0)


def track_of(
    element: XmlElement, states: Sequence[State], timeline: Timeline, *, first_step: int, stands: bool
) -> tuple[AgentTrack | None, float]:
    """Return an obstacle's track, and by how much its stated speeds differ from those of its positions (median).

    Args:
        element: the obstacle.
        states: in the order of time.
        timeline: of the scene, a step for each one of the file.
        first_step: step of the file at which the scene begins.
        stands: it is there at all steps, at its only state.
    """
    kind = element.one("type").text_word()
    if kind not in CATEGORY_OF_TYPE:
        element.one("type").fail(f"a type out of {', '.join(CATEGORY_OF_TYPE)}", repr(kind))
    category, extent = CATEGORY_OF_TYPE[kind], extent_of(element.one("shape"))
    steps = np.array([state.step - first_step for state in states])
    at_s = steps / timeline.rate_hz
    position_m = np.array([state.position_m for state in states])
    implied_mps = velocity_by_differences(position_m, at_s)
    heading_rad = _headings(states, implied_mps)
    velocity_mps, apart_mps = _velocities(states, heading_rad, implied_mps)
    inside = (steps >= 0) & (steps < timeline.num_steps)
    valid = np.zeros(timeline.num_steps, bool)
    valid[steps[inside]] = True
    if stands:
        valid[:], steps, inside = True, np.zeros(1, int), np.ones(1, bool)
    if not valid.any():
        return None, apart_mps
    spread = np.zeros((timeline.num_steps, 5))
    rows = np.column_stack([_middles(position_m, heading_rad, extent), np.unwrap(heading_rad), velocity_mps])
    spread[steps[inside]] = rows[inside]
    spread = hold_last_valid(spread, valid) if not stands else np.tile(rows[:1], (timeline.num_steps, 1))
    usual = DEFAULT_SIZE_LWH_M[category]
    top_mps = float(np.linalg.norm(spread[valid, 3:], axis=1).max())
    track = AgentTrack(
        agent_id=element.word("id"),
        category=category,
        size_lwh_m=np.array([extent.length_m, extent.width_m, usual[2]]),
        center_world_m=np.column_stack([spread[:, :2], np.full(timeline.num_steps, 0.5 * usual[2])]),
        heading_rad=spread[:, 2],
        velocity_world_mps=spread[:, 3:],
        valid=valid,
        attribute="vehicle.parked" if kind == "parkedVehicle" else default_attribute(category, top_mps),
        source_category=kind,
    )
    return track, apart_mps


def _middles(
    position_m: Float64[np.ndarray, "N 2"], heading_rad: Float64[np.ndarray, " N"], extent: Extent
) -> Float64[np.ndarray, "N 2"]:
    ahead_m, left_m = extent.middle_m
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    return np.asarray(position_m + np.stack([cos * ahead_m - sin * left_m, sin * ahead_m + cos * left_m], axis=1))


def _turned(angle_rad: float) -> Float64[np.ndarray, "2 2"]:
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cos, -sin], [sin, cos]])


def _headings(states: Sequence[State], implied_mps: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, " N"]:
    """Return the stated headings, or the directions of motion where there are none."""
    course_rad = np.arctan2(implied_mps[:, 1], implied_mps[:, 0])
    return np.array(
        [
            float(course) if state.heading_rad is None else state.heading_rad
            for state, course in zip(states, course_rad, strict=True)
        ]
    )


def _velocities(
    states: Sequence[State], heading_rad: Float64[np.ndarray, " N"], implied_mps: Float64[np.ndarray, "N 2"]
) -> tuple[Float64[np.ndarray, "N 2"], float]:
    stated = np.array([np.nan if state.speed_mps is None else state.speed_mps for state in states])
    direction = np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=1)
    velocity_mps = np.where(np.isnan(stated)[:, None], implied_mps, stated[:, None] * direction)
    apart_mps = np.linalg.norm(velocity_mps - implied_mps, axis=1)
    return velocity_mps, float(np.median(apart_mps)) if len(states) > 1 else 0.0
