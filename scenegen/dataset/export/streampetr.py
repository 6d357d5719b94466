"""StreamPETR's info files: `nuscenes2d_temporal_infos_<split>.pkl`, with the pictures and sweeps they name.

`gt_boxes` are x, y, z (middle), l, w, h, yaw, as in mmdet3d 1.0. The 2-D boxes are those of the visible pixels, where
StreamPETR's own converter has projected corners; their labels count in the order of mmdet3d's converters, as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scenegen.dataset.detection_boxes import lwh_rows
from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.camera_boxes import camera_boxes
from scenegen.dataset.export.info_samples import Sample, write_infos
from scenegen.dataset.export.legacy_infos import build_legacy_info, write_legacy_infos


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    infos = write_infos(job, format="streampetr", build_info=_build_info)
    write_legacy_infos(job.folder, infos, name="nuscenes2d_temporal_infos_{split}.pkl")


def _build_info(sample: Sample) -> dict[str, Any]:
    seen = [camera_boxes(sample, camera) for camera in sample.of_scene.cameras]
    return {
        **build_legacy_info(sample, layout=lwh_rows),
        "bboxes2d": [boxes.xyxy_px.astype(np.float32) for boxes in seen],
        "bboxes3d_cams": [boxes.rows.astype(np.float32) for boxes in seen],
        "labels2d": [boxes.label for boxes in seen],
        "centers2d": [boxes.center_px.astype(np.float32) for boxes in seen],
        "depths": [boxes.depth_m.astype(np.float32) for boxes in seen],
        "bboxes_ignore": [np.zeros((0, 4), np.float32) for _ in seen],
        "visibilities": [[str(level) for level in boxes.visibility.tolist()] for boxes in seen],
    }
