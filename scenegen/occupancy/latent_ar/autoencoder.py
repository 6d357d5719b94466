"""Ego-frame occupancy to a latent picture and back: the first stage of the reference design.

As in AnyScene (2026, arXiv 2605.26113) height is stacked: the embeddings of all voxels of a patch of columns are joined
and flat convolutions do the rest. Smaller than theirs: 4 x 4 columns become one cell of 16 numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from scenegen.occupancy.latent_ar.codes import NUM_GROUPS
from scenegen.types import OCC3D_GRID

PATCH = 4
"""Columns along the edge of a latent cell: 1.6 m."""
NUM_LEVELS = OCC3D_GRID.shape[2]


@dataclass(frozen=True, kw_only=True)
class AutoencoderSize:
    """Numbers per latent cell, and channels at a quarter, half and whole resolution."""

    latent: int = 16
    deep: int = 80
    half: int = 40
    whole: int = 24


class PatchEmbedding(nn.Module):
    """The sum of an embedding per place in a patch and value there: a linear layer on one-hot values.

    Args:
        num_places: values in a patch.
        num_values: what each can be.
    """

    def __init__(self, num_places: int, num_values: int, channels: int) -> None:
        super().__init__()
        self.num_values = num_values
        self.table = nn.EmbeddingBag(num_places * num_values, channels, mode="sum")
        nn.init.normal_(self.table.weight, std=num_places**-0.5)

    def forward(self, values: UInt8[Tensor, "B P H W"]) -> Float[Tensor, "B C H W"]:
        """Embed the P values of every patch."""
        batch, places, height, width = values.shape
        offset = torch.arange(places, device=values.device) * self.num_values
        rows = values.permute(0, 2, 3, 1).reshape(-1, places).to(torch.int32) + offset.to(torch.int32)
        return self.table(rows).view(batch, height, width, -1).permute(0, 3, 1, 2)


def to_patches(columns: UInt8[Tensor, "B X Y *Z"]) -> UInt8[Tensor, "B P H W"]:
    """Gather the values of PATCH x PATCH columns."""
    batch, size_x, size_y = columns.shape[:3]
    height, width = size_x // PATCH, size_y // PATCH
    patches = columns.reshape(batch, height, PATCH, width, PATCH, -1).permute(0, 2, 4, 5, 1, 3)
    return patches.reshape(batch, -1, height, width)


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return x + self.conv_out(functional.silu(self.conv_in(functional.silu(self.norm(x)))))


class OccupancyAutoencoder(nn.Module):
    """Codes frames of `Group`s. `mean` and `spread` scale latents to variance one; training sets them."""

    mean: Tensor
    spread: Tensor

    def __init__(self, size: AutoencoderSize) -> None:
        super().__init__()
        self.size = size
        deep, half, whole = size.deep, size.half, size.whole
        self.embedding = PatchEmbedding(PATCH * PATCH * NUM_LEVELS, NUM_GROUPS, deep)
        self.encoder = nn.Sequential(_Block(deep), nn.GroupNorm(8, deep), nn.SiLU(), nn.Conv2d(deep, size.latent, 1))
        self.decoder = nn.Sequential(
            nn.Conv2d(size.latent, deep, 3, padding=1),
            _Block(deep),
            nn.Conv2d(deep, 4 * half, 1),
            nn.PixelShuffle(2),
            _Block(half),
            nn.Conv2d(half, 4 * whole, 1),
            nn.PixelShuffle(2),
            nn.SiLU(),
            nn.Conv2d(whole, NUM_LEVELS * NUM_GROUPS, 1),
        )
        self.register_buffer("mean", torch.zeros(size.latent))
        self.register_buffer("spread", torch.ones(size.latent))

    def encode(self, frames: UInt8[Tensor, "B X Y Z"]) -> Float[Tensor, "B L h w"]:
        """Return latents of variance about one; X and Y are multiples of PATCH."""
        code = self.encoder(self.embedding(to_patches(frames)))
        return (code - self.mean[:, None, None]) / self.spread[:, None, None]

    def decode_logits(self, latent: Float[Tensor, "B L h w"]) -> Float[Tensor, "B G Z X Y"]:
        """Return a score per group of every voxel."""
        scores = self.decoder(latent * self.spread[:, None, None] + self.mean[:, None, None])
        return scores.unflatten(1, (NUM_GROUPS, NUM_LEVELS))

    @torch.no_grad()
    def decode(self, latent: Float[Tensor, "B L h w"]) -> UInt8[Tensor, "B X Y Z"]:
        """Return the likeliest group of every voxel."""
        return self.decode_logits(latent).argmax(dim=1).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
