"""Entries of the info files before mmdet3d 1.1, which BEVFormer, StreamPETR, BEVDet and FlashOCC extend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.detection_boxes import FrameBoxes, boxes_in_lidar, category_labels
from scenegen.dataset.export.info_samples import DATA_ROOT, VERSION, Sample, write_pickle
from scenegen.dataset.export.keys import token_of
from scenegen.dataset.export.nuscenes.lidar import CHANNEL
from scenegen.dataset.rotations import rotation_wxyz
from scenegen.geometry.rigid import invert_rigid


def build_legacy_info(sample: Sample, *, layout: Callable[[FrameBoxes], Float64[np.ndarray, "N 9"]]) -> dict[str, Any]:
    """Return the entry of one key frame.

    `gt_boxes` are in the LiDAR frame with z in the middle of the box. `sweeps` has the key frame before and is empty at
    the first one, by which StreamPETR tells where a scene begins.

    Args:
        sample: the key frame.
        layout: `wlh_rows` for mmdet3d before 1.0, `lwh_rows` for later ones.

    Raises:
        DatasetError: the scene was written without LiDAR counts.
    """
    of_scene, previous, following = sample.of_scene, sample.previous, sample.next
    boxes = sample.boxes
    rows = layout(boxes_in_lidar(boxes, ego2global=sample.ego2world, lidar2ego=of_scene.lidar2ego))
    num_points = boxes.num_lidar_pts.astype(np.int64)
    return {
        "lidar_path": sweep_path(sample),
        "token": sample.token,
        "prev": previous.token if previous else "",
        "next": following.token if following else "",
        "frame_idx": sample.frame_idx,
        "scene_token": token_of(sample.scene.scene_id, "scene"),
        "sweeps": [_sensor(sample, previous, CHANNEL, of_scene.lidar2ego, kind="lidar")] if previous else [],
        "cams": {
            camera.name: {
                **_sensor(sample, sample, camera.name, camera.ego_from_cam, kind=camera.name),
                "cam_intrinsic": camera.K.copy(),
            }
            for camera in of_scene.cameras
        },
        **_pose("lidar2ego", of_scene.lidar2ego),
        **_pose("ego2global", sample.ego2global),
        "timestamp": sample.stamp_us,
        "gt_boxes": rows[:, :7],
        "gt_names": np.array(category_labels(boxes), dtype="<U32"),
        "gt_velocity": rows[:, 7:],
        "num_lidar_pts": num_points,
        "num_radar_pts": np.zeros(len(boxes), np.int64),
        "valid_flag": num_points > 0,
    }


def write_legacy_infos(folder: Path, infos: dict[str, list[dict[str, Any]]], *, name: str) -> None:
    """Write one pickle a split; `name` has `{split}` in it."""
    for split, entries in infos.items():
        write_pickle(folder / name.format(split=split), {"infos": entries, "metadata": {"version": VERSION}})


def sweep_path(sample: Sample) -> str:
    """Return where training code finds the sweep, '' where the scene stores none."""
    of_scene = sample.of_scene
    return f"{DATA_ROOT}/{of_scene.sweep_path(sample.step)}" if of_scene.has_sweeps else ""


def _sensor(
    sample: Sample, recorded: Sample, channel: str, sensor2ego: Float64[np.ndarray, "4 4"], *, kind: str
) -> dict[str, Any]:
    """Return what one sensor recorded at some key frame, seen from the LiDAR of `sample`."""
    of_scene = sample.of_scene
    ego_from_recorded = invert_rigid(sample.ego2global) @ recorded.ego2global
    sensor2lidar = invert_rigid(of_scene.lidar2ego) @ ego_from_recorded @ sensor2ego
    is_lidar = channel == CHANNEL
    picture = "" if is_lidar else f"{DATA_ROOT}/{of_scene.picture_path(channel, recorded.step)}"
    return {
        "data_path": sweep_path(recorded) if is_lidar else picture,
        "type": kind,
        "sample_data_token": of_scene.data_token(channel, recorded.step),
        **_pose("sensor2ego", sensor2ego),
        **_pose("ego2global", recorded.ego2global),
        "timestamp": recorded.stamp_us,
        "sensor2lidar_rotation": sensor2lidar[:3, :3].copy(),
        "sensor2lidar_translation": sensor2lidar[:3, 3].copy(),
    }


def _pose(name: str, pose: Float64[np.ndarray, "4 4"]) -> dict[str, list[float]]:
    return {
        f"{name}_translation": pose[:3, 3].tolist(),
        f"{name}_rotation": rotation_wxyz(pose[:3, :3]).tolist(),
    }
