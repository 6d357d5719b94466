"""Voxels that camera rays cross, by exact traversal."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from scenegen.occupancy.compiled import compiled

INTO_SURFACE_M = 0.1
"""Rays end this far behind the surface, so that the voxel which holds the surface counts as seen."""


@compiled
def mark_rays(
    mask: Bool[np.ndarray, "X Y Z"],
    origin_m: Float64[np.ndarray, "3"],
    voxel_m: float,
    depth_m: Float32[np.ndarray, "V H W"],
    ego_from_cam: Float64[np.ndarray, "V 4 4"],
    ray_cam: Float64[np.ndarray, "V H W 2"],
    stride_px: Int64[np.ndarray, " V"],
) -> None:
    """Mark, in place, the voxels crossed by rays from each camera to what its pixels see.

    `depth_m` is z-depth; rays of infinite depth run to the end of the grid. One pixel in `stride_px[view]`, across and
    down, casts a ray through its centre; those whose ray is NaN see nothing.
    """
    num_views, height, width = depth_m.shape
    for view in range(num_views):
        pose, stride = ego_from_cam[view], stride_px[view]
        start_x = (pose[0, 3] - origin_m[0]) / voxel_m
        start_y = (pose[1, 3] - origin_m[1]) / voxel_m
        start_z = (pose[2, 3] - origin_m[2]) / voxel_m
        for row in range(stride // 2, height, stride):
            for column in range(stride // 2, width, stride):
                x, y = ray_cam[view, row, column, 0], ray_cam[view, row, column, 1]
                if np.isnan(x):
                    continue
                # the ray's parameter is z-depth: its direction has z = 1 in the camera frame
                way_x = (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2]) / voxel_m
                way_y = (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2]) / voxel_m
                way_z = (pose[2, 0] * x + pose[2, 1] * y + pose[2, 2]) / voxel_m
                reach = depth_m[view, row, column] + INTO_SURFACE_M / np.sqrt(x * x + y * y + 1.0)
                _mark_ray(mask, start_x, start_y, start_z, way_x, way_y, way_z, reach)


@compiled
def mark_returns(
    mask: Bool[np.ndarray, "X Y Z"],
    origin_m: Float64[np.ndarray, "3"],
    voxel_m: float,
    sensor_ego_m: Float64[np.ndarray, "3"],
    points_ego_m: Float64[np.ndarray, "P 3"],
) -> None:
    """Mark, in place, the voxels crossed by rays from a range sensor to its points, ends included."""
    start_x = (sensor_ego_m[0] - origin_m[0]) / voxel_m
    start_y = (sensor_ego_m[1] - origin_m[1]) / voxel_m
    start_z = (sensor_ego_m[2] - origin_m[2]) / voxel_m
    for p in range(len(points_ego_m)):
        x = points_ego_m[p, 0] - sensor_ego_m[0]
        y = points_ego_m[p, 1] - sensor_ego_m[1]
        z = points_ego_m[p, 2] - sensor_ego_m[2]
        reach = 1.0 + INTO_SURFACE_M / np.sqrt(x * x + y * y + z * z)
        _mark_ray(mask, start_x, start_y, start_z, x / voxel_m, y / voxel_m, z / voxel_m, reach)


@compiled
def _mark_ray(
    mask: Bool[np.ndarray, "X Y Z"],
    start_x: float,
    start_y: float,
    start_z: float,
    way_x: float,
    way_y: float,
    way_z: float,
    reach: float,
) -> None:
    """Walk one ray, in voxel units, from parameter 0 to `reach`.

    Source: Amanatides and Woo, A Fast Voxel Traversal Algorithm for Ray Tracing, 1987.
    """
    size_x, size_y, size_z = mask.shape
    enter, leave = _clip(start_x, way_x, size_x, 0.0, reach)
    enter, leave = _clip(start_y, way_y, size_y, enter, leave)
    enter, leave = _clip(start_z, way_z, size_z, enter, leave)
    if enter >= leave:
        return
    i, step_i, next_x, pace_x = _begin(start_x, way_x, size_x, enter)
    j, step_j, next_y, pace_y = _begin(start_y, way_y, size_y, enter)
    k, step_k, next_z, pace_z = _begin(start_z, way_z, size_z, enter)
    while True:
        mask[i, j, k] = True
        if next_x <= next_y and next_x <= next_z:
            if next_x > leave:
                return
            i += step_i
            next_x += pace_x
            if i < 0 or i >= size_x:
                return
        elif next_y <= next_z:
            if next_y > leave:
                return
            j += step_j
            next_y += pace_y
            if j < 0 or j >= size_y:
                return
        else:
            if next_z > leave:
                return
            k += step_k
            next_z += pace_z
            if k < 0 or k >= size_z:
                return


@compiled
def _clip(start: float, way: float, size: int, enter: float, leave: float) -> tuple[float, float]:
    """Shorten a ray's parameter range to one axis of the grid; an empty range means that it misses."""
    if abs(way) < 1e-12:
        return (enter, leave) if 0.0 <= start < size else (1.0, 0.0)
    a, b = -start / way, (size - start) / way
    return max(enter, min(a, b)), min(leave, max(a, b))


@compiled
def _begin(start: float, way: float, size: int, enter: float) -> tuple[int, int, float, float]:
    """Return (first cell, step, parameter of the next border, parameter between borders) along one axis."""
    cell = min(max(int(np.floor(start + (enter + 1e-9) * way)), 0), size - 1)
    step = 1 if way > 0.0 else -1
    if abs(way) < 1e-12:
        return cell, step, np.inf, np.inf
    border = cell + (1 if step > 0 else 0)
    return cell, step, (border - start) / way, abs(1.0 / way)
