"""Scenes over Ray actors. An actor loads the model once; a scene's header goes in, a small outcome comes back.

Ray holds no state that a resumed job needs: what is committed stands in the data set. A dead actor is replaced and
its scene tried again, and the scene's bytes do not depend on which actor makes it.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scenegen.config import GenerateConfig
from scenegen.errors import ConfigError
from scenegen.painting import OnChunk
from scenegen.pipeline import SceneOutcome, attempt_scene, open_backbone
from scenegen.types import SceneRecord
from scenegen.video.interface import VideoBackbone

MAX_ATTEMPTS = 3
"""How often a scene is started when the actors that make it die (killed, out of memory)."""
POLL_S = 0.5
OBJECT_STORE_BYTES = 256 * 1024**2
"""Only headers and outcomes travel, so the store can be small."""


class SceneWorker:
    """The inside of an actor. Two threads: one makes scenes, one answers how far it is."""

    def __init__(self, config: GenerateConfig) -> None:
        self._config = config
        self._backbone = open_backbone(config)
        self._num_frames = 0

    def make(self, record: SceneRecord) -> SceneOutcome:
        """Make and commit one scene."""
        return attempt_scene(record, config=self._config, backbone=self._backbone, on_chunk=self._count)

    def num_frames(self) -> int:
        """Return how many frames this worker has written."""
        return self._num_frames

    def _count(self, scene_id: str, num_frames: int) -> None:
        self._num_frames += num_frames


@dataclass
class _Worker:
    """The driver's view of one actor: what it makes, and how many of its frames were reported."""

    actor: Any
    record: SceneRecord | None = None
    attempt: int = 0
    num_frames_seen: int = 0


class RayExecutor:
    """Map scenes over `run.num_workers` actors, on the cluster of RAY_ADDRESS or on one started for this job."""

    def prepare(self, config: GenerateConfig) -> GenerateConfig:
        """Make paths absolute, and refuse a relative output on a cluster."""
        return with_absolute_paths(config)

    def run(
        self, records: Sequence[SceneRecord], *, config: GenerateConfig, backbone: VideoBackbone, on_chunk: OnChunk
    ) -> Iterator[SceneOutcome]:
        """Make the scenes; outcomes come as they are ready."""
        if not records:
            return
        with ray_session(config):
            yield from _run_on_actors(records, config=config, on_chunk=on_chunk)


def with_absolute_paths(config: GenerateConfig) -> GenerateConfig:
    """Resolve paths here: an actor's working folder is another one.

    Raises:
        ConfigError: a relative output on a cluster, where it would land in a folder that Ray deletes.
    """
    from scenegen.dataset.storage import is_url

    output = config.output if is_url(config.output) else str(Path(config.output).resolve())
    if is_on_cluster() and not is_url(config.output) and not Path(config.output).is_absolute():
        raise ConfigError(
            "an absolute `output` that every node of the cluster sees, or the URL of an object store",
            found=repr(config.output),
            where="run=ray",
            fix="for example output=/shared/datasets/mine",
        )
    weights = config.video.weights
    video = replace(config.video, weights=None if weights is None else str(Path(weights).resolve()))
    return replace(config, output=output, video=video)


def is_on_cluster() -> bool:
    """Say whether Ray was started by somebody else: `ray job submit` and RAY_ADDRESS both set the address."""
    return bool(os.environ.get("RAY_ADDRESS"))


@contextmanager
def ray_session(config: GenerateConfig) -> Iterator[None]:
    """Join the running cluster, or start one on this machine alone with a processor for every thread of the job."""
    with open_ray(num_cpus=config.run.num_workers * config.run.threads_per_scene):
        yield


@contextmanager
def open_ray(*, num_cpus: int) -> Iterator[None]:
    """Join the running cluster, or start one on this machine alone: loopback, token, no dashboard."""
    if not is_on_cluster():
        _protect_own_cluster()
    import ray

    if ray.is_initialized():
        yield
        return
    if is_on_cluster():
        ray.init(log_to_driver=False)
    else:
        ray.init(
            address="local",
            num_cpus=num_cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
        )
    try:
        yield
    finally:
        ray.shutdown()


def _protect_own_cluster() -> None:
    """Give a cluster of our own a secret token. Ray reads these variables when it is imported, so set them before."""
    if "ray" in sys.modules:
        return
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # this job is what the user asked for


def _run_on_actors(
    records: Sequence[SceneRecord], *, config: GenerateConfig, on_chunk: OnChunk
) -> Iterator[SceneOutcome]:
    import ray

    waiting = deque((record, 1) for record in records)
    idle = [_start_worker(config) for _ in range(min(config.run.num_workers, len(records)))]
    busy: dict[Any, _Worker] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                worker = idle.pop()
                worker.record, worker.attempt = waiting.popleft()
                busy[worker.actor.make.remote(worker.record)] = worker
            ready, _ = ray.wait(list(busy), num_returns=1, timeout=POLL_S)
            _report_frames(list(busy.values()), on_chunk)
            for reference in ready:
                worker = busy.pop(reference)
                assert worker.record is not None
                outcome = _collect(reference, worker)
                if outcome is None:
                    waiting.append((worker.record, worker.attempt + 1))
                else:
                    yield outcome
                idle.append(worker if outcome is not None and not outcome.worker_died else _start_worker(config))
    finally:
        for worker in [*idle, *busy.values()] if ray.is_initialized() else []:
            ray.kill(worker.actor)


def _start_worker(config: GenerateConfig) -> _Worker:
    import ray

    actor_class: Any = ray.remote(SceneWorker)
    options = {"num_cpus": config.run.threads_per_scene, "max_concurrency": 2}
    return _Worker(actor=actor_class.options(**options).remote(config))


def _collect(reference: Any, worker: _Worker) -> SceneOutcome | None:
    """Return the outcome of a finished call; None when the actor died and the scene deserves another attempt."""
    import ray

    assert worker.record is not None
    try:
        outcome: SceneOutcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        if worker.attempt < MAX_ATTEMPTS:
            return None
        text = " ".join(str(error).split())
        return SceneOutcome(
            scene_id=worker.record.scene_id,
            error=f"its worker died {worker.attempt} times: {text}",
            traceback=str(error),
            worker_died=True,
        )
    return outcome


def _report_frames(workers: list[_Worker], on_chunk: OnChunk) -> None:
    import ray

    calls = {worker.actor.num_frames.remote(): worker for worker in workers}
    answered, _ = ray.wait(list(calls), num_returns=len(calls), timeout=POLL_S)
    for reference in answered:
        worker = calls[reference]
        assert worker.record is not None
        try:
            num_frames = ray.get(reference)
        except ray.exceptions.RayError:
            continue  # a dead actor is noticed where its scene is collected
        if num_frames > worker.num_frames_seen:
            on_chunk(worker.record.scene_id, num_frames - worker.num_frames_seen)
            worker.num_frames_seen = num_frames
