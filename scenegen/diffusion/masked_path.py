"""Masked (absorbing) diffusion of codes: the path, its loss, and two samplers.

Time t runs from 0 (all codes known) to 1 (all masked). With the linear schedule alpha_t = 1 - t every free code is
masked with probability t by itself, and a network that sees the rest predicts what was there. The negative evidence
lower bound (NELBO) is the integral over t of 1/t times the cross-entropy at masked codes.

Source: MDLM (Sahoo et al., 2024, arXiv 2406.07524, eq. 10) and MD4 (Shi et al., 2024, arXiv 2406.04329); reveal by
confidence from MaskGIT (Chang et al., 2022, arXiv 2202.04200). Ours: which codes are free is given, so that known
ones (neighbours, codes fixed by a layout) are never masked and never drawn, and all chance comes in as uniforms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

EARLIEST_T = 1e-3
"""Times of training stay above this: the weight 1/t has no bounded variance at 0."""
SMALLEST = 1e-12
NUM_DRAWS = 2
"""Uniforms per code and sampling step: one for when it is revealed, one for its value."""

Reveal = Literal["chance", "confidence"]
CodePredictor = Callable[[Int[Tensor, "B H W"], Float[Tensor, " B"], int], Float[Tensor, "B H W V"]]
"""(codes with masks, t, number of the step) -> logits of every code."""


def stratified_times(offset: Float[Tensor, ""], *, num: int, earliest: float = EARLIEST_T) -> Float[Tensor, " num"]:
    """Return `num` times in [earliest, 1), one in each of `num` equal strata, from one uniform number.

    Source: low-discrepancy times of Kingma et al., 2021 (arXiv 2107.00630, appendix I.1).

    >>> stratified_times(torch.tensor(0.5), num=2, earliest=0.0).tolist()
    [0.25, 0.75]
    """
    spread = (torch.arange(num, device=offset.device) + offset) / num
    return earliest + (1.0 - earliest) * spread


def corrupt(
    codes: Int[Tensor, "B H W"],
    *,
    is_free: Bool[Tensor, "B H W"],
    t: Float[Tensor, " B"],
    uniforms: Float[Tensor, "B H W"],
    mask_id: int,
) -> Int[Tensor, "B H W"]:
    """Return codes in which every free one is masked with probability t; the others stay as they are."""
    return torch.where(is_free & (uniforms < t.view(-1, 1, 1)), mask_id, codes)


def nelbo_per_code(
    logits: Float[Tensor, "B H W V"],
    codes: Int[Tensor, "B H W"],
    *,
    noisy: Int[Tensor, "B H W"],
    is_free: Bool[Tensor, "B H W"],
    t: Float[Tensor, " B"],
    mask_id: int,
) -> Float[Tensor, " B"]:
    """Return an unbiased estimate of the NELBO of each sample in nats per free code; 0 where none is free.

    Args:
        logits: what the network says of `noisy`.
        codes: the truth.
        noisy: from `corrupt`.
        is_free: as given to `corrupt`.
        t: as given to `corrupt`.
        mask_id: as given to `corrupt`.
    """
    masked = noisy == mask_id
    surprise = functional.cross_entropy(logits[masked].float(), codes[masked], reduction="none")
    sample = masked.nonzero()[:, 0]
    total = torch.zeros(len(codes), device=logits.device).index_add(0, sample, surprise)
    return total / (t * is_free.sum(dim=(1, 2)).clamp(min=1))


def draw_values(logits: Float[Tensor, "*N V"], uniforms: Float[Tensor, "*N"]) -> Int[Tensor, "*N"]:
    """Draw from softmax(logits) by inverting the distribution function at `uniforms`, 0 <= u < 1."""
    cumulative = logits.double().softmax(dim=-1).cumsum(dim=-1)
    aim = uniforms.double().unsqueeze(-1) * cumulative[..., -1:]
    return torch.searchsorted(cumulative, aim, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def reveal_by_chance(
    noisy: Int[Tensor, "B H W"],
    logits: Float[Tensor, "B H W V"],
    *,
    t: float,
    s: float,
    uniforms: Float[Tensor, "2 B H W"],
    mask_id: int,
) -> Int[Tensor, "B H W"]:
    """Take one step of the reverse process from t to s < t: each masked code is revealed with probability (t - s) / t.

    Exact for a network that is exact: the result has the law of the true codes masked at s, as far as masked codes are
    independent given the others, which they are in the limit of small steps.
    """
    revealed = (noisy == mask_id) & (uniforms[0] < (t - s) / t)
    out = noisy.clone()
    out[revealed] = draw_values(logits[revealed], uniforms[1][revealed])
    return out


def reveal_by_confidence(
    noisy: Int[Tensor, "B H W"],
    logits: Float[Tensor, "B H W V"],
    *,
    t: float,
    s: float,
    uniforms: Float[Tensor, "2 B H W"],
    mask_id: int,
    randomness: float = 1.0,
) -> Int[Tensor, "B H W"]:
    """Draw a value for every masked code and keep the likeliest (t - s) / t of them, rounded up, in each sample.

    Not a step of the reverse process: quality for diversity. `randomness` scales Gumbel noise on the log
    probabilities, times t, so that the order is freest at the start.
    """
    masked = noisy == mask_id
    values = draw_values(logits, uniforms[1])
    sure = logits.float().log_softmax(dim=-1).gather(-1, values[..., None])[..., 0]
    gumbel = -torch.log(-torch.log(uniforms[0].clamp(SMALLEST, 1.0 - 1e-7)))
    score = (sure + randomness * t * gumbel).masked_fill(~masked, float("-inf")).flatten(1)
    rank = score.argsort(dim=1, descending=True, stable=True).argsort(dim=1).view_as(noisy)
    num_revealed = torch.ceil(masked.sum(dim=(1, 2)) * ((t - s) / t) - 1e-6)
    return torch.where(masked & (rank < num_revealed.view(-1, 1, 1)), values, noisy)


def sample_codes(
    predict: CodePredictor,
    start: Int[Tensor, "B H W"],
    *,
    levels: Sequence[float],
    uniforms: Float[Tensor, "K 2 B H W"],
    mask_id: int,
    reveal: Reveal = "chance",
    temperature: float = 1.0,
) -> Int[Tensor, "B H W"]:
    """Reveal every masked code of `start`; all others come back unchanged.

    Args:
        predict: the network. Not asked where no mask is left.
        start: codes; `mask_id` where one is to be drawn.
        levels: K + 1 times from 1 down to 0 (`flow.noise_levels`).
        uniforms: all chance, 0 <= u < 1: sample, steps and places in any order give the same codes.
        mask_id: the code that says nothing is known.
        reveal: by chance (the reverse process) or by confidence.
        temperature: logits are divided by this; below 1 the likely becomes likelier.

    Raises:
        ValueError: `levels` does not end at 0, or does not fit `uniforms`.
    """
    if levels[-1] != 0.0 or len(levels) != len(uniforms) + 1:
        raise ValueError(f"levels must be {len(uniforms) + 1} times ending at 0, got {list(levels)}")
    step = reveal_by_chance if reveal == "chance" else reveal_by_confidence
    codes = start
    for k, (t, s) in enumerate(pairwise(levels)):
        if not bool((codes == mask_id).any()):
            break
        times = torch.full((len(codes),), t, device=codes.device)
        logits = predict(codes, times, k) / temperature
        codes = step(codes, logits, t=t, s=s, uniforms=uniforms[k], mask_id=mask_id)
    return codes
