"""Two simulated nodes: one is killed, one is told to drain, and workers hang."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from ray_jobs.nodes import ASK_EVERY_S
from ray_jobs.pool import RayPool
from scenegen.dataset import read_manifest
from scenegen.interrupts import Drain
from scenegen.orchestration.attempt import SceneOutcome
from scenegen.orchestration.dispatch import Dispatcher
from scenegen.orchestration.status import read_status
from tests.conftest import TINY_JOB
from tests.e2e.test_main_job import content_of
from tests.faults.checks import assert_nothing_or_whole
from tests.faults.ray_cluster import TwoNodes, two_nodes
from tests.faults.ray_workers import HangingWorker, NotingWorker, read_notes
from tests.unit.orchestration.fakes import RememberingWatch, make_records, make_run

pytestmark = [pytest.mark.ray, pytest.mark.battery("F10 and F11 lost nodes, notices and hung workers on Ray")]

LONGEST_JOB_S = 200.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    with two_nodes(num_cpus=2) as started:
        yield started


@pytest.fixture
def nodes(cluster: TwoNodes) -> TwoNodes:
    """The cluster, with a second node if another test has taken it away."""
    if not cluster.has_second():
        cluster.replace_second()
    return cluster


@pytest.fixture
def joined(nodes: TwoNodes) -> Iterator[TwoNodes]:
    """This process as a driver of the cluster."""
    import ray

    ray.init(address=nodes.address, log_to_driver=False)
    try:
        yield nodes
    finally:
        ray.shutdown()


def run_scenes(pool: RayPool, num_scenes: int, watch: RememberingWatch, **run: object) -> list[SceneOutcome]:
    dispatcher = Dispatcher(pool, run=make_run(threads_per_scene=2, **run), watch=watch, drain=Drain())
    return list(dispatcher.run(make_records(num_scenes)))


def test_a_job_on_two_nodes_outlives_one_of_them(nodes: TwoNodes, whole_dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "ds"
    command = [sys.executable, "-m", "ray_jobs.generate", *TINY_JOB, "run=ray_cluster", "run.num_workers=2"]
    job = subprocess.Popen([*command, f"output={output}"], env=nodes.environment(), stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + LONGEST_JOB_S
    while len(list(output.glob("staging/*/scene.zarr/cameras"))) < 2:  # one scene on each node
        assert job.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.005)
    nodes.kill_second()
    assert_nothing_or_whole(output)
    _, stderr = job.communicate(timeout=LONGEST_JOB_S)
    assert job.returncode == 0, stderr
    assert content_of(output) == content_of(whole_dataset)
    assert len(read_manifest(output).scenes) == len(list((output / "receipts").glob("*.json"))) == 2
    status = read_status(output)
    assert status.runs[0].num_retries == 1 and status.runs[0].state == "complete"


def test_hung_workers_are_replaced_whether_their_thread_sleeps_or_their_process_is_stopped(
    joined: TwoNodes, tmp_path: Path
) -> None:
    run = {"hang_s": 4.0}
    hangs = {"scene-0": "sleeping", "scene-1": "stopped"}
    pool = RayPool(HangingWorker, tmp_path / "notes", 0.2, hangs, run=make_run(threads_per_scene=2))
    watch = RememberingWatch()
    outcomes = {outcome.scene_id: outcome for outcome in run_scenes(pool, 4, watch, **run)}
    assert len(outcomes) == 4 and not any(outcome.error for outcome in outcomes.values())
    assert {scene: outcome.num_attempts for scene, outcome in outcomes.items() if outcome.num_attempts > 1} == {
        "scene-0": 2,
        "scene-1": 2,
    }
    assert sorted(watch.abandoned_scenes) == ["scene-0", "scene-1"]
    deadline_s = time.monotonic() + LONGEST_JOB_S
    while joined.workers("HangingWorker"):  # a stopped process would keep its processors
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_a_node_that_drains_gets_no_new_scene_and_loses_the_one_that_lasts_too_long(
    joined: TwoNodes, tmp_path: Path
) -> None:
    notes, scene_s, within_s = tmp_path / "notes", 12.0, 8.0
    run = {"placement": "spread"}
    pool = RayPool(NotingWorker, notes, scene_s, run=make_run(threads_per_scene=2, **run))
    watch, outcomes = RememberingWatch(), []
    job = Thread(target=lambda: outcomes.extend(run_scenes(pool, 3, watch, **run)))
    job.start()
    second = joined.second.node_id
    while not any(note["node"] == second for note in read_notes(notes)):
        assert job.is_alive()
        time.sleep(0.05)
    told_s = time.time()
    joined.drain_second(within_s=within_s)
    job.join(LONGEST_JOB_S)
    [(begun_there, begun_s)] = [(note["scene"], note["s"]) for note in read_notes(notes) if note["node"] == second]
    assert begun_s < told_s + ASK_EVERY_S
    assert len(outcomes) == 3 and not any(outcome.error for outcome in outcomes)
    assert watch.abandoned_scenes == [begun_there]
    assert [note["scene"] for note in read_notes(notes) if note["what"] == "ended"].count(begun_there) == 1
