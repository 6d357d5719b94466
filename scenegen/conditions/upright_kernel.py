"""Upright pinholes: one walk through the voxels for all pixels of an image column. Compiled with numba.

Where a camera neither pitches nor rolls, the rays of an image column lie in one upright plane, cross the same columns
of voxels at the same t, and differ in how fast they rise. A run of occupied levels in a column of voxels stops an
interval of pixels; only those are looked at, each with the expressions of `raycast.cast_ray`, whose bits it gets.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.bits import highest_set, lowest_set
from scenegen.conditions.raycast import NO_HIT
from scenegen.conditions.surfaces import FACE_UP, SURFACE_VOXEL

SLACK_PX = 1e-6
AT_CAMERA = 1e-9
"""Of t: as close as the camera itself, where bounds are asked for."""


@njit(cache=True, nogil=True)
def is_upright(world_from_cam):  # type: ignore[no-untyped-def]
    """Return whether the image columns of a pinhole of this pose are upright planes, exactly."""
    m = world_from_cam
    return m[0, 1] == 0.0 and m[1, 1] == 0.0 and m[2, 0] == 0.0 and m[2, 2] == 0.0 and m[2, 1] != 0.0


@njit(cache=True, nogil=True)
def have_columns(rays):  # type: ignore[no-untyped-def]
    """Return whether the rays of an image share x by column and y by row, exactly; those of NaN aside."""
    height, width = rays.shape[0], rays.shape[1]
    if height < 2 or math.isnan(rays[0, 0, 0]) or math.isnan(rays[1, 0, 0]):
        return False
    for v in range(height):
        for u in range(width):
            x, y = rays[v, u, 0], rays[v, u, 1]
            if not math.isnan(x) and (x != rays[0, u, 0] or y != rays[v, 0, 1]):
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def scan_upright(world, world_from_cam, rays, depth, surface, face, detail):  # type: ignore[no-untyped-def]
    """Enter the voxels that an upright camera inside the grid sees, where they are nearer than `depth`."""
    masks, origin_m, voxel_m, num_levels, _, _, _, _, _ = world
    height, width = depth.shape
    m = world_from_cam
    rise = np.empty(height)
    leaves = np.full(height, NO_HIT)
    oz, low_z = m[2, 3], origin_m[2]
    for v in range(height):
        rise[v] = m[2, 0] * rays[0, 0, 0] + m[2, 1] * rays[v, 0, 1] + m[2, 2]
        if abs(rise[v]) >= 1e-15:
            leaves[v] = ((low_z + voxel_m * num_levels if rise[v] > 0.0 else low_z) - oz) / rise[v]
    open_rows = np.empty(height, np.bool_)
    row_per_rise = 1.0 / (rise[1] - rise[0])
    for u in range(width):
        x, y = rays[0, u, 0], rays[0, u, 1]
        if not math.isnan(x):
            dx, dy = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
            for v in range(height):
                open_rows[v] = not math.isnan(rays[v, u, 0])
            column = (u, dx, dy, m[0, 3], m[1, 3], oz, origin_m[0], origin_m[1], low_z, voxel_m, num_levels)
            scan_column(masks, column, rise, leaves, row_per_rise, open_rows, depth, surface, face, detail)


@njit(cache=True, nogil=True, error_model="numpy")
def scan_column(masks, column, rise, leaves, row_per_rise, open_rows, depth, surface, face, detail):  # type: ignore[no-untyped-def]
    """Walk through the voxels as `raycast.cast_ray` does, for all rows of one image column."""
    u, dx, dy, ox, oy, oz, low_x, low_y, low_z, voxel_m, num_levels = column
    nx, ny = masks.shape
    inv = 1.0 / voxel_m
    end = NO_HIT
    if abs(dx) >= 1e-15:
        end = min(end, ((low_x + voxel_m * nx if dx > 0.0 else low_x) - ox) / dx)
    if abs(dy) >= 1e-15:
        end = min(end, ((low_y + voxel_m * ny if dy > 0.0 else low_y) - oy) / dy)
    ix = min(max(int(math.floor((ox - low_x) * inv)), 0), nx - 1)
    iy = min(max(int(math.floor((oy - low_y) * inv)), 0), ny - 1)
    step_x, step_y = 1 if dx > 0.0 else -1, 1 if dy > 0.0 else -1
    next_x, delta_x, next_y, delta_y = NO_HIT, NO_HIT, NO_HIT, NO_HIT
    if abs(dx) > 1e-15:
        next_x = (low_x + voxel_m * (ix + (1 if step_x > 0 else 0)) - ox) / dx
        delta_x = voxel_m / abs(dx)
    if abs(dy) > 1e-15:
        next_y = (low_y + voxel_m * (iy + (1 if step_y > 0 else 0)) - oy) / dy
        delta_y = voxel_m / abs(dy)
    start_z = (oz - low_z) * inv
    first, last = 0, len(rise) - 1
    top = num_levels - 1
    t, face_entered = 0.0, FACE_UP
    per_near = voxel_m / AT_CAMERA
    while t < end:
        t_next = min(next_x, next_y)
        per_far = voxel_m / max(t_next, AT_CAMERA)
        word = masks[ix, iy]
        if word != 0:
            while first <= last and (not open_rows[first] or leaves[first] <= t or depth[first, u] <= t):
                first += 1
            while first <= last and (not open_rows[last] or leaves[last] <= t or depth[last, u] <= t):
                last -= 1
            if first > last:
                return
            left = word
            while left != 0:
                bottom = lowest_set(left)
                rest = ~(left >> np.uint64(bottom))
                past = 64 if rest == 0 else bottom + lowest_set(rest)
                left = np.uint64(0) if past >= 64 else (left >> np.uint64(past)) << np.uint64(past)
                low, high = bottom - start_z, past - start_z
                v_low = (low * (per_far if low > 0.0 else per_near) - rise[0]) * row_per_rise
                v_high = (high * (per_near if high > 0.0 else per_far) - rise[0]) * row_per_rise
                v0 = max(min(v_low, v_high) - SLACK_PX, float(first))
                v1 = min(max(v_low, v_high) + SLACK_PX, float(last))
                for v in range(int(math.ceil(v0)), int(math.floor(v1)) + 1):
                    if not open_rows[v]:
                        continue
                    reach = depth[v, u]
                    t_end = min(min(reach, leaves[v]), end)
                    if t >= t_end:
                        continue
                    dz = rise[v]
                    k_in = min(max(int(math.floor((oz + t * dz - low_z) * inv)), 0), top)
                    found, side, k = t, face_entered, k_in
                    if (word >> np.uint64(k_in)) & np.uint64(1) == 0:
                        k_out = min(max(int(math.floor((oz + min(t_next, t_end) * dz - low_z) * inv)), 0), top)
                        if k_in <= k_out:
                            span = word >> np.uint64(k_in)
                            k = k_in + lowest_set(span) if span != 0 else 64
                            if k > k_out:
                                continue
                        else:
                            span = word & (~np.uint64(0) >> np.uint64(63 - k_in))
                            k = highest_set(span) if span != 0 else -1
                            if k < k_out:
                                continue
                        found = (low_z + voxel_m * (k if k_in <= k_out else k + 1) - oz) / dz
                        side = 5 if dz > 0.0 else 4
                    open_rows[v] = False
                    if found < reach:
                        depth[v, u] = found
                        surface[v, u], face[v, u] = SURFACE_VOXEL, side
                        detail[v, u, 0], detail[v, u, 1], detail[v, u, 2] = ix, iy, k
        t, per_near = t_next, per_far
        if next_x < next_y:
            ix += step_x
            next_x += delta_x
            face_entered = 1 if dx > 0.0 else 0
            if ix < 0 or ix >= nx:
                return
        else:
            iy += step_y
            next_y += delta_y
            face_entered = 3 if dy > 0.0 else 2
            if iy < 0 or iy >= ny:
                return
