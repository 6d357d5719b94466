"""Lenses: how the angle between a ray and the optical axis becomes a distance from the principal point.

A ray at angle t from the axis, in direction p around it (from image right towards image down), lands for

- `pinhole` (no coefficients) at K (tan t cos p, tan t sin p, 1);
- `brown_conrady` (OpenCV's k1, k2, p1, p2 and, if given, k3) at the pinhole's point moved by OpenCV's radial and
  tangential terms;
- `fisheye` (Kannala-Brandt as in OpenCV: k1, k2, k3, k4) at K (r cos p, r sin p, 1),
  r = t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8);
- `f_theta` (NVIDIA's polynomial from angle to pixels: c0 = 0, c1, c2, ...) at (cx, cy) + r (cos p, sin p),
  r = c1 t + c2 t^2 + c3 t^3 + ... in pixels of the stored image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.polynomial import polynomial

from scenegen.errors import CameraError

NUM_COEFFICIENTS: dict[str, tuple[int, ...]] = {
    "pinhole": (0,),
    "brown_conrady": (4, 5),
    "fisheye": (4,),
    "f_theta": (2, 3, 4, 5, 6, 7, 8),
}
MAX_ANGLE_RAD = math.radians(88.0)
"""Depth is z-depth, which ends at a right angle to the axis; no lens shows more than this."""
NUM_ANGLES = 2000
"""Angles at which a lens is checked to be monotonic."""


@dataclass(frozen=True, kw_only=True)
class Lens:
    """A lens beyond its intrinsics K.

    Attributes:
        model: one of `NUM_COEFFICIENTS`.
        coefficients: see above.
        max_angle_rad: half the field of view; nothing beyond it reaches the image. At most 88 degrees. A pinhole has
            no such edge.

    Raises:
        CameraError: unknown model, wrong number of coefficients, or a lens that folds back within its field of view.
    """

    model: str
    coefficients: tuple[float, ...]
    max_angle_rad: float

    def __post_init__(self) -> None:
        where = f"lens {self.model!r}"
        check_coefficients(self.model, self.coefficients)
        if not 0.0 < self.max_angle_rad <= MAX_ANGLE_RAD + 1e-12:
            raise CameraError(
                f"a largest angle above 0 and at most {math.degrees(MAX_ANGLE_RAD):.0f} degrees",
                found=f"{math.degrees(self.max_angle_rad):.6g}",
                where=where,
            )
        folds_at_rad = self._first_fold_rad()
        if folds_at_rad < self.max_angle_rad:
            raise CameraError(
                f"a distance from the centre that grows up to {math.degrees(self.max_angle_rad):.4g} degrees",
                found=f"one that shrinks at {math.degrees(folds_at_rad):.4g} degrees",
                where=where,
                fix="check the order of the coefficients, or end the field of view before that: max_angle_deg",
            )

    @property
    def is_angular(self) -> bool:
        """Whether the distance from the centre is a polynomial of the angle (`fisheye`, `f_theta`)."""
        return self.model in ("fisheye", "f_theta")

    def angle_polynomial(self) -> Float64[np.ndarray, "10"]:
        """Return the coefficients of t^0 .. t^9 of an angular lens, for K's focal length: the one of t is 1."""
        return angle_polynomial(self.model, self.coefficients)

    def _first_fold_rad(self) -> float:
        """Return the first angle at which the distance from the centre stops growing; infinite if it never does."""
        angles = np.linspace(0.0, self.max_angle_rad, NUM_ANGLES)
        if self.is_angular:
            growth = polynomial.polyval(angles, polynomial.polyder(self.angle_polynomial()))
        elif self.model == "brown_conrady":
            k1, k2, _, _, *rest = self.coefficients
            squared = np.tan(angles) ** 2
            growth = 1.0 + squared * (3.0 * k1 + squared * (5.0 * k2 + squared * 7.0 * (rest[0] if rest else 0.0)))
        else:
            return math.inf
        folds = np.flatnonzero(growth <= 0.0)
        return float(angles[folds[0]]) if len(folds) else math.inf


def check_coefficients(model: str, coefficients: tuple[float, ...]) -> None:
    """Refuse an unknown model, a wrong number of coefficients, and an f-theta polynomial that starts off its centre.

    Raises:
        CameraError: one of these.
    """
    if model not in NUM_COEFFICIENTS:
        raise CameraError(f"a lens in {', '.join(NUM_COEFFICIENTS)}", found=repr(model))
    counts, where = NUM_COEFFICIENTS[model], f"lens {model!r}"
    if len(coefficients) not in counts or not np.isfinite(coefficients).all():
        wanted = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        raise CameraError(f"{wanted} finite coefficients", found=f"{list(coefficients)}", where=where)
    if model == "f_theta" and not (coefficients[0] == 0.0 and coefficients[1] > 0.0):
        raise CameraError("a polynomial that starts with c0 = 0 and c1 > 0", found=f"{list(coefficients)}", where=where)


def angle_polynomial(model: str, coefficients: tuple[float, ...]) -> Float64[np.ndarray, "10"]:
    """Return r(t) of an angular lens as coefficients of t^0 .. t^9, divided by the focal length.

    >>> angle_polynomial("fisheye", (0.1, 0.2, 0.3, 0.4)).tolist()
    [0.0, 1.0, 0.0, 0.1, 0.0, 0.2, 0.0, 0.3, 0.0, 0.4]
    >>> angle_polynomial("f_theta", (0.0, 50.0, 5.0)).tolist()
    [0.0, 1.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    powers = np.zeros(10)
    if model == "fisheye":
        powers[1:10:2] = [1.0, *coefficients]
    if model == "f_theta":
        powers[: len(coefficients)] = np.array(coefficients) / coefficients[1]
    return powers


PINHOLE = Lens(model="pinhole", coefficients=(), max_angle_rad=MAX_ANGLE_RAD)
