"""World-anchored noise: the same surface gets the same Gaussian noise in every step and every camera.

Each pixel hashes the cell of space its surface point lies in; the cell's edge is the pixel's footprint,
rounded down to a power of two, and two neighbouring levels are blended so that their variances add to one.
Agents use their own box coordinates, so noise travels with them; the sky uses viewing directions.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Float32
from numba import njit
from torch import Tensor

from scenegen.types import Material
from scenegen.video.planes import SurfaceMaps

AGENT_SCALE_M = 4.0
SKY_DISTANCE_M = 60.0
TABLE_BITS = 12
NUMBERS_PER_HASH = 5


def anchored_noise(
    maps: SurfaceMaps,
    *,
    seed: int,
    focal_px: float | Float[Tensor, "B H W"],
    is_agent: Tensor,
    num_channels: int = 3,
) -> Float[Tensor, "B C H W"]:
    """Return standard Gaussian noise that belongs to surfaces.

    Args:
        maps: surfaces of B images.
        seed: key of the scene.
        focal_px: focal length, for the footprint of a pixel: one, or `ConditionMaps.focal_px`.
        is_agent: (B H W) True where the pixel shows an agent.
        num_channels: C.
    """
    sky = (maps.material == int(Material.SKY))[..., None]
    anchor = torch.where(is_agent[..., None], maps.canonical * AGENT_SCALE_M, maps.point_world_m)
    anchor = torch.where(sky, maps.ray_world * SKY_DISTANCE_M, anchor)
    depth = torch.where(sky[..., 0], SKY_DISTANCE_M, maps.depth_m)
    level = (depth / focal_px).clamp(min=1e-3).log2()
    batch, height, width = level.shape
    out = np.empty((batch * height * width, num_channels), np.float32)
    fill_noise(
        np.ascontiguousarray(anchor.reshape(-1, 3).numpy(), np.float32),
        level.reshape(-1).numpy(),
        maps.row.reshape(-1).numpy(),
        np.int64(seed % (1 << 31)),
        gaussian_table(),
        out,
    )
    return torch.from_numpy(out).view(batch, height, width, num_channels).permute(0, 3, 1, 2)


def gaussian_table() -> Float32[np.ndarray, " N"]:
    """Return the middles of 2**TABLE_BITS equal shares of a Gaussian, scaled to variance one."""
    from scipy.special import ndtri

    count = 1 << TABLE_BITS
    table = ndtri((np.arange(count) + 0.5) / count)
    return (table / table.std()).astype(np.float32)


@njit(cache=True, nogil=True)
def fill_noise(anchor, level, row, seed, table, out):  # type: ignore[no-untyped-def]
    """Fill `out` (P, C): two blended levels of cells, five numbers to a hash."""
    num_pixels, num_channels = out.shape
    mask = (1 << TABLE_BITS) - 1
    for p in range(num_pixels):
        floor = math.floor(level[p])
        share = 0.5 * math.pi * (level[p] - floor)
        for upper in range(2):
            weight = math.sin(share) if upper else math.cos(share)
            rank = int(floor) + upper
            per_m = 2.0 ** (-float(rank))
            x = int(math.floor(anchor[p, 0] * per_m))
            y = int(math.floor(anchor[p, 1] * per_m))
            z = int(math.floor(anchor[p, 2] * per_m))
            key = (x * 73856093) ^ (y * 19349663) ^ (z * 83492791)
            key = key ^ ((rank + 64) * 2654435761) ^ (row[p] * 40503) ^ (seed * 6364136223)
            bits = np.int64(0)
            for c in range(num_channels):
                if c % NUMBERS_PER_HASH == 0:
                    bits = mix_bits(key + (c // NUMBERS_PER_HASH) * 7046029254386353131)
                value = weight * table[bits & mask]
                bits = bits >> TABLE_BITS
                if upper:
                    out[p, c] += value
                else:
                    out[p, c] = value


@njit(cache=True, nogil=True, inline="always")
def mix_bits(x):  # type: ignore[no-untyped-def]
    """Spread every input bit over the output (the finaliser of splitmix64), as a non-negative 62-bit number."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return (x ^ ((x >> 31) & 0x1FFFFFFFF)) & 0x3FFFFFFFFFFFFFFF
