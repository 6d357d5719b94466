"""The main job on one page: layouts in, a labelled multi-camera data set out.

    layout -> world -> for every chunk: conditions -> frames -> labels -> disk -> judge -> commit, or paint again

`generate` plans scenes, skips what is committed, hands the rest to an executor and folds the receipts into the
manifest. `scenegen/painting.py` makes one scene, by the same function in this process and in a Ray actor.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import scenegen
from scenegen.config import AUTO_SPLIT, NO_SWEEP, GenerateConfig, split_of_layout
from scenegen.errors import SceneFailedError
from scenegen.interrupts import Drain, drain_on_sigterm
from scenegen.open_painting import Resumption
from scenegen.orchestration.attempt import SceneOutcome, SceneWatch, attempt_scene
from scenegen.orchestration.failures import FailureKind, RetryRule
from scenegen.orchestration.ledger import open_ledger
from scenegen.orchestration.recording import RecordingWatch, Reporter
from scenegen.orchestration.size_estimate import estimate_bytes
from scenegen.painting import open_occupancy
from scenegen.rig import build_rig
from scenegen.types import CameraRig, Layout, Provenance, SceneRecord
from scenegen.types.layout_json import layout_sha256
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
        records: Sequence[SceneRecord],
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
        records: Sequence[SceneRecord],
        *,
        config: GenerateConfig,
        backbone: VideoBackbone,
        watch: SceneWatch,
        drain: Drain,
    ) -> Iterator[SceneOutcome]:
        """Make the scenes in order."""
        num_failed = 0
        for record in records:
            if drain.is_asked or num_failed > config.run.max_failures:
                return
            outcome = _attempt_until_settled(record, config=config, backbone=backbone, watch=watch)
            num_failed += bool(outcome.error)
            yield outcome


def _attempt_until_settled(
    record: SceneRecord, *, config: GenerateConfig, backbone: VideoBackbone, watch: SceneWatch
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

        watch.started(record.scene_id, attempt=len(history) + 1)
        outcome = attempt_scene(record, config=config, backbone=backbone, on_chunk=count)
        resumptions += outcome.resumptions
        outcome = replace(outcome, resumptions=resumptions)
        if outcome.kind is None:
            return replace(outcome, num_attempts=len(history) + 1)
        history.append(outcome.kind)
        watch.chunk_done(record.scene_id, -num_frames)
        if not rule.allows_another(history):
            return replace(outcome, num_attempts=len(history))
        watch.abandoned(record.scene_id, attempt=len(history), reason=outcome.error)


def generate(config: GenerateConfig, *, executor: Executor, reporter: Reporter) -> JobReport:
    """Run the main job. The same call again does only what is not yet committed.

    Raises:
        SceneGenError: before any work, when a layout, the rig, the weights or the output place is not usable.
        KeyboardInterrupt: the job was told to end before all scenes were made.
    """
    from scenegen.dataset.fold import Committer, committed_scene_ids

    started_s = time.perf_counter()
    config = executor.prepare(config)
    dataset_dir = config.output
    backbone = open_backbone(config)
    planned = plan_scenes(config, backbone)
    ledger = open_ledger(dataset_dir, config)
    committer = Committer(dataset_dir)
    committer.fold()  # a killed job may have left receipts that no manifest names yet
    present = committed_scene_ids(dataset_dir, among=[record.scene_id for record in planned])
    missing = [record for record in planned if record.scene_id not in present]
    watch = RecordingWatch(ledger, reporter)
    watch.plan(
        missing,
        num_skipped=len(planned) - len(missing),
        num_bytes=estimate_bytes(missing, config.dataset),
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
        skipped=tuple(record.scene_id for record in planned if record.scene_id in present),
        failed=tuple(failed),
        not_started=num_not_started,
        wall_s=time.perf_counter() - started_s,
    )


def _result_of(*, num_failed: int, num_not_started: int) -> str:
    if num_not_started:
        return "over_budget"
    return "failed" if num_failed else "complete"


def open_backbone(config: GenerateConfig) -> VideoBackbone:
    """Load the model that the configuration names."""
    from scenegen.video.build import load_backbone

    video = config.video
    return load_backbone(
        video.name,
        steps=video.steps,
        weights=video.weights,
        history=video.history,
        weights_sha256=video.weights_sha256,
    )


def plan_scenes(config: GenerateConfig, backbone: VideoBackbone) -> list[SceneRecord]:
    """Read every layout and name every scene, so that bad input is found before any work."""
    from scenegen.layout.extend import extend_layout
    from scenegen.layout.prompt import apply_prompt
    from scenegen.layout.sources import expand_references, read_layout
    from scenegen.layout.validate import validate_layout

    variants = [(variant, build_rig(variant.rig)) for variant in expand_sweep(config)]
    records: dict[str, SceneRecord] = {}
    for reference in expand_references(list(config.layouts)):
        plain = extend_layout(read_layout(reference), duration_s=config.duration_s, rate_hz=config.rate_hz)
        if config.occupancy.style is not None:
            plain = replace(plain, environment=replace(plain.environment, style=config.occupancy.style))
        validate_layout(plain)
        for variant, rig in variants:
            # A prompt changes the environment alone, so all variants share the arrays of one layout.
            layout = plain if variant.prompt is None else apply_prompt(plain, variant.prompt)
            record = plan_scene(layout, rig=rig, config=variant, backbone=backbone)
            records[record.scene_id] = record
    return list(records.values())


def expand_sweep(config: GenerateConfig) -> list[GenerateConfig]:
    """Return the job's configuration at every point of its sweep.

    Each is what a job without a sweep would be given, so a scene has the same id and bytes whichever way it is made.
    """
    return [
        replace(
            config,
            prompt=point.prompt or config.prompt,
            rig=point.rig or config.rig,
            seed=config.seed if point.seed is None else point.seed,
            sweep=NO_SWEEP,
        )
        for point in config.sweep.points()
    ]


def plan_scene(layout: Layout, *, rig: CameraRig, config: GenerateConfig, backbone: VideoBackbone) -> SceneRecord:
    """Name a scene after everything that decides its bytes, and nothing else."""
    if config.split == AUTO_SPLIT:
        config = replace(config, split=split_of_layout(layout.layout_id, config.split_shares))
    occupancy = open_occupancy(config.occupancy)
    provenance = Provenance(
        code_version=scenegen.__version__,
        config_sha256=config.content_sha256(),
        model_id=backbone.model_id,
        weights_sha256=backbone.weights_sha256,
        model_licence=backbone.licence,
        source_licence=layout.licence,
        occupancy_id="rules" if occupancy is None else occupancy.model_id,
        occupancy_sha256="" if occupancy is None else occupancy.weights_sha256,
    )
    decisive: tuple[object, ...] = (layout_sha256(layout), config.seed, config.split, provenance)
    if occupancy is not None:
        decisive = (*decisive, provenance.occupancy_id, provenance.occupancy_sha256)
    if config.quality.is_asked:
        decisive = (*decisive, _judge_sha256())
    scene_id = f"{layout.layout_id}-{hashlib.sha256(repr(decisive).encode()).hexdigest()[:8]}"
    return SceneRecord(
        scene_id=scene_id, layout=layout, rig=rig, seed=config.seed, split=config.split, provenance=provenance
    )


def _judge_sha256() -> str:
    from scenegen.certification import judge_sha256, open_judging

    open_judging()  # finds missing weights before any work
    return judge_sha256()
