"""The ego-frame occupancy of one step, in Occ3D numbering, cut out of the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8, UInt16

from scenegen.geometry.rigid import invert_rigid
from scenegen.occupancy.compiled import compiled
from scenegen.occupancy.traverse import mark_rays
from scenegen.occupancy.voxelise import mark_solids
from scenegen.types import (
    OCC3D_GRID,
    SEMANTIC_OF_GROUND,
    GridSpec,
    OccupancyView,
    Semantic,
    ShapeSet,
    World,
)

RAY_STRIDE_PX = 2
"""Every second pixel across and down casts a ray: at 40 m those of a 70 degree, 200 px view are 0.5 m apart."""
DENSE_BELOW_PX = 80.0
"""Views of a shorter focal length cast every pixel's ray: those of a fisheye of 60 px are 0.7 m apart at 40 m."""


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """Arrays under construction, in the ego frame's grid."""

    semantics: UInt8[np.ndarray, "X Y Z"]
    instance: Int32[np.ndarray, "X Y Z"]


def build_occupancy_view(
    world: World,
    agent_shapes: ShapeSet,
    *,
    world_from_ego: Float64[np.ndarray, "4 4"],
    depth_m: Float32[np.ndarray, "V H W"],
    world_from_cam: Float64[np.ndarray, "V 4 4"],
    ray_cam: Float64[np.ndarray, "V H W 2"],
    focal_px: Float64[np.ndarray, "V H W"],
    grid: GridSpec = OCC3D_GRID,
) -> OccupancyView:
    """Cut the ego-frame occupancy of one step out of the world.

    The ground takes the layer of voxels that contains z = 0 in the world (index 2 for an upright ego and
    `OCC3D_GRID`). Static voxels are sampled at voxel centres and stand on the ground layer too; solids, static and
    moving, mark the voxels whose centre they contain and, where thinner than a voxel, those they pass, never the
    ground. Later solids win, agents over everything static.

    `instance` is 0 for nothing and ground, else the image instance id. `mask_camera` marks the voxels that camera
    rays cross up to and including the surface they hit, by z-depth `depth_m` (+inf for sky) of V views, one ray for
    every `RAY_STRIDE_PX`-th pixel, or for every pixel below `DENSE_BELOW_PX`. `ray_cam`, `focal_px`: as in
    `ConditionMaps`.
    """
    cut = _Cut(semantics=np.full(grid.shape, Semantic.FREE, np.uint8), instance=np.zeros(grid.shape, np.int32))
    _cut_static(
        cut.semantics,
        cut.instance,
        world_from_ego,
        np.array(grid.origin_m),
        grid.voxel_m,
        world.semantics,
        world.column_instance,
        np.array(world.grid.origin_m),
        world.grid.voxel_m,
        world.ground,
        np.array(world.ground_origin_m),
        world.ground_cell_m,
        _semantic_of_material(),
    )
    ego_from_world = invert_rigid(world_from_ego)
    for shapes in (world.shapes, agent_shapes):
        _mark_shapes(cut, shapes, ego_from_world=ego_from_world, grid=grid)
    mask = np.zeros(grid.shape, np.bool_)
    mark_rays(
        mask,
        np.array(grid.origin_m),
        grid.voxel_m,
        np.ascontiguousarray(depth_m),
        ego_from_world @ world_from_cam,
        ray_cam,
        np.where(focal_px.max(axis=(1, 2)) < DENSE_BELOW_PX, 1, RAY_STRIDE_PX),
    )
    return OccupancyView(semantics=cut.semantics, mask_camera=mask, instance=cut.instance)


def cut_shapes(
    shapes: ShapeSet, *, world_from_ego: Float64[np.ndarray, "4 4"], grid: GridSpec = OCC3D_GRID
) -> UInt8[np.ndarray, "X Y Z"]:
    """Voxelise solids alone, over no ground and in no world: Occ3D classes, FREE elsewhere."""
    cut = _Cut(semantics=np.full(grid.shape, Semantic.FREE, np.uint8), instance=np.zeros(grid.shape, np.int32))
    _mark_shapes(cut, shapes, ego_from_world=invert_rigid(world_from_ego), grid=grid)
    return cut.semantics


def _semantic_of_material() -> UInt8[np.ndarray, " 256"]:
    lut = np.full(256, Semantic.OTHER_FLAT, np.uint8)
    for material, semantic in SEMANTIC_OF_GROUND.items():
        lut[material] = semantic
    return lut


