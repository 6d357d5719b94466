"""The manifest: the one file readers open. Which scenes there are, and enough to choose among them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from scenegen.dataset.durable import canonical_json, sha256_of_text
from scenegen.dataset.paths import MANIFEST, check_scene_id
from scenegen.dataset.receipt import Receipt
from scenegen.dataset.schema import SCHEMA_VERSION, check_schema_version
from scenegen.dataset.storage import Location, Storage, open_storage
from scenegen.errors import DatasetError

_SELF_HASH = "manifest_sha256"


@dataclass(frozen=True, kw_only=True)
class SceneEntry:
    """One line of the manifest: enough to choose scenes without opening them."""

    scene_id: str
    split: str
    num_steps: int
    rate_hz: float
    cameras: tuple[str, ...]
    size_px: tuple[int, int]
    model_id: str
    model_licence: str
    source: str
    source_licence: str
    num_bytes: int
    content_sha256: str
    receipt_sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a data set consists of.

    Attributes:
        schema_version: of manifest and scenes.
        version: counts the changes, from 1; 0 is an empty data set that was never folded.
        scenes: sorted by scene id.
    """

    schema_version: str
    version: int
    scenes: tuple[SceneEntry, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Scenes, steps, pictures and bytes in all."""
        return {
            "scenes": len(self.scenes),
            "steps": sum(scene.num_steps for scene in self.scenes),
            "images": sum(scene.num_steps * len(scene.cameras) for scene in self.scenes),
            "bytes": sum(scene.num_bytes for scene in self.scenes),
        }


@dataclass(frozen=True, kw_only=True)
class StoredManifest:
    """A manifest, and the version of its file that a replacement must name; None where there is no file yet."""

    manifest: Manifest
    version: str | None


def read_manifest(location: Location) -> Manifest:
    """Read the manifest and check it against itself.

    Raises:
        DatasetError: missing, not JSON, of another schema version, or edited.
    """
    return load_manifest(open_storage(location))


def load_manifest(storage: Storage) -> Manifest:
    """Read the manifest of an open storage. Raises as `read_manifest`."""
    try:
        return parse_manifest(storage.read(MANIFEST), where=storage.where(MANIFEST))
    except OSError as error:
        raise DatasetError(
            "a data set with a manifest.json",
            found=error.strerror or str(error),
            where=storage.where(MANIFEST),
            fix="give the folder or URL that `scenegen generate` wrote",
        ) from error


def load_manifest_to_replace(storage: Storage) -> StoredManifest:
    """Read the manifest with its version; an empty one where there is none.

    Raises:
        DatasetError: it is damaged or of another schema version.
    """
    try:
        stored = storage.read_with_version(MANIFEST)
    except FileNotFoundError:
        return StoredManifest(manifest=_EMPTY, version=None)
    return StoredManifest(
        manifest=parse_manifest(stored.content, where=storage.where(MANIFEST)), version=stored.version
    )


def parse_manifest(content: bytes, *, where: str) -> Manifest:
    """Read a manifest from its file's content. Raises as `read_manifest`."""
    try:
        document = json.loads(content)
        check_schema_version(document["schema_version"], where=where)
        recorded = document.pop(_SELF_HASH)
        if sha256_of_text(canonical_json(document)) != recorded:
            raise DatasetError(
                "a manifest that matches its own hash",
                found="an edited one",
                where=where,
                fix="delete it and run the generating command again, which writes it anew from the receipts",
            )
        return Manifest(
            schema_version=document["schema_version"],
            version=document["version"],
            scenes=tuple(_entry_from_dict(entry) for entry in document["scenes"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError("a whole manifest", found=f"{type(error).__name__}: {error}", where=where) from error


def manifest_text(manifest: Manifest) -> str:
    """Return what the file says, with the hash over it."""
    document = {**asdict(manifest), "counts": manifest.counts}
    digest = sha256_of_text(canonical_json(document))
    return json.dumps({**document, _SELF_HASH: digest}, indent=1, sort_keys=True) + "\n"


_EMPTY = Manifest(schema_version=SCHEMA_VERSION, version=0, scenes=())


def entry_of(receipt: Receipt) -> SceneEntry:
    """Return a receipt's line of the manifest."""
    return SceneEntry(
        scene_id=receipt.scene_id,
        split=receipt.split,
        num_steps=receipt.num_steps,
        rate_hz=receipt.rate_hz,
        cameras=receipt.cameras,
        size_px=receipt.size_px,
        model_id=receipt.model_id,
        model_licence=receipt.model_licence,
        source=receipt.source,
        source_licence=receipt.source_licence,
        num_bytes=receipt.num_bytes,
        content_sha256=receipt.content_sha256,
        receipt_sha256=receipt.self_sha256(),
    )


def _entry_from_dict(entry: dict[str, Any]) -> SceneEntry:
    width, height = entry["size_px"]
    check_scene_id(entry["scene_id"])
    return SceneEntry(**{**entry, "cameras": tuple(entry["cameras"]), "size_px": (int(width), int(height))})
