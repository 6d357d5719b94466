"""A painter that is killed leaves checkpoints; the next one goes on behind them, and the scene has the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scenegen.dataset.collect_garbage import collect_garbage, find_garbage
from scenegen.dataset.paths import CHECKPOINTS
from scenegen.dataset.receipt import Receipt, read_receipt
from scenegen.dataset.storage import open_storage
from scenegen.dataset.storage.interface import Listed
from scenegen.orchestration.ledger import list_runs, read_events
from tests.faults.checkpoint_job import (
    AFTER_THE_RECEIPT,
    IN_A_CHECKPOINT,
    KILLS,
    NUM_CHUNKS,
    PAINT,
    STEPS_PER_CHUNK,
    Kill,
    run_and_kill,
    run_job,
)
from tests.faults.checks import assert_finished, assert_nothing_or_whole
from tests.object_store import S3Emulator

pytestmark = pytest.mark.battery("F1 kills between and inside chunks")

SAVED = "run.checkpoint=true"
JUDGED = ("quality.min_control=9", "quality.max_attempts=2", "quality.keep_failed=true")
"""A bar that nothing reaches: two paintings, of which the better one is kept."""


@pytest.fixture(autouse=True)
def private_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield


@pytest.fixture(scope="module")
def undisturbed() -> Receipt:
    """The scene's receipt, of a job without kills and checkpoints."""
    assert len(run_job("memory://undisturbed-checkpoints/ds")) == NUM_CHUNKS
    return only_receipt("memory://undisturbed-checkpoints/ds")


def only_receipt(place: Path | str) -> Receipt:
    storage = open_storage(place)
    (file,) = storage.list_files("receipts")
    return read_receipt(storage, Path(file.key).stem)


def checkpoints(place: Path | str) -> list[Listed]:
    return [file for file in open_storage(place).list_files(CHECKPOINTS) if not Path(file.key).name.startswith(".")]


def resumed_events(place: Path | str) -> list[dict[str, Any]]:
    storage = open_storage(place)
    return [event for run in list_runs(storage) for event in read_events(storage, run) if event["event"] == "resumed"]


def assert_as_undisturbed(place: Path | str, undisturbed: Receipt) -> None:
    receipt = only_receipt(place)
    assert receipt.files == undisturbed.files
    assert sorted(entry.sha256 for entry in receipt.previews.values()) == sorted(
        entry.sha256 for entry in undisturbed.previews.values()
    )
    assert receipt.scores == undisturbed.scores
    assert_finished(place, {receipt.scene_id: undisturbed.content_sha256})


@pytest.mark.parametrize("name", KILLS)
def test_a_killed_painter_is_followed_up_without_painting_anything_twice(
    tmp_path: Path, name: str, undisturbed: Receipt
) -> None:
    place, kill = tmp_path / "ds", KILLS[name]
    run_and_kill(place, kill, SAVED, environment={})
    assert_nothing_or_whole(place)
    assert len(checkpoints(place)) == NUM_CHUNKS - kill.num_repainted
    painted = run_job(place, SAVED)
    assert painted == [STEPS_PER_CHUNK * chunk for chunk in range(NUM_CHUNKS - kill.num_repainted, NUM_CHUNKS)]
    assert checkpoints(place) == []
    starts = [event["start_step"] for event in resumed_events(place)]
    assert starts == ([STEPS_PER_CHUNK * (NUM_CHUNKS - kill.num_repainted)] if kill.num_repainted < NUM_CHUNKS else [])
    assert_as_undisturbed(place, undisturbed)


def test_a_kill_while_a_checkpoint_gets_its_name_costs_that_chunk_only(tmp_path: Path, undisturbed: Receipt) -> None:
    place = tmp_path / "ds"
    run_and_kill(place, IN_A_CHECKPOINT, SAVED, environment={})
    assert len(checkpoints(place)) == IN_A_CHECKPOINT.call - 1
    assert len(run_job(place, SAVED)) == IN_A_CHECKPOINT.num_repainted
    assert_as_undisturbed(place, undisturbed)


