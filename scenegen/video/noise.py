"""World-anchored noise: the same surface gets the same Gaussian noise in every step and every camera.

Each pixel hashes the cell of space its surface point lies in; the cell's edge is the pixel's footprint,
rounded down to a power of two, and two neighbouring levels are blended so that their variances add to one.
Agents use their own box coordinates, so noise travels with them; the sky uses viewing directions.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scenegen.types import Material
from scenegen.video.planes import SurfaceMaps

AGENT_SCALE_M = 4.0
SKY_DISTANCE_M = 60.0


def anchored_noise(
    maps: SurfaceMaps, *, seed: int, focal_px: float, is_agent: Tensor, num_channels: int = 3
) -> Float[Tensor, "B C H W"]:
    """Return standard Gaussian noise that belongs to surfaces.

    Args:
        maps: surfaces of B images.
        seed: key of the scene.
        focal_px: focal length, for the footprint of a pixel.
        is_agent: (B H W) True where the pixel shows an agent.
        num_channels: C.
    """
    sky = (maps.material == int(Material.SKY))[..., None]
    anchor = torch.where(is_agent[..., None], maps.canonical * AGENT_SCALE_M, maps.point_world_m)
    anchor = torch.where(sky, maps.ray_world * SKY_DISTANCE_M, anchor)
    depth = torch.where(sky[..., 0], SKY_DISTANCE_M, maps.depth_m)
    level = (depth / focal_px).clamp(min=1e-3).log2()
    floor = level.floor()
    share = (level - floor)[:, None]
    fine = hashed_gaussian(anchor, floor.long(), maps.row, seed=seed, num_channels=num_channels)
    coarse = hashed_gaussian(anchor, floor.long() + 1, maps.row, seed=seed, num_channels=num_channels)
    return (share * math.pi / 2).cos() * fine + (share * math.pi / 2).sin() * coarse


def hashed_gaussian(
    anchor: Float[Tensor, "B H W 3"],
    level: Int[Tensor, "B H W"],
    row: Int[Tensor, "B H W"],
    *,
    seed: int,
    num_channels: int,
) -> Float[Tensor, "B C H W"]:
    """Hash the cell of edge 2**level metres around each anchor into Gaussian numbers (Box and Muller, 1958)."""
    cell = torch.floor(anchor.double() * torch.exp2(-level.double())[..., None]).long()
    key = cell[..., 0] * 73856093 ^ cell[..., 1] * 19349663 ^ cell[..., 2] * 83492791
    key = key ^ (level + 64) * 2654435761 ^ row * 40503 ^ (seed % (1 << 31)) * 6364136223
    channels = torch.arange(num_channels).view(1, -1, 1, 1)
    base = mix_bits(key[:, None] + channels * 7046029254386353131)
    u1 = ((base & 0xFFFFFF).float() + 1.0) / 16777217.0
    u2 = ((base >> 24) & 0xFFFFFF).float() / 16777216.0
    return (-2.0 * u1.log()).sqrt() * (2.0 * math.pi * u2).cos()


def mix_bits(x: Int[Tensor, "*N"]) -> Int[Tensor, "*N"]:
    """Spread every input bit over the output (the finaliser of splitmix64), as non-negative 62-bit numbers."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return (x ^ ((x >> 31) & 0x1FFFFFFFF)) & 0x3FFFFFFFFFFFFFFF
