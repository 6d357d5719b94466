"""Static things and a light of no interest, for worlds whose voxels, ground and solids are looked at."""

from __future__ import annotations

import numpy as np

from scenegen.types import AppearanceTable, Lighting, Material, StaticTable


def plain_statics(count: int) -> StaticTable:
    """Return a table of black walls, the ground's row included; all lie at the origin."""
    return StaticTable(
        material=np.full(count, Material.WALL, np.uint8),
        world_from_thing=np.tile(np.eye(4), (count, 1, 1)),
        size_lwh_m=np.ones((count, 3)),
        appearance=AppearanceTable(
            primary_rgb=np.zeros((count, 3), np.float32),
            secondary_rgb=np.zeros((count, 3), np.float32),
            pattern=np.ones((count, 4), np.float32),
        ),
    )


def clear_day(sun_direction_world: tuple[float, float, float]) -> Lighting:
    """Return sunlight from a direction, of any length; maps of class and depth do not depend on it."""
    sun = np.array(sun_direction_world)
    return Lighting(
        sun_direction_world=sun / np.linalg.norm(sun),
        sun=1.0,
        overcast=0.0,
        fog=0.0,
        rain=0.0,
        night=0.0,
        warmth=0.5,
        variation=(0.5, 0.5, 0.5, 0.5),
    )
