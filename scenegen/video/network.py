"""The native video network: a pixel-space U-Net with full-resolution conditions. Sizes in `SIZES`.

Ours, not a published design. The condition encoder runs once per frame; the denoiser runs once per sampling
step on 4x4 patches, and a full-resolution head puts pixels exactly where the conditions have their edges. At the
deepest level views mix within windows (attention), with each other (`cross_view`) and with their past (RWKV-7).

The denoiser takes fresh noise beside x_t and draws a sample of the clean frame instead of its mean, as in
distributional diffusion (De Bortoli et al., 2025, arXiv 2502.02483); `diffusion.scoring` has the loss for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from scenegen.diffusion.attention import PictureWindows, RecentPast, RecentTokens
from scenegen.diffusion.rwkv7 import Rwkv7Mixer, Rwkv7State
from scenegen.diffusion.time_features import NUM_TIME_FEATURES, time_features
from scenegen.video.cross_view import CrossView
from scenegen.video.planes import NUM_PLANES, STYLE_SIZE

PATCH = 4
TILE_PX = 3200
"""Pixels that the pointwise encoder reads at once when nothing is learned."""
MEMORY_CELLS = (2, 4)
"""Rows and columns of the grid, whatever the picture's size, whose cells each remember their past."""
NUM_NOISE = 3
"""Channels of fresh noise at every sampling step, beside the noisy frame."""

