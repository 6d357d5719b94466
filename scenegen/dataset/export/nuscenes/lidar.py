"""LIDAR_TOP: sweeps and their calibration in nuScenes' LiDAR frame (x right, y forward, z up)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from scenegen.dataset.detection_boxes import LIDAR_FROM_NUSCENES
from scenegen.dataset.labels import LidarSweep

__all__ = ["CHANNEL", "FULL_INTENSITY", "LIDAR_FROM_NUSCENES", "ego_from_lidar", "sweep_columns"]

CHANNEL = "LIDAR_TOP"
FULL_INTENSITY = 255.0


def sweep_columns(sweep: LidarSweep) -> Float32[np.ndarray, "P 5"]:
    """Return x, y, z (m, nuScenes' LiDAR frame), intensity (0 to 255) and ring of every point."""
    points_m = sweep.points_lidar_m @ LIDAR_FROM_NUSCENES[:3, :3].astype(np.float32)
    intensity = sweep.intensity[:, None] * np.float32(FULL_INTENSITY)
    return np.concatenate([points_m, intensity, sweep.ring[:, None].astype(np.float32)], axis=1)


def ego_from_lidar(lidar2ego: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    """Return the pose of nuScenes' LiDAR frame on the vehicle."""
    return lidar2ego @ LIDAR_FROM_NUSCENES
