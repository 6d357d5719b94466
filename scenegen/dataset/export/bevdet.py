"""BEVDet's info files: `bevdetv2-nuscenes_infos_<split>.pkl`, with the pictures and sweeps they name.

`gt_boxes` are in the LiDAR frame as in mmdet3d 1.0; `ann_infos` is what training reads: (boxes, labels) in the ego
frame, x, y, z (middle), l, w, h, yaw, vx, vy, boxes without LiDAR points and of other classes left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scenegen.dataset.detection_boxes import CONFIG_CLASSES, boxes_in_frame, class_labels, lwh_rows
from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.info_samples import Sample, write_infos
from scenegen.dataset.export.legacy_infos import build_legacy_info, write_legacy_infos
from scenegen.geometry.rigid import invert_rigid

FILE_NAME = "bevdetv2-nuscenes_infos_{split}.pkl"


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    write_legacy_infos(job.folder, write_infos(job, format="bevdet", build_info=build_info), name=FILE_NAME)


def build_info(sample: Sample) -> dict[str, Any]:
    """Return the entry of one key frame."""
    return {
        **build_legacy_info(sample, layout=lwh_rows),
        "scene_name": sample.of_scene.place.name,
        "ann_infos": _annotations(sample),
    }


def _annotations(sample: Sample) -> tuple[list[np.ndarray[Any, Any]], list[int]]:
    boxes = sample.boxes
    rows = lwh_rows(boxes_in_frame(boxes, invert_rigid(sample.ego2world)))
    labels = class_labels(boxes, CONFIG_CLASSES)
    chosen = (labels >= 0) & (boxes.num_lidar_pts > 0)
    return list(rows[chosen]), labels[chosen].tolist()
