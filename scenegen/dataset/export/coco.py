"""COCO detection: `annotations/instances_<split>.json` and `images/<scene>/<camera>/<step>`, every step and camera.

Boxes are tight around the visible pixels, and `area` counts these. Beyond COCO's own keys: `track_id`,
`visible_fraction`, `depth_m` and `center_px` of an annotation, `scene_id`, `camera`, `step` and `timestamp_us` of a
picture. Boxes reach from the outer edge of their first pixel to that of their last, which is COCO's own convention.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from scenegen.dataset.export import ExportJob
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.stored_scene import Scene
from scenegen.types import VEHICLE_CATEGORIES, AgentCategory

INFO = {
    "description": "exported by scenegen; pictures are synthetic, or recorded where their scene says so",
    "version": "1.0",
}


class CocoFile:
    """One annotation file, written as it comes. Made by `open_coco`."""

    def __init__(self, rows: Mapping[str, TextIO]) -> None:
        self._rows = rows
        self._num_rows = dict.fromkeys(rows, 0)

    def add(self, name: str, row: Mapping[str, Any]) -> int:
        """Append a row to `images` or `annotations`; return its id, counted from 1."""
        self._num_rows[name] += 1
        self._rows[name].write(",\n" if self._num_rows[name] > 1 else "")
        self._rows[name].write(json.dumps({"id": self._num_rows[name], **row}, allow_nan=False))
        return self._num_rows[name]


@contextmanager
def open_coco(path: Path) -> Iterator[CocoFile]:
    """Give an annotation file to fill; its pictures and annotations go to a file of rows each, joined at the end."""
    parts = {name: path.with_suffix(f".{name}") for name in ("images", "annotations")}
    with ExitStack() as stack:
        yield CocoFile({name: stack.enter_context(part.open("w", encoding="utf-8")) for name, part in parts.items()})
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"info": {json.dumps(INFO)}, "licenses": [],\n"categories": {json.dumps(_categories())}')
        for name, part in parts.items():
            file.write(f',\n"{name}": [\n')
            with part.open(encoding="utf-8") as rows:
                shutil.copyfileobj(rows, file)
            file.write("]")
            part.unlink()
        file.write("}\n")


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    folder = job.folder / "annotations"
    folder.mkdir()
    files: dict[str, CocoFile] = {}
    with ExitStack() as stack:
        for scene in job.scenes():
            split = scene.attrs["split"]
            if split not in files:
                files[split] = stack.enter_context(open_coco(folder / f"instances_{split}.json"))
            _write_scene(job, scene, files[split])


def _write_scene(job: ExportJob, scene: Scene, file: CocoFile) -> None:
    pictures = {camera: PictureFiles(scene, camera) for camera in scene.cameras}
    for camera in scene.cameras:
        (job.folder / "images" / scene.scene_id / camera).mkdir(parents=True)
    for step in range(scene.num_steps):
        for camera, stored in pictures.items():
            name = f"{scene.scene_id}/{camera}/{step:06d}{stored.suffix}"
            (job.folder / "images" / name).write_bytes(stored[step].content)
            _add_picture(scene, camera, step, name, file)
        job.step_done()


def _add_picture(scene: Scene, camera: str, step: int, name: str, file: CocoFile) -> None:
    width, height = scene.rig.cameras[scene.cameras.index(camera)].size_px
    facts = {"scene_id": scene.scene_id, "camera": camera, "step": step, "timestamp_us": int(scene.timestamps_us[step])}
    picture = file.add("images", {"file_name": name, "width": width, "height": height, **facts})
    boxes, seen = scene.boxes(step), scene.boxes2d(step, camera)
    for row in range(len(seen)):
        x1, y1, x2, y2 = (float(edge) for edge in seen.xyxy_px[row])
        box = int(seen.box[row])
        center = seen.center_px[row]
        file.add(
            "annotations",
            {
                "image_id": picture,
                "category_id": 1 + int(boxes.category[box]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": int(seen.num_px[row]),
                "iscrowd": 0,
                "segmentation": [],
                "track_id": int(boxes.track_id[box]),
                "visible_fraction": float(seen.visible_fraction[row]),
                "depth_m": float(seen.depth_m[row]),
                "center_px": center.tolist() if np.isfinite(center).all() else None,
            },
        )


def _categories() -> list[dict[str, Any]]:
    """Return the categories; ids are those of `AgentCategory` plus one, since 0 is COCO's background."""
    above = {AgentCategory.PEDESTRIAN: "human", AgentCategory.ANIMAL: "animal"}
    return [
        {
            "id": 1 + int(category),
            "name": category.label,
            "supercategory": above.get(category, "vehicle" if category in VEHICLE_CATEGORIES else "object"),
        }
        for category in AgentCategory
    ]
