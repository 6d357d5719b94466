"""Boxes as one camera sees them, for the info files with 2-D labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.dataset.columns import visibility_level
from scenegen.dataset.detection_boxes import CONVERTER_ATTRIBUTES, CONVERTER_CLASSES, class_labels
from scenegen.dataset.export.info_samples import Sample
from scenegen.dataset.rotations import forward_axes
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import Camera


@dataclass(frozen=True, kw_only=True)
class CameraBoxes:
    """The visible agents of the ten detection classes in one picture.

    Attributes:
        xyxy_px: around the visible pixels.
        label: index into `CONVERTER_CLASSES`.
        center_px: projection of the middle of the box.
        depth_m: z-depth of the middle of the box.
        rows: x, y, z of the middle, length, height, width, turn around the camera's y axis; frame `cam`.
        velocity_mps: along x and z of the camera.
        visibility: nuScenes level, 1 to 4, of what this camera sees.
        attribute: index into `CONVERTER_ATTRIBUTES`.
    """

    xyxy_px: Float64[np.ndarray, "K 4"]
    label: Int64[np.ndarray, " K"]
    center_px: Float64[np.ndarray, "K 2"]
    depth_m: Float64[np.ndarray, " K"]
    rows: Float64[np.ndarray, "K 7"]
    velocity_mps: Float64[np.ndarray, "K 2"]
    visibility: Int64[np.ndarray, " K"]
    attribute: Int64[np.ndarray, " K"]


def camera_boxes(sample: Sample, camera: Camera) -> CameraBoxes:
    """Return what a camera sees at a key frame.

    Boxes whose middle is behind the camera are left out: these formats have no place for them.

    Raises:
        DatasetError: the scene was written without 2-D boxes.
    """
    seen, boxes = sample.scene.boxes2d(sample.step, camera.name), sample.boxes
    labels = class_labels(boxes, CONVERTER_CLASSES)[seen.box]
    kept = (labels >= 0) & (seen.depth_m > 0.0) & np.isfinite(seen.center_px).all(axis=1)
    chosen = seen.box[kept]
    cam_from_world = invert_rigid(sample.ego2world @ camera.ego_from_cam)
    heading = forward_axes(boxes.rotation_wxyz[chosen]) @ cam_from_world[:3, :3].T
    turn_rad = turn_around_y(heading)
    flat = np.concatenate([boxes.velocity_world_mps[chosen], np.zeros((len(chosen), 1))], axis=1)
    velocity = flat @ cam_from_world[:3, :3].T
    center_cam_m = transform_points(cam_from_world, boxes.center_world_m[chosen])
    attributes = sample.of_scene.nuscenes_attributes
    tracks = boxes.track_id[chosen].tolist()
    words = [attributes[sample.step, track] or CONVERTER_ATTRIBUTES[-1] for track in tracks]
    return CameraBoxes(
        xyxy_px=seen.xyxy_px[kept].astype(np.float64),
        label=labels[kept],
        center_px=seen.center_px[kept].astype(np.float64),
        depth_m=seen.depth_m[kept].astype(np.float64),
        rows=np.concatenate([center_cam_m, boxes.size_lwh_m[chosen][:, [0, 2, 1]], turn_rad[:, None]], axis=1),
        velocity_mps=velocity[:, [0, 2]],
        visibility=visibility_level(seen.visible_fraction[kept]).astype(np.int64),
        attribute=np.array([CONVERTER_ATTRIBUTES.index(word) for word in words], np.int64),
    )


def turn_around_y(heading_cam: Float64[np.ndarray, "K 3"]) -> Float64[np.ndarray, " K"]:
    """Return the turn of boxes around the camera's y axis, which points down, from its x axis.

    >>> turn_around_y(np.array([[0.0, 0.0, 1.0]])).round(6).tolist()  # headed away from the camera
    [-1.570796]
    """
    turn_rad: Float64[np.ndarray, " K"] = np.arctan2(-heading_cam[:, 2], heading_cam[:, 0])
    return turn_rad
