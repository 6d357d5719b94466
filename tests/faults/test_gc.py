"""Garbage collection takes what no reader can reach, when it is old enough, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenegen.cli import main
from scenegen.dataset import fold_receipts
from scenegen.dataset.collect_garbage import collect_garbage, find_garbage
from scenegen.dataset.paths import receipt_key
from scenegen.dataset.storage import open_storage
from scenegen.dataset.verify import verify_dataset
from tests.faults.crash_points import COMMIT_POINTS, dying_at
from tests.faults.small_scene import SCENE_ID, write_small

pytestmark = pytest.mark.battery("F2 garbage collection")


@pytest.fixture(autouse=True)
def private_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    yield


@pytest.fixture
def place_with_leftovers(place: Path | str) -> Path | str:
    """A committed scene, and another whose writer died before its receipt."""
    write_small(place)
    fold_receipts(place)
    with dying_at(COMMIT_POINTS["before receipt"]):
        write_small(place, "dead")
    return place


def test_what_is_young_stays_and_what_is_old_goes(place_with_leftovers: Path | str) -> None:
    assert find_garbage(place_with_leftovers, grace_s=3600.0) == []
    found = find_garbage(place_with_leftovers, grace_s=-1.0)
    assert found and all("dead" in item.where for item in found)
    assert collect_garbage(place_with_leftovers, grace_s=-1.0) == found
    assert find_garbage(place_with_leftovers, grace_s=-1.0) == []
    assert verify_dataset(place_with_leftovers, deep=False).damages == ()


def test_a_dry_run_deletes_nothing(place_with_leftovers: Path | str, capsys: pytest.CaptureFixture[str]) -> None:
    before = [file.key for file in open_storage(place_with_leftovers).list_files("")]
    assert main(["gc", str(place_with_leftovers), "--grace-hours", "0", "--dry-run"]) == 0
    assert "would be deleted" in capsys.readouterr().out
    assert [file.key for file in open_storage(place_with_leftovers).list_files("")] == before
    assert main(["gc", str(place_with_leftovers), "--grace-hours", "-1"]) == 2


@pytest.mark.parametrize("content", [b"not a receipt", None], ids=["unreadable", "missing"])
def test_a_listed_scene_stays_whatever_became_of_its_receipt(place: Path | str, content: bytes | None) -> None:
    receipt = write_small(place)
    fold_receipts(place)
    storage = open_storage(place)
    key = receipt_key(SCENE_ID)
    storage.delete([key]) if content is None else storage.put(key, content)
    collect_garbage(place, grace_s=-1.0)
    assert all(storage.size(f"{receipt.scene_key}/{name}") == entry.num_bytes for name, entry in receipt.files.items())
    assert all(storage.size(preview) == entry.num_bytes for preview, entry in receipt.previews.items())


def test_a_living_writer_keeps_its_folder(tmp_path: Path) -> None:
    from scenegen.dataset import open_scene_writer
    from tests.faults.small_scene import small_record

    with open_scene_writer(tmp_path / "ds", small_record()) as writer:
        assert find_garbage(tmp_path / "ds", grace_s=-1.0) == []
        assert writer.preview_dir.exists()
