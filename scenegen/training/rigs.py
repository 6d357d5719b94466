"""Rigs to train on that no vehicle has: six cameras in random places, directions and fields of view.

A network that has seen one calibration learns that calibration. The rigs users bring (`conf/rig`) stay unseen but for
nuscenes6, so what an unseen rig costs can be measured.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from scenegen.types import Camera, CameraRig

NUM_CAMERAS = 6
FIELD_OF_VIEW_DEG = (45.0, 110.0)
HEIGHT_M = (1.2, 2.2)
PITCH_DEG = (-4.0, 8.0)
"""Positive looks down."""
ROLL_DEG = 2.0
YAW_DEG = 25.0
"""Largest turn away from the evenly spread direction."""
CAM_FROM_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Columns: the axes of frame `cam` in a body frame with x forward, y left, z up."""


def draw_training_rig(generator: np.random.Generator, *, size_px: tuple[int, int]) -> CameraRig:
    """Draw a surround rig of pinhole cameras; all views share one size (width, height)."""
    width, height = size_px
    cameras = []
    for index in range(NUM_CAMERAS):
        yaw = 360.0 * index / NUM_CAMERAS + generator.uniform(-YAW_DEG, YAW_DEG)
        pitch = generator.uniform(*PITCH_DEG)
        roll = generator.uniform(-ROLL_DEG, ROLL_DEG)
        focal_px = 0.5 * width / np.tan(np.radians(generator.uniform(*FIELD_OF_VIEW_DEG)) / 2)
        K = np.array(
            [
                [focal_px, 0.0, width * generator.uniform(0.46, 0.54)],
                [0.0, focal_px, height * generator.uniform(0.42, 0.58)],
                [0.0, 0.0, 1.0],
            ]
        )
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("ZYX", [yaw, pitch, roll], degrees=True).as_matrix() @ CAM_FROM_BODY
        heading = np.radians(yaw)
        pose[:3, 3] = (
            1.2 + 0.8 * np.cos(heading) + generator.uniform(-0.2, 0.2),
            0.5 * np.sin(heading) + generator.uniform(-0.1, 0.1),
            generator.uniform(*HEIGHT_M),
        )
        cameras.append(Camera(name=f"CAM_{index}", K=K, ego_from_cam=pose, size_px=size_px))
    return CameraRig(name="training", cameras=tuple(cameras))
