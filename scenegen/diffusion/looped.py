"""Looped depth: a stack of blocks whose early-middle part runs S times with the same weights.

Source: LoopMDM (arXiv 2605.26106): head, mid and tail, S drawn once per optimiser step in training, chosen freely at
sampling. Ours: the stop rule looks at each sample by itself, so a sample does not depend on its batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Context = TypeVar("Context", contravariant=True)


class ContextBlock(Protocol[Context]):
    """A residual block that reads the same context whenever it runs."""

    def __call__(self, x: Float[Tensor, "B T C"], context: Context, /) -> Float[Tensor, "B T C"]: ...


class LoopedStack(nn.Module, Generic[Context]):
    """Blocks in three parts; `mid` runs `loops` times. With one loop it is the plain stack, bit for bit.

    Args:
        head: blocks that run once, first.
        mid: blocks that run `loops` times.
        tail: blocks that run once, last.
    """

    def __init__(self, *, head: Iterable[nn.Module], mid: Iterable[nn.Module], tail: Iterable[nn.Module]) -> None:
        super().__init__()
        self.head, self.mid, self.tail = nn.ModuleList(head), nn.ModuleList(mid), nn.ModuleList(tail)

    def num_applications(self, loops: int) -> int:
        """Return how many blocks run."""
        return len(self.head) + loops * len(self.mid) + len(self.tail)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        context: Context,
        *,
        loops: int,
        tolerance: float | None = None,
        states: list[Tensor] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Run head, mid `loops` times, tail.

        Args:
            x: tokens.
            context: handed to every block.
            loops: how often mid runs; at most, where there is a tolerance.
            tolerance: a sample whose tokens change by less than this, root mean square relative to their own, runs no
                further loop.
            states: where given, the tokens after every loop are appended: as many as loops were run.

        Raises:
            ValueError: `loops` is below 1.
        """
        if loops < 1:
            raise ValueError(f"loops must be at least 1, got {loops}")
        for block in self.head:
            x = block(x, context)
        running = torch.ones(len(x), dtype=torch.bool, device=x.device)
        for _ in range(loops):
            after = x
            for block in self.mid:
                after = block(after, context)
            if tolerance is not None:
                still = ~_is_settled(x, after, tolerance)
                after = torch.where(running.view(-1, 1, 1), after, x)
                running = running & still
            x = after
            if states is not None:
                states.append(x)
            if tolerance is not None and not bool(running.any()):
                break
        for block in self.tail:
            x = block(x, context)
        return x


def draw_loops(uniform: float, *, max_loops: int) -> int:
    """Return the loops of one training step, 1 to `max_loops` with equal chance, from 0 <= uniform < 1.

    >>> [draw_loops(u, max_loops=4) for u in (0.0, 0.26, 0.999)]
    [1, 2, 4]
    """
    return 1 + int(uniform * max_loops)


def constant_loops(levels: Sequence[float], *, loops: int) -> list[int]:
    """Return the same loops for every sampling step between `levels`.

    >>> constant_loops([1.0, 0.5, 0.0], loops=4)
    [4, 4]
    """
    return [loops] * (len(levels) - 1)


def bell_loops(levels: Sequence[float], *, loops: int) -> list[int]:
    """Return few loops where nearly all or nearly no codes are masked, and `loops` half way.

    Follows sin(pi t) at the time t at which a step begins. LoopMDM reports that loops pay most in the middle.

    >>> bell_loops([1.0, 0.75, 0.5, 0.25, 0.0], loops=4)
    [1, 3, 4, 3]
    """
    return [1 + round((loops - 1) * math.sin(math.pi * t)) for t in levels[:-1]]


def _is_settled(before: Float[Tensor, "B T C"], after: Float[Tensor, "B T C"], tolerance: float) -> Bool[Tensor, " B"]:
    change = (after - before).float().square().mean(dim=(1, 2)).sqrt()
    return change < tolerance * before.float().square().mean(dim=(1, 2)).sqrt()
