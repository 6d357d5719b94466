"""The update's minimiser is the closed form, it goes to the right place, and weights stay around a half."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scenegen.diffusion.forward_process_update import (
    clean_nft_loss,
    clip_weights,
    group_advantages,
    nft_loss,
    prior_loss,
)
from scenegen.diffusion.paired_discriminator import paired_loss

BETA = 0.1


def min_max_weights(advantage: Tensor) -> Tensor:
    """What a transcription of AFD says instead of the clip mapping."""
    clipped = advantage.clamp(-5.0, 5.0)
    return (clipped - clipped.min()) / (clipped.max() - clipped.min())


def test_velocity_minimiser_is_the_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    target, weight = torch.randn(500, generator=generator), torch.rand(500, generator=generator)
    old = torch.tensor(0.4)
    velocity = torch.zeros((), requires_grad=True)
    loss = nft_loss(velocity, old=old, target=target, weight=weight, beta=BETA).mean()
    (slope,) = torch.autograd.grad(loss, velocity)
    # A parabola of curvature 2 beta^2: one Newton step from zero is the minimiser.
    minimiser = -float(slope) / (2.0 * BETA**2)
    expected = float(old + ((2.0 * weight - 1.0) * (target - old)).mean() / BETA)
    assert minimiser == pytest.approx(expected, rel=1e-4)


def test_weights_of_a_half_move_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    old = torch.randn(8, generator=generator)
    velocity = old.clone().requires_grad_()
    loss = nft_loss(velocity, old=old, target=torch.randn(8), weight=torch.full((8,), 0.5), beta=BETA).sum()
    (slope,) = torch.autograd.grad(loss, velocity)
    assert float(slope.abs().max()) < 1e-6


def test_drawn_frames_are_all_displaced_alike_and_keep_their_spread() -> None:
    """x_0 drawn as old(z) = m + s z: the minimiser over functions of z is old(z) + E[(2w-1)(y - m)] / beta."""
    generator = torch.Generator().manual_seed(3)
    count, mean, spread = 40_000, 0.2, 0.7
    z, z_other = torch.randn(2, count, 1, generator=generator)
    sample = mean + spread * torch.randn(count, 1, generator=generator)
    # Good samples are bright ones, and samples are good more often than not: E[2w - 1] is not zero.
    weight = (0.65 + 0.2 * (sample - mean) / spread).clamp(0.0, 1.0)
    shift, scale = torch.zeros((), requires_grad=True), torch.ones((), requires_grad=True)
    optimizer = torch.optim.LBFGS([shift, scale], max_iter=40, line_search_fn="strong_wolfe")
    old = mean + spread * z

    def mean_loss() -> Tensor:
        clean = mean + shift + scale * spread * z
        step = BETA * (clean - old)
        errors = mean + spread * z_other + torch.stack([step, -step]) - sample
        return (weight * errors[0].square() + (1.0 - weight) * errors[1].square()).mean()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = mean_loss()
        loss.backward()
        return loss

    optimizer.step(closure)
    expected = float(((2.0 * weight - 1.0) * (sample - mean)).mean()) / BETA
    assert float(shift.detach()) == pytest.approx(expected, rel=0.05)
    assert float(scale.detach()) == pytest.approx(1.0, abs=0.08)


def test_clean_loss_is_that_of_velocities_up_to_a_scale_per_sample() -> None:
    """Where draws equal their mean, gradients of both variants point the same way at v_theta = v_old."""
    generator = torch.Generator().manual_seed(4)
    sample, old, noise = torch.randn(3, 6, 1, 4, 4, generator=generator)
    weight, t = torch.rand(6, 1, 1, 1, generator=generator), 0.5
    noisy = (1.0 - t) * sample + t * noise
    clean = old.clone().requires_grad_()
    loss = clean_nft_loss(clean, old=old, anchor=old, sample=sample, weight=weight, beta=BETA).sum()
    (slope,) = torch.autograd.grad(loss, clean)
    velocity = ((noisy - old) / t).requires_grad_()
    in_velocity = nft_loss(velocity, old=velocity.detach(), target=noise - sample, weight=weight, beta=BETA).sum()
    (slope_v,) = torch.autograd.grad(in_velocity, velocity)
    error = (old - sample).abs().flatten(1).mean(dim=1).view(-1, 1, 1, 1)
    # dL/dx_0 = -dL/dv / t; velocities' errors are those of x_0 over t; beta and the mean error divide once each.
    assert torch.allclose(slope, -slope_v * t / (BETA * error), atol=1e-4)


def test_every_noise_level_counts_alike() -> None:
    generator = torch.Generator().manual_seed(5)
    sample = torch.randn(2, 3, generator=generator)
    miss = torch.randn(1, 3, generator=generator) * torch.tensor([[1.0], [100.0]])
    clean = (sample + miss).requires_grad_()
    loss = clean_nft_loss(
        clean, old=clean.detach(), anchor=clean.detach(), sample=sample, weight=torch.ones(2, 1), beta=1.0
    ).sum()
    (slope,) = torch.autograd.grad(loss, clean)
    assert torch.allclose(slope[0], slope[1], rtol=1e-3)


def test_prior_pulls_back_to_the_reference() -> None:
    value = torch.tensor([1.0, -2.0], requires_grad=True)
    loss = prior_loss(value, reference=torch.zeros(2), weight=torch.tensor([0.5, 1.0])).sum()
    (slope,) = torch.autograd.grad(loss, value)
    assert slope.tolist() == [1.0, -4.0]


def test_advantages_are_those_within_a_group() -> None:
    advantage = group_advantages(torch.tensor([[1.0, 3.0], [101.0, 103.0]]))
    assert advantage.tolist() == [[-1.0, 1.0], [-1.0, 1.0]]
    assert group_advantages(torch.full((2, 4), 7.0)).tolist() == [[0.0] * 4] * 2


def test_mean_weight_stays_near_a_half_with_the_clip_mapping_and_drifts_with_min_max() -> None:
    generator = torch.Generator().manual_seed(6)
    # Scores of an exponential law: a few samples are much better, which moves the middle of a range.
    score = -torch.rand(200, 8, generator=generator).log()
    means: dict[str, Tensor] = {}
    for name, mapping in (("clip", clip_weights), ("min-max", min_max_weights)):
        means[name] = torch.stack([mapping(group_advantages(batch[None])).mean() for batch in score])
    assert abs(float(means["clip"].mean()) - 0.5) < 0.005
    assert float((means["clip"] - 0.5).abs().max()) < 0.05
    assert float(means["min-max"].mean()) < 0.45
    assert float((means["min-max"] - 0.5).abs().max()) > 0.2


def train_student(*, adapt: bool) -> float:
    """Let N(m, 1) follow a teacher N(1.5, 1) with D(x) = a x retrained each round, or left as first trained; m at last.

    The student is the flow between N(m, 1) and noise, whose old velocity is exact; its update is one shift of x_0.
    """
    generator = torch.Generator().manual_seed(7)
    mean, slope = torch.tensor(-1.0), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.SGD([slope], lr=0.5)
    for round_idx in range(60):
        y = mean + torch.randn(64, 8, generator=generator)
        x = 1.5 + torch.randn(64, generator=generator)
        for _ in range(10 if adapt or round_idx == 0 else 0):
            loss = paired_loss(slope * x, slope * y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        # The score itself, not in units of its own spread: it vanishes as the two laws meet.
        score = (slope * y).detach()
        weight = clip_weights(score - score.mean(dim=1, keepdim=True))
        t, noise = torch.rand(y.shape, generator=generator), torch.randn(y.shape, generator=generator)
        noisy = (1.0 - t) * y + t * noise
        gain = (1.0 - t) / ((1.0 - t).square() + t.square())
        clean = mean + gain * (noisy - (1.0 - t) * mean)  # E[x_0 | y_t]
        shift = torch.zeros((), requires_grad=True)
        velocity = (noisy - clean - shift) / t
        old = velocity.detach()
        loss = (t.square() * nft_loss(velocity, old=old, target=noise - y, weight=weight, beta=1.0)).mean()
        (down,) = torch.autograd.grad(loss, shift)
        mean = mean - 0.5 * down
    return float(mean)


def test_a_student_moves_to_the_teachers_mean_and_stops_there_if_the_discriminator_is_retrained() -> None:
    assert train_student(adapt=True) == pytest.approx(1.5, abs=0.15)


def test_with_the_first_discriminator_it_runs_past_the_teacher() -> None:
    assert train_student(adapt=False) > 2.5
