"""Lenses that could not form an image cannot be made."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scenegen.errors import CameraError
from scenegen.types import Lens


@pytest.mark.parametrize(
    ("model", "coefficients", "max_angle_deg", "words"),
    [
        ("fish_eye", (0.0,) * 4, 80.0, "a lens in pinhole, brown_conrady, fisheye, f_theta"),
        ("fisheye", (0.0,) * 3, 80.0, "'fisheye'.*4 finite coefficients"),
        ("fisheye", (0.0, math.nan, 0.0, 0.0), 80.0, "4 finite coefficients"),
        ("brown_conrady", (0.1,), 40.0, "4 to 5 finite coefficients"),
        ("pinhole", (0.1,), 40.0, "0 finite coefficients"),
        ("f_theta", (1.0, 50.0), 80.0, "c0 = 0 and c1 > 0"),
        ("f_theta", (0.0, -50.0), 80.0, "c0 = 0 and c1 > 0"),
        ("fisheye", (0.0,) * 4, 95.0, "at most 88 degrees, found 95"),
        ("fisheye", (0.0,) * 4, 0.0, "above 0"),
        ("fisheye", (-0.3, 0.0, 0.0, 0.0), 80.0, "grows up to 80 degrees.*shrinks at 60"),
        ("f_theta", (0.0, 50.0, 0.0, -20.0), 80.0, "'f_theta'.*shrinks at 52"),
        ("brown_conrady", (-0.4, 0.0, 0.0, 0.0), 60.0, "'brown_conrady'.*shrinks at 42"),
    ],
)
def test_an_unusable_lens_is_refused(
    model: str, coefficients: tuple[float, ...], max_angle_deg: float, words: str
) -> None:
    with pytest.raises(CameraError, match=words):
        Lens(model=model, coefficients=coefficients, max_angle_rad=math.radians(max_angle_deg))


def test_a_lens_may_fold_back_beyond_its_field_of_view() -> None:
    lens = Lens(model="fisheye", coefficients=(-0.3, 0.0, 0.0, 0.0), max_angle_rad=math.radians(60.0))
    assert np.isclose(lens.angle_polynomial()[3], -0.3)
