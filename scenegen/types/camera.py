"""Cameras and rigs. Frame `cam`: x right, y down, z forward; pixel (0, 0) spans [0, 1) x [0, 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.errors import CameraError
from scenegen.types.lens import PINHOLE, Lens

MAX_CAMERAS = 12


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera fixed on the ego vehicle.

    Attributes:
        name: unique in its rig, for example `CAM_FRONT`.
        K: 3x3 intrinsics in pixels of the stored image, zero skew. For other lenses than the pinhole, those of the
            pinhole that agrees with the lens around its axis.
        ego_from_cam: pose of the camera on the vehicle.
        size_px: (width, height) of the stored image.
        lens: how rays off the axis are bent.
    """

    name: str
    K: Float64[np.ndarray, "3 3"]
    ego_from_cam: Float64[np.ndarray, "4 4"]
    size_px: tuple[int, int]
    lens: Lens = PINHOLE

    def __post_init__(self) -> None:
        where = f"camera {self.name!r}"
        if self.K.shape != (3, 3) or not np.isfinite(self.K).all() or abs(np.linalg.det(self.K)) < 1e-9:
            raise CameraError("invertible 3x3 intrinsics K", found=f"{self.K.tolist()}", where=where)
        rotation = self.ego_from_cam[:3, :3]
        if self.ego_from_cam.shape != (4, 4) or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6):
            raise CameraError("a rigid 4x4 ego_from_cam", found=f"{self.ego_from_cam.tolist()}", where=where)
        if min(self.size_px) < 1:
            raise CameraError("a positive image size", found=f"{self.size_px}", where=where)
        if self.lens.model == "f_theta":
            slope_px = self.lens.coefficients[1]
            if not np.allclose(np.diag(self.K)[:2], slope_px, rtol=1e-6):
                raise CameraError(
                    f"K with the focal lengths {slope_px:.9g}, which are c1 of the f_theta polynomial",
                    found=f"{self.K[0, 0]:.9g} and {self.K[1, 1]:.9g}",
                    where=where,
                )


@dataclass(frozen=True, kw_only=True)
class CameraRig:
    """One to twelve cameras that expose together; lenses and image sizes may differ."""

    name: str
    cameras: tuple[Camera, ...]

    def __post_init__(self) -> None:
        names = [camera.name for camera in self.cameras]
        where = f"rig {self.name!r}"
        if not names:
            raise CameraError("at least one camera", found="none", where=where)
        if len(names) > MAX_CAMERAS:
            raise CameraError(f"at most {MAX_CAMERAS} cameras", found=f"{len(names)}", where=where)
        if len(set(names)) != len(names):
            raise CameraError("unique camera names", found=f"{names}", where=where)

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) of the canvas that holds any of the views: the largest of each.

        Views of one step are handled as one array of this size; a smaller view fills its top left corner.
        """
        return (
            max(camera.size_px[0] for camera in self.cameras),
            max(camera.size_px[1] for camera in self.cameras),
        )
