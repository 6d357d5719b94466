"""Motion along paths: how far an agent has come at every step, and the track that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.geometry.rigid import planar_poses
from scenegen.layout.paths import Path
from scenegen.types.layout import MOVING_MPS, AgentTrack, EgoTrack
from scenegen.types.taxonomy import AgentCategory

EGO_SIZE_LWH_M = (4.7, 1.9, 1.7)
EGO_CENTER_FROM_AXLE_M = 1.4
"""The middle of the ego vehicle lies this far ahead of its rear axle."""
ACCELERATION_MPS2 = 1.8
BRAKING_MPS2 = 2.5
GENTLE_BRAKING_MPS2 = 1.5
"""For curves and slower zones, which are seen from afar."""
HARDEST_BRAKING_MPS2 = 4.5
"""A stop that would need more than this is not made: the agent was already too close when it began."""
LATERAL_MPS2 = 2.2
"""Comfortable sideways acceleration: what slows traffic in curves."""
FOLLOWING_SMOOTH_S = 1.0
SUBSTEPS_HZ = 24.0

DEFAULT_SIZE_LWH_M: dict[AgentCategory, tuple[float, float, float]] = {
    AgentCategory.CAR: (4.5, 1.85, 1.6),
    AgentCategory.TRUCK: (8.2, 2.5, 3.2),
    AgentCategory.BUS: (11.5, 2.55, 3.3),
    AgentCategory.TRAILER: (10.0, 2.5, 3.6),
    AgentCategory.CONSTRUCTION_VEHICLE: (6.2, 2.5, 3.0),
    AgentCategory.PEDESTRIAN: (0.6, 0.65, 1.75),
    AgentCategory.MOTORCYCLE: (2.1, 0.8, 1.6),
    AgentCategory.BICYCLE: (1.75, 0.6, 1.65),
    AgentCategory.TRAFFIC_CONE: (0.4, 0.4, 0.8),
    AgentCategory.BARRIER: (0.5, 2.2, 1.0),
    AgentCategory.ANIMAL: (0.9, 0.35, 0.7),
    AgentCategory.OTHER: (1.0, 1.0, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A place on the path that may not be passed between two times (a red light, somebody crossing)."""

    at_m: float
    from_s: float = 0.0
    to_s: float = np.inf


class Travel(NamedTuple):
    """Distance along a path and speed, per step."""

    s_m: Float64[np.ndarray, " T"]
    speed_mps: Float64[np.ndarray, " T"]


def drive(
    path: Path,
    times_s: Float64[np.ndarray, " T"],
    *,
    start_m: float,
    cruise_mps: float,
    stops: Sequence[Stop] = (),
    speeds: Sequence[tuple[float, float]] = (),
    start_mps: float | None = None,
) -> Travel:
    """Drive along a path at a wished speed, slowing for curves and halting at stops.

    The speed is limited by the curvature ahead (`LATERAL_MPS2`) and changes at comfortable rates. A stop is made if
    it can be made with at most `HARDEST_BRAKING_MPS2` when it begins; otherwise the agent passes. `speeds` are
    (from_m, speed_mps) pairs: from that distance on, that speed is wished instead of `cruise_mps`.
    """
    limit_mps = speed_limits(path, cruise_mps, speeds)
    grid_m = float(path.s_m[1] - path.s_m[0])
    last = len(limit_mps) - 1
    step_s = 1.0 / SUBSTEPS_HZ
    gain_mps = ACCELERATION_MPS2 * step_s
    count = int(np.ceil(times_s[-1] * SUBSTEPS_HZ)) + 1
    s_m = start_m
    speed_mps = min(cruise_mps if start_mps is None else start_mps, _limit_at(limit_mps, start_m / grid_m))
    to_come = sorted(range(len(stops)), key=lambda j: stops[j].from_s, reverse=True)
    current: list[int] = []
    braking = [0.0] * len(stops)
    fine_s_m, fine_mps = [0.0] * count, [0.0] * count
    for k in range(count):
        fine_s_m[k], fine_mps[k] = s_m, speed_mps
        cell = int(s_m / grid_m)
        allowed_mps = limit_mps[0 if cell < 0 else last if cell > last else cell]
        faster_mps = speed_mps + gain_mps
        if faster_mps < allowed_mps:
            allowed_mps = faster_mps
        if to_come or current:
            now_s = k * step_s
            while to_come and stops[to_come[-1]].from_s <= now_s:
                current.append(to_come.pop())
            current = [j for j in current if now_s < stops[j].to_s and stops[j].at_m - s_m >= -1e-6]
            for j in current:
                ahead_m = stops[j].at_m - s_m
                if braking[j] == 0.0:
                    needed = speed_mps**2 / (2.0 * max(ahead_m, 1e-6))
                    braking[j] = max(BRAKING_MPS2, needed) if needed <= HARDEST_BRAKING_MPS2 else -1.0
                if braking[j] > 0.0:
                    safe_mps = (2.0 * braking[j] * max(ahead_m, 0.0)) ** 0.5
                    allowed_mps = min(allowed_mps, safe_mps, ahead_m * SUBSTEPS_HZ)
        speed_mps = allowed_mps if allowed_mps > 0.0 else 0.0
        s_m += speed_mps * step_s
    fine_s = np.arange(count) * step_s
    return Travel(np.interp(times_s, fine_s, fine_s_m), np.interp(times_s, fine_s, fine_mps))


def _limit_at(limit_mps: list[float], idx: float) -> float:
    return limit_mps[int(min(max(idx, 0), len(limit_mps) - 1))]


