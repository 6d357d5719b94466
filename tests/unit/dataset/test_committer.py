"""A running job replaces the manifest at most once in ten seconds, and readers and status are right all the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scenegen.dataset import committed_scene_ids, fold_receipts, read_manifest
from scenegen.dataset.fold import MANIFEST_INTERVAL_S, Committer
from scenegen.dataset.paths import MANIFEST
from scenegen.dataset.storage import open_storage
from scenegen.errors import DatasetError
from scenegen.orchestration.status import read_status
from tests.faults.small_scene import write_small

NUM_SCENES = 25


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_at_most_one_commit_in_ten_seconds_and_one_at_the_end(place: Path | str) -> None:
    clock = FakeClock()
    committer = Committer(place, clock_s=clock)
    committer.fold()
    replaced_s, version = [0.0], read_manifest(place).version
    for number in range(NUM_SCENES):
        clock.seconds += 1.0
        write_small(place, f"small-{number}")
        committer.fold_when_due()
        if read_manifest(place).version != version:
            version = read_manifest(place).version
            replaced_s.append(clock.seconds)
        assert len(committed_scene_ids(place)) == number + 1  # what a resumed job asks
    assert replaced_s == [0.0, MANIFEST_INTERVAL_S, 2 * MANIFEST_INTERVAL_S]
    assert len(read_manifest(place).scenes) == 20
    assert len(committer.fold().scenes) == NUM_SCENES
    assert read_manifest(place).version == version + 1


def test_status_counts_what_is_committed_and_not_listed_yet(tmp_path: Path) -> None:
    place = tmp_path / "ds"
    fold_receipts(place)
    receipt = write_small(place)
    assert read_manifest(place).scenes == ()
    status = read_status(place)
    assert status.committed == (receipt.scene_id,) and status.damaged == ()
    assert (status.num_steps, status.num_images, status.num_bytes) == (2, 2, receipt.num_bytes)
    fold_receipts(place)
    assert read_status(place) == status
    (tmp_path / "ds" / receipt.scene_key / "zarr.json").unlink()
    hurt = read_status(place)
    assert hurt.committed == () and hurt.damaged == (receipt.scene_id,) and hurt.num_steps == 2


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20.0
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_what_was_not_due_is_listed_as_soon_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, clock = tmp_path / "ds", FakeClock()
    monkeypatch.setattr("scenegen.dataset.fold.LOOK_S", 0.01)
    committer = Committer(place, clock_s=clock)
    committer.fold()
    with committer.keeping_up():
        write_small(place)
        committer.fold_when_due()
        time.sleep(0.1)
        assert read_manifest(place).scenes == ()
        clock.seconds += MANIFEST_INTERVAL_S
        wait_until(lambda: len(read_manifest(place).scenes) == 1)
        version = read_manifest(place).version
        clock.seconds += MANIFEST_INTERVAL_S
        time.sleep(0.1)
        assert read_manifest(place).version == version


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_whatever_ends_a_job_what_it_committed_is_listed(tmp_path: Path, error: type[BaseException]) -> None:
    place = tmp_path / "ds"
    committer = Committer(place, clock_s=FakeClock())
    committer.fold()
    with pytest.raises(error), committer.keeping_up():
        write_small(place)
        committer.fold_when_due()
        raise error
    assert len(read_manifest(place).scenes) == 1


def test_what_the_thread_meets_with_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, clock = tmp_path / "ds", FakeClock()
    monkeypatch.setattr("scenegen.dataset.fold.LOOK_S", 0.01)
    committer = Committer(place, clock_s=clock)
    committer.fold()
    with pytest.raises(DatasetError), committer.keeping_up():
        committer.fold_when_due()
        open_storage(place).put(MANIFEST, b"damaged")
        clock.seconds += MANIFEST_INTERVAL_S
        wait_until(lambda: committer._error is not None)
        clock.seconds = 0.0
        committer.fold_when_due()
