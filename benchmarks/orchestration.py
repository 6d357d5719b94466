"""What distributing scenes costs: processor time beside the payload, and efficiency as workers grow.

    python -m benchmarks.orchestration overhead --tasks 8 --cpu-s 5         # a real Ray actor that burns processor time
    python -m benchmarks.orchestration scaling --workers 1,4,16,64,256      # real Ray actors that sleep as a GPU would
    python -m benchmarks.orchestration planning --layouts procedural:1-60   # what naming scenes costs the driver
    python -m benchmarks.orchestration scaling --threads                    # the same loop over threads, without Ray

`scaling` sleeps `--gpu-s` per scene, writes `--bytes` durably, and drives everything by the job's own dispatcher, pool
and ledger; a short sleep stresses the driver as that many more workers with longer scenes would. `--processes` is the
most processes that hold workers: above it several share one, as threads. Workers are up before the clock starts. It
prints efficiency at every number of workers and fits the universal scalability law. What lies past the last number
measured is extrapolation.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fake_scenes import FakeRecord, Payload, ThreadWorkers, VirtualWorkers
from benchmarks.process_times import cpu_seconds, family, private_mb, spent_since
from benchmarks.scalability_law import fit_scalability
from ray_jobs.cluster import open_ray
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.interrupts import Drain
from scenegen.orchestration.attempt import SceneOutcome
from scenegen.orchestration.dispatch import Dispatcher, WorkerPool
from scenegen.orchestration.ledger import open_ledger
from scenegen.orchestration.planning import plan_scenes
from scenegen.painting import open_backbone


class LedgerWatch:
    """Records what the job's own watch records, and shows nothing."""

    def __init__(self, folder: Path, config: GenerateConfig) -> None:
        self._ledger = open_ledger(folder, config)
        self.first_start_s = 0.0
        self.before: dict[str, float] = {}

    def started(self, scene_id: str, *, attempt: int) -> None:
        """Record a start."""
        if not self.first_start_s:
            self.before = cpu_seconds(family())
            self.first_start_s = time.perf_counter()
        self._ledger.append("started", scene_id=scene_id, attempt=attempt)

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        """Count frames."""
        self._ledger.count_frames(num_frames)

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        """Record a lost attempt."""
        self._ledger.append("abandoned", scene_id=scene_id, attempt=attempt, reason=reason)

    def settled(self, outcome: SceneOutcome) -> None:
        """Record a made scene."""
        self._ledger.append("committed", scene_id=outcome.scene_id, num_frames=1, wall_s=outcome.wall_s)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of fake scenes, from the first start to the last end; workers are warm by then.

    Attributes:
        cpu_s: processor time of this process and all below it, by role.
        payload_s: processor time of the payloads.
    """

    wall_s: float
    cpu_s: dict[str, float]
    payload_s: float


def run_config(num_workers: int) -> GenerateConfig:
    """Return the job's configuration for fake scenes."""
    config = compose_config(GenerateConfig, "generate", ["run=ray_local", "video=preview"])
    return replace(config, run=replace(config.run, num_workers=num_workers))


def measure(pool: WorkerPool, config: GenerateConfig, folder: Path, *, num_scenes: int) -> Measured:
    """Make fake scenes as a job makes scenes."""
    watch = LedgerWatch(folder, config)
    records: list[Any] = [FakeRecord(f"scene-{number}") for number in range(num_scenes)]
    dispatcher = Dispatcher(pool, run=config.run, watch=watch, drain=Drain())
    payload_s = 0.0
    for num_done, outcome in enumerate(dispatcher.run(records), start=1):
        assert not outcome.error, outcome.error
        watch.settled(outcome)
        payload_s += outcome.wall_s
        if num_done == num_scenes:  # before workers are closed
            wall_s = time.perf_counter() - watch.first_start_s
            spent = spent_since(watch.before)
    return Measured(wall_s=wall_s, cpu_s=spent, payload_s=payload_s)


