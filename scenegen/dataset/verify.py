"""Checking a data set: every file against its receipt, and, deep, every number against what it must be."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from scenegen.dataset.label_checks import check_labels
from scenegen.dataset.manifest import SceneEntry
from scenegen.dataset.paths import scene_key
from scenegen.dataset.read import Dataset, open_dataset
from scenegen.dataset.receipt import FileEntry, Receipt, content_sha256, read_receipt
from scenegen.dataset.scene_files import SceneFiles, sha256_of_stored
from scenegen.dataset.schema import ADDED_ARRAYS, ARRAYS, CAMERA_FIELD
from scenegen.dataset.storage import Location, Storage
from scenegen.dataset.stored_array import StoredArray
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DatasetError
from scenegen.types import Semantic
from scenegen.types.layout_json import layout_sha256

STEPS_PER_READ = 60
LARGEST_OF_PATH = {
    "occupancy/semantics": int(Semantic.FREE),
    "occupancy/mask_camera": 1,
    "occupancy/mask_lidar": 1,
    "cameras/<CAM>/semantic": int(Semantic.FREE),
}


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One thing that is wrong: in which scene, and what."""

    scene_id: str
    finding: str


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        num_scenes, num_files, num_bytes: what was looked at.
        damages: everything that is wrong; empty for a sound data set.
    """

    num_scenes: int
    num_files: int
    num_bytes: int
    damages: tuple[Damage, ...]

    def raise_on_damage(self) -> None:
        """Raise `DatasetError` that names the first damage and counts the others."""
        if self.damages:
            first = self.damages[0]
            raise DatasetError(
                f"{self.num_scenes} sound scenes",
                found=f"{len(self.damages)} damages; the first: {first.finding}",
                where=f"scene {first.scene_id}",
                fix="the command that generated the data set replaces damaged scenes",
            )


def join_reports(reports: Sequence[VerifyReport]) -> VerifyReport:
    """Put reports of different scenes together; damages are in the order of scene ids."""
    damages = [damage for report in reports for damage in report.damages]
    return VerifyReport(
        num_scenes=sum(report.num_scenes for report in reports),
        num_files=sum(report.num_files for report in reports),
        num_bytes=sum(report.num_bytes for report in reports),
        damages=tuple(sorted(damages, key=lambda damage: damage.scene_id)),
    )


def verify_dataset(location: Location, *, deep: bool, scene_ids: Sequence[str] = ()) -> VerifyReport:
    """Check a data set.

    Args:
        location: root of the data set, a folder or a URL.
        deep: also decode every array and check that the numbers make sense together.
        scene_ids: which scenes of the manifest; all by default.

    Raises:
        DatasetError: no data set at all, or its manifest is damaged. What is wrong with scenes is reported instead.
    """
    dataset = open_dataset(location)
    damages: list[Damage] = []
    num_files = 0
    entries = [entry for entry in dataset.manifest.scenes if not scene_ids or entry.scene_id in scene_ids]
    for entry in entries:
        findings = [*_check_files(dataset.storage, entry)]
        num_files += _num_files(dataset.storage, entry)
        if deep and not findings:
            findings = [*_check_numbers(dataset, entry)]
        damages += [Damage(scene_id=entry.scene_id, finding=finding) for finding in findings]
    return VerifyReport(
        num_scenes=len(entries),
        num_files=num_files,
        num_bytes=sum(entry.num_bytes for entry in entries),
        damages=tuple(damages),
    )


def _num_files(storage: Storage, entry: SceneEntry) -> int:
    try:
        prefix = read_receipt(storage, entry.scene_id).scene_key
    except DatasetError:
        prefix = scene_key(entry.scene_id)
    return len(SceneFiles(storage, prefix).sizes())


def _check_files(storage: Storage, entry: SceneEntry) -> Iterator[str]:
    try:
        receipt = read_receipt(storage, entry.scene_id)
    except DatasetError as error:
        yield str(error)
        return
    if receipt.self_sha256() != entry.receipt_sha256 or receipt.scene_id != entry.scene_id:
        yield "the receipt is not the one that the manifest names"
        return
    sizes = SceneFiles(storage, receipt.scene_key).sizes()
    for name, expected in receipt.files.items():
        key = f"{receipt.scene_key}/{name}"
        yield from _compare(storage, key, name=name, size=sizes.get(name), expected=expected)
    for name, expected in receipt.previews.items():
        yield from _compare(storage, name, name=name, size=storage.size(name), expected=expected)
    yield from (f"{name}: no receipt names this file" for name in sorted(set(sizes) - set(receipt.files)))
    if content_sha256(receipt.files) != entry.content_sha256:
        yield "the content hash does not follow from the files"


def _compare(storage: Storage, key: str, *, name: str, size: int | None, expected: FileEntry) -> Iterator[str]:
    if size is None:
        yield f"{name}: missing"
    elif size != expected.num_bytes:
        yield f"{name}: {size} bytes instead of {expected.num_bytes}"
    elif sha256_of_stored(storage, key) != expected.sha256:
        yield f"{name}: content differs from what was written"


def _check_numbers(dataset: Dataset, entry: SceneEntry) -> Iterator[str]:
    try:
        scene = dataset[entry.scene_id]
        yield from _check_arrays(scene)
        yield from _check_layout(scene)
        yield from check_labels(scene)
        yield from _check_previews(dataset.storage, scene.receipt)
    except DatasetError as error:
        yield str(error)


def _check_arrays(scene: Scene) -> Iterator[str]:
    """Decode everything, and check types and the range of voxels."""
    for spec in ARRAYS:
        cameras = scene.cameras if CAMERA_FIELD in spec.path else ("",)
        for camera in cameras:
            path = spec.for_camera(camera)
            if spec.path in ADDED_ARRAYS and not scene.has_array(path):
                continue
            array = scene.array(path)
            if array.dtype != np.dtype(spec.dtype) or len(array.shape) != len(spec.dims):
                yield f"{path}: {array.dtype} of {len(array.shape)} dimensions instead of {spec.dtype} {spec.dims}"
            if spec.dims[0] == "time" and len(array) != scene.num_steps:
                yield f"{path}: {len(array)} steps instead of {scene.num_steps}"
            largest = max((block.max() for block in _blocks(array)), default=0)
            if largest > LARGEST_OF_PATH.get(spec.path, np.inf):
                yield f"{path}: value {largest}, beyond {LARGEST_OF_PATH[spec.path]}"


def _blocks(array: StoredArray) -> Iterator[np.ndarray[Any, Any]]:
    """Decode a whole array, a bounded part at a time."""
    for start in range(0, len(array), STEPS_PER_READ):
        yield array[start : start + STEPS_PER_READ]


def _check_layout(scene: Scene) -> Iterator[str]:
    if layout_sha256(scene.layout) != scene.attrs["layout_sha256"]:
        yield "attribute layout: differs from layout_sha256"


def _check_previews(storage: Storage, receipt: Receipt) -> Iterator[str]:
    """Decode the still and the film; films only where PyAV is installed (extra `generate`)."""
    for name in receipt.previews:
        decode = _DECODE_OF_SUFFIX.get(PurePosixPath(name).suffix)
        if decode is None or (decode is _count_film_images and not _has_av()):
            continue
        try:
            num_images = decode(io.BytesIO(storage.read(name)))
        except (OSError, EOFError, ValueError, SyntaxError) as error:
            yield f"{name}: expected a preview that decodes, found {error}"
            continue
        expected = receipt.num_steps if decode is _count_film_images else 1
        if num_images != expected:
            yield f"{name}: expected {expected} images, found {num_images}"


def _has_av() -> bool:
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def _count_stills(file: io.BytesIO) -> int:
    from PIL import Image

    with Image.open(file) as image:
        image.load()
    return 1


def _count_film_images(file: io.BytesIO) -> int:
    import av

    with av.open(file, "r") as film:
        return sum(1 for _ in film.decode(video=0))


_DECODE_OF_SUFFIX: dict[str, Callable[[io.BytesIO], int]] = {
    ".jpg": _count_stills,
    ".png": _count_stills,
    ".mp4": _count_film_images,
}
