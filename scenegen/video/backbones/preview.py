"""The preview backbone: shaded, textured, lit frames straight from exact condition maps; nothing is learned.

It serves for authoring and tests, and is the free, perfectly labelled image domain that the shipped weights
learn from. A surface point has one texture in every step and camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from scenegen.errors import WorldError
from scenegen.types import STATIC_INSTANCE_OFFSET, ConditionMaps
from scenegen.video.backbones.preview_shading import Maps, build_tone_table, paint_frames
from scenegen.video.backbones.preview_sky import build_light_state
from scenegen.video.interface import SceneContext

HEADLAMP_BELOW_CAMERA_M = 0.8
AXES_CANCEL = 1e-3
"""Length of the mean axis of cameras that look evenly all around."""


@dataclass(frozen=True, kw_only=True)
class PreviewBackbone:
    """Opens preview sessions. Holds nothing: there are no weights."""

    model_id: str = "preview"
    weights_sha256: str = ""
    licence: str = "Apache-2.0"
    sampling: None = None

    def open_session(self, scene: SceneContext) -> PreviewSession:
        """Start a scene."""
        return PreviewSession(scene)


class PreviewSession:
    """Paints one scene. Steps are independent of each other, so chunks may be of any size."""

    def __init__(self, scene: SceneContext) -> None:
        self._scene = scene
        self._num_agents = len(scene.agents.primary_rgb)
        self._table = _gather_looks(scene)
        self._light = build_light_state(scene.lighting, seed=scene.seed, scene_id=scene.scene_id)
        self._tone_table = build_tone_table()

    def paint(self, conditions: ConditionMaps, *, start_step: int) -> UInt8[np.ndarray, "V T H W 3"]:
        """Paint the steps that `conditions` cover, in one thread and without the GIL.

        Raises:
            WorldError: an instance id has no row in the scene's appearance tables.
        """
        self._check_instances(conditions)
        maps = Maps(**{name: np.ascontiguousarray(getattr(conditions, name)) for name in Maps._fields})
        frames = np.empty((*conditions.depth_m.shape, 3), np.uint8)
        lamps = _headlamps(conditions.world_from_cam)
        paint_frames(maps, self._table, self._num_agents, self._light, lamps, self._tone_table, start_step, frames)
        return frames

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return nothing: no step depends on another."""
        return {}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Go on anywhere."""

    def _check_instances(self, conditions: ConditionMaps) -> None:
        instance = conditions.instance.astype(np.int32)
        is_static = instance >= STATIC_INSTANCE_OFFSET
        num_agents, num_statics = self._num_agents, len(self._scene.statics.material)
        last_agent = int(np.where(is_static, 0, instance).max())
        last_static = int(np.where(is_static, instance - STATIC_INSTANCE_OFFSET, 0).max())
        if last_agent > num_agents or last_static >= num_statics:
            raise WorldError(
                f"instance ids of {num_agents} agents and {num_statics} statics",
                found=f"agent {last_agent - 1}, static {last_static}",
                where=f"{self._scene.scene_id}: preview",
                fix="open the session with the tables of the world that was rendered",
            )


def _gather_looks(scene: SceneContext) -> Float64[np.ndarray, "N 15"]:
    """Stack what the kernel reads of every instance, agents first.

    Columns: primary rgb, secondary rgb, pattern (4), size (3), x axis in the world (2). Agents get unit
    boxes along x, which nothing reads.
    """
    agents, statics = scene.agents, scene.statics
    num_agents = len(agents.primary_rgb)
    of_agents = (agents.primary_rgb, agents.secondary_rgb, agents.pattern, np.ones((num_agents, 5)))
    look = statics.appearance
    axis = statics.world_from_thing[:, :2, 0]
    of_statics = (look.primary_rgb, look.secondary_rgb, look.pattern, statics.size_lwh_m, axis)
    table = np.concatenate([np.concatenate(of_agents, axis=1), np.concatenate(of_statics, axis=1)])
    return np.ascontiguousarray(table, np.float64)


def _headlamps(world_from_cam: Float64[np.ndarray, "V T 4 4"]) -> Float64[np.ndarray, "T 5"]:
    """Place the ego's headlamps from what is known, the cameras: x, y, z and the beam's horizontal direction.

    Rigs look mostly ahead, so the mean of their viewing directions points forward; where they cancel out, the first
    camera's does.
    """
    place = world_from_cam[:, :, :3, 3].mean(axis=0)
    beam = world_from_cam[:, :, :2, 2].mean(axis=0)
    is_around = np.linalg.norm(beam, axis=1, keepdims=True) < AXES_CANCEL
    beam = np.where(is_around, world_from_cam[0, :, :2, 2], beam)
    beam = beam / np.maximum(np.linalg.norm(beam, axis=1, keepdims=True), 1e-6)
    place[:, 2] -= HEADLAMP_BELOW_CAMERA_M
    return np.concatenate([place, beam], axis=1)
