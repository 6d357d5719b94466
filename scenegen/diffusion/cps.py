"""Coefficient-preserving sampling (CPS): a stochastic step between noise levels that keeps the path's coefficients.

From x_t and an estimate of x_0 follows one of the noise, `e = (x_t - (1 - t) x_0) / t`. A step to s < t keeps x_0, and
a share of the noise is drawn anew:

    x_s = (1 - s) x_0 + s cos(eta pi / 2) e + s sin(eta pi / 2) z,    z ~ N(0, I)

eta = 0 is the Euler step of `diffusion.flow`, eta = 1 the step of consistency models, and `bridge_eta` the true reverse
kernel of the path. As a policy a step is a Gaussian; the last one (s = 0) is deterministic.

Source: RTDMD (arXiv 2605.26108), its sampler. Ours: the bridge as a CPS step. A network that *draws* x_0 from its law
given x_t keeps the marginals at every eta; one that predicts the mean shrinks them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from scenegen.diffusion.flow import CleanPredictor

ETA = 0.9
"""The source's default: above 0.8 it makes little difference there."""


def cps_mean(
    x: Float[Tensor, "B *D"], clean: Float[Tensor, "B *D"], *, t: float, s: float, eta: float
) -> Float[Tensor, "B *D"]:
    """Return the mean of x_s given x_t = `x` and the estimate `clean` of x_0."""
    noise = (x - (1.0 - t) * clean) / t
    return (1.0 - s) * clean + s * math.cos(0.5 * math.pi * eta) * noise


def cps_std(*, s: float, eta: float) -> float:
    """Return the standard deviation of x_s; 0 at the last step.

    >>> cps_std(s=0.5, eta=1.0), cps_std(s=0.0, eta=0.9)
    (0.5, 0.0)
    """
    return s * math.sin(0.5 * math.pi * eta)


def cps_step(
    x: Float[Tensor, "B *D"],
    clean: Float[Tensor, "B *D"],
    noise: Float[Tensor, "B *D"] | None,
    *,
    t: float,
    s: float,
    eta: float,
) -> Float[Tensor, "B *D"]:
    """Step from t to s < t; `noise` is standard Gaussian, and None at the last step."""
    mean = cps_mean(x, clean, t=t, s=s, eta=eta)
    return mean if noise is None else mean + cps_std(s=s, eta=eta) * noise


def cps_log_probability(x_s: Float[Tensor, "B *D"], mean: Float[Tensor, "B *D"], *, std: float) -> Float[Tensor, " B"]:
    """Return log pi(x_s | x_t) of a step in nats, summed over all numbers of a sample; `std` must be positive."""
    deviation = ((x_s - mean) / std).flatten(1)
    return -0.5 * deviation.square().sum(1) - deviation.shape[1] * (math.log(std) + 0.5 * math.log(2.0 * math.pi))


def bridge_eta(*, t: float, s: float) -> float:
    """Return the eta at which a CPS step from t to s is the exact reverse kernel of the path, given x_0.

    Of the noise of level t, level s holds the share `rho = (1 - t) s / ((1 - s) t)`, since x_t arises from x_s by
    shrinking it by (1 - t) / (1 - s) and adding fresh noise; so cos(eta pi / 2) = rho.

    >>> round(bridge_eta(t=1.0, s=0.5), 6)
    1.0
    """
    return math.acos((1.0 - t) * s / ((1.0 - s) * t)) * 2.0 / math.pi


def sample_cps(
    predict_clean: CleanPredictor,
    start: Float[Tensor, "B C H W"],
    *,
    levels: list[float],
    eta: float,
    noise_of_step: Callable[[int], Float[Tensor, "B C H W"]],
) -> Float[Tensor, "B C H W"]:
    """Run CPS steps over `levels` from `start`, the noise at level 1.

    Args:
        predict_clean: as for `flow.sample_euler`.
        start: standard Gaussian noise.
        levels: from 1 down to 0.
        eta: share of new noise, 0..1.
        noise_of_step: the new noise of step k; not asked for at the last step.
    """
    x = start
    for k, (t, s) in enumerate(pairwise(levels)):
        clean = predict_clean(x, torch.full((len(x),), t, dtype=x.dtype, device=x.device), k)
        x = cps_step(x, clean, noise_of_step(k) if s > 0.0 else None, t=t, s=s, eta=eta)
    return x
