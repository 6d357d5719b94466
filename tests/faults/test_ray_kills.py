"""Random parts of a Ray cluster are killed under a job: run to its end, its data set is the undisturbed one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_main_job import content_of
from tests.faults.ray_job import run_serially
from tests.faults.ray_kills import ROLES, RandomRayKills
from tests.faults.tiers import asked_tier

SEED = 5


@pytest.mark.ray
@pytest.mark.timeout(0)
@pytest.mark.battery("F1 random kills of workers, raylets, drivers and control stores of a Ray job")
def test_random_kills_on_ray_lose_double_and_tear_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    run_serially(tmp_path / "undisturbed")
    num_kills = asked_tier().num_ray_kills
    killer = RandomRayKills(tmp_path, undisturbed=content_of(tmp_path / "undisturbed"), seed=SEED, num_kills=num_kills)
    tally = killer.run()
    assert tally.kills.total() == num_kills and set(tally.kills) == set(ROLES)
    record_property("seed", SEED)
    record_property("runs", num_kills)
