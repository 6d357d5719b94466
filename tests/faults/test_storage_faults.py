"""Full disks, throttling, lost answers and damage at rest: a typed error, nothing half, and a rerun that works."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scenegen.dataset import committed_scene_ids, fold_receipts, open_dataset, read_manifest
from scenegen.dataset.storage import open_storage
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import OutputError, StorageError
from tests.faults.small_scene import SCENE_ID, write_small
from tests.object_store import S3Emulator

pytestmark = pytest.mark.battery("F3 storage errors and F4 damage")

LOCAL_STEPS = ("place_file", "place_folder", "put")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE)


@pytest.fixture(autouse=True)
def quick_and_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    yield


@pytest.fixture
def url(s3: S3Emulator, request: pytest.FixtureRequest) -> Iterator[str]:
    yield s3.url(f"faults-{abs(hash(request.node.nodeid))}")
    s3.faults.num_left = 0
    s3.faults.is_hit = lambda method, path: True
    s3.faults.loses_answers = False
    s3.faults.status = "503 Slow Down"


def assert_a_rerun_works(location: Path | str) -> None:
    assert committed_scene_ids(location) == frozenset()
    write_small(location)
    fold_receipts(location)
    assert verify_dataset(location, deep=False).damages == ()
    assert len(read_manifest(location).scenes) == 1


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("step", LOCAL_STEPS)
def test_a_local_disk_that_fails_is_one_typed_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(f"scenegen.dataset.storage.local.LocalStorage.{step}", fail)
        with pytest.raises(OutputError, match=os.strerror(code)):
            write_small(tmp_path / "ds")
    assert_a_rerun_works(tmp_path / "ds")


def test_throttling_is_waited_out(s3: S3Emulator, url: str) -> None:
    s3.faults.num_left = 5
    write_small(url)
    s3.faults.num_left = 2
    fold_receipts(url)
    assert s3.faults.num_left == 0
    assert verify_dataset(url, deep=False).damages == ()


@pytest.mark.parametrize("position", [0, 1, 2, 20, 40])
def test_a_store_that_keeps_failing_is_one_typed_error(
    s3: S3Emulator, url: str, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    seen = 0

    def is_late(method: str, path: str) -> bool:
        nonlocal seen
        seen += 1
        return seen > position

    with monkeypatch.context() as hasty:
        hasty.setattr("scenegen.dataset.storage.obstore_client.RETRIES", {"max_retries": 0})
        s3.faults.is_hit, s3.faults.num_left = is_late, 10**6
        with pytest.raises(StorageError, match="answers") as caught:
            write_small(url)
    assert "canary-secret" not in str(caught.value) and "\n" not in str(caught.value)
    s3.faults.num_left = 0
    assert_a_rerun_works(url)


def test_a_put_whose_answer_is_lost_counts_once(s3: S3Emulator, url: str) -> None:
    """The repeated request fails on its own success: the receipt, and the manifest, must count as written."""
    s3.faults.loses_answers = True
    s3.faults.is_hit = lambda method, path: method == "PUT" and ("/receipts/" in path or "manifest" in path)
    s3.faults.num_left = 1
    receipt = write_small(url)
    s3.faults.num_left = 1
    manifest = fold_receipts(url)
    assert s3.faults.num_left == 0
    assert [entry.receipt_sha256 for entry in manifest.scenes] == [receipt.self_sha256()]
    assert manifest.version == 1
    assert open_dataset(url)[SCENE_ID].receipt == receipt


def test_a_store_that_may_not_be_written_says_so(s3: S3Emulator, url: str) -> None:
    s3.faults.status = "403 Forbidden"
    s3.faults.is_hit, s3.faults.num_left = (lambda method, path: method == "PUT"), 10**6
    with pytest.raises(StorageError, match="credentials"):
        write_small(url)


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


@pytest.mark.parametrize("change", [flip, lambda content: content[:-1], None], ids=["flip", "truncate", "delete"])
def test_damage_at_rest_is_found_in_every_file(place: Path | str, change: Callable[[bytes], bytes] | None) -> None:
    receipt = write_small(place)
    fold_receipts(place)
    storage = open_storage(place)
    keys = [f"{receipt.scene_key}/{name}" for name, entry in receipt.files.items() if entry.num_bytes]
    keys = [*keys[:: 1 if str(place).startswith("memory") else 9], *receipt.previews]
    for key in keys:
        content = storage.read(key)
        storage.delete([key]) if change is None else storage.put(key, change(content))
        (damage,) = verify_dataset(place, deep=False).damages
        assert damage.finding.startswith(key.removeprefix(f"{receipt.scene_key}/"))
        storage.put(key, content)
    assert verify_dataset(place, deep=False).damages == ()


def test_two_valid_shards_that_were_swapped_are_found(place: Path | str) -> None:
    receipt = write_small(place)
    fold_receipts(place)
    storage = open_storage(place)
    one, other = (f"{receipt.scene_key}/occupancy/{name}/c.0.0.0.0" for name in ("semantics", "mask_camera"))
    first, second = storage.read(one), storage.read(other)
    storage.put(one, second)
    storage.put(other, first)
    assert len(verify_dataset(place, deep=False).damages) >= 2
