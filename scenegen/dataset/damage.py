"""What is wrong with the files of a committed scene, in words that name the file, the array and the scene."""

from __future__ import annotations

from scenegen.dataset.receipt import Receipt, damaged_files
from scenegen.dataset.scene_files import SceneFiles
from scenegen.errors import DatasetError

METADATA_FILE = "zarr.json"


def check_files(files: SceneFiles, receipt: Receipt) -> None:
    """Check that a scene's files are there with their sizes, and the metadata of all arrays whole. Cheap.

    Raises:
        DatasetError: one is missing, of another size, or the metadata is other than written.
    """
    sizes = files.sizes()
    damaged = damaged_files(sizes, receipt)
    if damaged:
        name = damaged[0]
        raise DatasetError(
            f"{receipt.files[name].num_bytes} bytes as written",
            found=f"{_describe_size(sizes.get(name))} in {files.where(name)}",
            where=f"scene {receipt.scene_id}, array {name.rpartition('/')[0]}",
            fix="run the generating command again, which replaces damaged scenes",
        )
    _check_metadata(files, receipt)


def damage_error(files: SceneFiles, receipt: Receipt, *, path: str, cause: str) -> DatasetError:
    """Find the file that makes an array unreadable and describe it.

    Args:
        files: of the scene's store.
        receipt: what they must be.
        path: of the array; empty for the root.
        cause: what zarr said, for when every file is as written.
    """
    sizes = files.sizes()
    for name, entry in receipt.files.items():
        if not name.startswith(path):
            continue
        found = ""
        if sizes.get(name) != entry.num_bytes:
            found = _describe_size(sizes.get(name))
        elif files.sha256(name) != entry.sha256:
            found = "other content"
        if found:
            return DatasetError(
                f"{entry.num_bytes} bytes as written",
                found=f"{found} in {files.where(name)}",
                where=f"scene {receipt.scene_id}, array {path or 'root'}",
                fix="run the generating command again after deleting the scene's receipt",
            )
    return DatasetError("a readable array", found=cause, where=f"scene {receipt.scene_id}, array {path or 'root'}")


def _describe_size(num_bytes: int | None) -> str:
    return "no such file" if num_bytes is None else f"{num_bytes} bytes"


def _check_metadata(files: SceneFiles, receipt: Receipt) -> None:
    """Check the one file that carries no checksum of its own, and all attributes with the metadata of all arrays."""
    if files.sha256(METADATA_FILE) != receipt.files[METADATA_FILE].sha256:
        raise DatasetError(
            f"{receipt.files[METADATA_FILE].num_bytes} bytes as written",
            found=f"other content in {files.where(METADATA_FILE)}",
            where=f"scene {receipt.scene_id}, attributes",
            fix="run the generating command again, after deleting the scene's receipt",
        )
