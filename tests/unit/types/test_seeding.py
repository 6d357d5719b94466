"""Randomness belongs to a unit of work and to nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenegen.types import random_generator, random_key


def test_the_same_unit_draws_the_same_numbers_whatever_ran_before() -> None:
    first = random_generator(7, "scene", stage="world").random(5)
    np.random.default_rng(0).random(100)
    random_generator(7, "scene", stage="agents").random(9)
    assert np.array_equal(first, random_generator(7, "scene", stage="world").random(5))


def test_numbers_do_not_change_between_versions() -> None:
    assert random_key(7, "scene", "world", 0, 0) == 267111849087333876296090223971548691709


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 8},
        {"scene_id": "scenf"},
        {"stage": "worlds"},
        {"chunk": 1},
        {"view": 1},
    ],
)
def test_any_part_of_the_key_changes_the_numbers(other: dict[str, object]) -> None:
    unit = {"seed": 7, "scene_id": "scene", "stage": "world", "chunk": 0, "view": 0}

    def draw(parts: dict[str, object]) -> float:
        seed, scene_id = parts.pop("seed"), parts.pop("scene_id")
        return float(random_generator(seed, scene_id, **parts).random())  # type: ignore[arg-type]

    assert draw(dict(unit)) != draw(unit | other)


@given(st.lists(st.text(max_size=4), min_size=1, max_size=4), st.lists(st.text(max_size=4), min_size=1, max_size=4))
def test_different_keys_do_not_collide_by_joining(a: list[str], b: list[str]) -> None:
    printable = all("\x1f" not in part for part in (*a, *b))
    if printable and a != b:
        assert random_key(*a) != random_key(*b)
