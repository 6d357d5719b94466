"""The native video network: a pixel-space U-Net with full-resolution conditions. Sizes in `SIZES`.

Ours, not a published design. The condition encoder runs once per frame; the denoiser runs once per sampling
step on 4x4 patches, and a full-resolution head puts pixels exactly where the conditions have their edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from scenegen.video.planes import NUM_PLANES, STYLE_SIZE

PATCH = 4
TILE_PX = 3200
"""Pixels that the pointwise encoder reads at once when nothing is learned."""


@dataclass(frozen=True, kw_only=True)
class NetworkSize:
    """Widths and depths of the network.

    Attributes:
        pixel: channels of the pointwise encoder.
        detail: channels at full resolution.
        middle: channels at 1/4 resolution.
        deep: channels at 1/8 resolution.
        num_middle, num_deep: residual blocks at each.
        embedding: channels of the time and style embedding.
    """

    pixel: int
    detail: int
    middle: int
    deep: int
    num_middle: int
    num_deep: int
    embedding: int = 128


SIZES = {
    "nano": NetworkSize(pixel=16, detail=8, middle=16, deep=16, num_middle=1, num_deep=1, embedding=16),
    "tiny": NetworkSize(pixel=96, detail=32, middle=96, deep=160, num_middle=1, num_deep=3),
    "small": NetworkSize(pixel=128, detail=64, middle=256, deep=384, num_middle=3, num_deep=4, embedding=256),
    "base": NetworkSize(pixel=192, detail=96, middle=512, deep=768, num_middle=4, num_deep=8, embedding=512),
}


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group norm, the second scaled and shifted by the embedding."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        groups = max(1, channels // 16)
        self.norm_in = nn.GroupNorm(groups, channels)
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm_out = nn.GroupNorm(groups, channels)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * channels)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.modulation.weight)

    def forward(self, x: Float[Tensor, "B C H W"], embedding: Float[Tensor, "B E"]) -> Float[Tensor, "B C H W"]:
        """Add the block's change to `x`."""
        hidden = self.conv_in(functional.silu(self.norm_in(x)))
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = self.norm_out(hidden) * (1 + scale) + shift
        return x + self.conv_out(functional.silu(hidden))


