"""The benchmark of conditions on real frames: what is dealt, and that its figures ask what they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.real_frames import _deal, pixel_correlation


def test_no_picture_comes_to_conditions_of_its_own_camera() -> None:
    camera_of = np.tile([0, 1], 3)
    order = _deal(camera_of, seed=3).numpy()
    assert sorted(order.tolist()) == list(range(6))
    assert (camera_of[order] != camera_of).all()


def test_what_height_alone_says_counts_in_whole_pictures_only() -> None:
    generator = np.random.default_rng(0)
    sky_over_road = np.repeat(np.linspace(1.0, -1.0, 40)[:, None], 60, axis=1)[None]
    true, painted = (sky_over_road + 0.1 * generator.normal(size=(1, 40, 60)) for _ in range(2))
    found = pixel_correlation(painted, true)
    assert found.whole > 0.9
    assert abs(found.within_rows) < 0.1


def test_a_picture_of_another_exposure_is_the_same_picture() -> None:
    true = np.random.default_rng(1).normal(size=(3, 8, 9))
    found = pixel_correlation(0.3 * true - 0.2, true)
    assert (found.whole, found.within_rows) == (pytest.approx(1.0), pytest.approx(1.0))
