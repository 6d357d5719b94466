"""What random traffic draws and computes per agent: sizes, speeds from ways."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from scenegen.layout.motion import DEFAULT_SIZE_LWH_M
from scenegen.types.taxonomy import AgentCategory


def draw_size(rng: np.random.Generator, category: AgentCategory) -> tuple[float, float, float]:
    """Draw a size around the category's usual one; one pedestrian in eight is a child."""
    length_m, width_m, height_m = DEFAULT_SIZE_LWH_M[category]
    if category is AgentCategory.PEDESTRIAN:
        height_m = float(rng.uniform(1.1, 1.45) if rng.random() < 0.125 else rng.normal(1.72, 0.09))
        scale = height_m / 1.75
        return (length_m * scale, width_m * scale * float(rng.uniform(0.92, 1.1)), height_m)
    if category is AgentCategory.CAR and rng.random() < 0.3:
        height_m = 1.95  # a van or sport utility vehicle
    factors = rng.uniform([0.9, 0.95, 0.92], [1.1, 1.05, 1.08])
    return (length_m * float(factors[0]), width_m * float(factors[1]), height_m * float(factors[2]))


class Rate:
    """`np.gradient` over the times of a scene, with its weights kept."""

    def __init__(self, times_s: Float64[np.ndarray, " T"]) -> None:
        step_s = np.diff(times_s)
        one, two = step_s[:-1], step_s[1:]
        self._times_s, self._step_s = times_s, step_s
        self._is_even = bool((step_s == step_s[0]).all())
        self._before, self._after = -two / (one * (one + two)), one / (two * (one + two))
        self._middle = (two - one) / (one * two)

    def of(self, s_m: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
        """Return the speed of a motion."""
        if self._is_even:
            return np.asarray(np.gradient(s_m, self._times_s))
        speed_mps = np.empty_like(s_m)
        speed_mps[1:-1] = self._before * s_m[:-2] + self._middle * s_m[1:-1] + self._after * s_m[2:]
        speed_mps[0], speed_mps[-1] = (s_m[1] - s_m[0]) / self._step_s[0], (s_m[-1] - s_m[-2]) / self._step_s[-1]
        return speed_mps
