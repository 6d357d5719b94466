"""`attention`: every token looks at every other; cost grows with the square of their number."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from scenegen.diffusion.mixers.interface import TokenPlace

ROTARY_BASE = 100.0
"""Wavelengths from 6 cells to a few hundred, one set per axis of the grid."""


class GridAttention(nn.Module):
    """Bidirectional self-attention with rotary positions, half of each head for rows and half for columns.

    Source: rotary embedding of Su et al., 2021 (arXiv 2104.09864), by axis as in Lu et al., 2024 (arXiv 2402.12376).
    """

    def __init__(self, channels: int, *, head_size: int = 32) -> None:
        super().__init__()
        if channels % head_size or head_size % 4:
            raise ValueError(f"channels {channels} must be a multiple of head_size {head_size}, and that of 4")
        self.channels, self.num_heads, self.head_size = channels, channels // head_size, head_size
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.out = nn.Linear(channels, channels, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Float[Tensor, "B T C"], place: TokenPlace) -> Float[Tensor, "B T C"]:
        """Return the change to add."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, self.head_size)).permute(2, 0, 3, 1, 4)
        angle = grid_angles(place.rows, place.columns, head_size=self.head_size, device=x.device)
        cos, sin = angle.cos().to(q.dtype), angle.sin().to(q.dtype)
        mixed = functional.scaled_dot_product_attention(turn(q, cos, sin), turn(k, cos, sin), v)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def flops(self, place: TokenPlace) -> int:
        """Return the FLOPs for one sequence."""
        length = place.rows * place.columns
        return 2 * length * 4 * self.channels**2 + 4 * length**2 * self.channels


def grid_angles(rows: int, columns: int, *, head_size: int, device: torch.device) -> Float[Tensor, "T A"]:
    """Return the angle of every pair of numbers of a head, head_size / 2 of them, in radians."""
    num_axis = head_size // 4
    frequency = ROTARY_BASE ** (-torch.arange(num_axis, device=device, dtype=torch.float32) / num_axis)
    row = (torch.arange(rows, device=device)[:, None] * frequency)[:, None].expand(rows, columns, num_axis)
    column = (torch.arange(columns, device=device)[:, None] * frequency)[None].expand(rows, columns, num_axis)
    return torch.cat([row, column], dim=2).flatten(0, 1)


def turn(x: Float[Tensor, "B H T D"], cos: Float[Tensor, "T A"], sin: Float[Tensor, "T A"]) -> Float[Tensor, "B H T D"]:
    """Turn number i of a head with number i + D / 2."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
