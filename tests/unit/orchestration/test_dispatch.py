from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from scenegen.errors import ClusterError
from scenegen.interrupts import Drain
from scenegen.orchestration.attempt import SceneOutcome
from scenegen.orchestration.dispatch import MOST_FAILED_STARTS, Dispatcher, WorkerEvent, WorkerProgress
from scenegen.orchestration.failures import FailureKind, failure_kind
from tests.unit.orchestration.fakes import NUM_FRAMES, FakePool, RememberingWatch, make_records, make_run


def dispatch(pool: FakePool, num_scenes: int, watch: RememberingWatch | None = None, **run: int) -> list[SceneOutcome]:
    dispatcher = Dispatcher(pool, run=make_run(**run), watch=watch or RememberingWatch(), drain=Drain())
    return list(dispatcher.run(make_records(num_scenes)))


def test_every_scene_is_made_once_with_no_more_in_flight_than_workers() -> None:
    pool, watch = FakePool(), RememberingWatch()
    outcomes = dispatch(pool, 9, watch, num_workers=3)
    assert sorted(outcome.scene_id for outcome in outcomes) == [f"scene-{number}" for number in range(9)]
    assert (pool.opened, pool.most_busy, pool.open) == (3, 3, set())
    assert set(watch.frames.values()) == {NUM_FRAMES}


def test_no_more_workers_are_opened_than_there_are_scenes() -> None:
    pool = FakePool()
    dispatch(pool, 2, num_workers=8)
    assert pool.opened == 2


@pytest.mark.parametrize("kind", [FailureKind.WORKER, FailureKind.MEMORY, FailureKind.NODE])
def test_what_the_machine_did_is_tried_again_and_its_frames_are_not_counted_twice(kind: FailureKind) -> None:
    pool, watch = FakePool({"scene-1": [kind]}), RememberingWatch()
    outcomes = {outcome.scene_id: outcome for outcome in dispatch(pool, 3, watch)}
    assert not any(outcome.error for outcome in outcomes.values())
    assert outcomes["scene-1"].num_attempts == 2
    assert watch.abandoned_scenes == ["scene-1"] and ("scene-1", 2) in watch.starts
    assert set(watch.frames.values()) == {NUM_FRAMES}
    assert pool.open == set()


@pytest.mark.parametrize("kind", [FailureKind.INPUT, FailureKind.ERROR])
def test_what_comes_again_anyway_is_not_tried_again(kind: FailureKind) -> None:
    pool, watch = FakePool({"scene-0": [kind]}), RememberingWatch()
    outcomes = {outcome.scene_id: outcome for outcome in dispatch(pool, 2, watch)}
    assert outcomes["scene-0"].error and not outcomes["scene-1"].error
    assert pool.attempts["scene-0"] == 1 and watch.frames["scene-0"] == 0


def test_attempts_are_bounded_and_lost_nodes_have_a_bound_of_their_own() -> None:
    fates = {"scene-0": [FailureKind.WORKER] * 9, "scene-1": [FailureKind.NODE] * 9, "scene-2": [FailureKind.NODE] * 4}
    pool = FakePool(fates)
    outcomes = {outcome.scene_id: outcome for outcome in dispatch(pool, 3, max_attempts=2, max_node_losses=4)}
    assert pool.attempts == {"scene-0": 2, "scene-1": 5, "scene-2": 5}
    assert outcomes["scene-0"].kind is FailureKind.WORKER and outcomes["scene-1"].kind is FailureKind.NODE
    assert not outcomes["scene-2"].error


def test_above_the_failure_budget_nothing_is_started_and_what_runs_is_finished() -> None:
    fates = {f"scene-{number}": [FailureKind.INPUT] for number in (0, 1)}
    pool = FakePool(fates)
    outcomes = dispatch(pool, 20, num_workers=3, max_failures=1)
    assert sum(bool(outcome.error) for outcome in outcomes) == 2
    assert len(outcomes) == sum(pool.attempts.values()) < 20
    assert pool.open == set()


