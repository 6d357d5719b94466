"""The committer: receipts become lines of the manifest, which is replaced by compare-and-swap."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from scenegen.dataset.card import card_text
from scenegen.dataset.durable import output_errors
from scenegen.dataset.manifest import (
    Manifest,
    SceneEntry,
    entry_of,
    load_manifest_to_replace,
    manifest_text,
)
from scenegen.dataset.paths import CARD, MANIFEST, RECEIPTS, SCENE_ID_PATTERN
from scenegen.dataset.receipt import Receipt, find_valid_receipt, recorded_sha256
from scenegen.dataset.schema import SCHEMA_VERSION
from scenegen.dataset.storage import Listed, Location, Storage, open_storage
from scenegen.errors import OutputError

MAX_ATTEMPTS = 12
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 2.0
MANIFEST_INTERVAL_S = 10.0
"""A running job replaces the manifest no more often: it names every scene there is, and each costs its whole length."""
LOOK_S = 0.5

_log = logging.getLogger(__name__)

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


def committed_scene_ids(location: Location, *, among: Collection[str] | None = None) -> frozenset[str]:
    """Return the scenes that need not be generated again: valid receipt, every file there with its size.

    Works on a missing or empty place, which has none.

    Args:
        location: root of the data set.
        among: the scenes asked about; None for all.
    """
    return frozenset(receipt.scene_id for receipt in _valid_receipts(open_storage(location), among))


def committed_entries(location: Location) -> dict[str, SceneEntry]:
    """Return the lines that the manifest has, or will have, of the scenes that `committed_scene_ids` returns."""
    return {receipt.scene_id: entry_of(receipt) for receipt in _valid_receipts(open_storage(location), None)}


def fold_receipts(location: Location) -> Manifest:
    """Bring the manifest, and the data set card, up to date with the receipts; return the manifest.

    Idempotent: without news the file stays as it is. A scene once in the manifest stays in it, so that later
    damage fails loudly on read instead of shrinking the data set.

    Raises:
        DatasetError: the manifest that is there is damaged.
        OutputError: the place cannot be written, or other committers were faster every time.
    """
    return Committer(location).fold()


class Committer:
    """Folds receipts again and again, for one job; a receipt that it has seen is not read a second time.

    Args:
        location: root of the data set.
        clock_s: seconds that only grow.
    """

    def __init__(self, location: Location, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._storage = open_storage(location)
        self._clock_s = clock_s
        self._interval_s = max(MANIFEST_INTERVAL_S, self._storage.replace_interval_s)
        self._seen: dict[str, str] = {}
        self._folded_s = -float("inf")
        self._has_news = False
        self._error: Exception | None = None
        self._turn = threading.RLock()

    def fold(self) -> Manifest:
        """Fold now. Raises as `fold_receipts`."""
        with self._turn:
            self._has_news = False
            return self._fold()

    def fold_when_due(self) -> None:
        """Take note of a new receipt, and fold unless that was done within `MANIFEST_INTERVAL_S`.

        Raises as `fold_receipts`, also for what a `keeping_up` thread met with.
        """
        with self._turn:
            self._has_news = True
            self.catch_up()
            if self._error is not None:
                raise self._error

    def catch_up(self) -> None:
        """Fold if there is something to fold and it is time. Raises as `fold_receipts`."""
        with self._turn:
            if self._has_news and self._clock_s() - self._folded_s >= self._interval_s:
                self.fold()

    @contextmanager
    def keeping_up(self) -> Iterator[None]:
        """Fold inside the block what was not due when it was told of, from a thread, and the rest at its end.

        However the block ends, what is committed is listed then. Raises as `fold_receipts`.
        """
        is_over = threading.Event()
        thread = threading.Thread(target=self._keep_up, args=(is_over,), name="manifest", daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            try:
                self.fold()
            except Exception as error:  # the first error is the one to tell; the next command folds again
                _log.warning("the manifest is not up to date: %s", error)
            raise
        finally:
            is_over.set()
            thread.join()
        self.fold()

    def _keep_up(self, is_over: threading.Event) -> None:
        while not is_over.wait(LOOK_S):
            try:
                self.catch_up()
            except Exception as error:
                self._error = error
                return

    def _fold(self) -> Manifest:
        storage = self._storage
        with output_errors(storage.where(MANIFEST)), storage.locked():
            for attempt in range(MAX_ATTEMPTS):
                manifest = self._try_to_fold(is_repeated=attempt > 0)
                if manifest is not None:
                    self._folded_s = self._clock_s()
                    return manifest
                pause_s = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
                time.sleep(pause_s * random.uniform(0.5, 1.0))
        raise OutputError(
            "to replace the manifest",
            found=f"that others replaced it first, {MAX_ATTEMPTS} times",
            where=storage.where(MANIFEST),
            fix="run the same command again: committed scenes are kept",
        )

    def _try_to_fold(self, *, is_repeated: bool) -> Manifest | None:
        """Fold once; None when somebody else replaced the manifest meanwhile."""
        storage = self._storage
        stored = load_manifest_to_replace(storage)
        old = stored.manifest
        entries = {entry.scene_id: entry for entry in old.scenes}
        listed = list_receipts(storage)
        entries.update(self._news(listed, entries))
        scenes = tuple(entries[scene_id] for scene_id in sorted(entries))
        if scenes == old.scenes and stored.version is not None:
            if is_repeated:  # a card of our failed attempt may have replaced the right one
                storage.put(CARD, card_text(old).encode())
            self._seen = {scene_id: file.version for scene_id, file in listed.items()}
            return old
        manifest = Manifest(schema_version=SCHEMA_VERSION, version=old.version + 1, scenes=scenes)
        storage.put(CARD, card_text(manifest).encode())
        if not storage.put_if(MANIFEST, manifest_text(manifest).encode(), expected=stored.version):
            return None
        self._seen = {scene_id: file.version for scene_id, file in listed.items()}
        return manifest

    def _news(self, listed: dict[str, Listed], known: dict[str, SceneEntry]) -> dict[str, SceneEntry]:
        """Return the lines of receipts that are new, or other ones than before."""
        storage = self._storage

        def read_entry(scene_id: str) -> SceneEntry | None:
            entry = known.get(scene_id)
            if entry is not None and entry.receipt_sha256 == recorded_sha256(storage, scene_id):
                return None
            receipt = find_valid_receipt(storage, scene_id)
            return None if receipt is None else entry_of(receipt)

        unseen = [
            scene_id
            for scene_id, file in listed.items()
            if scene_id not in known or self._seen.get(scene_id) != file.version
        ]
        entries = _map(storage, read_entry, unseen)
        return {entry.scene_id: entry for entry in entries if entry is not None}


def _valid_receipts(storage: Storage, among: Collection[str] | None) -> Iterable[Receipt]:
    present = {scene_id for scene_id in list_receipts(storage) if among is None or scene_id in among}
    receipts = _map(storage, lambda scene_id: find_valid_receipt(storage, scene_id), sorted(present))
    return (receipt for receipt in receipts if receipt is not None)


def list_receipts(storage: Storage) -> dict[str, Listed]:
    """List the scenes that have a receipt, valid or not; names that cannot be a scene's are not ours."""
    listed = {
        file.key.removeprefix(f"{RECEIPTS}/").removesuffix(".json"): file for file in storage.list_files(RECEIPTS)
    }
    return {
        scene_id: file
        for scene_id, file in listed.items()
        if file.key.endswith(".json") and SCENE_ID_PATTERN.fullmatch(scene_id)
    }


def _map(storage: Storage, function: Callable[[_Item], _Found], items: Iterable[_Item]) -> list[_Found]:
    """Call a function for every item, as many at once as the storage is worth; results in order."""
    if storage.num_parallel == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(storage.num_parallel) as pool:
        return list(pool.map(function, items))
