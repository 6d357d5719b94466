"""Small KITTI frames and a nuScenes key frame that the tests write themselves: level ground, a box ahead."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

KITTI_SIZE_PX, KITTI_FOCAL_PX = (240, 80), 120.0
VELO_HEIGHT_M, LIDAR_HEIGHT_M = 1.73, 1.8
CAM_FROM_VELO = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
CAMERAS = {"CAM_FRONT": 0.0, "CAM_LEFT": np.pi / 2}


def ground_points(height_m: float) -> np.ndarray:
    """Return level ground in a frame that is so high over it, and a wall 15 m to the left (y)."""
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(-20.0, 20.0, 0.5), np.arange(-20.0, 14.0, 0.5)))
    along, up = (grid.ravel() for grid in np.meshgrid(np.arange(-20.0, 20.0, 0.4), np.arange(0.2, 3.0, 0.4)))
    ground = np.stack([x, y, np.full_like(x, -height_m)], axis=1)
    wall = np.stack([along, np.full_like(along, 15.0), up - height_m], axis=1)
    return np.concatenate([ground, wall])


def write_kitti(root: Path, labels: dict[str, list[str]], **calib: str) -> Path:
    """Write frames with their label lines; `calib` replaces lines of the calibration by name."""
    for frame, lines in labels.items():
        focal, (width, height) = KITTI_FOCAL_PX, KITTI_SIZE_PX
        rows = {
            "P2": f"{focal} 0 {width / 2} {0.06 * focal} 0 {focal} {height / 2} 0 0 0 1 0",
            "R0_rect": "1 0 0 0 1 0 0 0 1",
            "Tr_velo_to_cam": " ".join(
                f"{value:g}" for value in np.column_stack([CAM_FROM_VELO, [0, -0.08, -0.27]]).ravel()
            ),
            "Tr_imu_to_velo": "1 0 0 -0.8 0 1 0 0.3 0 0 1 -0.8",
            **calib,
        }
        points = ground_points(VELO_HEIGHT_M)
        contents = {
            f"calib/{frame}.txt": "".join(f"{name}: {row}\n" for name, row in rows.items()).encode(),
            f"label_2/{frame}.txt": "\n".join([*lines, ""]).encode(),
            f"velodyne/{frame}.bin": np.column_stack([points, np.full(len(points), 0.3)]).astype("<f4").tobytes(),
        }
        for name, content in contents.items():
            (root / "training" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "training" / name).write_bytes(content)
        picture = root / "training" / f"image_2/{frame}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", KITTI_SIZE_PX, (10, 200, 30)).save(picture)
    return root


def keyframe_document() -> dict[str, Any]:
    """Return the content of an information file: a car 12 m ahead, a barrier of no class, two cameras."""
    ego_from_lidar = np.eye(4)
    ego_from_lidar[:3, :3] = [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    ego_from_lidar[:3, 3] = (0.9, 0.0, LIDAR_HEIGHT_M)
    images = {}
    for name, yaw_rad in CAMERAS.items():
        cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
        ego_from_cam = np.eye(4)
        ego_from_cam[:3, :3] = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ CAM_FROM_VELO.T
        ego_from_cam[:3, 3] = (1.5, 0.0, 1.5)
        images[name] = {
            "img_path": f"{name}.jpg",
            "cam2img": [[900.0, 0.0, 800.0], [0.0, 900.0, 450.0], [0.0, 0.0, 1.0]],
            "cam2ego": ego_from_cam.tolist(),
            "lidar2cam": (np.linalg.inv(ego_from_cam) @ ego_from_lidar).tolist(),
            "timestamp": 1000.02,
        }
    car = {"bbox_label_3d": 0, "bbox_3d": [0.0, 11.1, -1.0, 4.5, 1.9, 1.6, np.pi / 2], "num_lidar_pts": np.int64(7)}
    other = {"bbox_label_3d": -1, "bbox_3d": [3.0, 9.0, -1.3, 0.5, 2.0, 1.0, 0.0], "num_lidar_pts": np.int64(0)}
    item = {
        "token": "0123456789abcdef",
        "timestamp": 1000.0,
        "ego2global": np.eye(4).tolist(),
        "images": images,
        "lidar_points": {"lidar_path": "sweep.pcd.bin", "lidar2ego": ego_from_lidar.tolist()},
        "instances": [{**car, "velocity": [0.0, 3.0]}, {**other, "velocity": [float("nan"), float("nan")]}],
        "cam_instances": {},
    }
    return {"metainfo": {"categories": {"car": 0}}, "data_list": [item]}


def write_keyframe(root: Path, *, change: Callable[[dict[str, Any]], None] = lambda document: None) -> Path:
    """Write a key frame's folder; `change` is done to the information file's content before."""
    document = keyframe_document()
    change(document)
    (root / "samples" / "LIDAR_TOP").mkdir(parents=True)
    (root / "keyframe_scene-9999_info.pkl").write_bytes(pickle.dumps(document, protocol=2))
    x, y, z = ground_points(LIDAR_HEIGHT_M).T
    rows = np.column_stack([-y, x, z, np.full(len(x), 100.0), np.arange(len(x)) % 32]).astype("<f4")
    (root / "samples" / "LIDAR_TOP" / "sweep.pcd.bin").write_bytes(rows.tobytes())
    for name in CAMERAS:
        (root / "samples" / name).mkdir()
        Image.new("RGB", (1600, 900), (80, 90, 100)).save(root / "samples" / name / f"{name}.jpg", quality=60)
    return root
