"""The masked occupancy network: which codes may lie under the masks, given codes around them and BEV channels.

A token is a cell of 2x2 codes. Blocks are those of DiT (Peebles and Xie, 2023, arXiv 2212.09748) around any mixer of
`diffusion.mixers`, in a looped stack (`diffusion.looped`). Ours: channels are folded into cells and not convolved, so
that a cell's input depends on nothing outside it and a stream of blocks computes what a whole tile does; gates of
blocks start at one, because their last maps start at zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from scenegen.diffusion.looped import LoopedStack
from scenegen.diffusion.mixers import NUM_COPIES, MixerName, TokenPlace, build_mixer
from scenegen.diffusion.time_features import NUM_TIME_FEATURES, time_features
from scenegen.occupancy.masked.codes import CODES_PER_CELL, COLUMNS_PER_CELL, NUM_SPECIAL, Vocabulary

MLP_RATIO = 4


@dataclass(frozen=True, kw_only=True)
class NetworkSize:
    """Everything that decides the shape of the weights.

    Attributes:
        num_codes: V, the codes that can be predicted.
        num_channels: BEV channels of a column.
        num_style: numbers that hold for the whole tile: style, environment.
        width: channels of a token.
        num_head: blocks that run once, first.
        num_mid: blocks that are looped.
        num_tail: blocks that run once, last.
        embedding: channels of the time and style embedding.
        mixer: how tokens exchange what they know.
        head_size: channels of a head of a mixer.
        block_rows: rows of cells of a block; only `triplet_rwkv7` has blocks.
    """

    num_codes: int
    num_channels: int
    num_style: int
    width: int = 128
    num_head: int = 1
    num_mid: int = 2
    num_tail: int = 5
    embedding: int = 64
    mixer: MixerName = "attention"
    head_size: int = 32
    block_rows: int = 2


SIZES: dict[str, dict[str, int]] = {
    "nano": {"width": 32, "num_head": 1, "num_mid": 1, "num_tail": 1, "embedding": 16, "head_size": 16},
    "tiny": {},
    "small": {"width": 256, "num_head": 2, "num_mid": 2, "num_tail": 8, "embedding": 128},
}
"""Named sizes, as differences from `NetworkSize`'s own."""


@dataclass(frozen=True, kw_only=True)
class BlockContext:
    """What every block reads beside the tokens.

    Attributes:
        embedding: of time and style, one per kind of token.
        kind: the kind of every token, where there is more than one.
        place: where the tokens lie.
    """

    embedding: Float[Tensor, "B K E"]
    kind: Int[Tensor, " T"] | None
    place: TokenPlace


class MixingBlock(nn.Module):
    """A mixer and a pointwise network, both normalised, scaled, shifted and gated by the embedding."""

    def __init__(self, size: NetworkSize, *, index: int) -> None:
        super().__init__()
        width = size.width
        self.norm_mixer = nn.LayerNorm(width, elementwise_affine=False)
        self.mixer = build_mixer(size.mixer, width, index=index, block_rows=size.block_rows, head_size=size.head_size)
        self.norm_mlp = nn.LayerNorm(width, elementwise_affine=False)
        self.widen = nn.Linear(width, MLP_RATIO * width)
        self.narrow = nn.Linear(MLP_RATIO * width, width)
        self.modulation = nn.Linear(size.embedding, 6 * width)
        for layer in (self.narrow, self.modulation):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "B T C"], context: BlockContext) -> Float[Tensor, "B T C"]:
        """Return `x` with the block's changes added."""
        modulation = self.modulation(context.embedding)
        if context.kind is not None:
            modulation = modulation[:, context.kind]
        scale, shift, gate, scale_mlp, shift_mlp, gate_mlp = modulation.chunk(6, dim=2)
        x = x + (1 + gate) * self.mixer(self.norm_mixer(x) * (1 + scale) + shift, context.place)
        hidden = self.widen(self.norm_mlp(x) * (1 + scale_mlp) + shift_mlp)
        return x + (1 + gate_mlp) * self.narrow(functional.gelu(hidden))

    def flops(self, place: TokenPlace, *, num_kinds: int) -> int:
        """Return the FLOPs for one sequence."""
        width, tokens = self.widen.in_features, place.rows * place.columns * place.copies
        mlp = 2 * tokens * 2 * MLP_RATIO * width**2
        return self.mixer.flops(place) + mlp + 2 * num_kinds * self.modulation.in_features * 6 * width


