"""A small patch discriminator that sees a frame beside its conditions; used for the sharpening finish.

Hinge loss (Lim and Ye, 2017) with spectral normalisation (Miyato et al., 2018) and feature matching
(Wang et al., 2018). It is a training tool only: never shipped, never a judge.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from scenegen.video.planes import NUM_PLANES

SCORE_GAIN = 10.0
"""Spectral norms keep scores of nearly equal pictures nearly equal; the hinge wants them a unit apart."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Patch scores (positive means real) and the features that led to them."""

    score: Float[Tensor, "B 1 h w"]
    features: tuple[Tensor, ...]


class PatchDiscriminator(nn.Module):
    """Judges patches of about 20 pixels given their condition planes."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.conditions = spectral_norm(nn.Conv2d(NUM_PLANES, width // 2, 1))
        self.layers = nn.ModuleList(
            [
                spectral_norm(nn.Conv2d(3 + width // 2, width, 3, padding=1)),
                spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),
                spectral_norm(nn.Conv2d(2 * width, 3 * width, 4, stride=2, padding=1)),
            ]
        )
        self.score = spectral_norm(nn.Conv2d(3 * width, 1, 3, padding=1))

    def forward(self, rgb: Float[Tensor, "B 3 H W"], planes: Float[Tensor, "B C H W"]) -> Verdict:
        """Judge frames."""
        hidden = torch.cat([rgb, self.conditions(planes)], dim=1)
        features = []
        for layer in self.layers:
            hidden = functional.leaky_relu(layer(hidden), 0.2)
            features.append(hidden)
        return Verdict(score=SCORE_GAIN * self.score(hidden), features=tuple(features))


def discriminator_loss(real: Verdict, fake: Verdict) -> Float[Tensor, ""]:
    """Hinge loss of the discriminator."""
    return functional.relu(1.0 - real.score).mean() + functional.relu(1.0 + fake.score).mean()


def finish_loss(real: Verdict, fake: Verdict, *, matching_weight: float) -> Float[Tensor, ""]:
    """Loss of the generator: fool the discriminator, and match the features of the true frame."""
    matching = sum(
        (functional.l1_loss(a, b.detach()) for a, b in zip(fake.features, real.features, strict=True)),
        start=torch.zeros(()),
    )
    return -fake.score.mean() + matching_weight * matching
