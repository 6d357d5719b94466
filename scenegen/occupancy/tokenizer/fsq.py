"""Finite scalar quantisation: a code is a point of a small grid, and its index counts the grid's points.

Source: Mentzer, Minnen, Agustsson and Tschannen, 2023, "Finite Scalar Quantization: VQ-VAE Made Simple", arXiv
2309.15505, section 3 and appendix A; (8, 5, 5, 5) is their choice for about 2^10 codes.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

SLACK = 1e-3
"""The bound lies this share beyond the outermost values, so that these are reached with a gradient."""


class FiniteScalarQuantizer(nn.Module):
    """A grid of `levels[d]` values along axis d.

    >>> FiniteScalarQuantizer((8, 5, 5, 5)).num_codes
    1000
    """

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = levels
        self.num_codes = math.prod(levels)

    def forward(self, z: Float[Tensor, "B D *S"]) -> Float[Tensor, "B D *S"]:
        """Return the nearest points of the grid, within -1..1, with the gradient of the bounded input."""
        count = self._along(z, [float(level) for level in self.levels])
        half = (count - 1) * (1 + SLACK) / 2
        offset = torch.where(count % 2 == 0, 0.5, 0.0)
        bounded = torch.tanh(z + torch.atanh(offset / half)) * half - offset
        rounded = bounded + (bounded.round() - bounded).detach()
        return rounded / (count // 2)

    def to_index(self, code: Float[Tensor, "B D *S"]) -> Int[Tensor, "B *S"]:
        """Return 0 to num_codes - 1; the first axis counts fastest."""
        halves = self._along(code, [level // 2 for level in self.levels])
        digits = (code * halves + halves).round().long()
        return (digits * self._along(digits, self._strides())).sum(dim=1)

    def from_index(self, index: Int[Tensor, "B *S"]) -> Float[Tensor, "B D *S"]:
        """Return the point of the grid that an index counts."""
        index = index.unsqueeze(1)
        digits = index // self._along(index, self._strides()) % self._along(index, list(self.levels))
        halves = self._along(index, [level // 2 for level in self.levels])
        return (digits - halves) / halves

    def _strides(self) -> list[int]:
        return [math.prod(self.levels[:axis]) for axis in range(len(self.levels))]

    @staticmethod
    def _along(like: Tensor, values: list[int] | list[float]) -> Tensor:
        """Return one number per axis, shaped to go with (B, D, ...)."""
        return torch.tensor(values, device=like.device).reshape(1, -1, *[1] * (like.dim() - 2))
