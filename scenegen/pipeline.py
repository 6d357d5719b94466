"""The main job on one page: layouts in, a labelled multi-camera data set out.

    layout -> world -> for every chunk: conditions -> frames -> labels -> disk -> judge -> commit, or paint again

`generate` plans scenes, skips what is committed, hands the rest to an executor and folds the receipts into the
manifest. `scenegen/painting.py` makes one scene, by the same function in this process and in a Ray actor.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from scenegen.config import GenerateConfig
from scenegen.errors import SceneFailedError
from scenegen.interrupts import Drain, drain_on_sigterm
from scenegen.open_painting import Resumption
from scenegen.orchestration.attempt import SceneOutcome, SceneWatch, attempt_scene
from scenegen.orchestration.failures import FailureKind, RetryRule
from scenegen.orchestration.ledger import open_ledger
from scenegen.orchestration.planning import PlannedScene, plan_scenes
from scenegen.orchestration.recording import RecordingWatch, Reporter
from scenegen.orchestration.size_estimate import estimate_bytes
from scenegen.painting import open_backbone, require_device
from scenegen.video.interface import VideoBackbone

if TYPE_CHECKING:
    from scenegen.dataset.storage import Location


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """What a job did: scenes it committed, scenes that were there already, scenes that failed."""

    dataset_dir: Location
    committed: tuple[SceneOutcome, ...]
    skipped: tuple[str, ...]
    failed: tuple[SceneOutcome, ...]
    not_started: int
    wall_s: float

    def raise_on_failure(self) -> None:
        """Raise `SceneFailedError` when any scene failed."""
        if not self.failed:
            return
        first = self.failed[0]
        error = SceneFailedError(
            f"all {len(self.committed) + len(self.failed) + self.not_started} scenes to be committed",
            found=f"{len(self.failed)} failed, {self.not_started} not started; the first: {first.error}",
            where=first.scene_id,
            fix="see runs/*/failures.jsonl; the same command tries only what is missing",
        )
        error.add_note(first.traceback)  # shown with --debug
        raise error


class Executor(Protocol):
    """A way to run scenes: in this process, or over Ray actors. Outcomes come in any order."""

    def prepare(self, config: GenerateConfig) -> GenerateConfig:
        """Return the configuration as this way needs it, or raise `ConfigError`; called before anything else."""
        ...

    def run(
        self,
        scenes: Sequence[PlannedScene],
        *,
        config: GenerateConfig,
        backbone: VideoBackbone,
        watch: SceneWatch,
        drain: Drain,
    ) -> Iterator[SceneOutcome]:
        """Make every scene, unless too many fail or an end is asked; a failed scene is an outcome, not an exception."""
        ...


class SerialExecutor:
    """One scene after the other, in this process."""

    def prepare(self, config: GenerateConfig) -> GenerateConfig:
        """Return the configuration unchanged."""
        return config

    def run(
        self,
        scenes: Sequence[PlannedScene],
        *,
        config: GenerateConfig,
        backbone: VideoBackbone,
        watch: SceneWatch,
        drain: Drain,
    ) -> Iterator[SceneOutcome]:
        """Make the scenes in order."""
        num_failed = 0
        for scene in scenes:
            if drain.is_asked or num_failed > config.run.max_failures:
                return
            outcome = _attempt_until_settled(scene, config=config, backbone=backbone, watch=watch)
            num_failed += bool(outcome.error)
            yield outcome


def _attempt_until_settled(
    scene: PlannedScene, *, config: GenerateConfig, backbone: VideoBackbone, watch: SceneWatch
) -> SceneOutcome:
    rule = RetryRule(max_attempts=config.run.max_attempts, max_node_losses=config.run.max_node_losses)
    history: list[FailureKind] = []
    resumptions: tuple[Resumption, ...] = ()
    while True:
        num_frames = 0

        def count(scene_id: str, num_frames_more: int) -> None:
            nonlocal num_frames
            num_frames += num_frames_more
            watch.chunk_done(scene_id, num_frames_more)

        watch.started(scene.scene_id, attempt=len(history) + 1)
        outcome = attempt_scene(scene, config=config, backbone=backbone, on_chunk=count)
        resumptions += outcome.resumptions
        outcome = replace(outcome, resumptions=resumptions)
        if outcome.kind is None:
            return replace(outcome, num_attempts=len(history) + 1)
        history.append(outcome.kind)
        watch.chunk_done(scene.scene_id, -num_frames)
        if not rule.allows_another(history):
            return replace(outcome, num_attempts=len(history))
        watch.abandoned(scene.scene_id, attempt=len(history), reason=outcome.error)


def generate(config: GenerateConfig, *, executor: Executor, reporter: Reporter) -> JobReport:
    """Run the main job. The same call again does only what is not yet committed.

    Raises:
        SceneGenError: before any work, when a layout, the rig, the weights or the output place is not usable.
        KeyboardInterrupt: the job was told to end before all scenes were made.
    """
    from scenegen.dataset.fold import Committer, committed_scene_ids

    started_s = time.perf_counter()
    config = executor.prepare(config)
    require_device(config)
    dataset_dir = config.output
    backbone = open_backbone(config)
    planned = plan_scenes(config, backbone)
    ledger = open_ledger(dataset_dir, config)
    committer = Committer(dataset_dir)
    committer.fold()  # a killed job may have left receipts that no manifest names yet
    present = committed_scene_ids(dataset_dir, among=[scene.scene_id for scene in planned])
    missing = [scene for scene in planned if scene.scene_id not in present]
    watch = RecordingWatch(ledger, reporter)
    watch.plan(
        missing,
        num_skipped=len(planned) - len(missing),
        num_bytes=estimate_bytes(missing, config.dataset, lidar=config.lidar),
    )

    committed: list[SceneOutcome] = []
    failed: list[SceneOutcome] = []
    with watch.until_finished(), drain_on_sigterm(config.run.drain_s) as drain:
        with committer.keeping_up():
            for outcome in executor.run(missing, config=config, backbone=backbone, watch=watch, drain=drain):
                (failed if outcome.error else committed).append(outcome)
                committer.fold_when_due()
                watch.scene_done(outcome)
        num_not_started = len(missing) - len(committed) - len(failed)
        if drain.is_asked and num_not_started:
            raise KeyboardInterrupt
        watch.result = _result_of(num_failed=len(failed), num_not_started=num_not_started)
    return JobReport(
        dataset_dir=dataset_dir,
        committed=tuple(committed),
        skipped=tuple(scene.scene_id for scene in planned if scene.scene_id in present),
        failed=tuple(failed),
        not_started=num_not_started,
        wall_s=time.perf_counter() - started_s,
    )


def _result_of(*, num_failed: int, num_not_started: int) -> str:
    if num_not_started:
        return "over_budget"
    return "failed" if num_failed else "complete"