@pytest.mark.parametrize("name", ["inside a chunk", "after the last checkpoint"])
def test_a_painter_elsewhere_goes_on_from_an_object_store(
    s3: S3Emulator, tmp_path: Path, name: str, undisturbed: Receipt
) -> None:
    place, kill = s3.url(f"checkpoints-{KILLS[name].num_repainted}"), KILLS[name]
    run_and_kill(place, kill, SAVED, environment={**s3.environment, "TMPDIR": str(tmp_path / "..")})
    assert len(run_job(place, SAVED)) == kill.num_repainted
    assert checkpoints(place) == []
    assert_as_undisturbed(place, undisturbed)


def test_the_tallies_of_the_judge_and_finished_paintings_are_kept_as_well(tmp_path: Path) -> None:
    run_job("memory://judged-checkpoints/ds", *JUDGED)
    place = tmp_path / "ds"
    run_and_kill(place, Kill(PAINT, NUM_CHUNKS + 3, 2), SAVED, *JUDGED, environment={})
    assert len(checkpoints(place)) == NUM_CHUNKS + 2
    assert len(run_job(place, SAVED, *JUDGED)) == 2
    assert [event["painting"] for event in resumed_events(place)] == [0, 1]
    assert_as_undisturbed(place, only_receipt("memory://judged-checkpoints/ds"))


@pytest.mark.parametrize("chunk", [0, 1])
def test_a_damaged_checkpoint_is_not_taken_and_told_of(killed_early: Path, chunk: int, undisturbed: Receipt) -> None:
    file, storage = checkpoints(killed_early)[chunk], open_storage(killed_early)
    content = storage.read(file.key)
    storage.put(file.key, content[: len(content) // 2])
    assert len(run_job(killed_early, SAVED)) == NUM_CHUNKS - chunk
    (event,) = resumed_events(killed_early)
    assert event["start_step"] == STEPS_PER_CHUNK * chunk and file.key in event["problem"]
    assert_as_undisturbed(killed_early, undisturbed)


def test_a_checkpoint_of_other_weights_is_not_taken(killed_early: Path, undisturbed: Receipt) -> None:
    files, storage = checkpoints(killed_early), open_storage(killed_early)
    contents = [storage.read(file.key) for file in files]
    others = [content.replace(b'"fingerprint":"', b'"fingerprint":"f') for content in contents]
    for file, content in zip(files, others, strict=True):
        storage.put(file.key, content)
    assert len(run_job(killed_early, SAVED)) == NUM_CHUNKS
    assert "model" in resumed_events(killed_early)[0]["problem"]
    assert_as_undisturbed(killed_early, undisturbed)


def test_without_the_option_checkpoints_are_neither_written_nor_read(killed_early: Path, undisturbed: Receipt) -> None:
    before = checkpoints(killed_early)
    assert len(run_job(killed_early)) == NUM_CHUNKS
    assert checkpoints(killed_early) == before and resumed_events(killed_early) == []
    assert_as_undisturbed(killed_early, undisturbed)


def test_garbage_collection_takes_checkpoints_that_nobody_came_back_for(killed_early: Path) -> None:
    assert find_garbage(killed_early, grace_s=3600.0) == []
    assert {str(killed_early / file.key) for file in checkpoints(killed_early)} <= {
        garbage.where for garbage in find_garbage(killed_early, grace_s=-1.0)
    }
    collect_garbage(killed_early, grace_s=-1.0)
    assert checkpoints(killed_early) == [] and not (killed_early / CHECKPOINTS).exists()
    assert len(run_job(killed_early, SAVED)) == NUM_CHUNKS


def test_checkpoints_of_a_committed_scene_that_a_kill_left_are_garbage(tmp_path: Path, undisturbed: Receipt) -> None:
    place = tmp_path / "ds"
    run_and_kill(place, AFTER_THE_RECEIPT, SAVED, environment={})
    assert len(checkpoints(place)) == NUM_CHUNKS
    assert run_job(place, SAVED) == []
    assert_as_undisturbed(place, undisturbed)
    assert checkpoints(place) == []  # `assert_as_undisturbed` collects garbage


@pytest.fixture
def killed_early(tmp_path: Path) -> Path:
    """A place where two chunks of the scene were saved."""
    place = tmp_path / "ds"
    run_and_kill(place, KILLS["after a checkpoint"], SAVED, environment={})
    return place
