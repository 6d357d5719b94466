"""Which steps belong to a sample: offsets around an anchor step, never beyond the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from scenegen.errors import ConfigError

EDGES = ("drop", "repeat_nearest", "repeat_anchor")
"""What happens where a window sticks out of its scene: no sample, or the nearest step of the window that is in the
scene again, or the anchor again."""


@dataclass(frozen=True)
class Moments:
    """The steps of one sample, in the order of the window.

    Attributes:
        anchor: the step that the window is around; labels belong to it.
        steps: one per offset.
        is_own: False where a step stands in for one outside the scene.
    """

    anchor: int
    steps: tuple[int, ...]
    is_own: tuple[bool, ...]


@dataclass(frozen=True)
class Window:
    """Offsets in steps, rising, zero among them."""

    offsets: tuple[int, ...]
    edges: str

    def fits(self, num_steps: int) -> Bool[np.ndarray, " T"]:
        """Mark the anchors that give a sample in a scene of so many steps."""
        if self.edges != "drop":
            return np.ones(num_steps, bool)
        anchors = np.arange(num_steps)
        fits: Bool[np.ndarray, " T"] = (anchors + self.offsets[0] >= 0) & (anchors + self.offsets[-1] < num_steps)
        return fits

    def moments(self, anchor: int, *, num_steps: int) -> Moments:
        """Return the steps around an anchor.

        >>> Window((-12, -6, 0), "repeat_nearest").moments(6, num_steps=24).steps
        (0, 0, 6)
        >>> Window((-12, -6, 0), "repeat_anchor").moments(6, num_steps=24).steps
        (6, 0, 6)
        """
        wanted = [anchor + offset for offset in self.offsets]
        inside = [step for step in wanted if 0 <= step < num_steps]
        stand_ins = {
            step: anchor if self.edges == "repeat_anchor" else min(inside, key=lambda own: abs(own - step))
            for step in wanted
        }
        is_own = tuple(0 <= step < num_steps for step in wanted)
        steps = tuple(step if own else stand_ins[step] for step, own in zip(wanted, is_own, strict=True))
        return Moments(anchor=anchor, steps=steps, is_own=is_own)


def check_window(offsets: Sequence[int], *, edges: str) -> Window:
    """Build a window.

    Raises:
        ConfigError: the offsets do not rise, zero is missing, or `edges` is unknown.
    """
    window = tuple(int(offset) for offset in offsets)
    if 0 not in window or any(later <= earlier for earlier, later in pairwise(window)):
        raise ConfigError("rising step offsets with 0 among them", found=f"{list(offsets)}", where="window")
    if edges not in EDGES:
        raise ConfigError(f"one of {', '.join(EDGES)}", found=repr(edges), where="edges")
    return Window(window, edges)
