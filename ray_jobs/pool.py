"""Workers as Ray actors. An actor loads the model once; a scene's header goes in, a small outcome comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ray_jobs.nodes import DrainNotices, this_node_id
from scenegen.config import GenerateConfig, RunConfig
from scenegen.orchestration.attempt import SceneOutcome, attempt_scene
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
from scenegen.painting import open_backbone

POLL_S = 0.5
PROGRESS_EVERY_S = 2.0
MOST_PROGRESS_CALLS_PER_S = 50.0
"""A thousand workers are asked less often, so that asking costs the driver little."""
GIB = 1024**3


class SceneWorker:
    """The inside of an actor. Two threads: one makes scenes, one answers how far it is."""

    def __init__(self, config: GenerateConfig) -> None:
        self._config = config
        self._backbone = open_backbone(config)
        self._progress = ("", 0, 0)

    def ready(self) -> str:
        """Return the node that this runs on, once the model is loaded."""
        return this_node_id()

    def make(self, record: PlannedScene) -> SceneOutcome:
        """Make and commit one scene."""
        self._progress = (record.scene_id, 0, 0)
        return attempt_scene(record, config=self._config, backbone=self._backbone, on_chunk=self._count)

    def progress(self) -> tuple[str, int, int]:
        """Return the scene, how many of its frames are written, and how many chunks were painted."""
        return self._progress

    def _count(self, scene_id: str, num_frames: int) -> None:
        _, num_before, num_chunks = self._progress
        self._progress = (scene_id, num_before + num_frames, num_chunks + 1)


class RayPool:
    """A `WorkerPool` of Ray actors.

    Args:
        worker_class: what runs inside an actor: `ready`, `make` and `progress` as `SceneWorker` has them.
        arguments: of its constructor; they travel through Ray's object store once.
        run: what an actor asks for, and where actors go.
        options: of Ray, in place of those that follow from `run`.
    """

    def __init__(
        self, worker_class: type, *arguments: Any, run: RunConfig, options: Mapping[str, Any] | None = None
    ) -> None:
        import ray

        self._ray = ray
        self._actor_class: Any = ray.remote(worker_class).options(**{**actor_options(run), **(options or {})})
        self._arguments = [ray.put(argument) for argument in arguments]
        self._actors: dict[int, Any] = {}
        self._scene_ids: dict[int, str] = {}
        self._calls: dict[Any, tuple[int, str]] = {}
        self._progress_every_s = max(PROGRESS_EVERY_S, run.num_workers / MOST_PROGRESS_CALLS_PER_S)
        self._asked_s = time.monotonic()
        self._notices = DrainNotices()
        self._node_ids: dict[int, str] = {}
        self._leaving: set[int] = set()

    def open_worker(self, worker: int) -> None:
        """Start an actor; it waits for resources as long as the cluster has none."""
        self._actors[worker] = self._actor_class.remote(*self._arguments)
        self._calls[self._actors[worker].ready.remote()] = (worker, "ready")

    def submit(self, worker: int, record: PlannedScene) -> None:
        """Let an actor make a scene."""
        self._scene_ids[worker] = record.scene_id
        self._calls[self._actors[worker].make.remote(record)] = (worker, "make")

    def wait(self) -> Sequence[WorkerEvent]:
        """Return what the actors answered."""
        self._ask_progress()
        calls = list(self._calls)
        if not calls:
            time.sleep(POLL_S)
            return ()
        answered, _ = self._ray.wait(calls, num_returns=1, timeout=POLL_S)
        if answered:  # and whatever else is there by now
            answered, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
        return [*(event for call in answered for event in self._read(call)), *self._read_notices()]

    def close_worker(self, worker: int) -> None:
        """Kill an actor."""
        if worker in self._actors and self._ray.is_initialized():  # else it was lost, or the cluster is
            self._ray.kill(self._forget(worker))

    def _ask_progress(self) -> None:
        if time.monotonic() - self._asked_s < self._progress_every_s:
            return
        self._asked_s = time.monotonic()
        asked = {worker for worker, method in self._calls.values() if method == "progress"}
        for worker in self._scene_ids.keys() - asked:
            self._calls[self._actors[worker].progress.remote()] = (worker, "progress")

    def _read(self, call: Any) -> Iterator[WorkerEvent]:
        if call not in self._calls:
            return  # of a worker that was lost in the same round
        worker, method = self._calls.pop(call)
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            if method != "progress":  # the scene's own call says it too, and says it once
                self._forget(worker)
                yield WorkerLost(worker=worker, kind=loss_kind(error), reason=" ".join(str(error).split()))
            return
        if method == "ready":
            self._node_ids[worker] = answer
            yield WorkerReady(worker=worker)
        elif method == "make":
            del self._scene_ids[worker]
            yield WorkerDone(worker=worker, outcome=answer)
        elif answer[0] == self._scene_ids.get(worker):
            yield WorkerProgress(worker=worker, num_frames=answer[1], num_chunks=answer[2])

    def _read_notices(self) -> Iterator[WorkerEvent]:
        """Say which workers are on nodes that drain, and end those that have a scene beyond the deadline."""
        deadlines_s = self._notices.deadlines_s()
        if not deadlines_s:
            return
        for worker, node_id in list(self._node_ids.items()):
            if node_id not in deadlines_s:
                continue
            if worker not in self._leaving:
                self._leaving.add(worker)
                yield WorkerLeaving(worker=worker)
            if worker in self._scene_ids and time.time() >= deadlines_s[node_id]:
                self._ray.kill(self._forget(worker))
                reason = "its node drains, and the deadline has come"
                yield WorkerLost(worker=worker, kind=FailureKind.NODE, reason=reason)

    def _forget(self, worker: int) -> Any:
        self._node_ids.pop(worker, None)
        self._leaving.discard(worker)
        self._scene_ids.pop(worker, None)
        self._calls = {call: about for call, about in self._calls.items() if about[0] != worker}
        return self._actors.pop(worker)


def actor_options(run: RunConfig) -> dict[str, Any]:
    """Return what an actor asks Ray for. It is never restarted: the dispatcher opens another."""
    options: dict[str, Any] = {
        "num_cpus": run.threads_per_scene,
        "num_gpus": run.gpus_per_worker,
        "max_concurrency": 2,
        "max_restarts": 0,
        "scheduling_strategy": {"pack": "DEFAULT", "spread": "SPREAD"}[run.placement],
    }
    if run.memory_gib_per_worker is not None:
        options["memory"] = int(run.memory_gib_per_worker * GIB)
    return options


def loss_kind(error: Exception) -> FailureKind:
    """Say why a worker is gone, from what Ray raised in place of its answer."""
    from ray import exceptions

    if isinstance(error, exceptions.OutOfMemoryError):
        return FailureKind.MEMORY
    if isinstance(error, exceptions.RayTaskError):
        return FailureKind.ERROR  # it answered, with an exception that nothing expected
    text = str(error)
    is_preempted = isinstance(error, exceptions.RayActorError) and error.preempted
    if is_preempted or isinstance(error, exceptions.NodeDiedError) or "node has died" in text:
        return FailureKind.NODE
    return FailureKind.MEMORY if "low on memory" in text else FailureKind.WORKER
