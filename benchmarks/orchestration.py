"""What distributing scenes costs: processor time beside the payload, and efficiency as workers grow.

    python -m benchmarks.orchestration overhead --tasks 8 --cpu-s 5         # a real Ray actor that burns processor time
    python -m benchmarks.orchestration scaling --workers 1,2,4,8,16,32,64   # real Ray actors that sleep as a GPU would
    python -m benchmarks.orchestration scaling --threads                    # the same loop over threads, without Ray

`scaling` sleeps `--gpu-s` per scene, writes `--bytes` durably, and drives everything by the job's own dispatcher and
ledger; a short sleep stresses the driver as that many more workers with longer scenes would. It prints efficiency at
every number of workers and fits the universal scalability law, throughput(N) = r N / (1 + s (N - 1) + k N (N - 1)).
What lies past the last number measured is extrapolation.
"""

from __future__ import annotations

import argparse
import os
import queue
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig, RunConfig
from scenegen.interrupts import Drain
from scenegen.orchestration.attempt import SceneOutcome
from scenegen.orchestration.dispatch import Dispatcher, WorkerDone, WorkerEvent, WorkerPool, WorkerReady
from scenegen.orchestration.ledger import open_ledger

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


class PayloadWorker:
    """The inside of an actor, as `ray_jobs.pool.SceneWorker`."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload
        self._scene_id = ""

    def ready(self) -> None:
        """Nothing is loaded."""

    def make(self, record: Any) -> SceneOutcome:
        """Run the payload; the outcome says how much processor time the process took meanwhile."""
        self._scene_id = record.scene_id
        started_s = time.process_time()
        self._payload.run(record.scene_id)
        return SceneOutcome(scene_id=record.scene_id, num_frames=1, wall_s=time.process_time() - started_s)

    def progress(self) -> tuple[str, int]:
        """Say that nothing is written yet."""
        return self._scene_id, 0


class ThreadWorkers:
    """A `WorkerPool` of threads."""

    def __init__(self, payload: Payload, *, num_workers: int) -> None:
        self._worker = PayloadWorker(payload)
        self._threads = ThreadPoolExecutor(num_workers)
        self._events: queue.SimpleQueue[WorkerEvent] = queue.SimpleQueue()

    def open_worker(self, worker: int) -> None:
        self._events.put(WorkerReady(worker=worker))

    def submit(self, worker: int, record: Any) -> None:
        def work() -> None:
            self._events.put(WorkerDone(worker=worker, outcome=self._worker.make(record)))

        self._threads.submit(work)

    def wait(self) -> Sequence[WorkerEvent]:
        try:
            events = [self._events.get(timeout=POLL_S)]
        except queue.Empty:
            return ()
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def close_worker(self, worker: int) -> None:
        self._threads.shutdown(wait=False)


class LedgerWatch:
    """Records what the job's own watch records, and shows nothing."""

    def __init__(self, folder: Path, config: GenerateConfig) -> None:
        self._ledger = open_ledger(folder, config)
        self.first_start_s = 0.0

    def started(self, scene_id: str, *, attempt: int) -> None:
        self.first_start_s = self.first_start_s or time.perf_counter()
        self._ledger.append("started", scene_id=scene_id, attempt=attempt)

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        self._ledger.count_frames(num_frames)

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        self._ledger.append("abandoned", scene_id=scene_id, attempt=attempt, reason=reason)

    def settled(self, outcome: SceneOutcome) -> None:
        self._ledger.append("committed", scene_id=outcome.scene_id, num_frames=1, wall_s=outcome.wall_s)


def run_config(num_workers: int) -> GenerateConfig:
    """Return the job's configuration for fake scenes: actors that ask for no processor."""
    config = compose_config(GenerateConfig, "generate", ["run=ray_local", "video=preview"])
    return replace(config, run=replace(config.run, num_workers=num_workers))


def measure_wall_s(pool: WorkerPool, config: GenerateConfig, folder: Path, *, num_scenes: int) -> float:
    """Return the time from the first scene's start to the last one's end; workers are warm by then."""
    watch = LedgerWatch(folder, config)
    records: list[Any] = [SimpleNamespace(scene_id=f"scene-{number}") for number in range(num_scenes)]
    dispatcher = Dispatcher(pool, run=config.run, watch=watch, drain=Drain())
    for outcome in dispatcher.run(records):
        assert not outcome.error, outcome.error
        watch.settled(outcome)
        ended_s = time.perf_counter()
    return ended_s - watch.first_start_s


@dataclass(frozen=True, kw_only=True)
class ScalabilityLaw:
    """A fit of throughput over workers: scenes per second of one, contention, coherency, and their standard errors."""

    rate: float
    contention: float
    coherency: float
    contention_error: float
    coherency_error: float

    def efficiency(self, num_workers: float) -> float:
        """Return throughput per worker as a share of that of one."""
        return 1.0 / (1.0 + self.contention * (num_workers - 1) + self.coherency * num_workers * (num_workers - 1))


def fit_scalability(num_workers: Sequence[int], scenes_per_s: Sequence[float]) -> ScalabilityLaw:
    """Fit the universal scalability law.

    Source: N. Gunther, "A General Theory of Computational Scalability Based on Rational Functions", 2008.
    """
    import numpy as np
    from scipy.optimize import curve_fit

    def law(n: Any, rate: float, contention: float, coherency: float) -> Any:
        return rate * n / (1.0 + contention * (n - 1.0) + coherency * n * (n - 1.0))

    n, rates = np.asarray(num_workers, np.float64), np.asarray(scenes_per_s, np.float64)
    guess = (float(rates[0] / n[0]), 1e-3, 1e-6)
    values, covariance = curve_fit(law, n, rates, p0=guess, sigma=rates, bounds=(0.0, np.inf))
    errors = np.sqrt(np.diag(covariance))
    return ScalabilityLaw(
        rate=float(values[0]),
        contention=float(values[1]),
        coherency=float(values[2]),
        contention_error=float(errors[1]),
        coherency_error=float(errors[2]),
    )


