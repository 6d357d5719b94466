"""One camera of each lens, all wide enough to bend something."""

from __future__ import annotations

import numpy as np

from scenegen.geometry.lens import widest_angle_rad
from scenegen.types import Camera, Lens

SIZE_PX = (200, 112)
COEFFICIENTS: dict[str, tuple[float, ...]] = {
    "pinhole": (),
    "brown_conrady": (-0.24, 0.05, 0.002, -0.003, -0.004),
    "fisheye": (-0.02, 0.004, -0.002, 0.0003),
    "f_theta": (0.0, 90.0, 1.5, -3.0, 0.4),
}
FOCAL_PX = {"pinhole": 90.0, "brown_conrady": 110.0, "fisheye": 55.0, "f_theta": 90.0}


def bent_camera(model: str, *, size_px: tuple[int, int] = SIZE_PX, name: str = "") -> Camera:
    """Return a camera whose principal point is off its middle; the fisheye's circle ends inside the image."""
    K = np.array([[FOCAL_PX[model], 0.0, 97.3], [0.0, FOCAL_PX[model], 58.8], [0.0, 0.0, 1.0]])
    if model != "f_theta":
        K[1, 1] *= 1.03
    angle = widest_angle_rad(model, COEFFICIENTS[model], K, size_px=(float(size_px[0]), float(size_px[1])))
    lens = Lens(model=model, coefficients=COEFFICIENTS[model], max_angle_rad=angle)
    return Camera(name=name or model, K=K, ego_from_cam=np.eye(4), size_px=size_px, lens=lens)
