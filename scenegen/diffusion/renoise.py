"""Re-noising of a sampler's intermediate result x_k at level t_k up to a level t above it, and what to regress there.

A few-step student's law at level t_k is only defined by its results x_k, so its marginals are known on [t_k, 1] alone:

    x_t = a x_k + s n,    a = (1 - t) / (1 - t_k),    s^2 = t^2 - a^2 t_k^2,    n ~ N(0, I)

Source: RTDMD (arXiv 2605.26108), re-noising of AC-DMD. Corrected as its released code has it: the paper prints
s = (t - t_k) / (1 - t_k), which with fresh n falls short of the true variance (std 0.57 instead of 0.76 for data of std
0.5, t_k = 0.5, t = 0.75). At t_k = 0 all of it is plain flow matching.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

MARGIN = 0.01
LEVELS = (0.02, 0.98)
"""Levels are drawn MARGIN above t_k, and kept within these bounds."""


@dataclass(frozen=True, kw_only=True)
class Renoised:
    """A result taken up to a level.

    Attributes:
        x: x_t.
        t: levels.
        std: s, of the noise that was added.
        velocity: u, whose mean given x_t is the velocity of the student's marginals.
        size: of u: the larger of its factors of n and x_k.
    """

    x: Float[Tensor, "B *D"]
    t: Float[Tensor, " B"]
    std: Float[Tensor, "B *1"]
    velocity: Float[Tensor, "B *D"]
    size: Float[Tensor, "B *1"]


def draw_levels(uniforms: Float[Tensor, " B"], *, t_k: float) -> Float[Tensor, " B"]:
    """Return levels in [t_k + MARGIN, 1], within LEVELS, from numbers 0..1.

    >>> draw_levels(torch.tensor([0.0, 1.0]), t_k=0.5).tolist()
    [0.5099999904632568, 0.9800000190734863]
    """
    low = t_k + MARGIN
    return (low + (1.0 - low) * uniforms).clamp(*LEVELS)


def renoise(
    x_k: Float[Tensor, "B *D"], noise: Float[Tensor, "B *D"], *, t_k: float, t: Float[Tensor, " B"]
) -> Renoised:
    """Take x_k from level t_k < 1 up to the levels t > t_k.

    The velocity is the derivative of x_t along the path with x_k and n held:
    u = -x_k / (1 - t_k) + (t + (1 - t) t_k^2 / (1 - t_k)^2) / s * n.
    """
    level = t.view(-1, *[1] * (x_k.dim() - 1))
    keep = (1.0 - level) / (1.0 - t_k)
    std = (level.square() - (keep * t_k).square()).sqrt()
    gain = (level + (1.0 - level) * (t_k / (1.0 - t_k)) ** 2) / std
    velocity = gain * noise - x_k / (1.0 - t_k)
    return Renoised(x=keep * x_k + std * noise, t=t, std=std, velocity=velocity, size=gain.clamp(min=1.0 / (1.0 - t_k)))
