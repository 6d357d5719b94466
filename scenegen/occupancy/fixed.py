"""What a layout fixes of its world's voxels: the part that no model may decide.

Fixed are: the roadway (nothing stands in it), walkways up to head height, the space that an agent or the ego passes,
the buildings, hedges and trees that the layout gives, and the ground of all regions that it gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from scenegen.errors import WorldError
from scenegen.occupancy.draft import WorldDraft
from scenegen.occupancy.raster import mask_of
from scenegen.occupancy.site import VOXEL_M, region_of
from scenegen.occupancy.voxels import SolidClass, WorldVoxels, voxelise_world

WALK_LEVELS = 5
"""Free levels over a walkway: canopies begin at 2.2 m."""


@dataclass(frozen=True, kw_only=True)
class FixedVoxels:
    """Values of what is fixed, and where.

    Attributes:
        given: voxels and ground of the layout's own things; elsewhere free.
        is_ground_fixed: columns whose ground is `given.ground`.
        is_column_fixed: columns all of whose voxels are those of `given`: roadway and given buildings.
        free_levels: levels from the ground up that are free unless a given thing stands there, by the map alone.
        swept_levels: the same for what agents and the ego pass; kept apart, so that a model need not know of them.
    """

    given: WorldVoxels
    is_ground_fixed: Bool[np.ndarray, "X Y"]
    is_column_fixed: Bool[np.ndarray, "X Y"]
    free_levels: UInt8[np.ndarray, "X Y"]
    swept_levels: UInt8[np.ndarray, "X Y"]

    def is_solid_fixed(self) -> Bool[np.ndarray, "X Y Z"]:
        """Return which voxels are fixed."""
        levels = np.arange(self.given.solid.shape[2], dtype=np.uint8)
        low = np.maximum(self.free_levels, self.swept_levels)
        is_fixed = self.given.solid != SolidClass.FREE
        is_fixed |= levels < low[..., None]
        is_fixed |= self.is_column_fixed[..., None]
        return is_fixed

    def clamp(self, voxels: WorldVoxels) -> WorldVoxels:
        """Return the voxels with everything fixed set to its value.

        Raises:
            WorldError: the voxels are of another grid.
        """
        self.check(voxels)
        return replace(
            voxels,
            solid=np.where(self.is_solid_fixed(), self.given.solid, voxels.solid),
            ground=np.where(self.is_ground_fixed, self.given.ground, voxels.ground),
        )

    def obedience(self, voxels: WorldVoxels) -> float:
        """Return the share of the fixed voxels and ground columns that have their value.

        Raises:
            WorldError: the voxels are of another grid.
        """
        self.check(voxels)
        is_fixed = self.is_solid_fixed()
        right = np.count_nonzero((voxels.solid == self.given.solid) & is_fixed)
        right += np.count_nonzero((voxels.ground == self.given.ground) & self.is_ground_fixed)
        return float(right / (np.count_nonzero(is_fixed) + np.count_nonzero(self.is_ground_fixed)))

    def check(self, voxels: WorldVoxels) -> None:
        """Check that voxels are of this grid.

        Raises:
            WorldError: they are not.
        """
        wanted = (self.given.solid.shape, self.given.origin_world_m, self.given.voxel_m)
        found = (voxels.solid.shape, voxels.origin_world_m, voxels.voxel_m)
        if found != wanted:
            raise WorldError(f"voxels of grid {wanted}", found=f"{found}", where="fixed voxels")


def fixed_voxels(draft: WorldDraft, *, parts: int = 1) -> FixedVoxels:
    """Return what is fixed of a world that has only what its layout gives (`begin_world`).

    `parts` is that of `voxelise_world`.
    """
    site = draft.site
    given = voxelise_world(draft.finish(), parts=parts)
    lawn = mask_of(site.lawn.buffer(-VOXEL_M), site.column_frame)
    walk = site.is_paved & ~site.is_road
    swept = np.ceil(np.round(site.swept_top_m / VOXEL_M, 3)).clip(0, site.grid.shape[2]).astype(np.uint8)
    is_built = np.zeros(site.grid.shape[:2], np.bool_)
    for area in site.layout.road_map.areas_of("building"):
        is_built |= mask_of(region_of(area), site.column_frame) & (draft.column_instance != 0)
    return FixedVoxels(
        given=given,
        is_ground_fixed=(given.ground != 0) | divide_columns(lawn, parts=parts),
        is_column_fixed=divide_columns(site.is_road | is_built, parts=parts),
        free_levels=divide_columns(np.where(walk, WALK_LEVELS * parts, 0).astype(np.uint8), parts=parts),
        swept_levels=divide_columns(swept * np.uint8(parts), parts=parts),
    )


def divide_columns(columns: Shaped[np.ndarray, "X Y *C"], *, parts: int) -> Shaped[np.ndarray, "X2 Y2 *C"]:
    """Return columns of which `parts` along either side have the value of one."""
    return columns.repeat(parts, axis=0).repeat(parts, axis=1)
