"""Sun visibility of surface points: exact, by the same ray casting, with a shadow-space index of solids.

All points of a ray towards the sun share one shadow coordinate: where the ray's line meets z = 0. A solid
can hide the sun only from points whose shadow coordinate lies in the solid's own shadow on z = 0, so a
grid over shadow space lists the few solids to test per point.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.bits import highest_set
from scenegen.conditions.raycast import NO_HIT, cast_ray, is_in_the_way

SHADOW_CELL_M = 2.0
SHADOW_CELLS = 128
UPRIGHT = 1e-6
"""A sun less aslant than this is taken to be that much aslant, where only bounds are asked for."""
LEVEL_MARGIN = 1e-3
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


@njit(cache=True, nogil=True, error_model="numpy")
def lit_levels(masks, sun):  # type: ignore[no-untyped-def]
    """Return from which height on the sun is surely not hidden by voxels, and how to look it up.

    Rays towards the sun that run mostly along x are y = y' + m x: all points of one y' look along one line, slab after
    slab. Seen from the end of the line, a ray that enters a slab clears it above the tops there and above what the next
    slab asks for, less what the ray rises in between. Heights are in levels and hold for all points of a cell of y'.

    Returns:
        (levels (slabs, cells of y'), is along y, m, first cell).
    """
    along_y = abs(sun[1]) > abs(sun[0])
    major, minor = (1, 0) if along_y else (0, 1)
    num_slabs, num_across = masks.shape[major], masks.shape[minor]
    level = max(abs(sun[major]), UPRIGHT)
    m = sun[minor] / (level if sun[major] > 0.0 else -level)
    rise = sun[2] / level
    step = 1 if sun[major] > 0.0 else -1
    first_cell = int(math.floor(min(0.0, -m * num_slabs))) - 1
    num_cells = int(math.ceil(max(float(num_across), num_across - m * num_slabs))) + 1 - first_cell
    levels = np.zeros((num_slabs, num_cells), np.float32)
    at_entry = np.zeros(num_cells)
    for count in range(num_slabs):
        i = num_slabs - 1 - count if step > 0 else count
        shift = min(m * i, m * (i + 1))
        spread = abs(m)
        for q in range(num_cells):
            low = q + first_cell + shift
            j0 = max(int(math.floor(low - 1e-6)), 0)
            j1 = min(int(math.floor(low + 1.0 + spread + 1e-6)), num_across - 1)
            need = 0.0
            for j in range(j0, j1 + 1):
                word = masks[i, j] if major == 0 else masks[j, i]
                if word != 0:
                    need = max(need, highest_set(word) + 1.0)
            # A ray that starts in this slab may have risen by nothing when it comes to the next.
            levels[i, q] = max(need, at_entry[q])
            at_entry[q] = max(need, at_entry[q] - rise)
    return levels, along_y, m, first_cell


@njit(cache=True, nogil=True)
def sees_sun(x, y, z, nx, ny, nz, sun, masks, origin_m, voxel_m, num_levels, shapes, index, center_xy, lit):  # type: ignore[no-untyped-def]
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
    levels, along_y, m, first_cell = lit
    # As `cast_ray` finds its first column, to the bit: points often lie on the planes between two.
    inv = 1.0 / voxel_m
    at_x, at_y = (ox - origin_m[0]) * inv, (oy - origin_m[1]) * inv
    along, across = (at_y, at_x) if along_y else (at_x, at_y)
    slab, q = int(math.floor(along)), int(math.floor(across - m * along)) - first_cell
    is_known = 0 <= slab < levels.shape[0] and 0 <= q < levels.shape[1]
    if is_known and (oz - origin_m[2]) * inv > levels[slab, q] + LEVEL_MARGIN:
        return True
    t, _, _, _, _ = cast_ray(
        masks, origin_m[0], origin_m[1], origin_m[2], voxel_m, num_levels, ox, oy, oz, sun_x, sun_y, sun_z, NO_HIT
    )
    return t >= NO_HIT
