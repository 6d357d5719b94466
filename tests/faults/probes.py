"""The battery's properties in a quick form, each a function that fails when its property does not hold."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import numpy as np

from scenegen.dataset import committed_scene_ids, fold, fold_receipts, open_dataset, open_scene_writer, receipt
from scenegen.dataset.fold import Committer
from scenegen.dataset.manifest import parse_manifest
from scenegen.dataset.storage import open_storage
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import DatasetError
from scenegen.types import seeding
from tests.faults.checks import assert_finished, assert_nothing_or_whole
from tests.faults.crash_points import COMMIT_POINTS, FOLD_POINTS, dying_at
from tests.faults.small_scene import SCENE_ID, small_record, write_small
from tests.unit.dataset.tiny_scene import bare_chunks


def new_url() -> str:
    return f"memory://{secrets.token_hex(6)}/ds"


def resume(location: Path | str, scene_ids: Sequence[str] = (SCENE_ID,)) -> None:
    """Do what a job does when it is started again."""
    for scene_id in scene_ids:
        if scene_id not in committed_scene_ids(location):
            write_small(location, scene_id)
    fold_receipts(location)


def crash_points() -> None:
    """Death at any point of the commit: no receipt without its files, and a rerun gives the undisturbed data set."""
    undisturbed = {SCENE_ID: write_small(new_url()).content_sha256}
    for point in (COMMIT_POINTS["in the upload"], COMMIT_POINTS["after store"], FOLD_POINTS["before card"]):
        place = new_url()
        with dying_at(point):
            write_small(place)
            fold_receipts(place)
        storage = open_storage(place)
        if storage.size(f"receipts/{SCENE_ID}.json") is not None:
            found = receipt.read_receipt(storage, SCENE_ID)
            assert all(storage.size(f"{found.scene_key}/{name}") is not None for name in found.files)
        assert_nothing_or_whole(place)
        resume(place)
        assert_finished(place, undisturbed)


def power_cut() -> None:
    """Every file of a scene, and every folder that a rename changed, is synced before the receipt appears."""
    synced: set[str] = set()
    with tempfile.TemporaryDirectory() as name:
        with (
            mock.patch.object(os, "fsync", lambda fd: synced.add(str(Path(f"/proc/self/fd/{fd}").readlink()))),
            mock.patch("scenegen.dataset.publish.write_receipt", side_effect=KeyboardInterrupt),
            contextlib.suppress(KeyboardInterrupt),
        ):
            write_small(Path(name, "ds"))
        (store,) = Path(name).glob("ds/scenes/*/*.zarr")
        staged = {path.partition("/scene.zarr/")[2] for path in synced if "/scene.zarr/" in path}
        assert {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()} <= staged
        assert str(store.parent) in synced


def two_committers() -> None:
    """A committer that was overtaken between reading and replacing the manifest loses no line of the other's."""
    place = new_url()
    write_small(place, "first")

    def be_overtaken(manifest: Any) -> str:
        patched.stop()
        write_small(place, "second")
        fold_receipts(place)
        return str(original(manifest))

    original, patched = fold.card_text, mock.patch("scenegen.dataset.fold.card_text", be_overtaken)
    patched.start()
    Committer(place).fold()
    listed = {scene.scene_id for scene in open_dataset(place)}
    assert listed == {"first", "second"}


def reader_at_every_line() -> None:
    """Whoever reads the manifest at any line of a fold reads a whole one."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name, "ds")
        resume(place, ["first"])
        write_small(place, "second")
        versions: list[int] = []

        def look(frame: FrameType, event: str, argument: Any) -> Any:
            if not frame.f_code.co_filename.endswith(("durable.py", "local.py", "fold.py", "planted_bugs.py")):
                return None
            sys.settrace(None)
            versions.append(parse_manifest((place / "manifest.json").read_bytes(), where="a reader").version)
            sys.settrace(look)
            return look

        before = sys.gettrace()
        sys.settrace(look)
        try:
            fold_receipts(place)
        finally:
            sys.settrace(before)
        assert set(versions) == {1, 2} and versions == sorted(versions)


def damage_at_rest() -> None:
    """A flipped bit, an edited receipt, and a chunk that goes missing under an open scene are never taken for data."""
    place = new_url()
    written = write_small(place)
    fold_receipts(place)
    storage = open_storage(place)
    key = f"{written.scene_key}/occupancy/semantics/c.0.0.0.0"
    content = storage.read(key)
    storage.put(key, bytes([content[0] ^ 1]) + content[1:])
    assert verify_dataset(place, deep=False).damages, "a flipped bit was not found"
    storage.put(key, content)
    scene = open_dataset(place)[SCENE_ID]
    storage.delete([key])
    assert_raises(lambda: scene.array("occupancy/semantics")[:])
    storage.put(key, content)
    path = f"receipts/{SCENE_ID}.json"
    storage.put(path, storage.read(path).replace(b'"train"', b'"test"'))
    assert_raises(lambda: receipt.read_receipt(storage, SCENE_ID))


def orders() -> None:
    """Scenes have the bytes of their seed, in whichever order and however often they are made."""
    forth, back = ("first", "second"), ("second", "first")
    assert {name: noisy_content(name) for name in forth} == {name: noisy_content(name) for name in back}


def noisy_content(scene_id: str) -> str:
    """Write a scene of pixels drawn as the pipeline draws; return its content hash."""
    record = small_record(scene_id)
    with open_scene_writer(new_url(), record) as writer:
        for chunk in bare_chunks(record):
            random = seeding.random_generator(record.seed, scene_id, stage="paint", chunk=chunk.start_step)
            writer.append(replace(chunk, rgb=random.integers(0, 255, chunk.rgb.shape, np.uint8)))
        return writer.commit(scores={}, cost={}).content_sha256


def failed_attempt() -> None:
    """A scene whose first attempt failed half way is the undisturbed one."""
    undisturbed, place = {SCENE_ID: write_small(new_url()).content_sha256}, new_url()
    record = small_record()
    try:
        with open_scene_writer(place, record) as writer:
            chunk = bare_chunks(record)[0]
            writer.append(replace(chunk, rgb=255 - chunk.rgb))
            raise MemoryError
    except MemoryError:
        pass
    resume(place)
    storage = open_storage(place)
    found = receipt.read_receipt(storage, SCENE_ID)
    assert {SCENE_ID: found.content_sha256} == undisturbed


def assert_raises(read: Callable[[], object]) -> None:
    try:
        read()
    except DatasetError:
        return
    raise AssertionError("damage was read as data")


PROBES: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        crash_points,
        power_cut,
        two_committers,
        reader_at_every_line,
        damage_at_rest,
        orders,
        failed_attempt,
    )
}
