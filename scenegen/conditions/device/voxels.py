"""The first voxel on many rays: `raycast.cast_voxels` for tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenegen.conditions.device.cell_walk import (
    AT_START,
    LEAST_SLOPE,
    STOPPED,
    TIE,
    UNSURE,
    Cells,
    Looked,
    Rays,
    Visit,
    edge_t,
    is_near_whole,
    walk_cells,
)
from scenegen.conditions.device.host import cast_voxel_rays, to_host
from scenegen.conditions.device.words import highest_set, lowest_set
from scenegen.conditions.kerbs import cells_to_raised
from scenegen.conditions.raycast import NO_HIT

FLOOR = 64
"""Above all levels."""
LEVELS_PER_LAYER = 4


@dataclass(frozen=True, kw_only=True)
class VoxelHits:
    """What N rays see of the voxels: t is NO_HIT where nothing, axis 3 where a ray starts inside a voxel."""

    t: Tensor
    i: Tensor
    j: Tensor
    k: Tensor
    axis: Tensor


class VoxelCaster:
    """The voxels of a world on a device; `world` is of `packing.pack_world`.

    Attributes:
        voxel_m: edge of a voxel, metres.
        low_m: the grid's origin in frame `world`, metres.
    """

    def __init__(self, world: tuple[Any, ...], *, device: torch.device) -> None:
        masks, origin_m, voxel_m, num_levels = world[:4]
        self._world = world[:4]
        self._low_z, self.voxel_m, self._num_levels = float(origin_m[2]), voxel_m, num_levels
        self.low_m = (float(origin_m[0]), float(origin_m[1]), float(origin_m[2]))
        self._words = torch.from_numpy(masks.view(np.int64)).to(device).reshape(-1)
        self._cells = Cells(
            gaps=torch.from_numpy(_gaps_above(masks, num_levels)).to(device),
            low_x=float(origin_m[0]),
            low_y=float(origin_m[1]),
            cell_m=voxel_m,
        )

    def cast(self, rays: Rays, *, t_most: Tensor) -> VoxelHits:
        """Cast N rays from anywhere, each no further than `t_most`."""
        _, num_x, num_y = self._cells.gaps.shape
        t0, t1, entry = torch.zeros_like(t_most), t_most, torch.full_like(t_most, AT_START, dtype=torch.int64)
        for axis, low, num, o, d in (
            (0, self._cells.low_x, num_x, rays.ox, rays.dx),
            (1, self._cells.low_y, num_y, rays.oy, rays.dy),
            (2, self._low_z, self._num_levels, rays.oz, rays.dz),
        ):
            t0, t1, entry = _clip(low, low + self.voxel_m * num, o, d, axis, t0, t1, entry)
        hits = VoxelHits(
            t=torch.full_like(t_most, NO_HIT),
            i=torch.zeros_like(entry),
            j=torch.zeros_like(entry),
            k=torch.zeros_like(entry),
            axis=torch.full_like(entry, AT_START),
        )
        enters = torch.nonzero(t0 < t1)[:, 0]
        self._walk(rays.take(enters), enters, t0[enters], t1[enters], entry[enters], t_most[enters], hits)
        return hits

    def _walk(
        self, rays: Rays, index: Tensor, t0: Tensor, t1: Tensor, entry: Tensor, t_most: Tensor, hits: VoxelHits
    ) -> None:
        """Enter what rays meet between t0 and t1, where they are inside the grid."""
        _, num_x, num_y = self._cells.gaps.shape
        i, j = self._cells.at(rays, t0)
        start = (i.clamp(0, num_x - 1), j.clamp(0, num_y - 1))

        def look(visit: Visit) -> Looked:
            return self._look(rays, visit)

        def layer(ray: Tensor, t: Tensor) -> Tensor:
            z = (rays.oz[ray] + t * rays.dz[ray] - self._low_z) / self.voxel_m - TIE
            rising = torch.floor(z).clamp(0, self._num_levels - 1).long() // LEVELS_PER_LAYER
            return torch.where(rays.dz[ray] >= 0.0, rising, 0)

        walked = walk_cells(
            self._cells,
            rays,
            start=start,
            span=(t0, t1),
            layer=layer,
            look=look,
            is_outside_seen=False,
        )
        # A level other than that of the way in is entered through its floor or its ceiling.
        is_first = walked.axis == AT_START
        t_edge = torch.where(is_first, t0, edge_t(self._cells, rays, start=start, walked=walked))
        is_level = walked.level >= FLOOR
        k = torch.where(is_level, (walked.level - FLOOR) >> 1, walked.level)
        side = torch.where(is_level, (walked.level - FLOOR) & 1, 0)
        t_level = (self._low_z + self.voxel_m * (k + side).double() - rays.oz) / rays.dz
        is_stopped = walked.state == STOPPED
        hits.t[index] = torch.where(is_stopped, torch.where(is_level, t_level, t_edge), NO_HIT)
        hits.i[index], hits.j[index], hits.k[index] = walked.i, walked.j, k
        axis = torch.where(is_level, 2, torch.where(is_first, entry, walked.axis))
        hits.axis[index] = torch.where(is_stopped, axis, AT_START)
        unsure = torch.nonzero(walked.state == UNSURE)[:, 0]
        if len(unsure):
            t, place = cast_voxel_rays(self._world, *to_host(rays.take(unsure)), t_most[unsure].cpu().numpy())
            at = index[unsure]
            for target, found in zip((hits.t, hits.i, hits.j, hits.k, hits.axis), (t, *place), strict=True):
                target[at] = torch.from_numpy(found).to(target)

    def _look(self, rays: Rays, visit: Visit) -> Looked:
        """Find the first occupied level of the columns that rays pass through.

        `level` is k where the ray is at level k as it comes in; FLOOR + 2 k where it rises to k through its floor, one
        more where it falls to it through its ceiling.
        """
        top = self._num_levels - 1
        oz, dz = rays.oz[visit.ray], rays.dz[visit.ray]
        words = torch.where(visit.gap == 0, self._words[self._cells.flat(visit.i, visit.j)], 0)
        per_voxel = 1.0 / self.voxel_m
        z_in = (oz + visit.t_in * dz - self._low_z) * per_voxel
        z_out = (oz + visit.t_out * dz - self._low_z) * per_voxel
        k_in, k_out = torch.floor(z_in).clamp(0, top).long(), torch.floor(z_out).clamp(0, top).long()
        rises = k_in <= k_out
        # A shift to the right copies bit 63, which is then set itself: the lowest set bit stays the same.
        span = torch.where(rises, words >> k_in, words & ~(torch.full_like(k_in, -2) << k_in))
        k = torch.where(rises, k_in + lowest_set(span), highest_set(span))
        is_stopped = (span != 0) & torch.where(rises, k <= k_out, k >= k_out)
        is_close = (~visit.is_start & _is_near_level(z_in, top)) | (~visit.is_end & _is_near_level(z_out, top))
        level = torch.where(k == k_in, k, FLOOR + 2 * k + (~rises).long())
        return Looked(is_stopped=is_stopped, is_unsure=is_close & (words != 0), level=level)


def _gaps_above(masks: np.ndarray, num_levels: int) -> np.ndarray:
    """Return how far the nearest column is in which anything stands above each of some heights, int16 (L, X, Y).

    A ray that rises has to look at no others: over roofs and hedges it leaps as over open ground.
    """
    is_built = np.array([False, True])
    return np.stack(
        [
            cells_to_raised((masks >> np.uint64(level) != 0).astype(np.uint8), is_built).astype(np.int16)
            for level in range(0, num_levels, LEVELS_PER_LAYER)
        ]
    )


def _is_near_level(z: Tensor, top: int) -> Tensor:
    """Return whether heights in voxels are within TIE of a plane between two levels."""
    nearest = torch.round(z)
    return is_near_whole(z) & (nearest >= 1) & (nearest <= top)


def _clip(
    low: float, high: float, o: Tensor, d: Tensor, axis: int, t0: Tensor, t1: Tensor, entry: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Clip rays between two planes: `raycast.clip_to_slab`."""
    is_along = d.abs() < LEAST_SLOPE
    ta, tb = (low - o) / d, (high - o) / d
    near, far = torch.minimum(ta, tb), torch.maximum(ta, tb)
    is_later = ~is_along & (near > t0)
    t1 = torch.where(is_along, torch.where((o < low) | (o >= high), -1.0, t1), torch.minimum(far, t1))
    return torch.where(is_later, near, t0), t1, torch.where(is_later, axis, entry)
