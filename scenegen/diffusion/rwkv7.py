"""Linear-time causal mixing of token sequences: RWKV-7 in plain torch, in chunks or token by token.

Per head, with state S (rows: values, columns: keys) and decay w in (0.545, 1):

    S_t = S_{t-1} diag(w_t) + (S_{t-1} a_t) b_t' + v_t k_t'        y_t = S_t r_t
    a = -kk,  b = kk * eta,  kk = k normalised,  k <- k (1 + (eta - 1) k_a)

Source: RWKV-7 "Goose" (Peng et al., 2025, arXiv 2503.14456), the cell that B3D-RWKV (arXiv 2605.25969) runs on.
Faithful: the recurrence, token shift, decay range, removal key, bonus, gate. Ours: the chunked form below (a
unit-triangular solve, checked against the token loop), no value residual between layers, one low-rank size.

Chunk of C tokens, P = running product of w, `~` for r P, a P_before, k / P, b / P:

    (I - strict(a~ b~')) U = a~ S0' + strict(a~ k~') V
    Y = r~ S0' + lower(r~ b~') U + lower(r~ k~') V
    S1 = S0 P_C + U' (b~ P_C) + V' (k~ P_C)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

CHUNK = 16
"""Tokens per chunk: 1 / P stays below 2e4, so float32 is enough."""
DECAY = math.exp(-0.5)
LOW_RANK = 16


@dataclass(frozen=True, kw_only=True)
class Rwkv7State:
    """What N sequences remember: bounded, whatever their length.

    Attributes:
        memory: one matrix per head, float32 or better.
        last: the last input token, for the token shift.
    """

    memory: Float[Tensor, "N H D D"]
    last: Float[Tensor, "N C"]

    def detach(self) -> Rwkv7State:
        """Return the same state without its graph."""
        return Rwkv7State(memory=self.memory.detach(), last=self.last.detach())


@dataclass(frozen=True, kw_only=True)
class Rwkv7Tokens:
    """Per token and head: what is read, decayed, removed and written."""

    r: Float[Tensor, "N H T D"]
    w: Float[Tensor, "N H T D"]
    k: Float[Tensor, "N H T D"]
    v: Float[Tensor, "N H T D"]
    a: Float[Tensor, "N H T D"]
    b: Float[Tensor, "N H T D"]


def scan_tokens(
    tokens: Rwkv7Tokens, memory: Float[Tensor, "N H D D"]
) -> tuple[Float[Tensor, "N H T D"], Float[Tensor, "N H D D"]]:
    """Run the recurrence token by token: the definition, and the oracle of `scan_chunks`."""
    out = []
    for t in range(tokens.r.shape[2]):
        r, w, k, v, a, b = (getattr(tokens, name)[:, :, t] for name in "rwkvab")
        removed = torch.einsum("nhij,nhj->nhi", memory, a)
        memory = memory * w[:, :, None, :] + removed[..., None] * b[:, :, None, :] + v[..., None] * k[:, :, None, :]
        out.append(torch.einsum("nhij,nhj->nhi", memory, r))
    return torch.stack(out, dim=2), memory


def scan_chunks(
    tokens: Rwkv7Tokens, memory: Float[Tensor, "N H D D"], *, chunk: int = CHUNK
) -> tuple[Float[Tensor, "N H T D"], Float[Tensor, "N H D D"]]:
    """Run the recurrence chunk by chunk: the same result by matrix products."""
    out = []
    for start in range(0, tokens.r.shape[2], chunk):
        span = slice(start, start + chunk)
        r, w, k, v, a, b = (getattr(tokens, name)[:, :, span] for name in "rwkvab")
        product = w.cumprod(dim=2)
        before = product / w
        r, a, k, b = r * product, a * before, k / product, b / product
        own = torch.eye(r.shape[2], dtype=r.dtype, device=r.device)
        removed = torch.linalg.solve_triangular(
            own - (a @ b.mT).tril(-1),
            a @ memory.mT + (a @ k.mT).tril(-1) @ v,
            upper=False,
            unitriangular=True,
        )
        out.append(r @ memory.mT + (r @ b.mT).tril() @ removed + (r @ k.mT).tril() @ v)
        end = product[:, :, -1:, :]
        memory = memory * end + removed.mT @ (b * end) + v.mT @ (k * end)
    return torch.cat(out, dim=2), memory


class Rwkv7Mixer(nn.Module):
    """One causal layer: tokens of N sequences in, the same shape out, state carried from call to call."""

    def __init__(self, channels: int, *, head_size: int = 32) -> None:
        super().__init__()
        if channels % head_size:
            raise ValueError(f"channels {channels} must be a multiple of head_size {head_size}")
        self.num_heads, self.head_size = channels // head_size, head_size
        self.norm: nn.Module = nn.LayerNorm(channels)
        self.shift = nn.Parameter(torch.full((6, channels), 0.5))
        self.receptance = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        self.decay = _low_rank(channels)
        self.rate = _low_rank(channels)
        self.gate = _low_rank(channels)
        self.removal = nn.Parameter(torch.ones(channels))
        self.replacement = nn.Parameter(torch.ones(channels))
        self.bonus = nn.Parameter(torch.zeros(self.num_heads, head_size))
        self.norm_out = nn.GroupNorm(self.num_heads, channels, eps=1e-3)
        self.out = nn.Linear(channels, channels, bias=False)
        nn.init.zeros_(self.out.weight)

    def first_state(self, num_sequences: int, like: Tensor) -> Rwkv7State:
        """Return the state of sequences that have not begun."""
        size = self.head_size
        return Rwkv7State(
            memory=_exact(torch.zeros(num_sequences, self.num_heads, size, size, dtype=like.dtype, device=like.device)),
            last=torch.zeros(num_sequences, self.num_heads * size, dtype=like.dtype, device=like.device),
        )

    def forward(self, x: Float[Tensor, "N T C"], state: Rwkv7State | None) -> tuple[Float[Tensor, "N T C"], Rwkv7State]:
        """Return the change to add to `x`, and the state after the last token. `state` is not modified."""
        state = self.first_state(len(x), x) if state is None else state
        x = self.norm(x)
        before = torch.cat([state.last[:, None].to(x.dtype), x[:, :-1]], dim=1)
        tokens, gate = self.project(x, before)
        with torch.autocast(x.device.type, enabled=False):  # 1 / P needs float32
            y, memory = scan_chunks(tokens, state.memory)
        return self.combine(y, tokens, gate), Rwkv7State(memory=memory, last=x[:, -1])

    def project(self, x: Float[Tensor, "N T C"], before: Float[Tensor, "N T C"]) -> tuple[Rwkv7Tokens, Tensor]:
        """Return what the recurrence takes, in float32 or better, and the gate of `combine`.

        Args:
            x: normalised tokens.
            before: for every token, the neighbour that the token shift blends in.
        """
        r_in, w_in, k_in, v_in, a_in, g_in = (x + (before - x) * mu for mu in self.shift)
        k, rate = self.key(k_in), torch.sigmoid(self.rate(a_in))
        removal = functional.normalize(_exact(self._heads(k * self.removal)), dim=-1)
        k = k * (1.0 + (rate - 1.0) * self.replacement)
        tokens = Rwkv7Tokens(
            r=_exact(self._heads(self.receptance(r_in))),
            w=self._heads(torch.exp(-DECAY * torch.sigmoid(_exact(self.decay(w_in))))),
            k=_exact(self._heads(k)),
            v=_exact(self._heads(self.value(v_in))),
            a=-removal,
            b=removal * _exact(self._heads(rate)),
        )
        return tokens, self.gate(g_in)

    def combine(self, y: Float[Tensor, "N H T D"], tokens: Rwkv7Tokens, gate: Tensor) -> Float[Tensor, "N T C"]:
        """Return the layer's change from what the recurrence read, `y`."""
        own = (tokens.r * tokens.k * self.bonus[:, None, :]).sum(-1, keepdim=True) * tokens.v
        flat = self._flat(y)
        flat = self.norm_out(flat.flatten(0, 1)).view_as(flat) + self._flat(own)
        return self.out(flat.to(self.out.weight.dtype) * torch.sigmoid(gate))

    def _heads(self, x: Float[Tensor, "N T C"]) -> Float[Tensor, "N H T D"]:
        return x.unflatten(2, (self.num_heads, self.head_size)).transpose(1, 2)

    def _flat(self, x: Float[Tensor, "N H T D"]) -> Float[Tensor, "N T C"]:
        return x.transpose(1, 2).flatten(2)


def _exact(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _low_rank(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(channels, LOW_RANK, bias=False), nn.Tanh(), nn.Linear(LOW_RANK, channels))
