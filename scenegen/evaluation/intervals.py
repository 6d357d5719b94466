"""Confidence intervals: the figures of blocks drawn again and again with replacement (percentile bootstrap)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from scenegen.evaluation.figures import Figures
from scenegen.types import random_generator

NUM_DRAWS = 300
COVERAGE = 95.0

T = TypeVar("T")


def bootstrap(blocks: Sequence[T], measure: Callable[[Sequence[T]], Figures]) -> dict[str, tuple[float, float]]:
    """Return the interval of every figure of `measure`; none for fewer than two blocks.

    Draws in which a figure cannot be computed do not count; a figure that fails in most has no interval.
    """
    if len(blocks) < 2:
        return {}
    generator = random_generator(0, "evaluation", stage="bootstrap")
    draws: dict[str, list[float]] = {}
    for _ in range(NUM_DRAWS):
        chosen = generator.integers(len(blocks), size=len(blocks))
        for name, value in measure([blocks[index] for index in chosen]).items():
            if np.isfinite(value):
                draws.setdefault(name, []).append(value)
    tail = 0.5 * (100.0 - COVERAGE)
    return {
        name: (float(np.percentile(values, tail)), float(np.percentile(values, 100.0 - tail)))
        for name, values in draws.items()
        if len(values) > NUM_DRAWS // 2
    }
