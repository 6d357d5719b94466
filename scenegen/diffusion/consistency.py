"""The consistency regulariser: an optimal denoiser does not change its mind, on average, along the reverse process.

With h(x, t) = E[x_0 | x_t = x], h(x_t, t) is a martingale along the true reverse process. Two independent reverse
samples x1, x2 of the same x_t give an estimate of the squared drift without bias, which may be negative in a batch:

    L = mean( (h(x1, s) - h(x_t, t)) (h(x2, s) - h(x_t, t)) )

Source: Daras et al., 2023 (arXiv 2302.09057); RTDMD (arXiv 2605.26108), its term of the fake score. Corrected: the
source moves by CPS steps of eta 0.9, along which even the optimal denoiser drifts (for Gaussian data of std 0.5 from
0.9 to 0.75 by half). `bridge`, the default, is the true reverse kernel given x_0; with the mean in place of x_0 it is
exact where h is affine and to first order in t - s elsewhere. `cps` is as published.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from scenegen.diffusion.cps import ETA, bridge_eta, cps_step

Kernel = Literal["bridge", "cps"]
Denoiser = Callable[[Float[Tensor, "B *D"], float], Float[Tensor, "B *D"]]
"""(x_t, t) -> E[x_0 | x_t]."""


def reverse_sample(
    x: Float[Tensor, "B *D"],
    clean: Float[Tensor, "B *D"],
    noise: Float[Tensor, "B *D"],
    *,
    t: float,
    s: float,
    kernel: Kernel,
    eta: float = ETA,
) -> Float[Tensor, "B *D"]:
    """Move from t to s < t; `eta` counts for `cps` only."""
    return cps_step(x, clean, noise, t=t, s=s, eta=bridge_eta(t=t, s=s) if kernel == "bridge" else eta)


def consistency_loss(
    denoise: Denoiser,
    x: Float[Tensor, "B *D"],
    clean: Float[Tensor, "B *D"],
    noises: tuple[Float[Tensor, "B *D"], Float[Tensor, "B *D"]],
    *,
    t: float,
    s: float,
    kernel: Kernel = "bridge",
) -> Float[Tensor, ""]:
    """Return the loss between t and s.

    Args:
        denoise: h; called twice at s, with a graph.
        x: x_t.
        clean: h(x, t) with its graph; where the samples go hangs on it without one.
        noises: of the two reverse samples, independent.
        t: the level of `x`.
        s: a lower one.
        kernel: how to move.
    """
    one, other = (
        denoise(reverse_sample(x, clean.detach(), noise, t=t, s=s, kernel=kernel), s) - clean for noise in noises
    )
    return (one * other).mean()
