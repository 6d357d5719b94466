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
        visible_fraction: visible pixels over the pixels the agent would cover with nothing before it, all views
            together, 0..1; zero where it is in no view. What lies outside the images does not count.
        visible_height_px: tallest visible extent over the views.
    """

    visible_fraction: Float32[np.ndarray, "T A"]
    visible_height_px: Float32[np.ndarray, "T A"]


def agent_visibility(conditions: ConditionMaps) -> AgentVisibility:
    """Measure the visible share and the tallest visible extent of every agent at every step."""
    num_views, num_steps, height, _ = conditions.instance.shape
    num_agents = conditions.unoccluded_px.shape[2]
    visible_px = np.zeros((num_steps, num_agents))
    tallest_px = np.zeros((num_steps, num_agents), np.float32)
    for step in range(num_steps):
        for view in range(num_views):
            image = conditions.instance[view, step]
            rows, cols = np.nonzero((image > 0) & (image <= num_agents))
            agents = image[rows, cols].astype(np.int64) - 1
            visible_px[step] += np.bincount(agents, minlength=num_agents)
            low = np.full(num_agents, height, np.int64)
            high = np.full(num_agents, -1, np.int64)
            np.minimum.at(low, agents, rows)
            np.maximum.at(high, agents, rows)
            tallest_px[step] = np.maximum(tallest_px[step], np.maximum(high - low + 1, 0))
    unoccluded_px = conditions.unoccluded_px.sum(axis=0)
    fraction = visible_px / np.maximum(unoccluded_px, 1)
    return AgentVisibility(visible_fraction=fraction.astype(np.float32), visible_height_px=tallest_px)
