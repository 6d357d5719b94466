"""Does a layout make sense? The same questions for every source; real logs must pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError
from scenegen.types.layout import (
    AREA_KINDS,
    LANE_KINDS,
    LINE_COLORS,
    LINE_KINDS,
    PROP_KINDS,
    AgentTrack,
    Area,
    Layout,
)
from scenegen.types.taxonomy import AgentCategory

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

TOP_SPEED_MPS: dict[AgentCategory, float] = {
    AgentCategory.CAR: 70.0,
    AgentCategory.TRUCK: 45.0,
    AgentCategory.BUS: 45.0,
    AgentCategory.TRAILER: 45.0,
    AgentCategory.CONSTRUCTION_VEHICLE: 30.0,
    AgentCategory.PEDESTRIAN: 12.0,
    AgentCategory.MOTORCYCLE: 70.0,
    AgentCategory.BICYCLE: 25.0,
    AgentCategory.TRAFFIC_CONE: 5.0,
    AgentCategory.BARRIER: 5.0,
    AgentCategory.ANIMAL: 25.0,
    AgentCategory.OTHER: 70.0,
}
"""Faster than this is a typing error, not traffic. Recorded tracks jitter; the limits leave room for it."""
FASTEST_EGO_MPS = 70.0
LARGEST_SIZE_M = 40.0
ROAD_KINDS = ("drivable", "parking", "crossing")
OFF_ROAD_SLACK_M = 2.0
"""The ego may cut a corner of the drivable area by this much."""
BUILDING_ON_ROAD_SHARE = 0.5
OFF_ROAD_SHARE = 0.05
"""Maps of real logs have gaps: this share of the ego's steps may lie off the mapped road."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that does not make sense. `subject` is an agent's id, `ego`, or empty for the map."""

    subject: str
    expected: str
    found: str
    fix: str = ""


def validate_layout(layout: Layout) -> None:
    """Check what the types cannot: kinds, speeds, agents inside buildings, the ego on the road.

    Raises:
        LayoutError: the first thing that does not make sense, with agent, time and limit.
    """
    problem = find_problem(layout)
    if problem is None:
        return
    who = f": {problem.subject}" if problem.subject in ("", "ego") else f": agent {problem.subject!r}"
    where = layout.layout_id + (who if problem.subject else "")
    raise LayoutError(problem.expected, found=problem.found, where=where, fix=problem.fix)


def find_problem(layout: Layout) -> Problem | None:
    """Return the first thing of a layout that does not make sense, or None."""
    return next(_problems(layout), None)


def _problems(layout: Layout) -> Iterator[Problem]:
    yield from _wrong_map(layout)
    yield from _building_on_road(layout)
    buildings = [area.polygon_world_m for area in layout.road_map.areas_of("building")]
    rate_hz = layout.timeline.rate_hz
    for agent in layout.agents:
        if agent.size_lwh_m.max() > LARGEST_SIZE_M:
            yield Problem(
                subject=agent.agent_id,
                expected=f"a size of at most {LARGEST_SIZE_M:g} m",
                found=f"{agent.size_lwh_m.tolist()}",
            )
        yield from _too_fast(agent, rate_hz)
        yield from _inside_building(agent, buildings, rate_hz)
    yield from _wrong_ego(layout)


def _wrong_map(layout: Layout) -> Iterator[Problem]:
    road_map = layout.road_map
    for what, kind, known in (
        *(("lane kind", lane.kind, LANE_KINDS) for lane in road_map.lanes),
        *(("lane line kind", line.kind, LINE_KINDS) for line in road_map.lane_lines),
        *(("lane line color", line.color, LINE_COLORS) for line in road_map.lane_lines),
        *(("area kind", area.kind, AREA_KINDS) for area in road_map.areas),
        *(("prop kind", prop.kind, PROP_KINDS) for prop in road_map.props),
    ):
        if kind not in known:
            yield Problem(subject="", expected=f"a {what} out of {', '.join(known)}", found=repr(kind))
    for name, arrays in (
        ("lanes", [lane.centerline_world_m for lane in road_map.lanes]),
        ("lane_lines", [line.points_world_m for line in road_map.lane_lines]),
        ("areas", [area.polygon_world_m for area in road_map.areas]),
        ("props", [prop.position_world_m for prop in road_map.props]),
    ):
        for idx, array in enumerate(arrays):
            if not np.isfinite(array).all():
                yield Problem(subject="", expected="finite coordinates", found=f"NaN or infinity in {name}[{idx}]")


def _building_on_road(layout: Layout) -> Iterator[Problem]:
    """Find buildings that lie mostly on the road: an edge over the kerb is cut, more is a contradiction."""
    buildings = layout.road_map.areas_of("building")
    roads = [area for kind in ROAD_KINDS for area in layout.road_map.areas_of(kind)]
    if not buildings or not roads:
        return
    road = _region_of(roads)
    for idx, building in enumerate(buildings):
        outline = _region_of([building])
        share = outline.intersection(road).area / max(outline.area, 1e-9)
        if share > BUILDING_ON_ROAD_SHARE:
            yield Problem(
                subject="",
                expected="buildings beside the road",
                found=f"{share:.0%} of building {idx} on drivable areas, parking or crossings",
                fix="move the building or the road",
            )


def _too_fast(agent: AgentTrack, rate_hz: float) -> Iterator[Problem]:
    """Compare the speed that is stated, and the one the positions imply over half a second, to the limit."""
    limit_mps = TOP_SPEED_MPS[agent.category]
    stated_mps = np.linalg.norm(agent.velocity_world_mps, axis=1) * agent.valid
    over = max(1, round(0.5 * rate_hz))
    moved_m = np.linalg.norm(agent.center_world_m[over:, :2] - agent.center_world_m[:-over, :2], axis=1)
    implied_mps = moved_m * (agent.valid[over:] & agent.valid[:-over]) * (rate_hz / over)
    for what, speed_mps in (("velocity", stated_mps), ("positions", implied_mps)):
        if len(speed_mps) and speed_mps.max() > limit_mps:
            step = int(np.argmax(speed_mps))
            yield Problem(
                subject=agent.agent_id,
                expected=f"at most {limit_mps:g} m/s for a {agent.category.label}",
                found=f"{speed_mps[step]:.1f} m/s by its {what} at {step / rate_hz:.2f} s",
                fix="check the positions, times and speeds of this agent",
            )


def _inside_building(
    agent: AgentTrack, buildings_m: list[Float64[np.ndarray, "N 2"]], rate_hz: float
) -> Iterator[Problem]:
    points_m = agent.center_world_m[:, :2]
    for idx, outline_m in enumerate(buildings_m):
        inside = points_in_polygon(points_m, outline_m) & agent.valid
        if inside.any():
            step = int(np.argmax(inside))
            yield Problem(
                subject=agent.agent_id,
                expected="agents outside of buildings",
                found=f"{points_m[step].round(2).tolist()} inside building {idx} at {step / rate_hz:.2f} s",
                fix="move the agent or the building",
            )


def _wrong_ego(layout: Layout) -> Iterator[Problem]:
    """Check the ego's speed and that it keeps to the drivable areas, where the layout has any."""
    rate_hz = layout.timeline.rate_hz
    points_m = layout.ego.position_world_m[:, :2]
    speed_mps = np.linalg.norm(np.diff(points_m, axis=0), axis=1) * rate_hz
    if len(speed_mps) and speed_mps.max() > FASTEST_EGO_MPS:
        step = int(np.argmax(speed_mps))
        yield Problem(
            subject="ego",
            expected=f"an ego speed of at most {FASTEST_EGO_MPS:g} m/s",
            found=f"{speed_mps[step]:.1f} m/s at {step / rate_hz:.2f} s",
        )
    if not layout.road_map.areas_of("drivable"):
        return
    off_road = is_off_road(layout, points_m)
    if off_road.mean() > OFF_ROAD_SHARE:
        step = int(np.argmax(off_road))
        yield Problem(
            subject="ego",
            expected="the ego on drivable areas",
            found=f"{off_road.mean():.0%} of its way off them, first {points_m[step].round(2).tolist()} "
            f"at {step / rate_hz:.2f} s",
            fix="move its route onto a road, or add a drivable area",
        )


