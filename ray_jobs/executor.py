"""Scenes over Ray actors, as the main job's executor.

Ray holds no state that a resumed job needs: what is committed stands in the data set. A dead actor is replaced and
its scene tried again, and the scene's bytes do not depend on which actor makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ray_jobs.cluster import is_on_cluster, joins_cluster, open_ray
from ray_jobs.metrics import MeteredWatch
from ray_jobs.pool import RayPool, SceneWorker
from scenegen.config import GenerateConfig
from scenegen.errors import ConfigError
from scenegen.interrupts import Drain
from scenegen.orchestration.attempt import SceneOutcome, SceneWatch
from scenegen.orchestration.dispatch import Dispatcher
from scenegen.orchestration.planning import PlannedScene
from scenegen.video.interface import VideoBackbone


class RayExecutor:
    """Map scenes over `run.num_workers` actors, on the cluster of RAY_ADDRESS or on one started for this job."""

    def prepare(self, config: GenerateConfig) -> GenerateConfig:
        """Make paths absolute; refuse a relative output on a cluster, no cluster, and an unguarded one."""
        joins_cluster(config.run)
        return with_absolute_paths(config)

    def run(
        self,
        records: Sequence[PlannedScene],
        *,
        config: GenerateConfig,
        backbone: VideoBackbone,
        watch: SceneWatch,
        drain: Drain,
    ) -> Iterator[SceneOutcome]:
        """Make the scenes; outcomes come as they are ready."""
        if not records:
            return
        with ray_session(config):
            metered = MeteredWatch(watch)
            pool = RayPool(SceneWorker, config, run=config.run)
            for outcome in Dispatcher(pool, run=config.run, watch=metered, drain=drain).run(records):
                metered.scene_done(outcome)
                yield outcome


def with_absolute_paths(config: GenerateConfig) -> GenerateConfig:
    """Resolve paths here: an actor's working folder is another one.

    Raises:
        ConfigError: a relative output on a cluster, where it would land in a folder that Ray deletes.
    """
    from scenegen.dataset.storage import absolute_location, is_url

    is_relative = not is_url(config.output) and not Path(config.output).is_absolute()
    if config.run.name != "ray_local" and is_on_cluster() and is_relative:
        raise ConfigError(
            "an absolute `output` that every node of the cluster sees, or the URL of an object store",
            found=repr(config.output),
            where=f"run={config.run.name}",
            fix="for example output=/shared/datasets/mine",
        )
    weights = config.video.weights
    video = replace(config.video, weights=None if weights is None else str(Path(weights).resolve()))
    return replace(config, output=absolute_location(config.output), video=video)


@contextmanager
def ray_session(config: GenerateConfig) -> Iterator[None]:
    """Join the running cluster, or start one on this machine alone with a processor for every thread of the job."""
    run = config.run
    num_cpus = run.num_workers * run.threads_per_scene
    with open_ray(num_cpus=num_cpus, is_own=not joins_cluster(run), require_token=run.require_token):
        yield
