"""The job's progress as Ray metrics, which every cluster's Prometheus scrapes with Ray's own."""

from __future__ import annotations

from scenegen.orchestration.attempt import SceneOutcome, SceneWatch


class MeteredWatch:
    """A `SceneWatch` that counts and passes on.

    Metrics, all of the driver: `scenegen_scenes` (by `result`: committed or failed), `scenegen_scenes_running`,
    `scenegen_frames`, `scenegen_attempts_lost`, `scenegen_cpu_seconds` and `scenegen_gpu_seconds` (by `stage`).
    """

    def __init__(self, watch: SceneWatch) -> None:
        from ray.util.metrics import Counter, Gauge

        self._watch = watch
        self._num_running = 0
        self._scenes = Counter("scenegen_scenes", description="Scenes that are settled.", tag_keys=("result",))
        self._running = Gauge("scenegen_scenes_running", description="Scenes that are being made.")
        self._frames = Counter("scenegen_frames", description="Images written.")
        self._lost = Counter("scenegen_attempts_lost", description="Attempts that were lost and tried again.")
        self._seconds = {
            "cpu": Counter("scenegen_cpu_seconds", description="Processor time of scenes.", tag_keys=("stage",)),
            "gpu": Counter("scenegen_gpu_seconds", description="GPU time of scenes.", tag_keys=("stage",)),
        }

    def started(self, scene_id: str, *, attempt: int) -> None:
        """Count a running scene."""
        self._run(+1)
        self._watch.started(scene_id, attempt=attempt)

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        """Count frames; those of a lost attempt were written all the same."""
        if num_frames > 0:
            self._frames.inc(num_frames)
        self._watch.chunk_done(scene_id, num_frames)

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        """Count a lost attempt."""
        self._run(-1)
        self._lost.inc()
        self._watch.abandoned(scene_id, attempt=attempt, reason=reason)

    def scene_done(self, outcome: SceneOutcome) -> None:
        """Count a settled scene and what it cost."""
        self._run(-1)
        self._scenes.inc(tags={"result": "failed" if outcome.error else "committed"})
        for unit, of_stage in (("cpu", outcome.cost.cpu_seconds), ("gpu", outcome.cost.gpu_seconds)):
            for stage, seconds in of_stage.items():
                if seconds > 0.0:
                    self._seconds[unit].inc(seconds, tags={"stage": stage})

    def _run(self, change: int) -> None:
        self._num_running += change
        self._running.set(self._num_running)
