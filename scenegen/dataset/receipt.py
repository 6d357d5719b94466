"""Receipts: the proof that a scene is complete. Written last, atomically, and checked against themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from scenegen.dataset.durable import canonical_json, fsync_tree, sha256_of_file, sha256_of_text, write_atomically
from scenegen.dataset.paths import DatasetPaths
from scenegen.dataset.schema import check_schema_version
from scenegen.errors import DatasetError

_SELF_HASH = "receipt_sha256"


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """What a committed file must be."""

    num_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """One committed scene.

    Attributes:
        schema_version: of the scene store.
        scene_id, split, num_steps, rate_hz, cameras, size_px: what the scene is, without opening it; the size is the
            largest width and the largest height of its cameras.
        layout_sha256, config_sha256, code_version, model_id, weights_sha256: what decided its bytes.
        source, source_licence, model_licence: where its layout and its pixels come from, and on which terms.
        created_utc: when it was committed; ISO 8601.
        content_sha256: hash over the sorted (path, hash) pairs of `files`; equal scenes have equal content.
        files: path inside the scene store -> size and hash.
        previews: path inside the data set -> size and hash.
        scores: what the judges said.
        cost: what it took (seconds, memory); never part of the scene's bytes.
    """

    schema_version: str
    scene_id: str
    split: str
    num_steps: int
    rate_hz: float
    cameras: tuple[str, ...]
    size_px: tuple[int, int]
    layout_sha256: str
    config_sha256: str
    code_version: str
    model_id: str
    model_licence: str
    weights_sha256: str
    source: str
    source_licence: str
    created_utc: str
    content_sha256: str
    files: dict[str, FileEntry]
    previews: dict[str, FileEntry]
    scores: dict[str, Any]
    cost: dict[str, Any]

    @property
    def num_bytes(self) -> int:
        """Size of the scene store."""
        return sum(entry.num_bytes for entry in self.files.values())

    def self_sha256(self) -> str:
        """Hash of everything the receipt says."""
        return sha256_of_text(canonical_json(asdict(self)))


def seal_files(root: Path) -> dict[str, FileEntry]:
    """Make every file below `root` durable, read it back and hash it. Keys are sorted relative paths."""
    fsync_tree(root)
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): file_entry(path) for path in found}


def file_entry(path: Path) -> FileEntry:
    """Hash one file."""
    return FileEntry(num_bytes=path.stat().st_size, sha256=sha256_of_file(path))


def content_sha256(files: Mapping[str, FileEntry]) -> str:
    """Hash a scene store's content from the hashes of its files."""
    return sha256_of_text("".join(f"{path}\0{files[path].sha256}\n" for path in sorted(files)))


def write_receipt(paths: DatasetPaths, receipt: Receipt) -> None:
    """Write a receipt atomically; from here on the scene is committed."""
    document = {**asdict(receipt), _SELF_HASH: receipt.self_sha256()}
    write_atomically(paths.receipt(receipt.scene_id), json.dumps(document, indent=1, sort_keys=True) + "\n")


def read_receipt(path: Path) -> Receipt:
    """Read a receipt and check it against itself.

    Raises:
        DatasetError: missing, not JSON, of another schema version, or changed since it was written.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        check_schema_version(document["schema_version"], where=str(path))
        recorded = document.pop(_SELF_HASH)
        receipt = _receipt_of(document)
    except OSError as error:
        raise DatasetError("a receipt", found=error.strerror or str(error), where=str(path)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError("a whole receipt", found=f"{type(error).__name__}: {error}", where=str(path)) from error
    if receipt.self_sha256() != recorded:
        raise DatasetError(
            "a receipt that matches its own hash",
            found="an edited one",
            where=str(path),
            fix="run the generating command again, which replaces the scene",
        )
    return receipt


def recorded_sha256(path: Path) -> str:
    """Return the hash that a receipt states of itself, unchecked; empty where it states none."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[_SELF_HASH])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _receipt_of(document: dict[str, Any]) -> Receipt:
    unknown = set(document) ^ {item.name for item in fields(Receipt)}
    if unknown:
        raise ValueError(f"keys missing or unknown: {sorted(unknown)}")
    for name in ("files", "previews"):
        document[name] = {path: FileEntry(**entry) for path, entry in document[name].items()}
    document["cameras"] = tuple(document["cameras"])
    width, height = document["size_px"]
    document["size_px"] = (int(width), int(height))
    return Receipt(**document)


def damaged_files(scene_folder: Path, receipt: Receipt) -> list[str]:
    """Return the scene's files that are missing or of another size. Cheap: sizes only, no reading."""
    return [path for path, entry in receipt.files.items() if size_of(scene_folder / path) != entry.num_bytes]


def size_of(path: Path) -> int | None:
    """Return a regular file's size, or None where there is none."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def find_valid_receipt(paths: DatasetPaths, scene_id: str) -> Receipt | None:
    """Return the scene's receipt if it is whole and every file it names is there with its size."""
    try:
        receipt = read_receipt(paths.receipt(scene_id))
    except DatasetError:
        return None
    is_whole = receipt.scene_id == scene_id and not damaged_files(paths.scene(scene_id), receipt)
    return receipt if is_whole else None
