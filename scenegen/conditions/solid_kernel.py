"""Where rays enter analytic solids (box, wedge, ellipsoid, cylinder), and which pixels they may cover. By numba.

Entry is in closed form, in the solid's own frame, in float64; t is z-depth as in `raycast`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.raycast import NEAR_M, NO_HIT

KIND_BOX, KIND_ELLIPSOID, KIND_CYLINDER, KIND_WEDGE = 0, 1, 2, 3


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
