"""The road surface of logs without a map, as seen: where sweeps found it smooth and level with the ego's own way.

A car's road is what it could roll to without a step: squares of 0.4 m whose ground is known, spread from beneath the
ego's way and vehicles' boxes to neighbours whose height differs by less than a kerb. Gaps between the rings of a sweep
are closed up to 2 m. What lies beside it is open ground. Walkways without a kerb count as road: a sweep cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64
from scipy import ndimage

from scenegen.geometry.rigid import planar_pose, transform_points
from scenegen.types import VEHICLE_CATEGORIES, GridSpec, Layout
from scenegen.types.layout import Area, RoadMap

LOWEST_KERB_M = 0.06
"""Between neighbouring squares."""
STEEPEST_M = 0.5
"""From the plane, farther out."""
CLOSING_CELLS = 5
SMALLEST_M2 = 12.0
SIMPLER_BY_M = 0.25
REACH_M = 45.0
"""From the ego's way: farther out, sweeps are too sparse to tell a kerb."""


def drivable_columns(
    ground_m: Float64[np.ndarray, "P 3"], layout: Layout, *, grid: GridSpec
) -> Bool[np.ndarray, "X Y"]:
    """Return the columns that a car could have rolled to, from points of the ground in the world."""
    height = _height_of_columns(ground_m, grid)
    seeds = _columns_under_vehicles(layout, grid)
    near = _within_reach(layout, grid)
    known = np.isfinite(height) & (np.abs(height) < STEEPEST_M) & near
    filled = _fill_gaps(height, known)
    level = np.isfinite(filled) & near
    step_up = ndimage.maximum_filter(np.where(level, filled, -np.inf), 3) - filled
    step_down = filled - ndimage.minimum_filter(np.where(level, filled, np.inf), 3)
    with np.errstate(invalid="ignore"):
        smooth = level & (np.maximum(step_up, step_down) < LOWEST_KERB_M)
    smooth |= seeds & near
    labels, _ = ndimage.label(smooth)
    reached = np.isin(labels, np.unique(labels[seeds & smooth])) & smooth
    return np.asarray(ndimage.binary_closing(reached, iterations=2) | (seeds & near))


def areas_of_columns(columns: Bool[np.ndarray, "X Y"], *, grid: GridSpec, kind: str) -> tuple[Area, ...]:
    """Return the outlines of marked columns as areas of a layout."""
    import shapely

    x, y = grid.origin_m[:2]
    boxes = []
    for i in np.flatnonzero(columns.any(axis=1)):
        edges = np.flatnonzero(np.diff(np.r_[False, columns[i], False].astype(np.int8)))
        for low, high in edges.reshape(-1, 2):
            left = x + grid.voxel_m * i
            boxes.append(shapely.box(left, y + grid.voxel_m * low, left + grid.voxel_m, y + grid.voxel_m * high))
    region = shapely.union_all(boxes).buffer(0.02).simplify(SIMPLER_BY_M)
    areas = []
    for part in shapely.get_parts(region):
        if part.geom_type != "Polygon" or part.area < SMALLEST_M2:
            continue
        holes = tuple(np.array(ring.coords)[:-1] for ring in part.interiors if shapely.Polygon(ring).area > 1.0)
        areas.append(Area(kind=kind, polygon_world_m=np.array(part.exterior.coords)[:-1], holes_world_m=holes))
    return tuple(areas)


def with_seen_surface(road_map: RoadMap, areas: Sequence[Area]) -> RoadMap:
    """Return an assumed road's lanes, for driving along, on the surface that was seen; nothing is painted on it."""
    return RoadMap(lanes=road_map.lanes, areas=tuple(areas), num_roads=road_map.num_roads)


def _height_of_columns(points_m: Float64[np.ndarray, "P 3"], grid: GridSpec) -> Float64[np.ndarray, "X Y"]:
    """Return the mean height of each column's points; NaN without."""
    index = np.floor((points_m[:, :2] - np.array(grid.origin_m[:2])) / grid.voxel_m).astype(np.int64)
    is_inside = ((index >= 0) & (index < grid.shape[:2])).all(axis=1)
    flat = np.ravel_multi_index(tuple(index[is_inside].T), grid.shape[:2])
    size = grid.shape[0] * grid.shape[1]
    counts = np.bincount(flat, minlength=size)
    sums = np.bincount(flat, weights=points_m[is_inside, 2], minlength=size)
    with np.errstate(invalid="ignore"):
        return (sums / np.where(counts > 0, counts, np.nan)).reshape(grid.shape[:2])


def _fill_gaps(height: Float64[np.ndarray, "X Y"], known: Bool[np.ndarray, "X Y"]) -> Float64[np.ndarray, "X Y"]:
    """Give columns in gaps of up to `CLOSING_CELLS` the height of the nearest known one; NaN elsewhere."""
    if not known.any():
        return np.full_like(height, np.nan)
    _, nearest = ndimage.distance_transform_edt(~known, return_indices=True)
    closed = ndimage.binary_closing(known, structure=np.ones((3, 3)), iterations=CLOSING_CELLS // 2) | known
    smooth = np.where(known, height, height[tuple(nearest)])
    smooth = ndimage.uniform_filter(smooth, 3)
    return np.where(closed, smooth, np.nan)


def _columns_under_vehicles(layout: Layout, grid: GridSpec) -> Bool[np.ndarray, "X Y"]:
    """Return the columns beneath the ego and vehicles at any step."""
    marked = np.zeros(grid.shape[:2], np.bool_)
    for step, pose in enumerate(layout.ego.world_from_ego):
        _mark_box(marked, grid, planar_pose(pose[0, 3], pose[1, 3], layout.ego.heading_rad[step]), (-1.0, 4.0), 0.9)
        for agent in layout.agents:
            if agent.valid[step] and agent.category in VEHICLE_CATEGORIES:
                half = agent.size_lwh_m / 2
                x, y, _ = agent.center_world_m[step]
                _mark_box(marked, grid, planar_pose(x, y, agent.heading_rad[step]), (-half[0], half[0]), float(half[1]))
    return marked


def _mark_box(
    marked: Bool[np.ndarray, "X Y"],
    grid: GridSpec,
    pose: Float64[np.ndarray, "4 4"],
    along_m: tuple[float, float],
    half_width_m: float,
) -> None:
    spacing = grid.voxel_m / 2
    x, y = np.meshgrid(
        np.arange(along_m[0], along_m[1] + spacing, spacing),
        np.arange(-half_width_m, half_width_m + spacing, spacing),
    )
    points_m = transform_points(pose, np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1))
    index = np.floor((points_m[:, :2] - np.array(grid.origin_m[:2])) / grid.voxel_m).astype(np.int64)
    index = index[((index >= 0) & (index < grid.shape[:2])).all(axis=1)]
    marked[tuple(index.T)] = True


def _within_reach(layout: Layout, grid: GridSpec) -> Bool[np.ndarray, "X Y"]:
    away = np.ones(grid.shape[:2], np.bool_)
    index = np.floor((layout.ego.position_world_m[:, :2] - np.array(grid.origin_m[:2])) / grid.voxel_m).astype(np.int64)
    away[tuple(index.T)] = False
    return np.asarray(ndimage.distance_transform_edt(away) * grid.voxel_m < REACH_M)
