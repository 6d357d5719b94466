"""The manifest: the one file readers open. One committer folds receipts into it and replaces it atomically."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scenegen.dataset.card import card_text
from scenegen.dataset.durable import canonical_json, exclusive_lock, output_errors, sha256_of_text, write_atomically
from scenegen.dataset.paths import SCENE_ID_PATTERN, DatasetPaths, check_scene_id
from scenegen.dataset.receipt import Receipt, find_valid_receipt, recorded_sha256
from scenegen.dataset.schema import SCHEMA_VERSION, check_schema_version
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


def committed_scene_ids(dataset_dir: Path) -> frozenset[str]:
    """Return the scenes that need not be generated again: valid receipt, every file there with its size.

    Works on a missing or empty folder, which has none.
    """
    paths = DatasetPaths(Path(dataset_dir))
    return frozenset(scene_id for scene_id in _receipt_ids(paths) if find_valid_receipt(paths, scene_id) is not None)


def fold_receipts(dataset_dir: Path) -> Manifest:
    """Bring the manifest, and the data set card, up to date with the receipts; return the manifest.

    Idempotent: without news the file stays as it is. A scene once in the manifest stays in it, so that later
    damage fails loudly on read instead of shrinking the data set.

    Raises:
        DatasetError: the manifest that is there is damaged.
        OutputError: the folder cannot be written.
    """
    paths = DatasetPaths(Path(dataset_dir))
    with output_errors(paths.manifest), exclusive_lock(paths.lock):
        old = read_manifest(paths.root) if paths.manifest.exists() else _EMPTY
        entries = {entry.scene_id: entry for entry in old.scenes}
        for scene_id in _receipt_ids(paths):
            known = entries.get(scene_id)
            if known is None or known.receipt_sha256 != recorded_sha256(paths.receipt(scene_id)):
                receipt = find_valid_receipt(paths, scene_id)
                entries.update({scene_id: _entry_of(receipt)} if receipt is not None else {})
        scenes = tuple(entries[scene_id] for scene_id in sorted(entries))
        if scenes == old.scenes and paths.manifest.exists():
            return old
        manifest = Manifest(schema_version=SCHEMA_VERSION, version=old.version + 1, scenes=scenes)
        write_atomically(paths.card, card_text(manifest))
        write_atomically(paths.manifest, _text_of(manifest))
    return manifest


def read_manifest(dataset_dir: Path) -> Manifest:
    """Read the manifest and check it against itself.

    Raises:
        DatasetError: missing, not JSON, of another schema version, or edited.
    """
    path = DatasetPaths(Path(dataset_dir)).manifest
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        check_schema_version(document["schema_version"], where=str(path))
        recorded = document.pop(_SELF_HASH)
        if sha256_of_text(canonical_json(document)) != recorded:
            raise DatasetError(
                "a manifest that matches its own hash",
                found="an edited one",
                where=str(path),
                fix="delete it and run the generating command again, which writes it anew from the receipts",
            )
        return Manifest(
            schema_version=document["schema_version"],
            version=document["version"],
            scenes=tuple(_entry_from_dict(entry) for entry in document["scenes"]),
        )
    except OSError as error:
        raise DatasetError(
            "a data set with a manifest.json",
            found=error.strerror or str(error),
            where=str(path),
            fix="give the folder that `scenegen generate` wrote",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError("a whole manifest", found=f"{type(error).__name__}: {error}", where=str(path)) from error


_EMPTY = Manifest(schema_version=SCHEMA_VERSION, version=0, scenes=())


def _receipt_ids(paths: DatasetPaths) -> list[str]:
    """List the scenes that have a receipt, valid or not; names that cannot be a scene's are not ours."""
    stems = (file.stem for file in paths.receipts.glob("*.json"))
    return sorted(stem for stem in stems if SCENE_ID_PATTERN.fullmatch(stem))


def _entry_of(receipt: Receipt) -> SceneEntry:
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


def _text_of(manifest: Manifest) -> str:
    document = {**asdict(manifest), "counts": manifest.counts}
    digest = sha256_of_text(canonical_json(document))
    return json.dumps({**document, _SELF_HASH: digest}, indent=1, sort_keys=True) + "\n"
