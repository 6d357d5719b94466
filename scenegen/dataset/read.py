"""Reading a data set: numpy out, lazy, and loud about damage. Needs neither torch nor Ray nor Hydra.

ds = open_dataset("out/ds")
scene = ds[ds.scene_ids[0]]
frames = scene.rgb("CAM_FRONT")[0:8]          # T H W 3, uint8
boxes = scene.boxes(0)                        # world frame
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scenegen.dataset.damage import check_files
from scenegen.dataset.manifest import Manifest, SceneEntry, read_manifest
from scenegen.dataset.paths import DatasetPaths
from scenegen.dataset.receipt import read_receipt
from scenegen.dataset.stored_scene import OpenRenderer, Scene
from scenegen.errors import DatasetError


class Dataset:
    """A data set as its manifest describes it. Made by `open_dataset`."""

    def __init__(self, root: Path, manifest: Manifest, *, open_renderer: OpenRenderer | None = None) -> None:
        self.paths = DatasetPaths(root)
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
            raise DatasetError(f"one of {len(self)} scenes", found=repr(scene_id), where=str(self.paths.manifest))
        return _open_scene(self.paths, self._entries[scene_id], open_renderer=self._open_renderer)


def open_dataset(path: Path | str, *, open_renderer: OpenRenderer | None = None) -> Dataset:
    """Open a data set by its manifest; no folder is listed and no scene opened.

    Args:
        path: root of the data set.
        open_renderer: makes pixel maps that a scene does not store, and sweeps between key frames;
            `scenegen.rerender.open_rendered` passes one in.

    Raises:
        DatasetError: no data set, or its manifest is damaged or of another schema version.
    """
    root = Path(path)
    return Dataset(root, read_manifest(root), open_renderer=open_renderer)


def _open_scene(paths: DatasetPaths, entry: SceneEntry, *, open_renderer: OpenRenderer | None) -> Scene:
    receipt = read_receipt(paths.receipt(entry.scene_id))
    if receipt.self_sha256() != entry.receipt_sha256:
        raise DatasetError(
            "the receipt that the manifest names",
            found=f"another in {paths.receipt(entry.scene_id)}",
            where=f"scene {entry.scene_id}",
            fix="run the generating command again, which folds new receipts into the manifest",
        )
    folder = paths.scene(entry.scene_id)
    check_files(folder, receipt)
    return Scene(entry.scene_id, folder, receipt, open_renderer=open_renderer)
