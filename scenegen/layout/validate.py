"""Does a layout make sense? The same questions for every source; real logs must pass."""

from __future__ import annotations

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
    Layout,
)
from scenegen.types.taxonomy import AgentCategory

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
OFF_ROAD_SLACK_M = 2.0
"""The ego may cut a corner of the drivable area by this much."""
OFF_ROAD_SHARE = 0.05
"""Maps of real logs have gaps: this share of the ego's steps may lie off the mapped road."""


def validate_layout(layout: Layout) -> None:
    """Check what the types cannot: kinds, speeds, agents inside buildings, the ego on the road.

    Raises:
        LayoutError: the first thing that does not make sense, with agent, time and limit.
    """
    _check_kinds(layout)
    buildings = [area.polygon_world_m for area in layout.road_map.areas_of("building")]
    for agent in layout.agents:
        _check_size(agent, layout)
        _check_speed(agent, layout)
        _check_outside(agent, buildings, layout)
    _check_ego(layout)


def _check_kinds(layout: Layout) -> None:
    road_map = layout.road_map
    for what, kind, known in (
        *(("lane kind", lane.kind, LANE_KINDS) for lane in road_map.lanes),
        *(("lane line kind", line.kind, LINE_KINDS) for line in road_map.lane_lines),
        *(("lane line color", line.color, LINE_COLORS) for line in road_map.lane_lines),
        *(("area kind", area.kind, AREA_KINDS) for area in road_map.areas),
        *(("prop kind", prop.kind, PROP_KINDS) for prop in road_map.props),
    ):
        if kind not in known:
            raise LayoutError(f"a {what} out of {', '.join(known)}", found=repr(kind), where=layout.layout_id)
    for name, arrays in (
        ("lanes", [lane.centerline_world_m for lane in road_map.lanes]),
        ("lane_lines", [line.points_world_m for line in road_map.lane_lines]),
        ("areas", [area.polygon_world_m for area in road_map.areas]),
        ("props", [prop.position_world_m for prop in road_map.props]),
    ):
        for idx, array in enumerate(arrays):
            if not np.isfinite(array).all():
                raise LayoutError("finite coordinates", found="NaN or infinity", where=f"{layout.layout_id}: {name}[{idx}]")


def _check_size(agent: AgentTrack, layout: Layout) -> None:
    if agent.size_lwh_m.max() > LARGEST_SIZE_M:
        raise LayoutError(
            f"a size of at most {LARGEST_SIZE_M:g} m",
            found=f"{agent.size_lwh_m.tolist()}",
            where=f"{layout.layout_id}: agent {agent.agent_id!r}",
        )


def _check_speed(agent: AgentTrack, layout: Layout) -> None:
    """Compare the speed that is stated, and the one the positions imply over half a second, to the limit."""
    limit_mps = TOP_SPEED_MPS[agent.category]
    stated_mps = np.linalg.norm(agent.velocity_world_mps, axis=1) * agent.valid
    over = max(1, round(0.5 * layout.timeline.rate_hz))
    moved_m = np.linalg.norm(agent.center_world_m[over:, :2] - agent.center_world_m[:-over, :2], axis=1)
    seen = agent.valid[over:] & agent.valid[:-over]
    implied_mps = moved_m * seen * (layout.timeline.rate_hz / over)
    for what, speed_mps in (("velocity", stated_mps), ("positions", implied_mps)):
        if len(speed_mps) and speed_mps.max() > limit_mps:
            step = int(np.argmax(speed_mps))
            raise LayoutError(
                f"at most {limit_mps:g} m/s for a {agent.category.label}",
                found=f"{speed_mps[step]:.1f} m/s by its {what} at {step / layout.timeline.rate_hz:.2f} s",
                where=f"{layout.layout_id}: agent {agent.agent_id!r}",
                fix="check the positions and times of this agent",
            )


def _check_outside(agent: AgentTrack, buildings_m: list[Float64[np.ndarray, "N 2"]], layout: Layout) -> None:
    points_m = agent.center_world_m[:, :2]
    for idx, outline_m in enumerate(buildings_m):
        inside = points_in_polygon(points_m, outline_m) & agent.valid
        if inside.any():
            step = int(np.argmax(inside))
            raise LayoutError(
                "agents outside of buildings",
                found=f"{points_m[step].round(2).tolist()} inside building {idx} at {step / layout.timeline.rate_hz:.2f} s",
                where=f"{layout.layout_id}: agent {agent.agent_id!r}",
                fix="move the agent or the building",
            )


def _check_ego(layout: Layout) -> None:
    """Check the ego's speed and that it keeps to the drivable areas, where the layout has any."""
    rate_hz = layout.timeline.rate_hz
    points_m = layout.ego.position_world_m[:, :2]
    speed_mps = np.linalg.norm(np.diff(points_m, axis=0), axis=1) * rate_hz
    if len(speed_mps) and speed_mps.max() > FASTEST_EGO_MPS:
        step = int(np.argmax(speed_mps))
        raise LayoutError(
            f"an ego speed of at most {FASTEST_EGO_MPS:g} m/s",
            found=f"{speed_mps[step]:.1f} m/s at {step / rate_hz:.2f} s",
            where=f"{layout.layout_id}: ego",
        )
    roads = [area for kind in ("drivable", "parking", "crossing") for area in layout.road_map.areas_of(kind)]
    if not layout.road_map.areas_of("drivable"):
        return
    off_road = _off_road(points_m, [area.polygon_world_m for area in roads])
    if off_road.mean() > OFF_ROAD_SHARE:
        step = int(np.argmax(off_road))
        raise LayoutError(
            "the ego on drivable areas",
            found=f"{off_road.mean():.0%} of its way off them, first {points_m[step].round(2).tolist()} "
            f"at {step / rate_hz:.2f} s",
            where=f"{layout.layout_id}: ego",
            fix="move its route onto a road, or add a drivable area",
        )


def _off_road(
    points_m: Float64[np.ndarray, "T 2"], outlines_m: list[Float64[np.ndarray, "N 2"]]
) -> Bool[np.ndarray, " T"]:
    from shapely import Polygon, distance, points, union_all

    road = union_all([Polygon(outline).buffer(0.0) for outline in outlines_m if len(outline) >= 3])
    return np.asarray(distance(points(points_m), road) > OFF_ROAD_SLACK_M)


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
