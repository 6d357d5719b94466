"""A writer that dies at a named point leaves nothing half; a rerun gives the undisturbed data set, on every storage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenegen.dataset import committed_scene_ids, fold_receipts, open_scene_writer
from scenegen.dataset.storage import open_storage
from tests.conftest import REPOSITORY
from tests.faults.checks import assert_finished, assert_nothing_or_whole
from tests.faults.crash_points import ALL_POINTS, COMMIT_POINTS, FOLD_POINTS, dying_at
from tests.faults.small_scene import SCENE_ID, small_record, write_small
from tests.object_store import S3Emulator
from tests.unit.dataset.tiny_scene import bare_chunks

pytestmark = pytest.mark.battery("F2 crash points")

KILL_SCRIPT = """
import os, signal, sys
from unittest import mock
from tests.faults.small_scene import write_small
import scenegen.dataset.storage.object_store, scenegen.dataset.fold
with mock.patch(sys.argv[1], side_effect=lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)):
    write_small(sys.argv[2])
    scenegen.dataset.fold.fold_receipts(sys.argv[2])
"""


@pytest.fixture(autouse=True)
def private_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    yield


@pytest.fixture(scope="module")
def undisturbed() -> str:
    """Content hash of the scene, written without any fault."""
    return write_small("memory://undisturbed/ds").content_sha256


@pytest.mark.parametrize("name", ALL_POINTS)
def test_after_death_at_any_point_a_rerun_gives_the_undisturbed_data_set(
    place: Path | str, name: str, undisturbed: str
) -> None:
    with dying_at(ALL_POINTS[name]):
        write_small(place)
        fold_receipts(place)
    is_committed = name in FOLD_POINTS or name == "after receipt"
    if "rename" not in name and "upload" not in name:  # those exist on one kind of storage only
        assert committed_scene_ids(place) == ({SCENE_ID} if is_committed else set())
    assert_nothing_or_whole(place)
    write_small(place)
    assert_nothing_or_whole(place)
    fold_receipts(place)
    assert_finished(place, {SCENE_ID: undisturbed})


@pytest.mark.parametrize("name", COMMIT_POINTS)
def test_death_while_a_damaged_scene_is_replaced_is_survived(place: Path | str, name: str, undisturbed: str) -> None:
    first = write_small(place)
    fold_receipts(place)
    open_storage(place).delete([f"{first.scene_key}/occupancy/semantics/c.0.0.0.0"])
    with dying_at(COMMIT_POINTS[name]):
        write_small(place)
    write_small(place)
    fold_receipts(place)
    assert_finished(place, {SCENE_ID: undisturbed})


@pytest.mark.parametrize("target", ["ObjectStorage.place_folder", "ObjectStorage.put_if"])
def test_a_killed_process_leaves_s3_to_the_next(s3: S3Emulator, tmp_path: Path, target: str, undisturbed: str) -> None:
    url = s3.url(f"killed-{target}")
    command = [sys.executable, "-c", KILL_SCRIPT, f"scenegen.dataset.storage.object_store.{target}", url]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert_nothing_or_whole(url)
    write_small(url)
    fold_receipts(url)
    assert_finished(url, {SCENE_ID: undisturbed})


@pytest.mark.parametrize("place", ["memory", "s3"], indirect=True)
@pytest.mark.parametrize("score", [0.5, 0.6], ids=["equal bytes", "other bytes"])
def test_two_writers_of_one_scene_never_mix(place: str, score: float, monkeypatch: pytest.MonkeyPatch) -> None:
    record = small_record()
    writers = [open_scene_writer(place, record) for _ in range(2)]
    for writer in writers:
        for chunk in bare_chunks(record):
            writer.append(chunk)
    from scenegen.dataset import publish

    place_store = publish.place_store
    slow, fast = writers
    winners = []

    def be_overtaken(*arguments: object) -> None:
        place_store(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(publish, "place_store", place_store)
        winners.append(fast.commit(scores={"control": 0.5}, cost={}))

    monkeypatch.setattr(publish, "place_store", be_overtaken)
    assert slow.commit(scores={"control": score}, cost={}) == winners[0]
    fold_receipts(place)
    assert_finished(place, {SCENE_ID: winners[0].content_sha256})
