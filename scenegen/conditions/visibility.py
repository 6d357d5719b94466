"""How much of each agent the cameras see, from instance maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, UInt16
from numba import njit

from scenegen.types import AgentPixels, ConditionMaps


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


def measure_agent_pixels(conditions: ConditionMaps) -> AgentPixels:
    """Count the visible pixels of every agent in every view, and put a box around them."""
    num_views, num_steps = conditions.instance.shape[:2]
    num_agents = conditions.unoccluded_px.shape[2]
    num_px = np.zeros((num_views, num_steps, num_agents), np.int32)
    xyxy_px = np.zeros((num_views, num_steps, num_agents, 4), np.int32)
    for view in range(num_views):
        for step in range(num_steps):
            _measure_image(conditions.instance[view, step], num_px[view, step], xyxy_px[view, step])
    return AgentPixels(num_px=num_px, unoccluded_px=conditions.unoccluded_px, xyxy_px=xyxy_px)


def agent_visibility(pixels: AgentPixels) -> AgentVisibility:
    """Sum up the visible share and the tallest visible extent of every agent at every step."""
    fraction = pixels.num_px.sum(axis=0) / np.maximum(pixels.unoccluded_px.sum(axis=0), 1)
    height_px = (pixels.xyxy_px[..., 3] - pixels.xyxy_px[..., 1]).max(axis=0)
    return AgentVisibility(visible_fraction=fraction.astype(np.float32), visible_height_px=height_px.astype(np.float32))


@njit(cache=True, nogil=True)
def _measure_image(
    instance: UInt16[np.ndarray, "H W"], num_px: Int32[np.ndarray, " A"], xyxy_px: Int32[np.ndarray, "A 4"]
) -> None:
    """Add up one instance map, in place; both arrays come as zeros."""
    num_agents = len(num_px)
    for row in range(instance.shape[0]):
        for column in range(instance.shape[1]):
            agent = np.int64(instance[row, column]) - 1
            if agent < 0 or agent >= num_agents:
                continue
            box = xyxy_px[agent]
            if num_px[agent] == 0:
                box[0], box[1] = column, row
            num_px[agent] += 1
            box[0], box[2] = min(box[0], column), max(box[2], column + 1)
            box[3] = row + 1
