"""The tokenizer's network: patches of columns to codes of a finite grid, and back, with the layout as context.

Levels are channels, so all convolutions are flat. Blocks are those of ConvNeXt (Liu et al., 2022, arXiv 2201.03545)
with small kernels; norms are taken over channels, at every place by itself, so that a crop and a whole world agree
away from their edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from scenegen.occupancy.tokenizer.fsq import FiniteScalarQuantizer
from scenegen.occupancy.tokenizer.planes import NUM_CONTEXT


@dataclass(frozen=True, kw_only=True)
class TokenizerSize:
    """Everything that decides the shape of the weights.

    Attributes:
        num_levels: Z, voxels of a column.
        patch: columns along each side of a patch, which one code stands for.
        grid: values along each axis of a code.
        width: channels of a patch.
        column_width: channels of a column in the decoder.
        num_encoder, num_decoder, num_column: blocks.
    """

    num_levels: int = 64
    patch: int = 4
    grid: tuple[int, ...] = (8, 5, 5, 5)
    width: int = 128
    column_width: int = 32
    num_encoder: int = 2
    num_decoder: int = 4
    num_column: int = 2


class _ChannelNorm(nn.Module):
    """Layer norm over channels at every place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "B C X Y"]) -> Float[Tensor, "B C X Y"]:
        last = functional.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias)
        return last.permute(0, 3, 1, 2)


class _Block(nn.Module):
    def __init__(self, channels: int, *, kernel: int = 3, ratio: int = 2) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = _ChannelNorm(channels)
        self.widen = nn.Conv2d(channels, ratio * channels, 1)
        self.narrow = nn.Conv2d(ratio * channels, channels, 1)

    def forward(self, x: Float[Tensor, "B C X Y"]) -> Float[Tensor, "B C X Y"]:
        return x + self.narrow(functional.gelu(self.widen(self.norm(self.mix(x)))))


class TokenizerNetwork(nn.Module):
    """Encoder, quantiser and decoder. X and Y are multiples of the patch; x and y are X and Y in patches."""

    def __init__(self, size: TokenizerSize) -> None:
        super().__init__()
        self.size = size
        width, column, patch = size.width, size.column_width, size.patch
        axes = len(size.grid)
        self.quantizer = FiniteScalarQuantizer(size.grid)
        self.fold = nn.Sequential(
            nn.Conv2d(2 * size.num_levels + 1 + NUM_CONTEXT, 48, 1),
            nn.GELU(),
            nn.Conv2d(48, width, patch, stride=patch),
        )
        self.encoder = nn.Sequential(
            *(_Block(width) for _ in range(size.num_encoder)), _ChannelNorm(width), nn.Conv2d(width, axes, 1)
        )
        self.context = nn.Sequential(
            nn.Conv2d(NUM_CONTEXT, 24, 1), nn.GELU(), nn.Conv2d(24, width, patch, stride=patch)
        )
        self.code = nn.Conv2d(axes + 1, width, 1)
        self.decoder = nn.Sequential(*(_Block(width) for _ in range(size.num_decoder)), _ChannelNorm(width))
        self.unfold = nn.Sequential(nn.Conv2d(width, column * patch * patch, 1), nn.PixelShuffle(patch))
        self.column_context = nn.Conv2d(NUM_CONTEXT, column, 1)
        self.columns = nn.Sequential(
            *(_Block(column, ratio=3) for _ in range(size.num_column)),
            _ChannelNorm(column),
            nn.Conv2d(column, 3 * column, 1),
            nn.GELU(),
            nn.Conv2d(3 * column, 2 * size.num_levels + 1, 1),
        )

    def encode(self, planes: Float[Tensor, "B P X Y"], context: Float[Tensor, "B K X Y"]) -> Float[Tensor, "B D x y"]:
        """Return the point of the grid of every patch."""
        return self.quantize(self.fold_patches(planes, context))

    def fold_patches(
        self, planes: Float[Tensor, "B P X Y"], context: Float[Tensor, "B K X Y"]
    ) -> Float[Tensor, "B W x y"]:
        """Return features of patches, each seen alone."""
        folded: Tensor = self.fold(torch.cat([planes, context], dim=1))
        return folded

    def quantize(self, folded: Float[Tensor, "B W x y"]) -> Float[Tensor, "B D x y"]:
        """Return codes of patches that see their neighbours."""
        point: Tensor = self.quantizer(self.encoder(folded).float())
        return point

    def decode(
        self, point: Float[Tensor, "B D x y"], context: Float[Tensor, "B K X Y"], coded: Bool[Tensor, "B x y"]
    ) -> Float[Tensor, "B P X Y"]:
        """Return logits as `decode_columns` does."""
        return self.decode_columns(self.decode_patches(point, context, coded), context)

    def decode_patches(
        self, point: Float[Tensor, "B D x y"], context: Float[Tensor, "B K X Y"], coded: Bool[Tensor, "B x y"]
    ) -> Float[Tensor, "B W x y"]:
        """Return features of patches; those that are not `coded` say nothing but that."""
        is_coded = coded[:, None].to(point.dtype)
        known = self.code(torch.cat([point * is_coded, is_coded], dim=1))
        features: Tensor = self.decoder(known + self.context(context))
        return features

    def decode_columns(
        self, features: Float[Tensor, "B W x y"], context: Float[Tensor, "B K X Y"]
    ) -> Float[Tensor, "B P X Y"]:
        """Return logits of manmade and of vegetation against free at every level, then of paved against terrain."""
        logits: Tensor = self.columns(self.unfold(features) + self.column_context(context))
        return logits
