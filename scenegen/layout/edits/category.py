"""Make another kind of thing of an agent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenegen.layout.edits.subject import find_agent, find_category, put_agent
from scenegen.layout.motion import DEFAULT_SIZE_LWH_M, default_attribute
from scenegen.types.layout import Layout


def change_category(layout: Layout, agent: str, *, to: str) -> Layout:
    """Give an agent another category, with the usual box and attribute of that category.

    It keeps its track and stands as far above the ground as before. Its colour is left to the world.

    Raises:
        LayoutError: no such agent or category, too fast for that category, or no room for the box.
    """
    track = find_agent(layout, agent)
    category = find_category(to)
    size_lwh_m = np.array(DEFAULT_SIZE_LWH_M[category])
    center_m = track.center_world_m.copy()
    center_m[:, 2] += 0.5 * (size_lwh_m[2] - track.size_lwh_m[2])
    top_mps = float(np.linalg.norm(track.velocity_world_mps[track.valid], axis=1).max())
    changed = replace(
        track,
        category=category,
        size_lwh_m=size_lwh_m,
        center_world_m=center_m,
        attribute=default_attribute(category, top_mps),
        source_category=category.label,
        color_rgb=None,
    )
    return put_agent(layout, changed)
