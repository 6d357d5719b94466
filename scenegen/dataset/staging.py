"""Where an unfinished scene grows: a folder of its own, with proof that its writer lives."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from scenegen.dataset.durable import exclusive_lock, try_to_own
from scenegen.dataset.paths import DatasetPaths, check_scene_id
from scenegen.dataset.storage import Storage

DISCARD_ATTEMPTS, DISCARD_PAUSE_S = 20, 0.05
TOKEN_PATTERN = "[0-9a-f]" * 8
_STORE_FOLDER, _PREVIEW_FOLDER = "scene.zarr", "previews"


class Staging:
    """The folder of one unfinished scene: below the data set, or on a local disk where that is an object store."""

    def __init__(self, storage: Storage, scene_id: str) -> None:
        name = check_scene_id(scene_id)
        paths = DatasetPaths(storage.scratch)
        with exclusive_lock(paths.lock):
            for leftover in paths.staging.glob(f"{'*' if storage.clears_scratch else name}.{TOKEN_PATTERN}"):
                delete_dead(leftover)
            self.folder = paths.staging / f"{name}.{secrets.token_hex(4)}"
            self.folder.mkdir()
            self._mark = try_to_own(self.folder)

    @property
    def store(self) -> Path:
        """Root of the scene's Zarr store."""
        return self.folder / _STORE_FOLDER

    @property
    def previews(self) -> Path:
        """Folder of the scene's previews."""
        return self.folder / _PREVIEW_FOLDER

    def discard(self) -> None:
        """Delete the folder with all that was not moved out of it.

        After an interrupt zarr's own thread may still be finishing a write, which can bring a file back for a moment.
        """
        for _ in range(DISCARD_ATTEMPTS):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                break
            time.sleep(DISCARD_PAUSE_S)
        if self._mark is not None:
            self._mark.close()


def is_alive(folder: Path) -> bool:
    """Say whether the writer of a staging folder still runs; one that has just deleted its folder does not."""
    with _taken_over(folder) as is_ours:
        return not is_ours and folder.exists()


def delete_dead(folder: Path) -> bool:
    """Delete the folder of a writer that is gone; return whether it was."""
    with _taken_over(folder) as is_ours:
        if is_ours:
            shutil.rmtree(folder, ignore_errors=True)
        return is_ours


@contextmanager
def _taken_over(folder: Path) -> Iterator[bool]:
    """Own a staging folder inside the block, if it is there and its writer is gone; yield whether so."""
    try:
        mark = try_to_own(folder)
    except FileNotFoundError:  # its writer has just deleted it
        mark = None
    with mark or nullcontext():
        yield mark is not None
