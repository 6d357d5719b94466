"""Time of a scene: an index, a rate, and nothing accumulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from scenegen.errors import LayoutError

MICROSECONDS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Equally spaced steps from scene start.

    Attributes:
        rate_hz: steps per second.
        num_steps: number of steps; the last is at `(num_steps - 1) / rate_hz` seconds.
    """

    rate_hz: float
    num_steps: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.rate_hz) and self.rate_hz > 0.0):
            raise LayoutError("a positive finite rate_hz", found=f"{self.rate_hz}", where="timeline")
        if self.num_steps < 1:
            raise LayoutError("at least one step", found=f"{self.num_steps}", where="timeline")

    @property
    def duration_s(self) -> float:
        """Seconds covered when every step lasts one period: `num_steps / rate_hz`."""
        return self.num_steps / self.rate_hz

    def timestamps_us(self) -> Int64[np.ndarray, " T"]:
        """Microseconds from scene start of every step, each computed from its own index.

        >>> Timeline(rate_hz=12.0, num_steps=4).timestamps_us().tolist()
        [0, 83333, 166667, 250000]
        """
        return np.round(np.arange(self.num_steps) * (MICROSECONDS / self.rate_hz)).astype(np.int64)

    def is_key_frame(self, *, key_rate_hz: float = 2.0) -> Bool[np.ndarray, " T"]:
        """Mark the steps that lie on the key-frame rate.

        >>> Timeline(rate_hz=12.0, num_steps=8).is_key_frame().nonzero()[0].tolist()
        [0, 6]
        """
        every = max(1, round(self.rate_hz / key_rate_hz))
        return np.arange(self.num_steps) % every == 0