def _mark_shapes(cut: _Cut, shapes: ShapeSet, *, ego_from_world: Float64[np.ndarray, "4 4"], grid: GridSpec) -> None:
    """Voxelise the solids that can touch the grid, in order."""
    if len(shapes) == 0:
        return
    low = np.array(grid.origin_m)
    high = low + grid.voxel_m * np.array(grid.shape)
    radius = np.linalg.norm(shapes.half_extent_m, axis=1)[:, None]
    center = shapes.world_from_shape[:, :3, 3] @ ego_from_world[:3, :3].T + ego_from_world[:3, 3]
    near = np.nonzero(((center + radius > low) & (center - radius < high)).all(axis=1))[0]
    if len(near) == 0:
        return
    mark_solids(
        cut.semantics,
        cut.instance,
        low,
        grid.voxel_m,
        shapes.kind[near],
        ego_from_world @ shapes.world_from_shape[near],
        shapes.half_extent_m[near],
        shapes.taper[near],
        shapes.semantic[near],
        shapes.instance[near],
    )


@compiled
def _cut_static(
    semantics: UInt8[np.ndarray, "X Y Z"],
    instance: Int32[np.ndarray, "X Y Z"],
    world_from_ego: Float64[np.ndarray, "4 4"],
    origin_ego_m: Float64[np.ndarray, "3"],
    voxel_m: float,
    world_semantics: UInt8[np.ndarray, "WX WY WZ"],
    column_instance: UInt16[np.ndarray, "WX WY"],
    origin_world_m: Float64[np.ndarray, "3"],
    world_voxel_m: float,
    ground: UInt8[np.ndarray, "GX GY"],
    ground_origin_m: Float64[np.ndarray, "2"],
    ground_cell_m: float,
    semantic_of_material: UInt8[np.ndarray, " 256"],
) -> None:
    """Fill ground and static voxels, column by column; any rigid ego pose."""
    size_x, size_y, size_z = semantics.shape
    m = world_from_ego
    is_upright = m[2, 0] == 0.0 and m[2, 1] == 0.0
    for i in range(size_x):
        ex = origin_ego_m[0] + (i + 0.5) * voxel_m
        for j in range(size_y):
            ey = origin_ego_m[1] + (j + 0.5) * voxel_m
            # height in the ego frame at which this column meets the ground plane of the world
            ground_ez = -(m[2, 0] * ex + m[2, 1] * ey + m[2, 3]) / m[2, 2]
            ground_k = int(np.floor((ground_ez - origin_ego_m[2]) / voxel_m))
            for k in range(max(ground_k, 0), size_z):
                ez = origin_ego_m[2] + (k + 0.5) * voxel_m
                if k == ground_k:
                    ez = max(ez, ground_ez)
                wx = m[0, 0] * ex + m[0, 1] * ey + m[0, 2] * ez + m[0, 3]
                wy = m[1, 0] * ex + m[1, 1] * ey + m[1, 2] * ez + m[1, 3]
                wz = m[2, 0] * ex + m[2, 1] * ey + m[2, 2] * ez + m[2, 3]
                if k == ground_k:
                    gi = int(np.floor((wx - ground_origin_m[0]) / ground_cell_m))
                    gj = int(np.floor((wy - ground_origin_m[1]) / ground_cell_m))
                    inside = 0 <= gi < ground.shape[0] and 0 <= gj < ground.shape[1]
                    material = ground[gi, gj] if inside else 8  # GRASS
                    semantics[i, j, k] = semantic_of_material[material]
                wi = int(np.floor((wx - origin_world_m[0]) / world_voxel_m))
                wj = int(np.floor((wy - origin_world_m[1]) / world_voxel_m))
                # voxel centres lie exactly on levels of the world's grid: take the level above
                wk = int(np.floor((wz - origin_world_m[2] + 1e-6) / world_voxel_m))
                in_grid = 0 <= wi < column_instance.shape[0] and 0 <= wj < column_instance.shape[1]
                if not in_grid or column_instance[wi, wj] == 0:
                    if is_upright:
                        break  # all voxels of this column lie over the same empty column of the world
                    continue
                if 0 <= wk < world_semantics.shape[2] and world_semantics[wi, wj, wk] != 17:  # FREE
                    semantics[i, j, k] = world_semantics[wi, wj, wk]
                    instance[i, j, k] = 0x8000 + column_instance[wi, wj]  # STATIC_INSTANCE_OFFSET
