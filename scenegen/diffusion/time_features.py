"""How a network is told the noise level."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

NUM_TIME_FEATURES = 32


def time_features(t: Float[Tensor, " B"]) -> Float[Tensor, "B 32"]:
    """Return sines and cosines of t at 16 frequencies from half a turn to 64 turns."""
    frequency = torch.exp(
        torch.linspace(math.log(math.pi), math.log(128.0 * math.pi), NUM_TIME_FEATURES // 2, device=t.device)
    )
    angle = t.float()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)
