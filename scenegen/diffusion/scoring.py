"""A loss whose minimum is the distribution, not its mean: the energy score of wavelet coefficients.

Two draws x, x' of the model and one truth y give `(|x - y| + |x' - y|) / 2 - |x - x'| / 2`, whose expectation is
smallest when draws and truths have the same law (Gneiting and Raftery, 2007, JASA 102, section 4.2; used for diffusion
models by De Bortoli et al., 2025, arXiv 2502.02483). A squared error would paint the mean of all foliage: a blur.

Ours: the norm is taken per place and scale over the Haar coefficients of a picture, so that the energy of fine texture
counts as much as that of large areas, and is smoothed at zero, `sqrt(|d|^2 + c^2) - c`, which keeps the score proper.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SCALES = 3
SMOOTHING = 0.02


def haar_pyramid(x: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B F h w"]]:
    """Return the detail coefficients (3 C) of `SCALES` scales, fine to coarse, and the remaining mean (C).

    Details have unit-norm filters; means stay in the range of `x`. Odd rows and columns at the end are left out.
    """
    bands = []
    for _ in range(SCALES):
        height, width = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
        a, b = x[..., :height:2, :width:2], x[..., :height:2, 1:width:2]
        c, d = x[..., 1:height:2, :width:2], x[..., 1:height:2, 1:width:2]
        bands.append(torch.cat([a - b + c - d, a + b - c - d, a - b - c + d], dim=1) / 2)
        x = (a + b + c + d) / 4
    return [*bands, x]


def energy_score(
    draw: Float[Tensor, "B C H W"],
    other: Float[Tensor, "B C H W"],
    truth: Float[Tensor, "B C H W"],
    *,
    weight: Float[Tensor, "B H W"],
) -> Float[Tensor, " B"]:
    """Return the score of two independent draws against the truth, per picture; smaller is better.

    Args:
        draw: one draw of the model.
        other: a second one under the same conditions.
        truth: what really was there.
        weight: how much each pixel counts; averaged over the area of a coefficient.
    """
    total = torch.zeros(len(draw), device=draw.device)
    share = weight[:, None]
    bands = zip(haar_pyramid(draw), haar_pyramid(other), haar_pyramid(truth), strict=True)
    for scale, (x, y, z) in enumerate(bands):
        if scale < SCALES:
            share = functional.avg_pool2d(share, 2)
        score = (_length(x - z) + _length(y - z) - _length(x - y)) / 2
        total = total + (share[:, 0] * score).mean(dim=(1, 2))
    return total


def _length(difference: Float[Tensor, "B F h w"]) -> Float[Tensor, "B h w"]:
    return (difference.square().sum(dim=1) + SMOOTHING**2).sqrt() - SMOOTHING
