"""A picture autoencoder, for flow in latents instead of pixels. An option under test: no shipped model uses it.

Ours in size, standard in kind (Rombach et al., 2022, arXiv 2112.10752): strided convolutions down to 1/4 or 1/8 of
the resolution and pixel shuffles back up. The decoder may be guided by features at full resolution; then pictures are
coded as the difference from the colour to expect, which the conditions give away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class AutoencoderSize:
    """Size of an autoencoder.

    Attributes:
        factor: pixels along the edge of a latent cell.
        channels: numbers per cell.
        guide: channels of the decoder's guide, 0 for none.
        width: channels at half resolution; twice as many below.
    """

    factor: Literal[4, 8]
    channels: int
    guide: int = 0
    width: int = 48


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(max(1, channels // 16), channels)
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        hidden = functional.silu(self.conv_in(functional.silu(self.norm(x))))
        return x + self.conv_out(hidden)


class PictureAutoencoder(nn.Module):
    """Codes pictures, or differences from the expected colour, on a grid of 1/4 or 1/8 of the resolution.

    `mean` and `spread` scale latents to variance one; training sets them.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, size: AutoencoderSize) -> None:
        super().__init__()
        self.size = size
        width, deep, finish = size.width, 2 * size.width, 24
        halvings = {4: 1, 8: 2}[size.factor]
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, width, 3, padding=1),
            _Block(width),
            nn.Conv2d(width, deep, 3, stride=2, padding=1),
            *(nn.Conv2d(deep, deep, 3, stride=2, padding=1) for _ in range(halvings - 1)),
            _Block(deep),
            nn.Conv2d(deep, size.channels, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(size.channels, deep, 3, padding=1),
            _Block(deep),
            *(layer for _ in range(halvings - 1) for layer in (nn.Conv2d(deep, 4 * deep, 1), nn.PixelShuffle(2))),
            _Block(deep),
            nn.Conv2d(deep, 4 * width, 1),
            nn.PixelShuffle(2),
            _Block(width),
            nn.Conv2d(width, 4 * finish, 1),
            nn.PixelShuffle(2),
        )
        self.finish = nn.Sequential(
            nn.Conv2d(finish + size.guide, finish, 3, padding=1), nn.SiLU(), nn.Conv2d(finish, 3, 3, padding=1)
        )
        self.register_buffer("mean", torch.zeros(size.channels))
        self.register_buffer("spread", torch.ones(size.channels))

    def encode(self, picture: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B L h w"]:
        """Return latents, variance about one; height and width must be multiples of the factor."""
        code = self.encoder(picture)
        return (code - self.mean[:, None, None]) / self.spread[:, None, None]

    def decode(
        self, latent: Float[Tensor, "B L h w"], guide: Float[Tensor, "B G H W"] | None = None
    ) -> Float[Tensor, "B 3 H W"]:
        """Return the picture of latents; `guide` must be there if and only if the size says so."""
        assert (guide is not None) == (self.size.guide > 0)
        fine = self.decoder(latent * self.spread[:, None, None] + self.mean[:, None, None])
        return self.finish(fine if guide is None else torch.cat([fine, guide], dim=1))


def save_autoencoder(model: PictureAutoencoder, path: Path, *, notes: dict[str, str]) -> None:
    """Write weights as half-precision safetensors with the size in the header."""
    import json

    from safetensors.torch import save_file

    tensors = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(path), metadata={"size": json.dumps(asdict(model.size)), **notes})
