"""Attention in windows: over the picture (`PictureWindows`) and over the recent past (`RecentPast`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

HEAD_SIZE = 32


class PictureWindows(nn.Module):
    """Self-attention inside windows of a feature map; every other layer shifts them by half a window.

    Source: windows and shift of Swin (Liu et al., 2021, arXiv 2103.14030). Ours: no position bias (features know their
    viewing rays), and padding cells take part with value zero instead of being masked.
    """

    def __init__(self, channels: int, *, window: tuple[int, int] = (7, 9), shifted: bool) -> None:
        super().__init__()
        self.window = window
        self.offset = (window[0] // 2, window[1] // 2) if shifted else (0, 0)
        self.num_heads = channels // HEAD_SIZE
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return `x` plus what each cell learned from its window."""
        batch, channels, height, width = x.shape
        rows, columns = self.window
        top, left = self.offset
        bottom = -(height + top) % rows
        right = -(width + left) % columns
        tokens = self.norm(x.permute(0, 2, 3, 1))
        tokens = functional.pad(tokens, (0, 0, left, right, top, bottom))
        tall, wide = tokens.shape[1] // rows, tokens.shape[2] // columns
        tokens = tokens.view(batch, tall, rows, wide, columns, channels).transpose(2, 3)
        tokens = tokens.reshape(batch * tall * wide, rows * columns, channels)
        q, k, v = self.qkv(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        mixed = self.out(mixed).view(batch, tall, wide, rows, columns, channels).transpose(2, 3)
        mixed = mixed.reshape(batch, tall * rows, wide * columns, channels)
        change = mixed[:, top : top + height, left : left + width].permute(0, 3, 1, 2)
        return x + change.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True, kw_only=True)
class RecentTokens:
    """The last tokens of N sequences; `count` of them are real, the newest last."""

    tokens: Float[Tensor, "N W C"]
    count: int

    def detach(self) -> RecentTokens:
        """Return the same state without its graph."""
        return RecentTokens(tokens=self.tokens.detach(), count=self.count)


class RecentPast(nn.Module):
    """Causal attention over the last `reach` tokens: the quadratic alternative to `Rwkv7Mixer`, same interface."""

    def __init__(self, channels: int, *, reach: int = 8) -> None:
        super().__init__()
        self.reach = reach
        self.num_heads = channels // HEAD_SIZE
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.age = nn.Parameter(torch.zeros(self.num_heads, reach))
        self.out = nn.Linear(channels, channels, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(
        self, x: Float[Tensor, "N T C"], state: RecentTokens | None
    ) -> tuple[Float[Tensor, "N T C"], RecentTokens]:
        """Return the change to add to `x`, and the last tokens. `state` is not modified."""
        steps, channels = x.shape[1], x.shape[2]
        x = self.norm(x)
        if state is None:
            state = RecentTokens(tokens=x.new_zeros(len(x), self.reach - 1, channels), count=0)
        joined = torch.cat([state.tokens.to(x.dtype), x], dim=1)
        q, k, v = self.qkv(joined).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        now = torch.arange(self.reach - 1, self.reach - 1 + steps, device=x.device)[:, None]
        then = torch.arange(joined.shape[1], device=x.device)[None]
        age = now - then
        seen = (age >= 0) & (age < self.reach) & (then >= self.reach - 1 - state.count)
        bias = self.age[:, age.clamp(0, self.reach - 1)].masked_fill(~seen, float("-inf")).to(x.dtype)
        mixed = functional.scaled_dot_product_attention(q[:, :, self.reach - 1 :], k, v, attn_mask=bias[None])
        count = min(state.count + steps, self.reach - 1)
        return self.out(mixed.transpose(1, 2).flatten(2)), RecentTokens(
            tokens=joined[:, joined.shape[1] - (self.reach - 1) :], count=count
        )
