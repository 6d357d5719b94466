"""Re-noising, consistency, distribution matching and SubGRPO against closed forms of Gaussians."""

from __future__ import annotations

import math

import pytest
import torch

from scenegen.diffusion.ac_dmd import (
    divergence_gradient,
    fake_score_loss,
    matching_direction,
    pull_loss,
    step_back,
    velocity_of,
)
from scenegen.diffusion.consistency import Kernel, consistency_loss, reverse_sample
from scenegen.diffusion.cps import cps_log_probability, cps_mean, cps_std
from scenegen.diffusion.renoise import Renoised, draw_levels, renoise
from scenegen.diffusion.subgrpo import (
    choose_steps,
    group_advantages,
    join_advantages,
    plain_policy_loss,
    policy_loss,
    share_noise,
)

STD = 0.5


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def marginal_std(t: float, std: float = STD) -> float:
    return math.sqrt((1 - t) ** 2 * std**2 + t**2)


def gain_of_mean(t: float, std: float = STD) -> float:
    """E[x_0 | x_t] = gain * x_t for data N(0, std^2)."""
    return (1 - t) * std**2 / marginal_std(t, std) ** 2


@pytest.mark.parametrize(("t_k", "t"), [(0.5, 0.75), (0.75, 0.9), (0.0, 0.3), (0.25, 0.26)])
def test_renoised_results_have_the_marginal_of_their_level(t_k: float, t: float) -> None:
    x_k = marginal_std(t_k) * randn(200_000, 1)
    renoised = renoise(x_k, randn(200_000, 1, seed=1), t_k=t_k, t=torch.full((200_000,), t))
    assert renoised.x.std().item() == pytest.approx(marginal_std(t), rel=0.01)


def test_the_coefficient_the_paper_prints_misses_the_marginal() -> None:
    t_k, t = 0.5, 0.75
    keep, printed = (1 - t) / (1 - t_k), (t - t_k) / (1 - t_k)
    assert math.hypot(keep * marginal_std(t_k), printed) == pytest.approx(0.573, abs=0.001)
    assert marginal_std(t) == pytest.approx(0.760, abs=0.001)


@pytest.mark.parametrize(("t_k", "t"), [(0.5, 0.75), (0.25, 0.6), (0.0, 0.4)])
def test_the_regressed_target_is_the_velocity_of_the_marginals(t_k: float, t: float) -> None:
    x_k = marginal_std(t_k) * randn(400_000, 1)
    renoised = renoise(x_k, randn(400_000, 1, seed=1), t_k=t_k, t=torch.full((400_000,), t))
    slope = ((renoised.x * renoised.velocity).mean() / renoised.x.square().mean()).item()
    assert slope == pytest.approx((1 - gain_of_mean(t)) / t, abs=0.01)


def test_at_level_zero_the_target_is_that_of_flow_matching() -> None:
    x, noise = randn(4, 2), randn(4, 2, seed=1)
    renoised = renoise(x, noise, t_k=0.0, t=torch.full((4,), 0.3))
    torch.testing.assert_close(renoised.velocity, noise - x)
    torch.testing.assert_close(renoised.x, 0.7 * x + 0.3 * noise)


def test_levels_lie_above_the_result_they_start_from() -> None:
    t = draw_levels(torch.linspace(0, 1, 11), t_k=0.75)
    assert t.min() > 0.75 and t.max() <= 0.98


def test_the_fake_score_loss_is_smallest_at_the_velocity_of_the_marginals() -> None:
    t = 0.6
    x_k = marginal_std(0.25) * randn(200_000, 1)
    renoised = renoise(x_k, randn(200_000, 1, seed=1), t_k=0.25, t=torch.full((200_000,), t))
    best = gain_of_mean(t)
    losses = [fake_score_loss(gain * renoised.x, renoised).item() for gain in (best - 0.1, best, best + 0.1)]
    assert losses[1] == min(losses)


def test_no_level_drowns_the_others() -> None:
    """The loss at the optimum is of order one, however near to its start a result is re-noised."""
    x_k = marginal_std(0.75) * randn(50_000, 1)
    for t in (0.76, 0.8, 0.95):
        renoised = renoise(x_k, randn(50_000, 1, seed=1), t_k=0.75, t=torch.full((50_000,), t))
        assert fake_score_loss(gain_of_mean(t) * renoised.x, renoised).item() < 1.5


