"""Info files of mmdet3d 1.1 and later ("v2"): `nuscenes_infos_<split>.pkl`, with the pictures and sweeps they name.

Paths are bare file names; the folders come from the configuration's `data_prefix`, as for nuScenes. `bbox_3d` is x, y,
z (middle), l, w, h, yaw in the LiDAR frame; in `cam_instances` it is x, y, z (middle), l, h, w, turn in the camera's.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.detection_boxes import CONVERTER_CLASSES, boxes_in_lidar, class_labels, lwh_rows
from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.camera_boxes import camera_boxes
from scenegen.dataset.export.info_samples import VERSION, Sample, write_infos, write_pickle
from scenegen.dataset.export.legacy_infos import sweep_path
from scenegen.dataset.export.nuscenes.lidar import CHANNEL
from scenegen.geometry.rigid import invert_rigid
from scenegen.types import Camera

NUM_POINT_FEATURES = 5
METAINFO = {
    "categories": {name: idx for idx, name in enumerate(CONVERTER_CLASSES)} | {"animal": -1, "other": -1},
    "dataset": "nuscenes",
    "version": VERSION,
    "info_version": "1.1",
}


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    for split, entries in write_infos(job, format="mmdet3d", build_info=_build_info).items():
        numbered = [{"sample_idx": idx, **entry} for idx, entry in enumerate(entries)]
        write_pickle(job.folder / f"nuscenes_infos_{split}.pkl", {"metainfo": METAINFO, "data_list": numbered})


def _build_info(sample: Sample) -> dict[str, Any]:
    cameras, previous = sample.of_scene.cameras, sample.previous
    return {
        "token": sample.token,
        "timestamp": sample.stamp_us / 1e6,
        "ego2global": sample.ego2global.tolist(),
        "images": {camera.name: _image(sample, camera) for camera in cameras},
        "lidar_points": _points(sample),
        "lidar_sweeps": [_sweep(sample, previous)] if previous and sample.of_scene.has_sweeps else [],
        "instances": _instances(sample),
        "cam_instances": {camera.name: _camera_instances(sample, camera) for camera in cameras},
    }


def _image(sample: Sample, camera: Camera) -> dict[str, Any]:
    of_scene = sample.of_scene
    return {
        "img_path": PurePosixPath(of_scene.picture_path(camera.name, sample.step)).name,
        "height": camera.size_px[1],
        "width": camera.size_px[0],
        "cam2img": camera.K.tolist(),
        "cam2ego": camera.ego_from_cam.tolist(),
        "lidar2cam": (invert_rigid(camera.ego_from_cam) @ of_scene.lidar2ego).tolist(),
        "sample_data_token": of_scene.data_token(camera.name, sample.step),
        "timestamp": sample.stamp_us / 1e6,
    }


def _points(sample: Sample) -> dict[str, Any]:
    of_scene = sample.of_scene
    points: dict[str, Any] = {"num_pts_feats": NUM_POINT_FEATURES, "lidar2ego": of_scene.lidar2ego.tolist()}
    if of_scene.has_sweeps:
        points["lidar_path"] = PurePosixPath(of_scene.sweep_path(sample.step)).name
    return points


def _sweep(sample: Sample, recorded: Sample) -> dict[str, Any]:
    """Return the sweep of an earlier key frame; `lidar2sensor` leads from the LiDAR of `sample` to that one."""
    lidar2ego = sample.of_scene.lidar2ego
    lidar2sensor = invert_rigid(recorded.ego2global @ lidar2ego) @ sample.ego2global @ lidar2ego
    return {
        "timestamp": recorded.stamp_us / 1e6,
        "ego2global": recorded.ego2global.tolist(),
        "lidar_points": {
            **_points(recorded),
            "lidar_path": sweep_path(recorded),  # with its folder, by which mmdet3d tells samples from sweeps
            "lidar2sensor": lidar2sensor.tolist(),
        },
        "sample_data_token": sample.of_scene.data_token(CHANNEL, recorded.step),
    }


def _instances(sample: Sample) -> list[dict[str, Any]]:
    boxes = sample.boxes
    lidar2ego = sample.of_scene.lidar2ego
    rows: Float64[np.ndarray, "N 9"] = lwh_rows(boxes_in_lidar(boxes, ego2global=sample.ego2world, lidar2ego=lidar2ego))
    labels, num_points = class_labels(boxes, CONVERTER_CLASSES).tolist(), boxes.num_lidar_pts.tolist()
    return [
        {
            "bbox_label": label,
            "bbox_label_3d": label,
            "bbox_3d": row[:7].tolist(),
            "velocity": row[7:].tolist(),
            "bbox_3d_isvalid": count > 0,
            "num_lidar_pts": count,
            "num_radar_pts": 0,
        }
        for label, row, count in zip(labels, rows, num_points, strict=True)
    ]


def _camera_instances(sample: Sample, camera: Camera) -> list[dict[str, Any]]:
    seen = camera_boxes(sample, camera)
    return [
        {
            "bbox_label": int(seen.label[idx]),
            "bbox_label_3d": int(seen.label[idx]),
            "bbox": seen.xyxy_px[idx].tolist(),
            "bbox_3d_isvalid": True,
            "bbox_3d": seen.rows[idx].tolist(),
            "velocity": seen.velocity_mps[idx].tolist(),
            "center_2d": seen.center_px[idx].tolist(),
            "depth": float(seen.depth_m[idx]),
            "attr_label": int(seen.attribute[idx]),
        }
        for idx in range(len(seen.label))
    ]
