"""From the numbers of a calibration to a `CameraRig` whose intrinsics are those of the stored pixels."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

from scenegen.config import CameraConfig, ImageSizeConfig, LensConfig, RigConfig
from scenegen.errors import CameraError
from scenegen.geometry.lens import widest_angle_rad
from scenegen.types import PINHOLE, Camera, CameraRig, Lens

SIZE_STEP_PX = 8
"""The native network works on cells of this many pixels."""


def build_rig(config: RigConfig) -> CameraRig:
    """Scale every camera to its stored image.

    The stored image is the source image scaled to `image.width_px`, surplus rows cut off at the bottom, so
    1600x900 becomes 200x112: a scale of 1/8, and half a row less.

    Raises:
        CameraError: intrinsics are singular or not finite, a quaternion is no rotation, a lens folds back, names
            repeat, there are none or more than twelve cameras, or a stored image is taller than the scaled source
            image or has a size that is no multiple of 8.
    """
    return CameraRig(name=config.name, cameras=tuple(_build_camera(camera, rig=config) for camera in config.cameras))


def _build_camera(config: CameraConfig, *, rig: RigConfig) -> Camera:
    where = f"rig {rig.name!r}: camera {config.name!r}"
    source, stored = config.source_image or rig.source_image, config.image or rig.image
    scale = stored.width_px / source.width_px
    _check_size(stored, largest_height_px=int(source.height_px * scale), where=where)
    ego_from_cam = np.eye(4)
    ego_from_cam[:3, :3] = _rotation_matrix(config.rotation_wxyz, camera=config.name)
    ego_from_cam[:3, 3] = config.translation_m
    source_K = np.array(config.K, np.float64)
    if not np.allclose(source_K[2], (0.0, 0.0, 1.0)):
        raise CameraError("(0, 0, 1) in the last row of K", found=str(config.K[2]), where=where)
    # Pixel (0, 0) spans [0, 1) x [0, 1), so a scaled image scales K and nothing is added.
    K = np.diag([scale, scale, 1.0]) @ source_K
    return Camera(
        name=config.name,
        K=K,
        ego_from_cam=ego_from_cam,
        size_px=(stored.width_px, stored.height_px),
        lens=PINHOLE if config.lens is None else _build_lens(config.lens, source_K, source, scale=scale, where=where),
    )


def _check_size(stored: ImageSizeConfig, *, largest_height_px: int, where: str) -> None:
    if stored.height_px > largest_height_px:
        raise CameraError(
            f"an image height of at most {largest_height_px} at width {stored.width_px}",
            found=str(stored.height_px),
            where=f"{where}: image.height_px",
        )
    if stored.width_px % SIZE_STEP_PX or stored.height_px % SIZE_STEP_PX:
        height_px = largest_height_px // SIZE_STEP_PX * SIZE_STEP_PX
        raise CameraError(
            f"an image whose width and height are multiples of {SIZE_STEP_PX}",
            found=f"{stored.width_px} x {stored.height_px}",
            where=f"{where}: image",
            fix=f"at this width the largest height is {height_px}; what is surplus is cut off at the bottom",
        )


def _build_lens(
    config: LensConfig, source_K: Float64[np.ndarray, "3 3"], source: ImageSizeConfig, *, scale: float, where: str
) -> Lens:
    """Build a lens for the stored image; errors name the camera."""
    try:
        if config.max_angle_deg is not None:
            max_angle_rad = math.radians(config.max_angle_deg)
        else:
            size_px = (float(source.width_px), float(source.height_px))
            max_angle_rad = widest_angle_rad(config.model, config.coefficients, source_K, size_px=size_px)
        per_px = scale if config.model == "f_theta" else 1.0
        coefficients = tuple(per_px * coefficient for coefficient in config.coefficients)
        return Lens(model=config.model, coefficients=coefficients, max_angle_rad=max_angle_rad)
    except CameraError as error:
        raise CameraError(error.expected, found=error.found, where=f"{where}: lens", fix=error.fix) from None


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
