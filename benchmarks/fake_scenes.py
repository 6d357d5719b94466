"""Scenes that cost what one says and make nothing, and workers that make them: in threads, or in actors of Ray.

An actor's process holds any number of virtual workers, each a thread, so that hundreds fit on a small machine. To the
driver every one is a worker of its own: as many calls, events and lines as hundreds of processes would cause.
"""

from __future__ import annotations

import os
import queue
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_jobs.pool import RayPool
from scenegen.config import RunConfig
from scenegen.orchestration.attempt import SceneOutcome
from scenegen.orchestration.dispatch import WorkerDone, WorkerEvent, WorkerReady

POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What a fake scene does: burn processor time, sleep as a GPU would, write."""

    cpu_s: float = 0.0
    gpu_s: float = 0.0
    num_bytes: int = 0
    folder: str = ""

    def run(self, scene_id: str) -> None:
        """Do it in the calling thread."""
        stop_s = time.thread_time() + self.cpu_s
        while time.thread_time() < stop_s:
            sum(range(10_000))
        time.sleep(self.gpu_s)
        if self.num_bytes:
            with Path(self.folder, scene_id).open("wb") as file:
                file.write(secrets.token_bytes(self.num_bytes))
                file.flush()
                os.fsync(file.fileno())


@dataclass(frozen=True)
class FakeRecord:
    """As much of a scene's header as a fake scene needs."""

    scene_id: str


class PayloadWorker:
    """The inside of an actor, as `ray_jobs.pool.SceneWorker`, for one worker or for several."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload
        self._scene_ids: dict[int, str] = {}

    def ready(self, worker: int = 0) -> str:
        """Nothing is loaded; no node's notices matter."""
        return ""

    def make(self, record: FakeRecord, worker: int = 0) -> SceneOutcome:
        """Run the payload; the outcome says how much processor time the calling thread took."""
        self._scene_ids[worker] = record.scene_id
        started_s = time.thread_time()
        self._payload.run(record.scene_id)
        return SceneOutcome(scene_id=record.scene_id, num_frames=1, wall_s=time.thread_time() - started_s)

    def progress(self, worker: int = 0) -> tuple[str, int, int]:
        """Say that nothing is written yet."""
        return self._scene_ids.get(worker, ""), 0, 0


class ThreadWorkers:
    """A `WorkerPool` of threads."""

    def __init__(self, payload: Payload, *, num_workers: int) -> None:
        self._worker = PayloadWorker(payload)
        self._threads = ThreadPoolExecutor(num_workers)
        self._events: queue.SimpleQueue[WorkerEvent] = queue.SimpleQueue()

    def open_worker(self, worker: int) -> None:
        """Say that it is ready."""
        self._events.put(WorkerReady(worker=worker))

    def submit(self, worker: int, record: Any) -> None:
        """Let a thread make a scene."""

        def work() -> None:
            self._events.put(WorkerDone(worker=worker, outcome=self._worker.make(record)))

        self._threads.submit(work)

    def wait(self) -> Sequence[WorkerEvent]:
        """Return what happened."""
        try:
            events = [self._events.get(timeout=POLL_S)]
        except queue.Empty:
            return ()
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def close_worker(self, worker: int) -> None:
        """Let all threads end."""
        self._threads.shutdown(wait=False)


@dataclass(frozen=True)
class VirtualMethod:
    """A method of an actor, called for one of the workers that share it."""

    method: Any
    worker: int

    def remote(self, *arguments: Any) -> Any:
        """Call it; returns Ray's reference to the answer."""
        return self.method.remote(*arguments, worker=self.worker)


class VirtualActor:
    """One worker of an actor that several share."""

    def __init__(self, actor: Any, worker: int) -> None:
        self.ready, self.make, self.progress = (
            VirtualMethod(method, worker) for method in (actor.ready, actor.make, actor.progress)
        )


class VirtualWorkers(RayPool):
    """The job's own pool, over actors of which each holds `num_per_process` workers.

    The first scene is handed out when all workers are ready. Actors ask for no processor.
    """

    def __init__(self, payload: Payload, *, run: RunConfig, num_per_process: int = 1) -> None:
        options = {"num_cpus": 0, "max_concurrency": 2 * num_per_process}
        super().__init__(PayloadWorker, payload, run=run, options=options)
        self._num_per_process = num_per_process
        self._processes: dict[int, Any] = {}
        self._num_starting = 0

    def open_worker(self, worker: int) -> None:
        """Start a worker, and its process where it is the first one there."""
        process = worker // self._num_per_process
        if process not in self._processes:
            self._processes[process] = self._actor_class.remote(*self._arguments)
        self._actors[worker] = VirtualActor(self._processes[process], worker)
        self._calls[self._actors[worker].ready.remote()] = (worker, "ready")
        self._num_starting += 1

    def wait(self) -> Sequence[WorkerEvent]:
        """Return what happened, and nothing before every worker is ready."""
        events = list(super().wait())
        self._num_starting -= count_ready(events)
        while self._num_starting:
            more = super().wait()
            self._num_starting -= count_ready(more)
            events += more
        return events

    def close_worker(self, worker: int) -> None:
        """Forget the worker; others may share its process."""
        if worker in self._actors:
            self._forget(worker)

    def end(self) -> None:
        """End the processes."""
        for process in self._processes.values():
            self._ray.kill(process)


def count_ready(events: Sequence[WorkerEvent]) -> int:
    """Count the workers that are ready by these events."""
    return sum(isinstance(event, WorkerReady) for event in events)
