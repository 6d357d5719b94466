"""How well voxels are given back: intersection over union by class, of everything and of what the map leaves open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from scenegen.occupancy.fixed import FixedVoxels
from scenegen.occupancy.tokenizer.planes import open_voxels
from scenegen.occupancy.voxels import WorldVoxels

CLASSES = ("manmade", "vegetation", "terrain", "paved")
"""Two of voxels, two of ground columns; free is what the others are set against, and no class of its own."""
_NUM_SOLID, _NUM_GROUND = 3, 2


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """Counts of pairs of classes, (truth, given back); add them up over worlds.

    Attributes:
        solid: of voxels, in the order of `SolidClass`.
        ground: of columns, in the order of `OpenGround`.
    """

    solid: Int64[np.ndarray, "3 3"]
    ground: Int64[np.ndarray, "2 2"]

    def __add__(self, other: Reconstruction) -> Reconstruction:
        return Reconstruction(solid=self.solid + other.solid, ground=self.ground + other.ground)

    def by_class(self) -> dict[str, float]:
        """Return the intersection over union of each of CLASSES; NaN for one that is in neither."""
        return dict(zip(CLASSES, (*list(_ious(self.solid))[1:], *_ious(self.ground)), strict=True))

    @property
    def miou(self) -> float:
        """Mean over CLASSES that occur."""
        return float(np.nanmean(list(self.by_class().values())))

    @property
    def iou(self) -> float:
        """Intersection over union of voxels that are not free, whatever their class."""
        shared = self.solid[1:, 1:].sum()
        return float(shared / (self.solid.sum() - self.solid[0, 0]))


def count_everything(truth: WorldVoxels, found: WorldVoxels) -> Reconstruction:
    """Count all voxels and columns."""
    return Reconstruction(
        solid=_pairs(truth.solid, found.solid, _NUM_SOLID), ground=_pairs(truth.ground, found.ground, _NUM_GROUND)
    )


def count_open(truth: WorldVoxels, found: WorldVoxels, fixed: FixedVoxels) -> Reconstruction:
    """Count the voxels and columns that the map leaves open and no agent sweeps."""
    levels = np.arange(truth.solid.shape[2], dtype=np.uint8)
    is_open = open_voxels(fixed) & (levels >= fixed.swept_levels[..., None])
    is_ground_open: Bool[np.ndarray, "X Y"] = ~fixed.is_ground_fixed
    return Reconstruction(
        solid=_pairs(truth.solid[is_open], found.solid[is_open], _NUM_SOLID),
        ground=_pairs(truth.ground[is_ground_open], found.ground[is_ground_open], _NUM_GROUND),
    )


def _pairs(truth: UInt8[np.ndarray, "*S"], found: UInt8[np.ndarray, "*S"], count: int) -> Int64[np.ndarray, "C C"]:
    flat = truth.reshape(-1) * np.uint8(count) + found.reshape(-1)
    return np.bincount(flat, minlength=count * count).astype(np.int64).reshape(count, count)


def _ious(pairs: Int64[np.ndarray, "C C"]) -> Iterator[float]:
    for index in range(len(pairs)):
        union = pairs[index].sum() + pairs[:, index].sum() - pairs[index, index]
        yield float(pairs[index, index] / union) if union else float("nan")