class PixelEncoder(nn.Module):
    """Reads each pixel's planes by itself: what colour to expect there, and features for the rest.

    Light and material multiply, which a few wide pointwise layers learn quickly from single pixels; everything
    that needs a neighbourhood, a history or chance is left to the denoiser.
    """

    num_layers = 4

    def __init__(self, width: int, detail: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(NUM_PLANES, width, 1)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(self.num_layers))
        self.style = nn.Sequential(
            nn.Linear(STYLE_SIZE, 64), nn.SiLU(), nn.Linear(64, 2 * width * (self.num_layers + 1))
        )
        self.color = nn.Conv2d(width, 3, 1)
        self.detail = nn.Conv2d(width, detail, 1)

    def features(self, planes: Float[Tensor, "B C H W"], style: Float[Tensor, "B S"]) -> Float[Tensor, "B P H W"]:
        """Return pointwise features; light enters as a scale and shift of every layer."""
        scales, shifts = self.style(style)[:, :, None, None].chunk(2, dim=1)
        scale, shift = scales.chunk(self.num_layers + 1, dim=1), shifts.chunk(self.num_layers + 1, dim=1)
        hidden = self.enter(planes)
        for index, layer in enumerate(self.layers):
            hidden = hidden + layer(functional.silu(hidden * (1 + scale[index]) + shift[index]))
        return functional.silu(hidden * (1 + scale[-1]) + shift[-1])

    def forward(self, planes: Float[Tensor, "B C H W"], style: Float[Tensor, "B S"]) -> Float[Tensor, "B 3+D H W"]:
        """Return expected colour and detail features, stacked."""
        features = self.features(planes, style)
        return torch.cat([self.color(features), self.detail(features)], dim=1)

    def in_tiles(self, planes: Float[Tensor, "B C H W"], style: Float[Tensor, "B S"]) -> Float[Tensor, "B 3+D H W"]:
        """Do the same tile by tile: the wide features of a whole frame do not fit into a processor's cache."""
        rows = max(1, TILE_PX // planes.shape[-1])
        views = []
        for view in range(len(planes)):
            own, code = planes[view : view + 1], style[view : view + 1]
            views.append(torch.cat([self(tile, code) for tile in own.split(rows, dim=2)], dim=2))
        return torch.cat(views).contiguous(memory_format=torch.channels_last)

    def expected_color(self, planes: Float[Tensor, "B C H W"], style: Float[Tensor, "B S"]) -> Float[Tensor, "B 3 H W"]:
        """Return the colour to expect at every pixel, -1..1."""
        return self.color(self.features(planes, style))


@dataclass(frozen=True, kw_only=True)
class EncodedConditions:
    """What a frame's conditions say: expected colour, features at full and at patch resolution, style."""

    base: Float[Tensor, "B 3 H W"]
    detail: Float[Tensor, "B D H W"]
    patches: Float[Tensor, "B M h w"]
    style: Float[Tensor, "B E"]


class VideoNetwork(nn.Module):
    """Predicts the clean frame from a noisy one, condition planes, the carried frame and the style code."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        detail, middle, deep, embedding = size.detail, size.middle, size.deep, size.embedding
        self.style_in = nn.Sequential(nn.Linear(STYLE_SIZE, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.time_in = nn.Sequential(nn.Linear(32, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.pixel = PixelEncoder(size.pixel, detail)
        self.detail_block = ResidualBlock(detail, embedding)
        self.to_patches = nn.Conv2d(detail, middle, PATCH, stride=PATCH)
        self.noisy_in = nn.Conv2d(10 * PATCH * PATCH, middle, 1)
        self.middle_in = nn.ModuleList(ResidualBlock(middle, embedding) for _ in range(size.num_middle))
        self.down = nn.Conv2d(middle, deep, 3, stride=2, padding=1)
        self.deep = nn.ModuleList(ResidualBlock(deep, embedding) for _ in range(size.num_deep))
        self.up = nn.Conv2d(deep, middle, 3, padding=1)
        self.middle_out = nn.ModuleList(ResidualBlock(middle, embedding) for _ in range(size.num_middle))
        self.from_patches = nn.Conv2d(middle, detail * PATCH * PATCH, 1)
        head = detail + detail // 4
        self.head_in = nn.Conv2d(2 * detail + 10, head, 3, padding=1)
        self.head_modulation = nn.Linear(embedding, 2 * head)
        self.head_mid = nn.Conv2d(head, head, 3, padding=1)
        self.head_out = nn.Conv2d(head, 3, 3, padding=1)
        nn.init.zeros_(self.head_modulation.weight)
        for parameter in self.head_out.parameters():
            nn.init.zeros_(parameter)

    def encode(self, planes: Float[Tensor, "B C H W"], style: Float[Tensor, "B S"]) -> EncodedConditions:
        """Encode the condition planes of a frame; needed once, whatever the number of sampling steps."""
        style_code = self.style_in(style)
        read_pixels = self.pixel if torch.is_grad_enabled() else self.pixel.in_tiles
        pixels = read_pixels(planes, style)
        detail = self.detail_block(pixels[:, 3:], style_code)
        return EncodedConditions(
            base=pixels[:, :3],
            detail=detail,
            patches=self.to_patches(functional.silu(detail)),
            style=style_code,
        )

    def forward(
        self,
        noisy: Float[Tensor, "B 3 H W"],
        t: Float[Tensor, " B"],
        *,
        conditions: EncodedConditions,
        carried: Float[Tensor, "B 4 H W"],
    ) -> Float[Tensor, "B 3 H W"]:
        """Estimate the clean frame, -1..1: the expected colour plus a learned correction.

        Args:
            noisy: x_t.
            t: noise level, 0..1.
            conditions: from `encode`.
            carried: the carried frame and its validity.
        """
        embedding = functional.silu(conditions.style + self.time_in(time_features(t)))
        pixels = torch.cat([noisy, carried, conditions.base], dim=1)
        hidden = self.noisy_in(functional.pixel_unshuffle(pixels, PATCH)) + conditions.patches
        for block in self.middle_in:
            hidden = block(hidden, embedding)
        skip = hidden
        hidden = self.down(hidden)
        for block in self.deep:
            hidden = block(hidden, embedding)
        hidden = skip + self.up(functional.interpolate(hidden, size=skip.shape[-2:], mode="nearest"))
        for block in self.middle_out:
            hidden = block(hidden, embedding)
        full = functional.pixel_shuffle(self.from_patches(functional.silu(hidden)), PATCH)
        full = self.head_in(torch.cat([full, conditions.detail, pixels], dim=1))
        scale, shift = self.head_modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        full = self.head_mid(functional.silu(full * (1 + scale) + shift))
        return conditions.base + self.head_out(functional.silu(full))


def time_features(t: Float[Tensor, " B"]) -> Float[Tensor, "B 32"]:
    """Return sines and cosines of t at 16 frequencies from half a turn to 64 turns."""
    frequency = torch.exp(torch.linspace(math.log(math.pi), math.log(128.0 * math.pi), 16, device=t.device))
    angle = t.float()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)
