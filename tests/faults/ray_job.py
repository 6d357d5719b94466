"""The main job with short scenes of one street, as a driver process on a Ray cluster, and its undisturbed serial run.

python -m tests.faults.ray_job LOCATION [OVERRIDE ...]    # on the cluster at RAY_ADDRESS
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from ray_jobs.executor import RayExecutor
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.pipeline import Executor, SerialExecutor, generate
from tests.conftest import REPOSITORY
from tests.unit.pipeline.conftest import SilentReporter, make_street

NUM_SCENES = 6
ON_CLUSTER = ("run=ray_cluster", "run.num_workers=2")


def run_job(location: Path | str, executor: Executor, *overrides: str) -> None:
    """Make a street `NUM_SCENES` times, with a seed each, in this process."""
    config = compose_config(
        GenerateConfig,
        "generate",
        [
            "layouts=[street.yaml]",  # a file of the driver, so that layouts travel to actors
            f"sweep.seed={list(range(NUM_SCENES))}",
            f"output={location}",
            "video=preview",
            "rig=front1",
            "rig.image.width_px=64",
            "rig.image.height_px=32",
            "num_steps_per_chunk=2",
            *overrides,
        ],
    )
    with ExitStack() as stack:
        for target, replacement in (
            ("scenegen.layout.sources.expand_references", list),
            ("scenegen.layout.sources.read_layout", lambda reference, **_: make_street("street")),
            ("scenegen.layout.extend.extend_layout", lambda layout, **options: layout),
        ):
            stack.enter_context(mock.patch(target, replacement))
        report = generate(config, executor=executor, reporter=SilentReporter())
    report.raise_on_failure()


def run_serially(location: Path | str) -> None:
    """Make the same scenes one after the other in this process."""
    run_job(location, SerialExecutor())


def start_driver(location: Path | str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start the job's driver as a process of its own; what it says to stderr can be read."""
    command = [sys.executable, "-m", "tests.faults.ray_job", str(location), *ON_CLUSTER]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=dict(environment), cwd=REPOSITORY
    )


if __name__ == "__main__":
    run_job(sys.argv[1], RayExecutor(), *sys.argv[2:])
