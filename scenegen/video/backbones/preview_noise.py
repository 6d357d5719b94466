"""Noise and filters for the preview shader: value noise, band-limited pulse trains.

Everything is a pure function of world cells, so that a surface point has one texture for ever. Compiled
functions are inlined into the kernel of `preview_shading`; numba's cache watches only the file of the kernel,
so delete `__pycache__` after editing this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from scenegen.video.hashing import compiled, hash_unit

Rgb = tuple[float, float, float]
F = TypeVar("F", bound=Callable[..., Any])


def inlined(function: F) -> F:
    """Compile into the caller: calls that pass a whole `LightState` or `Spot` cost more than their work."""
    options = {"nogil": True, "cache": True, "error_model": "numpy", "inline": "always"}
    return cast(F, numba.njit(**options)(function))


@compiled
def noise2(x: float, y: float, salt: int) -> float:
    """Smooth value noise of unit cells, in [0, 1]."""
    fx, fy = math.floor(x), math.floor(y)
    i, j = int(fx), int(fy)
    u, v = x - fx, y - fy
    u, v = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v)
    low = hash_unit(i, j, salt) * (1.0 - u) + hash_unit(i + 1, j, salt) * u
    high = hash_unit(i, j + 1, salt) * (1.0 - u) + hash_unit(i + 1, j + 1, salt) * u
    return low * (1.0 - v) + high * v


@compiled
def noise3(x: float, y: float, z: float, salt: int) -> float:
    """Smooth value noise in space, in [0, 1]: two slices of `noise2`."""
    fz = math.floor(z)
    w = z - fz
    w = w * w * (3.0 - 2.0 * w)
    k = salt + 7919 * int(fz)
    return noise2(x, y, k) * (1.0 - w) + noise2(x, y, k + 7919) * w


@compiled
def fade(footprint: float, feature: float) -> float:
    """Weight of a detail of size `feature` seen with pixels of size `footprint`: 1 sharp, 0 not resolvable."""
    ratio = footprint / feature
    return min(1.0, max(0.0, 1.6 - 1.6 * ratio))


@compiled
def pulse_integral(x: float, duty: float) -> float:
    """Integrate from 0 to x a train of unit cells whose middle share `duty` is one."""
    cell = math.floor(x)
    return cell * duty + min(max(x - cell - 0.5 * (1.0 - duty), 0.0), duty)


@compiled
def pulse(x: float, duty: float, width: float) -> float:
    """Mean over a pixel of `width` of that pulse train: exact box filtering, so nothing flickers far away."""
    w = max(width, 1e-4)
    return (pulse_integral(x + 0.5 * w, duty) - pulse_integral(x - 0.5 * w, duty)) / w


@compiled
def band(x: float, low: float, high: float, width: float) -> float:
    """Mean over a pixel of `width` of the indicator of [low, high]."""
    w = max(width, 1e-4)
    return max(0.0, min(x + 0.5 * w, high) - max(x - 0.5 * w, low)) / w


@compiled
def mix(a: Rgb, b: Rgb, t: float) -> Rgb:
    """Blend two colours: a at t = 0, b at t = 1."""
    s = 1.0 - t
    return a[0] * s + b[0] * t, a[1] * s + b[1] * t, a[2] * s + b[2] * t


@compiled
def scale(a: Rgb, t: float) -> Rgb:
    """Multiply a colour by a number."""
    return a[0] * t, a[1] * t, a[2] * t
