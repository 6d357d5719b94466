"""What a preset is, and the ones there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scenegen.dataset.detection_boxes import CONFIG_CLASSES, NUSCENES_CAMERAS
from scenegen.dataset.torch_view import bevdet, bevformer, raw, streampetr
from scenegen.dataset.torch_view.normalization import CAFFE_BGR, IMAGENET_RGB, Normalization
from scenegen.dataset.torch_view.options import SampleOptions
from scenegen.dataset.torch_view.scene_view import SceneView
from scenegen.dataset.torch_view.window import Moments
from scenegen.errors import ConfigError
from scenegen.types import AgentCategory

BEVDET_CAMERAS = (
    "CAM_FRONT_LEFT",
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_BACK_LEFT",
    "CAM_BACK",
    "CAM_BACK_RIGHT",
)
ALL_CATEGORIES = tuple(category.label for category in AgentCategory)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The shape of the samples of one code base.

    Attributes:
        build: makes a sample.
        window_key_frames: offsets of its pictures, in key frames.
        edges: what it does at the ends of a scene; one of `window.EDGES`.
        key_frames_only: whether only key frames are anchors.
        camera_order: order of its cameras, where the rig has all of them.
        classes: labels 0, 1, ...
        normalization: of its pictures; None gives uint8.
        wants_past_only: whether the anchor is the last step of a window.
        label_names: labels that can be asked for by name.
    """

    build: Callable[[SceneView, Moments, SampleOptions], dict[str, Any]]
    window_key_frames: tuple[int, ...] = (0,)
    edges: str = "repeat_nearest"
    key_frames_only: bool = True
    camera_order: tuple[str, ...] = NUSCENES_CAMERAS
    classes: tuple[str, ...] = CONFIG_CLASSES
    normalization: Normalization | None = IMAGENET_RGB
    wants_past_only: bool = True
    label_names: tuple[str, ...] = ()


PRESETS: dict[str, Preset] = {
    "raw": Preset(
        build=raw.build_sample,
        edges="drop",
        key_frames_only=False,
        camera_order=(),
        classes=ALL_CATEGORIES,
        normalization=None,
        wants_past_only=False,
        label_names=tuple(raw.LABELS),
    ),
    "bevformer": Preset(build=bevformer.build_sample, window_key_frames=(-3, -2, -1, 0), normalization=CAFFE_BGR),
    "streampetr": Preset(build=streampetr.build_sample, window_key_frames=tuple(range(-7, 1))),
    "bevdet": Preset(build=bevdet.build_sample, edges="repeat_anchor", camera_order=BEVDET_CAMERAS),
    "flashocc": Preset(build=bevdet.build_occupancy_sample, edges="repeat_anchor", camera_order=BEVDET_CAMERAS),
}


def find_preset(name: str) -> Preset:
    """Return a preset by name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"one of {', '.join(PRESETS)}", found=repr(name), where="preset")
    return PRESETS[name]
