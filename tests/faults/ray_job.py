"""The job of small scenes over Ray actors: `python -m tests.faults.ray_job DATASET` with RAY_ADDRESS set.

Pool, dispatcher, committer and resume are those of the main job; only the scenes are small ones.
"""

from __future__ import annotations

import os
import sys

from ray_jobs.cluster import open_ray
from ray_jobs.nodes import this_node_id
from ray_jobs.pool import RayPool
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.dataset.fold import Committer, committed_scene_ids
from scenegen.interrupts import Drain
from scenegen.orchestration.attempt import SceneOutcome
from scenegen.orchestration.dispatch import Dispatcher
from scenegen.types import SceneRecord
from tests.faults.small_scene import small_record, write_small

SCENE_IDS = tuple(f"small-{number:02}" for number in range(24))
OVERRIDES = (
    "run=ray_cluster",
    "run.num_workers=2",
    "run.threads_per_scene=1",
    "run.max_attempts=1000",
    "run.max_node_losses=1000",
)


class SmallWorker:
    """The inside of an actor, as `ray_jobs.pool.SceneWorker`."""

    def __init__(self, location: str) -> None:
        os.fsync = lambda descriptor: None  # type: ignore[assignment]  # the machine stays up
        self._location = location

    def ready(self) -> str:
        return this_node_id()

    def make(self, record: SceneRecord) -> SceneOutcome:
        write_small(self._location, record.scene_id)
        return SceneOutcome(scene_id=record.scene_id, num_frames=2)

    def progress(self) -> tuple[str, int]:
        return "", 0


class SilentWatch:
    """A `SceneWatch` that only says which attempts were lost."""

    def started(self, scene_id: str, *, attempt: int) -> None:
        pass

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        pass

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        print(f"{scene_id}: attempt {attempt} lost: {reason}", flush=True)


def main(location: str) -> None:
    """Make what is missing."""
    run = compose_config(GenerateConfig, "generate", list(OVERRIDES)).run
    committer = Committer(location)
    committer.fold()
    present = committed_scene_ids(location, among=list(SCENE_IDS))
    records = [small_record(scene_id) for scene_id in SCENE_IDS if scene_id not in present]
    with open_ray(num_cpus=1):
        pool = RayPool(SmallWorker, location, run=run)
        for outcome in Dispatcher(pool, run=run, watch=SilentWatch(), drain=Drain()).run(records):
            assert not outcome.error, outcome
            committer.fold()
    committer.fold()


if __name__ == "__main__":
    main(sys.argv[1])
