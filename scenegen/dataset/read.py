"""Reading a data set: numpy out, lazy, and loud about damage. Needs neither torch nor Ray nor Hydra.

ds = open_dataset("out/ds")
scene = ds[ds.scene_ids[0]]
frames = scene.rgb("CAM_FRONT")[0:8]          # T H W 3, uint8
boxes = scene.boxes(0)                        # world frame
"""

from __future__ import annotations

from collections.abc import Iterator

from scenegen.dataset.damage import check_files
from scenegen.dataset.manifest import Manifest, SceneEntry, load_manifest
from scenegen.dataset.paths import MANIFEST, receipt_key
from scenegen.dataset.receipt import read_receipt
from scenegen.dataset.scene_files import SceneFiles
from scenegen.dataset.storage import Location, Storage, open_storage
from scenegen.dataset.stored_scene import OpenRenderer, Scene
from scenegen.errors import DatasetError


class Dataset:
    """A data set as its manifest describes it. Made by `open_dataset`."""

    def __init__(self, storage: Storage, manifest: Manifest, *, open_renderer: OpenRenderer | None = None) -> None:
        self.storage = storage
        self._open_renderer = open_renderer
        self.manifest = manifest
        self._entries = {entry.scene_id: entry for entry in manifest.scenes}

    @property
    def scene_ids(self) -> tuple[str, ...]:
        """Ids of all scenes, sorted."""
        return tuple(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Scene]:
        return (self[scene_id] for scene_id in self.scene_ids)

    def __getitem__(self, scene_id: str) -> Scene:
        """Open a scene.

        Raises:
            DatasetError: not in the manifest, or one of its files is missing or has another size.
        """
        if scene_id not in self._entries:
            where = self.storage.where(MANIFEST)
            raise DatasetError(f"one of {len(self)} scenes", found=repr(scene_id), where=where)
        return _open_scene(self.storage, self._entries[scene_id], open_renderer=self._open_renderer)


def open_dataset(location: Location, *, open_renderer: OpenRenderer | None = None) -> Dataset:
    """Open a data set by its manifest; no folder is listed and no scene opened.

    Args:
        location: root of the data set: a folder, or a URL such as s3://bucket/prefix.
        open_renderer: makes pixel maps that a scene does not store, and sweeps between key frames;
            `scenegen.rerender.open_rendered` passes one in.

    Raises:
        ConfigError: the URL is of an unknown kind.
        DatasetError: no data set, or its manifest is damaged or of another schema version.
        DependencyError: a URL, and obstore is not installed.
        StorageError: the object store cannot be reached, or refuses.
    """
    storage = open_storage(location)
    return Dataset(storage, load_manifest(storage), open_renderer=open_renderer)


def _open_scene(storage: Storage, entry: SceneEntry, *, open_renderer: OpenRenderer | None) -> Scene:
    receipt = read_receipt(storage, entry.scene_id)
    if receipt.self_sha256() != entry.receipt_sha256:
        raise DatasetError(
            "the receipt that the manifest names",
            found=f"another in {storage.where(receipt_key(entry.scene_id))}",
            where=f"scene {entry.scene_id}",
            fix="run the generating command again, which folds new receipts into the manifest",
        )
    files = SceneFiles(storage, receipt.scene_key)
    check_files(files, receipt)
    return Scene(entry.scene_id, files, receipt, open_renderer=open_renderer)
