"""Conditions without the layout: what a model still paints of it has reached it by another way.

A leak test needs no history: the previous frame shows the layout too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenegen.types import STATIC_INSTANCE_OFFSET, ConditionMaps, Material, Semantic


def zeroed_conditions(maps: ConditionMaps) -> ConditionMaps:
    """Return the maps of an empty world under the same cameras: nothing but sky."""
    return replace(
        maps,
        semantic=np.full_like(maps.semantic, Semantic.FREE),
        material=np.full_like(maps.material, Material.SKY),
        instance=np.zeros_like(maps.instance),
        depth_m=np.full_like(maps.depth_m, np.inf),
        normal_world=np.zeros_like(maps.normal_world),
        canonical=np.zeros_like(maps.canonical),
        point_world_m=np.zeros_like(maps.point_world_m),
        motion_px=np.full_like(maps.motion_px, np.nan),
        sun_visible=np.ones_like(maps.sun_visible),
        unoccluded_px=np.zeros_like(maps.unoccluded_px),
    )


def shuffled_conditions(
    maps: ConditionMaps, donor: ConditionMaps, *, num_agents: int, num_statics: int
) -> ConditionMaps:
    """Return what the donor's cameras see, each given to the camera half a rig further, with the poses of `maps`.

    Things of the donor take the looks of things of this scene: their numbers are folded into the tables of
    `num_agents` agents and `num_statics` static things.
    """
    turn = max(len(maps.material) // 2, 1)

    def rolled(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.roll(array, turn, axis=0))

    instance = rolled(donor.instance).astype(np.int64)
    as_agent = 1 + (instance - 1) % num_agents if num_agents else np.zeros_like(instance)
    # Row 0 of the static table is the ground and has no pixels.
    as_static = STATIC_INSTANCE_OFFSET + 1 + (instance - STATIC_INSTANCE_OFFSET - 1) % max(num_statics - 1, 1)
    folded = np.where(instance >= STATIC_INSTANCE_OFFSET, as_static, np.where(instance > 0, as_agent, 0))
    return replace(
        maps,
        semantic=rolled(donor.semantic),
        material=rolled(donor.material),
        instance=folded.astype(np.uint16),
        depth_m=rolled(donor.depth_m),
        normal_world=rolled(donor.normal_world),
        canonical=rolled(donor.canonical),
        point_world_m=rolled(donor.point_world_m),
        motion_px=rolled(donor.motion_px),
        sun_visible=rolled(donor.sun_visible),
        unoccluded_px=np.zeros_like(maps.unoccluded_px),
    )
