"""What the attributes of a stored scene say of its cameras and where it comes from; `attributes` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scenegen.types import PINHOLE, Camera, CameraRig, Lens, LidarModel, Provenance, Recording, Sampling


def read_rig(rig: Mapping[str, Any]) -> CameraRig:
    """Return the cameras of the attribute `rig`."""
    cameras = tuple(
        Camera(
            name=camera["name"],
            K=np.array(camera["cam2img"], np.float64),
            ego_from_cam=np.array(camera["cam2ego"], np.float64),
            size_px=(int(camera["size_px"][0]), int(camera["size_px"][1])),
            lens=_read_lens(camera),
        )
        for camera in rig["cameras"]
    )
    return CameraRig(name=rig["name"], cameras=cameras)


def read_provenance(attributes: Mapping[str, Any]) -> Provenance:
    """Return versions, hashes and licences; a scene without `occupancy_model` has a world by rules."""
    model = attributes["model"]
    occupancy = attributes.get("occupancy_model", {})
    sampling = model.get("sampling")
    return Provenance(
        code_version=attributes["code_version"],
        config_sha256=attributes["config_sha256"],
        model_id=model["model_id"],
        weights_sha256=model["weights_sha256"],
        model_licence=model["licence"],
        source_licence=attributes["source"]["licence"],
        occupancy_id=occupancy.get("model_id", "rules"),
        occupancy_sha256=occupancy.get("weights_sha256", ""),
        sampling=None if sampling is None else Sampling(**sampling),
    )


def read_recording(attributes: Mapping[str, Any]) -> Recording | None:
    """Return what was recorded; None for generated scenes."""
    values = attributes.get("recording")
    if values is None:
        return None
    return Recording(
        stamps_us=tuple(values["stamps_us"]),
        camera_stamps_us={name: tuple(stamps) for name, stamps in values["camera_stamps_us"].items()},
        recorded_size_px={name: (size[0], size[1]) for name, size in values["recorded_size_px"].items()},
        world=values["world"],
        derived=tuple(values["derived"]),
        lost=tuple(values["lost"]),
    )


def read_lidar(attributes: Mapping[str, Any]) -> LidarModel:
    """Return the simulated LiDAR; the default one of scenes that do not say."""
    values = attributes.get("lidar")
    if values is None:
        return LidarModel()
    return LidarModel(**{**values, "position_ego_m": tuple(values["position_ego_m"])})


def _read_lens(camera: Mapping[str, Any]) -> Lens:
    if camera["camera_model"] == PINHOLE.model:
        return PINHOLE
    coefficients = tuple(float(coefficient) for coefficient in camera["distortion"])
    return Lens(model=camera["camera_model"], coefficients=coefficients, max_angle_rad=float(camera["max_angle_rad"]))