TemporalState = Rwkv7State | RecentTokens


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
        attention: windowed attention after each deep block.
        cross_view: attention to the cells of other views that show the same.
        temporal: how a view remembers beyond its previous frame: linear-time, by attention over the last steps, or not.
    """

    pixel: int
    detail: int
    middle: int
    deep: int
    num_middle: int
    num_deep: int
    embedding: int = 128
    attention: bool = True
    cross_view: bool = True
    temporal: Literal["rwkv7", "window", "none"] = "rwkv7"


SIZES = {
    "nano": NetworkSize(pixel=16, detail=8, middle=16, deep=32, num_middle=1, num_deep=1, embedding=16),
    "lean": NetworkSize(pixel=64, detail=16, middle=48, deep=64, num_middle=1, num_deep=1, embedding=64),
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
    """Draws the clean frame from a noisy one, condition planes, the carried frame, the style code and fresh noise."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        detail, middle, deep, embedding = size.detail, size.middle, size.deep, size.embedding
        self.style_in = nn.Sequential(nn.Linear(STYLE_SIZE, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.time_in = nn.Sequential(
            nn.Linear(NUM_TIME_FEATURES, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.pixel = PixelEncoder(size.pixel, detail)
        self.detail_block = ResidualBlock(detail, embedding)
        self.to_patches = nn.Conv2d(detail, middle, PATCH, stride=PATCH)
        self.noisy_in = nn.Conv2d((10 + NUM_NOISE) * PATCH * PATCH, middle, 1)
        self.middle_in = nn.ModuleList(ResidualBlock(middle, embedding) for _ in range(size.num_middle))
        self.down = nn.Conv2d(middle, deep, 3, stride=2, padding=1)
        self.deep = nn.ModuleList(ResidualBlock(deep, embedding) for _ in range(size.num_deep))
        self.attention = nn.ModuleList(
            PictureWindows(deep, shifted=index % 2 == 1) for index in range(size.num_deep if size.attention else 0)
        )
        self.cross_view = CrossView(deep) if size.cross_view else None
        self.temporal: Rwkv7Mixer | RecentPast | None = None
        if size.temporal != "none":
            self.temporal = Rwkv7Mixer(deep) if size.temporal == "rwkv7" else RecentPast(deep)
        self.norm_deep = nn.GroupNorm(max(1, deep // 16), deep)
        self.up = nn.Conv2d(deep, middle, 3, padding=1)
        self.middle_out = nn.ModuleList(ResidualBlock(middle, embedding) for _ in range(size.num_middle))
        self.norm_patches = nn.GroupNorm(max(1, middle // 16), middle)
        self.from_patches = nn.Conv2d(middle, detail * PATCH * PATCH, 1)
        head = detail + detail // 4
        self.head_in = nn.Conv2d(2 * detail + 10 + NUM_NOISE, head, 3, padding=1)
        self.head_modulation = nn.Linear(embedding, 2 * head)
        self.head_mid = nn.Conv2d(head, head, 3, padding=1)
        self.head_out = nn.Conv2d(head, 3, 3, padding=1)
        nn.init.zeros_(self.head_modulation.weight)
        # The body begins by saying nothing, or the head learns first of all to silence it.
        for parameter in (*self.from_patches.parameters(), *self.head_out.parameters()):
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
        noise: Float[Tensor, "B 3 H W"],
        partners: Int[Tensor, "B P h w"] | None = None,
        memory: TemporalState | None = None,
        num_steps: int = 1,
    ) -> tuple[Float[Tensor, "B 3 H W"], TemporalState | None]:
        """Draw a clean frame, -1..1, that may lie behind the noisy one: the expected colour plus a correction.

        Args:
            noisy: x_t. B stacks views, and within each view `num_steps` consecutive steps.
            t: noise level, 0..1.
            conditions: from `encode`.
            carried: the carried frame and its validity.
            noise: fresh noise: which of the possible frames is drawn.
            partners: cells of other views that show the same (`cross_view.find_partners`).
            memory: what each view remembers of the steps before these; None at the start. Not modified.
            num_steps: consecutive steps that B holds of each view.

        Returns:
            The frame, and the memory after these steps.
        """
        embedding = functional.silu(conditions.style + self.time_in(time_features(t)))
        pixels = torch.cat([noisy, carried, conditions.base, noise], dim=1)
        hidden = self.noisy_in(functional.pixel_unshuffle(pixels, PATCH)) + conditions.patches
        for block in self.middle_in:
            hidden = block(hidden, embedding)
        skip = hidden
        hidden = self.down(hidden)
        for index, block in enumerate(self.deep):
            hidden = block(hidden, embedding)
            if self.size.attention:
                hidden = self.attention[index](hidden)
            if self.cross_view is not None and index == len(self.deep) // 2:
                hidden = self.cross_view(hidden, partners)
        hidden, memory = self._remember(hidden, memory, num_steps=num_steps)
        grown = functional.interpolate(self.norm_deep(hidden), size=skip.shape[-2:], mode="nearest")
        hidden = skip + self.up(grown)
        for block in self.middle_out:
            hidden = block(hidden, embedding)
        # Nothing that saturates here: features that drift out of reach of a SiLU are lost for ever.
        full = functional.pixel_shuffle(self.from_patches(self.norm_patches(hidden)), PATCH)
        full = self.head_in(torch.cat([full, conditions.detail, pixels], dim=1))
        scale, shift = self.head_modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        full = self.head_mid(functional.silu(full * (1 + scale) + shift))
        return conditions.base + self.head_out(functional.silu(full)), memory

    def _remember(
        self, hidden: Float[Tensor, "B C h w"], memory: TemporalState | None, *, num_steps: int
    ) -> tuple[Float[Tensor, "B C h w"], TemporalState | None]:
        """Mix along time, cell by cell of a coarse grid; the state does not grow with the video."""
        if self.temporal is None:
            return hidden, None
        rows, columns = MEMORY_CELLS
        cells = functional.adaptive_avg_pool2d(hidden, MEMORY_CELLS)
        tokens = cells.unflatten(0, (-1, num_steps)).permute(0, 3, 4, 1, 2).flatten(0, 2)
        change, memory = self.temporal(tokens, memory)
        change = change.unflatten(0, (-1, rows, columns)).permute(0, 3, 4, 1, 2).flatten(0, 1)
        grown = functional.interpolate(change, size=hidden.shape[-2:], mode="bilinear", align_corners=False)
        return hidden + grown.contiguous(memory_format=torch.channels_last), memory
