"""Cameras and rigs. Frame `cam`: x right, y down, z forward; pixel (0, 0) spans [0, 1) x [0, 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.errors import CameraError


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera fixed on the ego vehicle.

    Attributes:
        name: unique in its rig, for example `CAM_FRONT`.
        K: 3x3 intrinsics in pixels of the stored image, zero skew.
        ego_from_cam: pose of the camera on the vehicle.
        size_px: (width, height) of the stored image.
    """

    name: str
    K: Float64[np.ndarray, "3 3"]
    ego_from_cam: Float64[np.ndarray, "4 4"]
    size_px: tuple[int, int]

    def __post_init__(self) -> None:
        where = f"camera {self.name!r}"
        if self.K.shape != (3, 3) or not np.isfinite(self.K).all() or abs(np.linalg.det(self.K)) < 1e-9:
            raise CameraError("invertible 3x3 intrinsics K", found=f"{self.K.tolist()}", where=where)
        rotation = self.ego_from_cam[:3, :3]
        if self.ego_from_cam.shape != (4, 4) or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6):
            raise CameraError("a rigid 4x4 ego_from_cam", found=f"{self.ego_from_cam.tolist()}", where=where)
        if min(self.size_px) < 1:
            raise CameraError("a positive image size", found=f"{self.size_px}", where=where)


@dataclass(frozen=True, kw_only=True)
class CameraRig:
    """Cameras that expose together. All views of a rig share one image size."""

    name: str
    cameras: tuple[Camera, ...]

    def __post_init__(self) -> None:
        names = [camera.name for camera in self.cameras]
        if not names:
            raise CameraError("at least one camera", found="none", where=f"rig {self.name!r}")
        if len(set(names)) != len(names):
            raise CameraError("unique camera names", found=f"{names}", where=f"rig {self.name!r}")
        sizes = {camera.size_px for camera in self.cameras}
        if len(sizes) != 1:
            raise CameraError("one image size per rig", found=f"{sorted(sizes)}", where=f"rig {self.name!r}")

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) of every view."""
        return self.cameras[0].size_px
