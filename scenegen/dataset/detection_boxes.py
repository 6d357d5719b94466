"""Boxes as detection code wants them: in the LiDAR or ego frame, in the layouts of both mmdet3d generations.

What that code takes for granted is here too: the order of classes, attributes and cameras.

The LiDAR frame of these formats has nuScenes' axes, x right, y forward, z up: BEVFormer moves its memory along y when
the car drives ahead, and models trained on nuScenes have seen cars ahead of them along y. `scene.lidar2ego` has our own
axes, x forward; `detection_lidar2ego` turns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from scenegen.dataset.labels import Boxes
from scenegen.dataset.rotations import forward_axes, wrap_angle
from scenegen.dataset.stored_scene import Scene
from scenegen.geometry.rigid import invert_rigid, transform_points

CONFIG_CLASSES = (
    "car",
    "truck",
    "construction_vehicle",
    "bus",
    "trailer",
    "barrier",
    "motorcycle",
    "bicycle",
    "pedestrian",
    "traffic_cone",
)
"""Order of `class_names` in the configurations of BEVFormer, StreamPETR, BEVDet and FlashOCC."""
CONVERTER_CLASSES = (
    "car",
    "truck",
    "trailer",
    "bus",
    "construction_vehicle",
    "bicycle",
    "motorcycle",
    "pedestrian",
    "traffic_cone",
    "barrier",
)
"""Order of the converters of mmdet3d: labels of its v2 files, and of all 2-D boxes."""
CONVERTER_ATTRIBUTES = (
    "cycle.with_rider",
    "cycle.without_rider",
    "pedestrian.moving",
    "pedestrian.standing",
    "pedestrian.sitting_lying_down",
    "vehicle.moving",
    "vehicle.parked",
    "vehicle.stopped",
    "None",
)
NUSCENES_CAMERAS = (
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_FRONT_LEFT",
    "CAM_BACK",
    "CAM_BACK_LEFT",
    "CAM_BACK_RIGHT",
)
"""Order of the cameras in the info files of mmdet3d. Rigs with other cameras keep their own."""
LIDAR_FROM_NUSCENES = np.array(
    [[0.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""To the axes of `scene.lidar2ego` (x forward, y left) from nuScenes' (x right, y forward)."""


@dataclass(frozen=True, kw_only=True)
class FrameBoxes:
    """Boxes of one step in a frame whose z axis is up; `center_m` is the middle of the box."""

    center_m: Float64[np.ndarray, "N 3"]
    size_lwh_m: Float64[np.ndarray, "N 3"]
    yaw_rad: Float64[np.ndarray, " N"]
    velocity_mps: Float64[np.ndarray, "N 2"]


def detection_lidar2ego(scene: Scene) -> Float64[np.ndarray, "4 4"]:
    """Return the pose of a scene's LiDAR with nuScenes' axes; stored with sweeps, else as configured."""
    if scene.has_array("lidar/lidar2ego"):
        return turned_lidar2ego(scene.lidar2ego)
    return turned_lidar2ego(scene.lidar_model.lidar2ego)


def turned_lidar2ego(lidar2ego: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    """Turn the axes of a LiDAR from x forward to nuScenes'.

    >>> turned_lidar2ego(np.eye(4))[:3, 1].tolist()  # its y axis points along the ego's x
    [1.0, 0.0, 0.0]
    """
    return lidar2ego @ LIDAR_FROM_NUSCENES


def boxes_in_frame(boxes: Boxes, frame_from_world: Float64[np.ndarray, "4 4"]) -> FrameBoxes:
    """Move world boxes into another frame; velocities stay relative to the world and turn with the axes."""
    rotation = frame_from_world[:3, :3]
    heading = forward_axes(boxes.rotation_wxyz) @ rotation.T
    velocity_world = np.concatenate([boxes.velocity_world_mps, np.zeros((len(boxes), 1))], axis=1)
    return FrameBoxes(
        center_m=transform_points(frame_from_world, boxes.center_world_m),
        size_lwh_m=boxes.size_lwh_m.astype(np.float64),
        yaw_rad=np.arctan2(heading[:, 1], heading[:, 0]),
        velocity_mps=(velocity_world @ rotation.T)[:, :2],
    )


def boxes_in_lidar(
    boxes: Boxes, *, ego2global: Float64[np.ndarray, "4 4"], lidar2ego: Float64[np.ndarray, "4 4"]
) -> FrameBoxes:
    """Move world boxes into the frame of the LiDAR."""
    return boxes_in_frame(boxes, invert_rigid(ego2global @ lidar2ego))


def lwh_rows(boxes: FrameBoxes) -> Float64[np.ndarray, "N 9"]:
    """Return x, y, z, length, width, height, yaw, vx, vy: mmdet3d 1.0 and later. z is the middle of the box."""
    return np.concatenate(
        [boxes.center_m, boxes.size_lwh_m, wrap_angle(boxes.yaw_rad)[:, None], boxes.velocity_mps], axis=1
    )


def wlh_rows(boxes: FrameBoxes) -> Float64[np.ndarray, "N 9"]:
    """Return x, y, z, width, length, height, -yaw - pi/2, vx, vy: mmdet3d before 1.0, which BEVFormer pins.

    >>> ahead = FrameBoxes(center_m=np.zeros((1, 3)), size_lwh_m=np.array([[4.0, 2.0, 1.5]]),
    ...     yaw_rad=np.array([np.pi / 2]), velocity_mps=np.zeros((1, 2)))
    >>> wlh_rows(ahead)[0, 3:7].round(3).tolist()
    [2.0, 4.0, 1.5, -3.142]
    """
    turned = wrap_angle(-boxes.yaw_rad - 0.5 * np.pi)
    size_wlh_m = boxes.size_lwh_m[:, [1, 0, 2]]
    return np.concatenate([boxes.center_m, size_wlh_m, turned[:, None], boxes.velocity_mps], axis=1)


def bottom_centered(rows: Float64[np.ndarray, "N 9"]) -> Float64[np.ndarray, "N 9"]:
    """Return rows with z at the bottom of the box, as in the tensor of mmdet3d's `LiDARInstance3DBoxes`."""
    lowered = rows.copy()
    lowered[:, 2] -= 0.5 * rows[:, 5]
    return lowered


def class_labels(boxes: Boxes, classes: Sequence[str]) -> Int64[np.ndarray, " N"]:
    """Return the index of each box's category among `classes`, -1 where it is none of them."""
    label_of = np.array([classes.index(name) if name in classes else -1 for name in boxes.category_names], np.int64)
    return label_of[boxes.category]


def category_labels(boxes: Boxes) -> tuple[str, ...]:
    """Return the name of each box's category."""
    return tuple(boxes.category_names[code] for code in boxes.category)


def in_square(rows: Float64[np.ndarray, "N 9"], half_side_m: float) -> Bool[np.ndarray, " N"]:
    """Mark the boxes whose centre lies in the square around the origin, edges excluded."""
    inside: Bool[np.ndarray, " N"] = (np.abs(rows[:, :2]) < half_side_m).all(axis=1)
    return inside
