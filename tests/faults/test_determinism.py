"""One to four writers or workers, each time in another order of scenes: the data set is always the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ray_jobs.executor import RayExecutor, ray_session
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.dataset import fold_receipts
from scenegen.pipeline import SerialExecutor, generate
from tests.conftest import TINY_JOB
from tests.e2e.test_main_job import content_of
from tests.faults.checks import assert_finished
from tests.faults.small_job import start_process, write_missing
from tests.unit.pipeline.conftest import SilentReporter

SEED = 5
LAYOUTS = ("procedural:1", "procedural:2", "procedural:3", "procedural:4")
"""As many as workers at most, for no more workers are started than there are scenes."""


@pytest.mark.battery("F5 determinism over writers and orders")
@pytest.mark.parametrize("num_writers", [1, 2, 3, 4])
def test_the_data_set_does_not_depend_on_the_number_of_writers_or_their_order(num_writers: int, tmp_path: Path) -> None:
    write_missing("memory://one-writer/ds")
    undisturbed = {scene.scene_id: scene.content_sha256 for scene in fold_receipts("memory://one-writer/ds").scenes}
    writers = [start_process("writer", tmp_path / "ds", first_scene=number) for number in range(num_writers)]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    fold_receipts(tmp_path / "ds")
    assert_finished(tmp_path / "ds", undisturbed)


@pytest.mark.ray
@pytest.mark.battery("F5 determinism of whole jobs over Ray workers and orders")
def test_a_whole_job_does_not_depend_on_the_number_of_workers_or_the_order_of_layouts(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    overrides = [*TINY_JOB, "duration_s=0.5", "run=ray_local", "run.num_workers=4", "run.threads_per_scene=1"]
    config = replace(compose_config(GenerateConfig, "generate", overrides), layouts=LAYOUTS)
    alone = replace(config, output=str(tmp_path / "alone"))
    generate(alone, executor=SerialExecutor(), reporter=SilentReporter()).raise_on_failure()
    undisturbed, chance = content_of(tmp_path / "alone"), random.Random(SEED)
    assert len(undisturbed) == len(LAYOUTS)
    with ray_session(config):
        for num_workers in (1, 2, 3, 4):
            output = tmp_path / f"of-{num_workers}"
            order, run = chance.sample(LAYOUTS, len(LAYOUTS)), replace(config.run, num_workers=num_workers)
            job = replace(config, layouts=tuple(order), output=str(output), run=run)
            generate(job, executor=RayExecutor(), reporter=SilentReporter()).raise_on_failure()
            assert_finished(output, undisturbed)
    record_property("seed", SEED)
    record_property("runs", 4)
