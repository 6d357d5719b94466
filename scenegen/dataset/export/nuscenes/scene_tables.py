"""One scene as rows of the thirteen tables, with the files that they name.

Key frames (2 Hz) are samples; the other steps are sweeps of the cameras, and belong to the sample that follows them,
the last ones to the last sample. All sensors of a step share its stamp.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.dataset.detection_boxes import turned_lidar2ego
from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.keys import absolute_stamps_us, sample_token, scene_name, token_of
from scenegen.dataset.export.nuscenes.lidar import CHANNEL, sweep_columns
from scenegen.dataset.export.nuscenes.sheet import Sheet, shifted
from scenegen.dataset.export.nuscenes.tables import Tables
from scenegen.dataset.export.nuscenes.taxonomy import box_attribute, category_name
from scenegen.dataset.labels import Boxes
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.rotations import rotation_wxyz
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DatasetError

LOCATION = "boston-seaport"
"""The stock map reader accepts four place names only; this one drives on the right. The map file says what it is."""
VEHICLE = "scenegen"


@dataclass(frozen=True, kw_only=True)
class ScenePlace:
    """Where and when a scene is in the export.

    Attributes:
        name: as nuScenes spells it.
        shift_m: from the scene's world frame to the map.
        stamps_us: absolute time of every step.
        root: folder of the export.
    """

    name: str
    shift_m: Float64[np.ndarray, "2"]
    stamps_us: Int64[np.ndarray, " T"]
    root: Path


def place_scene(job: ExportJob, sheet: Sheet, scene: Scene) -> ScenePlace:
    """Return where and when a scene of a job is."""
    return ScenePlace(
        name=scene_name(job.dataset, scene.scene_id),
        shift_m=sheet.shift_m(scene.scene_id),
        stamps_us=absolute_stamps_us(job.dataset, scene),
        root=job.folder,
    )


def picture_name(scene: Scene, place: ScenePlace, channel: str, step: int, suffix: str) -> str:
    """Return the path of a sensor's file inside the export."""
    folder = "samples" if scene.is_key_frame[step] else "sweeps"
    return f"{folder}/{channel}/{scene.scene_id}__{channel}__{int(place.stamps_us[step])}{suffix}"


