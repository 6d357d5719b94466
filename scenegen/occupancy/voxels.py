"""A static world as plain classes of voxels and ground columns: what occupancy models read and write.

Thin things (posts, lamps, signs, trunks) are left out: they stay exact solids, and no voxel says more than they do.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from scenegen.occupancy.raster import RasterFrame
from scenegen.occupancy.voxelise import mark_solids
from scenegen.types import Material, OpenGround, Semantic, ShapeSet, SolidClass, World, WorldVoxels

__all__ = ["OpenGround", "SolidClass", "WorldVoxels", "columns_of", "ground_classes", "voxelise_world"]

LARGE_MATERIALS = (Material.ROOF, Material.FOLIAGE)
"""Solids that count as voxels: pitched roofs and canopies."""


def voxelise_world(world: World, *, parts: int = 1) -> WorldVoxels:
    """Return the voxels of a world: its own, and those whose centre lies in a pitched roof or a canopy.

    `parts` says into how many an edge of the world's own voxels is divided: 2 for voxels of 0.2 m.
    """
    voxel_m = world.grid.voxel_m / parts
    semantics = world.semantics.repeat(parts, axis=0).repeat(parts, axis=1).repeat(parts, axis=2)
    _mark_large(semantics, world.shapes, world, voxel_m=voxel_m)
    solid = np.zeros(semantics.shape, np.uint8)
    solid[semantics == Semantic.MANMADE] = SolidClass.MANMADE
    solid[semantics == Semantic.VEGETATION] = SolidClass.VEGETATION
    return WorldVoxels(
        solid=solid,
        ground=ground_classes(world.ground, shape=(semantics.shape[0], semantics.shape[1])),
        origin_world_m=(world.grid.origin_m[0], world.grid.origin_m[1]),
        voxel_m=voxel_m,
    )


def columns_of(voxels: WorldVoxels) -> RasterFrame:
    """Return where the columns of a world lie."""
    size_x, size_y = voxels.ground.shape
    return RasterFrame(origin_m=voxels.origin_world_m, cell_m=voxels.voxel_m, shape=(size_x, size_y))


def ground_classes(ground: UInt8[np.ndarray, "GX GY"], *, shape: tuple[int, int]) -> UInt8[np.ndarray, "X Y"]:
    """Return `OpenGround` of every column: that of the ground cell above and right of its centre."""
    factor = ground.shape[0] // shape[0]
    centre = ground[factor // 2 :: factor, factor // 2 :: factor][: shape[0], : shape[1]]
    return np.where(centre == Material.GRASS, OpenGround.TERRAIN, OpenGround.PAVED).astype(np.uint8)


def _mark_large(semantics: UInt8[np.ndarray, "X Y Z"], shapes: ShapeSet, world: World, *, voxel_m: float) -> None:
    large = np.isin(shapes.material, LARGE_MATERIALS)
    if not large.any():
        return
    mark_solids(
        semantics,
        np.zeros(semantics.shape, np.int32),
        np.array(world.grid.origin_m),
        voxel_m,
        shapes.kind[large],
        shapes.world_from_shape[large],
        shapes.half_extent_m[large],
        shapes.taper[large],
        shapes.semantic[large],
        shapes.instance[large],
    )
