"""How much of each agent the cameras see, from instance maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from scenegen.types import ConditionMaps


@dataclass(frozen=True, kw_only=True)
class AgentVisibility:
    """Visibility of A agents at T steps.

    Attributes:
        num_px: pixels of the agent over all views.
        visible_height_px: tallest visible extent over the views.
    """

    num_px: Float32[np.ndarray, "T A"]
    visible_height_px: Float32[np.ndarray, "T A"]


def measure_visibility(conditions: ConditionMaps, *, num_agents: int) -> AgentVisibility:
    """Count visible pixels and the tallest visible extent of every agent at every step."""
    num_views, num_steps, height, _ = conditions.instance.shape
    num_px = np.zeros((num_steps, num_agents), np.float32)
    tallest = np.zeros((num_steps, num_agents), np.float32)
    for step in range(num_steps):
        for view in range(num_views):
            image = conditions.instance[view, step]
            rows, cols = np.nonzero((image > 0) & (image <= num_agents))
            agents = image[rows, cols].astype(np.int64) - 1
            num_px[step] += np.bincount(agents, minlength=num_agents)
            low = np.full(num_agents, height, np.int64)
            high = np.full(num_agents, -1, np.int64)
            np.minimum.at(low, agents, rows)
            np.maximum.at(high, agents, rows)
            extent = np.maximum(high - low + 1, 0)
            tallest[step] = np.maximum(tallest[step], extent)
    return AgentVisibility(num_px=num_px, visible_height_px=tallest)
