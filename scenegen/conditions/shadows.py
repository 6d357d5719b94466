"""Sun visibility of surface points: exact, by the same ray casting, with a shadow-space index of solids.

All points of a ray towards the sun share one shadow coordinate: where the ray's line meets z = 0. A solid
can hide the sun only from points whose shadow coordinate lies in the solid's own shadow on z = 0, so a
grid over shadow space lists the few solids to test per point.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.raycast import NO_HIT, cast_voxels, enter_shape

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
def sees_sun(point, normal, sun, masks, origin_m, voxel_m, num_levels, shapes, index, center_xy):  # type: ignore[no-untyped-def]
    """Return whether a surface point sees the sun."""
    if normal[0] * sun[0] + normal[1] * sun[1] + normal[2] * sun[2] <= 0.0:
        return False
    kind, half, taper, world_from_shape = shapes
    start, members = index
    o = np.empty(3)
    o[0] = point[0] + OFFSET_M * normal[0]
    o[1] = point[1] + OFFSET_M * normal[1]
    o[2] = point[2] + OFFSET_M * normal[2]
    x = o[0] - o[2] * sun[0] / sun[2]
    y = o[1] - o[2] * sun[1] / sun[2]
    i = int(math.floor((x - center_xy[0]) / SHADOW_CELL_M)) + SHADOW_CELLS // 2
    j = int(math.floor((y - center_xy[1]) / SHADOW_CELL_M)) + SHADOW_CELLS // 2
    if 0 <= i < SHADOW_CELLS and 0 <= j < SHADOW_CELLS:
        cell = i * SHADOW_CELLS + j
        for m in range(start[cell], start[cell + 1]):
            s = members[m]
            t, _, _, _ = enter_shape(kind[s], half[s], taper[s], world_from_shape[s], o, sun)
            if t < NO_HIT:
                return False
    # A wall's plane may lie up to a voxel inside the voxels that stand for it: start outside them.
    o[0] += voxel_m * normal[0]
    o[1] += voxel_m * normal[1]
    o[2] += 0.1 * voxel_m * normal[2]
    t, _, _, _, _ = cast_voxels(masks, origin_m, voxel_m, num_levels, o, sun, NO_HIT)
    return t >= NO_HIT