def report_scaling(options: argparse.Namespace) -> None:
    """Measure and print efficiency at every number of workers."""
    counts = [int(text) for text in options.workers.split(",")]
    rates = []
    with tempfile.TemporaryDirectory() as name, nullcontext() if options.threads else open_ray(num_cpus=1):
        payload = Payload(gpu_s=options.gpu_s, num_bytes=options.bytes, folder=name)
        for count in counts:
            config, num_scenes = run_config(count), count * options.scenes_per_worker
            num_per_process = ceil(count / options.processes)
            pool: WorkerPool = (
                ThreadWorkers(payload, num_workers=count)
                if options.threads
                else VirtualWorkers(payload, run=config.run, num_per_process=num_per_process)
            )
            measured = measure(pool, config, Path(name), num_scenes=num_scenes)
            rates.append(num_scenes / measured.wall_s)
            sleeping_s = options.scenes_per_worker * options.gpu_s
            where = "threads" if options.threads else f"{ceil(count / num_per_process)} processes"
            print(
                f"{count:4d} workers in {where}: {rates[-1]:8.2f} scenes/s, "
                f"efficiency {sleeping_s / measured.wall_s:.3f} of sleeping\n"
                f"     CPU-ms a scene: {describe(measured.cpu_s, scale=1000.0 / num_scenes)}{describe_memory()}",
                flush=True,
            )
            if isinstance(pool, VirtualWorkers):
                pool.end()
    law = fit_scalability(counts, rates)
    print(
        f"contention {law.contention:.2e} +- {law.contention_error:.1e}, "
        f"coherency {law.coherency:.2e} +- {law.coherency_error:.1e}"
    )
    for count in (64, 256, 1000):
        past = "" if count <= max(counts) else "  (extrapolated)"
        print(f"{count:4d} workers: efficiency {law.efficiency(count):.3f} by the law{past}")


def describe(seconds: Mapping[str, float], *, scale: float) -> str:
    """Write processor time by role, the greatest first."""
    shown = sorted(((scale * value, role) for role, value in seconds.items()), reverse=True)
    return ", ".join(f"{role} {value:.2f}" for value, role in shown if value >= 0.005)


def describe_memory() -> str:
    """Say how much memory a process of workers takes, where there is one."""
    sizes = private_mb(family(), "actors")
    return f"; {len(sizes)} processes of {sum(sizes) / len(sizes):.0f} MB" if sizes else ""


def report_overhead(options: argparse.Namespace) -> None:
    """Measure and print what a task costs beside its payload, and apart from it what Ray takes while nothing runs.

    The second does not grow with tasks: all of it but the actors' part is the node's, however many actors share it.
    """
    config = run_config(1)
    with tempfile.TemporaryDirectory() as name, open_ray(num_cpus=1):
        pool = VirtualWorkers(Payload(cpu_s=options.cpu_s), run=config.run)
        idle_per_s = measure_idle(pool, settle_s=options.settle_s, seconds=options.idle_s)
        measured = measure(pool, config, Path(name), num_scenes=options.tasks)
    cpu_s = {**measured.cpu_s, "actors": measured.cpu_s["actors"] - measured.payload_s}
    beside_s, idle_s = sum(cpu_s.values()), sum(idle_per_s.values()) * measured.wall_s
    by_tasks_s = beside_s - idle_s
    caused = {role: seconds - idle_per_s.get(role, 0.0) * measured.wall_s for role, seconds in cpu_s.items()}
    print(
        f"{options.tasks} tasks of {options.cpu_s:g} CPU-s on one actor in {measured.wall_s:.1f} s: "
        f"payload {measured.payload_s:.1f} CPU-s\n"
        f"beside it {beside_s:.2f} CPU-s ({100.0 * beside_s / measured.payload_s:.2f} %), of which\n"
        f"  {idle_s:.2f} as on an idle node ({describe_idle(idle_per_s)})\n"
        f"  {by_tasks_s:.2f} by tasks ({100.0 * by_tasks_s / measured.payload_s:.2f} %), in CPU-ms a task: "
        f"{describe(caused, scale=1000.0 / options.tasks)}"
    )


