"""Scenes over a pool of workers: bounded work in flight, retries by class of failure, a failure budget, an orderly end.

The pool is a protocol, so that the same loop drives Ray actors, and in tests and benchmarks whatever behaves like them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from scenegen.config import RunConfig
from scenegen.errors import ClusterError
from scenegen.interrupts import Drain
from scenegen.open_painting import Resumption
from scenegen.orchestration.attempt import SceneOutcome, SceneWatch
from scenegen.orchestration.failures import FailureKind, RetryRule
from scenegen.orchestration.planning import PlannedScene

MOST_FAILED_STARTS = 5
"""Workers in a row that die before they are ready; then something is wrong with all of them."""


@dataclass(frozen=True, kw_only=True)
class WorkerReady:
    """A worker has loaded what it needs and can be given a scene."""

    worker: int


@dataclass(frozen=True, kw_only=True)
class WorkerProgress:
    """How far a worker is with its scene.

    Attributes:
        num_frames: written so far.
        num_chunks: painted so far, those of repeated paintings included, whose frames count once.
    """

    worker: int
    num_frames: int
    num_chunks: int


@dataclass(frozen=True, kw_only=True)
class WorkerDone:
    """A worker has finished its scene, well or badly, and can be given another."""

    worker: int
    outcome: SceneOutcome


@dataclass(frozen=True, kw_only=True)
class WorkerLost:
    """A worker is gone, and the scene it had with it."""

    worker: int
    kind: FailureKind
    reason: str


@dataclass(frozen=True, kw_only=True)
class WorkerLeaving:
    """A worker's machine will be taken away: it may finish its scene and is given no other."""

    worker: int


WorkerEvent = WorkerReady | WorkerProgress | WorkerDone | WorkerLost | WorkerLeaving


class WorkerPool(Protocol):
    """Workers by number. Each makes one scene at a time."""

    def open_worker(self, worker: int) -> None:
        """Start a worker; it says when it is ready."""
        ...

    def submit(self, worker: int, record: PlannedScene) -> None:
        """Give a ready worker a scene."""
        ...

    def wait(self) -> Sequence[WorkerEvent]:
        """Return what happened, after a short while at most; possibly nothing."""
        ...

    def close_worker(self, worker: int) -> None:
        """End a worker, whatever it is doing."""
        ...


@dataclass
class _Task:
    """A scene on its way: how its attempts failed, what they took up, what was reported of it, when the last chunk."""

    record: PlannedScene
    history: list[FailureKind] = field(default_factory=list)
    resumptions: tuple[Resumption, ...] = ()
    num_frames_seen: int = 0
    num_chunks_seen: int = 0
    moved_s: float = 0.0

    @property
    def attempt(self) -> int:
        return len(self.history) + 1


