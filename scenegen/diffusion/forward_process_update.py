"""Move a flow model towards its own better samples: negative-aware fine-tuning on the forward process.

Source: DiffusionNFT (Zheng et al., 2025, arXiv 2509.16117), as used by AFD (arXiv 2605.26105). Path and velocity as in
`diffusion.flow`: y_t = (1 - t) y + t e, v* = e - y, of the student's OWN clean sample y, at any t, with any noise: no
chain of sampling steps is kept and no likelihood is needed. w in 0..1 says how good y is within its group.

With v_old held fixed the loss is convex, and its minimiser is v_old + E[(2 w - 1)(v* - v_old) | y_t] / beta: 1 / beta
is the length of the step, and w = 1/2 moves nothing. v_old has to be a real copy. Where it is the trained network
itself with its gradient stopped, samples of small weight push without bound from the second step on.

All of it holds element by element, so weights may differ over the parts of a sample.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

CLIP_ADVANTAGE = 5.0
"""A_max of DiffusionNFT's released configurations, in standard deviations of a group."""
LEAST_SPREAD = 1e-4
"""Ours: scores are log odds, and where a group's differ by less than this there is nothing yet to go by."""
SMALLEST_ERROR = 1e-5


def group_advantages(score: Float[Tensor, "G N *K"]) -> Float[Tensor, "G N *K"]:
    """Return each score less the mean of its group, in standard deviations of all such differences.

    A group is N samples of one condition, so what a condition is worth does not mix with what a sample is worth. One
    spread for all groups, and at least LEAST_SPREAD: samples that are alike stay near zero.
    """
    # A = D(y, c) - b, AFD's advantage; b is the mean of the group here, of the batch there.
    advantage = score - score.mean(dim=1, keepdim=True)
    return advantage / advantage.std(unbiased=False).clamp(min=LEAST_SPREAD)


def clip_weights(advantage: Float[Tensor, "*S"], *, limit: float = CLIP_ADVANTAGE) -> Float[Tensor, "*S"]:
    """Map advantages to weights in 0..1 whose mean is near a half whenever that of the advantages is near zero.

    >>> clip_weights(torch.tensor([-9.0, 0.0, 2.5])).tolist()
    [0.0, 0.5, 0.75]
    """
    # w = clamp(A / A_max, -1, 1) / 2 + 1/2, DiffusionNFT's optimality probability.
    return (advantage / limit).clamp(-1.0, 1.0) / 2.0 + 0.5


def nft_loss(
    velocity: Float[Tensor, "*S"],
    *,
    old: Float[Tensor, "*S"],
    target: Float[Tensor, "*S"],
    weight: Float[Tensor, "*S"],
    beta: float,
) -> Float[Tensor, "*S"]:
    """Return the loss of each element in velocity space.

    Args:
        velocity: v_theta(y_t, t).
        old: v_old(y_t, t) of the network that sampled y; no gradient.
        target: v* = e - y.
        weight: w, broadcast over a sample's elements.
        beta: inverse of the length of the step.
    """
    positive = (1.0 - beta) * old + beta * velocity  # v+ = (1 - beta) v_old + beta v_theta
    negative = (1.0 + beta) * old - beta * velocity  # v- = (1 + beta) v_old - beta v_theta
    # L_NFT = w |v+ - v*|^2 + (1 - w) |v- - v*|^2
    return weight * (positive - target).square() + (1.0 - weight) * (negative - target).square()


def clean_nft_loss(
    clean: Float[Tensor, "B *S"],
    *,
    old: Float[Tensor, "B *S"],
    anchor: Float[Tensor, "B *S"],
    sample: Float[Tensor, "B *S"],
    weight: Float[Tensor, "B *S"],
    beta: float,
) -> Float[Tensor, "B *S"]:
    """Return the loss of each element for networks that draw x_0, each branch divided by its own mean error.

    Since v = (y_t - x_0) / t, both branches and their minimiser carry over with y in the place of v*. As released by
    the authors of DiffusionNFT, each branch is divided by the mean absolute error of its sample, with no gradient, so
    that every noise level counts alike, and by beta, so that beta does not scale the gradient.

    Ours: a network that draws x_0 from fresh noise z has v_old as a mean over z. `anchor` is an unbiased estimate of
    that mean from draws that are independent of z; `clean` and `old` are the two networks' draws with the same z, and
    only their difference enters. So every draw is displaced by what the minimiser says, and their spread is left alone.

    Args:
        clean: the trained network's draw of x_0 behind y_t.
        old: the sampling network's draw from the same y_t and z; no gradient.
        anchor: mean of its draws from the same y_t and other z; no gradient.
        sample: y.
        weight: w, broadcast over a sample's elements.
        beta: inverse of the length of the step.
    """
    step = beta * (clean - old)
    positive = _self_normalised(anchor + step - sample)
    negative = _self_normalised(anchor - step - sample)
    return (weight * positive + (1.0 - weight) * negative) / beta


def _self_normalised(error: Float[Tensor, "B *S"]) -> Float[Tensor, "B *S"]:
    """Square errors, divided by their mean size per sample."""
    size = error.detach().abs().flatten(1).mean(dim=1).clamp(min=SMALLEST_ERROR)
    return error.square() / size.view(-1, *[1] * (error.dim() - 1))


def prior_loss(
    value: Float[Tensor, "*S"], *, reference: Float[Tensor, "*S"], weight: Float[Tensor, "*S"]
) -> Float[Tensor, "*S"]:
    """Return what holds a network near the one it started from, to be multiplied by lambda.

    In x_0 space it is t^2 times that of velocities, as x_0 = y_t - t v.
    """
    # L_prior = w |v_theta - v_ref|^2, AFD's prior; L_AFD = L_NFT + lambda L_prior.
    return weight * (value - reference).square()
