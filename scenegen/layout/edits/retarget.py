"""See the same scene from another vehicle: the rig moves there.

Which cameras the rig has is no part of a layout: `scenegen generate layouts=[X] rig=hyperion7` retargets any layout, or
`sweep.rig`, and neither world nor labels in the world change.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import planar_poses
from scenegen.layout.edits.subject import find_agent, new_id
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M
from scenegen.layout.overlap import ego_as_agent
from scenegen.types.layout import AgentTrack, EgoTrack, Layout
from scenegen.types.taxonomy import VEHICLE_CATEGORIES
from scenegen.types.timeline import Timeline

SHORTEST_S = 1.0


def view_from(layout: Layout, agent: str) -> Layout:
    """Make an agent the ego, and the ego an agent `former_ego_1`; the scene lasts while the agent is there.

    The rig is where it would be if the ego's box stood on the middle of the agent's. Where the agent is not there all
    the time, the scene is cut to its longest unbroken presence and begins then.

    Raises:
        LayoutError: no such agent, no vehicle, or there for less than a second.
    """
    track = find_agent(layout, agent)
    where = f"{layout.layout_id}: agent {agent!r}"
    if track.category not in VEHICLE_CATEGORIES:
        raise LayoutError("a vehicle to look from", found=track.category.label, where=where)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], track.valid, [False]]).astype(np.int8))).reshape(-1, 2)
    first, stop = (int(value) for value in edges[int(np.argmax(edges[:, 1] - edges[:, 0]))])
    rate_hz = layout.timeline.rate_hz
    if stop - first < SHORTEST_S * rate_hz:
        raise LayoutError(
            f"an agent that is there for {SHORTEST_S:g} s", found=f"{(stop - first) / rate_hz:.2f} s", where=where
        )
    former = replace(ego_as_agent(layout.ego), agent_id=new_id(layout, None, stem="former_ego"), source_category="ego")
    others = [other for other in (*layout.agents, former) if other.agent_id != track.agent_id]
    shown = tuple(cut for other in others if (cut := _cut(other, first, stop)).valid.any())
    seen = _cut(track, first, stop)
    ahead = np.stack([np.cos(seen.heading_rad), np.sin(seen.heading_rad)], axis=1)
    axle_m = seen.center_world_m[:, :2] - EGO_CENTER_FROM_AXLE_M * ahead
    ego = EgoTrack(
        world_from_ego=planar_poses(np.column_stack([axle_m, np.zeros(len(axle_m))]), seen.heading_rad),
        velocity_world_mps=seen.velocity_world_mps,
    )
    timeline = Timeline(rate_hz=rate_hz, num_steps=stop - first)
    until = _recorded_until(layout, first, stop, where)
    return replace(layout, timeline=timeline, agents=shown, ego=ego, recorded_until_step=until)


def _recorded_until(layout: Layout, first: int, stop: int, where: str) -> int | None:
    """Return the mark of the added part of the steps that stay."""
    until = layout.recorded_until_step
    if until is None or until >= stop:
        return None
    if until <= first:
        raise LayoutError("an agent that was recorded", found="one that is there in the added part only", where=where)
    return until - first


def _cut(track: AgentTrack, first: int, stop: int) -> AgentTrack:
    return replace(
        track,
        center_world_m=track.center_world_m[first:stop],
        heading_rad=track.heading_rad[first:stop],
        velocity_world_mps=track.velocity_world_mps[first:stop],
        valid=track.valid[first:stop],
    )
