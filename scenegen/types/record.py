"""What one generated scene consists of: a header that is known at once, and chunks that stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from scenegen.types.camera import CameraRig
from scenegen.types.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the pixels of a scene come from; stored with it for ever.

    Attributes:
        code_version: version of scenegen.
        config_sha256: hash of everything in the configuration that decides bytes.
        model_id: name and size of the video backbone, for example `native-tiny`.
        weights_sha256: hash of the weight file; empty where nothing is learned.
        model_licence: licence of the weights.
        source_licence: licence of the layout's source data.
    """

    code_version: str
    config_sha256: str
    model_id: str
    weights_sha256: str
    model_licence: str
    source_licence: str


@dataclass(frozen=True, kw_only=True)
class SceneRecord:
    """The header of a scene: all that is known before the first pixel.

    Attributes:
        scene_id: `<layout_id>-<8 hex of what decides its bytes>`.
        layout: the layout at the generated timeline (already extended and resampled).
        rig: the cameras that were rendered.
        seed: seed of the scene.
        split: `train`, `val` or `test`.
        provenance: versions, hashes and licences.
    """

    scene_id: str
    layout: Layout
    rig: CameraRig
    seed: int
    split: str
    provenance: Provenance


@dataclass(frozen=True, kw_only=True)
class SceneChunk:
    """T consecutive steps of a scene, ready to be written. A is the number of agents of the layout.

    Attributes:
        start_step: index of the first step in the scene's timeline.
        rgb: sRGB frames on the rig's canvas; a view that is smaller fills the top left corner.
        occupancy: Occ3D semantics in the ego frame.
        mask_camera: 1 where a voxel is seen by, or lies in front of a surface seen by, a camera.
        visible_fraction: share of each agent's own pixels that no other thing hides, over all views; 0 if in no view.
        visible_height_px: tallest visible extent of each agent over the views, in pixels.
    """

    start_step: int
    rgb: UInt8[np.ndarray, "V T H W 3"]
    occupancy: UInt8[np.ndarray, "T X Y Z"]
    mask_camera: UInt8[np.ndarray, "T X Y Z"]
    visible_fraction: Float32[np.ndarray, "T A"]
    visible_height_px: Float32[np.ndarray, "T A"]
