"""SubGRPO: policy gradient of a few-step sampler over a random subset of its stochastic steps, with a group baseline.

Of the K - 1 stochastic steps, M are chosen. In these, the rollouts of a group draw noise of their own; in the others
they share it, so that what the group differs in is what is credited:

    g = (K - 1) / M * 1/N sum_i sum_{k in S} A_i grad log pi_k(x_k | x_{k-1})

Together with the gradient of the reward through the last, deterministic step (trajectory held) it is the gradient of
the expected reward ("hybrid").

Source: RTDMD (arXiv 2605.26108), SubGRPO and the hybrid gradient; group baseline from GRPO (Shao et al., 2024, arXiv
2402.03300). The released code leaves out (K - 1) / M and 1 / (2 sigma^2) and takes the mean over numbers: `plain` here.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from scenegen.diffusion.cps import cps_log_probability

MOST_ADVANTAGE = 5.0
SMALLEST_STD = 1e-6


def choose_steps(order: list[int], *, num_chosen: int) -> frozenset[int]:
    """Return the subset of steps, the first of a random order of the stochastic ones.

    >>> sorted(choose_steps([2, 0, 1], num_chosen=2))
    [0, 2]
    """
    return frozenset(order[:num_chosen])


def share_noise(noise: Float[Tensor, "G N *D"], *, is_chosen: bool) -> Float[Tensor, "G N *D"]:
    """Return a step's noise for G groups of N rollouts: their own where the step is chosen, else that of the first."""
    return noise if is_chosen else noise[:, :1].expand_as(noise)


def group_advantages(rewards: Float[Tensor, "G N"]) -> Float[Tensor, "G N"]:
    """Return (r - group mean) / group std within +-MOST_ADVANTAGE; zero in groups whose rewards are all the same."""
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    std = centred.square().mean(dim=1, keepdim=True).sqrt()
    scaled = torch.where(std > SMALLEST_STD, centred / std.clamp(min=SMALLEST_STD), torch.zeros_like(centred))
    return scaled.clamp(-MOST_ADVANTAGE, MOST_ADVANTAGE)


def join_advantages(rewards: dict[str, Float[Tensor, "G N"]], weights: dict[str, float]) -> Float[Tensor, "G N"]:
    """Normalise each reward by itself, add them up by weight, and normalise the sum again."""
    parts = [weights[name] * group_advantages(values) for name, values in rewards.items()]
    return group_advantages(torch.stack(parts).sum(dim=0))


def policy_loss(
    x_s: Float[Tensor, "B *D"],
    mean: Float[Tensor, "B *D"],
    advantages: Float[Tensor, " B"],
    *,
    std: float,
    num_stochastic: int,
    num_chosen: int,
) -> Float[Tensor, ""]:
    """Return the loss of one chosen step, whose gradient is minus its part of g.

    Args:
        x_s: what the step drew.
        mean: what the policy's mean is, with its graph.
        advantages: of the rollouts.
        std: of the step.
        num_stochastic: K - 1.
        num_chosen: M.
    """
    log_probability = cps_log_probability(x_s.detach(), mean, std=std)
    return -(num_stochastic / num_chosen) * (advantages.detach() * log_probability).mean()


def plain_policy_loss(
    x_s: Float[Tensor, "B *D"], mean: Float[Tensor, "B *D"], advantages: Float[Tensor, " B"]
) -> Float[Tensor, ""]:
    """Return the loss as the released code has it: late steps, whose noise is small, do not count more."""
    deviation = (x_s.detach() - mean).flatten(1).square().mean(dim=1)
    return (advantages.detach() * deviation).mean()
