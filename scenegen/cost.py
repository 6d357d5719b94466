"""What a scene costs, by stage: seconds on the clock, on processors and on a GPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from scenegen.video.gpu_time import start_gpu_clock

OTHER_THREADS = "other_threads"
"""Processor time of the threads that torch, numba and Zarr keep, which belongs to no one stage."""
GPU_STAGES = frozenset({"paint", "judge"})


@dataclass(frozen=True, kw_only=True)
class SceneCost:
    """Seconds per stage.

    Attributes:
        seconds: on the clock. Stages overlap, so the sum may exceed the wall time.
        cpu_seconds: of the stage's own thread; with `other_threads` they add up to the process's time.
        gpu_seconds: of the stages that a GPU may work in; zero on a CPU.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    gpu_seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Return what a receipt and the ledger record."""
        return asdict(self)


class StageClock:
    """Adds up what each stage costs. A stage belongs to one thread, so no lock is needed."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._cpu_seconds: dict[str, float] = {}
        self._gpu_seconds: dict[str, float] = {}
        self._process_started_s = time.process_time()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what happens inside the block to one stage."""
        started_s, cpu_started_s = time.perf_counter(), time.thread_time()
        gpu_seconds = start_gpu_clock() if name in GPU_STAGES else None
        try:
            yield
        finally:
            if gpu_seconds is not None:
                _add(self._gpu_seconds, name, gpu_seconds())
            _add(self._seconds, name, time.perf_counter() - started_s)
            _add(self._cpu_seconds, name, time.thread_time() - cpu_started_s)

    def cost(self) -> SceneCost:
        """Return the cost so far, rounded to milliseconds."""
        of_process_s = time.process_time() - self._process_started_s
        others_s = max(of_process_s - sum(self._cpu_seconds.values()), 0.0)
        return SceneCost(
            seconds=_rounded(self._seconds),
            cpu_seconds=_rounded({**self._cpu_seconds, OTHER_THREADS: others_s}),
            gpu_seconds=_rounded(self._gpu_seconds),
        )


def _add(totals: dict[str, float], name: str, seconds: float) -> None:
    totals[name] = totals.get(name, 0.0) + seconds


def _rounded(totals: dict[str, float]) -> dict[str, float]:
    return {name: round(seconds, 3) for name, seconds in totals.items()}
