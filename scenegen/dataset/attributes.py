"""The attributes of a scene's root group: where the scene comes from and what its numbers mean."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from scenegen.dataset.schema import SCHEMA_VERSION
from scenegen.types import PINHOLE, AgentCategory, CameraRig, Lens, LidarModel, Recording, SceneRecord, Semantic
from scenegen.types.layout_json import layout_sha256, layout_to_dict

_VERSIONED_LIBRARIES = ("numpy", "scipy", "zarr", "numcodecs", "pillow", "numba", "torch")


def scene_attributes(record: SceneRecord, *, scores: Mapping[str, Any]) -> dict[str, Any]:
    """Build the attributes; a function of the scene alone, so that equal scenes have equal bytes.

    When and how long a scene was made is in its receipt instead.
    """
    layout, provenance = record.layout, record.provenance
    timeline, environment = layout.timeline, layout.environment
    occupancy = {"model_id": provenance.occupancy_id, "weights_sha256": provenance.occupancy_sha256}
    return {
        "schema_version": SCHEMA_VERSION,
        "scene_id": record.scene_id,
        "split": record.split,
        "synthetic": record.recording is None,
        **({"recording": recording_to_dict(record.recording)} if record.recording else {}),
        "prompt": environment.prompt,
        "seed": int(record.seed),
        "timeline": {
            "rate_hz": float(timeline.rate_hz),
            "num_steps": int(timeline.num_steps),
            "duration_s": float(timeline.duration_s),
        },
        "environment": {"weather": environment.weather, "time_of_day": environment.time_of_day},
        "layout": layout_to_dict(layout),
        "layout_sha256": layout_sha256(layout),
        "rig": rig_to_dict(record.rig),
        **({"lidar": record.lidar.as_attributes()} if record.lidar != LidarModel() else {}),
        "taxonomy": {
            "categories": [category.label for category in AgentCategory],
            "occupancy": {str(int(semantic)): semantic.name.lower() for semantic in Semantic},
            "occupancy_numbering": "Occ3D-nuScenes",
        },
        "config_sha256": provenance.config_sha256,
        "code_version": provenance.code_version,
        "model": {
            "model_id": provenance.model_id,
            "weights_sha256": provenance.weights_sha256,
            "licence": provenance.model_licence,
            **({"sampling": provenance.sampling.as_attributes()} if provenance.sampling else {}),
        },
        **({"occupancy_model": occupancy} if provenance.occupancy_sha256 else {}),
        "source": {"kind": layout.source, "layout_id": layout.layout_id, "licence": provenance.source_licence},
        "library_versions": library_versions(),
        "scores": dict(scores),
    }


def recording_to_dict(recording: Recording) -> dict[str, Any]:
    """Return what was recorded as plain lists and numbers."""
    return {
        "stamps_us": list(recording.stamps_us),
        "camera_stamps_us": {name: list(stamps) for name, stamps in recording.camera_stamps_us.items()},
        "recorded_size_px": {name: list(size) for name, size in recording.recorded_size_px.items()},
        "world": recording.world,
        "derived": list(recording.derived),
        "lost": list(recording.lost),
    }


def rig_to_dict(rig: CameraRig) -> dict[str, Any]:
    """Return the rig as plain lists and numbers."""
    return {
        "name": rig.name,
        "cameras": [
            {
                "name": camera.name,
                **lens_to_dict(camera.lens),
                "size_px": [int(length) for length in camera.size_px],
                "cam2img": camera.K.tolist(),
                "cam2ego": camera.ego_from_cam.tolist(),
            }
            for camera in rig.cameras
        ],
    }


def lens_to_dict(lens: Lens) -> dict[str, Any]:
    """Return a lens as stored beside its camera; `types.lens` says what the numbers mean."""
    return {
        "camera_model": lens.model,
        "distortion": [float(coefficient) for coefficient in lens.coefficients],
        "max_angle_rad": None if lens == PINHOLE else float(lens.max_angle_rad),
    }


def library_versions() -> dict[str, str]:
    """Return the versions of the installed libraries that can change bytes, without importing them."""
    versions = {"python": platform.python_version()}
    for name in _VERSIONED_LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
