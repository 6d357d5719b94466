"""How a path gives way sideways to what stands at its edge: parked cars, cones, a bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from scenegen.layout.paths import Path, make_path

CLEARANCE_M = 0.3
MOST_ASIDE_M = 1.0
"""What needs more is not passed but stopped for."""
EASE_M = 7.0
"""Over this length a path moves aside, and back."""
SPACING_M = 0.5


def pass_standing(
    path: Path, standing_m: Sequence[Float64[np.ndarray, "K 2"]], *, width_m: float, length_m: float
) -> Path:
    """Return the path moved aside, by a metre at most, from outlines that reach into the strip of a vehicle's width.

    Its start stays where it is, and keeps its direction. What cannot be passed so is left in the way.
    """
    s_m = np.arange(0.0, path.length_m + SPACING_M, SPACING_M)
    at = path.at(s_m)
    along = np.stack([np.cos(at.heading_rad), np.sin(at.heading_rad)], axis=1)
    least_m, most_m = np.full(len(s_m), -np.inf), np.full(len(s_m), np.inf)
    need_m = 0.5 * width_m + CLEARANCE_M
    for outline_m in standing_m:
        bounds = _beside(outline_m, at.position_m, along, need_m)
        if bounds is None:
            continue
        first, last, low_m, high_m = bounds
        if first * SPACING_M < 0.5 * length_m:
            continue  # already alongside
        piece = slice(max(0, first - int(0.5 * length_m / SPACING_M)), last + int(0.5 * length_m / SPACING_M) + 1)
        if 0.5 * (low_m + high_m) > 0.0:
            room_m = low_m - need_m
            if room_m >= -MOST_ASIDE_M:
                most_m[piece] = np.minimum(most_m[piece], room_m)
        else:
            room_m = high_m + need_m
            if room_m <= MOST_ASIDE_M:
                least_m[piece] = np.maximum(least_m[piece], room_m)
    if (least_m <= 0.0).all() and (most_m >= 0.0).all():
        return path
    aside_m = _eased(least_m, most_m) * np.clip(s_m / EASE_M, 0.0, 1.0) ** 2
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    return make_path(at.position_m + aside_m[:, None] * normal)


def _beside(
    outline_m: Float64[np.ndarray, "K 2"],
    points_m: Float64[np.ndarray, "N 2"],
    along: Float64[np.ndarray, "N 2"],
    need_m: float,
) -> tuple[int, int, float, float] | None:
    """Return the first and last sample beside which an outline reaches into the strip, and from where to where."""
    middle_m = outline_m.mean(axis=0)
    around_m = float(np.abs(outline_m - middle_m).max()) + need_m
    near = np.flatnonzero((np.abs(points_m - middle_m) < around_m + 1.0).all(axis=1))
    if not len(near):
        return None
    apart_m = outline_m[:, None, :] - points_m[None, near]
    nearest = np.argmin((apart_m**2).sum(axis=2), axis=1)
    rest_m, course = apart_m[np.arange(len(outline_m)), nearest], along[near[nearest]]
    ahead_m = (rest_m * course).sum(axis=1)
    aside_m = rest_m[:, 1] * course[:, 0] - rest_m[:, 0] * course[:, 1]
    beside = np.abs(ahead_m) < 1.0
    if not (beside & (np.abs(aside_m) < need_m)).any():
        return None
    idx = near[nearest[beside]]
    return int(idx.min()), int(idx.max()), float(aside_m[beside].min()), float(aside_m[beside].max())


def _eased(least_m: Float64[np.ndarray, " N"], most_m: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Return a smooth offset that is within bounds wherever they allow one, and zero far from them."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

    span = 2 * int(EASE_M / SPACING_M) + 1
    low_m = maximum_filter1d(least_m, span, mode="nearest")
    high_m = minimum_filter1d(most_m, span, mode="nearest")
    wished_m = np.clip(0.0, low_m, high_m)
    between_m = 0.5 * (np.maximum(low_m, -MOST_ASIDE_M) + np.minimum(high_m, MOST_ASIDE_M))
    wished_m = np.where(low_m > high_m, between_m, wished_m)
    half = int(EASE_M / SPACING_M) + 1
    return np.asarray(uniform_filter1d(uniform_filter1d(wished_m, half, mode="nearest"), half, mode="nearest"))
