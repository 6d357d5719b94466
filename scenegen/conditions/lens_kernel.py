"""Lenses inside the ray caster: where a point lands, and which pixels a solid may cover. Compiled with numba.

A packed lens is (kind, fx, fy, cx, cy, numbers, max_angle_rad, near_m); `geometry.lens` holds the same projection in
numpy, and a test compares the two. `spans` are needed by Brown-Conrady only: see `ray_spans`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float64
from numba import njit

from scenegen.conditions.raycast import NEAR_M, NO_HIT
from scenegen.conditions.solid_kernel import box_bounds
from scenegen.types import Camera

LENS_PINHOLE, LENS_BROWN_CONRADY, LENS_ANGULAR = 0, 1, 2


def pack_lens(camera: Camera) -> tuple[Any, ...]:
    """Return a camera's lens as the kernels want it.

    `near_m` is a z-depth, which shrinks towards the rim of a wide lens although the distance does not.
    """
    lens, K = camera.lens, camera.K
    kind, numbers, near_m = LENS_PINHOLE, np.zeros(10), NEAR_M
    if lens.model == "brown_conrady":
        kind = LENS_BROWN_CONRADY
        numbers[: len(lens.coefficients)] = lens.coefficients
    elif lens.is_angular:
        kind, numbers, near_m = LENS_ANGULAR, lens.angle_polynomial(), NEAR_M * math.cos(lens.max_angle_rad)
    return (
        kind, float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]), numbers, float(lens.max_angle_rad), near_m
    )  # fmt: skip


def ray_spans(ray_cam: Float64[np.ndarray, "H W 2"]) -> tuple[Float64[np.ndarray, "W 2"], Float64[np.ndarray, "H 2"]]:
    """Return smallest and largest x of the rays of each column, and smallest and largest y of those of each row."""
    seen = np.isfinite(ray_cam)
    low, high = np.where(seen, ray_cam, NO_HIT), np.where(seen, ray_cam, -NO_HIT)
    columns = np.stack([low[..., 0].min(axis=0), high[..., 0].max(axis=0)], axis=-1)
    rows = np.stack([low[..., 1].min(axis=1), high[..., 1].max(axis=1)], axis=-1)
    return columns, rows


@njit(cache=True, nogil=True, inline="always")
def radius_of_angle(numbers, angle):  # type: ignore[no-untyped-def]
    """Evaluate the polynomial of an angular lens."""
    radius = numbers[9]
    for power in range(8, -1, -1):
        radius = radius * angle + numbers[power]
    return radius


@njit(cache=True, nogil=True)
def project_bent(lens, x, y, z):  # type: ignore[no-untyped-def]
    """Return the image point (u, v) of a point in frame `cam` for any lens but a pinhole; NaN where it is not seen."""
    kind, fx, fy, cx, cy, numbers, max_angle_rad, near_m = lens
    if kind == LENS_ANGULAR:
        off_axis = math.sqrt(x * x + y * y)
        angle = math.atan2(off_axis, z)
        if angle > max_angle_rad:
            return math.nan, math.nan
        stretch = radius_of_angle(numbers, angle) / off_axis if off_axis > 1e-12 else 0.0
        return fx * x * stretch + cx, fy * y * stretch + cy
    if z <= near_m:
        return math.nan, math.nan
    a, b = x / z, y / z
    squared = a * a + b * b
    if squared > math.tan(max_angle_rad) ** 2:
        return math.nan, math.nan
    radial = 1.0 + squared * (numbers[0] + squared * (numbers[1] + squared * numbers[4]))
    u = a * radial + 2.0 * numbers[2] * a * b + numbers[3] * (squared + 2.0 * a * a)
    v = b * radial + numbers[2] * (squared + 2.0 * b * b) + 2.0 * numbers[3] * a * b
    return fx * u + cx, fy * v + cy


@njit(cache=True, nogil=True)
def lens_pixel_bounds(half, world_from_shape, cam_from_world, lens, spans, width, height):  # type: ignore[no-untyped-def]
    """Return (u0, u1, v0, v1): pixels whose centres a solid may cover; empty when u0 >= u1. Conservative."""
    kind, fx, fy, cx, cy, numbers, max_angle_rad, near_m = lens
    if kind == LENS_ANGULAR:
        u_min, u_max, v_min, v_max = cone_bounds(half, world_from_shape, cam_from_world, numbers, max_angle_rad)
        u_min, u_max = fx * u_min + cx, fx * u_max + cx
        v_min, v_max = fy * v_min + cy, fy * v_max + cy
    else:
        a, b, c, d = (fx, fy, cx, cy) if kind == LENS_PINHOLE else (1.0, 1.0, 0.0, 0.0)
        u_min, u_max, v_min, v_max = box_bounds(half, world_from_shape, cam_from_world, a, b, c, d)
        if kind == LENS_BROWN_CONRADY:
            columns, rows = spans
            u0, u1 = crossed(columns, u_min, u_max)
            v0, v1 = crossed(rows, v_min, v_max)
            return u0, u1, v0, v1
    if u_max < 0.0 or v_max < 0.0 or u_min > width or v_min > height:
        return 0, 0, 0, 0
    return (
        int(max(math.floor(u_min - 0.5), 0.0)),
        int(min(math.ceil(u_max + 0.5), float(width))),
        int(max(math.floor(v_min - 0.5), 0.0)),
        int(min(math.ceil(v_max + 0.5), float(height))),
    )


@njit(cache=True, nogil=True)
def bound_solids(half, world_from_shape, cam_from_world, lens, spans, width, height):  # type: ignore[no-untyped-def]
    """Return `lens_pixel_bounds` of S solids, int64 (S, 4)."""
    bounds = np.zeros((len(half), 4), np.int64)
    for s in range(len(half)):
        u0, u1, v0, v1 = lens_pixel_bounds(half[s], world_from_shape[s], cam_from_world, lens, spans, width, height)
        bounds[s, 0], bounds[s, 1], bounds[s, 2], bounds[s, 3] = u0, u1, v0, v1
    return bounds


@njit(cache=True, nogil=True)
def crossed(spans, low, high):  # type: ignore[no-untyped-def]
    """Return the first and one past the last of the spans that overlap the range from `low` to `high`."""
    first, past = 0, 0
    for i in range(len(spans)):
        if spans[i, 0] <= high and spans[i, 1] >= low:
            if past == 0:
                first = i
            past = i + 1
    return first, past


@njit(cache=True, nogil=True)
def cone_bounds(half, world_from_shape, cam_from_world, numbers, max_angle_rad):  # type: ignore[no-untyped-def]
    """Return (x_min, x_max, y_min, y_max) around a solid in the plane of an angular lens of focal length one.

    The solid's bounding sphere is a cone of rays; the cone lies in a range of angles from the axis and a range of
    directions around it, and these two ranges in a rectangle.
    """
    m, c = world_from_shape, cam_from_world
    x = c[0, 0] * m[0, 3] + c[0, 1] * m[1, 3] + c[0, 2] * m[2, 3] + c[0, 3]
    y = c[1, 0] * m[0, 3] + c[1, 1] * m[1, 3] + c[1, 2] * m[2, 3] + c[1, 3]
    z = c[2, 0] * m[0, 3] + c[2, 1] * m[1, 3] + c[2, 2] * m[2, 3] + c[2, 3]
    reach = math.sqrt(half[0] ** 2 + half[1] ** 2 + half[2] ** 2)
    distance = math.sqrt(x * x + y * y + z * z)
    whole = radius_of_angle(numbers, max_angle_rad)
    if distance <= 1.0001 * reach:
        return -whole, whole, -whole, whole
    opening = math.asin(reach / distance)
    middle = math.atan2(math.sqrt(x * x + y * y), z)
    if middle - opening > max_angle_rad:
        return NO_HIT, -NO_HIT, NO_HIT, -NO_HIT
    outer = radius_of_angle(numbers, min(middle + opening, max_angle_rad))
    if middle <= opening or middle + opening >= math.pi:
        return -outer, outer, -outer, outer
    inner = radius_of_angle(numbers, middle - opening)
    around = math.atan2(y, x)
    spread = math.asin(min(1.0, math.sin(opening) / math.sin(middle)))
    x_min, x_max, y_min, y_max = NO_HIT, -NO_HIT, NO_HIT, -NO_HIT
    for side in (-1.0, 1.0):
        for radius in (inner, outer):
            px, py = radius * math.cos(around + side * spread), radius * math.sin(around + side * spread)
            x_min, x_max, y_min, y_max = min(x_min, px), max(x_max, px), min(y_min, py), max(y_max, py)
    for quarter in range(4):
        turn = 0.5 * math.pi * quarter
        if math.cos(around - turn) >= math.cos(spread):
            px, py = outer * math.cos(turn), outer * math.sin(turn)
            x_min, x_max, y_min, y_max = min(x_min, px), max(x_max, px), min(y_min, py), max(y_max, py)
    return x_min, x_max, y_min, y_max