def measure_idle(pool: VirtualWorkers, *, settle_s: float, seconds: float) -> dict[str, float]:
    """Return what a node of Ray with one actor and a driver takes while nothing runs: CPU-s per second, by role."""
    pool.open_worker(0)
    pool.wait()
    time.sleep(settle_s)
    before, started_s = cpu_seconds(family()), time.perf_counter()
    time.sleep(seconds)
    wall_s = time.perf_counter() - started_s
    return {role: spent_s / wall_s for role, spent_s in spent_since(before).items()}


def describe_idle(idle_per_s: Mapping[str, float]) -> str:
    """Write what an idle node takes an hour, and what of it is the actor's."""
    return (
        f"{3600.0 * sum(idle_per_s.values()):.0f} CPU-s an hour, {100.0 * sum(idle_per_s.values()):.2f} % of a core: "
        f"{describe(idle_per_s, scale=3600.0)}"
    )


def report_planning(options: argparse.Namespace) -> None:
    """Measure and print what it costs to name scenes, to hold them, and to send them to workers."""
    texts = ["video=preview", f"layouts=[{options.layouts}]"]
    config = compose_config(GenerateConfig, "generate", texts)
    backbone = open_backbone(config)
    plan_scenes(replace(config, layouts=("procedural:0",)), backbone)  # imports and caches
    rss_mb, started_s = psutil.Process().memory_info().rss / 1e6, time.process_time()
    scenes = plan_scenes(config, backbone)
    cpu_s, held_mb = time.process_time() - started_s, psutil.Process().memory_info().rss / 1e6 - rss_mb
    started_s = time.process_time()
    headers = [scene.read_header(config) for scene in scenes]
    again_s = time.process_time() - started_s
    num = len(scenes)
    print(
        f"{num} scenes: {cpu_s / num:.3f} CPU-s each to name, {held_mb:.0f} MB more in the driver, "
        f"{sum(len(pickle.dumps(scene)) for scene in scenes) / num / 1e3:.1f} kB each to a worker, which reads the "
        f"layout again in {again_s / num:.3f} CPU-s; their headers have "
        f"{sum(len(pickle.dumps(header)) for header in headers) / num / 1e6:.2f} MB each"
    )


def main() -> None:
    """Parse arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measures = parser.add_subparsers(required=True)
    scaling = measures.add_parser("scaling")
    scaling.add_argument("--workers", default="1,4,16,64,256")
    scaling.add_argument("--scenes-per-worker", type=int, default=10)
    scaling.add_argument("--gpu-s", type=float, default=2.0)
    scaling.add_argument("--bytes", type=int, default=100_000)
    scaling.add_argument("--processes", type=int, default=64, help="at most so many processes hold workers")
    scaling.add_argument("--threads", action="store_true", help="threads in place of Ray actors")
    overhead = measures.add_parser("overhead")
    overhead.add_argument("--tasks", type=int, default=8)
    overhead.add_argument("--cpu-s", type=float, default=5.0)
    overhead.add_argument("--idle-s", type=float, default=60.0, help="how long the idle node is watched before")
    overhead.add_argument("--settle-s", type=float, default=10.0, help="not counted, after the start of the cluster")
    planning = measures.add_parser("planning")
    planning.add_argument("--layouts", default="procedural:1-60")
    run: dict[argparse.ArgumentParser, Callable[[argparse.Namespace], None]] = {
        scaling: report_scaling,
        overhead: report_overhead,
        planning: report_planning,
    }
    for measure_parser, report in run.items():
        measure_parser.set_defaults(report=report)
    options = parser.parse_args()
    options.report(options)


if __name__ == "__main__":
    main()