def report_scaling(options: argparse.Namespace) -> None:
    """Measure and print efficiency at every number of workers."""
    counts = [int(text) for text in options.workers.split(",")]
    rates = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        payload = Payload(gpu_s=options.gpu_s, num_bytes=options.bytes, folder=name)
        for count in counts:
            config = run_config(count)
            num_scenes = count * options.scenes_per_worker
            cpu_started_s = time.process_time()
            wall_s = open_and_measure(payload, config, folder, num_scenes=num_scenes, is_threads=options.threads)
            rates.append(num_scenes / wall_s)
            cpu_ms = 1000.0 * (time.process_time() - cpu_started_s) / num_scenes
            ideal_s = options.scenes_per_worker * options.gpu_s
            print(
                f"{count:4d} workers: {rates[-1]:8.2f} scenes/s, efficiency {ideal_s / wall_s:.3f} of sleeping, "
                f"{cpu_ms:.2f} CPU-ms of this process a scene"
            )
    law = fit_scalability(counts, rates)
    print(
        f"contention {law.contention:.2e} +- {law.contention_error:.1e}, "
        f"coherency {law.coherency:.2e} +- {law.coherency_error:.1e}"
    )
    for count in (64, 256, 1000):
        past = "" if count <= max(counts) else "  (extrapolated)"
        print(f"{count:4d} workers: efficiency {law.efficiency(count):.3f} by the law{past}")


def open_and_measure(
    payload: Payload, config: GenerateConfig, folder: Path, *, num_scenes: int, is_threads: bool
) -> float:
    """Measure over threads, or over actors of a cluster that is started before and stopped after."""
    if is_threads:
        pool = ThreadWorkers(payload, num_workers=config.run.num_workers)
        return measure_wall_s(pool, config, folder, num_scenes=num_scenes)
    from ray_jobs.cluster import open_ray

    with open_ray(num_cpus=1):
        pool_of_actors = open_actors(payload, config.run)
        return measure_wall_s(pool_of_actors, config, folder, num_scenes=num_scenes)


def open_actors(payload: Payload, run: RunConfig) -> Any:
    """Return a pool of actors that ask for no processor, all started and ready."""
    from ray_jobs.pool import RayPool

    class WarmPool(RayPool):
        """Waits for every worker before the first scene."""

        def wait(self) -> Sequence[WorkerEvent]:
            events = list(super().wait())
            while any(method == "ready" for _, method in self._calls.values()):
                events += super().wait()
            return events

    return WarmPool(PayloadWorker, payload, run=run, options={"num_cpus": 0})


def report_overhead(options: argparse.Namespace) -> None:
    """Measure and print the processor time that everything but the payload took."""
    import psutil

    from ray_jobs.cluster import open_ray

    config = run_config(1)
    payload = Payload(cpu_s=options.cpu_s)
    with tempfile.TemporaryDirectory() as name, open_ray(num_cpus=1):
        pool = open_actors(payload, config.run)
        watch = LedgerWatch(Path(name), config)
        records: list[Any] = [SimpleNamespace(scene_id=f"scene-{number}") for number in range(options.tasks)]
        scenes = Dispatcher(pool, run=config.run, watch=watch, drain=Drain()).run(records)
        outcomes = []
        processes, before = [], 0.0
        started_s = time.perf_counter()
        for outcome in scenes:
            if not outcomes:  # actors are up by now, so their start is not counted
                processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
                before, started_s = cpu_seconds(processes), time.perf_counter()
            outcomes.append(outcome)
            if len(outcomes) == options.tasks:
                spent_s, wall_s = cpu_seconds(processes) - before, time.perf_counter() - started_s
            watch.settled(outcome)
    payload_s = sum(outcome.wall_s for outcome in outcomes[1:])
    beside_s = spent_s - payload_s
    print(
        f"{len(outcomes) - 1} tasks of {options.cpu_s:g} CPU-s on one actor: payload {payload_s:.1f} CPU-s, "
        f"beside it {beside_s:.2f} CPU-s ({100.0 * beside_s / payload_s:.2f} %) in {wall_s:.1f} s"
    )


def cpu_seconds(processes: Sequence[Any]) -> float:
    """Return the processor time of processes that are still there."""
    import psutil

    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def main() -> None:
    """Parse arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measures = parser.add_subparsers(required=True)
    scaling = measures.add_parser("scaling")
    scaling.add_argument("--workers", default="1,2,4,8,16,32,64")
    scaling.add_argument("--scenes-per-worker", type=int, default=20)
    scaling.add_argument("--gpu-s", type=float, default=0.25)
    scaling.add_argument("--bytes", type=int, default=100_000)
    scaling.add_argument("--threads", action="store_true", help="threads in place of Ray actors")
    overhead = measures.add_parser("overhead")
    overhead.add_argument("--tasks", type=int, default=8)
    overhead.add_argument("--cpu-s", type=float, default=5.0)
    run: dict[argparse.ArgumentParser, Callable[[argparse.Namespace], None]] = {
        scaling: report_scaling,
        overhead: report_overhead,
    }
    for measure, report in run.items():
        measure.set_defaults(report=report)
    options = parser.parse_args()
    options.report(options)


if __name__ == "__main__":
    main()
