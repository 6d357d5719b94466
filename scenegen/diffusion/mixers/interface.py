"""What mixers of tokens over a grid share: where the tokens lie, and what a stream remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from scenegen.diffusion.rwkv7 import Rwkv7State


@dataclass
class StreamMemory:
    """What every application of a causal mixer remembers of the blocks before this one, in order of application.

    One pass of a network reads the states in turn; a pass over a clean block also leaves new ones. The states
    themselves are never changed, so a pass may be repeated.
    """

    states: tuple[Rwkv7State, ...] = ()
    kept: list[Rwkv7State] = field(default_factory=list)
    cursor: int = 0

    def begin_pass(self) -> None:
        """Start again at the first application."""
        self.cursor = 0
        self.kept = []

    def recall(self) -> Rwkv7State | None:
        """Return what the next application remembers; None at the start of a stream."""
        state = self.states[self.cursor] if self.states else None
        self.cursor += 1
        return state

    def keep(self, state: Rwkv7State) -> None:
        """Note what an application remembers after a clean block."""
        self.kept.append(state)

    def end_clean_pass(self) -> None:
        """Let the notes of this pass be what the next one recalls."""
        self.states = tuple(self.kept)


@dataclass(frozen=True, kw_only=True)
class TokenPlace:
    """Where the T tokens of a sequence lie.

    Attributes:
        rows: rows of the grid. Tokens are row-major.
        columns: columns of the grid.
        copies: how often each block is there (`triplet_rwkv7`): 3 for masked, masked, clean; 2 and 1 in a stream.
        memory: of a stream.
    """

    rows: int
    columns: int
    copies: int = 1
    memory: StreamMemory | None = None


class Mixer(Protocol):
    """Lets tokens exchange what they know. `x` is normalised; the result is added to the residual stream."""

    def __call__(self, x: Float[Tensor, "B T C"], place: TokenPlace, /) -> Float[Tensor, "B T C"]: ...

    def flops(self, place: TokenPlace) -> int:
        """Return the FLOPs of one application to one sequence; a multiply-add is two."""
        ...
