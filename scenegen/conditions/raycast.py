"""Exact ray casting of a world: voxel columns, two-level ground, analytic solids. Compiled with numba.

Ray parameter t is z-depth: a ray is `origin + t * direction` with `direction = R @ ((u-cx)/fx, (v-cy)/fy, 1)`.

Voxels: a two-dimensional walk over columns (Amanatides and Woo, 1987), each column one 64-bit word whose
bits are its occupied levels; the first hit inside a column is one bit scan. Ground: planes z = 0 and
z = kerb height; between the two crossings the walk over ground cells finds the kerb's face. Solids:
closed-form entry into box, wedge, ellipsoid or cylinder in the solid's own frame. All in float64.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

FAR_M = 1500.0
NEAR_M = 0.05
NO_HIT = 1e30

KIND_BOX, KIND_ELLIPSOID, KIND_CYLINDER, KIND_WEDGE = 0, 1, 2, 3


@njit(cache=True, nogil=True, inline="always")
def highest_bit(word):  # type: ignore[no-untyped-def]
    """Return the index of the highest set bit of a non-zero 64-bit word."""
    index = 0
    if word >> np.uint64(32):
        word >>= np.uint64(32)
        index += 32
    if word >> np.uint64(16):
        word >>= np.uint64(16)
        index += 16
    if word >> np.uint64(8):
        word >>= np.uint64(8)
        index += 8
    if word >> np.uint64(4):
        word >>= np.uint64(4)
        index += 4
    if word >> np.uint64(2):
        word >>= np.uint64(2)
        index += 2
    if word >> np.uint64(1):
        index += 1
    return index


@njit(cache=True, nogil=True, inline="always")
def lowest_bit(word):  # type: ignore[no-untyped-def]
    """Return the index of the lowest set bit of a non-zero 64-bit word."""
    return highest_bit(word & (~word + np.uint64(1)))


@njit(cache=True, nogil=True)
def cast_voxels(masks, origin_m, voxel_m, num_levels, o, d, t_max):  # type: ignore[no-untyped-def]
    """Find the first occupied voxel on a ray.

    Returns:
        (t, ix, iy, iz, axis): t is NO_HIT when nothing is hit before `t_max`; axis is the axis of the face
        entered (0, 1, 2), or 3 when the ray starts inside the voxel.
    """
    return cast_ray(
        masks, origin_m[0], origin_m[1], origin_m[2], voxel_m, num_levels, o[0], o[1], o[2], d[0], d[1], d[2], t_max
    )  # fmt: skip


@njit(cache=True, nogil=True, inline="always")
def clip_to_slab(low, high, o, d, axis, t0, t1, entry_axis):  # type: ignore[no-untyped-def]
    """Return what is left of t0..t1, and the axis it begins with, between two planes; t1 is -1 where nothing is."""
    if abs(d) < 1e-15:
        if o < low or o >= high:
            return t0, -1.0, entry_axis
        return t0, t1, entry_axis
    ta = (low - o) / d
    tb = (high - o) / d
    if ta > tb:
        ta, tb = tb, ta
    if ta > t0:
        t0 = ta
        entry_axis = axis
    if tb < t1:
        t1 = tb
    return t0, t1, entry_axis


@njit(cache=True, nogil=True)
def cast_ray(masks, low_x, low_y, low_z, voxel_m, num_levels, ox, oy, oz, dx, dy, dz, t_max):  # type: ignore[no-untyped-def]
    """As `cast_voxels`, of numbers: arrays passed on for one ray cost more than a short walk."""
    nx, ny = masks.shape
    # Clip the ray to the grid's box.
    t0, t1, entry_axis = clip_to_slab(low_x, low_x + voxel_m * nx, ox, dx, 0, 0.0, t_max, 3)
    t0, t1, entry_axis = clip_to_slab(low_y, low_y + voxel_m * ny, oy, dy, 1, t0, t1, entry_axis)
    t0, t1, entry_axis = clip_to_slab(low_z, low_z + voxel_m * num_levels, oz, dz, 2, t0, t1, entry_axis)
    if t0 >= t1:
        return NO_HIT, 0, 0, 0, 3
    inv = 1.0 / voxel_m
    gx = (ox + t0 * dx - low_x) * inv
    gy = (oy + t0 * dy - low_y) * inv
    ix = min(max(int(math.floor(gx)), 0), nx - 1)
    iy = min(max(int(math.floor(gy)), 0), ny - 1)
    step_x = 1 if dx > 0 else -1
    step_y = 1 if dy > 0 else -1
    if abs(dx) > 1e-15:
        next_x = (low_x + voxel_m * (ix + (1 if step_x > 0 else 0)) - ox) / dx
        delta_x = voxel_m / abs(dx)
    else:
        next_x = NO_HIT
        delta_x = NO_HIT
    if abs(dy) > 1e-15:
        next_y = (low_y + voxel_m * (iy + (1 if step_y > 0 else 0)) - oy) / dy
        delta_y = voxel_m / abs(dy)
    else:
        next_y = NO_HIT
        delta_y = NO_HIT
    t = t0
    axis = entry_axis
    top = num_levels - 1
    while True:
        t_out = next_x if next_x < next_y else next_y
        if t_out > t1:
            t_out = t1
        word = masks[ix, iy]
        if word != 0:
            z_in = (oz + t * dz - low_z) * inv
            z_out = (oz + t_out * dz - low_z) * inv
            k_in = min(max(int(math.floor(z_in)), 0), top)
            k_out = min(max(int(math.floor(z_out)), 0), top)
            if k_in <= k_out:
                span = word >> np.uint64(k_in)
                if span != 0:
                    k = k_in + lowest_bit(span)
                    if k <= k_out:
                        if k == k_in:
                            return t, ix, iy, k, axis
                        return (low_z + voxel_m * k - oz) / dz, ix, iy, k, 2
            else:
                span = word
                if k_in < 63:
                    span = word & ((np.uint64(1) << np.uint64(k_in + 1)) - np.uint64(1))
                if span != 0:
                    k = highest_bit(span)
                    if k >= k_out:
                        if k == k_in:
                            return t, ix, iy, k, axis
                        return (low_z + voxel_m * (k + 1) - oz) / dz, ix, iy, k, 2
        if t_out >= t1:
            return NO_HIT, 0, 0, 0, 3
        t = t_out
        if next_x < next_y:
            ix += step_x
            next_x += delta_x
            axis = 0
            if ix < 0 or ix >= nx:
                return NO_HIT, 0, 0, 0, 3
        else:
            iy += step_y
            next_y += delta_y
            axis = 1
            if iy < 0 or iy >= ny:
                return NO_HIT, 0, 0, 0, 3


@njit(cache=True, nogil=True, inline="always")
def ground_material(ground, corner_m, inv_cell, x, y, outside):  # type: ignore[no-untyped-def]
    """Return the material of the ground cell that holds (x, y)."""
    i = int(math.floor((x - corner_m[0]) * inv_cell))
    j = int(math.floor((y - corner_m[1]) * inv_cell))
    if i < 0 or j < 0 or i >= ground.shape[0] or j >= ground.shape[1]:
        return outside
    return ground[i, j]


@njit(cache=True, nogil=True)
def cast_ground(ground, raised, corner_m, cell_m, kerb_m, o, d, outside):  # type: ignore[no-untyped-def]
    """Find where a ray meets the ground from above.

    Returns:
        (t, material, axis): axis 2 for a top surface, 0 or 1 for the face of a kerb (its direction is
        against the ray). t is NO_HIT where the ray never comes down.
    """
    inv = 1.0 / cell_m
    if o[2] < 0.0:
        return NO_HIT, outside, 2
    if o[2] > kerb_m:
        if d[2] >= 0.0:
            return NO_HIT, outside, 2
        t_start = (kerb_m - o[2]) / d[2]
        material = ground_material(ground, corner_m, inv, o[0] + t_start * d[0], o[1] + t_start * d[1], outside)
        if raised[material]:
            return t_start, material, 2
        t_end = -o[2] / d[2]
    else:
        t_start = 0.0
        if d[2] < 0.0:
            t_end = -o[2] / d[2]
        elif d[2] > 0.0:
            t_end = (kerb_m - o[2]) / d[2]
        else:
            t_end = FAR_M
    x = o[0] + t_start * d[0]
    y = o[1] + t_start * d[1]
    i = int(math.floor((x - corner_m[0]) * inv))
    j = int(math.floor((y - corner_m[1]) * inv))
    step_x = 1 if d[0] > 0 else -1
    step_y = 1 if d[1] > 0 else -1
    next_x = NO_HIT
    delta_x = NO_HIT
    next_y = NO_HIT
    delta_y = NO_HIT
    if abs(d[0]) > 1e-15:
        next_x = (corner_m[0] + cell_m * (i + (1 if step_x > 0 else 0)) - o[0]) / d[0]
        delta_x = cell_m / abs(d[0])
    if abs(d[1]) > 1e-15:
        next_y = (corner_m[1] + cell_m * (j + (1 if step_y > 0 else 0)) - o[1]) / d[1]
        delta_y = cell_m / abs(d[1])
    while True:
        if next_x < next_y:
            t, axis = next_x, 0
            i += step_x
            next_x += delta_x
        else:
            t, axis = next_y, 1
            j += step_y
            next_y += delta_y
        if t >= t_end:
            break
        material = outside
        if 0 <= i < ground.shape[0] and 0 <= j < ground.shape[1]:
            material = ground[i, j]
        if raised[material]:
            return t, material, axis
    if d[2] >= 0.0:
        return NO_HIT, outside, 2
    t_low = -o[2] / d[2]
    return t_low, ground_material(ground, corner_m, inv, o[0] + t_low * d[0], o[1] + t_low * d[1], outside), 2


@njit(cache=True, nogil=True)
def enter_solid(kind, half, taper, ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Return (t, nx, ny, nz): where a ray enters a solid in the solid's own frame, and the normal there.

    t is NO_HIT for a miss or where the origin is inside: solids are seen from outside only.
    """
    return enter_kind(kind, half[0], half[1], half[2], taper[0], taper[1], ox, oy, oz, dx, dy, dz)


