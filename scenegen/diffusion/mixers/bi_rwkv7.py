"""`bi_rwkv7`: two opposite RWKV-7 scans over a grid; cost grows with the number of tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from scenegen.diffusion.mixers.interface import TokenPlace
from scenegen.diffusion.rwkv7 import LOW_RANK, Rwkv7Mixer, Rwkv7Tokens
from scenegen.diffusion.rwkv7_fused import scan_tokens_fast
from scenegen.diffusion.rwkv7_long import reverse_tokens, scan_flops

Axis = Literal["rows", "columns"]


class BiRwkv7(nn.Module):
    """One RWKV-7 layer scanned forwards and backwards, along rows or along columns, and summed.

    Ours, not B3D-RWKV, which is causal. Both directions share their projections, as the token shift looks to all four
    sides: a quarter of the channels comes from each neighbour (Vision-RWKV, Duan et al., 2024, arXiv 2403.02308).
    """

    def __init__(self, channels: int, *, along: Axis, head_size: int = 32) -> None:
        super().__init__()
        self.channels, self.along = channels, along
        self.cell = Rwkv7Mixer(channels, head_size=head_size)
        self.cell.norm = nn.Identity()  # the caller normalises

    def forward(self, x: Float[Tensor, "B T C"], place: TokenPlace) -> Float[Tensor, "B T C"]:
        """Return the change to add."""
        grid = x.unflatten(1, (place.rows, place.columns))
        if self.along == "columns":
            grid = grid.transpose(1, 2)
        tokens, gate = self.cell.project(grid.flatten(1, 2), shift_four_ways(grid).flatten(1, 2))
        with torch.autocast(x.device.type, enabled=False):
            y = scan_both_ways(tokens)
        change = self.cell.combine(y, tokens, gate)
        if self.along == "columns":
            change = change.unflatten(1, (place.columns, place.rows)).transpose(1, 2).flatten(1, 2)
        return change

    def flops(self, place: TokenPlace) -> int:
        """Return the FLOPs for one sequence."""
        length = place.rows * place.columns
        cell = self.cell
        scan = scan_flops(length, num_heads=2 * cell.num_heads, head_size=cell.head_size)
        return projection_flops(length, channels=self.channels) + scan


def scan_both_ways(tokens: Rwkv7Tokens) -> Float[Tensor, "N H T D"]:
    """Return what every token reads from those before it plus from those after it; from itself twice."""
    other = reverse_tokens(tokens)
    both = replace(tokens, **{name: torch.cat([getattr(tokens, name), getattr(other, name)], 1) for name in "rwkvab"})
    forwards, backwards = scan_tokens_fast(both).chunk(2, dim=1)
    return forwards + backwards.flip(2)


def shift_four_ways(grid: Float[Tensor, "B R K C"]) -> Float[Tensor, "B R K C"]:
    """Return for every cell a quarter of the channels of each neighbour; zeros beyond the edge."""
    up, down, left, right = grid.chunk(4, dim=3)
    return torch.cat(
        [
            functional.pad(up, (0, 0, 0, 0, 1, 0))[:, :-1],
            functional.pad(down, (0, 0, 0, 0, 0, 1))[:, 1:],
            functional.pad(left, (0, 0, 1, 0))[:, :, :-1],
            functional.pad(right, (0, 0, 0, 1))[:, :, 1:],
        ],
        dim=3,
    )


def projection_flops(num_tokens: int, *, channels: int) -> int:
    """Return the FLOPs of an RWKV-7 layer's linear maps: four full ones and three of low rank."""
    return 2 * num_tokens * (4 * channels**2 + 3 * 2 * channels * LOW_RANK)