class Dispatcher:
    """Hands scenes to workers until all are made, too many have failed, or the job is told to end."""

    def __init__(self, pool: WorkerPool, *, run: RunConfig, watch: SceneWatch, drain: Drain) -> None:
        self._pool = pool
        self._run = run
        self._watch = watch
        self._drain = drain
        self._rule = RetryRule(max_attempts=run.max_attempts, max_node_losses=run.max_node_losses)
        self._waiting: deque[_Task] = deque()
        self._busy: dict[int, _Task] = {}
        self._idle: list[int] = []
        self._starting: set[int] = set()
        self._leaving: set[int] = set()
        self._num_opened = 0
        self._num_failed = 0
        self._num_failed_starts = 0

    def run(self, records: Sequence[PlannedScene]) -> Iterator[SceneOutcome]:
        """Make the scenes; outcomes come as they are ready. What is running is killed when the caller stops early.

        Raises:
            ClusterError: worker after worker dies before it is ready.
        """
        self._waiting = deque(_Task(record) for record in records)
        try:
            self._fill_pool()
            while self._busy or self._may_start():
                self._assign()
                for event in self._next_events():
                    outcome = self._handle(event)
                    if outcome is not None:
                        self._num_failed += bool(outcome.error)
                        yield outcome
                self._fill_pool()
        finally:
            for worker in [*self._idle, *self._busy, *self._starting]:
                self._pool.close_worker(worker)

    def _next_events(self) -> Iterator[WorkerEvent]:
        yield from self._pool.wait()
        yield from self._end_hung_workers()  # what was just heard of them has been handled by now

    def _end_hung_workers(self) -> Iterator[WorkerEvent]:
        hang_s = self._run.hang_s
        if hang_s is None:
            return
        now_s = time.monotonic()
        for worker in [worker for worker, task in self._busy.items() if now_s - task.moved_s > hang_s]:
            self._pool.close_worker(worker)
            reason = f"it hung: no new chunk for {hang_s:g} s (run.hang_s)"
            yield WorkerLost(worker=worker, kind=FailureKind.WORKER, reason=reason)

    def _may_start(self) -> bool:
        return bool(self._waiting) and self._num_failed <= self._run.max_failures and not self._drain.is_asked

    def _fill_pool(self) -> None:
        """Keep as many workers as there are scenes for, and no more than were asked for beside those that leave."""
        if not self._may_start():
            return
        num_staying = len(self._busy) - len(self._leaving)
        num_wanted = min(self._run.num_workers, len(self._waiting) + num_staying)
        for _ in range(num_wanted - num_staying - len(self._idle) - len(self._starting)):
            self._pool.open_worker(self._num_opened)
            self._starting.add(self._num_opened)
            self._num_opened += 1

    def _assign(self) -> None:
        while self._idle and self._may_start():
            worker, task = self._idle.pop(), self._waiting.popleft()
            task.num_frames_seen, task.num_chunks_seen, task.moved_s = 0, 0, time.monotonic()
            self._busy[worker] = task
            self._watch.started(task.record.scene_id, attempt=task.attempt)
            self._pool.submit(worker, task.record)

    def _handle(self, event: WorkerEvent) -> SceneOutcome | None:
        match event:
            case WorkerReady():
                self._starting.discard(event.worker)
                self._idle.append(event.worker)
                self._num_failed_starts = 0
            case WorkerProgress() if event.worker in self._busy:
                task = self._busy[event.worker]
                self._report_frames(task, event.num_frames)
                if event.num_chunks != task.num_chunks_seen:
                    task.num_chunks_seen, task.moved_s = event.num_chunks, time.monotonic()
            case WorkerDone():
                task = self._busy.pop(event.worker)
                self._release(event.worker)
                return self._settle(task, event.outcome)
            case WorkerLeaving() if event.worker in self._busy:
                self._leaving.add(event.worker)
            case WorkerLeaving() if event.worker in self._idle:
                self._idle.remove(event.worker)
                self._pool.close_worker(event.worker)
            case WorkerLost() if event.worker in self._busy:
                task = self._busy.pop(event.worker)
                self._leaving.discard(event.worker)
                text = f"its worker was lost: {event.reason}"
                return self._settle(task, SceneOutcome(scene_id=task.record.scene_id, error=text, kind=event.kind))
            case WorkerLost():
                self._bury(event)
        return None

    def _release(self, worker: int) -> None:
        """Let a worker wait for its next scene, or go where its machine will be taken away."""
        if worker not in self._leaving:
            self._idle.append(worker)
            return
        self._leaving.remove(worker)
        self._pool.close_worker(worker)

    def _settle(self, task: _Task, outcome: SceneOutcome) -> SceneOutcome | None:
        """Return the outcome for good, or put the scene back into the queue."""
        task.resumptions += outcome.resumptions
        outcome = replace(outcome, resumptions=task.resumptions)
        if outcome.kind is None:
            self._report_frames(task, outcome.num_frames)
            return replace(outcome, num_attempts=task.attempt)
        self._report_frames(task, 0)
        task.history.append(outcome.kind)
        if not self._rule.allows_another(task.history):
            return replace(outcome, num_attempts=len(task.history))
        self._watch.abandoned(task.record.scene_id, attempt=len(task.history), reason=outcome.error)
        self._waiting.append(task)
        return None

    def _report_frames(self, task: _Task, num_frames: int) -> None:
        """Report a scene's frames up to `num_frames`, which is less than before where an attempt was lost."""
        if num_frames != task.num_frames_seen:
            self._watch.chunk_done(task.record.scene_id, num_frames - task.num_frames_seen)
            task.num_frames_seen = num_frames

    def _bury(self, event: WorkerLost) -> None:
        """Forget a worker that had no scene."""
        if event.worker in self._idle:
            self._idle.remove(event.worker)
            return
        self._starting.discard(event.worker)
        self._num_failed_starts += 1
        if self._num_failed_starts >= MOST_FAILED_STARTS:
            raise ClusterError(
                "workers that start",
                found=f"{self._num_failed_starts} that died before they were ready, the last: {event.reason}",
                fix="look at the logs of the cluster; what is committed stays, and the same command goes on",
            )
