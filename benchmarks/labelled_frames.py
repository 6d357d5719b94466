"""Frames with boxes, for the detector of `benchmarks.detector`: from scenegen data sets, and from real recordings."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image
from scipy import ndimage

from benchmarks.detector import KINDS, Boxes
from scenegen.dataset import Scene, open_dataset
from scenegen.errors import DatasetError, LayoutError
from scenegen.scene import stored_stage
from scenegen.types import STATIC_INSTANCE_OFFSET, AgentCategory, Layout

VEHICLE, PEDESTRIAN = KINDS.index("vehicle"), KINDS.index("pedestrian")
KIND_OF_CATEGORY = {
    AgentCategory.CAR: VEHICLE,
    AgentCategory.TRUCK: VEHICLE,
    AgentCategory.BUS: VEHICLE,
    AgentCategory.TRAILER: VEHICLE,
    AgentCategory.CONSTRUCTION_VEHICLE: VEHICLE,
    AgentCategory.PEDESTRIAN: PEDESTRIAN,
}
MIN_LABEL_PX = 5
"""Visible height from which an agent is labelled at all."""
MIN_ASKED_PX = 10
"""Visible height from which missing it is a mistake."""


@dataclass(frozen=True, kw_only=True)
class LabelledFrames:
    """N frames of one size, their boxes, and what they are for: the scene, and whether it is night."""

    frames: UInt8[np.ndarray, "N H W 3"]
    boxes: tuple[Boxes, ...]
    is_night: np.ndarray

    def select(self, chosen: np.ndarray) -> LabelledFrames:
        """Return the frames of a mask or an index array."""
        index = np.arange(len(self.frames))[chosen]
        return LabelledFrames(
            frames=self.frames[index], boxes=tuple(self.boxes[n] for n in index), is_night=self.is_night[index]
        )


@dataclass(frozen=True)
class Moment:
    """One step of the scene with this layout and seed, whatever painted it."""

    layout_sha256: str
    seed: int
    step: int


def plan_moments(folder: Path, *, every: int, num_frames: int) -> list[Moment]:
    """Choose moments for `num_frames` frames, spread over a data set by chance; the same ones for every painter.

    Raises:
        DatasetError: there are not so many.
    """
    dataset = open_dataset(folder)
    moments = [
        (Moment(scene.attrs["layout_sha256"], int(scene.attrs["seed"]), step), len(scene.cameras))
        for scene in dataset
        for step in range(every // 2, scene.num_steps, every)
    ]
    moments.sort(key=lambda item: (item[0].layout_sha256, item[0].seed, item[0].step))
    order = np.random.default_rng(0).permutation(len(moments))
    chosen: list[Moment] = []
    count = 0
    for index in order:
        if count >= num_frames:
            break
        chosen.append(moments[index][0])
        count += moments[index][1]
    if count < num_frames:
        raise DatasetError(f"{num_frames} frames at every {every}th step", found=f"{count}", where=str(folder))
    return chosen


def read_moments(folder: Path, moments: Sequence[Moment]) -> UInt8[np.ndarray, "N H W 3"]:
    """Read the frames of all views at moments.

    Raises:
        DatasetError: the data set has no scene of one of the layouts and seeds.
    """
    scenes = _scenes_by_key(folder)
    return np.concatenate([_read_views(_find(scenes, moment, folder), moment.step) for moment in moments])


def read_labelled(folder: Path, moments: Sequence[Moment]) -> LabelledFrames:
    """Read frames of all views at moments, and take the boxes from the worlds built again."""
    scenes = _scenes_by_key(folder)
    boxes: dict[Moment, list[Boxes]] = {}
    for key, scene in scenes.items():
        wanted = sorted((m for m in set(moments) if (m.layout_sha256, m.seed) == key), key=lambda m: m.step)
        if wanted:
            stage = stored_stage(scene)
            for moment in wanted:
                instance = stage.render_conditions(moment.step, moment.step + 1).instance[:, 0]
                boxes[moment] = [boxes_of_instances(own, scene.layout) for own in instance]
    night = [_find(scenes, m, folder).layout.environment.time_of_day == "night" for m in moments for _ in boxes[m]]
    return LabelledFrames(
        frames=read_moments(folder, moments),
        boxes=tuple(own for moment in moments for own in boxes[moment]),
        is_night=np.array(night, np.bool_),
    )


def boxes_of_instances(instance: UInt16[np.ndarray, "H W"], layout: Layout) -> Boxes:
    """Return boxes around the visible pixels of agents."""
    labels = np.where(instance < STATIC_INSTANCE_OFFSET, instance, 0).astype(np.int32)
    rows = []
    for index, place in enumerate(ndimage.find_objects(labels, max_label=len(layout.agents))):
        kind = KIND_OF_CATEGORY.get(layout.agents[index].category)
        if place is None or kind is None:
            continue
        top, bottom, left, right = place[0].start, place[0].stop, place[1].start, place[1].stop
        if bottom - top >= MIN_LABEL_PX:
            rows.append((left, top, right, bottom, kind))
    return boxes_of_rows(rows)


def boxes_of_rows(rows: Sequence[tuple[float, ...]]) -> Boxes:
    """Build boxes from (left, top, right, bottom, kind); those of MIN_ASKED_PX or more are asked for."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Boxes(
        box_px=table[:, :4],
        kind=table[:, 4].astype(np.uint8),
        is_asked=table[:, 3] - table[:, 1] >= MIN_ASKED_PX,
    )


