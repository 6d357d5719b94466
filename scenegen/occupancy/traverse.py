"""Voxels that camera rays cross, by exact traversal."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64

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
    K_inverse: Float64[np.ndarray, "V 3 3"],
    stride_px: int,
) -> None:
    """Mark, in place, the voxels crossed by rays from each camera to what its pixels see.

    Args:
        depth_m: z-depth; rays of infinite depth run to the end of the grid.
        stride_px: one ray per this many pixels, across and down, through pixel centres.
    """
    num_views, height, width = depth_m.shape
    start, direction = np.empty(3), np.empty(3)
    for view in range(num_views):
        pose, inverse = ego_from_cam[view], K_inverse[view]
        for row in range(stride_px // 2, height, stride_px):
            for column in range(stride_px // 2, width, stride_px):
                u, v = column + 0.5, row + 0.5
                x = inverse[0, 0] * u + inverse[0, 1] * v + inverse[0, 2]
                y = inverse[1, 0] * u + inverse[1, 1] * v + inverse[1, 2]
                # the ray's parameter is z-depth: its direction has z = 1 in the camera frame
                for axis in range(3):
                    start[axis] = (pose[axis, 3] - origin_m[axis]) / voxel_m
                    direction[axis] = (pose[axis, 0] * x + pose[axis, 1] * y + pose[axis, 2]) / voxel_m
                reach = depth_m[view, row, column] + INTO_SURFACE_M / np.sqrt(x * x + y * y + 1.0)
                _mark_ray(mask, start, direction, reach)


@compiled
def _mark_ray(
    mask: Bool[np.ndarray, "X Y Z"],
    start: Float64[np.ndarray, "3"],
    direction: Float64[np.ndarray, "3"],
    reach: float,
) -> None:
    """Walk one ray, in voxel units, from parameter 0 to `reach`.

    Source: Amanatides and Woo, A Fast Voxel Traversal Algorithm for Ray Tracing, 1987.
    """
    enter, leave = 0.0, reach
    for axis in range(3):
        if abs(direction[axis]) < 1e-12:
            if not 0.0 <= start[axis] < mask.shape[axis]:
                return
            continue
        a = -start[axis] / direction[axis]
        b = (mask.shape[axis] - start[axis]) / direction[axis]
        enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
    if enter >= leave:
        return
    cell, step = np.empty(3, np.int64), np.empty(3, np.int64)
    following, pace = np.empty(3), np.empty(3)
    for axis in range(3):
        at = start[axis] + (enter + 1e-9) * direction[axis]
        cell[axis] = min(max(int(np.floor(at)), 0), mask.shape[axis] - 1)
        step[axis] = 1 if direction[axis] > 0 else -1
        if abs(direction[axis]) < 1e-12:
            following[axis], pace[axis] = np.inf, np.inf
            continue
        border = cell[axis] + (1 if step[axis] > 0 else 0)
        following[axis] = (border - start[axis]) / direction[axis]
        pace[axis] = abs(1.0 / direction[axis])
    while True:
        mask[cell[0], cell[1], cell[2]] = True
        axis = 0
        if following[1] < following[axis]:
            axis = 1
        if following[2] < following[axis]:
            axis = 2
        if following[axis] > leave:
            return
        cell[axis] += step[axis]
        if not 0 <= cell[axis] < mask.shape[axis]:
            return
        following[axis] += pace[axis]
