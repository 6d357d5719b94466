"""Drives that end where they begin: how to know one, and two laps of it as one layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError
from scenegen.types.layout import AgentTrack, EgoTrack, Layout
from scenegen.types.timeline import Timeline

MOST_GAP_M = 0.25
"""Between where a thing would be one step after its last, and where it is at the first."""
MOST_GAP_RAD = 0.05
"""Beyond the fastest turn that it makes between other steps."""


def require_lap(layout: Layout, *, reference: str) -> None:
    """Refuse a layout whose last step does not lead back to its first.

    Raises:
        LayoutError: says who is not back, and by how much.
    """
    period_s = layout.timeline.num_steps / layout.timeline.rate_hz
    ego, step_s = layout.ego, 1.0 / layout.timeline.rate_hz
    always = np.ones(layout.timeline.num_steps, bool)
    tracks = [("ego", ego.position_world_m, ego.heading_rad, ego.velocity_world_mps, always)]
    for agent in layout.agents:
        tracks.append((agent.agent_id, agent.center_world_m, agent.heading_rad, agent.velocity_world_mps, agent.valid))
    for name, position_m, heading_rad, velocity_mps, valid in tracks:
        found = _gap(position_m, heading_rad, velocity_mps, valid, step_s=step_s, is_ego=name == "ego")
        if found:
            raise LayoutError(
                f"a drive that is back where it began after {period_s:g} s",
                found=f"{name} {found}",
                where=reference,
                fix="layouts=[procedural:ring/7] at its own duration: 30 s, or that of procedural:ring/60s/7",
            )


def _gap(
    position_m: Float64[np.ndarray, "T 3"],
    heading_rad: Float64[np.ndarray, " T"],
    velocity_mps: Float64[np.ndarray, "T 2"],
    valid: Bool[np.ndarray, " T"],
    *,
    step_s: float,
    is_ego: bool,
) -> str:
    """Say how far the first step is from one step after the last; empty where they agree."""
    if valid[0] != valid[-1]:
        return "is there at one end and not at the other"
    if not valid[0]:
        return ""
    expected_m = position_m[-1, :2] + 0.5 * step_s * (velocity_mps[-1, :2] + velocity_mps[0, :2])
    gap_m = float(np.linalg.norm(expected_m - position_m[0, :2]))
    if gap_m > MOST_GAP_M:
        return f"{gap_m:.2f} m away"
    if not is_ego:  # people turn on the spot
        return ""
    turns_rad = np.abs(np.angle(np.exp(1j * (heading_rad - np.roll(heading_rad, 1)))))
    return f"turned by {turns_rad[0]:.2f} rad" if turns_rad[0] > turns_rad[1:].max() + MOST_GAP_RAD else ""


def two_laps(layout: Layout) -> Layout:
    """Return a layout that lasts twice as long and does the same again.

    From its second half on every step has the step before it: shown again and again, that half is a drive without end.
    """
    timeline = Timeline(rate_hz=layout.timeline.rate_hz, num_steps=2 * layout.timeline.num_steps)
    return replace(
        layout,
        timeline=timeline,
        agents=tuple(_track_twice(agent) for agent in layout.agents),
        ego=EgoTrack(
            world_from_ego=np.concatenate([layout.ego.world_from_ego] * 2),
            velocity_world_mps=np.concatenate([layout.ego.velocity_world_mps] * 2),
        ),
    )


def _track_twice(agent: AgentTrack) -> AgentTrack:
    return replace(
        agent,
        center_world_m=np.concatenate([agent.center_world_m] * 2),
        heading_rad=np.concatenate([agent.heading_rad] * 2),
        velocity_world_mps=np.concatenate([agent.velocity_world_mps] * 2),
        valid=np.concatenate([agent.valid] * 2),
    )