def _scenes_by_key(folder: Path) -> dict[tuple[str, int], Scene]:
    return {(scene.attrs["layout_sha256"], int(scene.attrs["seed"])): scene for scene in open_dataset(folder)}


def _find(scenes: dict[tuple[str, int], Scene], moment: Moment, folder: Path) -> Scene:
    scene = scenes.get((moment.layout_sha256, moment.seed))
    if scene is None:
        raise DatasetError(
            f"a scene of layout {moment.layout_sha256[:12]}... with seed {moment.seed}",
            found=f"none in {len(scenes)} scenes",
            where=str(folder),
            fix="generate both data sets from the same layouts, duration, rate and seed",
        )
    return scene


def _read_views(scene: Scene, step: int) -> UInt8[np.ndarray, "V H W 3"]:
    return np.stack([scene.rgb(camera)[step] for camera in scene.cameras])


@dataclass(frozen=True, kw_only=True)
class RealFrame:
    """One real image at the scale of the training frames, and where it comes from."""

    source: str
    rgb: UInt8[np.ndarray, "H W 3"]
    boxes: Boxes


def read_real(folder: Path, *, focal_px: float) -> list[RealFrame]:
    """Read the calibrated real frames with boxes below `folder`, each scaled to `focal_px`; absent sources are skipped.

    KITTI object (label_2), one nuScenes keyframe (mmdetection3d's info file: boxes of projected 3-D boxes, occluded
    agents included) and TRI's DGP test scene (2-D boxes). Riders, bicycles and motorcycles are not asked for.
    """
    return [
        *_read_kitti(folder / "kitti_object" / "training", focal_px),
        *_read_nuscenes(folder / "nuscenes_mini", focal_px),
        *_read_dgp(folder / "tri_dgp" / "scene_01", focal_px),
    ]


def _scaled(source: str, path: Path, rows: list[tuple[float, ...]], scale: float) -> RealFrame:
    with Image.open(path) as image:
        size = round(image.width * scale), round(image.height * scale)
        rgb = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BOX))
    small = [(*(scale * side for side in row[:4]), row[4]) for row in rows]
    kept = [row for row in small if row[3] - row[1] >= MIN_LABEL_PX]
    return RealFrame(source=source, rgb=rgb, boxes=boxes_of_rows(kept))


KITTI_KINDS = {"Car": VEHICLE, "Van": VEHICLE, "Truck": VEHICLE, "Pedestrian": PEDESTRIAN}


def _read_kitti(folder: Path, focal_px: float) -> list[RealFrame]:
    found = []
    for path in sorted(folder.glob("image_2/*.png")):
        calibration = dict(
            line.split(":", 1) for line in (folder / f"calib/{path.stem}.txt").read_text().splitlines() if ":" in line
        )
        lines = [line.split() for line in (folder / f"label_2/{path.stem}.txt").read_text().splitlines()]
        rows = [(*map(float, words[4:8]), KITTI_KINDS[words[0]]) for words in lines if words[0] in KITTI_KINDS]
        found.append(_scaled("kitti", path, rows, focal_px / float(calibration["P2"].split()[0])))
    return found


NUSCENES_KINDS = {0: VEHICLE, 1: VEHICLE, 2: VEHICLE, 3: VEHICLE, 4: VEHICLE, 7: PEDESTRIAN}
INFO_GLOBALS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("_codecs", "encode"),
}


class _InfoUnpickler(pickle.Unpickler):
    """Resolves the names that an info file of plain containers and numpy scalars needs, and no other."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in INFO_GLOBALS:
            raise LayoutError("plain containers and numpy arrays", found=f"{module}.{name}", where="nuscenes_mini")
        return super().find_class(module, name)


def _read_nuscenes(folder: Path, focal_px: float) -> list[RealFrame]:
    found = []
    for path in sorted(folder.glob("keyframe_*_info.pkl")):
        with path.open("rb") as file:
            (sample,) = _InfoUnpickler(file).load()["data_list"]
        for camera, image in sample["images"].items():
            rows = [
                (*thing["bbox"], NUSCENES_KINDS[thing["bbox_label"]])
                for thing in sample["cam_instances"][camera]
                if thing["bbox_label"] in NUSCENES_KINDS
            ]
            picture = folder / "samples" / camera / image["img_path"]
            found.append(_scaled("nuscenes", picture, rows, focal_px / image["cam2img"][0][0]))
    return found


DGP_KINDS = {0: PEDESTRIAN, 1: VEHICLE, 2: VEHICLE, 3: VEHICLE}


def _read_dgp(folder: Path, focal_px: float) -> list[RealFrame]:
    found = []
    for calibration in sorted(folder.glob("calibration/*.json")):
        table = json.loads(calibration.read_text())
        focal = {n: k["fx"] for n, k in zip(table["names"], table["intrinsics"], strict=True) if k["fx"] > 0.0}
        for camera, own_focal_px in focal.items():
            pictures = sorted((folder / "rgb" / camera).glob("*.jpg"))
            labels = sorted((folder / "bounding_box_2d" / camera).glob("*.json"))
            for picture, label in zip(pictures, labels, strict=True):
                things = json.loads(label.read_text())["annotations"]
                rows = [
                    (b["x"], b["y"], b["x"] + b["w"], b["y"] + b["h"], DGP_KINDS[thing["class_id"]])
                    for thing in things
                    if thing["class_id"] in DGP_KINDS
                    for b in (thing["box"],)
                ]
                found.append(_scaled("dgp", picture, rows, focal_px / own_focal_px))
    return found
