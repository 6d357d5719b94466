"""Receipts: the proof that a scene is complete. Written last, atomically, and checked against themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from scenegen.dataset.durable import canonical_json, fsync_tree, sha256_of_file, sha256_of_text
from scenegen.dataset.paths import check_scene_id, receipt_key, scene_key
from scenegen.dataset.scene_files import SceneFiles
from scenegen.dataset.schema import check_schema_version
from scenegen.dataset.storage import Storage
from scenegen.errors import DatasetError

_SELF_HASH = "receipt_sha256"
_ATTEMPT = re.compile(r"([0-9a-f]{16})?")


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
        attempt: which writer's files these are, on object stores; empty, and left out of the file, elsewhere.
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
    attempt: str = ""

    @property
    def num_bytes(self) -> int:
        """Size of the scene store."""
        return sum(entry.num_bytes for entry in self.files.values())

    @property
    def scene_key(self) -> str:
        """Where the scene's store lies in the data set."""
        return scene_key(self.scene_id, attempt=self.attempt)

    def document(self) -> dict[str, Any]:
        """Return what the file says, without the hash over it."""
        document = asdict(self)
        if not self.attempt:
            del document["attempt"]
        return document

    def self_sha256(self) -> str:
        """Hash of everything the receipt says."""
        return sha256_of_text(canonical_json(self.document()))


@dataclass(frozen=True, kw_only=True)
class ReceiptState:
    """What the storage holds as a scene's receipt.

    Attributes:
        receipt: the receipt, if it is whole and every file it names is there with its size; else None.
        version: of the file, whole or not; None where there is none.
    """

    receipt: Receipt | None
    version: str | None


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


def write_receipt(storage: Storage, receipt: Receipt, *, expected: str | None) -> bool:
    """Write a receipt; from here on the scene is committed.

    Args:
        storage: of the data set.
        receipt: of a scene whose files are all there.
        expected: version of the receipt that it replaces; None where there must be none.

    Returns:
        Whether it was written; false when the receipt there is not the expected one.
    """
    document = {**receipt.document(), _SELF_HASH: receipt.self_sha256()}
    content = (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
    return storage.put_if(receipt_key(receipt.scene_id), content, expected=expected)


def read_receipt(storage: Storage, scene_id: str) -> Receipt:
    """Read a receipt and check it against itself.

    Raises:
        DatasetError: missing, not JSON, of another schema version, or changed since it was written.
    """
    key = receipt_key(scene_id)
    try:
        return _parse_receipt(storage.read(key), where=storage.where(key))
    except OSError as error:
        raise DatasetError("a receipt", found=error.strerror or str(error), where=storage.where(key)) from error


def look_up_receipt(storage: Storage, scene_id: str) -> ReceiptState:
    """Return what the storage holds as a scene's receipt, and whether the scene is as it says."""
    key = receipt_key(scene_id)
    try:
        stored = storage.read_with_version(key)
    except FileNotFoundError:
        return ReceiptState(receipt=None, version=None)
    try:
        receipt = _parse_receipt(stored.content, where=storage.where(key))
        sizes = SceneFiles(storage, receipt.scene_key).sizes()
    except DatasetError:
        return ReceiptState(receipt=None, version=stored.version)
    is_whole = receipt.scene_id == scene_id and not damaged_files(sizes, receipt)
    return ReceiptState(receipt=receipt if is_whole else None, version=stored.version)


def find_valid_receipt(storage: Storage, scene_id: str) -> Receipt | None:
    """Return the scene's receipt if it is whole and every file it names is there with its size."""
    return look_up_receipt(storage, scene_id).receipt


def recorded_sha256(storage: Storage, scene_id: str) -> str:
    """Return the hash that a receipt states of itself, unchecked; empty where it states none."""
    try:
        return str(json.loads(storage.read(receipt_key(scene_id)))[_SELF_HASH])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def damaged_files(sizes: Mapping[str, int], receipt: Receipt) -> list[str]:
    """Return the scene's files that are missing or of another size."""
    return [name for name, entry in receipt.files.items() if sizes.get(name) != entry.num_bytes]


def _parse_receipt(content: bytes, *, where: str) -> Receipt:
    try:
        document = json.loads(content)
        check_schema_version(document["schema_version"], where=where)
        recorded = document.pop(_SELF_HASH)
        receipt = _receipt_of(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError("a whole receipt", found=f"{type(error).__name__}: {error}", where=where) from error
    if receipt.self_sha256() != recorded:
        raise DatasetError(
            "a receipt that matches its own hash",
            found="an edited one",
            where=where,
            fix="run the generating command again, which replaces the scene",
        )
    return receipt


def _receipt_of(document: dict[str, Any]) -> Receipt:
    document.setdefault("attempt", "")
    unknown = set(document) ^ {item.name for item in fields(Receipt)}
    if unknown:
        raise ValueError(f"keys missing or unknown: {sorted(unknown)}")
    check_scene_id(document["scene_id"])
    if not _ATTEMPT.fullmatch(document["attempt"]):
        raise ValueError(f"attempt {document['attempt']!r} is not 16 hex digits")
    for name in ("files", "previews"):
        document[name] = {path: FileEntry(**entry) for path, entry in document[name].items()}
    document["cameras"] = tuple(document["cameras"])
    width, height = document["size_px"]
    document["size_px"] = (int(width), int(height))
    return Receipt(**document)