def drift(t: float, s: float, kernel: Kernel) -> float:
    """E[h(x_s)] / h(x_t) of the optimal denoiser."""
    x = torch.ones(200_000, 1)
    after = reverse_sample(x, gain_of_mean(t) * x, randn(200_000, 1), t=t, s=s, kernel=kernel)
    return gain_of_mean(s) * after.mean().item() / gain_of_mean(t)


@pytest.mark.parametrize(("t", "s"), [(0.5, 0.48), (0.9, 0.88), (0.9, 0.75)])
def test_the_optimal_denoiser_is_a_martingale_along_the_bridge_and_not_along_cps(t: float, s: float) -> None:
    published = {(0.5, 0.48): 0.36, (0.9, 0.88): 0.20, (0.9, 0.75): 0.48}[t, s]
    assert drift(t, s, "bridge") == pytest.approx(1.0, abs=0.02)
    assert drift(t, s, "cps") == pytest.approx(published, abs=0.03)


def test_the_consistency_loss_spares_the_optimum_along_the_bridge_only() -> None:
    t, s = 0.5, 0.48
    x = marginal_std(t) * randn(200_000, 1)
    noises = randn(200_000, 1, seed=1), randn(200_000, 1, seed=2)

    def loss(kernel: Kernel, factor: float = 1.0) -> float:
        def denoise(x: torch.Tensor, t: float) -> torch.Tensor:
            return factor * gain_of_mean(t) * x

        return consistency_loss(denoise, x, gain_of_mean(t) * x, noises, t=t, s=s, kernel=kernel).item()

    size = (gain_of_mean(t) * marginal_std(t)) ** 2
    assert loss("bridge") == pytest.approx(0.0, abs=0.02 * size)
    assert loss("cps") == pytest.approx((drift(t, s, "cps") - 1.0) ** 2 * size, abs=0.02 * size)
    assert loss("cps") > 0.1 * size
    assert loss("bridge", factor=1.5) == pytest.approx(0.25 * size, rel=0.1)


def test_the_direction_points_from_the_student_to_the_teacher_at_every_eta() -> None:
    x_k = randn(3, 4)
    renoised = renoise(x_k, randn(3, 4, seed=1), t_k=0.25, t=torch.tensor([0.3, 0.6, 0.9]))
    z = randn(3, 4, seed=2)
    for eta in (0.0, 0.9, 1.0):
        by_teacher = step_back(0.2 * torch.ones(3, 4), renoised, z, t_k=0.25, eta=eta)
        by_fake = step_back(torch.zeros(3, 4), renoised, z, t_k=0.25, eta=eta)
        direction = matching_direction(x_k, by_teacher=by_teacher, by_fake=by_fake)
        assert (direction < 0).all()  # descending it moves x_k up, to the teacher
    x = x_k.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(pull_loss(x, direction), x)
    torch.testing.assert_close(gradient, direction / x.numel())


def test_step_back_is_a_cps_step() -> None:
    x, clean, z = randn(2, 3), randn(2, 3, seed=1), randn(2, 3, seed=2)
    renoised = Renoised(x=x, t=torch.full((2,), 0.8), std=torch.ones(2, 1), velocity=x, size=torch.ones(2, 1))
    expected = cps_mean(x, clean, t=0.8, s=0.5, eta=0.9) + cps_std(s=0.5, eta=0.9) * z
    torch.testing.assert_close(step_back(clean, renoised, z, t_k=0.5), expected)
    torch.testing.assert_close(velocity_of(clean, x, renoised.t), (x - clean) / 0.8)


def test_advantages_are_standardised_within_their_group() -> None:
    rewards = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    advantages = group_advantages(rewards)
    torch.testing.assert_close(advantages[0], torch.tensor([-1.2247, 0.0, 1.2247]), atol=1e-4, rtol=0)
    assert advantages[1].tolist() == [0.0, 0.0, 0.0]


def test_rewards_of_different_scales_count_by_their_weights() -> None:
    small, large = torch.tensor([[0.0, 1e-3, 2e-3]]), torch.tensor([[2e3, 1e3, 0.0]])
    even = join_advantages({"a": small, "b": large}, {"a": 1.0, "b": 1.0})
    assert even.abs().max().item() == pytest.approx(0.0, abs=1e-3)
    assert join_advantages({"a": small, "b": large}, {"a": 2.0, "b": 1.0})[0, 2] > 1.0


def test_rollouts_share_the_noise_of_steps_that_are_not_chosen() -> None:
    noise = randn(2, 4, 3)
    assert torch.equal(share_noise(noise, is_chosen=True), noise)
    shared = share_noise(noise, is_chosen=False)
    assert (shared == shared[:, :1]).all()
    assert not torch.equal(shared[0], shared[1])
    assert choose_steps([1, 2, 0], num_chosen=2) == {1, 2}


