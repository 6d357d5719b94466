"""The energy score is smallest for the true law, not for its mean."""

from __future__ import annotations

import pytest
import torch

from scenegen.diffusion.scoring import SCALES, energy_score, haar_pyramid

MEAN, STD = 0.4, 0.5
COUNT = 512


def truths(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return MEAN + STD * torch.randn(COUNT, 1, 8, 8, generator=generator)


def mean_score(draw: torch.Tensor, other: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return energy_score(draw, other, truth, weight=torch.ones(len(draw), 8, 8)).mean()


def scaled_noise(mean: torch.Tensor, std: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return mean + std * torch.randn(COUNT, 1, 8, 8, generator=generator)


def test_minimising_recovers_mean_and_standard_deviation() -> None:
    generator = torch.Generator().manual_seed(1)
    mean, std = torch.tensor(0.0, requires_grad=True), torch.tensor(0.1, requires_grad=True)
    optimizer = torch.optim.Adam([mean, std], lr=0.03)
    for step in range(80):
        truth = truths(step)
        loss = mean_score(scaled_noise(mean, std, generator), scaled_noise(mean, std, generator), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(mean.detach()) == pytest.approx(MEAN, abs=0.03)
    assert abs(float(std.detach())) == pytest.approx(STD, rel=0.05)


def test_the_mean_and_a_too_wide_law_score_worse_than_the_truth() -> None:
    generator = torch.Generator().manual_seed(2)
    truth, constant = truths(7), torch.full((COUNT, 1, 8, 8), MEAN)

    def score(std: float) -> float:
        draws = [scaled_noise(torch.tensor(MEAN), torch.tensor(std), generator) for _ in range(2)]
        return float(mean_score(*draws, truth))

    right = score(STD)
    assert right < 0.9 * float(mean_score(constant, constant, truth))
    assert right < score(2.0 * STD)
    assert right < score(0.5 * STD)


def test_the_mean_wins_by_squared_error_and_loses_by_this_score() -> None:
    """Why the network is not trained on squared error: that one prefers a blur."""
    generator = torch.Generator().manual_seed(2)
    truth, constant = truths(7), torch.full((COUNT, 1, 8, 8), MEAN)
    draw = scaled_noise(torch.tensor(MEAN), torch.tensor(STD), generator)
    assert float((constant - truth).square().mean()) < float((draw - truth).square().mean())


def test_pyramid_keeps_the_energy_of_details_and_the_mean() -> None:
    x = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    bands = haar_pyramid(x)
    assert [band.shape[-2:] for band in bands] == [(8, 12), (4, 6), (2, 3), (2, 3)]
    assert torch.allclose(bands[-1].mean(dim=(2, 3)), x.mean(dim=(2, 3)), atol=1e-6)
    # Haar is orthonormal; a mean of scale s stands for 4^s pixels.
    energy = sum(4.0**s * float(band.square().sum()) for s, band in enumerate(bands[:-1]))
    energy += 4.0**SCALES * float(bands[-1].square().sum())
    assert energy == pytest.approx(float(x.square().sum()), rel=1e-5)


def test_pixels_without_weight_do_not_count() -> None:
    truth = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    weight = torch.ones(4, 16, 16)
    weight[:, :, 8:] = 0.0  # the border of the coarsest cells
    wrong = truth.clone()
    wrong[..., 8:] += 1.0
    assert torch.equal(
        energy_score(wrong, wrong, truth, weight=weight), energy_score(truth, truth, truth, weight=weight)
    )
    assert (energy_score(wrong, wrong, truth, weight=torch.ones(4, 16, 16)) > 0.1).all()
