"""The paired loss finds the log density ratio; its penalties are what they say."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from scenegen.diffusion.paired_discriminator import pair_accuracy, paired_loss, zero_centred_penalty

TEACHER_MEAN, STUDENT_MEAN, STD = 0.9, -0.3, 0.8
SLOPE = (TEACHER_MEAN - STUDENT_MEAN) / STD**2
"""log N(x; m_T, s) - log N(x; m_S, s) = (m_T - m_S) x / s^2 + a constant."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors are small: a second thread would mostly wait for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def gaussian_pairs(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    teacher = TEACHER_MEAN + STD * torch.randn(count, generator=generator)
    return teacher, STUDENT_MEAN + STD * torch.randn(count, 4, generator=generator)


def fit_cubic() -> torch.Tensor:
    """Fit D(x) = a x + b x^2 + c x^3 to samples; the loss is convex in these."""
    teacher, student = gaussian_pairs(12_000, 0)
    weights = torch.zeros(3, requires_grad=True)

    def score(x: torch.Tensor) -> torch.Tensor:
        return weights[0] * x + weights[1] * x**2 + weights[2] * x**3

    optimizer = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = paired_loss(score(teacher), score(student))
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach()


def test_between_gaussians_of_one_width_it_becomes_affine_with_the_slope_of_the_log_ratio() -> None:
    linear, square, cube = fit_cubic().tolist()
    assert linear == pytest.approx(SLOPE, rel=0.05)
    assert abs(square) < 0.06 and abs(cube) < 0.06


def test_a_small_network_finds_the_same_line() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(1, 32), torch.nn.SiLU(), torch.nn.Linear(32, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(250):
        teacher, student = gaussian_pairs(512, step)
        loss = paired_loss(network(teacher[:, None])[:, 0], network(student[..., None])[..., 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = torch.linspace(-1.0, 1.6, 9)
    with torch.no_grad():
        score = network(x[:, None])[:, 0]
    slopes = (score[1:] - score[:-1]) / (x[1] - x[0])
    assert float(slopes.mean()) == pytest.approx(SLOPE, rel=0.06)
    assert float((slopes - SLOPE).abs().max()) < 0.2 * SLOPE


def test_what_a_condition_is_worth_cancels() -> None:
    generator = torch.Generator().manual_seed(1)
    teacher, student = torch.randn(6, generator=generator), torch.randn(6, 4, generator=generator)
    worth = 100.0 * torch.randn(6, generator=generator)
    shifted = paired_loss(teacher + worth, student + worth[:, None])
    assert float(shifted) == pytest.approx(float(paired_loss(teacher, student)), rel=1e-4)
    assert float(paired_loss(teacher * 0.0, student * 0.0)) == pytest.approx(math.log(2.0))


def test_accuracy_counts_pairs() -> None:
    teacher, student = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 2.0], [0.0, -1.0]])
    assert pair_accuracy(teacher, student) == (1.0 + 0.0 + 0.5 + 1.0) / 4


def test_the_penalty_is_the_mean_squared_slope_and_can_be_trained_on() -> None:
    samples = torch.randn(5, 2, 3, requires_grad=True)
    weight = torch.tensor([2.0, -1.0, 0.5], requires_grad=True)
    penalty = zero_centred_penalty((samples @ weight).sum(dim=1), samples)
    # |dD/dx|^2 = 2 |w|^2, since each weight meets two rows of a sample.
    assert float(penalty.detach()) == pytest.approx(2.0 * 5.25)
    (slope,) = torch.autograd.grad(penalty, weight)
    assert torch.allclose(slope, 4.0 * weight.detach())
