"""The main job on one page: layouts in, a labelled multi-camera data set out.

    layout -> world -> for every chunk: conditions -> frames -> labels -> disk -> judge -> commit, or paint again

`generate` plans scenes, skips what is committed, hands the rest to an executor and folds the receipts into the
manifest. `scenegen/painting.py` makes one scene, by the same function in this process and in a Ray actor.
"""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import scenegen
from scenegen.config import GenerateConfig
from scenegen.errors import SceneFailedError, SceneGenError
from scenegen.ledger import RunLedger, open_ledger
from scenegen.painting import OnChunk, generate_scene
from scenegen.rig import build_rig
from scenegen.types import CameraRig, Layout, Provenance, SceneRecord
from scenegen.types.layout_json import layout_sha256
from scenegen.video.interface import VideoBackbone

if TYPE_CHECKING:
    from scenegen.dataset.storage import Location


@dataclass(frozen=True, kw_only=True)
class SceneOutcome:
    """What became of one scene. Small on purpose: it is all that travels back from a worker.

    Attributes:
        error: one line; empty when the scene is committed.
        traceback: for the ledger and `--debug`.
        warning: one line about a scene that is committed under the bar of `quality`; empty otherwise.
        worker_died: the process that made it is gone.
        cost_s: seconds per stage. Stages overlap, so the sum may exceed the wall time.
    """

    scene_id: str
    error: str = ""
    traceback: str = ""
    warning: str = ""
    worker_died: bool = False
    num_frames: int = 0
    wall_s: float = 0.0
    cost_s: dict[str, float] = field(default_factory=dict)


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
        self, records: Sequence[SceneRecord], *, config: GenerateConfig, backbone: VideoBackbone, on_chunk: OnChunk
    ) -> Iterator[SceneOutcome]:
        """Make every scene; a failed one is an outcome, not an exception."""
        ...


class Reporter(Protocol):
    """Whoever shows progress."""

    def plan(self, records: Sequence[SceneRecord], *, num_skipped: int) -> None:
        """Take note of what will be made."""
        ...

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        """Take note of one chunk."""
        ...

    def scene_done(self, outcome: SceneOutcome) -> None:
        """Take note of one scene."""
        ...


class SerialExecutor:
    """One scene after the other, in this process."""

    def prepare(self, config: GenerateConfig) -> GenerateConfig:
        """Return the configuration unchanged."""
        return config

    def run(
        self, records: Sequence[SceneRecord], *, config: GenerateConfig, backbone: VideoBackbone, on_chunk: OnChunk
    ) -> Iterator[SceneOutcome]:
        """Make the scenes in order."""
        for record in records:
            yield attempt_scene(record, config=config, backbone=backbone, on_chunk=on_chunk)


def generate(config: GenerateConfig, *, executor: Executor, reporter: Reporter) -> JobReport:
    """Run the main job. The same call again does only what is not yet committed.

    Raises:
        SceneGenError: before any work, when a layout, the rig, the weights or the output place is not usable.
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
    reporter.plan(missing, num_skipped=len(planned) - len(missing))

    committed: list[SceneOutcome] = []
    failed: list[SceneOutcome] = []
    for outcome in executor.run(missing, config=config, backbone=backbone, on_chunk=reporter.chunk_done):
        record_outcome(ledger, outcome)
        (failed if outcome.error else committed).append(outcome)
        committer.fold_when_due()
        reporter.scene_done(outcome)
        if len(failed) > config.run.max_failures:
            break
    committer.fold()
    return JobReport(
        dataset_dir=dataset_dir,
        committed=tuple(committed),
        skipped=tuple(record.scene_id for record in planned if record.scene_id in present),
        failed=tuple(failed),
        not_started=len(missing) - len(committed) - len(failed),
        wall_s=time.perf_counter() - started_s,
    )


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

    rig = build_rig(config.rig)
    records: dict[str, SceneRecord] = {}
    for reference in expand_references(list(config.layouts)):
        layout = read_layout(reference)
        if config.prompt is not None:
            layout = apply_prompt(layout, config.prompt)
        layout = extend_layout(layout, duration_s=config.duration_s, rate_hz=config.rate_hz)
        validate_layout(layout)
        record = plan_scene(layout, rig=rig, config=config, backbone=backbone)
        records[record.scene_id] = record
    return list(records.values())


def plan_scene(layout: Layout, *, rig: CameraRig, config: GenerateConfig, backbone: VideoBackbone) -> SceneRecord:
    """Name a scene after everything that decides its bytes, and nothing else."""
    provenance = Provenance(
        code_version=scenegen.__version__,
        config_sha256=config.content_sha256(),
        model_id=backbone.model_id,
        weights_sha256=backbone.weights_sha256,
        model_licence=backbone.licence,
        source_licence=layout.licence,
    )
    decisive: tuple[object, ...] = (layout_sha256(layout), config.seed, config.split, provenance)
    if config.quality.is_asked:
        decisive = (*decisive, _judge_sha256())
    scene_id = f"{layout.layout_id}-{hashlib.sha256(repr(decisive).encode()).hexdigest()[:8]}"
    return SceneRecord(
        scene_id=scene_id, layout=layout, rig=rig, seed=config.seed, split=config.split, provenance=provenance
    )


def attempt_scene(
    record: SceneRecord, *, config: GenerateConfig, backbone: VideoBackbone, on_chunk: OnChunk
) -> SceneOutcome:
    """Make one scene and report what became of it; only an interrupt gets through."""
    started_s = time.perf_counter()
    try:
        made = generate_scene(record, config=config, backbone=backbone, on_chunk=on_chunk)
    except Exception as error:
        text = str(error) if isinstance(error, SceneGenError) else f"{type(error).__name__}: {error}"
        return SceneOutcome(
            scene_id=record.scene_id,
            error=" ".join(text.split()),
            traceback=traceback.format_exc(),
            wall_s=time.perf_counter() - started_s,
        )
    return SceneOutcome(
        scene_id=record.scene_id,
        num_frames=record.layout.timeline.num_steps * len(record.rig.cameras),
        wall_s=time.perf_counter() - started_s,
        warning=made.warning,
        cost_s=made.cost_s,
    )


def record_outcome(ledger: RunLedger, outcome: SceneOutcome) -> None:
    """Write what became of a scene into the run's folder."""
    if outcome.error:
        ledger.append_failure(outcome.scene_id, error=outcome.error, traceback=outcome.traceback)
        return
    warning = {"warning": outcome.warning} if outcome.warning else {}
    ledger.append(
        "committed", scene_id=outcome.scene_id, wall_s=round(outcome.wall_s, 3), cost_s=outcome.cost_s, **warning
    )


def _judge_sha256() -> str:
    from scenegen.certification import judge_sha256, open_judging

    open_judging()  # finds missing weights before any work
    return judge_sha256()
