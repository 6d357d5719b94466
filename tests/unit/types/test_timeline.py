"""Time never drifts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenegen.errors import LayoutError
from scenegen.types import Timeline


@given(st.floats(0.5, 120.0), st.integers(1, 2000))
def test_every_stamp_is_within_half_a_microsecond_of_its_own_index(rate_hz: float, num_steps: int) -> None:
    stamps_us = Timeline(rate_hz=rate_hz, num_steps=num_steps).timestamps_us()
    exact_us = np.arange(num_steps) * 1e6 / rate_hz
    assert stamps_us.dtype == np.int64
    assert np.abs(stamps_us - exact_us).max() <= 0.5 + 1e-3


@given(st.integers(1, 400), st.integers(1, 400))
def test_a_longer_timeline_begins_with_the_shorter_one(first: int, second: int) -> None:
    short, long = sorted((first, second))
    stamps_us = Timeline(rate_hz=12.0, num_steps=long).timestamps_us()
    assert np.array_equal(stamps_us[:short], Timeline(rate_hz=12.0, num_steps=short).timestamps_us())


def test_thirty_seconds_at_12_hz_have_360_steps_and_60_key_frames() -> None:
    timeline = Timeline(rate_hz=12.0, num_steps=360)
    assert timeline.duration_s == 30.0
    assert timeline.timestamps_us()[-1] == 29_916_667
    assert timeline.is_key_frame().sum() == 60
    assert (np.diff(timeline.timestamps_us()[timeline.is_key_frame()]) == 500_000).all()


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_rate_is_refused(rate_hz: float) -> None:
    with pytest.raises(LayoutError, match="rate_hz"):
        Timeline(rate_hz=rate_hz, num_steps=3)


@pytest.mark.parametrize("num_steps", [0, -1])
def test_a_timeline_without_steps_is_refused(num_steps: int) -> None:
    with pytest.raises(LayoutError, match="at least one step"):
        Timeline(rate_hz=12.0, num_steps=num_steps)
