"""The RWKV-7 recurrence over long sequences: what concerns one chunk alone is done for all chunks at once.

The equations are those of `rwkv7.scan_chunks`, with `U = A S0' + B`, where A and B do not know S0 and come from one
batched triangular solve. What is left from chunk to chunk is three small products.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from scenegen.diffusion.rwkv7 import CHUNK, Rwkv7Tokens

SEGMENT = 256
"""Chunks that are done at once, so that a scan without gradients needs no more memory for a longer sequence."""


@dataclass(frozen=True, kw_only=True)
class LongScan:
    """What a scan read, and what it remembered on the way.

    Attributes:
        y: what every token reads.
        starts: the memory before each chunk, and after the last one.
    """

    y: Float[Tensor, "N H T D"]
    starts: Float[Tensor, "N H K1 D D"]


def scan_long(tokens: Rwkv7Tokens, memory: Float[Tensor, "N H D D"] | None = None, *, chunk: int = CHUNK) -> LongScan:
    """Run the recurrence over T tokens in chunks, from `memory` or from nothing."""
    r, v = tokens.r, tokens.v
    if memory is None:
        memory = r.new_zeros(*r.shape[:2], v.shape[3], r.shape[3])
    parts, starts = [], [memory[:, :, None]]
    for first in range(0, r.shape[2], SEGMENT * chunk):
        span = slice(first, first + SEGMENT * chunk)
        segment = replace(tokens, **{name: getattr(tokens, name)[:, :, span] for name in "rwkvab"})
        scan = _scan_segment(segment, starts[-1][:, :, -1], chunk=chunk)
        parts.append(scan.y)
        starts.append(scan.starts[:, :, 1:])
    return LongScan(y=torch.cat(parts, dim=2), starts=torch.cat(starts, dim=2))


def _scan_segment(tokens: Rwkv7Tokens, memory: Float[Tensor, "N H D D"], *, chunk: int) -> LongScan:
    length = tokens.r.shape[2]
    r, w, k, v, a, b = (_in_chunks(getattr(tokens, name), chunk, fill=float(name == "w")) for name in "rwkvab")
    product = w.cumprod(dim=3)
    end = product[..., -1:, :]
    r, a, k, b = r * product, a * (product / w), k / product, b / product
    own = torch.eye(chunk, dtype=r.dtype, device=r.device)
    right = torch.cat([a, (a @ k.mT).tril(-1) @ v], dim=-1)
    solved = torch.linalg.solve_triangular(own - (a @ b.mT).tril(-1), right, upper=False, unitriangular=True)
    from_memory, from_chunk = solved.chunk(2, dim=-1)
    b_end, written = b * end, v.mT @ (k * end)
    starts, removed = [memory], []
    parts = zip(*(part.unbind(2) for part in (from_memory, from_chunk, end, b_end, written)), strict=True)
    for a_own, b_own, decay, b_last, write in parts:
        removed.append(a_own @ memory.mT + b_own)
        memory = memory * decay + removed[-1].mT @ b_last + write
        starts.append(memory)
    before, gone = torch.stack(starts[:-1], dim=2), torch.stack(removed, dim=2)
    y = r @ before.mT + (r @ b.mT).tril() @ gone + (r @ k.mT).tril() @ v
    return LongScan(y=y.flatten(2, 3)[:, :, :length], starts=torch.stack(starts, dim=2))


def reverse_tokens(tokens: Rwkv7Tokens) -> Rwkv7Tokens:
    """Return the same tokens, last one first."""
    return replace(tokens, **{name: getattr(tokens, name).flip(2) for name in "rwkvab"})


def scan_flops(num_tokens: int, *, num_heads: int, head_size: int, chunk: int = CHUNK) -> int:
    """Return the FLOPs of the matrix products and triangular solves of `scan_long`; a multiply-add is two.

    The triangular solve counts half of a full product.
    """
    c, d = chunk, head_size
    products = 4 * c * c * d + 3 * c * c * d + c * d * d + 2 * c * d * d + c * d * d
    solve = c * c * 2 * d // 2
    return 2 * -(-num_tokens // chunk) * num_heads * (products + solve)


def _in_chunks(x: Float[Tensor, "N H T D"], chunk: int, *, fill: float) -> Float[Tensor, "N H K c D"]:
    """Pad with tokens that read and change nothing."""
    padded = functional.pad(x, (0, 0, 0, -x.shape[2] % chunk), value=fill)
    return padded.unflatten(2, (-1, chunk))
