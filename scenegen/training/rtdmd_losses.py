"""The losses of `recipe=rtdmd`: the fake score's, distribution matching, and the rewards' hybrid gradient."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from scenegen.config import RtdmdConfig
from scenegen.diffusion.ac_dmd import fake_score_loss, matching_direction, pull_loss, step_back
from scenegen.diffusion.consistency import Kernel, consistency_loss
from scenegen.diffusion.cps import cps_std
from scenegen.diffusion.renoise import MARGIN, Renoised, draw_levels, renoise
from scenegen.diffusion.sampler import CHANNELS, Sampler
from scenegen.diffusion.subgrpo import choose_steps, join_advantages, plain_policy_loss, share_noise
from scenegen.training.reward_network import RewardNetwork
from scenegen.training.rewards import (
    DIFFERENTIABLE,
    REWARDS,
    RewardTruth,
    SamePoints,
    repeat_points,
    score_frames,
)
from scenegen.training.rollout import NUM_VIEWS
from scenegen.training.rtdmd_moments import Moment, Painted, noise_picture, paint_moment, policy_mean
from scenegen.video.network import VideoNetwork

CONSISTENCY_EVERY = 4
"""The consistency term is taken in one step of this many, at random, and counts as many times; it costs two passes."""
WIDEST_GAP = 0.2
"""Of the two levels of the consistency term (as published: up to 200 of 1,000)."""
OWN_PICTURES = 4
"""Pictures of noise of distribution matching beside the teacher's: re-noising, stepping back, two reverse samples."""


def num_pictures(config: RtdmdConfig) -> int:
    """Return how many pictures of noise the losses need behind those of the sampler."""
    return OWN_PICTURES + config.teacher_draws


def draw_step(sampler: Sampler) -> int:
    """Draw the sampling step whose result is matched."""
    return int(torch.randint(sampler.steps, ()))


def renoise_result(moment: Moment, x_k: Float[Tensor, "B 3 H W"], k: int, *, sampler: Sampler) -> Renoised:
    """Take the result of step k up to a random level; one level for the batch."""
    t_k = sampler.levels[k + 1]
    t = draw_levels(torch.rand(1), t_k=t_k).expand(len(moment))
    noise = noise_picture(moment, 0, sampler=sampler)
    return renoise(x_k.detach(), noise, t_k=t_k, t=t)


