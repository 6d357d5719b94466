"""The RWKV-7 recurrence by the fastest way there is: Triton kernels on CUDA where `fla` is installed, else plain torch.

The kernels are those of flash-linear-attention (https://github.com/fla-org/flash-linear-attention, MIT; on PyPI
`fla-core`, whose interface was read at 0.6.0).
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch
from jaxtyping import Float
from torch import Tensor

from scenegen.diffusion.rwkv7 import Rwkv7Tokens
from scenegen.diffusion.rwkv7_long import scan_long


def scan_tokens_fast(tokens: Rwkv7Tokens, memory: Float[Tensor, "N H D D"] | None = None) -> Float[Tensor, "N H T D"]:
    """Return what every token reads, from `memory` or from nothing."""
    if can_fuse(tokens.r):
        return scan_fused(tokens, memory)[0]
    return scan_long(tokens, memory).y


def can_fuse(like: Tensor) -> bool:
    """Say whether the kernels take a tensor like this one: float32 on CUDA, with `fla` installed."""
    return like.is_cuda and like.dtype == torch.float32 and _has_kernels()


def scan_fused(
    tokens: Rwkv7Tokens, memory: Float[Tensor, "N H D D"] | None = None, *, dtype: torch.dtype = torch.bfloat16
) -> tuple[Float[Tensor, "N H T D"], Float[Tensor, "N H D D"]]:
    """Run the recurrence by fla's chunked kernel; returns what every token reads, and the memory at the end.

    The kernel keeps keys in rows, tokens before heads, and takes the log of w.

    Args:
        tokens: on CUDA.
        memory: before the first token; None where there is nothing to remember.
        dtype: of what is multiplied; fla makes no promise for float32. Decay and memory keep their own.
    """
    from fla.ops.generalized_delta_rule import chunk_dplr_delta_rule

    r, k, v, a, b = (getattr(tokens, name).transpose(1, 2).contiguous().to(dtype) for name in "rkvab")
    y, end = chunk_dplr_delta_rule(
        q=r,
        k=k,
        v=v,
        a=a,
        b=b,
        gk=tokens.w.transpose(1, 2).contiguous().log(),
        scale=1.0,
        initial_state=None if memory is None else memory.mT.contiguous(),
        output_final_state=True,
    )
    return y.transpose(1, 2).to(tokens.r.dtype), end.mT


@cache
def _has_kernels() -> bool:
    return find_spec("fla") is not None
