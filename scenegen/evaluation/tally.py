"""What is added up while looking: one tally per painter and block, where a block is five seconds of one scene."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from scenegen.checks.agents import AgentScore
from scenegen.checks.control import ControlScore


@dataclass(kw_only=True)
class Mean:
    """A sum and how many were summed."""

    total: float = 0.0
    count: int = 0

    def add(self, total: float, count: int) -> None:
        """Add a sum of `count` numbers."""
        self.total += total
        self.count += count

    def join(self, other: Mean) -> None:
        """Add what another mean has seen."""
        self.add(other.total, other.count)

    @property
    def value(self) -> float:
        """The mean; NaN of nothing."""
        return self.total / self.count if self.count else float("nan")


@dataclass(kw_only=True)
class Errors:
    """Numbers of which percentiles are wanted."""

    values: list[float] = field(default_factory=list)

    def join(self, other: Errors) -> None:
        """Add what another has seen."""
        self.values.extend(other.values)


@dataclass(kw_only=True)
class Tally:
    """Scores of one painter in one block; or of several blocks, joined.

    Attributes:
        control: classes of pixels.
        agents: places and speeds of agents.
        lane_px: chamfer distance of markings, one number per frame.
        warp, flicker: change along tracks, levels of 0..255.
        overlap: difference between cameras, levels of 0..255.
        identity: 1 for each sighting of a car in its usual colour, 0 for each other.
        energy: Laplacian energy per frame.
    """

    control: ControlScore = field(default_factory=ControlScore)
    agents: AgentScore = field(default_factory=AgentScore)
    lane_px: Errors = field(default_factory=Errors)
    warp: Mean = field(default_factory=Mean)
    flicker: Mean = field(default_factory=Mean)
    overlap: Mean = field(default_factory=Mean)
    identity: Mean = field(default_factory=Mean)
    energy: Mean = field(default_factory=Mean)

    def join(self, other: Tally) -> None:
        """Add what another tally has seen."""
        for part in fields(self):
            getattr(self, part.name).join(getattr(other, part.name))


Block = dict[str, Tally]
"""Tallies of one block by painter: see `PAINTERS`."""
PAINTERS = ("generated", "truth", "no_history", "zeroed", "shuffled", "shuffled_chance", "leak_truth")
"""Stored frames; true ones; the model without history; the model without the layout, and with another one; what
the other layout itself has in common with this one; and true frames of just those moments at which the model painted
without the layout."""


def empty_block() -> Block:
    """Return a block that has seen nothing."""
    return {painter: Tally() for painter in PAINTERS}


def join_blocks(blocks: Iterable[Block]) -> Block:
    """Add blocks up."""
    joined = empty_block()
    for block in blocks:
        for painter, tally in block.items():
            joined[painter].join(tally)
    return joined
