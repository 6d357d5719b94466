"""Worlds as planes: what the tokenizer's network reads, one vector per column, levels along the channels."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor
from torch.nn import functional

from scenegen.errors import WorldError
from scenegen.occupancy.channels import CHANNELS
from scenegen.occupancy.fixed import FixedVoxels
from scenegen.occupancy.voxels import SolidClass, WorldVoxels

NUM_CONTEXT = len(CHANNELS) + 3
"""Planes of `context_planes`: the channels, and what the map fixes."""


def context_planes(channels: Float32[np.ndarray, "X Y C"], fixed: FixedVoxels) -> Float[Tensor, "K X Y"]:
    """Return what is known of columns without their voxels: channels, fixed ground, fixed column, free levels.

    Space that agents sweep is left out: a code means the same wherever they pass.

    Raises:
        WorldError: the channels are of other columns.
    """
    if channels.shape != (*fixed.is_ground_fixed.shape, len(CHANNELS)):
        raise WorldError(
            f"channels of shape {(*fixed.is_ground_fixed.shape, len(CHANNELS))}", found=f"{channels.shape}",
            where="occupancy tokenizer",
        )  # fmt: skip
    share = fixed.free_levels.astype(np.float32) / fixed.given.solid.shape[2]
    known = [fixed.is_ground_fixed.astype(np.float32), fixed.is_column_fixed.astype(np.float32), share]
    return torch.from_numpy(np.concatenate([channels, np.stack(known, axis=-1)], axis=-1)).permute(2, 0, 1)


def voxel_planes(voxels: WorldVoxels) -> Float[Tensor, "P X Y"]:
    """Return manmade at every level, vegetation at every level, then paved ground; 2 Z + 1 planes of 0 and 1."""
    manmade, vegetation = voxels.solid == SolidClass.MANMADE, voxels.solid == SolidClass.VEGETATION
    planes = np.concatenate([manmade, vegetation, voxels.ground[..., None] != 0], axis=2)
    return torch.from_numpy(planes).permute(2, 0, 1).float()


def open_voxels(fixed: FixedVoxels) -> Bool[np.ndarray, "X Y Z"]:
    """Return the voxels that the map leaves open."""
    levels = np.arange(fixed.given.solid.shape[2], dtype=np.uint8)
    is_open = fixed.given.solid == SolidClass.FREE
    is_open &= levels >= fixed.free_levels[..., None]
    is_open &= ~fixed.is_column_fixed[..., None]
    return is_open


def is_coded(fixed: FixedVoxels, *, patch: int) -> Bool[np.ndarray, "x y"]:
    """Return which patches need a code: those of which the map leaves anything open. Edges count as fixed."""
    is_fixed = fixed.is_ground_fixed & fixed.is_column_fixed
    pad = [(0, -size % patch) for size in is_fixed.shape]
    whole = np.pad(is_fixed, pad, constant_values=True)
    size_x, size_y = (size // patch for size in whole.shape)
    return ~whole.reshape(size_x, patch, size_y, patch).all(axis=(1, 3))


def pad_to_patches(planes: Float[Tensor, "*B P X Y"], *, patch: int) -> Float[Tensor, "*B P X2 Y2"]:
    """Add columns of zeros at the far ends, up to whole patches."""
    size_x, size_y = planes.shape[-2:]
    return functional.pad(planes, (0, -size_y % patch, 0, -size_x % patch))
