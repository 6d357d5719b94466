"""`triplet_rwkv7`: causal RWKV-7 over blocks that come three times, for worlds that grow block by block.

A block is a few rows of the grid. Its first two copies are masked alike, the third is clean. Reading in order, a token
of the second copy knows every earlier block in clean form and all visible tokens of its own block (through the first
copy), and no token that is masked. Predictions are taken from the second copy.

Source: the layout of B3D-RWKV (arXiv 2605.25969), whose backbone is strictly causal. Ours: in training the masked
copies branch off the clean line, whereas the paper reads all copies in one line, so that its states have seen masked
copies of earlier blocks, which its own sampler never feeds. Here training and streaming compute the same.
"""

from __future__ import annotations

from math import gcd

import torch
from jaxtyping import Float
from torch import Tensor, nn

from scenegen.diffusion.mixers.bi_rwkv7 import projection_flops
from scenegen.diffusion.mixers.interface import TokenPlace
from scenegen.diffusion.rwkv7 import CHUNK, Rwkv7Mixer, Rwkv7State
from scenegen.diffusion.rwkv7_fused import scan_tokens_fast
from scenegen.diffusion.rwkv7_long import scan_flops, scan_long

NUM_COPIES = 3


class TripletRwkv7(nn.Module):
    """One causal layer over (masked, masked, clean) copies of blocks of `block_rows` rows."""

    def __init__(self, channels: int, *, block_rows: int, head_size: int = 32) -> None:
        super().__init__()
        self.channels, self.block_rows = channels, block_rows
        self.cell = Rwkv7Mixer(channels, head_size=head_size)
        self.cell.norm = nn.Identity()  # the caller normalises

    def forward(self, x: Float[Tensor, "B T C"], place: TokenPlace) -> Float[Tensor, "B T C"]:
        """Return the change to add. Tokens are ordered by block, then copy, then row-major.

        With three copies whole sequences are mixed at once. In a stream, two copies are read from its memory, and a
        single, clean one is read into it.

        Raises:
            ValueError: the rows are not whole blocks, or a stream is fed more than one.
        """
        if place.memory is None and place.copies == NUM_COPIES:
            return self._mix_all(x, place)
        if place.memory is None or place.rows != self.block_rows:
            raise ValueError(f"expected a stream's memory and {self.block_rows} rows, got {place.rows} rows")
        state = place.memory.recall() or self.cell.first_state(len(x), x)
        if place.copies == 1:
            change, after = self._read_clean(x, state)
            place.memory.keep(after)
            return change
        return self._read_masked(x, state)

    def flops(self, place: TokenPlace) -> int:
        """Return the FLOPs for one sequence."""
        num_blocks, size = place.rows // self.block_rows, self.block_rows * place.columns
        cell = self.cell
        scan = 0
        if place.copies != 2:
            chunk = gcd(size, CHUNK)
            scan += scan_flops(num_blocks * size, num_heads=cell.num_heads, head_size=cell.head_size, chunk=chunk)
        if place.copies != 1:
            scan += num_blocks * scan_flops(2 * size, num_heads=cell.num_heads, head_size=cell.head_size)
        return projection_flops(place.copies * num_blocks * size, channels=self.channels) + scan

    def _mix_all(self, x: Float[Tensor, "B T C"], place: TokenPlace) -> Float[Tensor, "B T C"]:
        if place.rows % self.block_rows:
            raise ValueError(f"expected rows in blocks of {self.block_rows}, got {place.rows} rows")
        num_blocks, size = place.rows // self.block_rows, self.block_rows * place.columns
        blocks = x.view(len(x), num_blocks, NUM_COPIES, size, self.channels)
        first = self.cell.first_state(len(x), x)
        chunk = gcd(size, CHUNK)
        clean = blocks[:, :, 2].flatten(1, 2)
        tokens, gate = self.cell.project(clean, _shift(clean, first.last))
        with torch.autocast(x.device.type, enabled=False):
            line = scan_long(tokens, first.memory, chunk=chunk)
        clean_change = self.cell.combine(line.y, tokens, gate).view(len(x), num_blocks, 1, size, self.channels)
        memory = line.starts[:, :, : -1 : size // chunk].transpose(1, 2).flatten(0, 1)
        last = torch.cat([first.last[:, None].to(x.dtype), blocks[:, :-1, 2, -1]], dim=1).flatten(0, 1)
        masked = blocks[:, :, :2].reshape(len(x) * num_blocks, 2 * size, self.channels)
        masked_change = self._read_masked(masked, Rwkv7State(memory=memory, last=last))
        masked_change = masked_change.view(len(x), num_blocks, 2, size, self.channels)
        return torch.cat([masked_change, clean_change.to(masked_change.dtype)], dim=2).view_as(x)

    def _read_masked(self, x: Float[Tensor, "B T C"], state: Rwkv7State) -> Float[Tensor, "B T C"]:
        tokens, gate = self.cell.project(x, _shift(x, state.last))
        with torch.autocast(x.device.type, enabled=False):
            y = scan_tokens_fast(tokens, state.memory)
        return self.cell.combine(y, tokens, gate)

    def _read_clean(self, x: Float[Tensor, "B T C"], state: Rwkv7State) -> tuple[Float[Tensor, "B T C"], Rwkv7State]:
        tokens, gate = self.cell.project(x, _shift(x, state.last))
        with torch.autocast(x.device.type, enabled=False):
            line = scan_long(tokens, state.memory, chunk=gcd(x.shape[1], CHUNK))
        after = Rwkv7State(memory=line.starts[:, :, -1], last=x[:, -1])
        return self.cell.combine(line.y, tokens, gate), after


def _shift(x: Float[Tensor, "B T C"], last: Float[Tensor, "B C"]) -> Float[Tensor, "B T C"]:
    return torch.cat([last[:, None].to(x.dtype), x[:, :-1]], dim=1)
