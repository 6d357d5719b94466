"""A static world as plain classes of voxels and ground columns: what occupancy models write, and scenes store."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import UInt8

from scenegen.errors import WorldError


class SolidClass(IntEnum):
    """What a voxel holds."""

    FREE = 0
    MANMADE = 1
    VEGETATION = 2


class OpenGround(IntEnum):
    """What the ground of a column is: raised earth or grass, or anything paved."""

    TERRAIN = 0
    PAVED = 1


@dataclass(frozen=True, kw_only=True)
class WorldVoxels:
    """Classes of all voxels and columns of a world.

    Attributes:
        solid: `SolidClass` of every voxel.
        ground: `OpenGround` of every column, by its centre.
        origin_world_m: (x, y) of the corner of column (0, 0); level 0 begins at z = 0.
        voxel_m: edge of a voxel.
        is_recorded: whether they are what a real log's instruments saw, not what a model sampled: then they stand as
            they are, in roads too, and nothing is added.
    """

    solid: UInt8[np.ndarray, "X Y Z"]
    ground: UInt8[np.ndarray, "X Y"]
    origin_world_m: tuple[float, float]
    voxel_m: float
    is_recorded: bool = False

    def __post_init__(self) -> None:
        if self.ground.shape != self.solid.shape[:2]:
            raise WorldError(
                f"ground columns of shape {self.solid.shape[:2]}", found=f"{self.ground.shape}", where="world voxels"
            )