def fake_loss(
    fake: VideoNetwork, moment: Moment, renoised: Renoised, *, t_k: float, sampler: Sampler, config: RtdmdConfig
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Regress the fake score to the student's marginals (eq. 12 of the source), with its consistency term."""
    silent = torch.zeros_like(renoised.x)

    def denoise(x: Tensor, t: float) -> Tensor:
        return moment.draw_clean(fake, x, torch.full((len(x),), t), silent)

    t = float(renoised.t[0])
    clean = denoise(renoised.x, t)
    loss = fake_score_loss(clean, renoised)
    parts = {"fake": float(loss.detach())}
    if config.consistency_weight > 0.0 and int(torch.randint(CONSISTENCY_EVERY, ())) == 0:
        lowest = max(t_k, MARGIN)
        s = t - float(torch.rand(())) * min(WIDEST_GAP, t - lowest)
        pair = noise_picture(moment, 2, sampler=sampler), noise_picture(moment, 3, sampler=sampler)
        kernel: Kernel = "bridge" if config.consistency_kernel == "bridge" else "cps"
        drift = consistency_loss(denoise, renoised.x, clean, pair, t=t, s=s, kernel=kernel)
        loss = loss + CONSISTENCY_EVERY * config.consistency_weight * drift
        parts["consistency"] = float(drift.detach())
    return loss, parts


def matching_loss(
    student: VideoNetwork,
    teacher: VideoNetwork,
    fake: VideoNetwork,
    *,
    moment: Moment,
    painted: Painted,
    k: int,
    sampler: Sampler,
    config: RtdmdConfig,
) -> Float[Tensor, ""]:
    """Pull the result of step k, made again with a gradient, to where the teacher's law is."""
    t_k = sampler.levels[k + 1]
    x_k = policy_mean(student, moment, painted.levels[k], k, sampler=sampler)
    std = cps_std(s=t_k, eta=sampler.eta)
    if std > 0.0:
        x_k = x_k + std * sampler.step_noise(moment.stack, k)
    with torch.no_grad():
        renoised = renoise_result(moment, x_k, k, sampler=sampler)
        by_fake = moment.draw_clean(fake, renoised.x, renoised.t, torch.zeros_like(renoised.x))
        # The teacher draws x_0; the mean of its draws is an unbiased estimate of E[x_0 | x_t], which is what is asked.
        draws = [
            moment.draw_clean(teacher, renoised.x, renoised.t, noise_picture(moment, OWN_PICTURES + d, sampler=sampler))
            for d in range(config.teacher_draws)
        ]
        by_teacher = torch.stack(draws).mean(dim=0)
        z = noise_picture(moment, 1, sampler=sampler)
        direction = matching_direction(
            x_k,
            by_teacher=step_back(by_teacher, renoised, z, t_k=t_k, eta=sampler.eta),
            by_fake=step_back(by_fake, renoised, z, t_k=t_k, eta=sampler.eta),
        )
    return pull_loss(x_k, direction)


def reward_losses(
    student: VideoNetwork,
    rewards: RewardNetwork,
    moment: Moment,
    *,
    truth: RewardTruth,
    points: SamePoints,
    sampler: Sampler,
    config: RtdmdConfig,
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Return the hybrid loss of one group of rollouts per clip: SubGRPO, and the last step's own gradient.

    The rewards of a rollout are those of all its views. The released code's form of the policy loss is taken: with
    tens of thousands of numbers per picture, log-probabilities of late steps would drown everything else.
    """
    num_stochastic = sampler.steps - 1
    chosen = choose_steps(torch.randperm(num_stochastic).tolist(), num_chosen=config.chosen_steps)
    group = _open_group(moment, chosen, sampler=sampler, group_size=config.group_size)
    painted = paint_moment(student, group, sampler=sampler)
    last = policy_mean(student, group, painted.levels[-2], sampler.steps - 1, sampler=sampler)
    scores = score_frames(
        last,
        rewards(last.clamp(-1.0, 1.0)),
        truth=truth.repeat(config.group_size),
        carried=group.carried,
        points=points,
    )
    views = len(moment) // _num_clips(moment)
    per_rollout = {name: _per_rollout(scores[name].detach(), config.group_size, views) for name in REWARDS}
    advantages = join_advantages(per_rollout, dict.fromkeys(REWARDS, 1.0))
    per_picture = advantages.T.repeat_interleave(views, dim=1).flatten()
    loss = -config.reward_weight * torch.stack([scores[name].mean() for name in DIFFERENTIABLE]).sum()
    if config.policy_weight > 0.0:
        for k in sorted(chosen):
            mean = policy_mean(student, group, painted.levels[k], k, sampler=sampler)
            loss = loss + config.policy_weight * plain_policy_loss(painted.levels[k + 1], mean, per_picture)
    still = (per_rollout["agents"].amax(1) == per_rollout["agents"].amin(1)).float().mean()
    figures = {f"reward_{name}": float(scores[name].detach().mean()) for name in REWARDS}
    return loss, figures | {"agents_same_in_group": float(still)}


def group_points(moment: Moment, points: SamePoints, *, group_size: int) -> SamePoints:
    """Return the common points of a group's rollouts."""
    _, _, height, width = moment.carried.shape
    return repeat_points(points, times=group_size, num_pixels=len(moment) * height * width)


def _num_clips(moment: Moment) -> int:
    return max(1, len(moment) // NUM_VIEWS)


def _per_rollout(values: Float[Tensor, " B"], group_size: int, views: int) -> Float[Tensor, "G N"]:
    """Average over views; B stacks rollouts outermost, then clips, then views."""
    return values.view(group_size, -1, views).mean(dim=2).T


def _open_group(moment: Moment, chosen: frozenset[int], *, sampler: Sampler, group_size: int) -> Moment:
    """Stack rollouts with a start of their own, and noise of their own in the chosen steps only.

    The network's fresh noise of a step is held like its new noise: own where the step is chosen or the last.
    """
    group = moment.repeat(group_size)
    count = len(moment)
    own = torch.randn(len(group), sampler.num_noise, *group.stack.shape[-2:])
    own[:count] = moment.stack[:, : sampler.num_noise]
    by_clip = own.view(group_size, count, *own.shape[1:]).transpose(0, 1)
    parts = [by_clip[:, :, :CHANNELS]]
    for k in range(sampler.steps):
        fresh = by_clip[:, :, CHANNELS * (1 + k) : CHANNELS * (2 + k)]
        parts.append(share_noise(fresh, is_chosen=k in chosen or k == sampler.steps - 1))
    for k in range(sampler.steps - 1):
        first = CHANNELS * (1 + sampler.steps + k)
        parts.append(share_noise(by_clip[:, :, first : first + CHANNELS], is_chosen=k in chosen))
    stack = torch.cat(parts, dim=2).transpose(0, 1).flatten(0, 1)
    return replace(group, stack=stack)