def test_a_drain_lets_running_scenes_finish_and_starts_no_other() -> None:
    pool, drain = FakePool(), Drain()
    dispatcher = Dispatcher(pool, run=make_run(num_workers=2), watch=RememberingWatch(), drain=drain)
    outcomes = []
    for outcome in dispatcher.run(make_records(9)):
        outcomes.append(outcome)
        drain.is_asked = True
    assert 1 <= len(outcomes) <= 3 and pool.open == set() and pool.busy == {}


def test_a_caller_that_stops_leaves_no_worker_behind() -> None:
    pool = FakePool()
    scenes = Dispatcher(pool, run=make_run(), watch=RememberingWatch(), drain=Drain()).run(make_records(9))
    next(scenes)
    scenes.close()
    assert pool.open == set()


def test_workers_that_never_start_end_the_job() -> None:
    pool = FakePool(never_starts=True)
    with pytest.raises(ClusterError, match="no such image"):
        dispatch(pool, 3)
    assert pool.opened <= MOST_FAILED_STARTS + 2


def test_running_out_of_memory_is_told_from_a_mistake() -> None:
    class OutOfMemoryError(RuntimeError):
        """What torch raises is called so."""

    assert failure_kind(OutOfMemoryError()) is FailureKind.MEMORY
    assert failure_kind(MemoryError()) is FailureKind.MEMORY
    assert failure_kind(ZeroDivisionError()) is FailureKind.ERROR
    assert failure_kind(ClusterError("x")) is FailureKind.INPUT


def test_a_worker_that_leaves_finishes_its_scene_and_gets_no_other() -> None:
    pool = FakePool(leaving=frozenset({0}))
    outcomes = dispatch(pool, 6, num_workers=2)
    assert len(outcomes) == 6 and not any(outcome.error for outcome in outcomes)
    assert pool.made_by[0] == ["scene-0"] and pool.opened == 3 and pool.open == set()


def test_a_worker_that_leaves_before_its_first_scene_gets_none() -> None:
    pool = FakePool(leaving_at_once=frozenset({0, 1}))
    outcomes = dispatch(pool, 3, num_workers=2)
    assert len(outcomes) == 3 and 0 not in pool.made_by and 1 not in pool.made_by and pool.open == set()


def test_a_worker_without_progress_is_ended_and_its_scene_given_to_another() -> None:
    pool, watch = FakePool({"scene-1": ["hang"]}), RememberingWatch()
    outcomes = {outcome.scene_id: outcome for outcome in dispatch(pool, 3, watch, hang_s=0.2)}
    assert len(outcomes) == 3 and not any(outcome.error for outcome in outcomes.values())
    assert outcomes["scene-1"].num_attempts == 2 and watch.abandoned_scenes == ["scene-1"]
    assert pool.made_by[0] == ["scene-0", "scene-2", "scene-1"] and pool.made_by[1] == ["scene-1"]
    assert pool.open == set() and set(watch.frames.values()) == {NUM_FRAMES}


def test_a_scene_that_always_hangs_fails_as_of_its_worker() -> None:
    pool = FakePool({"scene-0": ["hang"] * 9})
    [outcome] = dispatch(pool, 1, hang_s=0.05, max_attempts=2)
    assert outcome.kind is FailureKind.WORKER and "run.hang_s" in outcome.error and pool.attempts["scene-0"] == 2


def test_chunks_of_a_repeated_painting_are_progress_though_their_frames_count_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class RepaintingPool(FakePool):
        """Its only scene comes to an end after ten chunks, 1 s each, that have no new frames."""

        num_chunks = 1

        def wait(self) -> Sequence[WorkerEvent]:
            if self.num_chunks == 10 or not self.busy:
                return super().wait()
            self.num_chunks += 1
            return (WorkerProgress(worker=0, num_frames=NUM_FRAMES // 2, num_chunks=self.num_chunks),)

    pool = RepaintingPool()
    clock = SimpleNamespace(monotonic=lambda: float(pool.num_chunks))
    monkeypatch.setattr("scenegen.orchestration.dispatch.time", clock)
    [outcome] = dispatch(pool, 1, hang_s=4)
    assert not outcome.error and outcome.num_attempts == 1 and pool.num_chunks == 10
