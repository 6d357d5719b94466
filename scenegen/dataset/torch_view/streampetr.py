"""Preset `streampetr`: what `CustomNuScenesDataset` of exiawsh/StreamPETR returns in training.

That is after its pipeline and without mmcv's `DataContainer`. `img` T N 3 H W; per step `lidar2img`, `intrinsics`,
`extrinsics` (camera from LiDAR) N 4 4, `ego_pose` (LiDAR in the world) and its inverse, `timestamp`, `img_timestamp` N,
`prev_exists`; labels as lists over the steps, 2-D ones as lists over the cameras in them. `gt_bboxes_3d` is the tensor
that mmdet3d 1.0's `LiDARInstance3DBoxes` holds (x, y, z of the bottom, l, w, h, yaw, vx, vy). The LiDAR frame has
nuScenes' axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from scenegen.dataset.detection_boxes import lwh_rows
from scenegen.dataset.torch_view.bevformer import step_metas
from scenegen.dataset.torch_view.detection_labels import detection_labels, picture_labels
from scenegen.dataset.torch_view.options import SampleOptions
from scenegen.dataset.torch_view.pictures import padded_stack
from scenegen.dataset.torch_view.scene_view import SceneView, homogeneous
from scenegen.dataset.torch_view.window import Moments
from scenegen.geometry.rigid import invert_rigid

_META_KEYS = (
    "filename",
    "ori_shape",
    "img_shape",
    "pad_shape",
    "scale_factor",
    "flip",
    "img_norm_cfg",
    "scene_token",
    "sample_idx",
    "frame_idx",
    "lidar2img",
)


def build_sample(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """Return a queue of steps, each with its labels."""
    view.check_pinhole("streampetr")
    assert options.normalization is not None
    pictures = torch.stack([padded_stack(view, step, options.normalization) for step in moments.steps])
    num_steps, num_views = len(moments.steps), len(view.cameras)
    poses = np.stack([view.lidar2global(step) for step in moments.steps])
    seconds = view.scene.timestamps_us[list(moments.steps)] / 1e6
    metas = [step_metas(view, step, options) for step in moments.steps]
    for meta in metas:
        meta["img_shape"] = meta["pad_shape"] = [(pictures.shape[-2], pictures.shape[-1], 3)] * num_views
    return {
        "img": pictures,
        "lidar2img": _over_time(view.lidar2img, num_steps),
        "intrinsics": _over_time(homogeneous(view.K), num_steps),
        "extrinsics": _over_time(view.lidar2cam, num_steps),
        "ego_pose": torch.from_numpy(poses.astype(np.float32)),
        "ego_pose_inv": torch.from_numpy(invert_rigid(poses).astype(np.float32)),
        "timestamp": torch.from_numpy(seconds),
        "img_timestamp": torch.from_numpy(np.repeat(seconds[:, None], num_views, axis=1)),
        "prev_exists": torch.tensor(_prev_exists(moments), dtype=torch.float32),
        "img_metas": [{key: meta[key] for key in _META_KEYS} for meta in metas],
        **_labels(view, moments, options),
    }


def _labels(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    truths = [
        detection_labels(view, step, options, frame2global=view.lidar2global(step), layout=lwh_rows)
        for step in moments.steps
    ]
    seen = [[picture_labels(view, camera, step) for camera in range(len(view.cameras))] for step in moments.steps]
    return {
        "gt_bboxes_3d": [truth.rows for truth in truths],
        "gt_labels_3d": [truth.labels for truth in truths],
        "gt_bboxes": [[labels.xyxy_px for labels in cameras] for cameras in seen],
        "gt_labels": [[labels.labels for labels in cameras] for cameras in seen],
        "centers2d": [[labels.centers_px for labels in cameras] for cameras in seen],
        "depths": [[labels.depth_m for labels in cameras] for cameras in seen],
    }


def _prev_exists(moments: Moments) -> list[bool]:
    """Say for each step whether a memory of an earlier one may be used; stand-ins start it anew.

    >>> _prev_exists(Moments(anchor=6, steps=(0, 0, 6), is_own=(False, True, True)))
    [False, False, True]
    """
    return [place > 0 and moments.is_own[place] and moments.is_own[place - 1] for place in range(len(moments.steps))]


def _over_time(matrices: np.ndarray[Any, np.dtype[np.float64]], num_steps: int) -> torch.Tensor:
    return torch.from_numpy(np.tile(matrices.astype(np.float32), (num_steps, 1, 1, 1)))
