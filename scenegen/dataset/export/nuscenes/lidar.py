"""LIDAR_TOP: sweeps in nuScenes' LiDAR frame (x right, y forward, z up)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from scenegen.dataset.detection_boxes import LIDAR_FROM_NUSCENES
from scenegen.dataset.labels import LidarSweep

CHANNEL = "LIDAR_TOP"
FULL_INTENSITY = 255.0


def sweep_columns(sweep: LidarSweep) -> Float32[np.ndarray, "P 5"]:
    """Return x, y, z (m, nuScenes' LiDAR frame), intensity (0 to 255) and ring of every point."""
    points_m = sweep.points_lidar_m @ LIDAR_FROM_NUSCENES[:3, :3].astype(np.float32)
    intensity = sweep.intensity[:, None] * np.float32(FULL_INTENSITY)
    return np.concatenate([points_m, intensity, sweep.ring[:, None].astype(np.float32)], axis=1)
