"""What the kernels want of a world and of moving agents, and the maps they fill."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.geometry.rigid import invert_rigid
from scenegen.types import RAISED_MATERIALS, STATIC_INSTANCE_OFFSET, Material, Semantic, World

MAP_ORDER = (
    "semantic",
    "material",
    "instance",
    "depth_m",
    "normal_world",
    "canonical",
    "point_world_m",
    "motion_px",
    "sun_visible",
)


def empty_maps(num_views: int, num_steps: int, *, height: int, width: int) -> dict[str, np.ndarray]:
    """Allocate maps that show nothing but sky."""
    shape = (num_views, num_steps, height, width)
    return {
        "semantic": np.full(shape, Semantic.FREE, np.uint8),
        "material": np.full(shape, Material.SKY, np.uint8),
        "instance": np.zeros(shape, np.uint16),
        "depth_m": np.full(shape, np.inf, np.float32),
        "normal_world": np.zeros((*shape, 3), np.float32),
        "canonical": np.zeros((*shape, 3), np.float32),
        "point_world_m": np.zeros((*shape, 3), np.float32),
        "motion_px": np.full((*shape, 2), np.nan, np.float32),
        "sun_visible": np.ones(shape, np.bool_),
    }


def pack_world(world: World) -> tuple[Any, ...]:
    """Return voxels and ground as the kernels want them, columns packed to words."""
    from scenegen.conditions.bits import pack_columns

    raised = np.zeros(32, np.bool_)
    raised[[int(material) for material in RAISED_MATERIALS]] = True
    grid = world.grid
    return (
        pack_columns(np.ascontiguousarray(world.semantics), int(Semantic.FREE)),
        np.array(grid.origin_m, np.float64),
        float(grid.voxel_m),
        grid.shape[2],
        world.ground,
        raised,
        np.array(world.ground_origin_m, np.float64),
        float(world.ground_cell_m),
        float(world.kerb_height_m),
    )


def pack_tables(world: World) -> tuple[Any, ...]:
    """Return what a voxel belongs to, as the kernels want it."""
    statics = world.statics
    return (
        world.semantics,
        world.column_instance,
        statics.material,
        np.ascontiguousarray(invert_rigid(statics.world_from_thing)),
        statics.size_lwh_m,
    )


def agent_motion(
    now: dict[int, Float64[np.ndarray, "4 4"]], before: dict[int, Float64[np.ndarray, "4 4"]]
) -> tuple[Float64[np.ndarray, "A 4 4"], Bool[np.ndarray, " A"]]:
    """Return, by instance id, the map from a world point on an agent now to where it was one step earlier."""
    count = max((i for i in now if i < STATIC_INSTANCE_OFFSET), default=0) + 1
    previous_from_current = np.tile(np.eye(4), (count, 1, 1))
    known = np.zeros(count, np.bool_)
    for instance, box_from_world in now.items():
        if instance in before:
            previous_from_current[instance] = np.linalg.solve(before[instance], box_from_world)
            known[instance] = True
    return previous_from_current, known
