"""Checking a data set: every file against its receipt, and, deep, every number against what it must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.durable import sha256_of_file
from scenegen.dataset.labels import Boxes
from scenegen.dataset.manifest import SceneEntry
from scenegen.dataset.paths import DatasetPaths
from scenegen.dataset.read import Dataset, Scene, StoredArray, open_dataset
from scenegen.dataset.receipt import Receipt, content_sha256, read_receipt, size_of
from scenegen.dataset.schema import ADDED_ARRAYS, ARRAYS, CAMERA_FIELD
from scenegen.dataset.wireframe import box_corners_world_m, project_edges
from scenegen.errors import DatasetError
from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import Camera, Semantic
from scenegen.types.layout_json import layout_sha256

STEPS_PER_READ = 60
PROJECTION_MARGIN_PX = 3.0
POINTS_ALONG = 12
RIM_MARGIN_RAD = 0.1
LARGEST_OF_PATH = {"occupancy/semantics": int(Semantic.FREE), "occupancy/mask_camera": 1}


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


def verify_dataset(path: Path | str, *, deep: bool) -> VerifyReport:
    """Check a data set.

    Args:
        path: root of the data set.
        deep: also decode every array and check that the numbers make sense together.

    Raises:
        DatasetError: no data set at all, or its manifest is damaged. What is wrong with scenes is reported instead.
    """
    dataset = open_dataset(path)
    damages: list[Damage] = []
    num_files = 0
    for entry in dataset.manifest.scenes:
        findings = [*_check_files(dataset.paths, entry)]
        num_files += _num_files(dataset.paths, entry)
        if deep and not findings:
            findings = [*_check_numbers(dataset, entry)]
        damages += [Damage(scene_id=entry.scene_id, finding=finding) for finding in findings]
    return VerifyReport(
        num_scenes=len(dataset),
        num_files=num_files,
        num_bytes=dataset.manifest.counts["bytes"],
        damages=tuple(damages),
    )


def _num_files(paths: DatasetPaths, entry: SceneEntry) -> int:
    return sum(1 for path in paths.scene(entry.scene_id).rglob("*") if path.is_file())


def _check_files(paths: DatasetPaths, entry: SceneEntry) -> Iterator[str]:
    try:
        receipt = read_receipt(paths.receipt(entry.scene_id))
    except DatasetError as error:
        yield str(error)
        return
    if receipt.self_sha256() != entry.receipt_sha256 or receipt.scene_id != entry.scene_id:
        yield "the receipt is not the one that the manifest names"
        return
    folder = paths.scene(entry.scene_id)
    yield from _compare(folder, receipt)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    yield from (f"{name}: no receipt names this file" for name in sorted(present - set(receipt.files)))
    if content_sha256(receipt.files) != entry.content_sha256:
        yield "the content hash does not follow from the files"


def _compare(folder: Path, receipt: Receipt) -> Iterator[str]:
    in_store = [(folder / name, name, entry) for name, entry in receipt.files.items()]
    root = folder.parents[2]
    in_previews = [(root / name, name, entry) for name, entry in receipt.previews.items()]
    for file, name, entry in in_store + in_previews:
        size = size_of(file)
        if size is None:
            yield f"{name}: missing"
        elif size != entry.num_bytes:
            yield f"{name}: {size} bytes instead of {entry.num_bytes}"
        elif sha256_of_file(file) != entry.sha256:
            yield f"{name}: content differs from what was written"


def _check_numbers(dataset: Dataset, entry: SceneEntry) -> Iterator[str]:
    try:
        scene = dataset[entry.scene_id]
        yield from _check_arrays(scene)
        yield from _check_tracks(scene)
        yield from _check_boxes(scene)
    except DatasetError as error:
        yield str(error)


def _check_arrays(scene: Scene) -> Iterator[str]:
    """Decode everything, and check types and the range of voxels."""
    for spec in ARRAYS:
        if spec.path in ADDED_ARRAYS and not scene.has_array(spec.path):
            continue
        cameras = scene.cameras if CAMERA_FIELD in spec.path else ("",)
        for camera in cameras:
            path = spec.for_camera(camera)
            array = scene.array(path)
            if array.dtype != np.dtype(spec.dtype) or len(array.shape) != len(spec.dims):
                yield f"{path}: {array.dtype} of {len(array.shape)} dimensions instead of {spec.dtype} {spec.dims}"
            if spec.dims[0] == "time" and len(array) != scene.num_steps:
                yield f"{path}: {len(array)} steps instead of {scene.num_steps}"
            largest = max((block.max() for block in _blocks(array)), default=0)
            if largest > LARGEST_OF_PATH.get(path, np.inf):
                yield f"{path}: value {largest}, beyond {LARGEST_OF_PATH[path]}"


def _blocks(array: StoredArray) -> Iterator[np.ndarray[Any, Any]]:
    """Decode a whole array, a bounded part at a time."""
    for start in range(0, len(array), STEPS_PER_READ):
        yield array[start : start + STEPS_PER_READ]


def _check_tracks(scene: Scene) -> Iterator[str]:
    rate_hz = scene.attrs["timeline"]["rate_hz"]
    expected_us = np.round(np.arange(scene.num_steps) * (1e6 / rate_hz)).astype(np.int64)
    if not np.array_equal(scene.timestamps_us, expected_us):
        yield "time/timestamp_us: not round(k * 1e6 / rate_hz)"
    rotation = scene.ego2global[:, :3, :3]
    if not np.allclose(rotation @ np.swapaxes(rotation, 1, 2), np.eye(3), atol=1e-6):
        yield "ego/ego2global: not rigid"
    pointers = scene.array("objects/frame_ptr")[:]
    num_boxes = len(scene.array("objects/track_id"))
    if pointers[0] != 0 or pointers[-1] != num_boxes or (np.diff(pointers) < 0).any():
        yield f"objects/frame_ptr: does not divide {num_boxes} boxes"
    if layout_sha256(scene.layout) != scene.attrs["layout_sha256"]:
        yield "attribute layout: differs from layout_sha256"


def _check_boxes(scene: Scene) -> Iterator[str]:
    """Check that what a camera is said to see lies in the image of a camera, on the key frames."""
    for step in np.flatnonzero(scene.is_key_frame).tolist():
        boxes = scene.boxes(step)
        norms = np.linalg.norm(boxes.rotation_wxyz, axis=1)
        if (boxes.size_lwh_m <= 0.0).any() or not np.allclose(norms, 1.0):
            yield f"objects: a box of step {step} has no size, or its rotation is no unit quaternion"
        for box_idx in np.flatnonzero(boxes.visible_fraction > 0.0).tolist():
            cameras = scene.rig.cameras
            if not any(_is_in_image(boxes, box_idx, camera, scene.ego2global[step]) for camera in cameras):
                yield f"objects: box {box_idx} of step {step} is said to be seen, but projects into no camera"


def _is_in_image(boxes: Boxes, box_idx: int, camera: Camera, world_from_ego: Float64[np.ndarray, "4 4"]) -> bool:
    w, _, _, z = boxes.rotation_wxyz[box_idx]
    corners_m = box_corners_world_m(
        boxes.center_world_m[box_idx], boxes.size_lwh_m[box_idx], heading_rad=2.0 * float(np.arctan2(z, w))
    )
    if camera.lens.model == "pinhole":
        points_px = project_edges(corners_m, camera, world_from_ego=world_from_ego)[0].reshape(-1, 2)
        if not len(points_px):
            return False
    else:
        points_cam_m = transform_points(invert_rigid(world_from_ego @ camera.ego_from_cam), _points_inside(corners_m))
        points_px = project_points(points_cam_m, camera)
        points_px = points_px[np.isfinite(points_px).all(axis=1)]
        if not len(points_px):
            angle_rad = np.arctan2(np.linalg.norm(points_cam_m[:, :2], axis=1), points_cam_m[:, 2])
            return bool(angle_rad.min() < camera.lens.max_angle_rad + RIM_MARGIN_RAD)
    low, high = points_px.min(axis=0), points_px.max(axis=0)
    return bool((high > -PROJECTION_MARGIN_PX).all() and (low < np.add(camera.size_px, PROJECTION_MARGIN_PX)).all())


def _points_inside(corners_m: Float64[np.ndarray, "8 3"]) -> Float64[np.ndarray, "P 3"]:
    """Return a grid of points in a box: the rim of a bent lens may cut off all edges of a box that it shows."""
    share = (np.indices((POINTS_ALONG,) * 3).reshape(3, -1).T / (POINTS_ALONG - 1))[:, :, None]
    away = corners_m[[3, 5, 6]] - corners_m[7]
    points_m: Float64[np.ndarray, "P 3"] = corners_m[7] + (share * away).sum(axis=1)
    return points_m
