"""From the numbers of a calibration to a `CameraRig` whose intrinsics are those of the stored pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from scenegen.config import CameraConfig, RigConfig
from scenegen.errors import CameraError
from scenegen.types import Camera, CameraRig


def build_rig(config: RigConfig) -> CameraRig:
    """Scale every camera to the stored image.

    The stored image is the source image scaled to `image.width_px`, surplus rows cut off at the bottom, so
    1600x900 becomes 200x112: a scale of 1/8, and half a row less.

    Raises:
        CameraError: intrinsics are singular or not finite, a quaternion is no rotation, names repeat, or the
            stored image would be taller than the scaled source image.
    """
    scale = config.image.width_px / config.source_image.width_px
    scaled_height_px = config.source_image.height_px * scale
    if config.image.height_px > scaled_height_px:
        raise CameraError(
            f"an image height of at most {int(scaled_height_px)} at width {config.image.width_px}",
            found=str(config.image.height_px),
            where=f"rig {config.name!r}: image.height_px",
        )
    size_px = (config.image.width_px, config.image.height_px)
    cameras = tuple(_build_camera(camera, scale=scale, size_px=size_px) for camera in config.cameras)
    return CameraRig(name=config.name, cameras=cameras)


def _build_camera(config: CameraConfig, *, scale: float, size_px: tuple[int, int]) -> Camera:
    ego_from_cam = np.eye(4)
    ego_from_cam[:3, :3] = _rotation_matrix(config.rotation_wxyz, camera=config.name)
    ego_from_cam[:3, 3] = config.translation_m
    source_K = np.array(config.K, np.float64)
    if not np.allclose(source_K[2], (0.0, 0.0, 1.0)):
        raise CameraError("(0, 0, 1) in the last row of K", found=str(config.K[2]), where=f"camera {config.name!r}")
    # Pixel (0, 0) spans [0, 1) x [0, 1), so a scaled image scales K and nothing is added.
    return Camera(
        name=config.name, K=np.diag([scale, scale, 1.0]) @ source_K, ego_from_cam=ego_from_cam, size_px=size_px
    )


def _rotation_matrix(rotation_wxyz: tuple[float, float, float, float], *, camera: str) -> Float64[np.ndarray, "3 3"]:
    """Turn a quaternion, given to a few digits, into an exact rotation."""
    length = float(np.linalg.norm(rotation_wxyz))
    if not abs(length - 1.0) < 1e-3:
        raise CameraError(
            "a unit quaternion (w, x, y, z)", found=f"length {length:.6g}", where=f"camera {camera!r}: rotation_wxyz"
        )
    w, x, y, z = (component / length for component in rotation_wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
