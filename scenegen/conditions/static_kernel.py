"""What each pixel sees of ground and voxels, row by row. Compiled with numba.

Every pixel gets what `raycast.cast_ground` and `raycast.cast_voxels` would give it, to the bit; they are called only for
the few pixels that `kerbs.look_at_ground` and `column_walk.walk_columns` leave open.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.column_walk import MISS, TIE, UNSURE, walk_columns
from scenegen.conditions.kerbs import look_at_ground
from scenegen.conditions.open_space import ALL_THE_WAY, FROM_START, open_wedge
from scenegen.conditions.raycast import FAR_M, NO_HIT, cast_ground, cast_voxels
from scenegen.types.taxonomy import Material

KERB = int(Material.KERB)
GRASS = int(Material.GRASS)

SURFACE_GROUND, SURFACE_VOXEL, SURFACE_SHAPE, SURFACE_NONE = 0, 1, 2, 3
LANES = 16
"""Pixels whose steps are added up side by side."""


@njit(cache=True, nogil=True, error_model="numpy")
def find_static(world, cells, table, camera, depth, surface, face, detail):  # type: ignore[no-untyped-def]
    """Fill `depth`, `surface`, `face` and `detail` of every pixel with the nearest of ground and voxels.

    Args:
        world: `build.pack_world`.
        cells: `kerbs.cells_to_raised` of its ground.
        table: (rows, is_open, s_low, s_per_bin) of `open_space`; rows are filled here as they are asked for.
        camera: (world_from_cam, rays).
        face: 0 to 5 for the side seen: +x, -x, +y, -y, +z, -z. Kerbs and voxels only face along axes.
        detail: (ix, iy, iz) for a voxel, (material, ...) for ground; else not touched.
    """
    masks, origin_m, voxel_m, num_levels, ground, raised, corner_m, cell_m, kerb_m = world
    rows, is_open, s_low, bins_per_s = table
    m, rays = camera
    height, width = depth.shape
    o = m[:3, 3].copy()
    ox, oy, oz = m[0, 3], m[1, 3], m[2, 3]
    m00, m01, m02 = m[0, 0], m[0, 1], m[0, 2]
    m10, m11, m12 = m[1, 0], m[1, 1], m[1, 2]
    m20, m21, m22 = m[2, 0], m[2, 1], m[2, 2]
    corner_x, corner_y, per_cell = corner_m[0], corner_m[1], 1.0 / cell_m
    is_above = oz > kerb_m and raised[GRASS]
    # In voxels from the grid's origin; the first two as `cast_voxels` finds its first column.
    inv = 1.0 / voxel_m
    nx, ny = masks.shape
    start = np.empty(3)
    for a in range(3):
        start[a] = (o[a] - origin_m[a]) * inv
    is_inside = 0.0 <= start[0] < nx and 0.0 <= start[1] < ny and TIE < start[2] < num_levels - TIE
    own_x, own_y = int(math.floor(start[0])), int(math.floor(start[1]))
    ground_depth = oz * inv + 1e-6 if oz >= 0.0 else NO_HIT
    wedges, num_bins = is_open.shape[1], rows.shape[2]
    wedges_per_m = 0.5 * wedges
    is_open[:] = False
    d = np.empty(3)
    base = np.zeros(width + LANES)
    delta = np.zeros(width + LANES)
    adds = np.zeros(width + LANES, np.int64)
    for v in range(height):
        for u in range(width):
            x, y = rays[v, u, 0], rays[v, u, 1]
            dx = m00 * x + m01 * y + m02
            dy = m10 * x + m11 * y + m12
            dz = m20 * x + m21 * y + m22
            adds[u] = 0
            base[u] = NO_HIT
            surface[v, u] = SURFACE_NONE
            if math.isnan(x):
                continue
            # Ground.
            t_ground, material, seen = NO_HIT, -1, 4
            if is_above:
                t_ground, material = look_at_ground(
                    ground, cells, corner_x, corner_y, per_cell, kerb_m, ox, oy, oz, dx, dy, dz, GRASS
                )
            if material < 0:
                d[0], d[1], d[2] = dx, dy, dz
                t_ground, found, axis = cast_ground(ground, raised, corner_m, cell_m, kerb_m, o, d, GRASS)
                material = np.int64(found)
                if axis != 2:
                    material = KERB
                    seen = 2 * axis + (1 if d[axis] > 0.0 else 0)
            t_max = FAR_M
            if t_ground < FAR_M:
                t_max = t_ground
                base[u] = t_ground
                surface[v, u] = SURFACE_GROUND
                face[v, u] = seen
                detail[v, u, 0] = material
            # Voxels.
            if abs(dx) >= abs(dy):
                major, along, across = 0, dx, dy
            else:
                major, along, across = 1, dy, dx
            per_along = 1.0 / abs(along)
            side = 2 * major + (0 if along > 0.0 else 1)
            slope = dz * per_along
            lean = across * per_along
            b = (slope - s_low) * bins_per_s
            first = FROM_START
            if is_inside and 0.0 <= b < num_bins:
                w = min(int((lean + 1.0) * wedges_per_m), wedges - 1)
                if not is_open[side, w]:
                    is_open[side, w] = True
                    low = w / wedges_per_m - 1.0
                    open_wedge(
                        masks, num_levels, start, ground_depth, side, low, low + 1.0 / wedges_per_m, s_low, bins_per_s,
                        rows[side, w],
                    )  # fmt: skip
                first = rows[side, w, int(b)]
                if first == ALL_THE_WAY:
                    continue
            state = UNSURE
            if first != FROM_START:
                x_most = t_max * abs(along) * inv
                state, slab, j, k, axis, reached = walk_columns(
                    masks, num_levels, start[major], start[1 - major], start[2], side, lean, slope, first, x_most
                )
                if state == MISS:
                    continue
                if state != UNSURE:
                    if abs(reached - x_most) < TIE:
                        state = UNSURE
                    elif reached > x_most:
                        continue
            if state == UNSURE:
                d[0], d[1], d[2] = dx, dy, dz
                t, ix, iy, iz, axis = cast_voxels(masks, origin_m, voxel_m, num_levels, o, d, t_max)
                if t < base[u]:
                    base[u] = t
                    surface[v, u] = SURFACE_VOXEL
                    detail[v, u, 0], detail[v, u, 1], detail[v, u, 2] = ix, iy, iz
                    face[v, u] = 4 if axis == 3 else 2 * axis + (1 if d[axis] > 0.0 else 0)
                continue
            surface[v, u] = SURFACE_VOXEL
            ix, iy = (slab, j) if major == 0 else (j, slab)
            detail[v, u, 0], detail[v, u, 1], detail[v, u, 2] = ix, iy, k
            if axis == 2:
                base[u] = (origin_m[2] + voxel_m * (k if dz > 0.0 else k + 1) - oz) / dz
                face[v, u] = 5 if dz > 0.0 else 4
            elif (axis == 0) == (major == 0):
                base[u] = (origin_m[0] + voxel_m * (own_x + (1 if dx > 0.0 else 0)) - ox) / dx
                delta[u] = voxel_m / abs(dx)
                adds[u] = abs(ix - own_x) - 1
                face[v, u] = 1 if dx > 0.0 else 0
            else:
                base[u] = (origin_m[1] + voxel_m * (own_y + (1 if dy > 0.0 else 0)) - oy) / dy
                delta[u] = voxel_m / abs(dy)
                adds[u] = abs(iy - own_y) - 1
                face[v, u] = 3 if dy > 0.0 else 2
        add_up(base, delta, adds, width)
        for u in range(width):
            depth[v, u] = base[u]


@njit(cache=True, nogil=True, error_model="numpy")
def add_up(base, delta, adds, count):  # type: ignore[no-untyped-def]
    """Add `delta` to `base` `adds` times, one after the other as a walk does, which a product would not equal."""
    for first in range(0, count, LANES):
        most = 0
        for lane in range(first, first + LANES):
            most = max(most, adds[lane])
        for i in range(most):
            for lane in range(first, first + LANES):
                base[lane] += delta[lane] if i < adds[lane] else 0.0
