"""The benchmark of adversarial flow distillation: the look of its stand-in teacher, and its table."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from benchmarks.afd import ARMS, format_table
from benchmarks.afd_clips import film_look
from benchmarks.afd_scores import Nearness


def test_the_teachers_look_is_darker_and_warmer_and_keeps_black() -> None:
    grey = np.full((1, 1, 3), 128, np.uint8)
    (red, green, blue) = film_look(grey)[0, 0].tolist()
    # Linear light of 128 is 0.2195; times 0.62 and 1.18, 1, 0.74, and away from their luma 0.1379 by 1.35.
    luma = 0.2195 * 0.62 * (0.299 * 1.18 + 0.587 + 0.114 * 0.74)
    expected = [255.0 * (luma + 1.35 * (0.2195 * 0.62 * gain - luma)) ** (1.0 / 2.2) for gain in (1.18, 1.0, 0.74)]
    assert np.allclose([red, green, blue], expected, atol=1.0)
    assert film_look(np.zeros((2, 2, 3), np.uint8)).max() == 0


def test_every_arm_starts_from_the_student_or_from_an_arm_before_it() -> None:
    names = [arm.name for arm in ARMS]
    assert len(set(names)) == len(names)
    assert all(arm.start is None or names.index(arm.start) < names.index(arm.name) for arm in ARMS)


def test_the_table_has_means_and_ranges() -> None:
    one = Nearness(
        cell_accuracy=0.5, clip_accuracy=1.0, fid=1.0, fvd=2.0, color_levels=4.0, rms_levels=8.0, spread_levels=1.0
    )
    rows = [{"arm": "a", "nearness": asdict(one)}, {"arm": "a", "nearness": {**asdict(one), "fid": 2.0}}]
    assert "| a | 2 | 0.5 (0.5 to 0.5) | 1 (1 to 1) | 1.5 (1 to 2) |" in format_table(rows)
