"""From a staging folder into the data set: files in place, then the receipt that commits them (DESIGN section 6).

On local disks a lock keeps committers apart and one rename makes the scene appear. On object stores every attempt has a
prefix of its own, which nobody looks at until a receipt names it; receipts are put on condition that none is there.
"""

from __future__ import annotations

import logging
from pathlib import PurePosixPath

from scenegen.dataset.paths import preview_key
from scenegen.dataset.receipt import FileEntry, Receipt, damaged_files, look_up_receipt, write_receipt
from scenegen.dataset.scene_files import SceneFiles
from scenegen.dataset.staging import Staging
from scenegen.dataset.storage import Storage
from scenegen.errors import OutputError

MAX_RECEIPT_ATTEMPTS = 5

_log = logging.getLogger(__name__)


def publish_scene(storage: Storage, staging: Staging, receipt: Receipt) -> Receipt:
    """Commit a sealed scene, and return its receipt.

    A scene that is already committed is kept, and its receipt returned. One that a crash left without a receipt, or
    whose files no longer match it, is replaced.

    Args:
        storage: of the data set.
        staging: holds the scene's store and its previews, durable.
        receipt: of the files in it, as they will lie in the data set.

    Raises:
        OutputError: what arrived is not what was staged, or receipts come and go faster than they can be read.
        StorageError: the object store cannot be reached, or refuses.
    """
    with storage.locked():
        state = look_up_receipt(storage, receipt.scene_id)
        if state.receipt is not None:
            return state.receipt
        if state.version is not None:
            _log.warning("scene %s: replacing files that do not match their receipt", receipt.scene_id)
        place_previews(storage, staging, receipt)
        place_store(storage, staging, receipt)
        for _ in range(MAX_RECEIPT_ATTEMPTS):
            if write_receipt(storage, receipt, expected=state.version):
                return receipt
            state = look_up_receipt(storage, receipt.scene_id)
            if state.receipt is not None:
                take_back(storage, receipt)
                return state.receipt
    raise OutputError(
        "to write the scene's receipt",
        found=f"that others replaced it first, {MAX_RECEIPT_ATTEMPTS} times",
        where=f"scene {receipt.scene_id}",
        fix="run the same command again",
    )


def placed_previews(scene_id: str, previews: dict[str, FileEntry], *, attempt: str) -> dict[str, FileEntry]:
    """Return staged previews by their keys in the data set."""
    return {
        preview_key(scene_id, PurePosixPath(name).suffix, attempt=attempt): entry for name, entry in previews.items()
    }


def place_previews(storage: Storage, staging: Staging, receipt: Receipt) -> None:
    """Bring the previews into the data set."""
    for key in receipt.previews:
        storage.place_file(staging.previews / f"{receipt.scene_id}{PurePosixPath(key).suffix}", key)


def place_store(storage: Storage, staging: Staging, receipt: Receipt) -> None:
    """Bring the scene's store into the data set, and see that all of it arrived.

    Raises:
        OutputError: a file is missing there, or of another size.
    """
    storage.place_folder(staging.store, receipt.scene_key, list(receipt.files))
    files = SceneFiles(storage, receipt.scene_key)
    missing = damaged_files(files.sizes(), receipt)
    if missing:
        raise OutputError(
            f"{len(receipt.files)} files as staged",
            found=f"{len(missing)} missing or of another size",
            where=files.where(missing[0]),
            fix="run the same command again",
        )


def take_back(storage: Storage, receipt: Receipt) -> None:
    """Delete what this attempt placed, which no receipt names; where attempts share one place, nothing."""
    if receipt.attempt:
        storage.delete([f"{receipt.scene_key}/{name}" for name in receipt.files])
        storage.delete(receipt.previews)
