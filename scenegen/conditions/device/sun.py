"""Which of many surface points see the sun: `shadows.sees_sun` for tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scenegen.conditions.device.cell_walk import Rays, whole
from scenegen.conditions.device.entry import KINDS, enter_kind
from scenegen.conditions.device.solids import MOST_PAIRS, Solids, expand
from scenegen.conditions.device.voxels import VoxelCaster
from scenegen.conditions.raycast import NO_HIT
from scenegen.conditions.shadows import LEVEL_MARGIN, OFFSET_M, SHADOW_CELL_M, SHADOW_CELLS


@dataclass(frozen=True, kw_only=True)
class Sun:
    """The sun over a world, and which solids may hide it where.

    Attributes:
        direction: towards it, unit length, frame `world`.
        center_xy: middle of the indexed square, metres.
        levels: height in voxels from which on no voxel hides it, by slab and cell: `shadows.lit_levels`.
        levels_along: the rest of what that returns: whether slabs are along y, slope, first cell.
        first_member: by shadow cell, one more than cells: `shadows.index_shadows`.
        member: solids.
    """

    direction: tuple[float, float, float]
    center_xy: tuple[float, float]
    levels: Tensor
    levels_along: tuple[bool, float, int]
    first_member: Tensor
    member: Tensor


def see_sun(sun: Sun, voxels: VoxelCaster, solids: Solids, *, point: Tensor, normal: Tensor) -> Tensor:
    """Return whether surface points (3, N), float64, in frame `world`, with normals (3, N) see the sun."""
    sun_x, sun_y, sun_z = sun.direction
    is_lit = normal[0] * sun_x + normal[1] * sun_y + normal[2] * sun_z > 0.0
    at = torch.nonzero(is_lit)[:, 0]
    normal = normal[:, at]
    origin = point[:, at] + OFFSET_M * normal
    is_hidden = _behind_solids(sun, solids, origin)
    voxel_m = voxels.voxel_m
    origin = origin + torch.stack([voxel_m * normal[0], voxel_m * normal[1], 0.1 * voxel_m * normal[2]])
    asks = torch.nonzero(~is_hidden & ~_above_all(sun, voxels, origin))[:, 0]
    ox, oy, oz = origin[:, asks]
    direction = (torch.full_like(ox, component) for component in sun.direction)
    dx, dy, dz = direction
    hits = voxels.cast(Rays(ox=ox, oy=oy, oz=oz, dx=dx, dy=dy, dz=dz), t_most=torch.full_like(ox, NO_HIT))
    is_hidden[asks] = hits.t < NO_HIT
    is_lit[at] = ~is_hidden
    return is_lit


def _behind_solids(sun: Sun, solids: Solids, origin: Tensor) -> Tensor:
    """Return whether solids are between points (3, N) and the sun."""
    sun_x, sun_y, sun_z = sun.direction
    ox, oy, oz = origin
    # Tensors below the line: devices may multiply by the reciprocal of a number, which rounds otherwise.
    rise, cell_m = torch.full_like(oz, sun_z), torch.full_like(oz, SHADOW_CELL_M)
    i = whole((ox - oz * sun_x / rise - sun.center_xy[0]) / cell_m) + SHADOW_CELLS // 2
    j = whole((oy - oz * sun_y / rise - sun.center_xy[1]) / cell_m) + SHADOW_CELLS // 2
    is_indexed = (i >= 0) & (j >= 0) & (i < SHADOW_CELLS) & (j < SHADOW_CELLS)
    cell = torch.where(is_indexed, i * SHADOW_CELLS + j, 0)
    first = sun.first_member[cell]
    counts = torch.where(is_indexed, sun.first_member[cell + 1] - first, 0)
    is_hidden = torch.zeros_like(is_indexed)
    kind_of = torch.from_numpy(solids.kind).to(first)
    for batch in _batches(counts):
        group, number = expand(counts[batch])
        place = batch[group]
        solid = sun.member[first[place] + number]
        for kind in KINDS:
            of_kind = torch.nonzero(kind_of[solid] == kind)[:, 0]
            which, where = solid[of_kind], place[of_kind]
            pose = solids.world_from_shape[which]
            away = tuple(origin[a, where] - pose[:, a, 3] for a in range(3))
            towards = tuple(torch.full_like(away[0], component) for component in sun.direction)
            is_hidden[where[enter_kind(kind, solids.pair(which, away, towards)).t < NO_HIT]] = True
    return is_hidden


def _batches(counts: Tensor) -> list[Tensor]:
    """Return runs of points with about MOST_PAIRS solids each, without those that have none."""
    some = torch.nonzero(counts > 0)[:, 0]
    if not len(some):
        return []
    run = (torch.cumsum(counts[some], 0) - 1) // MOST_PAIRS
    return list(torch.split(some, torch.unique_consecutive(run, return_counts=True)[1].tolist()))


def _above_all(sun: Sun, voxels: VoxelCaster, origin: Tensor) -> Tensor:
    """Return whether points (3, N) are so high that no voxel can be between them and the sun."""
    along_y, slope, first_cell = sun.levels_along
    per_voxel = 1.0 / voxels.voxel_m
    at_x, at_y, at_z = ((o - low) * per_voxel for o, low in zip(origin, voxels.low_m, strict=True))
    along, across = (at_y, at_x) if along_y else (at_x, at_y)
    slab, q = whole(along), whole(across - slope * along) - first_cell
    num_slabs, num_cells = sun.levels.shape
    is_known = (slab >= 0) & (slab < num_slabs) & (q >= 0) & (q < num_cells)
    level = sun.levels[slab.clamp(0, num_slabs - 1), q.clamp(0, num_cells - 1)].double()
    return is_known & (at_z > level + LEVEL_MARGIN)


def pack_sun(light: tuple[Any, ...], *, device: torch.device) -> Sun:
    """Take to a device what `ConditionRenderer` knows of the sun."""
    (direction, _, center_xy, (levels, along_y, slope, first_cell)), (first_member, member) = light
    return Sun(
        direction=(float(direction[0]), float(direction[1]), float(direction[2])),
        center_xy=(float(center_xy[0]), float(center_xy[1])),
        levels=torch.from_numpy(levels).to(device),
        levels_along=(bool(along_y), float(slope), int(first_cell)),
        first_member=torch.from_numpy(first_member).to(device),
        member=torch.from_numpy(member).to(device).long(),
    )
