"""The few rays that tensors leave open, cast one by one. Compiled with numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from scenegen.conditions.raycast import cast_ground, cast_voxels
from scenegen.conditions.surfaces import FACE_UP
from scenegen.types import Material

if TYPE_CHECKING:
    from scenegen.conditions.device.cell_walk import Rays

GRASS, KERB = int(Material.GRASS), int(Material.KERB)


def to_host(rays: Rays) -> tuple[np.ndarray, np.ndarray]:
    """Return origins and directions of N rays, (N, 3) each."""
    import torch

    origins = torch.stack([rays.ox, rays.oy, rays.oz], dim=1)
    directions = torch.stack([rays.dx, rays.dy, rays.dz], dim=1)
    return origins.cpu().numpy(), directions.cpu().numpy()


@njit(cache=True, nogil=True)
def cast_ground_rays(world, origins, directions):  # type: ignore[no-untyped-def]
    """Return t, material and face of the ground that N rays see; `world` is that part of `packing.pack_world`."""
    ground, raised, corner_m, cell_m, kerb_m = world
    count = len(origins)
    t, material, face = np.empty(count), np.empty(count, np.int64), np.empty(count, np.int64)
    for n in range(count):
        d = directions[n]
        found, seen, axis = cast_ground(ground, raised, corner_m, cell_m, kerb_m, origins[n], d, GRASS)
        t[n], material[n], face[n] = found, np.int64(seen), FACE_UP
        if axis != 2:
            material[n], face[n] = KERB, 2 * axis + (1 if d[axis] > 0.0 else 0)
    return t, material, face


@njit(cache=True, nogil=True)
def cast_voxel_rays(world, origins, directions, t_most):  # type: ignore[no-untyped-def]
    """Return t and (ix, iy, iz, axis) of the voxels that N rays see; `world` is that part of `packing.pack_world`."""
    masks, origin_m, voxel_m, num_levels = world
    count = len(origins)
    t, place = np.empty(count), np.empty((4, count), np.int64)
    for n in range(count):
        t[n], place[0, n], place[1, n], place[2, n], place[3, n] = cast_voxels(
            masks, origin_m, voxel_m, num_levels, origins[n], directions[n], t_most[n]
        )
    return t, place
