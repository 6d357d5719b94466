"""A nuScenes scene with its pictures: key frames by the tables, each sensor at its own ego pose.

A step is a sample; its moment is that of its LiDAR sweep, and so is the ego pose that boxes and cameras are seen from.
The key frames of the tables are some 0.5 s apart: steps have their median rate, and the attribute `recording` of a
scene their stamps.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import invert_rigid
from scenegen.layout.importers.checked_json import (
    check_principal_point,
    file_inside,
    rigid,
    rotation_of,
)
from scenegen.layout.importers.nuscenes.expansion import read_expansion
from scenegen.layout.importers.nuscenes.read import environment_of
from scenegen.layout.importers.nuscenes.scene import OpenScene, open_scene
from scenegen.layout.importers.nuscenes.tables import Row, numbers_of
from scenegen.layout.importers.nuscenes.tracks import attributes_of
from scenegen.layout.importers.nuscenes_keyframe import NUSCENES_FROM_LIDAR
from scenegen.layout.importers.nuscenes_words import NUSCENES_LICENCE, category_of_nuscenes
from scenegen.layout.importers.source_tracks import layout_id_of
from scenegen.types.recorded_log import (
    RecordedBox,
    RecordedCamera,
    RecordedImage,
    RecordedLog,
    RecordedStep,
    RecordedSweep,
)

LIDAR = "LIDAR_TOP"


def read_nuscenes_logs(path: Path, *, occ3d: Path | None = None) -> list[RecordedLog]:
    """Read one scene of a devkit root.

    Args:
        path: ROOT, ROOT/VERSION or ROOT/VERSION/SCENE; what is left out must be the only one.
        occ3d: folder with `gts/<scene>/<sample token>/labels.npz`; None looks in ROOT, and does without.

    Raises:
        LayoutError: a table or file missing or damaged; with file and token.
        DependencyError: nuscenes-devkit is not installed.
    """
    return [_SceneReader(open_scene(path), occ3d).read()]


class _SceneReader:
    """The tables of one scene, and where their files are."""

    def __init__(self, opened: OpenScene, occ3d: Path | None) -> None:
        self._database = opened.database
        self._rows = opened.rows
        self._version = opened.version
        self._root = opened.version.parent
        self._occ3d = occ3d
        self._sample_data: dict[str, dict[str, Row]] = {row["token"]: {} for row in opened.rows.samples}
        for row in opened.database.sample_data:
            if row["is_key_frame"] and row["sample_token"] in self._sample_data:
                channel = self._sensor_of(row)["channel"]
                self._sample_data[row["sample_token"]][channel] = row

    def read(self) -> RecordedLog:
        """Read everything but pixels and points."""
        rows, scene = self._rows, self._rows.scene
        first = self._sample_data[rows.samples[0]["token"]]
        channels = sorted(name for name, row in first.items() if self._sensor_of(row)["modality"] == "camera")
        if not channels:
            where = str(self._version / "sample_data.json")
            raise LayoutError("key frames of cameras", found=f"those of {', '.join(first) or 'none'}", where=where)
        cameras = tuple(self._camera(first[channel], channel) for channel in channels)
        steps = tuple(self._step(sample, channels) for sample in rows.samples)
        location = str(self._database.get("log", scene["log_token"])["location"])
        expansion = self._root / "maps" / "expansion" / f"{location}.json"
        road_map, lost = None, ["visibility of annotations, radar, sweeps and pictures between key frames"]
        if expansion.is_file():
            way_m = np.stack([step.source_from_ego[:2, 3] for step in steps])
            road_map, _, lost_map = read_expansion(expansion, way_m - way_m[0], origin_m=way_m[0])
            lost += lost_map
        return RecordedLog(
            log_id=layout_id_of("nuscenes", scene["name"]),
            source="nuscenes",
            licence=NUSCENES_LICENCE,
            cameras=cameras,
            steps=steps,
            road_map=road_map,
            environment=environment_of(scene, location),
            counts={
                "samples": len(steps),
                "pictures": len(steps) * len(cameras),
                "sweeps": sum(step.sweep is not None for step in steps),
                "annotations": sum(len(step.boxes) for step in steps),
                "Occ3D labels": sum(step.occupancy is not None for step in steps),
            },
            lost=tuple(lost),
        )

    def _step(self, sample: Row, channels: list[str]) -> RecordedStep:
        found = self._sample_data[sample["token"]]
        where = f"{self._version / 'sample_data.json'}: sample {sample['token']!r}"
        missing = [channel for channel in channels if channel not in found]
        if missing:
            raise LayoutError(f"a key frame of {missing[0]}", found=f"those of {', '.join(found)}", where=where)
        lidar = found.get(LIDAR)
        source_from_ego = self._ego_pose(lidar if lidar is not None else found[channels[0]])
        return RecordedStep(
            stamp_us=int(sample["timestamp"]),
            source_from_ego=source_from_ego,
            boxes=tuple(self._box(token, source_from_ego) for token in sample["anns"]),
            images={channel: self._image(found[channel]) for channel in channels},
            sweep=None if lidar is None else self._sweep(lidar),
            occupancy=self._label(sample["token"]),
        )

    def _camera(self, row: Row, channel: str) -> RecordedCamera:
        calibrated = self._calibrated(row)
        file = self._version / "calibrated_sensor.json"
        where = f"{file}: {calibrated['token']!r}.camera_intrinsic"
        matrix = calibrated.get("camera_intrinsic")
        width, height = row.get("width"), row.get("height")
        if not (isinstance(width, int) and isinstance(height, int) and min(width, height) > 0):
            found = f"{width!r:.20} x {height!r:.20}"
            where = f"{self._version / 'sample_data.json'}: {row['token']!r}"
            raise LayoutError("a width and a height in pixels", found=found, where=where)
        if not isinstance(matrix, list) or len(matrix) != 3:
            raise LayoutError("a 3x3 matrix", found=f"{matrix!r:.60}", where=where)
        lines = [{"token": calibrated["token"], "camera_intrinsic": line} for line in matrix]
        K = numbers_of(lines, "camera_intrinsic", 3, file=file)
        if min(K[0, 0], K[1, 1]) <= 0.0 or not np.allclose(K[2], [0.0, 0.0, 1.0]) or abs(K[0, 1]) > 1e-6:
            raise LayoutError("a pinhole without skew", found=f"{K.tolist()}", where=where)
        check_principal_point(K, (width, height), where=where)
        return RecordedCamera(name=channel, K=K, ego_from_cam=self._mount(row), size_px=(width, height))

    def _image(self, row: Row) -> RecordedImage:
        return RecordedImage(
            path=self._file(row), stamp_us=int(row["timestamp"]), source_from_cam=self._ego_pose(row) @ self._mount(row)
        )

    def _sweep(self, row: Row) -> RecordedSweep:
        return RecordedSweep(
            path=self._file(row),
            format="nuscenes_bin",
            ego_from_lidar=self._mount(row) @ NUSCENES_FROM_LIDAR,
            sensor_lidar_m=np.zeros(3),
        )

    def _box(self, token: str, source_from_ego: Float64[np.ndarray, "4 4"]) -> RecordedBox:
        row = self._database.get("sample_annotation", token)
        file = self._version / "sample_annotation.json"
        width, length, height = numbers_of([row], "size", 3, file=file)[0]
        if min(width, length, height) <= 0.0:
            where = f"{file}: {token!r}.size"
            raise LayoutError("a positive width, length, height", found=f"{row['size']}", where=where)
        velocity_mps = self._database.box_velocity(token)
        ego_from_source = invert_rigid(source_from_ego)
        category = self._database.get("instance", row["instance_token"])["category_token"]
        word = self._database.get("category", category)["name"]
        count = row.get("num_lidar_pts")
        return RecordedBox(
            track_id=row["instance_token"],
            category=category_of_nuscenes(word),
            source_category=word,
            size_lwh_m=np.array([length, width, height]),
            ego_from_box=ego_from_source @ self._pose(row, file),
            velocity_ego_mps=(ego_from_source[:3, :3] @ [*velocity_mps[:2], 0.0])[:2]
            if np.isfinite(velocity_mps[:2]).all()
            else None,
            num_lidar_pts=count if isinstance(count, int) and 0 <= count < 2**31 else None,
            attribute=next(iter(attributes_of(self._database, [row], file)), ""),
        )

    def _label(self, token: str) -> Path | None:
        name = f"gts/{self._rows.scene['name']}/{token}/labels.npz"
        if self._occ3d is not None:
            return file_inside(self._occ3d, name, where=str(self._occ3d))
        return self._root / name if (self._root / name).is_file() else None

    def _file(self, row: Row) -> Path:
        where = f"{self._version / 'sample_data.json'}: {row['token']!r}.filename"
        name = row.get("filename")
        if not isinstance(name, str):
            raise LayoutError("a file name", found=f"{name!r:.60}", where=where)
        return file_inside(self._root, name, where=where)

    def _ego_pose(self, row: Row) -> Float64[np.ndarray, "4 4"]:
        return self._pose(self._database.get("ego_pose", row["ego_pose_token"]), self._version / "ego_pose.json")

    def _mount(self, row: Row) -> Float64[np.ndarray, "4 4"]:
        return self._pose(self._calibrated(row), self._version / "calibrated_sensor.json")

    def _calibrated(self, row: Row) -> Row:
        found: Row = self._database.get("calibrated_sensor", row["calibrated_sensor_token"])
        return found

    def _sensor_of(self, row: Row) -> Row:
        found: Row = self._database.get("sensor", self._calibrated(row)["sensor_token"])
        return found

    def _pose(self, row: Row, file: Path) -> Float64[np.ndarray, "4 4"]:
        where = f"{file}: {row['token']!r}"
        missing = [key for key in ("translation", "rotation") if key not in row]
        if missing:
            raise LayoutError(f"a key {missing[0]!r}", found=", ".join(row)[:80], where=where)
        wxyz = numbers_of([row], "rotation", 4, file=file)[0]
        return rigid(rotation_of(wxyz, where=f"{where}.rotation"), numbers_of([row], "translation", 3, file=file)[0])