def speed_limits(path: Path, cruise_mps: float, speeds: Sequence[tuple[float, float]] = ()) -> list[float]:
    """Return the highest speed at every sample of the path that still lets the agent slow for what follows."""
    wished_mps = np.full(len(path.s_m), cruise_mps)
    for from_m, speed_mps in speeds:
        wished_mps[path.s_m >= from_m] = speed_mps
    limit = np.minimum(wished_mps, np.sqrt(LATERAL_MPS2 / np.maximum(path.curvature(), 1e-6)))
    ramp = 2.0 * GENTLE_BRAKING_MPS2 * path.s_m
    ahead = np.minimum.accumulate((limit**2 + ramp)[::-1])[::-1] - ramp
    speeds_mps: list[float] = np.sqrt(ahead).tolist()
    return speeds_mps


def follow_leader(
    free: Travel, leader: Travel, times_s: Float64[np.ndarray, " T"], *, spacing_m: float, delay_s: float = 1.1
) -> Travel:
    """Keep behind a leader on the same path: its motion, `delay_s` later and `spacing_m` further back.

    Source: G. F. Newell, A simplified car-following theory, Transportation Research B 36 (2002).
    """
    earlier_s = times_s - delay_s
    behind_m = np.interp(earlier_s, times_s, leader.s_m) + np.minimum(earlier_s, 0.0) * leader.speed_mps[0] - spacing_m
    s_m = _rounded(np.maximum.accumulate(np.minimum(free.s_m, behind_m)), times_s)
    return Travel(s_m, np.gradient(s_m, times_s))


def _rounded(s_m: Float64[np.ndarray, " T"], times_s: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """Average a motion over about a second, twice, so that speed has no kinks where a leader is reached."""
    if len(s_m) < 2:
        return s_m
    half = max(1, round(FOLLOWING_SMOOTH_S / float(times_s[1] - times_s[0]) / 2.0))
    window = np.full(2 * half + 1, 1.0 / (2 * half + 1))
    for _ in range(2):
        before = s_m[0] + (s_m[1] - s_m[0]) * np.arange(-half, 0)
        after = s_m[-1] + (s_m[-1] - s_m[-2]) * np.arange(1, half + 1)
        s_m = np.convolve(np.concatenate([before, s_m, after]), window, mode="valid")
    return s_m


def track_along(
    path: Path,
    travel: Travel,
    *,
    agent_id: str,
    category: AgentCategory,
    size_lwh_m: Sequence[float] | Float64[np.ndarray, "3"],
    valid: Bool[np.ndarray, " T"] | None = None,
    attribute: str | None = None,
    color_rgb: tuple[int, int, int] | None = None,
) -> AgentTrack:
    """Return the track of an agent whose box centre moves along a path. Standing on the ground."""
    at = path.at(travel.s_m)
    steps = len(travel.s_m)
    direction = np.stack([np.cos(at.heading_rad), np.sin(at.heading_rad)], axis=1)
    return AgentTrack(
        agent_id=agent_id,
        category=category,
        size_lwh_m=np.asarray(size_lwh_m, np.float64),
        center_world_m=np.column_stack([at.position_m, np.full(steps, 0.5 * size_lwh_m[2])]),
        heading_rad=at.heading_rad,
        velocity_world_mps=travel.speed_mps[:, None] * direction,
        valid=np.ones(steps, bool) if valid is None else valid,
        attribute=default_attribute(category, float(travel.speed_mps.max())) if attribute is None else attribute,
        source_category=category.label,
        color_rgb=color_rgb,
    )


def standing_track(
    position_m: Sequence[float],
    heading_rad: float,
    *,
    num_steps: int,
    agent_id: str,
    category: AgentCategory,
    size_lwh_m: Sequence[float] | Float64[np.ndarray, "3"],
    attribute: str | None = None,
    color_rgb: tuple[int, int, int] | None = None,
) -> AgentTrack:
    """Return the track of something that never moves."""
    return AgentTrack(
        agent_id=agent_id,
        category=category,
        size_lwh_m=np.asarray(size_lwh_m, np.float64),
        center_world_m=np.tile([position_m[0], position_m[1], 0.5 * size_lwh_m[2]], (num_steps, 1)),
        heading_rad=np.full(num_steps, heading_rad),
        velocity_world_mps=np.zeros((num_steps, 2)),
        valid=np.ones(num_steps, bool),
        attribute=default_attribute(category, 0.0) if attribute is None else attribute,
        source_category=category.label,
        color_rgb=color_rgb,
    )


def default_attribute(category: AgentCategory, top_speed_mps: float) -> str:
    """Return the nuScenes attribute that fits a category and how it moves."""
    moving = top_speed_mps > MOVING_MPS
    if category is AgentCategory.PEDESTRIAN:
        return "pedestrian.moving" if moving else "pedestrian.standing"
    if category in (AgentCategory.BICYCLE, AgentCategory.MOTORCYCLE):
        return "cycle.with_rider" if moving else "cycle.without_rider"
    if category in (AgentCategory.TRAFFIC_CONE, AgentCategory.BARRIER, AgentCategory.ANIMAL, AgentCategory.OTHER):
        return ""
    return "vehicle.moving" if moving else "vehicle.parked"


def ego_along(path: Path, travel: Travel) -> EgoTrack:
    """Return the ego track whose rear axle moves along a path."""
    at = path.at(travel.s_m)
    direction = np.stack([np.cos(at.heading_rad), np.sin(at.heading_rad)], axis=1)
    position_m = np.column_stack([at.position_m, np.zeros(len(travel.s_m))])
    return EgoTrack(
        world_from_ego=planar_poses(position_m, at.heading_rad),
        velocity_world_mps=travel.speed_mps[:, None] * direction,
    )