def is_off_road(layout: Layout, points_m: Float64[np.ndarray, "P 2"]) -> Bool[np.ndarray, " P"]:
    """Mark places more than `OFF_ROAD_SLACK_M` beside drivable areas, parking and crossings."""
    from shapely import distance, points

    areas = [area for kind in ROAD_KINDS for area in layout.road_map.areas_of(kind)]
    return np.asarray(distance(points(points_m), _region_of(areas)) > OFF_ROAD_SLACK_M)


def _region_of(areas: Sequence[Area]) -> BaseGeometry:
    from shapely import Polygon, union_all

    return union_all(
        [Polygon(a.polygon_world_m, a.holes_world_m).buffer(0.0) for a in areas if len(a.polygon_world_m) >= 3]
    )


def points_in_polygon(
    points_m: Float64[np.ndarray, "P 2"], outline_m: Float64[np.ndarray, "N 2"]
) -> Bool[np.ndarray, " P"]:
    """Test which points lie inside a ring, by counting edges crossed to the right of each.

    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> points_in_polygon(np.array([[0.5, 0.5], [1.5, 0.5]]), square).tolist()
    [True, False]
    """
    x, y = points_m[:, 0, None], points_m[:, 1, None]
    x0, y0 = outline_m[:, 0], outline_m[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    straddles = (y0 > y) != (y1 > y)
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    return np.asarray((straddles & (x < x0 + (y - y0) / rise * (x1 - x0))).sum(axis=1) % 2 == 1)
