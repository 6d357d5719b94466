"""A pool of workers without processes, a plan without layouts, and a watch that remembers."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Literal

from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig, RunConfig
from scenegen.orchestration.attempt import SceneOutcome
from scenegen.orchestration.dispatch import (
    WorkerDone,
    WorkerEvent,
    WorkerLeaving,
    WorkerLost,
    WorkerProgress,
    WorkerReady,
)
from scenegen.orchestration.failures import FailureKind
from scenegen.orchestration.planning import PlannedScene

NUM_FRAMES = 10


def make_run(**changes: Any) -> RunConfig:
    texts = [f"run.{key}={value}" for key, value in {"num_workers": 2, **changes}.items()]
    return compose_config(GenerateConfig, "generate", ["run=ray", *texts]).run


def make_records(num: int) -> list[PlannedScene]:
    """Records that hold what dispatch reads of them."""
    return [SimpleNamespace(scene_id=f"scene-{number}") for number in range(num)]  # type: ignore[misc]


class FakePool:
    """Every scene fares as `fates` says of its n-th attempt: an outcome kind to fail or be lost with, `hang`, or None.

    Workers in `leaving` are told so inside their first scene, those in `leaving_at_once` as soon as they are ready.
    """

    def __init__(
        self,
        fates: Mapping[str, Sequence[FailureKind | Literal["hang"] | None]] | None = None,
        *,
        lost: frozenset[FailureKind] = frozenset({FailureKind.WORKER, FailureKind.NODE}),
        never_starts: bool = False,
        leaving: frozenset[int] = frozenset(),
        leaving_at_once: frozenset[int] = frozenset(),
    ) -> None:
        self._fates = fates or {}
        self._lost = lost
        self._never_starts = never_starts
        self._leaving = leaving
        self._leaving_at_once = leaving_at_once
        self._events: deque[WorkerEvent] = deque()
        self.open: set[int] = set()
        self.opened = 0
        self.busy: dict[int, str] = {}
        self.most_busy = 0
        self.attempts: Counter[str] = Counter()
        self.made_by: defaultdict[int, list[str]] = defaultdict(list)

    def open_worker(self, worker: int) -> None:
        self.open.add(worker)
        self.opened += 1
        if self._never_starts:
            self._events.append(WorkerLost(worker=worker, kind=FailureKind.WORKER, reason="no such image"))
        else:
            self._events.append(WorkerReady(worker=worker))
            if worker in self._leaving_at_once:
                self._events.append(WorkerLeaving(worker=worker))

    def submit(self, worker: int, record: PlannedScene) -> None:
        assert worker in self.open and worker not in self.busy
        scene_id = record.scene_id
        self.busy[worker] = scene_id
        self.most_busy = max(self.most_busy, len(self.busy))
        self.made_by[worker].append(scene_id)
        fates = self._fates.get(scene_id, [])
        kind = fates[self.attempts[scene_id]] if self.attempts[scene_id] < len(fates) else None
        self.attempts[scene_id] += 1
        self._events.append(WorkerProgress(worker=worker, num_frames=NUM_FRAMES // 2, num_chunks=1))
        if worker in self._leaving and len(self.made_by[worker]) == 1:
            self._events.append(WorkerLeaving(worker=worker))
        if kind == "hang":
            return
        if kind in self._lost:
            self._events.append(WorkerLost(worker=worker, kind=kind, reason="killed"))
        elif kind is not None:
            self._events.append(
                WorkerDone(worker=worker, outcome=SceneOutcome(scene_id=scene_id, error="it failed", kind=kind))
            )
        else:
            self._events.append(
                WorkerDone(worker=worker, outcome=SceneOutcome(scene_id=scene_id, num_frames=NUM_FRAMES))
            )

    def wait(self) -> Sequence[WorkerEvent]:
        if not self._events:
            time.sleep(0.01)
            return ()
        event = self._events.popleft()
        if isinstance(event, WorkerDone | WorkerLost):
            self.busy.pop(event.worker, None)
        if isinstance(event, WorkerLost):
            self.open.discard(event.worker)
        if self._events and isinstance(self._events[0], WorkerLeaving):  # what is known at once is told at once
            return (event, self._events.popleft())
        return (event,)

    def close_worker(self, worker: int) -> None:
        self.open.remove(worker)
        self.busy.pop(worker, None)


class RememberingWatch:
    def __init__(self) -> None:
        self.frames: Counter[str] = Counter()
        self.starts: list[tuple[str, int]] = []
        self.abandoned_scenes: list[str] = []

    def started(self, scene_id: str, *, attempt: int) -> None:
        self.starts.append((scene_id, attempt))

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        self.frames[scene_id] += num_frames

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        self.abandoned_scenes.append(scene_id)
