"""A painting on its way: what grows with every chunk, saved after each where that is asked, and taken up again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenegen.config import GenerateConfig
from scenegen.cost import StageClock
from scenegen.interrupts import hold_interrupts
from scenegen.types import SceneChunk, SceneRecord
from scenegen.video.interface import VideoSession

if TYPE_CHECKING:
    from scenegen.certification import Inspection
    from scenegen.dataset.checkpoint import SceneCheckpoints
    from scenegen.dataset.preview import PreviewWriter
    from scenegen.dataset.write import SceneWriter

SESSION, INSPECTION = "session", "inspection"


@dataclass(frozen=True, kw_only=True)
class Resumption:
    """Where a painting went on from its checkpoints, or why it could not.

    Attributes:
        attempt: which painting of the scene, from 0.
        start_step: the first step that is painted anew.
        problem: why a checkpoint that was there was not taken; empty where all were.
    """

    attempt: int
    start_step: int
    problem: str


@dataclass(frozen=True, kw_only=True)
class OpenPainting:
    """Everything that one painting of a scene is written into.

    Attributes:
        session: paints it.
        inspection: judges it; None where nobody asked.
        checkpoints: None where none are kept.
    """

    session: VideoSession
    inspection: Inspection | None
    writer: SceneWriter
    preview: PreviewWriter
    checkpoints: SceneCheckpoints | None
    clock: StageClock

    def take_up(self, attempt: int) -> Resumption | None:
        """Write what an earlier painter saved, and remember what it remembered; None where there was nothing.

        Memory holds one chunk.
        """
        if self.checkpoints is None:
            return None
        start_step, state = 0, None
        for checkpoint in self.checkpoints.read():
            self.write(checkpoint.chunk)
            start_step, state = start_step + len(checkpoint.chunk.occupancy), checkpoint.state
        if state is not None:
            self.session.restore(state.get(SESSION, {}))
            if self.inspection is not None:
                self.inspection.restore(state[INSPECTION])
        problem = self.checkpoints.problem
        return Resumption(attempt=attempt, start_step=start_step, problem=problem) if start_step or problem else None

    def write(self, chunk: SceneChunk) -> None:
        """Add a chunk to the scene and to its preview."""
        with self.clock.stage("write"), hold_interrupts():
            self.writer.append(chunk)
            self.preview.append(chunk)

    def save(self, chunk: SceneChunk) -> None:
        """Keep a chunk that was written and judged, so that another painter can go on behind it."""
        if self.checkpoints is None:
            return
        from scenegen.dataset.checkpoint import Checkpoint

        with self.clock.stage("checkpoint"), hold_interrupts():
            state = {SESSION: self.session.state()}
            if self.inspection is not None:
                state[INSPECTION] = self.inspection.state()
            self.checkpoints.append(Checkpoint(chunk=chunk, state=state))


def open_painting(
    record: SceneRecord,
    *,
    attempt: int,
    config: GenerateConfig,
    session: VideoSession,
    inspection: Inspection | None,
    clock: StageClock,
    stack: ExitStack,
) -> OpenPainting:
    """Open a painting's files, which `stack` deletes unless the scene is committed. Checkpoints it leaves."""
    from scenegen.dataset.checkpoint import SceneCheckpoints
    from scenegen.dataset.preview import PreviewWriter
    from scenegen.dataset.write import open_scene_writer

    options = config.dataset
    with hold_interrupts():
        writer = stack.enter_context(
            open_scene_writer(config.output, record, image_codec=options.image_codec, jpeg_quality=options.jpeg_quality)
        )
        preview = stack.enter_context(PreviewWriter(writer.preview_dir, record))
    return OpenPainting(
        session=session,
        inspection=inspection,
        writer=writer,
        preview=preview,
        checkpoints=SceneCheckpoints(config.output, record, attempt=attempt) if config.run.checkpoint else None,
        clock=clock,
    )


def forget_checkpoints(record: SceneRecord, config: GenerateConfig) -> None:
    """Delete a settled scene's checkpoints, where any were kept."""
    from scenegen.dataset.checkpoint import delete_checkpoints

    if config.run.checkpoint:
        delete_checkpoints(config.output, record.scene_id)
