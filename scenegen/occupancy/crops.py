"""Pieces of worlds that fidelity is measured on: squares of 51.2 m around the ego, cut alike from any source.

World sources are cut by the ego's pose, and a source that only has ego frames gives the middle of its frames, so that
resampling leaves the same traces in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from scenegen.errors import WorldError
from scenegen.occupancy.latent_ar.codes import GROUP_OF_SURFACE, Group
from scenegen.occupancy.latent_ar.frames import GROUND_LEVEL, LayoutFrames, look_up_columns
from scenegen.occupancy.voxels import OpenGround, SolidClass, WorldVoxels, columns_of
from scenegen.types import OCC3D_GRID

CROP_COLUMNS = 128
"""Columns along an edge: 51.2 m, which fits into an ego frame."""
FRAME_LEVELS = OCC3D_GRID.shape[2] - GROUND_LEVEL
"""Levels above the ground that an ego frame shows: 5.6 m."""
GIVEN_GROUND = 2
"""Ground that the layout fixes, beside the values of `OpenGround`."""
_MIDDLE = slice((OCC3D_GRID.shape[0] - CROP_COLUMNS) // 2, (OCC3D_GRID.shape[0] + CROP_COLUMNS) // 2)


@dataclass(frozen=True, kw_only=True)
class Crops:
    """N pieces of worlds.

    Attributes:
        solid: `SolidClass` of every voxel above the ground, level 0 lowest.
        ground: `OpenGround` of every column, GIVEN_GROUND where the layout fixes it; 0 under voxels of level 0.
    """

    solid: UInt8[np.ndarray, "N X Y Z"]
    ground: UInt8[np.ndarray, "N X Y"]

    def __post_init__(self) -> None:
        if self.ground.shape != self.solid.shape[:3]:
            raise WorldError(f"ground of shape {self.solid.shape[:3]}", found=f"{self.ground.shape}", where="crops")

    def __len__(self) -> int:
        return len(self.solid)

    def take(self, rows: Sequence[int] | np.ndarray) -> Crops:
        """Return some of the crops."""
        return Crops(solid=self.solid[rows], ground=self.ground[rows])

    def up_to(self, num_levels: int) -> Crops:
        """Return the crops cut off above a number of levels."""
        return Crops(solid=self.solid[..., :num_levels], ground=self.ground)


def join_crops(parts: Sequence[Crops]) -> Crops:
    """Join sets of crops of the same height."""
    return Crops(
        solid=np.concatenate([part.solid for part in parts]), ground=np.concatenate([part.ground for part in parts])
    )


def crop_world(voxels: WorldVoxels, told: LayoutFrames) -> Crops:
    """Cut one crop per step out of a world; `told` says what the layout fixes and where the ego is."""
    solids, grounds = [], []
    for surface, pose in zip(told.surface, told.world_from_ego, strict=True):
        solid = look_up_columns(voxels.solid, columns_of(voxels), pose, outside=SolidClass.FREE)
        ground = look_up_columns(voxels.ground, columns_of(voxels), pose, outside=OpenGround.TERRAIN)
        solids.append(solid[_MIDDLE, _MIDDLE])
        grounds.append(_join_ground(ground, surface, solid[..., 0])[_MIDDLE, _MIDDLE])
    return Crops(solid=np.stack(solids), ground=np.stack(grounds))


def crop_frames(frames: UInt8[np.ndarray, "T X Y Z"], told: LayoutFrames) -> Crops:
    """Take the middle of ego frames of `Group`s; agents count as free, FRAME_LEVELS high."""
    solid = np.zeros((*frames.shape[:3], FRAME_LEVELS), np.uint8)
    above = frames[..., GROUND_LEVEL:]
    solid[above == Group.MANMADE] = SolidClass.MANMADE
    solid[above == Group.VEGETATION] = SolidClass.VEGETATION
    floor = frames[..., GROUND_LEVEL]
    ground = np.where(floor == Group.TERRAIN, OpenGround.TERRAIN, OpenGround.PAVED).astype(np.uint8)
    joined = _join_ground(ground, told.surface, solid[..., 0])
    return Crops(solid=solid[:, _MIDDLE, _MIDDLE], ground=joined[:, _MIDDLE, _MIDDLE])


def sparse_steps(
    world_from_ego: Float64[np.ndarray, "T 4 4"], *, spacing_m: float, at_most: int | None = None
) -> list[int]:
    """Return steps, the first among them, that lie at least `spacing_m` of way apart: crops that share little."""
    moved_m = np.linalg.norm(np.diff(world_from_ego[:, :2, 3], axis=0), axis=1)
    way_m = np.concatenate([[0.0], np.cumsum(moved_m)])
    steps, next_m = [], 0.0
    for step, at_m in enumerate(way_m):
        if at_m >= next_m:
            steps.append(step)
            next_m = at_m + spacing_m
    return steps[:at_most]


def _join_ground(ground: np.ndarray, surface: np.ndarray, lowest: np.ndarray) -> UInt8[np.ndarray, "*N X Y"]:
    joined = np.where(GROUP_OF_SURFACE[surface] != Group.FREE, GIVEN_GROUND, ground)
    return np.where(lowest == SolidClass.FREE, joined, 0).astype(np.uint8)
