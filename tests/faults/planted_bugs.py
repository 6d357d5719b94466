"""Mistakes that a write path could have, each with the probe of `probes.py` that must find it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from scenegen.dataset import publish, receipt
from scenegen.dataset.paths import SCENES
from scenegen.dataset.receipt import Receipt
from scenegen.dataset.storage import Location, open_storage
from scenegen.dataset.storage.object_store import ObjectStorage
from scenegen.dataset.strict_store import StrictStore
from scenegen.dataset.write import SceneWriter
from scenegen.types.seeding import random_key

DATASET = "scenegen.dataset"


@dataclass(frozen=True, kw_only=True)
class PlantedBug:
    """A mistake, and who finds it.

    Attributes:
        plant: returns a context in which the write path, or a reader, has the mistake.
        found_by: name of a probe.
    """

    plant: Callable[[], AbstractContextManager[Any]]
    found_by: str


@contextmanager
def receipt_first() -> Iterator[None]:
    place_store = publish.place_store

    def place(storage: Any, staging: Any, written: Receipt) -> None:
        publish.write_receipt(storage, written, expected=None)
        place_store(storage, staging, written)

    with mock.patch.object(publish, "place_store", place):
        yield


def put_without_condition(self: ObjectStorage, key: str, content: bytes, *, expected: str | None) -> bool:
    self.put(key, content)
    return True


def write_in_place(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=0) as file:
        file.write(content[: len(content) // 2])
        file.write(content[len(content) // 2 :])


def committed_by_folder(location: Location, *, among: Any = None) -> frozenset[str]:
    listed = open_storage(location).list_files(SCENES)
    return frozenset(file.key.split("/")[2] for file in listed)


def parse_unchecked(content: bytes, *, where: str) -> Receipt:
    document = json.loads(content)
    document.pop("receipt_sha256")
    return receipt._receipt_of(document)


async def get_or_zeros(self: StrictStore, key: str, prototype: Any, byte_range: Any = None) -> Any:
    return await self._store.get(self._inner(key), prototype, byte_range)


@contextmanager
def one_stream_for_all() -> Iterator[None]:
    stream = np.random.default_rng(7)
    with mock.patch("scenegen.types.seeding.random_generator", lambda *arguments, **options: stream):
        yield


def commit_what_is_there(self: SceneWriter, kind: Any, error: Any, trace: Any) -> None:
    if error is not None:
        self._check_complete = lambda: None  # type: ignore[method-assign]
        self.commit(scores={}, cost={})
    self.abort()


def patched(target: str, replacement: Any) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: mock.patch(target, replacement)


BUGS = {
    "the receipt is written before the files": PlantedBug(plant=receipt_first, found_by="crash_points"),
    "a folder of a scene counts as a committed scene": PlantedBug(
        plant=patched("tests.faults.probes.committed_scene_ids", committed_by_folder), found_by="crash_points"
    ),
    "files are not synced": PlantedBug(
        plant=patched(f"{DATASET}.receipt.fsync_tree", lambda root: None), found_by="power_cut"
    ),
    "the rename is not synced": PlantedBug(
        plant=patched(f"{DATASET}.storage.local.fsync_folder", lambda folder: None), found_by="power_cut"
    ),
    "the manifest is replaced without comparing": PlantedBug(
        plant=lambda: mock.patch.object(ObjectStorage, "put_if", put_without_condition), found_by="two_committers"
    ),
    "files are written in place": PlantedBug(
        plant=patched(f"{DATASET}.storage.local.write_atomically", write_in_place), found_by="reader_at_every_line"
    ),
    "verification compares no file with its receipt": PlantedBug(
        plant=patched(f"{DATASET}.verify._compare", lambda *arguments, **options: iter(())),
        found_by="damage_at_rest",
    ),
    "the hash of a receipt is not checked": PlantedBug(
        plant=patched(f"{DATASET}.receipt._parse_receipt", parse_unchecked), found_by="damage_at_rest"
    ),
    "a missing chunk reads as zeros": PlantedBug(
        plant=lambda: mock.patch.object(StrictStore, "get", get_or_zeros), found_by="damage_at_rest"
    ),
    "the clock is part of the seed": PlantedBug(
        plant=patched("scenegen.types.seeding.random_key", lambda *parts: random_key(*parts, time.time_ns())),
        found_by="orders",
    ),
    "all scenes draw from one stream": PlantedBug(plant=one_stream_for_all, found_by="orders"),
    "a failed attempt commits what it has": PlantedBug(
        plant=lambda: mock.patch.object(SceneWriter, "__exit__", commit_what_is_there), found_by="failed_attempt"
    ),
}
