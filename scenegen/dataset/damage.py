"""What is wrong with the files of a committed scene, in words that name the file, the array and the scene."""

from __future__ import annotations

from pathlib import Path

from scenegen.dataset.durable import sha256_of_file
from scenegen.dataset.receipt import Receipt, damaged_files, size_of
from scenegen.errors import DatasetError

METADATA_FILE = "zarr.json"


def check_files(folder: Path, receipt: Receipt) -> None:
    """Check that a scene's files are there with their sizes, and the metadata of all arrays whole. Cheap.

    Raises:
        DatasetError: one is missing, of another size, or the metadata is other than written.
    """
    damaged = damaged_files(folder, receipt)
    if damaged:
        file = folder / damaged[0]
        raise DatasetError(
            f"{receipt.files[damaged[0]].num_bytes} bytes as written",
            found=f"{'no such file' if size_of(file) is None else f'{size_of(file)} bytes'} in {file}",
            where=f"scene {receipt.scene_id}, array {damaged[0].rpartition('/')[0]}",
            fix="run the generating command again, which replaces damaged scenes",
        )
    _check_metadata(folder, receipt)


def damage_error(folder: Path, receipt: Receipt, *, path: str, cause: str) -> DatasetError:
    """Find the file that makes an array unreadable and describe it.

    Args:
        folder: root of the scene's store.
        receipt: what its files must be.
        path: of the array; empty for the root.
        cause: what zarr said, for when every file is as written.
    """
    for name, entry in receipt.files.items():
        file = folder / name
        if not name.startswith(path):
            continue
        found = ""
        if size_of(file) != entry.num_bytes:
            found = "no such file" if size_of(file) is None else f"{size_of(file)} bytes"
        elif sha256_of_file(file) != entry.sha256:
            found = "other content"
        if found:
            return DatasetError(
                f"{entry.num_bytes} bytes as written",
                found=f"{found} in {file}",
                where=f"scene {receipt.scene_id}, array {path or 'root'}",
                fix="run the generating command again after deleting the scene's receipt",
            )
    return DatasetError("a readable array", found=cause, where=f"scene {receipt.scene_id}, array {path or 'root'}")


def _check_metadata(folder: Path, receipt: Receipt) -> None:
    """Check the one file that carries no checksum of its own, and all attributes with the metadata of all arrays."""
    if sha256_of_file(folder / METADATA_FILE) != receipt.files[METADATA_FILE].sha256:
        raise DatasetError(
            f"{receipt.files[METADATA_FILE].num_bytes} bytes as written",
            found=f"other content in {folder / METADATA_FILE}",
            where=f"scene {receipt.scene_id}, attributes",
            fix="run the generating command again, after deleting the scene's receipt",
        )
