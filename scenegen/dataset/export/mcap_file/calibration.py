"""Lenses in the words that ROS and Foxglove have for them: `plumb_bob` and `kannala_brandt`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.polynomial import polynomial

from scenegen.types import Camera

NUM_SAMPLES = 400


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """A lens as ROS describes it.

    Attributes:
        model: `plumb_bob` (k1, k2, p1, p2, k3) or `kannala_brandt` (k1, k2, k3, k4).
        coefficients: D.
        K: intrinsics that belong to these coefficients.
        largest_error_px: farthest that a point of the field of view lands from where the camera itself sees it.
    """

    model: str
    coefficients: tuple[float, ...]
    K: Float64[np.ndarray, "3 3"]
    largest_error_px: float


def describe_lens(camera: Camera) -> Distortion:
    """Return a camera's lens; exact but for `f_theta`, whose polynomial is fitted by that of `kannala_brandt`."""
    lens = camera.lens
    if lens.model == "f_theta":
        return _fit_f_theta(camera)
    names = {"pinhole": "plumb_bob", "brown_conrady": "plumb_bob", "fisheye": "kannala_brandt"}
    size = 4 if lens.model == "fisheye" else 5
    padded = (*lens.coefficients, *[0.0] * size)[:size]
    return Distortion(model=names[lens.model], coefficients=padded, K=camera.K, largest_error_px=0.0)


def _fit_f_theta(camera: Camera) -> Distortion:
    """Fit r = f t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8) to the polynomial of the lens over its field of view."""
    angle = np.linspace(0.0, camera.lens.max_angle_rad, NUM_SAMPLES)
    radius_px = polynomial.polyval(angle, np.array(camera.lens.coefficients))
    odd_powers = angle[:, None] ** np.arange(1, 10, 2)
    solution = np.linalg.lstsq(odd_powers, radius_px, rcond=None)[0]
    K = camera.K.copy()
    K[[0, 1], [0, 1]] = solution[0]
    return Distortion(
        model="kannala_brandt",
        coefficients=tuple((solution[1:] / solution[0]).tolist()),
        K=K,
        largest_error_px=float(np.abs(odd_powers @ solution - radius_px).max()),
    )
