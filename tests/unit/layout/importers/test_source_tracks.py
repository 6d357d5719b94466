"""Properties of the steps that importers share."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenegen.errors import LayoutError
from scenegen.layout.importers import source_tracks
from scenegen.layout.importers.source_tracks import hold_last_valid, require_plausible, velocity_by_differences


def test_doctests_hold() -> None:
    failed, attempted = doctest.testmod(source_tracks)
    assert failed == 0
    assert attempted > 0


@given(st.lists(st.booleans(), min_size=1, max_size=20).filter(any))
def test_hold_changes_only_invalid_steps_and_uses_only_valid_values(flags: list[bool]) -> None:
    valid = np.array(flags)
    values = np.where(valid, np.arange(len(valid), dtype=float), np.nan)
    held = hold_last_valid(values, valid)
    assert np.array_equal(held[valid], values[valid])
    assert np.isfinite(held).all()


@given(st.floats(-30, 30), st.floats(-30, 30), st.integers(2, 12))
def test_constant_velocity_is_found_exactly_at_uneven_stamps(vx: float, vy: float, count: int) -> None:
    t_s = np.cumsum(np.linspace(0.05, 0.15, count))
    velocity = velocity_by_differences(t_s[:, None] * np.array([[vx, vy]]), t_s)
    np.testing.assert_allclose(velocity, np.tile([vx, vy], (count, 1)), atol=1e-9)


def test_the_first_bad_row_is_named() -> None:
    with pytest.raises(
        LayoutError, match=r"here: expected finite speed of at most 1e\+07, found NaN or infinity at row 2"
    ):
        require_plausible(np.array([[0.0, 0.0], [1.0, 2.0], [np.inf, 0.0]]), name="speed", where="here")
