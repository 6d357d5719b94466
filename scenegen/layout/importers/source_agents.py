"""Recorded states on a layout's timeline, the recording car from its own box, stated velocities against positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import planar_poses
from scenegen.layout.importers.source_tracks import hold_last_valid, velocity_by_differences
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M
from scenegen.layout.validate import FASTEST_EGO_MPS
from scenegen.types import AgentCategory, AgentTrack, EgoTrack

DISAGREEMENT_MPS = 1.0
"""A track whose stated velocities are further than this from its positions' differences, in the median."""


@dataclass(frozen=True, kw_only=True)
class RecordedStates:
    """Where one agent was, at the steps at which it was seen, in order; frame world."""

    step_idx: Int64[np.ndarray, " N"]
    center_m: Float64[np.ndarray, "N 2"]
    heading_rad: Float64[np.ndarray, " N"]
    velocity_mps: Float64[np.ndarray, "N 2"]


def build_recorded_agent(
    states: RecordedStates,
    *,
    agent_id: str,
    category: AgentCategory,
    source_category: str,
    size_lwh_m: Sequence[float],
    num_steps: int,
    where: str,
    attribute: str = "",
) -> AgentTrack:
    """Spread states over a timeline and stand the box on the ground.

    Raises:
        LayoutError: no state, two at one step, a step that the timeline has not, or a size that is not positive.
    """
    step_idx = states.step_idx
    if len(step_idx) == 0 or step_idx.min() < 0 or step_idx.max() >= num_steps:
        raise LayoutError(f"states at steps 0 to {num_steps - 1}", found=f"{step_idx[[0, -1]].tolist()}", where=where)
    if (np.diff(step_idx) <= 0).any():
        twice = int(step_idx[1:][np.diff(step_idx) <= 0][0])
        raise LayoutError("one state per step, in order", found=f"another at step {twice}", where=where)
    size_m = np.asarray(size_lwh_m, np.float64)
    if not (size_m > 0.0).all():
        raise LayoutError("positive length, width and height", found=f"{size_m.tolist()}", where=where)
    valid = np.zeros(num_steps, bool)
    valid[step_idx] = True
    on_timeline = np.full((num_steps, 6), 0.5 * size_m[2])
    on_timeline[step_idx, :2] = states.center_m
    on_timeline[step_idx, 3] = states.heading_rad
    on_timeline[step_idx, 4:] = states.velocity_mps
    filled = hold_last_valid(on_timeline, valid)
    return AgentTrack(
        agent_id=agent_id,
        category=category,
        size_lwh_m=size_m,
        center_world_m=filled[:, :3],
        heading_rad=filled[:, 3],
        velocity_world_mps=filled[:, 4:],
        valid=valid,
        attribute=attribute,
        source_category=source_category,
    )


class OwnCar(NamedTuple):
    """The recording car in the world, whose origin is its first position; and where that is in the source."""

    ego: EgoTrack
    origin_source_m: Float64[np.ndarray, "2"]


def ego_of_box(
    center_source_m: Float64[np.ndarray, "T 2"], heading_rad: Float64[np.ndarray, " T"], *, rate_hz: float, where: str
) -> OwnCar:
    """Put our recording car where the box of theirs stood: the rear axle lies behind the middle of the box.

    Raises:
        LayoutError: it leaps.
    """
    ahead = np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=1)
    axle_source_m = center_source_m - EGO_CENTER_FROM_AXLE_M * ahead
    return ego_of_positions(axle_source_m, heading_rad, rate_hz=rate_hz, where=where)


def ego_of_positions(
    axle_source_m: Float64[np.ndarray, "T 2"], heading_rad: Float64[np.ndarray, " T"], *, rate_hz: float, where: str
) -> OwnCar:
    """Put the rear axle on the ground, upright; velocities are differences of its positions.

    Raises:
        LayoutError: it leaps: no road is drawn along such a way.
    """
    moved_mps = np.linalg.norm(np.diff(axle_source_m, axis=0), axis=1) * rate_hz
    if len(moved_mps) and moved_mps.max() > FASTEST_EGO_MPS:
        step = int(np.argmax(moved_mps))
        raise LayoutError(
            f"an ego speed of at most {FASTEST_EGO_MPS:g} m/s",
            found=f"{moved_mps[step]:.1f} m/s between steps {step} and {step + 1}",
            where=where,
        )
    position_m = np.zeros((len(axle_source_m), 3))
    position_m[:, :2] = axle_source_m - axle_source_m[0]
    t_s = np.arange(len(position_m)) / rate_hz
    ego = EgoTrack(
        world_from_ego=planar_poses(position_m, heading_rad),
        velocity_world_mps=velocity_by_differences(position_m[:, :2], t_s),
    )
    return OwnCar(ego, axle_source_m[0])


def said_of_velocities(agents: Sequence[AgentTrack], *, rate_hz: float) -> tuple[str, ...]:
    """Compare stated velocities to central differences of positions; a sentence where tracks disagree."""
    disagree = [agent.agent_id for agent in agents if _disagreement_mps(agent, rate_hz) > DISAGREEMENT_MPS]
    if not disagree:
        return ()
    return (
        f"agreement: stated velocities of {len(disagree)} of {len(agents)} tracks (the first is {disagree[0]!r}) are"
        f" over {DISAGREEMENT_MPS:g} m/s from the differences of their positions, in the median; the stated are kept",
    )


def _disagreement_mps(agent: AgentTrack, rate_hz: float) -> float:
    """Return the median distance between both velocities; 0 where no three steps follow each other."""
    inside = agent.valid[1:-1] & agent.valid[:-2] & agent.valid[2:]
    if not inside.any():
        return 0.0
    moved_mps = (agent.center_world_m[2:, :2] - agent.center_world_m[:-2, :2]) * (0.5 * rate_hz)
    return float(np.median(np.linalg.norm(agent.velocity_world_mps[1:-1] - moved_mps, axis=1)[inside]))
