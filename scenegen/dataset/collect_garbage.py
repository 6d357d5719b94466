"""Deleting what no reader can reach: leftovers of writers that died, attempts that no receipt names, old checkpoints.

Everything else stays, whatever its state: a damaged scene is evidence, and a command can replace it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scenegen.dataset.durable import output_errors
from scenegen.dataset.fold import list_receipts
from scenegen.dataset.manifest import load_manifest_to_replace
from scenegen.dataset.paths import CHECKPOINTS, PREVIEWS, RECEIPTS, SCENES, DatasetPaths, preview_key, scene_root
from scenegen.dataset.receipt import read_receipt
from scenegen.dataset.staging import TOKEN_PATTERN, delete_dead, is_alive
from scenegen.dataset.storage import Listed, Location, Storage, open_storage
from scenegen.errors import DatasetError

TEMPORARY_FILE = f".*.{TOKEN_PATTERN}"


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """One thing that may go: a stored file, or a folder of an unfinished scene."""

    where: str
    num_bytes: int


def collect_garbage(location: Location, *, grace_s: float) -> list[Garbage]:
    """Delete what `find_garbage` finds, and return it.

    Raises:
        DatasetError: the manifest is damaged, so that nobody knows what is garbage; nothing is deleted.
        OutputError: something could not be deleted.
        StorageError: the object store cannot be reached, or refuses.
    """
    storage = open_storage(location)
    with output_errors(storage.location), storage.locked():
        cutoff_s = time.time() - grace_s
        files = [*_unreachable_files(storage, cutoff_s), *_abandoned_checkpoints(storage, cutoff_s)]
        storage.delete([file.key for file in files])
        leftovers = [*_dead_writers(storage, cutoff_s)]
        deleted = [garbage for folder, garbage in leftovers if delete_dead(folder)]
        temporary = [*_temporary_files(storage, cutoff_s)]
        for file, _ in temporary:
            file.unlink(missing_ok=True)
    return [*_described(storage, files), *deleted, *(garbage for _, garbage in temporary)]


def find_garbage(location: Location, *, grace_s: float) -> list[Garbage]:
    """Return what no reader can reach and nobody has touched for `grace_s` seconds. Nothing is deleted.

    Raises:
        DatasetError: the manifest is damaged, so that nobody knows what is garbage.
        StorageError: the object store cannot be reached, or refuses.
    """
    storage = open_storage(location)
    cutoff_s = time.time() - grace_s
    folders = [*_dead_writers(storage, cutoff_s), *_temporary_files(storage, cutoff_s)]
    files = [*_unreachable_files(storage, cutoff_s), *_abandoned_checkpoints(storage, cutoff_s)]
    return [*_described(storage, files), *(garbage for _, garbage in folders)]


def _described(storage: Storage, files: list[Listed]) -> list[Garbage]:
    return [Garbage(where=storage.where(file.key), num_bytes=file.num_bytes) for file in files]


def _unreachable_files(storage: Storage, cutoff_s: float) -> list[Listed]:
    """Return old files of scenes and previews that no receipt names.

    Files are listed before receipts: what a writer committed in between is named by the receipts that are read later.
    Files of a scene stay while its receipt cannot be read, is missing although the manifest names it, or is young,
    since readers may still be at what an older receipt named.
    """
    stored = [file for folder in (SCENES, PREVIEWS) for file in storage.list_files(folder)]
    old = [file for file in stored if file.modified_s < cutoff_s]
    if not old:
        return []
    listed = {entry.scene_id for entry in load_manifest_to_replace(storage).manifest.scenes}
    kept_keys: set[str] = set()
    kept_scenes = set(listed)
    for scene_id, file in list_receipts(storage).items():
        try:
            receipt = read_receipt(storage, scene_id)
        except DatasetError:
            kept_scenes.add(scene_id)
            continue
        if file.modified_s >= cutoff_s:
            kept_scenes.add(scene_id)
            continue
        kept_scenes.discard(scene_id)
        kept_keys.update(f"{receipt.scene_key}/{name}" for name in receipt.files)
        kept_keys.update(receipt.previews)
    kept_starts = {
        start
        for scene_id in kept_scenes
        for root in (scene_root(scene_id), preview_key(scene_id, ""))
        for start in (f"{root}/", f"{root}.")
    }
    return [file for file in old if file.key not in kept_keys and not file.key.startswith(tuple(kept_starts))]


def _abandoned_checkpoints(storage: Storage, cutoff_s: float) -> list[Listed]:
    """Return the checkpoints of scenes that nobody has painted on since; a painter that loses its own begins anew."""
    of_scene: dict[str, list[Listed]] = {}
    for file in storage.list_files(CHECKPOINTS):
        of_scene.setdefault(file.key.removeprefix(f"{CHECKPOINTS}/").partition("/")[0], []).append(file)
    return [file for files in of_scene.values() if max(file.modified_s for file in files) < cutoff_s for file in files]


def _dead_writers(storage: Storage, cutoff_s: float) -> Iterator[tuple[Path, Garbage]]:
    """Find staging folders whose writer is gone, below the data set or on this machine's scratch disk."""
    for folder in sorted(DatasetPaths(storage.scratch).staging.glob(f"*.{TOKEN_PATTERN}")):
        files = [path for path in folder.rglob("*") if path.is_file()]
        newest_s = max(path.stat().st_mtime for path in (folder, *files))
        if newest_s < cutoff_s and not is_alive(folder):
            yield folder, Garbage(where=str(folder), num_bytes=sum(path.stat().st_size for path in files))


def _temporary_files(storage: Storage, cutoff_s: float) -> Iterator[tuple[Path, Garbage]]:
    """Find files that a crash left between writing and renaming, beside manifest, card and receipts."""
    for folder in (storage.scratch, storage.scratch / RECEIPTS):
        for file in sorted(folder.glob(TEMPORARY_FILE)):
            status = file.stat()
            if file.is_file() and status.st_mtime < cutoff_s:
                yield file, Garbage(where=str(file), num_bytes=status.st_size)
