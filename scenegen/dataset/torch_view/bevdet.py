"""Presets `bevdet` and `flashocc`: what HuangJunJie2017/BEVDet and Yzichen/FlashOCC return in training.

That is after their pipelines, without augmentation and mmcv's `DataContainer`. `img_inputs` is the tuple (imgs,
sensor2egos, ego2globals, intrins, post_rots, post_trans, bda): `intrins` belong to the stored pixels and `post_rots`,
`post_trans` take them to the fitted ones, `post_rot @ (u, v, 1) + post_tran`. With a window of several steps the
pictures come camera by camera, newest first, and everything else step by step, newest first, which is how both code
bases take them apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64

from scenegen.dataset.detection_boxes import lwh_rows
from scenegen.dataset.export.keys import sample_token, token_of
from scenegen.dataset.torch_view.detection_labels import detection_labels
from scenegen.dataset.torch_view.options import SampleOptions
from scenegen.dataset.torch_view.pictures import picture_stack
from scenegen.dataset.torch_view.scene_view import SceneView
from scenegen.dataset.torch_view.window import Moments
from scenegen.geometry.rigid import invert_rigid, transform_points

DEPTH_RANGE_M = (1.0, 45.0)
"""Depths outside are no target: FlashOCC's `grid_config["depth"]`."""


def build_sample(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """Return pictures and boxes. Boxes: ego frame; x, y, z of the bottom, l, w, h, yaw, vx, vy."""
    view.check_pinhole("bevdet")
    ego2global = view.scene.ego2global[moments.anchor]
    truth = detection_labels(view, moments.anchor, options, frame2global=ego2global, layout=lwh_rows)
    return {
        "img_inputs": image_inputs(view, moments, options),
        "gt_bboxes_3d": truth.rows,
        "gt_labels_3d": truth.labels,
        "img_metas": _metas(view, moments),
    }


def build_occupancy_sample(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """Return pictures, the Occ3D view of the anchor (200 200 16, uint8) and the depth of the LiDAR points (N H W)."""
    view.check_pinhole("flashocc")
    occupancy = view.scene.occupancy(moments.anchor)
    return {
        "img_inputs": image_inputs(view, moments, options),
        "gt_depth": torch.from_numpy(lidar_depth(view, moments.anchor)),
        "voxel_semantics": torch.from_numpy(occupancy.semantics),
        "mask_lidar": torch.from_numpy(occupancy.mask_lidar),
        "mask_camera": torch.from_numpy(occupancy.mask_camera),
        "img_metas": _metas(view, moments),
    }


def image_inputs(view: SceneView, moments: Moments, options: SampleOptions) -> tuple[torch.Tensor, ...]:
    """Return (imgs, sensor2egos, ego2globals, intrins, post_rots, post_trans, bda); F frames of N cameras each."""
    assert options.normalization is not None
    newest_first = moments.steps[::-1]
    frames = torch.stack([picture_stack(view, step, options.normalization) for step in newest_first], dim=1)
    num_frames, num_views = len(newest_first), len(view.cameras)
    ego2global = np.repeat(view.scene.ego2global[list(newest_first)], num_views, axis=0)
    fitted = np.stack([fit.fitted_from_stored for fit in view.fits])
    post_rot, post_tran = fitted.copy(), np.zeros((num_views, 3))
    post_rot[:, :2, 2] = 0.0
    post_tran[:, :2] = fitted[:, :2, 2]
    return (
        frames.flatten(0, 1),
        _per_frame(view.cam2ego, num_frames),
        torch.from_numpy(ego2global.astype(np.float32)),
        _per_frame(view.K_stored, num_frames),
        _per_frame(post_rot, num_frames),
        _per_frame(post_tran, num_frames),
        torch.eye(3),
    )


def lidar_depth(view: SceneView, step: int) -> Float32[np.ndarray, "N H W"]:
    """Return the z-depth of the nearest LiDAR point of every pixel, 0 where there is none.

    Raises:
        DatasetError: the scene stores no sweep of this step.
    """
    sweep = view.scene.lidar(step)
    points_lidar_m = sweep.points_lidar_m.astype(np.float64)
    cam_from_lidar = invert_rigid(view.cam2ego) @ view.scene.lidar2ego
    return np.stack(
        [
            _depth_map(transform_points(matrix, points_lidar_m), K, size_hw=fit.size_hw)
            for matrix, K, fit in zip(cam_from_lidar, view.K, view.fits, strict=True)
        ]
    )


def _depth_map(
    points_cam_m: Float64[np.ndarray, "P 3"], K: Float64[np.ndarray, "3 3"], *, size_hw: tuple[int, int]
) -> Float32[np.ndarray, "H W"]:
    depth_m = points_cam_m[:, 2]
    kept = (depth_m >= DEPTH_RANGE_M[0]) & (depth_m < DEPTH_RANGE_M[1])
    uv_px = (points_cam_m[kept] @ K.T)[:, :2] / depth_m[kept, None]
    column, row = np.floor(uv_px).astype(np.int64).T
    inside = (column >= 0) & (column < size_hw[1]) & (row >= 0) & (row < size_hw[0])
    nearest = np.full(size_hw, np.inf, np.float32)
    np.minimum.at(nearest, (row[inside], column[inside]), depth_m[kept][inside].astype(np.float32))
    return np.where(np.isfinite(nearest), nearest, np.float32(0.0))


def _per_frame(values: np.ndarray[Any, np.dtype[np.float64]], num_frames: int) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([values] * num_frames).astype(np.float32))


def _metas(view: SceneView, moments: Moments) -> dict[str, Any]:
    scene_id = view.scene.scene_id
    return {
        "sample_idx": sample_token(scene_id, moments.anchor),
        "scene_token": token_of(scene_id, "scene"),
        "scene_name": scene_id,
        "cam_names": [camera.name for camera in view.cameras],
        "flip_dx": False,
        "flip_dy": False,
    }
