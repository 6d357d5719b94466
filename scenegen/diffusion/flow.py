"""Rectified-flow path and its sampler, for networks that predict the clean picture.

Path (Liu et al., 2023, "Flow Straight and Fast"; Lipman et al., 2023): `x_t = (1 - t) x_0 + t e` with t = 0
clean and t = 1 pure noise, so `dx/dt = e - x_0 = (x_t - x_0) / t`. Our networks return an estimate of x_0
(as in Karras et al., 2022), from which the velocity follows; one Euler step from t to s is then
`x_s = x_0 + (s / t) (x_t - x_0)`, which lands exactly on the estimate at s = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

CleanPredictor = Callable[[Float[Tensor, "B C H W"], Float[Tensor, " B"], int], Float[Tensor, "B C H W"]]
"""(x_t, t, number of the step) -> estimate, or draw, of x_0."""


def mix_with_noise(
    clean: Float[Tensor, "B C H W"], noise: Float[Tensor, "B C H W"], t: Float[Tensor, " B"]
) -> Float[Tensor, "B C H W"]:
    """Return x_t on the straight path between clean (t = 0) and noise (t = 1)."""
    t = t.view(-1, 1, 1, 1)
    return (1.0 - t) * clean + t * noise


def noise_levels(num_steps: int, *, shift: float = 1.0) -> list[float]:
    """Return the num_steps + 1 times from 1 to 0; `shift` > 1 spends more steps near pure noise.

    Source: time shift of Esser et al., 2024, eq. 23, `t' = s t / (1 + (s - 1) t)`.

    >>> noise_levels(4)
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    uniform = [1.0 - k / num_steps for k in range(num_steps + 1)]
    return [shift * t / (1.0 + (shift - 1.0) * t) for t in uniform]


def sample_euler(
    predict_clean: CleanPredictor, noise: Float[Tensor, "B C H W"], *, levels: list[float]
) -> Float[Tensor, "B C H W"]:
    """Integrate the flow from noise to a picture with Euler steps over `levels`."""
    x = noise
    for k, (t, s) in enumerate(pairwise(levels)):
        clean = predict_clean(x, torch.full((len(x),), t, dtype=x.dtype, device=x.device), k)
        x = clean + (s / t) * (x - clean)
    return x
