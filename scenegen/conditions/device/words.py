"""Bits of words and sums of steps, for tensors: what `bits` and `static_kernel.add_up` are for compiled code."""

from __future__ import annotations

import torch
from torch import Tensor


def lowest_set(words: Tensor) -> Tensor:
    """Return the index of the lowest set bit of int64 words that are not zero."""
    return _exponent((words & -words).double().abs())


def highest_set(words: Tensor) -> Tensor:
    """Return the index of the highest set bit of int64 words that are not zero, the sign being bit 63.

    Halves are looked at, since a word of more than 53 bits is rounded on its way to a float64, upwards perhaps.
    """
    upper, lower = (words >> 32) & 0xFFFFFFFF, words & 0xFFFFFFFF
    return torch.where(upper != 0, _exponent(upper.double()) + 32, _exponent(lower.double()))


def _exponent(numbers: Tensor) -> Tensor:
    return torch.frexp(numbers).exponent.long() - 1


def add_up(t: Tensor, step: Tensor, adds: Tensor) -> Tensor:
    """Add `step` to `t` `adds` times, one after the other as a walk does: see `static_kernel.add_up`. All float64."""
    while bool((adds > 0.0).any()):
        for count in range(3):
            t = t + torch.where(adds > count, step, 0.0)
        adds = adds - 3.0
        limit = _next_power_of_two(t)
        fits = torch.floor((limit - t) / step) - 1.0
        fits = torch.where(t - 0.5 * limit > 1.5 * step, fits, 0.0)
        fits = torch.minimum(fits, adds).clamp(min=0.0)
        t = t + fits * ((t + step) - t)
        adds = adds - fits
    return t


def _next_power_of_two(numbers: Tensor) -> Tensor:
    """Return the smallest power of two above positive float64 numbers, from their bits: `bits.next_power_of_two`."""
    return (((numbers.view(torch.int64) >> 52) + 1) << 52).view(torch.float64)
