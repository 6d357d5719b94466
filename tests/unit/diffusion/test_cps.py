"""Coefficient-preserving sampling against closed forms of Gaussian data."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from scenegen.diffusion.cps import bridge_eta, cps_log_probability, cps_mean, cps_std, cps_step, sample_cps
from scenegen.diffusion.flow import noise_levels, sample_euler
from scenegen.diffusion.sampler import Sampler

STD = 0.5
LEVELS = noise_levels(4)


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def posterior(x: torch.Tensor, t: float) -> tuple[torch.Tensor, float]:
    """Mean and std of x_0 given x_t for data N(0, STD^2)."""
    variance = (1 - t) ** 2 * STD**2 + t**2
    return (1 - t) * STD**2 / variance * x, STD * t / math.sqrt(variance)


def marginal_std(t: float) -> float:
    return math.sqrt((1 - t) ** 2 * STD**2 + t**2)


def test_eta_zero_is_the_euler_step() -> None:
    x, clean = randn(5, 3, 2, 2), randn(5, 3, 2, 2, seed=1)
    euler = clean + 0.5 / 0.75 * (x - clean)
    torch.testing.assert_close(cps_step(x, clean, randn(5, 3, 2, 2, seed=2), t=0.75, s=0.5, eta=0.0), euler)


def test_eta_one_forgets_the_old_noise() -> None:
    clean = randn(4, 3, 2, 2)
    one, other = (cps_mean(randn(4, 3, 2, 2, seed=k), clean, t=0.75, s=0.5, eta=1.0) for k in (1, 2))
    torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    torch.testing.assert_close(one, 0.5 * clean, atol=1e-6, rtol=0)


def test_log_probability_is_that_of_torch() -> None:
    x, mean = randn(3, 2, 4), randn(3, 2, 4, seed=1)
    expected = torch.distributions.Normal(mean, 0.4).log_prob(x).sum(dim=(1, 2))
    torch.testing.assert_close(cps_log_probability(x, mean, std=0.4), expected)


def test_gradient_of_the_log_probability_has_mean_zero_and_the_known_variance() -> None:
    """The score of a Gaussian's mean has variance 1 / std^2."""
    std = cps_std(s=0.5, eta=0.9)
    mean = torch.zeros(100_000, 1, requires_grad=True)
    x = std * randn(100_000, 1)
    (score,) = torch.autograd.grad(cps_log_probability(x, mean, std=std).sum(), mean)
    assert score.mean().item() == pytest.approx(0.0, abs=0.03)
    assert score.var().item() == pytest.approx(1 / std**2, rel=0.02)


@pytest.mark.parametrize("eta", [0.0, 0.5, 0.9, 1.0])
def test_a_network_that_draws_the_clean_picture_keeps_the_marginal_at_every_eta(eta: float) -> None:
    for t, s in pairwise(LEVELS):
        x = marginal_std(t) * randn(200_000, 1)
        mean, std = posterior(x, t)
        after = cps_step(x, mean + std * randn(200_000, 1, seed=1), randn(200_000, 1, seed=2), t=t, s=s, eta=eta)
        assert after.std().item() == pytest.approx(marginal_std(s), rel=0.01)


def test_a_network_that_predicts_the_mean_shrinks_the_marginal() -> None:
    """Std 0.51 instead of 0.56 for 0.9 -> 0.5, from the closed form."""
    x = marginal_std(0.9) * randn(200_000, 1)
    after = cps_step(x, posterior(x, 0.9)[0], randn(200_000, 1, seed=2), t=0.9, s=0.5, eta=0.9)
    assert marginal_std(0.5) == pytest.approx(0.559, abs=0.001)
    assert after.std().item() == pytest.approx(0.505, abs=0.01)


def test_the_bridge_is_the_exact_reverse_kernel() -> None:
    """Regress x_s on (x_t, x_0) of the forward path: coefficients and residual are those of the CPS step."""
    t, s = 0.7, 0.4
    clean, early, late = (randn(400_000, seed=k) for k in range(3))
    x_s = (1 - s) * clean + s * early
    shrink = (1 - t) / (1 - s)
    x_t = shrink * x_s + math.sqrt(t**2 - shrink**2 * s**2) * late
    fit = torch.linalg.lstsq(torch.stack([x_t, clean], dim=1), x_s[:, None]).solution[:, 0]
    residual = x_s - torch.stack([x_t, clean], dim=1) @ fit
    eta = bridge_eta(t=t, s=s)
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    expected = [cps_mean(a, b, t=t, s=s, eta=eta).item() for a, b in ((one, zero), (zero, one))]
    assert fit.tolist() == pytest.approx(expected, abs=0.005)
    assert residual.std().item() == pytest.approx(cps_std(s=s, eta=eta), rel=0.01)


def test_sampling_with_exact_draws_reproduces_the_data() -> None:
    calls = []

    def predict(x: torch.Tensor, t: torch.Tensor, k: int) -> torch.Tensor:
        calls.append(k)
        mean, std = posterior(x, float(t[0]))
        return mean + std * randn(*x.shape, seed=10 + k)

    asked: list[int] = []

    def noise_of_step(k: int) -> torch.Tensor:
        asked.append(k)
        return randn(100_000, 1, 1, 1, seed=20 + k)

    out = sample_cps(predict, randn(100_000, 1, 1, 1), levels=LEVELS, eta=0.9, noise_of_step=noise_of_step)
    assert out.std().item() == pytest.approx(STD, rel=0.01)
    assert calls == [0, 1, 2, 3]
    assert asked == [0, 1, 2]


def test_a_sampler_takes_each_picture_of_its_stack_once() -> None:
    euler, cps = Sampler(name="euler", steps=2), Sampler(name="cps", steps=4)
    assert (euler.num_noise, cps.num_noise) == (9, 24)
    stack = torch.arange(24.0).view(1, 24, 1, 1)
    used = [stack[:, :3], *(cps.fresh_noise(stack, k) for k in range(4)), *(cps.step_noise(stack, k) for k in range(3))]
    assert torch.equal(torch.cat(used, dim=1), stack)


def test_cps_without_new_noise_is_the_euler_sampler() -> None:
    stack = randn(2, 24, 2, 2)

    def predict(x: torch.Tensor, t: torch.Tensor, k: int) -> torch.Tensor:
        return 0.3 * x + stack[:, 3 + 3 * k : 6 + 3 * k]

    euler = sample_euler(predict, stack[:, :3], levels=LEVELS)
    torch.testing.assert_close(Sampler(name="cps", steps=4, eta=0.0).sample(predict, stack), euler)
    assert torch.equal(Sampler(name="euler", steps=4).sample(predict, stack), euler)
