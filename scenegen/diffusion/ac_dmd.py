"""AC-DMD: distribution matching on a few-step student's own intermediate results.

Of every sampling step k, the student's result x_k at level t_k is re-noised (`diffusion.renoise`). There a fake score,
which follows the student, and the frozen teacher each say where the picture should go back at level t_k; their
difference is the direction in which the Kullback-Leibler divergence between student and teacher falls.

Source: RTDMD (arXiv 2605.26108), generator and fake-score losses of AC-DMD; distribution matching from DMD (Yin et al.,
2024, arXiv 2311.18828).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from scenegen.diffusion.cps import ETA
from scenegen.diffusion.renoise import Renoised

MOST_WEIGHT = 10.0
SMALLEST = 1e-6


def velocity_of(clean: Float[Tensor, "B *D"], x: Float[Tensor, "B *D"], t: Float[Tensor, " B"]) -> Tensor:
    """Return the velocity that an estimate of x_0 stands for, (x_t - x_0) / t."""
    return (x - clean) / t.view(-1, *[1] * (x.dim() - 1))


def fake_score_loss(clean: Float[Tensor, "B *D"], renoised: Renoised) -> Float[Tensor, ""]:
    """Regress the fake score's velocity, given as its estimate of x_0, to that of the student's marginals.

    The error counts min(1, 10 s^2), which is the source's w |s v - s u|^2 with w = min(1 / s^2, 10). Ours: divided by
    the square of the target's size, which is large for early steps and just above t_k; it would drown all the rest.
    """
    error = velocity_of(clean, renoised.x, renoised.t) - renoised.velocity
    weight = (MOST_WEIGHT * renoised.std.square()).clamp(max=1.0) / renoised.size.square()
    return (weight * error.square()).mean()


def step_back(
    clean: Float[Tensor, "B *D"],
    renoised: Renoised,
    noise: Float[Tensor, "B *D"],
    *,
    t_k: float,
    eta: float = ETA,
) -> Float[Tensor, "B *D"]:
    """Take the re-noised picture back to t_k by one CPS step with the estimate `clean`; levels differ per sample."""
    level = renoised.t.view(-1, *[1] * (clean.dim() - 1))
    angle = torch.tensor(0.5 * torch.pi * eta)
    old = (renoised.x - (1.0 - level) * clean) / level
    return (1.0 - t_k) * clean + t_k * (torch.cos(angle) * old + torch.sin(angle) * noise)


def matching_direction(
    x_k: Float[Tensor, "B *D"], *, by_teacher: Float[Tensor, "B *D"], by_fake: Float[Tensor, "B *D"]
) -> Float[Tensor, "B *D"]:
    """Return the gradient with respect to x_k, of about unit size in every sample.

    Args:
        x_k: the student's results.
        by_teacher: `step_back` with the teacher's estimate.
        by_fake: `step_back` with the fake score's and the same noise.
    """
    size = (x_k - by_teacher).abs().flatten(1).mean(1).clamp(min=SMALLEST)
    return (by_fake - by_teacher) / size.view(-1, *[1] * (x_k.dim() - 1))


def pull_loss(x_k: Float[Tensor, "B *D"], direction: Float[Tensor, "B *D"]) -> Float[Tensor, ""]:
    """Return 0.5 |x_k - (x_k - g)|^2 per number, whose gradient with respect to x_k is g / its size."""
    goal = (x_k - direction).detach()
    return 0.5 * (x_k - goal).square().mean()


def divergence_gradient(
    renoised: Renoised, *, by_teacher: Float[Tensor, "B *D"], by_fake: Float[Tensor, "B *D"], t_k: float
) -> Float[Tensor, "B *D"]:
    """Return the exact gradient with respect to x_k of KL(student || teacher) at the re-noised level, per sample.

    That is a times the difference of the scores, (x_0 estimate's) score = ((1 - t) x_0 - x_t) / t^2.

    Args:
        renoised: x_t.
        by_teacher: its estimate of x_0.
        by_fake: the student's own.
        t_k: level of x_k.
    """
    level = renoised.t.view(-1, *[1] * (renoised.x.dim() - 1))
    keep = (1.0 - level) / (1.0 - t_k)
    return keep * (1.0 - level) / level.square() * (by_fake - by_teacher)
