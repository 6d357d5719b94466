"""KITTI object detection, front camera and key frames: `<split>/{image_2,label_2,calib,velodyne}/000000.*`.

What is converted: pictures become PNG, which every KITTI reader wants (their pixels stay as stored); boxes go to the
camera frame with their bottom centre, height, width, length and the angle around the camera's y axis; the LiDAR frame
is KITTI's already (x forward, y left, z up). The camera frame is the rectified one: R0_rect is the identity and P0 to
P3 are K. A camera that is not level tilts its boxes against what one angle can say; the angle is then that of the
heading projected into the camera's x-z plane. 2-D boxes are those of the visible pixels; `truncated` is the share of
the projected 3-D box outside the picture. `frames.csv` says which scene and step a number is.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.nuscenes.scene_tables import check_pinholes
from scenegen.dataset.jpeg_codec import PngCodec
from scenegen.dataset.labels import Boxes
from scenegen.dataset.rotations import yaw_rad
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.wireframe import box_corners_world_m, project_edges
from scenegen.geometry.rigid import invert_rigid, planar_pose, transform_points
from scenegen.types import AgentCategory, Camera

TYPE_OF_CATEGORY: dict[AgentCategory, str] = {
    AgentCategory.CAR: "Car",
    AgentCategory.TRUCK: "Truck",
    AgentCategory.PEDESTRIAN: "Pedestrian",
    AgentCategory.BICYCLE: "Cyclist",
}
OTHER_TYPE = "Misc"
"""Buses, trailers, motorcycles, cones, barriers, animals, and bicycles without a rider."""
FOLDERS = ("image_2", "label_2", "calib", "velodyne")
FULLY_VISIBLE, PARTLY_VISIBLE = 0.8, 0.4
"""Visible fractions from which an agent counts as not occluded, and as partly occluded."""


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    numbers: dict[str, int] = defaultdict(int)
    with (job.folder / "frames.csv").open("w", encoding="utf-8", newline="") as file:
        frames = csv.writer(file)
        frames.writerow(["split", "number", "scene_id", "camera", "step", "timestamp_us"])
        for scene in job.scenes():
            split = scene.attrs["split"]
            for name in FOLDERS:
                (job.folder / split / name).mkdir(parents=True, exist_ok=True)
            camera = front_camera(scene)
            for step in np.flatnonzero(scene.is_key_frame).tolist():
                number = f"{numbers[split]:06d}"
                paths = {name: _path(job.folder / split, name, number) for name in FOLDERS}
                _write_step(scene, camera, step, paths)
                frames.writerow([split, number, scene.scene_id, camera.name, step, int(scene.timestamps_us[step])])
                numbers[split] += 1
            for _ in range(scene.num_steps):
                job.step_done()


def front_camera(scene: Scene) -> Camera:
    """Return the camera that looks most straight ahead.

    Raises:
        DatasetError: a camera is no pinhole.
    """
    check_pinholes(scene, format="kitti")
    return max(scene.rig.cameras, key=lambda camera: float(camera.ego_from_cam[0, 2]))


def _path(folder: Path, name: str, number: str) -> Path:
    suffix = {"image_2": ".png", "velodyne": ".bin"}.get(name, ".txt")
    return folder / name / f"{number}{suffix}"


def _write_step(scene: Scene, camera: Camera, step: int, paths: Mapping[str, Path]) -> None:
    paths["image_2"].write_bytes(PngCodec().encode_picture(scene.rgb(camera.name)[step]))
    paths["calib"].write_text(_calibration(scene, camera))
    paths["label_2"].write_text("".join(_label_lines(scene, camera, step)))
    sweep = scene.lidar(step)
    points = np.concatenate([sweep.points_lidar_m, sweep.intensity[:, None]], axis=1, dtype=np.float32)
    paths["velodyne"].write_bytes(points.tobytes())


def _calibration(scene: Scene, camera: Camera) -> str:
    projection = np.concatenate([camera.K, np.zeros((3, 1))], axis=1)
    lidar_from_ego = invert_rigid(scene.lidar2ego)
    cam_from_lidar = invert_rigid(camera.ego_from_cam) @ scene.lidar2ego
    rows = {f"P{idx}": projection for idx in range(4)}
    rows |= {"R0_rect": np.eye(3), "Tr_velo_to_cam": cam_from_lidar[:3], "Tr_imu_to_velo": lidar_from_ego[:3]}
    return "".join(f"{name}: {' '.join(f'{value:.12e}' for value in row.ravel())}\n" for name, row in rows.items())


def _label_lines(scene: Scene, camera: Camera, step: int) -> list[str]:
    """Return a line for every agent of which the camera sees a pixel."""
    boxes, seen = scene.boxes(step), scene.boxes2d(step, camera.name)
    world_from_ego = scene.ego2global[step]
    cam_from_world = invert_rigid(world_from_ego @ camera.ego_from_cam)
    headings = yaw_rad(boxes.rotation_wxyz)
    lines = []
    for row, (box, visible) in enumerate(zip(seen.box.tolist(), seen.visible_fraction.tolist(), strict=True)):
        center_m, heading = boxes.center_world_m[box], float(headings[box])
        length, width, height = boxes.size_lwh_m[box].tolist()
        corners = box_corners_world_m(center_m, boxes.size_lwh_m[box], heading_rad=heading)
        edges, _ = project_edges(corners, camera, world_from_ego=world_from_ego)
        truncated = share_outside(edges.reshape(-1, 2), camera.size_px)
        bottom_m = transform_points(cam_from_world, center_m - [0.0, 0.0, 0.5 * height])
        angle = rotation_y_rad(cam_from_world, heading)
        alpha = _wrapped(angle - math.atan2(bottom_m[0], bottom_m[2]))
        occluded = 0 if visible >= FULLY_VISIBLE else 1 if visible >= PARTLY_VISIBLE else 2
        numbers = [alpha, *seen.xyxy_px[row].tolist(), height, width, length, *bottom_m.tolist(), angle]
        text = " ".join(f"{number:.4f}" for number in numbers)
        lines.append(f"{_type_of(boxes, box)} {truncated:.2f} {occluded} {text}\n")
    return lines


def share_outside(points_px: Float64[np.ndarray, "N 2"], size_px: tuple[int, int]) -> float:
    """Return how much of the box around projected points lies outside the picture, 0 to 1.

    >>> share_outside(np.array([[-10.0, 0.0], [10.0, 20.0]]), (100, 50))
    0.5
    """
    low, high = points_px.min(axis=0), points_px.max(axis=0)
    inside = float(np.prod(np.clip(high, 0.0, size_px) - np.clip(low, 0.0, size_px)))
    whole = float(np.prod(high - low))
    return round(1.0 - inside / whole, 4) if whole else 0.0


def rotation_y_rad(cam_from_world: Float64[np.ndarray, "4 4"], heading_rad: float) -> float:
    """Return KITTI's angle of a heading: around the camera's y axis (down), 0 along its x axis.

    >>> ahead = np.array([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    >>> round(rotation_y_rad(ahead, 0.0), 4), round(rotation_y_rad(ahead, -math.pi / 4), 4)
    (-1.5708, -0.7854)
    """
    forward_cam = cam_from_world[:3, :3] @ planar_pose(0.0, 0.0, heading_rad)[:3, 0]
    return math.atan2(-forward_cam[2], forward_cam[0])


def _type_of(boxes: Boxes, box: int) -> str:
    if boxes.attribute[box] == "cycle.without_rider":
        return OTHER_TYPE
    return TYPE_OF_CATEGORY.get(AgentCategory(int(boxes.category[box])), OTHER_TYPE)


def _wrapped(angle_rad: float) -> float:
    """Return an angle in -pi to pi."""
    return math.remainder(angle_rad, 2.0 * math.pi)
