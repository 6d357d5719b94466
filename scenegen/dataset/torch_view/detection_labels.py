"""Boxes as the detection presets return them: chosen like their own pipelines choose, in the order of the scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64

from scenegen.dataset.detection_boxes import (
    CONVERTER_CLASSES,
    FrameBoxes,
    bottom_centered,
    boxes_in_frame,
    class_labels,
    in_square,
)
from scenegen.dataset.torch_view.options import SampleOptions
from scenegen.dataset.torch_view.scene_view import SceneView
from scenegen.geometry.rigid import invert_rigid

MIN_SIDE_PX = 2.0
"""2-D boxes that a crop leaves with a shorter side are dropped, as in StreamPETR's pipeline."""


@dataclass(frozen=True, kw_only=True)
class DetectionLabels:
    """`rows` as in the tensor of mmdet3d's `LiDARInstance3DBoxes`: z at the bottom of the box."""

    rows: Float32[torch.Tensor, "N 9"]
    labels: Int64[torch.Tensor, " N"]


def detection_labels(
    view: SceneView,
    step: int,
    options: SampleOptions,
    *,
    frame2global: Float64[np.ndarray, "4 4"],
    layout: Callable[[FrameBoxes], Float64[np.ndarray, "N 9"]],
) -> DetectionLabels:
    """Return the boxes that have LiDAR points, a known class, and a centre in range.

    Args:
        view: the scene.
        step: of the labels.
        options: classes and range.
        frame2global: pose of the frame that the boxes are wanted in.
        layout: `lwh_rows` or `wlh_rows`.

    Raises:
        DatasetError: the scene was written without LiDAR counts.
    """
    boxes = view.scene.boxes(step)
    rows = layout(boxes_in_frame(boxes, invert_rigid(frame2global)))
    labels = class_labels(boxes, options.classes)
    chosen = (boxes.num_lidar_pts > 0) & (labels >= 0) & in_square(rows, options.box_range_m)
    return DetectionLabels(
        rows=torch.from_numpy(bottom_centered(rows)[chosen].astype(np.float32)),
        labels=torch.from_numpy(labels[chosen]),
    )


@dataclass(frozen=True, kw_only=True)
class PictureLabels:
    """2-D boxes of one camera, in pixels of the fitted picture."""

    xyxy_px: Float32[torch.Tensor, "K 4"]
    labels: Int64[torch.Tensor, " K"]
    centers_px: Float32[torch.Tensor, "K 2"]
    depth_m: Float32[torch.Tensor, " K"]


def picture_labels(view: SceneView, camera: int, step: int) -> PictureLabels:
    """Return the visible boxes of the ten detection classes, cut to the fitted picture.

    Labels count in the order of `CONVERTER_CLASSES`: StreamPETR takes those of its info file, not of its configuration.

    Raises:
        DatasetError: the scene was written without 2-D boxes.
    """
    seen = view.scene.boxes2d(step, view.cameras[camera].name)
    labels = class_labels(view.scene.boxes(step), CONVERTER_CLASSES)[seen.box]
    fit = view.fits[camera]
    xyxy = fit.move_boxes(seen.xyxy_px)
    centers = fit.clip(fit.move(seen.center_px))
    kept = (labels >= 0) & ((xyxy[:, 1] - xyxy[:, 0]) >= MIN_SIDE_PX).all(axis=1) & (seen.depth_m > 0.0)
    kept &= np.isfinite(centers).all(axis=1)
    return PictureLabels(
        xyxy_px=torch.from_numpy(xyxy[kept].reshape(-1, 4).astype(np.float32)),
        labels=torch.from_numpy(labels[kept]),
        centers_px=torch.from_numpy(centers[kept].astype(np.float32)),
        depth_m=torch.from_numpy(seen.depth_m[kept]),
    )
