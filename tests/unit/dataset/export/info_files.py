"""Reading info files of the mmdet3d family as training code does, and the corners of boxes by either convention."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.wireframe import box_corners_world_m

KEY_STEPS = (0, 6, 12, 18)
LEGACY = {
    "bevformer": "nuscenes_infos_temporal_{}.pkl",
    "streampetr": "nuscenes2d_temporal_infos_{}.pkl",
    "bevdet": "bevdetv2-nuscenes_infos_{}.pkl",
    "flashocc": "bevdetv2-nuscenes_infos_{}.pkl",
}
SIGNS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


class PlainUnpickler(pickle.Unpickler):
    """Knows numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}
        assert (module, name) in allowed, f"{module}.{name} in the pickle"
        return super().find_class(module, name)


def load(path: Path) -> Any:
    return PlainUnpickler(io.BytesIO(path.read_bytes())).load()


def legacy_infos(exports: dict[str, Path], name: str, split: str = "train") -> list[dict[str, Any]]:
    content = load(exports[name] / LEGACY[name].format(split))
    assert content["metadata"] == {"version": "v1.0-scenegen"}
    return sorted(content["infos"], key=lambda info: info["timestamp"])  # as mmdet3d does


def pose_of(info: dict[str, Any], name: str) -> np.ndarray:
    """Rebuild a pose from its quaternion as the devkit does."""
    w, x, y, z = info[f"{name}_rotation"]
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = info[f"{name}_translation"]
    return pose


def corners_lwh(row: np.ndarray) -> np.ndarray:
    """Corners of x, y, z (middle), l, w, h, yaw as mmdet3d 1.0 turns them: counter-clockwise."""
    cos, sin = np.cos(row[6]), np.sin(row[6])
    return (SIGNS * row[3:6]) @ np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]).T + row[:3]


def corners_wlh(row: np.ndarray) -> np.ndarray:
    """Corners of x, y, z (middle), w, l, h, yaw as mmdet3d 0.17 turns them: w along x, l along y, clockwise."""
    cos, sin = np.cos(row[6]), np.sin(row[6])
    return (SIGNS * row[3:6]) @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]).T + row[:3]


def true_corners(scene: Scene, step: int, box: int) -> np.ndarray:
    boxes = scene.boxes(step)
    w, _, _, z = boxes.rotation_wxyz[box]
    return box_corners_world_m(boxes.center_world_m[box], boxes.size_lwh_m[box], heading_rad=2.0 * np.arctan2(z, w))


def as_set(points: np.ndarray) -> np.ndarray:
    rounded = np.round(points, 6) + 0.0
    return rounded[np.lexsort(rounded.T)]


def project(points_cam: np.ndarray, K: np.ndarray) -> np.ndarray:
    homogeneous = points_cam @ K.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def file_of(folder: Path, data_path: str) -> Path:
    assert data_path.startswith("./data/nuscenes/")
    return folder / data_path.removeprefix("./data/nuscenes/")
