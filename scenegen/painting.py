"""One scene, painted and committed.

    world -> for every chunk: conditions -> frames -> labels -> disk -> judge -> commit, or paint again

Every painting is staged beside the data set; the first above the bar of `quality` is committed, or else the best.
With `run.checkpoint` a scene whose painter was killed goes on behind the last chunk that was saved.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from scenegen.config import GenerateConfig, OccupancyConfig
from scenegen.cost import SceneCost, StageClock
from scenegen.errors import QualityError
from scenegen.heap import give_back_memory, keep_freed_memory
from scenegen.interrupts import hold_interrupts
from scenegen.open_painting import Resumption, forget_checkpoints, open_painting
from scenegen.scene import ChunkLabels, SceneStage
from scenegen.types import SceneChunk, SceneRecord
from scenegen.video.interface import VideoBackbone

if TYPE_CHECKING:
    from scenegen.certification import Certificate, Inspection
    from scenegen.dataset.write import SceneWriter
    from scenegen.occupancy.model import OccupancyModel

OnResumption = Callable[[Resumption], None]
OnChunk = Callable[[str, int], None]
"""Called after every chunk with the scene id and the number of frames (steps times views) just written.

The chunks of a scene that is painted again come with no frames: those count once.
"""


@dataclass(frozen=True, kw_only=True)
class MadeScene:
    """A committed scene: what it cost, and a warning where it is under the bar; see `attempt.SceneOutcome`."""

    cost: SceneCost
    warning: str


def generate_scene(
    record: SceneRecord,
    *,
    config: GenerateConfig,
    backbone: VideoBackbone,
    on_chunk: OnChunk,
    on_resumption: OnResumption = lambda resumption: None,
) -> MadeScene:
    """Make and commit one scene, painting it again with other noise while it is under the bar of `quality`.

    Progress counts the first painting only. Chunks that were taken from checkpoints count as soon as they are.

    Raises:
        QualityError: it stayed under the bar, and `quality.keep_failed` is not set.
    """
    from scenegen.video.threads import pin_threads

    pin_threads(config.run.threads_per_scene)
    clock = StageClock()
    with clock.stage("world"):
        occupancy = open_occupancy(config.occupancy)
        voxels = None if occupancy is None else occupancy.sample(record.layout, seed=record.seed)
        stage = SceneStage(
            record.layout,
            rig=record.rig,
            seed=record.seed,
            world_voxels=voxels,
            lidar=record.lidar,
            device=config.conditions.torch_device,
        )
    quality = config.quality
    with ExitStack() as stack:
        best: Painting | None = None
        attempts = range(quality.max_attempts if quality.is_asked else 1)
        for attempt in attempts:
            painting = _paint_scene(
                record, stage, attempt=attempt, config=config, backbone=backbone, stack=stack, clock=clock,
                on_chunk=on_chunk if attempt == 0 else lambda scene_id, _: on_chunk(scene_id, 0),
                on_resumption=on_resumption,
            )  # fmt: skip
            if best is not None and best.shortfall <= painting.shortfall:
                painting.writer.abort()
            else:
                if best is not None:
                    best.writer.abort()
                best = painting
            if best.shortfall == 0.0:
                break
        assert best is not None
        warning = _describe_missed(best, num_attempts=attempt + 1)
        if warning and not quality.keep_failed:
            forget_checkpoints(record, config)
            raise QualityError(
                "a scene above the bar of `quality`",
                found=warning,
                where=record.scene_id,
                fix="raise quality.max_attempts, lower the bar, or keep such scenes with quality.keep_failed=true",
            )
        with clock.stage("write"), hold_interrupts():
            _commit(best, num_attempts=attempt + 1, clock=clock)
            forget_checkpoints(record, config)
    return MadeScene(cost=clock.cost(), warning=warning)


@dataclass(frozen=True, kw_only=True)
class Painting:
    """A painted scene, staged and not yet committed.

    Attributes:
        attempt: which painting, from 0.
        certificate: what the judge said; None where it was not asked.
    """

    attempt: int
    writer: SceneWriter
    certificate: Certificate | None

    @property
    def shortfall(self) -> float:
        """How far it is under the bar; zero where it passed or no bar was set."""
        return 0.0 if self.certificate is None else self.certificate.shortfall


def _paint_scene(
    record: SceneRecord,
    stage: SceneStage,
    *,
    attempt: int,
    config: GenerateConfig,
    backbone: VideoBackbone,
    stack: ExitStack,
    clock: StageClock,
    on_chunk: OnChunk,
    on_resumption: OnResumption,
) -> Painting:
    """Paint all chunks of a scene into its staging folder, which `stack` deletes unless it is committed.

    Memory does not grow with the length of the scene: chunks stream from the ray caster to the disk. While the
    model paints one chunk, a thread prepares the next; the order of all arithmetic stays fixed. Chunks that have a
    checkpoint are taken from there.
    """
    session = backbone.open_session(replace(stage.context, attempt=attempt))
    inspection = _open_inspection(record, stage, config) if config.quality.is_asked else None
    painting = open_painting(
        record, attempt=attempt, config=config, session=session, inspection=inspection, clock=clock, stack=stack
    )
    if stage.world_voxels is not None:
        with clock.stage("write"), hold_interrupts():
            painting.writer.write_world(stage.world_voxels)
    num_views, start_step = len(record.rig.cameras), 0
    resumption = painting.take_up(attempt)
    if resumption is not None:
        start_step = resumption.start_step
        on_resumption(resumption)
        on_chunk(record.scene_id, num_views * start_step)
    coming = stage.label_ahead(num_steps_per_chunk=config.num_steps_per_chunk, clock=clock, start_step=start_step)
    with closing(coming) as chunks:
        for labels in chunks:
            with clock.stage("paint"):
                rgb = session.paint(labels.conditions, start_step=labels.start_step)
            chunk = finish_chunk(labels, rgb, config)
            if inspection is not None:
                with clock.stage("judge"):
                    inspection.look(labels.conditions, chunk.rgb, start_step=labels.start_step)
            del labels  # its conditions are two thirds of a chunk, and the next one is in memory already
            give_back_memory()
            painting.write(chunk)
            painting.save(chunk)
            num_frames = num_views * chunk.rgb.shape[1]
            del chunk, rgb
            give_back_memory()
            on_chunk(record.scene_id, num_frames)
    with clock.stage("write"), hold_interrupts():
        painting.preview.close()
    certificate = None if inspection is None else inspection.certificate()
    return Painting(attempt=attempt, writer=painting.writer, certificate=certificate)


def open_occupancy(config: OccupancyConfig) -> OccupancyModel | None:
    """Load the model that samples static worlds, once per process; None where rules fill them.

    Raises:
        WeightsError: its weights are missing, damaged or others than expected.
    """
    from scenegen.occupancy.model import load_occupancy_model

    return load_occupancy_model(
        config.name,
        steps=config.steps,
        loops=config.loops,
        tolerance=config.tolerance,
        mixer=config.mixer,
        weights=config.weights,
        weights_sha256=config.weights_sha256,
    )


def open_backbone(config: GenerateConfig) -> VideoBackbone:
    """Load the model that the configuration names."""
    from scenegen.video.threads import let_waiting_threads_sleep

    let_waiting_threads_sleep()
    from scenegen.video.build import load_backbone

    video = config.video
    if video.name == "native":
        keep_freed_memory()
    return load_backbone(
        video.name,
        size=video.size,
        model=video.model,
        sampler=video.sampler,
        steps=video.steps,
        eta=video.eta,
        precision=video.precision,
        temperature=video.temperature,
        weights=video.weights,
        history=video.history,
        weights_sha256=video.weights_sha256,
    )


def require_device(config: GenerateConfig) -> None:
    """Refuse a device for condition maps that this process needs and does not have; workers see to their own.

    Raises:
        DependencyError: a CUDA device is asked for and there is none.
    """
    device = config.conditions.torch_device
    if device is not None and config.run.name == "serial":
        from scenegen.conditions.device.caster import open_device

        open_device(device)


def finish_chunk(labels: ChunkLabels, rgb: UInt8[np.ndarray, "V T H W 3"], config: GenerateConfig) -> SceneChunk:
    """Join labels and frames, with what the configuration asks to be stored."""
    chunk = labels.with_frames(rgb)
    if config.dataset.labels == "stored":
        chunk = replace(chunk, dense=labels.dense())
    if config.dataset.lidar == "none" and chunk.lidar is not None:
        chunk = replace(chunk, lidar=replace(chunk.lidar, sweeps=None))
    return chunk


def _commit(painting: Painting, *, num_attempts: int, clock: StageClock) -> None:
    certificate = painting.certificate
    cost = clock.cost().as_dict()
    if certificate is None:
        painting.writer.commit(scores={}, cost=cost)
        return
    scores = certificate.scores(attempt=painting.attempt, num_attempts=num_attempts)
    painting.writer.commit(scores=scores, cost=cost, found_share=certificate.found_share)


def _describe_missed(painting: Painting, *, num_attempts: int) -> str:
    if painting.certificate is None or painting.certificate.has_passed:
        return ""
    return f"{' and '.join(painting.certificate.missed)} in the best of {num_attempts} paintings"


def _open_inspection(record: SceneRecord, stage: SceneStage, config: GenerateConfig) -> Inspection:
    from scenegen.certification import Inspection, open_judging

    return Inspection(record, context=stage.context, quality=config.quality, judging=open_judging())
