"""What stands or moves in the strip of ground that a vehicle is about to drive over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from scenegen.layout.paths import Path

CLEARANCE_M = 0.2
"""On either side of a vehicle's own width."""
MOST_SWEEP_M = 0.8
"""In bends a rigid box needs more than its width; not more than this is asked for."""
MOST_HALF_M = 4.0
"""No strip is wider than this on either side of its middle, samples' distance included."""
OUTLINE_SPACING_M = 0.8


class Found(NamedTuple):
    """Something in the way: where along the path it begins, and its speed along it."""

    at_m: float
    speed_mps: float


class Corridor:
    """The strip along one path that a box of some size drives over."""

    def __init__(self, path: Path, *, length_m: float, width_m: float) -> None:
        at = path.at(np.arange(0.0, path.length_m + 1.0, 1.0))
        self.points_m: Float64[np.ndarray, "N 2"] = at.position_m
        self.along: Float64[np.ndarray, "N 2"] = np.stack([np.cos(at.heading_rad), np.sin(at.heading_rad)], axis=1)
        curvature = np.abs(np.gradient(at.heading_rad)) if len(at.heading_rad) > 1 else np.zeros(1)
        sweep_m = np.minimum(length_m**2 / 8.0 * curvature, MOST_SWEEP_M)
        self.half_m: Float64[np.ndarray, " N"] = 0.5 * width_m + CLEARANCE_M + sweep_m

    def _window(self, from_m: float, to_m: float) -> tuple[Float64[np.ndarray, "W 2"], int]:
        first = max(0, min(int(from_m), len(self.points_m) - 2))
        last = max(first + 2, min(int(np.ceil(to_m)) + 1, len(self.points_m)))
        return self.points_m[first:last], first

    def places(
        self, points_m: Float64[np.ndarray, "P 2"], *, from_m: float, to_m: float, slack_m: float = 0.0
    ) -> tuple[Float64[np.ndarray, " P"], Bool[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
        """Return for every point where along the path it lies, whether in the strip, and the nearest sample's index.

        The strip is narrower by `slack_m` on either side.
        """
        window_m, first = self._window(from_m, to_m)
        apart_m = points_m[:, None, :] - window_m[None, :, :]
        nearest = np.argmin(np.einsum("pnc,pnc->pn", apart_m, apart_m), axis=1)
        rest_m = apart_m[np.arange(len(points_m)), nearest]
        idx = nearest + first
        along = self.along[idx]
        ahead_m = np.einsum("pc,pc->p", rest_m, along)
        aside_m = rest_m[:, 1] * along[:, 0] - rest_m[:, 0] * along[:, 1]
        inside = (np.abs(aside_m) < self.half_m[idx] - slack_m) & (np.abs(ahead_m) < 1.5)
        return idx + ahead_m, inside, idx

    def near(
        self, centers_m: Float64[np.ndarray, "A 2"], within_m: Float64[np.ndarray, " A"], *, from_m: float, to_m: float
    ) -> Int64[np.ndarray, " C"]:
        """Return which of several places are no further from the middle of the strip than each may be."""
        window_m = self._window(from_m, to_m)[0]
        square = ((centers_m[:, None, :] - window_m[None, ::2, :]) ** 2).sum(axis=2).min(axis=1)
        return np.flatnonzero(square < (within_m + MOST_HALF_M) ** 2)

    def first_of(
        self,
        outline_m: Float64[np.ndarray, "K 2"],
        velocity_mps: Float64[np.ndarray, "2"],
        *,
        front_m: float,
        to_m: float,
    ) -> Found | None:
        """Return where a box begins in the strip ahead of the own front; None if it is not in it."""
        at_m, inside, idx = self.places(outline_m, from_m=front_m - 1.0, to_m=to_m)
        inside &= at_m > front_m - 0.3
        if not inside.any():
            return None
        best = int(np.argmin(np.where(inside, at_m, np.inf)))
        return Found(float(at_m[best]), float(velocity_mps @ self.along[idx[best]]))


def outline_points(size_lwh_m: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "K 2"]:
    """Return points on the outline of a box in its own frame, at most `OUTLINE_SPACING_M` apart."""
    half_x, half_y = 0.5 * float(size_lwh_m[0]), 0.5 * float(size_lwh_m[1])
    x_m = np.linspace(-half_x, half_x, max(2, int(np.ceil(2.0 * half_x / OUTLINE_SPACING_M)) + 1))
    y_m = np.linspace(-half_y, half_y, max(2, int(np.ceil(2.0 * half_y / OUTLINE_SPACING_M)) + 1))
    sides = [np.column_stack([x_m, np.full(len(x_m), sign * half_y)]) for sign in (-1.0, 1.0)]
    ends = [np.column_stack([np.full(len(y_m), sign * half_x), y_m]) for sign in (-1.0, 1.0)]
    return np.concatenate([*sides, *ends])


def placed(
    outline_m: Float64[np.ndarray, "K 2"], center_m: Float64[np.ndarray, "2"], heading_rad: float
) -> Float64[np.ndarray, "K 2"]:
    """Move points of a box's own frame into the world."""
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    return np.asarray(outline_m @ np.array([[cos, sin], [-sin, cos]]) + center_m)
