"""Preset `bevformer`: what `CustomNuScenesDataset` of fundamentalvision/BEVFormer returns in training.

That is after its pipeline and without mmcv's `DataContainer`: `img` T N 3 H W; `img_metas`, a dict from place in the
queue to the metas of that step; `gt_bboxes_3d`, the tensor that mmdet3d 0.17's `LiDARInstance3DBoxes` holds (x, y, z of
the bottom, w, l, h, -yaw - pi/2, vx, vy); `gt_labels_3d`. LiDAR frame with nuScenes' axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from scenegen.dataset.detection_boxes import wlh_rows
from scenegen.dataset.export.keys import sample_token, token_of
from scenegen.dataset.torch_view.detection_labels import detection_labels
from scenegen.dataset.torch_view.options import SampleOptions
from scenegen.dataset.torch_view.pictures import padded_stack
from scenegen.dataset.torch_view.scene_view import SceneView, homogeneous
from scenegen.dataset.torch_view.window import Moments

YAW_DEG = 17
"""Place of the heading, in degrees, among the signals."""


def build_sample(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """Return a queue of steps and the labels of its last one."""
    view.check_pinhole("bevformer")
    assert options.normalization is not None
    pictures = torch.stack([padded_stack(view, step, options.normalization) for step in moments.steps])
    metas = {place: step_metas(view, step, options) for place, step in enumerate(moments.steps)}
    for meta in metas.values():
        meta["img_shape"] = meta["pad_shape"] = [(pictures.shape[-2], pictures.shape[-1], 3)] * len(view.cameras)
    make_relative(metas)
    truth = detection_labels(
        view, moments.anchor, options, frame2global=view.lidar2global(moments.anchor), layout=wlh_rows
    )
    return {"img": pictures, "img_metas": metas, "gt_bboxes_3d": truth.rows, "gt_labels_3d": truth.labels}


def step_metas(view: SceneView, step: int, options: SampleOptions) -> dict[str, Any]:
    """Return the metas of one step, `can_bus` still absolute."""
    assert options.normalization is not None
    scene = view.scene
    every = view.key_every
    names = [camera.name for camera in view.cameras]
    return {
        "filename": [f"{scene.scene_id}/{name}/{step:06d}" for name in names],
        "ori_shape": [(*fit.size_hw, 3) for fit in view.fits],
        "lidar2img": list(view.lidar2img),
        "lidar2cam": list(view.lidar2cam),
        "cam_intrinsic": list(homogeneous(view.K)),
        "scale_factor": 1.0,
        "flip": False,
        "img_norm_cfg": options.normalization.img_norm_cfg(),
        "sample_idx": sample_token(scene.scene_id, step),
        "prev_idx": sample_token(scene.scene_id, step - every) if step >= every else "",
        "next_idx": sample_token(scene.scene_id, step + every) if step + every < scene.num_steps else "",
        "scene_token": token_of(scene.scene_id, "scene"),
        "frame_idx": step // every,
        "timestamp": scene.timestamps_us[step] / 1e6,
        "can_bus": view.can_bus[step].astype(np.float64),
    }


def make_relative(metas: dict[int, dict[str, Any]]) -> None:
    """Turn position and heading of `can_bus` into differences from the step before; say where a memory exists."""
    previous = np.array(metas[0]["can_bus"])
    for place, meta in metas.items():
        absolute = np.array(meta["can_bus"])
        meta["prev_bev"] = place > 0
        meta["can_bus"][:3] -= previous[:3]
        meta["can_bus"][YAW_DEG] -= previous[YAW_DEG]
        previous = absolute
