"""The road map and the agents of one step from above, as a raster in the ego frame.

Made on read from the layout's map and the boxes, in numpy alone; nothing of it is stored. It shows what the layout
knows: sidewalks and buildings that the world adds where the layout leaves the ground open are in the occupancy only.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from scenegen.dataset.labels import Boxes
from scenegen.dataset.rotations import forward_axes
from scenegen.geometry.rigid import invert_rigid
from scenegen.types import OCC3D_GRID, VEHICLE_CATEGORIES, AgentCategory, RoadMap

AREA_CHANNELS = ("drivable", "sidewalk", "crossing", "parking", "building")
CYCLES = (AgentCategory.BICYCLE, AgentCategory.MOTORCYCLE)
AGENT_CHANNELS: dict[str, frozenset[AgentCategory]] = {
    "vehicle": frozenset(VEHICLE_CATEGORIES) - set(CYCLES),
    "cycle": frozenset(CYCLES),
    "pedestrian": frozenset({AgentCategory.PEDESTRIAN}),
    "other": frozenset({AgentCategory.TRAFFIC_CONE, AgentCategory.BARRIER, AgentCategory.ANIMAL, AgentCategory.OTHER}),
}
BEV_CHANNELS = (*AREA_CHANNELS, "lane_line", *AGENT_CHANNELS)
"""`drivable` holds the drivable areas and all lanes but footpaths; `lane_line` every painted line, dashes closed."""

ORIGIN_M = np.array(OCC3D_GRID.origin_m[:2])
CELL_M = OCC3D_GRID.voxel_m
SHAPE = OCC3D_GRID.shape[:2]
UNIT_RECTANGLE = np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, -0.5], [-0.5, 0.5]])


def build_bev_raster(
    road_map: RoadMap, boxes: Boxes, *, ego2global: Float64[np.ndarray, "4 4"]
) -> UInt8[np.ndarray, "C X Y"]:
    """Draw one step; cell (i, j) is 1 in a channel where that channel's shapes hold the middle of the cell.

    Lines are drawn at least one cell wide. Frame ego; cells as those of the occupancy view.
    """
    ego_from_world = invert_rigid(ego2global)
    raster = np.zeros((len(BEV_CHANNELS), *SHAPE), np.bool_)
    channel = {name: raster[idx] for idx, name in enumerate(BEV_CHANNELS)}
    for area in road_map.areas:
        if area.kind in AREA_CHANNELS:
            rings = [_to_ego(ring, ego_from_world) for ring in (area.polygon_world_m, *area.holes_world_m)]
            mark_polygon(channel[area.kind], rings)
    for lane in road_map.lanes:
        if lane.kind != "walk":
            mark_line(channel["drivable"], _to_ego(lane.centerline_world_m, ego_from_world), width_m=lane.width_m)
    for line in road_map.lane_lines:
        width_m = max(line.width_m, CELL_M)
        mark_line(channel["lane_line"], _to_ego(line.points_world_m, ego_from_world), width_m=width_m)
    for box_idx, corners_ego_m in enumerate(_footprints(boxes, ego_from_world)):
        category = AgentCategory(int(boxes.category[box_idx]))
        name = next(name for name, kinds in AGENT_CHANNELS.items() if category in kinds)
        mark_polygon(channel[name], [corners_ego_m])
    return raster.astype(np.uint8)


def mark_polygon(mask: Bool[np.ndarray, "X Y"], rings_m: Sequence[Float64[np.ndarray, "_ 2"]]) -> None:
    """Set, in place, the cells whose middle lies in a polygon: inside an odd number of its rings.

    >>> mask = np.zeros(SHAPE, np.bool_)
    >>> mark_polygon(mask, [np.array([[0.0, 0.0], [0.8, 0.0], [0.8, 0.4], [0.0, 0.4]])])
    >>> np.argwhere(mask).tolist()
    [[100, 100], [101, 100]]
    """
    corners = np.concatenate([(ring - ORIGIN_M) / CELL_M - 0.5 for ring in rings_m])
    if (corners.max(axis=0) < 0.0).any() or (corners.min(axis=0) > np.array(SHAPE) - 1.0).any():
        return
    ends = np.concatenate([np.roll((ring - ORIGIN_M) / CELL_M - 0.5, -1, axis=0) for ring in rings_m])
    rows = np.arange(SHAPE[0])[:, None]
    crosses = (corners[:, 0] <= rows) != (ends[:, 0] <= rows)
    row_idx, edge_idx = np.nonzero(crosses)
    start, end = corners[edge_idx], ends[edge_idx]
    share = (row_idx - start[:, 0]) / (end[:, 0] - start[:, 0])
    # a crossing at y turns every cell with a middle at or beyond y
    first = np.ceil(start[:, 1] + share * (end[:, 1] - start[:, 1])).astype(np.int64)
    turns = np.zeros((SHAPE[0], SHAPE[1] + 1), np.int64)
    np.add.at(turns, (row_idx, np.clip(first, 0, SHAPE[1])), 1)
    mask |= np.cumsum(turns, axis=1)[:, :-1] % 2 == 1


def mark_line(mask: Bool[np.ndarray, "X Y"], points_m: Float64[np.ndarray, "_ 2"], *, width_m: float) -> None:
    """Set, in place, the cells whose middle is at most half a width from a polyline."""
    radius = 0.5 * width_m / CELL_M
    cells = (points_m - ORIGIN_M) / CELL_M - 0.5
    for start, end in itertools.pairwise(cells):
        low = np.maximum(np.floor(np.minimum(start, end) - radius), 0).astype(np.int64)
        high = np.minimum(np.ceil(np.maximum(start, end) + radius) + 1, SHAPE).astype(np.int64)
        if (low >= high).any():
            continue
        middle = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij"), axis=-1)
        way = end - start
        share = np.clip((middle - start) @ way / max(float(way @ way), 1e-12), 0.0, 1.0)
        distance = np.linalg.norm(middle - start - share[..., None] * way, axis=-1)
        mask[low[0] : high[0], low[1] : high[1]] |= distance <= radius


def _to_ego(
    points_world_m: Float64[np.ndarray, "N _"], ego_from_world: Float64[np.ndarray, "4 4"]
) -> Float64[np.ndarray, "N 2"]:
    """Move ground points (z = 0) to the ego frame and drop their height."""
    points_ego_m: Float64[np.ndarray, "N 2"] = points_world_m[:, :2] @ ego_from_world[:2, :2].T + ego_from_world[:2, 3]
    return points_ego_m


def _footprints(boxes: Boxes, ego_from_world: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "N 4 2"]:
    """Return the corners of every box from above."""
    cos, sin, _ = forward_axes(boxes.rotation_wxyz).T
    corners = UNIT_RECTANGLE * boxes.size_lwh_m[:, None, :2]
    turn = np.stack([np.stack([cos, sin], axis=-1), np.stack([-sin, cos], axis=-1)], axis=1)
    corners_world_m = corners @ turn + boxes.center_world_m[:, None, :2]
    footprints: Float64[np.ndarray, "N 4 2"] = corners_world_m @ ego_from_world[:2, :2].T + ego_from_world[:2, 3]
    return footprints