class MaskedNetwork(nn.Module):
    """Predicts the codes under the masks of a tile."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        width, embedding = size.width, size.embedding
        codes_per_cell = CODES_PER_CELL**2
        self.code_in = nn.Embedding(size.num_codes + NUM_SPECIAL, width // codes_per_cell)
        self.cell_in = _linear(width, width)
        self.channels_in = nn.Sequential(
            _linear(size.num_channels * COLUMNS_PER_CELL**2, width), nn.SiLU(), _linear(width, width)
        )
        self.style_in = nn.Sequential(nn.Linear(size.num_style, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.time_in = nn.Sequential(
            nn.Linear(NUM_TIME_FEATURES, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        blocks = [MixingBlock(size, index=index) for index in range(size.num_head + size.num_mid + size.num_tail)]
        ends = size.num_head, size.num_head + size.num_mid
        self.stack: LoopedStack[BlockContext] = LoopedStack(
            head=blocks[: ends[0]], mid=blocks[ends[0] : ends[1]], tail=blocks[ends[1] :]
        )
        self.norm_out = nn.LayerNorm(width)
        self.cell_out = _linear(width, codes_per_cell * (width // 2))
        self.code_out = nn.Linear(width // 2, size.num_codes)
        nn.init.zeros_(self.code_out.weight)
        nn.init.zeros_(self.code_out.bias)

    def forward(
        self,
        codes: Int[Tensor, "B H W"],
        channels: Float[Tensor, "B C X Y"],
        style: Float[Tensor, "B S"],
        t: Float[Tensor, " B"],
        *,
        loops: int = 1,
        tolerance: float | None = None,
        clean: Int[Tensor, "B H W"] | None = None,
        states: list[Tensor] | None = None,
    ) -> Float[Tensor, "B H W V"]:
        """Return the logits of every code of a tile; those of codes that are not masked mean nothing.

        Args:
            codes: with masks; H and W even, special ids as in `Vocabulary`.
            channels: BEV channels, 4 columns per code along each side.
            style: what holds for the whole tile.
            t: share of masked codes, 0..1.
            loops: how often the middle runs (`LoopedStack`).
            tolerance: of the middle's stop rule.
            clean: the true codes, which `triplet_rwkv7` reads as the past of later blocks; nobody else reads them.
            states: where given, tokens after every loop are appended.

        Raises:
            ValueError: `clean` is missing where the mixer is `triplet_rwkv7`; to draw, use `stream.open_stream`.
        """
        rows, columns = codes.shape[1] // CODES_PER_CELL, codes.shape[2] // CODES_PER_CELL
        place = TokenPlace(rows=rows, columns=columns)
        tokens, embedding, kind = self.read_cells(codes, channels), self.embed(style, t)[:, None], None
        if self.size.mixer == "triplet_rwkv7":
            if clean is None:
                raise ValueError("triplet_rwkv7 reads clean codes beside the masked ones; use open_stream to draw")
            place = replace(place, copies=NUM_COPIES)
            copies = torch.stack([tokens, tokens, self.read_cells(clean, channels)], dim=1)
            tokens = self._by_block(copies, columns)
            embedding = torch.cat([embedding, self.embed(style, torch.zeros_like(t))[:, None]], dim=1)
            size = self.size.block_rows * columns
            kind = torch.tensor([0, 0, 1], device=t.device).repeat_interleave(size).repeat(rows // self.size.block_rows)
        context = BlockContext(embedding=embedding, kind=kind, place=place)
        tokens = self.stack(tokens, context, loops=loops, tolerance=tolerance, states=states)
        if place.copies == NUM_COPIES:
            tokens = tokens.unflatten(1, (-1, NUM_COPIES, self.size.block_rows * columns))[:, :, 1].flatten(1, 2)
        return self.predict_codes(tokens, rows=rows, columns=columns)

    @torch.no_grad()
    def start_from_counts(self, counts: Int[Tensor, " V"]) -> None:
        """Let a new network predict every code by how often it occurs; unseen ones count as half a code.

        Without this the body learns frequencies first, by a constant that grows until it drowns what tokens say: after
        150 steps on made-up codes tokens had a root mean square of 35 instead of 2.5, and nothing else was learned.
        """
        share = (counts + 0.5) / (counts + 0.5).sum()
        self.code_out.bias.copy_(share.log())

    def read_cells(self, codes: Int[Tensor, "B H W"], channels: Float[Tensor, "B C X Y"]) -> Float[Tensor, "B T D"]:
        """Return the token of every cell, row-major."""
        cells = codes.unflatten(1, (-1, CODES_PER_CELL)).unflatten(3, (-1, CODES_PER_CELL)).transpose(2, 3)
        folded = functional.pixel_unshuffle(channels, COLUMNS_PER_CELL).flatten(2).transpose(1, 2)
        return self.cell_in(self.code_in(cells.flatten(1, 2)).flatten(2)) + self.channels_in(folded)

    def embed(self, style: Float[Tensor, "B S"], t: Float[Tensor, " B"]) -> Float[Tensor, "B E"]:
        """Return the embedding of style and time."""
        return functional.silu(self.style_in(style) + self.time_in(time_features(t).to(style.dtype)))

    def predict_codes(self, tokens: Float[Tensor, "B T D"], *, rows: int, columns: int) -> Float[Tensor, "B H W V"]:
        """Return the logits of the codes of every cell."""
        features = self.cell_out(self.norm_out(tokens)).view(
            len(tokens), rows, columns, CODES_PER_CELL, CODES_PER_CELL, -1
        )
        return self.code_out(functional.gelu(features).transpose(2, 3).flatten(3, 4).flatten(1, 2))

    def flops(self, *, height: int, width: int, loops: int) -> int:
        """Return the FLOPs of one forward pass over one tile of height x width codes; a multiply-add is two.

        Counted are linear maps, attention, and the products and triangular solves of scans.
        """
        size = self.size
        rows, columns = height // CODES_PER_CELL, width // CODES_PER_CELL
        is_triplet = size.mixer == "triplet_rwkv7"
        num_kinds, num_read = (2, 2) if is_triplet else (1, 1)
        place = TokenPlace(rows=rows, columns=columns, copies=NUM_COPIES if is_triplet else 1)
        blocks = [
            count * sum(cast(MixingBlock, block).flops(place, num_kinds=num_kinds) for block in part)
            for count, part in ((1, self.stack.head), (loops, self.stack.mid), (1, self.stack.tail))
        ]
        read = size.width**2 + size.num_channels * COLUMNS_PER_CELL**2 * size.width + size.width**2
        embed = (NUM_TIME_FEATURES + size.num_style + 2 * size.embedding) * size.embedding
        write = CODES_PER_CELL**2 * (size.width // 2) * (size.width + size.num_codes)
        return sum(blocks) + 2 * (rows * columns * (num_read * read + write) + num_kinds * embed)

    def _by_block(self, copies: Float[Tensor, "B K T D"], columns: int) -> Float[Tensor, "B L D"]:
        return copies.unflatten(2, (-1, self.size.block_rows * columns)).transpose(1, 2).flatten(1, 3)


def build_network(
    name: str,
    *,
    vocabulary: Vocabulary,
    num_channels: int,
    num_style: int,
    mixer: MixerName = "attention",
) -> MaskedNetwork:
    """Return a new network of a named size (`SIZES`), with weights drawn from torch's generator."""
    size = NetworkSize(
        num_codes=vocabulary.num_codes,
        num_channels=num_channels,
        num_style=num_style,
        mixer=mixer,
        **SIZES[name],
    )
    return MaskedNetwork(size)


def _linear(num_in: int, num_out: int) -> nn.Linear:
    """Return a map that keeps the size of what it is fed; torch's own start would make channels fainter than codes."""
    layer = nn.Linear(num_in, num_out)
    nn.init.normal_(layer.weight, std=num_in**-0.5)
    return layer
