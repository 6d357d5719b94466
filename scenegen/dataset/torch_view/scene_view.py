"""One open scene as a loader needs it: chosen cameras, their pictures fitted to a size, calibration, poses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from scenegen.dataset.detection_boxes import detection_lidar2ego
from scenegen.dataset.image_fit import fit_image
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import ConfigError
from scenegen.geometry.rigid import invert_rigid
from scenegen.types import PINHOLE, Camera


class SceneView:
    """An open scene. Lives in one process and is never pickled.

    Args:
        scene: the scene.
        cameras: names of the cameras, in the order wanted; all in the rig's order where empty.
        size_hw: what pictures are fitted to; None keeps them.

    Raises:
        ConfigError: the rig has no such camera.
    """

    def __init__(self, scene: Scene, *, cameras: Sequence[str], size_hw: tuple[int, int] | None) -> None:
        of_name = {camera.name: camera for camera in scene.rig.cameras}
        missing = [name for name in cameras if name not in of_name]
        if missing:
            raise ConfigError(
                f"cameras among {', '.join(of_name)}", found=", ".join(missing), where=f"scene {scene.scene_id}"
            )
        self.scene = scene
        self.cameras: tuple[Camera, ...] = tuple(of_name[name] for name in cameras or of_name)
        self._pictures = tuple(PictureFiles(scene, camera.name) for camera in self.cameras)
        self.fits = tuple(fit_image(pictures.size_hw, size_hw=size_hw) for pictures in self._pictures)
        self.K_stored: Float64[np.ndarray, "V 3 3"] = np.stack([camera.K for camera in self.cameras])
        self.K: Float64[np.ndarray, "V 3 3"] = np.stack(
            [fit.fitted_from_stored @ camera.K for fit, camera in zip(self.fits, self.cameras, strict=True)]
        )
        self.cam2ego: Float64[np.ndarray, "V 4 4"] = np.stack([camera.ego_from_cam for camera in self.cameras])

    @property
    def key_every(self) -> int:
        """Steps from one key frame to the next."""
        keys = np.flatnonzero(self.scene.is_key_frame)
        return int(keys[1]) if len(keys) > 1 else self.scene.num_steps

    @cached_property
    def can_bus(self) -> Float32[np.ndarray, "T 18"]:
        """BEVFormer's signals."""
        return self.scene.array("ego/can_bus")[:]

    @cached_property
    def lidar2ego(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of the LiDAR with nuScenes' axes: x right, y forward."""
        return detection_lidar2ego(self.scene)

    @cached_property
    def lidar2cam(self) -> Float64[np.ndarray, "V 4 4"]:
        """From the LiDAR to each camera; constant, since all expose together."""
        return invert_rigid(self.cam2ego) @ self.lidar2ego

    @cached_property
    def lidar2img(self) -> Float64[np.ndarray, "V 4 4"]:
        """From the LiDAR to the fitted pictures, homogeneous."""
        return homogeneous(self.K) @ self.lidar2cam

    def lidar2global(self, step: int) -> Float64[np.ndarray, "4 4"]:
        """Pose of the LiDAR in the world."""
        return self.scene.ego2global[step] @ self.lidar2ego

    def picture(self, view: int, step: int) -> UInt8[np.ndarray, "H W 3"]:
        """Return a picture, fitted.

        Raises:
            DatasetError: it is missing or damaged.
        """
        return self.fits[view].apply(self._pictures[view].pixels(step))

    def check_pinhole(self, preset: str) -> None:
        """Refuse cameras that K alone does not describe.

        Raises:
            ConfigError: names the cameras.
        """
        bent = [camera.name for camera in self.cameras if camera.lens != PINHOLE]
        if bent:
            raise ConfigError(
                f"pinhole cameras for preset {preset}",
                found=", ".join(bent),
                where=f"scene {self.scene.scene_id}",
                fix="choose others with cameras=, or preset raw",
            )


def homogeneous(K: Float64[np.ndarray, "V 3 3"]) -> Float64[np.ndarray, "V 4 4"]:
    """Return intrinsics as 4x4 matrices."""
    padded = np.tile(np.eye(4), (len(K), 1, 1))
    padded[:, :3, :3] = K
    return padded
