from __future__ import annotations

import numpy as np
import pytest

from scenegen.checks.classes import JudgeClass
from scenegen.checks.lanes import MAX_DISTANCE_PX, lane_error_px


def line_at(column: int) -> np.ndarray:
    labels = np.full((40, 60), JudgeClass.ROAD, np.uint8)
    labels[:, column] = JudgeClass.MARKING
    return labels


@pytest.mark.parametrize("shift", [0, 1, 4])
def test_a_shifted_line_is_as_far_as_it_was_shifted(shift: int) -> None:
    assert lane_error_px(line_at(20 + shift), line_at(20)) == pytest.approx(shift)


def test_lines_far_off_or_missing_cost_the_most() -> None:
    assert lane_error_px(line_at(50), line_at(20)) == MAX_DISTANCE_PX
    assert lane_error_px(np.full((40, 60), JudgeClass.ROAD, np.uint8), line_at(20)) == MAX_DISTANCE_PX


def test_an_invented_line_costs_half() -> None:
    both = np.minimum(line_at(20), line_at(20))
    both[:, 50] = JudgeClass.MARKING
    assert lane_error_px(both, line_at(20)) == pytest.approx(0.5 * 0.5 * MAX_DISTANCE_PX)


def test_a_frame_without_lines_is_not_asked() -> None:
    assert np.isnan(lane_error_px(line_at(20), np.full((40, 60), JudgeClass.ROAD, np.uint8)))
