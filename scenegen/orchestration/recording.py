"""Everything a job tells of its scenes, written to the ledger and passed on to whoever shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from scenegen.orchestration.attempt import SceneOutcome, SceneWatch
from scenegen.orchestration.ledger import RunLedger
from scenegen.orchestration.planning import PlannedScene


class Reporter(SceneWatch, Protocol):
    """Whoever shows progress."""

    def plan(self, scenes: Sequence[PlannedScene], *, num_skipped: int, num_bytes: int) -> None:
        """Take note of what will be made, and of its size, which is an estimate."""
        ...

    def scene_done(self, outcome: SceneOutcome) -> None:
        """Take note of one scene."""
        ...


class RecordingWatch:
    """A `SceneWatch` that records first and shows then.

    Attributes:
        result: how the run ended, as the last event says; an end that nobody announced is a crash.
    """

    def __init__(self, ledger: RunLedger, reporter: Reporter) -> None:
        self._ledger = ledger
        self._reporter = reporter
        self.result = "crashed"

    def plan(self, scenes: Sequence[PlannedScene], *, num_skipped: int, num_bytes: int) -> None:
        """Record what will be made."""
        self._ledger.append(
            "planned",
            scene_ids=[scene.scene_id for scene in scenes],
            num_frames=sum(scene.num_frames for scene in scenes),
            num_skipped=num_skipped,
            num_bytes=num_bytes,
        )
        self._reporter.plan(scenes, num_skipped=num_skipped, num_bytes=num_bytes)

    @contextmanager
    def until_finished(self) -> Iterator[None]:
        """Give signs of life inside the block, and record how it ended."""
        try:
            with self._ledger.pulse():
                yield
        except (KeyboardInterrupt, GeneratorExit):
            self.result = "interrupted"
            raise
        finally:
            self._ledger.append("finished", result=self.result)

    def started(self, scene_id: str, *, attempt: int) -> None:
        """Record that a scene is begun."""
        self._ledger.append("started", scene_id=scene_id, attempt=attempt)
        self._reporter.started(scene_id, attempt=attempt)

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        """Count frames for the next `chunk` event."""
        self._ledger.count_frames(num_frames)
        self._reporter.chunk_done(scene_id, num_frames)

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        """Record that a scene will be tried again."""
        self._ledger.append("abandoned", scene_id=scene_id, attempt=attempt, reason=reason)
        self._reporter.abandoned(scene_id, attempt=attempt, reason=reason)

    def scene_done(self, outcome: SceneOutcome) -> None:
        """Record what became of a scene, and before that where it went on from checkpoints."""
        for resumption in outcome.resumptions:
            problem = {"problem": resumption.problem} if resumption.problem else {}
            self._ledger.append(
                "resumed",
                scene_id=outcome.scene_id,
                painting=resumption.attempt,
                start_step=resumption.start_step,
                **problem,
            )
        if outcome.kind is not None:
            self._ledger.append_failure(
                outcome.scene_id, error=outcome.error, kind=outcome.kind, traceback=outcome.traceback
            )
        else:
            warning = {"warning": outcome.warning} if outcome.warning else {}
            self._ledger.append(
                "committed",
                scene_id=outcome.scene_id,
                num_frames=outcome.num_frames,
                wall_s=round(outcome.wall_s, 3),
                cost=outcome.cost.as_dict(),
                **warning,
            )
        self._reporter.scene_done(outcome)
