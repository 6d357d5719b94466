"""Sun visibility of surface points: exact, by the same ray casting, with a shadow-space index of solids.

All points of a ray towards the sun share one shadow coordinate: where the ray's line meets z = 0. A solid
can hide the sun only from points whose shadow coordinate lies in the solid's own shadow on z = 0, so a
grid over shadow space lists the few solids to test per point.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.raycast import NO_HIT, cast_ray, is_in_the_way

SHADOW_CELL_M = 2.0
SHADOW_CELLS = 128
OFFSET_M = 0.03
"""Start of a shadow ray above its surface, so that a surface does not hide itself."""


@njit(cache=True, nogil=True)
def index_shadows(half, world_from_shape, sun, center_xy):  # type: ignore[no-untyped-def]
    """List solids by shadow cell: returns (start per cell, solid indices), a compressed table.

    `center_xy` is the middle of the indexed square; shadows outside it are not indexed.
    """
    n = len(half)
    size = SHADOW_CELLS
    low_x = center_xy[0] - 0.5 * size * SHADOW_CELL_M
    low_y = center_xy[1] - 0.5 * size * SHADOW_CELL_M
    bounds = np.zeros((n, 4), np.int64)
    counts = np.zeros(size * size + 1, np.int64)
    sx, sy = sun[0] / sun[2], sun[1] / sun[2]
    for s in range(n):
        m = world_from_shape[s]
        x0, x1, y0, y1 = NO_HIT, -NO_HIT, NO_HIT, -NO_HIT
        for corner in range(8):
            ax = half[s, 0] if corner & 1 else -half[s, 0]
            ay = half[s, 1] if corner & 2 else -half[s, 1]
            az = half[s, 2] if corner & 4 else -half[s, 2]
            wz = m[2, 0] * ax + m[2, 1] * ay + m[2, 2] * az + m[2, 3]
            wx = m[0, 0] * ax + m[0, 1] * ay + m[0, 2] * az + m[0, 3] - wz * sx
            wy = m[1, 0] * ax + m[1, 1] * ay + m[1, 2] * az + m[1, 3] - wz * sy
            x0, x1 = min(x0, wx), max(x1, wx)
            y0, y1 = min(y0, wy), max(y1, wy)
        i0 = max(int(math.floor((x0 - low_x) / SHADOW_CELL_M)), 0)
        i1 = min(int(math.floor((x1 - low_x) / SHADOW_CELL_M)), size - 1)
        j0 = max(int(math.floor((y0 - low_y) / SHADOW_CELL_M)), 0)
        j1 = min(int(math.floor((y1 - low_y) / SHADOW_CELL_M)), size - 1)
        bounds[s] = np.array([i0, i1, j0, j1])
        for i in range(i0, i1 + 1):
            for j in range(j0, j1 + 1):
                counts[i * size + j + 1] += 1
    start = np.cumsum(counts)
    fill = start.copy()
    members = np.zeros(start[-1], np.int32)
    for s in range(n):
        for i in range(bounds[s, 0], bounds[s, 1] + 1):
            for j in range(bounds[s, 2], bounds[s, 3] + 1):
                members[fill[i * size + j]] = s
                fill[i * size + j] += 1
    return start, members


@njit(cache=True, nogil=True)
def sees_sun(x, y, z, nx, ny, nz, sun, masks, origin_m, voxel_m, num_levels, shapes, index, center_xy):  # type: ignore[no-untyped-def]
    """Return whether the surface point (x, y, z) with normal (nx, ny, nz) sees the sun."""
    sun_x, sun_y, sun_z = sun[0], sun[1], sun[2]
    if nx * sun_x + ny * sun_y + nz * sun_z <= 0.0:
        return False
    kind, half, taper, world_from_shape = shapes
    start, members = index
    ox = x + OFFSET_M * nx
    oy = y + OFFSET_M * ny
    oz = z + OFFSET_M * nz
    shadow_x = ox - oz * sun_x / sun_z
    shadow_y = oy - oz * sun_y / sun_z
    i = int(math.floor((shadow_x - center_xy[0]) / SHADOW_CELL_M)) + SHADOW_CELLS // 2
    j = int(math.floor((shadow_y - center_xy[1]) / SHADOW_CELL_M)) + SHADOW_CELLS // 2
    if 0 <= i < SHADOW_CELLS and 0 <= j < SHADOW_CELLS:
        cell = i * SHADOW_CELLS + j
        for m in range(start[cell], start[cell + 1]):
            if is_in_the_way(kind, half, taper, world_from_shape, members[m], ox, oy, oz, sun_x, sun_y, sun_z):
                return False
    # A wall's plane may lie up to a voxel inside the voxels that stand for it: start outside them.
    ox += voxel_m * nx
    oy += voxel_m * ny
    oz += 0.1 * voxel_m * nz
    t, _, _, _, _ = cast_ray(
        masks, origin_m[0], origin_m[1], origin_m[2], voxel_m, num_levels, ox, oy, oz, sun_x, sun_y, sun_z, NO_HIT
    )
    return t >= NO_HIT