class SceneTables:
    """Writes one scene.

    Raises:
        DatasetError: a camera is no pinhole, which is all that nuScenes knows.
    """

    def __init__(self, scene: Scene, place: ScenePlace, tables: Tables) -> None:
        self._scene = scene
        self._place = place
        self._tables = tables
        self._steps: list[int] = np.flatnonzero(scene.is_key_frame).tolist()
        self._samples = {step: sample_token(scene.scene_id, step) for step in self._steps}
        self._scene_token = token_of(scene.scene_id, "scene")
        self.log_token = token_of(scene.scene_id, "log")
        check_pinholes(scene, format="nuscenes")

    def write(self, step_done: Callable[[], None]) -> None:
        """Write all rows and files."""
        self._add_scene()
        self._add_calibration()
        self._add_annotations()
        pictures = {camera: PictureFiles(self._scene, camera) for camera in self._scene.cameras}
        for camera, files in pictures.items():
            for folder in ("samples", "sweeps"):
                (self._place.root / folder / camera).mkdir(parents=True, exist_ok=True)
            self._add_sensor_data(camera, list(range(self._scene.num_steps)), files.suffix)
        (self._place.root / "samples" / CHANNEL).mkdir(parents=True, exist_ok=True)
        self._add_sensor_data(CHANNEL, self._steps, ".pcd.bin")
        for step in range(self._scene.num_steps):
            for camera, files in pictures.items():
                (self._place.root / self._file_name(camera, step, files.suffix)).write_bytes(files[step].content)
            if step in self._samples:
                columns = sweep_columns(self._scene.lidar(step))
                (self._place.root / self._file_name(CHANNEL, step, ".pcd.bin")).write_bytes(columns.tobytes())
            step_done()

    def _add_scene(self) -> None:
        scene, tokens = self._scene, [self._samples[step] for step in self._steps]
        self._tables.add(
            "log",
            {
                "token": self.log_token,
                "logfile": scene.scene_id,
                "vehicle": VEHICLE,
                "date_captured": scene.receipt.created_utc[:10],
                "location": LOCATION,
            },
        )
        self._tables.add(
            "scene",
            {
                "token": self._scene_token,
                "log_token": self.log_token,
                "nbr_samples": len(tokens),
                "first_sample_token": tokens[0],
                "last_sample_token": tokens[-1],
                "name": self._place.name,
                "description": f"{scene.scene_id}: {scene.attrs['prompt']}",
            },
        )
        for (before, token, after), step in zip(_neighbours(tokens), self._steps, strict=True):
            stamp_us = int(self._place.stamps_us[step])
            links = {"prev": before, "next": after, "scene_token": self._scene_token}
            self._tables.add("sample", {"token": token, "timestamp": stamp_us, **links})

    def _add_calibration(self) -> None:
        for camera in self._scene.rig.cameras:
            self._add_calibrated_sensor(camera.name, camera.ego_from_cam, camera.K.tolist())
        self._add_calibrated_sensor(CHANNEL, turned_lidar2ego(self._scene.lidar2ego), [])

    def _add_calibrated_sensor(self, channel: str, pose: Float64[np.ndarray, "4 4"], intrinsics: list[Any]) -> None:
        self._tables.add(
            "calibrated_sensor",
            {
                "token": token_of(self._scene.scene_id, "calibrated_sensor", channel),
                "sensor_token": token_of("sensor", channel),
                "translation": pose[:3, 3].tolist(),
                "rotation": rotation_wxyz(pose[:3, :3]).tolist(),
                "camera_intrinsic": intrinsics,
            },
        )

    def _add_sensor_data(self, channel: str, steps: list[int], suffix: str) -> None:
        """Add the rows of one sensor, linked in order, each with its own pose of the vehicle."""
        scene_id = self._scene.scene_id
        tokens = [token_of(scene_id, channel, step) for step in steps]
        poses = shifted(self._scene.ego2global[steps], self._place.shift_m)
        rotations = rotation_wxyz(poses[:, :3, :3])
        size_px = {camera.name: camera.size_px for camera in self._scene.rig.cameras}.get(channel, (0, 0))
        for idx, (step, (before, token, after)) in enumerate(zip(steps, _neighbours(tokens), strict=True)):
            stamp_us = int(self._place.stamps_us[step])
            self._tables.add(
                "ego_pose",
                {
                    "token": token,
                    "timestamp": stamp_us,
                    "rotation": rotations[idx].tolist(),
                    "translation": poses[idx, :3, 3].tolist(),
                },
            )
            self._tables.add(
                "sample_data",
                {
                    "token": token,
                    "sample_token": self._samples[self._sample_step(step)],
                    "ego_pose_token": token,
                    "calibrated_sensor_token": token_of(scene_id, "calibrated_sensor", channel),
                    "timestamp": stamp_us,
                    "fileformat": "pcd" if channel == CHANNEL else suffix[1:],
                    "is_key_frame": step in self._samples,
                    "height": size_px[1],
                    "width": size_px[0],
                    "filename": self._file_name(channel, step, suffix),
                    "prev": before,
                    "next": after,
                },
            )

    def _add_annotations(self) -> None:
        boxes = {step: self._scene.boxes(step) for step in self._steps}
        steps_of_track: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for step in self._steps:
            for idx, track in enumerate(boxes[step].track_id.tolist()):
                steps_of_track[track].append((step, idx))
        for track, places in sorted(steps_of_track.items()):
            self._add_instance(track, places, boxes)

    def _add_instance(self, track: int, places: list[tuple[int, int]], boxes: dict[int, Boxes]) -> None:
        scene_id, agent = self._scene.scene_id, self._scene.layout.agents[track]
        tokens = [token_of(scene_id, "annotation", track, step) for step, _ in places]
        instance = token_of(scene_id, "instance", track)
        name = category_name(agent.category, agent.source_category)
        self._tables.add(
            "instance",
            {
                "token": instance,
                "category_token": token_of("category", name),
                "nbr_annotations": len(tokens),
                "first_annotation_token": tokens[0],
                "last_annotation_token": tokens[-1],
            },
        )
        for (step, idx), (before, token, after) in zip(places, _neighbours(tokens), strict=True):
            at = boxes[step]
            attribute = box_attribute(at, idx, agent)
            links = {"sample_token": self._samples[step], "instance_token": instance, "prev": before, "next": after}
            self._tables.add(
                "sample_annotation",
                {
                    "token": token,
                    "visibility_token": str(int(at.visibility[idx])),
                    "attribute_tokens": [token_of("attribute", attribute)] if attribute else [],
                    **_geometry(at, idx, self._place.shift_m),
                    **links,
                    "num_lidar_pts": int(at.num_lidar_pts[idx]),
                    "num_radar_pts": 0,
                },
            )

    def _sample_step(self, step: int) -> int:
        """Return the key frame that a step belongs to."""
        following = [key for key in self._steps if key >= step]
        return following[0] if following else self._steps[-1]

    def _file_name(self, channel: str, step: int, suffix: str) -> str:
        return picture_name(self._scene, self._place, channel, step, suffix)


def check_pinholes(scene: Scene, *, format: str) -> None:
    """Refuse lenses that a format has no words for.

    Raises:
        DatasetError: a camera has another lens than a pinhole.
    """
    bent = [f"{camera.name} ({camera.lens.model})" for camera in scene.rig.cameras if camera.lens.model != "pinhole"]
    if bent:
        raise DatasetError(
            f"pinhole cameras, which are all that {format} knows",
            found=", ".join(bent),
            where=f"scene {scene.scene_id}",
            fix="generate with a pinhole rig, or export to coco or mp4",
        )


def _geometry(boxes: Boxes, idx: int, shift_m: Float64[np.ndarray, "2"]) -> dict[str, list[float]]:
    """Return a box as nuScenes writes it: on the map, and width before length."""
    return {
        "translation": (boxes.center_world_m[idx] + [*shift_m, 0.0]).tolist(),
        "size": boxes.size_lwh_m[idx][[1, 0, 2]].tolist(),
        "rotation": boxes.rotation_wxyz[idx].tolist(),
    }


def _neighbours(tokens: list[str]) -> list[tuple[str, str, str]]:
    """Return every token between those before and after it, '' at the ends.

    >>> _neighbours(["a", "b"])
    [('', 'a', 'b'), ('a', 'b', '')]
    """
    return list(zip(["", *tokens[:-1]], tokens, [*tokens[1:], ""], strict=True))