def test_the_subset_gradient_is_unbiased() -> None:
    """Steps x_k = theta_k + std z_k and reward sum_k c_k x_k: d E[r] / d theta_k = c_k.

    The group mean holds the rollout itself, which shrinks the estimate by (N - 1) / N.
    """
    num_stochastic, num_chosen, groups, rollouts = 3, 2, 20_000, 4
    slopes, std = torch.tensor([1.0, -2.0, 0.5]), 0.7
    generator = torch.Generator().manual_seed(0)
    means = torch.zeros(num_stochastic, requires_grad=True)
    total = torch.zeros(num_stochastic)
    for subset in ({0, 1}, {0, 2}, {1, 2}):
        noise = [torch.randn(groups, rollouts, generator=generator) for _ in range(num_stochastic)]
        drawn = [std * share_noise(z, is_chosen=k in subset) for k, z in enumerate(noise)]
        rewards = torch.stack([c * x for c, x in zip(slopes, drawn, strict=True)]).sum(dim=0)
        advantages = (rewards - rewards.mean(dim=1, keepdim=True)).flatten()
        loss = torch.zeros(())
        for k in subset:
            loss = loss + policy_loss(
                drawn[k].reshape(-1, 1),
                means[k].expand(groups * rollouts, 1),
                advantages,
                std=std,
                num_stochastic=num_stochastic,
                num_chosen=num_chosen,
            )
        total -= torch.autograd.grad(loss, means)[0] / 3
    torch.testing.assert_close(total, 0.75 * slopes, atol=0.03, rtol=0)


def test_the_plain_policy_loss_goes_the_same_way() -> None:
    mean = torch.zeros(2, 1, requires_grad=True)
    drawn, advantages = torch.tensor([[1.0], [-1.0]]), torch.tensor([1.0, -1.0])
    (gradient,) = torch.autograd.grad(plain_policy_loss(drawn, mean, advantages), mean)
    assert (gradient < 0).all()


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("reward", ["linear", "quadratic"])
def test_the_hybrid_gradient_leads_to_the_tilted_law(beta: float, reward: str) -> None:
    """Teacher N(0, 1). r = 0.8 x tilts it to N(0.8 beta, 1); r = -(x - 1)^2 / 2 to N(beta, 1) / (1 + beta).

    The generator has two affine steps, the first stochastic; the fake score is exact from the batch's moments.
    """
    t_mid, eta, batch = 0.5, 0.9, 4096
    generator = torch.Generator().manual_seed(1)
    parameters = torch.tensor([0.3, 0.0, 0.9, 0.2], requires_grad=True)
    optimizer = torch.optim.Adam([parameters], lr=0.03)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 300) + 1e-3
        gain, bias, last_gain, last_bias = parameters
        start, z, n = (torch.randn(batch, 1, generator=generator) for _ in range(3))
        mean = cps_mean(start, gain * start + bias, t=1.0, s=t_mid, eta=eta)
        std = cps_std(s=t_mid, eta=eta)
        x_mid = mean + std * z
        x = last_gain * x_mid + last_bias  # the divergence's gradient runs through both steps
        t = torch.full((batch,), 0.03)
        renoised = renoise(x.detach(), n, t_k=0.0, t=t)
        own_mean, own_std = x.detach().mean().item(), x.detach().std().item()
        by_fake = own_mean + gain_of_mean(0.03, own_std) * (renoised.x - 0.97 * own_mean)
        by_teacher = gain_of_mean(0.03, 1.0) * renoised.x
        pull = divergence_gradient(renoised, by_teacher=by_teacher, by_fake=by_fake, t_k=0.0)
        divergence = (pull * x).mean()

        def score(x: torch.Tensor) -> torch.Tensor:
            return (0.8 * x if reward == "linear" else -0.5 * (x - 1.0).square()).flatten()

        last = last_gain * x_mid.detach() + last_bias  # trajectory held
        centred = score(last).detach() - score(last).detach().mean()
        stochastic = (centred * cps_log_probability(x_mid.detach(), mean, std=std)).mean()
        loss = divergence - beta * (stochastic + score(last).mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    expected = (0.8 * beta, 1.0) if reward == "linear" else (beta / (1 + beta), (1 + beta) ** -0.5)
    assert (own_mean, own_std) == pytest.approx(expected, abs=0.06)