@njit(cache=True, nogil=True)
def enter_kind(kind, hx, hy, hz, front, back, ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    """As `enter_solid`, of numbers."""
    if kind == KIND_ELLIPSOID:
        ax, ay, az = ox / hx, oy / hy, oz / hz
        bx, by, bz = dx / hx, dy / hy, dz / hz
        a = bx * bx + by * by + bz * bz
        b = ax * bx + ay * by + az * bz
        c = ax * ax + ay * ay + az * az - 1.0
        disc = b * b - a * c
        if disc <= 0.0 or c <= 0.0:
            return NO_HIT, 0.0, 0.0, 0.0
        t = (-b - math.sqrt(disc)) / a
        if t <= 0.0:
            return NO_HIT, 0.0, 0.0, 0.0
        nx, ny, nz = (ox + t * dx) / (hx * hx), (oy + t * dy) / (hy * hy), (oz + t * dz) / (hz * hz)
        length = math.sqrt(nx * nx + ny * ny + nz * nz)
        return t, nx / length, ny / length, nz / length

    t0, t1 = -NO_HIT, NO_HIT
    nx, ny, nz = 0.0, 0.0, 0.0
    # z slab, common to box, wedge and cylinder
    if abs(dz) < 1e-15:
        if abs(oz) > hz:
            return NO_HIT, 0.0, 0.0, 0.0
    else:
        sign = -1.0 if dz > 0 else 1.0
        t0 = (sign * hz - oz) / dz
        t1 = (-sign * hz - oz) / dz
        nz = sign
    if kind == KIND_CYLINDER:
        ax, ay = ox / hx, oy / hy
        bx, by = dx / hx, dy / hy
        a = bx * bx + by * by
        b = ax * bx + ay * by
        c = ax * ax + ay * ay - 1.0
        if a < 1e-30:
            if c > 0.0:
                return NO_HIT, 0.0, 0.0, 0.0
        else:
            disc = b * b - a * c
            if disc <= 0.0:
                return NO_HIT, 0.0, 0.0, 0.0
            root = math.sqrt(disc)
            ta = (-b - root) / a
            tb = (-b + root) / a
            if ta > t0:
                t0 = ta
                nx, ny, nz = (ox + ta * dx) / (hx * hx), (oy + ta * dy) / (hy * hy), 0.0
                length = math.sqrt(nx * nx + ny * ny)
                nx /= length
                ny /= length
            if tb < t1:
                t1 = tb
    else:
        if abs(dy) < 1e-15:
            if abs(oy) > hy:
                return NO_HIT, 0.0, 0.0, 0.0
        else:
            sign = -1.0 if dy > 0 else 1.0
            ta = (sign * hy - oy) / dy
            tb = (-sign * hy - oy) / dy
            if ta > t0:
                t0 = ta
                nx, ny, nz = 0.0, sign, 0.0
            if tb < t1:
                t1 = tb
        for side in range(2):
            # half-space: sx * x + lean * (z + hz) <= hx, with lean 0 for a plain box
            sx = 1.0 if side == 0 else -1.0
            lean = 0.0
            if kind == KIND_WEDGE:
                lean = hx * (front if side == 0 else back) / (2.0 * hz)
            rate = sx * dx + lean * dz
            gap = hx - sx * ox - lean * (oz + hz)
            if abs(rate) < 1e-15:
                if gap < 0.0:
                    return NO_HIT, 0.0, 0.0, 0.0
            elif rate < 0.0:
                ta = gap / rate
                if ta > t0:
                    t0 = ta
                    length = math.sqrt(1.0 + lean * lean)
                    nx, ny, nz = sx / length, 0.0, lean / length
            else:
                tb = gap / rate
                if tb < t1:
                    t1 = tb
    if t0 >= t1 or t0 <= 0.0:
        return NO_HIT, 0.0, 0.0, 0.0
    return t0, nx, ny, nz


@njit(cache=True, nogil=True, inline="always")
def into_solid(m, x, y, z):  # type: ignore[no-untyped-def]
    """Return a world vector in the axes of a solid of pose `m`."""
    return (
        m[0, 0] * x + m[1, 0] * y + m[2, 0] * z,
        m[0, 1] * x + m[1, 1] * y + m[2, 1] * z,
        m[0, 2] * x + m[1, 2] * y + m[2, 2] * z,
    )


@njit(cache=True, nogil=True, inline="always")
def out_of_solid(m, x, y, z):  # type: ignore[no-untyped-def]
    """Return a vector in the axes of a solid of pose `m` in the world."""
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


@njit(cache=True, nogil=True)
def enter_shape(kind, half, taper, world_from_shape, o, d):  # type: ignore[no-untyped-def]
    """Return (t, normal in world x, y, z): where a world ray enters solid of the given pose."""
    m = world_from_shape
    ox, oy, oz = into_solid(m, o[0] - m[0, 3], o[1] - m[1, 3], o[2] - m[2, 3])
    dx, dy, dz = into_solid(m, d[0], d[1], d[2])
    t, nx, ny, nz = enter_solid(kind, half, taper, ox, oy, oz, dx, dy, dz)
    nx, ny, nz = out_of_solid(m, nx, ny, nz)
    return t, nx, ny, nz


@njit(cache=True, nogil=True)
def is_in_the_way(kind, half, taper, world_from_shape, s, ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Return whether a world ray enters solid `s` of a list."""
    m = world_from_shape
    m00, m01, m02 = m[s, 0, 0], m[s, 0, 1], m[s, 0, 2]
    m10, m11, m12 = m[s, 1, 0], m[s, 1, 1], m[s, 1, 2]
    m20, m21, m22 = m[s, 2, 0], m[s, 2, 1], m[s, 2, 2]
    x, y, z = ox - m[s, 0, 3], oy - m[s, 1, 3], oz - m[s, 2, 3]
    t, _, _, _ = enter_kind(
        kind[s], half[s, 0], half[s, 1], half[s, 2], taper[s, 0], taper[s, 1],
        m00 * x + m10 * y + m20 * z, m01 * x + m11 * y + m21 * z, m02 * x + m12 * y + m22 * z,
        m00 * dx + m10 * dy + m20 * dz, m01 * dx + m11 * dy + m21 * dz, m02 * dx + m12 * dy + m22 * dz,
    )  # fmt: skip
    return t < NO_HIT


@njit(cache=True, nogil=True)
def box_bounds(half, world_from_shape, cam_from_world, fx, fy, cx, cy):  # type: ignore[no-untyped-def]
    """Return (u_min, u_max, v_min, v_max) around a solid in a pinhole image; empty (u_min > u_max) behind the camera.

    Conservative: the bounding rectangle of the solid's box, its edges cut at the near plane.
    """
    u_min, u_max, v_min, v_max = NO_HIT, -NO_HIT, NO_HIT, -NO_HIT
    m, c = world_from_shape, cam_from_world
    corner = np.empty((8, 3))
    for k in range(8):
        sx = half[0] if k & 1 else -half[0]
        sy = half[1] if k & 2 else -half[1]
        sz = half[2] if k & 4 else -half[2]
        wx = m[0, 0] * sx + m[0, 1] * sy + m[0, 2] * sz + m[0, 3]
        wy = m[1, 0] * sx + m[1, 1] * sy + m[1, 2] * sz + m[1, 3]
        wz = m[2, 0] * sx + m[2, 1] * sy + m[2, 2] * sz + m[2, 3]
        for a in range(3):
            corner[k, a] = c[a, 0] * wx + c[a, 1] * wy + c[a, 2] * wz + c[a, 3]
    for k in range(8):
        if corner[k, 2] > NEAR_M:
            u = fx * corner[k, 0] / corner[k, 2] + cx
            v = fy * corner[k, 1] / corner[k, 2] + cy
            u_min, u_max = min(u_min, u), max(u_max, u)
            v_min, v_max = min(v_min, v), max(v_max, v)
        for bit in (1, 2, 4):
            other = k ^ bit
            if other > k and (corner[k, 2] > NEAR_M) != (corner[other, 2] > NEAR_M):
                share = (NEAR_M - corner[k, 2]) / (corner[other, 2] - corner[k, 2])
                u = fx * (corner[k, 0] + share * (corner[other, 0] - corner[k, 0])) / NEAR_M + cx
                v = fy * (corner[k, 1] + share * (corner[other, 1] - corner[k, 1])) / NEAR_M + cy
                u_min, u_max = min(u_min, u), max(u_max, u)
                v_min, v_max = min(v_min, v), max(v_max, v)
    return u_min, u_max, v_min, v_max
