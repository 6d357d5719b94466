"""A job of one short scene, painted by the shipped model in chunks of two steps, in a process that kills itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import scenegen.dataset.checkpoint
import scenegen.dataset.preview
import scenegen.dataset.write
import scenegen.video.backbones.native
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.dataset.paths import CHECKPOINTS
from scenegen.pipeline import SerialExecutor, generate
from tests.faults.crash_points import resolve
from tests.unit.pipeline.conftest import STEPS, SilentReporter, make_street

STEPS_PER_CHUNK = 2
NUM_CHUNKS = STEPS // STEPS_PER_CHUNK
PAINT = "scenegen.video.backbones.native.NativeSession.paint"
SAVE = "scenegen.dataset.checkpoint.SceneCheckpoints.append"

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])  # importing torch costs more than the job


@dataclass(frozen=True)
class Kill:
    """SIGKILL at a call, or right after it returned.

    Attributes:
        target: dotted name of a function.
        call: which call of it, from 1.
        num_repainted: chunks that are not saved by then.
    """

    target: str
    call: int
    num_repainted: int
    is_after: bool = False


KILLS = {
    "before the first chunk": Kill(PAINT, 1, NUM_CHUNKS),
    "between chunks": Kill(PAINT, 3, 2),
    "inside a chunk": Kill("scenegen.video.backbones.native.NativeSession._paint_step", 6, 2),
    "after a chunk is painted": Kill(PAINT, 2, 3, is_after=True),
    "after a chunk is written": Kill("scenegen.dataset.write.SceneWriter.append", 2, 3, is_after=True),
    "before a checkpoint": Kill(SAVE, 2, 3),
    "after a checkpoint": Kill(SAVE, 2, 2, is_after=True),
    "after the last checkpoint": Kill(SAVE, NUM_CHUNKS, 0, is_after=True),
    "before the commit": Kill("scenegen.dataset.write.publish_scene", 1, 0),
}
IN_A_CHECKPOINT = Kill("pathlib.Path.replace", 3, 2)
"""Of its own file, on a local disk: the staged file is there whole, and has not got its name yet."""
AFTER_THE_RECEIPT = Kill("scenegen.painting.forget_checkpoints", 1, 0)


def job_config(location: Path | str, *overrides: str) -> GenerateConfig:
    return compose_config(
        GenerateConfig,
        "generate",
        [
            "layouts=[street]",
            f"output={location}",
            "rig=front1",
            "video.steps=1",
            "rig.image.width_px=64",
            "rig.image.height_px=32",
            f"num_steps_per_chunk={STEPS_PER_CHUNK}",
            *overrides,
        ],
    )


def run_job(location: Path | str, *overrides: str) -> list[int]:
    """Run the job in this process; returns the first step of every chunk that was painted."""
    painted: list[int] = []
    session = scenegen.video.backbones.native.NativeSession
    paint = session.paint

    def count_and_paint(self: Any, conditions: Any, *, start_step: int) -> Any:
        painted.append(start_step)
        return paint(self, conditions, start_step=start_step)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(session, "paint", count_and_paint))
        for target, replacement in (
            ("scenegen.layout.sources.expand_references", list),
            ("scenegen.layout.sources.read_layout", make_street),
            ("scenegen.layout.extend.extend_layout", lambda layout, **options: layout),
        ):
            stack.enter_context(mock.patch(target, replacement))
        report = generate(job_config(location, *overrides), executor=SerialExecutor(), reporter=SilentReporter())
    report.raise_on_failure()
    return painted


def run_and_kill(location: Path | str, kill: Kill, *overrides: str, environment: Mapping[str, str]) -> None:
    """Run the job in a process of its own that kills itself, and see that it did."""
    process = _CONTEXT.Process(target=_run_to_the_kill, args=(location, kill, overrides, dict(environment)))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, process.exitcode


def _run_to_the_kill(location: Path | str, kill: Kill, overrides: tuple[str, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    owner, name = resolve(kill.target)
    original = getattr(owner, name)
    num_calls = 0

    def call_or_die(*arguments: Any, **options: Any) -> Any:
        nonlocal num_calls
        num_calls += kill != IN_A_CHECKPOINT or CHECKPOINTS in str(arguments[-1])
        if num_calls == kill.call and not kill.is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if num_calls == kill.call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    with mock.patch.object(owner, name, call_or_die):
        run_job(location, *overrides)
