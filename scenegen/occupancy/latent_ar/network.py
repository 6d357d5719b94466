"""The flow-matching transformer of the reference design: layout tokens, occupancy tokens, a memory of clean frames.

After STOccDiT of AnyScene (2026, arXiv 2605.26113): every block attends over the layout and occupancy tokens of one
step, then each occupancy token attends to the clean frames strictly before, and the network returns the velocity of a
straight path from latents to noise. Ours differ where a small budget asks for it or the paper is silent: layout tokens
are coarser and the layout under an occupancy token is given to it as well; past frames are moved into the present ego
frame, and enter every block as they are, embedded once; noise levels modulate through one shared layer (PixArt-alpha,
Chen et al. 2023, arXiv 2310.00426).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from scenegen.diffusion.attention import HEAD_SIZE
from scenegen.occupancy.latent_ar.autoencoder import PATCH, PatchEmbedding, to_patches
from scenegen.occupancy.latent_ar.codes import NUM_GROUPS, NUM_SURFACES
from scenegen.types import OCC3D_GRID
from scenegen.types.layout import STYLES

CELLS = OCC3D_GRID.shape[0] // PATCH
"""Latent cells along an edge of the ego frame."""
TOKEN_CELLS = 2
"""Latent cells along the edge of a token: 3.2 m."""
TOKENS = CELLS // TOKEN_CELLS
LAYOUT_TOKENS = (TOKENS + 1) // 2
STYLE_ROWS = ("", *STYLES)
"""Rows of the style embedding; the first is for any mixture."""
MOTION_SIZE = 3


@dataclass(frozen=True, kw_only=True)
class NetworkSize:
    """Size of the transformer; `reach` is the number of past frames it sees."""

    latent: int = 16
    width: int = 128
    depth: int = 7
    reach: int = 3
    surface: int = 32


@dataclass(frozen=True, kw_only=True)
class LayoutTokens:
    """An encoded layout: a feature per occupancy token, coarser tokens to attend to, and what holds for all."""

    places: Float[Tensor, "B N C"]
    tokens: Float[Tensor, "B M C"]
    whole: Float[Tensor, "B C"]


@dataclass(frozen=True, kw_only=True)
class PastFrames:
    """Clean latents of the frames before, moved into the present ego frame.

    Attributes:
        latents: the newest last, zero where nothing is known.
        seen: 1 in cells that were inside the earlier frame.
        is_there: frames that exist.
        motion: forward and left move in units of 10 m, and turn in radians, from the frame before to this one.
    """

    latents: Float[Tensor, "B P L h w"]
    seen: Float[Tensor, "B P 1 h w"]
    is_there: Bool[Tensor, "B P"]
    motion: Float[Tensor, "B 3"]


class LatentArNetwork(nn.Module):
    """Predicts the velocity `noise - latents` of one step's latents."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        width, latent = size.width, size.latent
        in_token = latent * TOKEN_CELLS**2
        self.surface = PatchEmbedding(PATCH * PATCH, NUM_SURFACES, size.surface)
        self.agents = PatchEmbedding(PATCH * PATCH, NUM_GROUPS, size.surface)
        self.layout_body = nn.Sequential(
            nn.Conv2d(size.surface, 64, 3, padding=1), nn.SiLU(), nn.Conv2d(64, width, 2, stride=2), nn.SiLU()
        )
        self.layout_down = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.style = nn.Embedding(len(STYLE_ROWS), width)
        self.embed = nn.Linear(in_token + width, width)
        self.embed_past = nn.Linear((latent + 1) * TOKEN_CELLS**2, width)
        self.age = nn.Parameter(0.02 * torch.randn(size.reach, width))
        self.nothing = nn.Parameter(0.02 * torch.randn(width))
        self.kind = nn.Parameter(0.02 * torch.randn(2, width))
        self.motion = nn.Linear(MOTION_SIZE, width)
        self.level = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(size.depth))
        self.norm_out = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation_out = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, in_token)
        for layer in (self.modulation, self.modulation_out, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("places", _sines(_token_places(TOKENS, 1), width), persistent=False)
        self.register_buffer("layout_places", _sines(_token_places(LAYOUT_TOKENS, 2), width), persistent=False)

    def read_layout(
        self, surface: UInt8[Tensor, "B X Y"], agents: UInt8[Tensor, "B X Y"], style: Int[Tensor, " B"]
    ) -> LayoutTokens:
        """Encode layout pictures; see `blank_layout` for saying nothing."""
        features = self.surface(to_patches(surface)) + self.agents(to_patches(agents))
        fine = self.layout_body(features)
        coarse = self.layout_down(fine)
        return LayoutTokens(
            places=fine.flatten(2).transpose(1, 2),
            tokens=coarse.flatten(2).transpose(1, 2) + self.layout_places + self.kind[1],
            whole=self.style(style),
        )

    def forward(
        self, noisy: Float[Tensor, "B L h w"], t: Float[Tensor, " B"], *, layout: LayoutTokens, past: PastFrames
    ) -> Float[Tensor, "B L h w"]:
        """Return the velocity at noise level t (0 clean, 1 noise)."""
        count = TOKENS * TOKENS
        tokens = self.embed(torch.cat([_to_tokens(noisy), layout.places], dim=-1)) + self.places + self.kind[0]
        x = torch.cat([tokens, layout.tokens], dim=1)
        memory, is_known = self._remember(past)
        state = self.level(_sines(1000.0 * t[:, None], 64)) + layout.whole + self.motion(past.motion)
        shared = self.modulation(functional.silu(state)).unflatten(-1, (6, -1))
        for block in self.blocks:
            x = block(x, shared, memory=memory, is_known=is_known, count=count)
        scale, shift = self.modulation_out(functional.silu(state))[:, None].chunk(2, dim=-1)
        return _from_tokens(self.out(self.norm_out(x[:, :count]) * (1.0 + scale) + shift))

    def _remember(self, past: PastFrames) -> tuple[Float[Tensor, "B N P C"], Bool[Tensor, "B P"]]:
        """Embed past frames token by token, after a token that says nothing, which is always there."""
        batch, reach = past.latents.shape[:2]
        cells = torch.cat([past.latents, past.seen], dim=2).flatten(0, 1)
        tokens = self.embed_past(_to_tokens(cells)).unflatten(0, (batch, reach)).transpose(1, 2) + self.age
        nothing = self.nothing.expand(batch, tokens.shape[1], 1, -1)
        always = torch.ones(batch, 1, dtype=torch.bool, device=tokens.device)
        return torch.cat([nothing, tokens], dim=2), torch.cat([always, past.is_there], dim=1)


class _Block(nn.Module):
    """Attention over one step, attention to the past, and a pointwise network; each behind a gate.

    The gate of the past begins at zero, so that training begins with frames by themselves.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_heads = width // HEAD_SIZE
        self.norm_space = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.out_space = nn.Linear(width, width)
        self.norm_time = nn.LayerNorm(width)
        self.q_time = nn.Linear(width, width)
        self.kv_time = nn.Linear(width, 2 * width)
        self.out_time = nn.Linear(width, width)
        nn.init.zeros_(self.out_time.weight)
        nn.init.zeros_(self.out_time.bias)
        self.norm_point = nn.LayerNorm(width, elementwise_affine=False)
        self.point = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        gates = torch.zeros(6, width)
        gates[[2, 5]] = 0.5
        self.own = nn.Parameter(gates)

    def forward(
        self,
        x: Float[Tensor, "B S C"],
        shared: Float[Tensor, "B 6 C"],
        *,
        memory: Float[Tensor, "B N P C"],
        is_known: Bool[Tensor, "B P"],
        count: int,
    ) -> Float[Tensor, "B S C"]:
        """Return the tokens after this block; the first `count` are occupancy tokens."""
        scale, shift, gate, scale_point, shift_point, gate_point = (shared + self.own)[:, :, None].unbind(1)
        x = x + gate * self._attend(self.norm_space(x) * (1.0 + scale) + shift)
        x = torch.cat([x[:, :count] + self._recall(x[:, :count], memory, is_known), x[:, count:]], dim=1)
        return x + gate_point * self.point(self.norm_point(x) * (1.0 + scale_point) + shift_point)

    def _attend(self, x: Float[Tensor, "B S C"]) -> Float[Tensor, "B S C"]:
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out_space(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def _recall(
        self, x: Float[Tensor, "B N C"], memory: Float[Tensor, "B N P C"], is_known: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B N C"]:
        """Attend from every token to the past at its own place."""
        q = self.q_time(self.norm_time(x)).unflatten(-1, (self.num_heads, -1))
        k, v = self.kv_time(memory).unflatten(-1, (2, self.num_heads, -1)).unbind(3)
        scores = (q[:, :, None] * k).sum(dim=-1) * HEAD_SIZE**-0.5
        scores = scores.masked_fill(~is_known[:, None, :, None], float("-inf"))
        mixed = (scores.softmax(dim=2)[..., None] * v).sum(dim=2)
        return self.out_time(mixed.flatten(-2))


def forward_flops(size: NetworkSize) -> int:
    """Return the multiply-adds, counted as two, of the transformer's products for one step and one noise level.

    The layout encoder is left out: it runs once per step whatever the number of levels, and is under 3 %.
    """
    width, occupancy, layout = size.width, TOKENS**2, LAYOUT_TOKENS**2
    every = occupancy + layout
    in_token = size.latent * TOKEN_CELLS**2
    space = every * 4 * width**2 + 2 * every**2 * width
    time = occupancy * (2 * width**2 + (size.reach + 1) * (2 * width**2 + 2 * width))
    point = every * 8 * width**2
    ends = occupancy * (2 * in_token + width + size.reach * (size.latent + 1) * TOKEN_CELLS**2) * width
    return 2 * (size.depth * (space + time + point) + ends)


def training_step_flops(size: NetworkSize, *, batch_size: int) -> int:
    """Return the FLOPs of one optimiser step: forward, and twice that backward."""
    return 3 * batch_size * forward_flops(size)


def _to_tokens(cells: Float[Tensor, "B L h w"]) -> Float[Tensor, "B N C"]:
    return functional.pixel_unshuffle(cells, TOKEN_CELLS).flatten(2).transpose(1, 2)


def _from_tokens(tokens: Float[Tensor, "B N C"]) -> Float[Tensor, "B L h w"]:
    return functional.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (TOKENS, TOKENS)), TOKEN_CELLS)


def _token_places(count: int, spacing: int) -> Float[Tensor, "N 2"]:
    at = torch.arange(count, dtype=torch.float32) * spacing
    return torch.stack(torch.meshgrid(at, at, indexing="ij"), dim=-1).flatten(0, 1)


def _sines(values: Float[Tensor, "N D"], channels: int) -> Float[Tensor, "N C"]:
    """Return sines and cosines of every value at geometric frequencies, `channels` in all."""
    each = channels // values.shape[-1] // 2
    frequency = 10_000.0 ** (-torch.arange(each, dtype=torch.float32, device=values.device) / each)
    angle = values[..., None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(-2)
