"""Which sampler a network is run with, in how many steps, and where in a stack of noise each draw lies.

A stack holds pictures of noise along its channels: the start, then the network's fresh noise of each step, then (CPS
only) the new noise of each step but the last. A longer stack of anchored noise begins like a shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from scenegen.diffusion.cps import ETA, sample_cps
from scenegen.diffusion.flow import CleanPredictor, noise_levels, sample_euler

CHANNELS = 3
"""Channels of one picture of noise."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler of pictures.

    Attributes:
        name: `euler` is the flow's ordinary differential equation, `cps` draws part of the noise anew.
        steps: network evaluations per picture.
        eta: share of new noise, 0..1; of CPS only.
    """

    name: Literal["euler", "cps"] = "euler"
    steps: int
    eta: float = ETA

    @property
    def levels(self) -> list[float]:
        """The steps + 1 noise levels from 1 to 0."""
        return noise_levels(self.steps)

    @property
    def num_noise(self) -> int:
        """Channels of the stack of noise."""
        pictures = 1 + self.steps + (self.steps - 1 if self.name == "cps" else 0)
        return CHANNELS * pictures

    def fresh_noise(self, stack: Float[Tensor, "B N H W"], k: int) -> Float[Tensor, "B 3 H W"]:
        """Return what the network is given beside x_t in step k."""
        return stack[:, CHANNELS * (1 + k) : CHANNELS * (2 + k)]

    def step_noise(self, stack: Float[Tensor, "B N H W"], k: int) -> Float[Tensor, "B 3 H W"]:
        """Return the new noise of CPS step k < steps - 1."""
        first = CHANNELS * (1 + self.steps + k)
        return stack[:, first : first + CHANNELS]

    def sample(self, predict_clean: CleanPredictor, stack: Float[Tensor, "B N H W"]) -> Float[Tensor, "B 3 H W"]:
        """Sample pictures; `predict_clean` takes its fresh noise itself."""
        start = stack[:, :CHANNELS]
        if self.name == "euler":
            return sample_euler(predict_clean, start, levels=self.levels)
        return sample_cps(
            predict_clean, start, levels=self.levels, eta=self.eta, noise_of_step=lambda k: self.step_noise(stack, k)
        )
