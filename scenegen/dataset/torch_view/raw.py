"""Preset `raw`: the data set's own conventions as tensors. World frame, V T C H W, pictures as uint8 sRGB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from scenegen.dataset.detection_boxes import class_labels
from scenegen.dataset.torch_view.options import SampleOptions
from scenegen.dataset.torch_view.scene_view import SceneView
from scenegen.dataset.torch_view.window import Moments


def build_sample(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """Return pictures, calibration, poses, and the labels asked for.

    `rgb` V T 3 H W, uint8 (float32 if normalized); `cam2img` V 3 3, of these pixels; `cam2ego` V 4 4; `ego2global`
    T 4 4, float64; `timestamp_us` T; `can_bus` T 18; `meta`; labels under their names.
    """
    steps = list(moments.steps)
    scene = view.scene
    sample: dict[str, Any] = {
        "rgb": torch.stack(
            [
                torch.stack([_picture(view, camera, step, options) for step in steps])
                for camera in range(len(view.cameras))
            ]
        ),
        "cam2img": torch.from_numpy(view.K.astype(np.float32)),
        "cam2ego": torch.from_numpy(view.cam2ego.astype(np.float32)),
        "ego2global": torch.from_numpy(scene.ego2global[steps]),
        "timestamp_us": torch.from_numpy(scene.timestamps_us[steps]),
        "can_bus": torch.from_numpy(view.can_bus[steps]),
        "meta": {
            "scene_id": scene.scene_id,
            "steps": moments.steps,
            "is_own": moments.is_own,
            "cameras": tuple(camera.name for camera in view.cameras),
            "camera_models": tuple(camera.lens.model for camera in view.cameras),
        },
    }
    for name in options.labels:
        sample.update(LABELS[name](view, moments, options))
    return sample


def _picture(view: SceneView, camera: int, step: int, options: SampleOptions) -> torch.Tensor:
    pixels = view.picture(camera, step)
    if options.normalization is not None:
        return options.normalization.apply(pixels)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _boxes(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`boxes`: one dict per step of the window; `num_lidar_pts` only where stored."""
    rows = []
    for step in moments.steps:
        boxes = view.scene.boxes(step)
        rows.append(
            {
                "center_world_m": torch.tensor(boxes.center_world_m),
                "size_lwh_m": torch.tensor(boxes.size_lwh_m),
                "rotation_wxyz": torch.tensor(boxes.rotation_wxyz),
                "velocity_world_mps": torch.tensor(boxes.velocity_world_mps),
                "track_id": torch.tensor(boxes.track_id),
                "label": torch.tensor(class_labels(boxes, options.classes)),
                "visibility": torch.tensor(boxes.visibility),
                "visible_fraction": torch.tensor(boxes.visible_fraction),
            }
        )
        if boxes.stored_lidar_pts is not None:
            rows[-1]["num_lidar_pts"] = torch.tensor(boxes.stored_lidar_pts)
    return {"boxes": rows}


def _occupancy(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`voxel_semantics`, `mask_camera` and, where stored, `mask_lidar` of the anchor: X Y Z, uint8, ego frame."""
    occupancy = view.scene.occupancy(moments.anchor)
    voxels = {
        "voxel_semantics": torch.from_numpy(occupancy.semantics),
        "mask_camera": torch.from_numpy(occupancy.mask_camera),
    }
    if occupancy.stored_mask_lidar is not None:
        voxels["mask_lidar"] = torch.from_numpy(occupancy.stored_mask_lidar)
    return voxels


LABELS: dict[str, Callable[[SceneView, Moments, SampleOptions], dict[str, Any]]] = {
    "boxes": _boxes,
    "occupancy": _occupancy,
}
"""Labels that can be asked for."""
