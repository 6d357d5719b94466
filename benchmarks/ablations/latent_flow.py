"""Flow in the latents of an autoencoder: the alternative to the pixel network, as like it as can be.

The same pointwise encoder reads the conditions, the same blocks do the work, at the resolution of the latents; there
is no full-resolution head, since pixels are the decoder's business. Latents code the difference from the expected
colour, as the pixel network corrects it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.ablations.clips import StepInputs
from scenegen.diffusion.attention import PictureWindows
from scenegen.diffusion.flow import noise_levels, sample_euler
from scenegen.diffusion.rwkv7 import Rwkv7Mixer
from scenegen.diffusion.time_features import time_features
from scenegen.video.cross_view import CrossView
from scenegen.video.history import contract_history
from scenegen.video.latent import PictureAutoencoder
from scenegen.video.network import (
    MEMORY_CELLS,
    EncodedConditions,
    NetworkSize,
    PixelEncoder,
    ResidualBlock,
    TemporalState,
)
from scenegen.video.planes import STYLE_SIZE

FLAT_WIDTH = 128
"""Channels of the 1/8 level where it is the only one: about the time per step of two levels."""


class LatentNetwork(nn.Module):
    """Draws clean latents from noisy ones, condition planes, the carried frame, the style code and fresh noise."""

    def __init__(self, size: NetworkSize, autoencoder: PictureAutoencoder) -> None:
        super().__init__()
        factor, channels, embedding = autoencoder.size.factor, autoencoder.size.channels, size.embedding
        self.autoencoder = autoencoder.requires_grad_(False)
        self.channels = channels
        middle = size.middle if factor == 4 else FLAT_WIDTH
        deep = size.deep if factor == 4 else FLAT_WIDTH
        self.style_in = nn.Sequential(nn.Linear(STYLE_SIZE, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.time_in = nn.Sequential(nn.Linear(32, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.pixel = PixelEncoder(size.pixel, size.detail)
        self.conditions_in = nn.Conv2d(3 + size.detail, middle, factor, stride=factor)
        self.carried_in = nn.Conv2d(4 * factor * factor, middle, 1)
        self.noisy_in = nn.Conv2d(2 * channels, middle, 1)
        self.middle_in = nn.ModuleList(ResidualBlock(middle, embedding) for _ in range(size.num_middle))
        is_flat = factor == 8
        self.down = nn.Identity() if is_flat else nn.Conv2d(middle, deep, 3, stride=2, padding=1)
        self.deep = nn.ModuleList(ResidualBlock(deep, embedding) for _ in range(size.num_deep))
        self.attention = nn.ModuleList(PictureWindows(deep, shifted=k % 2 == 1) for k in range(size.num_deep))
        self.cross_view = CrossView(deep)
        self.temporal = Rwkv7Mixer(deep)
        self.up = nn.Identity() if is_flat else nn.Conv2d(deep, middle, 3, padding=1)
        self.middle_out = nn.ModuleList(ResidualBlock(middle, embedding) for _ in range(size.num_middle))
        self.exit = nn.Conv2d(middle, channels, 3, padding=1)
        nn.init.zeros_(self.exit.weight)

    def encode(self, planes: Float[Tensor, "B C H W"], style: Float[Tensor, "B S"]) -> EncodedConditions:
        """Read the conditions once per frame."""
        pixels = self.pixel(planes, style)
        return EncodedConditions(
            base=pixels[:, :3], detail=pixels[:, 3:], patches=self.conditions_in(pixels), style=self.style_in(style)
        )

    def forward(
        self,
        noisy: Float[Tensor, "B L h w"],
        t: Float[Tensor, " B"],
        *,
        conditions: EncodedConditions,
        carried: Float[Tensor, "B 4 H W"],
        noise: Float[Tensor, "B L h w"],
        partners: Int[Tensor, "B P i j"] | None,
        memory: TemporalState | None,
        num_steps: int,
    ) -> tuple[Float[Tensor, "B L h w"], TemporalState | None]:
        """Draw clean latents; arguments as in `VideoNetwork.forward`."""
        embedding = functional.silu(conditions.style + self.time_in(time_features(t)))
        factor = carried.shape[-1] // noisy.shape[-1]
        hidden = self.noisy_in(torch.cat([noisy, noise], dim=1)) + conditions.patches
        hidden = hidden + self.carried_in(functional.pixel_unshuffle(carried, factor))
        for block in self.middle_in:
            hidden = block(hidden, embedding)
        skip, hidden = hidden, self.down(hidden)
        for index, (block, windows) in enumerate(zip(self.deep, self.attention, strict=True)):
            hidden = windows(block(hidden, embedding))
            if index == len(self.deep) // 2:
                hidden = self.cross_view(hidden, partners)
        cells = functional.adaptive_avg_pool2d(hidden, MEMORY_CELLS)
        tokens = cells.unflatten(0, (-1, num_steps)).permute(0, 3, 4, 1, 2).flatten(0, 2)
        change, memory = self.temporal(tokens, memory)
        change = change.unflatten(0, (-1, *MEMORY_CELLS)).permute(0, 3, 4, 1, 2).flatten(0, 1)
        hidden = hidden + functional.interpolate(change, size=hidden.shape[-2:], mode="bilinear", align_corners=False)
        hidden = self.up(functional.interpolate(hidden, size=skip.shape[-2:], mode="nearest"))
        hidden = skip + hidden
        for block in self.middle_out:
            hidden = block(hidden, embedding)
        return self.exit(functional.silu(hidden)), memory

    def latent_noise(self, noise: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B L h w"]:
        """Turn white noise of pixels into white noise of latents: its lowest cosine coefficients in each cell.

        The transform is orthonormal, so Gaussian noise stays Gaussian with variance one, and noise that belongs to
        surfaces goes on belonging to them.
        """
        basis = cosine_basis(self.autoencoder.size.factor, self.channels)
        return functional.conv2d(noise, basis, stride=self.autoencoder.size.factor)


def cosine_basis(factor: int, channels: int) -> Float[Tensor, "L 3 F F"]:
    """Return the first `channels` orthonormal cosine waves of a cell of three colours, lowest frequency first."""
    place = (torch.arange(factor) + 0.5) / factor
    waves = torch.stack(
        [torch.cos(math.pi * k * place) * math.sqrt((1.0 if k == 0 else 2.0) / factor) for k in range(3)]
    )
    order = sorted(((i, j) for i in range(3) for j in range(3)), key=lambda pair: pair[0] + pair[1])
    flat = torch.stack([torch.outer(waves[i], waves[j]) for i, j in order])
    basis = torch.zeros(len(order), 3, 3, factor, factor)
    for color in range(3):
        basis[:, color, color] = flat
    return basis.flatten(0, 1)[:channels]


@dataclass(frozen=True, kw_only=True)
class LatentSampler:
    """The latent network with its decoder."""

    network: LatentNetwork

    def draw(self, step: StepInputs) -> tuple[Float[Tensor, "V 3 H W"], TemporalState | None]:
        network = self.network
        encoded = network.encode(step.planes, step.style)
        seen = contract_history(step.carried, encoded.base, keep=step.keep)
        after: list[TemporalState | None] = [None]

        def predict(noisy: Tensor, t: Tensor, k: int) -> Tensor:
            clean, after[0] = network(
                noisy,
                t,
                conditions=encoded,
                carried=seen,
                noise=network.latent_noise(step.noise[:, 3 + 3 * k : 6 + 3 * k]),
                partners=step.partners,
                memory=step.memory,
                num_steps=1,
            )
            return clean

        latent = sample_euler(predict, network.latent_noise(step.noise[:, :3]), levels=noise_levels(step.steps))
        return decode_on(network, latent, encoded).clamp(-1.0, 1.0), after[0]


def decode_on(
    network: LatentNetwork, latent: Float[Tensor, "B L h w"], encoded: EncodedConditions
) -> Float[Tensor, "B 3 H W"]:
    """Decode latents and add the expected colour."""
    guide = torch.cat([encoded.base, encoded.detail], dim=1)
    return encoded.base + network.autoencoder.decode(latent, guide)
