"""Whatever part of a Ray job is killed, and whenever: the same command brings the undisturbed data set."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.faults.ray_kills import ROLES, RayKills, undisturbed_hashes
from tests.faults.test_random_kills import Record
from tests.faults.tiers import asked_tier

SEED = 5


@pytest.mark.ray
@pytest.mark.battery("F1 random kills on Ray")
def test_random_kills_of_what_ray_runs_lose_double_and_tear_nothing(tmp_path: Path, record_property: Record) -> None:
    numbers = itertools.count()
    num_kills = asked_tier().num_ray_kills
    kills = RayKills(lambda: tmp_path / f"ds-{next(numbers)}", seed=SEED, num_kills=num_kills)
    kills.run(undisturbed_hashes())
    print(kills.tally)
    assert kills.tally.kills.total() == num_kills and set(kills.tally.kills) == set(ROLES)
    record_property("seed", SEED)
    record_property("runs", num_kills)
