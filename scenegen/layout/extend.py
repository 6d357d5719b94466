"""Bring a layout to another rate and length.

Within the recording nothing is invented: poses are interpolated where an agent is seen. Beyond its end everybody
who is still there goes on in the simplest plausible way:

* who stands, stays;
* the ego and other vehicles keep their last speed (mean of the last second) along the lane they are in and its
  continuations, straight on where the map has none; they slow for curves;
* people and animals keep their last velocity;
* who would run into somebody stops two metres before; the ego looks out for what stands, everybody else for
  the ego and for each other. Who still cannot avoid it leaves the scene at that moment.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import planar_poses
from scenegen.layout.continuation import path_ahead
from scenegen.layout.motion import Stop, Travel, drive
from scenegen.layout.overlap import Crowd, ego_as_agent
from scenegen.layout.paths import Path
from scenegen.types.layout import AgentTrack, EgoTrack, Layout
from scenegen.types.taxonomy import VEHICLE_CATEGORIES
from scenegen.types.timeline import Timeline

STANDING_MPS = 0.35
GAP_M = 2.0
MOST_ATTEMPTS = 6


def extend_layout(layout: Layout, *, duration_s: float, rate_hz: float) -> Layout:
    """Resample a layout to `rate_hz` and crop or extend it to `duration_s`; the same layout if it is so already.

    Raises:
        LayoutError: a duration or rate that is not positive.
    """
    if not (np.isfinite(duration_s) and duration_s > 0.0):
        raise LayoutError("a positive duration_s", found=f"{duration_s}", where=layout.layout_id)
    target = Timeline(rate_hz=rate_hz, num_steps=max(1, round(duration_s * rate_hz)))
    if target == layout.timeline:
        return layout
    recorded = resample_layout(layout, target)
    if recorded.timeline.num_steps == target.num_steps:
        return recorded
    return _continue(recorded, target)


def resample_layout(layout: Layout, target: Timeline) -> Layout:
    """Interpolate a layout at those steps of a timeline that lie within it. Exact where the rates agree."""
    source = layout.timeline
    end_s = (source.num_steps - 1) / source.rate_hz
    count = min(target.num_steps, int(np.floor(end_s * target.rate_hz + 1e-6)) + 1)
    timeline = Timeline(rate_hz=target.rate_hz, num_steps=count)
    if source.rate_hz == target.rate_hz:
        agents = tuple(_crop(agent, count) for agent in layout.agents)
        ego = EgoTrack(
            world_from_ego=layout.ego.world_from_ego[:count], velocity_world_mps=layout.ego.velocity_world_mps[:count]
        )
        return replace(layout, timeline=timeline, agents=agents, ego=ego)
    source_s = np.arange(source.num_steps) / source.rate_hz
    times_s = np.minimum(np.arange(count) / target.rate_hz, end_s)
    agents = tuple(resample_agent(agent, source_s, times_s) for agent in layout.agents)
    return replace(layout, timeline=timeline, agents=agents, ego=_resample_ego(layout.ego, source_s, times_s))


def _crop(agent: AgentTrack, count: int) -> AgentTrack:
    return replace(
        agent,
        center_world_m=agent.center_world_m[:count],
        heading_rad=agent.heading_rad[:count],
        velocity_world_mps=agent.velocity_world_mps[:count],
        valid=agent.valid[:count],
    )


def resample_agent(
    agent: AgentTrack, source_s: Float64[np.ndarray, " S"], times_s: Float64[np.ndarray, " T"]
) -> AgentTrack:
    """Interpolate every unbroken span by itself: monotone cubic positions, linear headings (unwrapped), velocities."""
    nearest = np.abs(times_s[:, None] - source_s[None, :]).argmin(axis=1)
    center_m = agent.center_world_m[nearest].copy()
    heading_rad = agent.heading_rad[nearest].copy()
    velocity_mps = np.zeros((len(times_s), 2))
    valid = np.zeros(len(times_s), bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], agent.valid, [False]]).astype(np.int8)))
    for first, stop in edges.reshape(-1, 2):
        span_s = source_s[first:stop]
        inside = (times_s >= span_s[0] - 1e-9) & (times_s <= span_s[-1] + 1e-9)
        at_s = np.clip(times_s[inside], span_s[0], span_s[-1])
        center_m[inside] = _smooth(span_s, agent.center_world_m[first:stop], at_s)
        heading_rad[inside] = np.interp(at_s, span_s, np.unwrap(agent.heading_rad[first:stop]))
        for axis in (0, 1):
            velocity_mps[inside, axis] = np.interp(at_s, span_s, agent.velocity_world_mps[first:stop, axis])
        valid |= inside
    return replace(
        agent, center_world_m=center_m, heading_rad=heading_rad, velocity_world_mps=velocity_mps, valid=valid
    )


def _smooth(
    span_s: Float64[np.ndarray, " S"], values: Float64[np.ndarray, "S C"], at_s: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, "T C"]:
    from scipy.interpolate import PchipInterpolator

    if len(span_s) == 1:
        return np.repeat(values, len(at_s), axis=0)
    return np.asarray(PchipInterpolator(span_s, values, axis=0)(at_s))


def _resample_ego(ego: EgoTrack, source_s: Float64[np.ndarray, " S"], times_s: Float64[np.ndarray, " T"]) -> EgoTrack:
    from scipy.spatial.transform import Rotation, Slerp

    world_from_ego = np.tile(np.eye(4), (len(times_s), 1, 1))
    world_from_ego[:, :3, 3] = _smooth(source_s, ego.position_world_m, times_s)
    if len(source_s) > 1:
        turns = Slerp(source_s, Rotation.from_matrix(ego.world_from_ego[:, :3, :3]))
        world_from_ego[:, :3, :3] = turns(times_s).as_matrix()
    else:
        world_from_ego[:, :3, :3] = ego.world_from_ego[0, :3, :3]
    velocity_mps = np.stack([np.interp(times_s, source_s, ego.velocity_world_mps[:, axis]) for axis in (0, 1)], axis=1)
    return EgoTrack(world_from_ego=world_from_ego, velocity_world_mps=velocity_mps)


class _Onward(NamedTuple):
    """How somebody goes on: path and motion of the box centre, with the heading measured from the path's."""

    path: Path
    speed_mps: float
    turn_rad: float


def _continue(recorded: Layout, target: Timeline) -> Layout:
    """Append steps to a layout until it has as many as the target."""
    extra = target.num_steps - recorded.timeline.num_steps
    times_s = np.arange(extra + 1) / target.rate_hz
    standing, moving = _who_goes_on(recorded)
    tracks = {idx: _hold(recorded.agents[idx], extra) for idx in range(len(recorded.agents)) if idx not in moving}
    crowd = Crowd(extra + 1, capacity=len(recorded.agents) + 1)
    for idx in standing:
        crowd.add(_tail(tracks[idx], extra))
    ego = _continue_ego(recorded, times_s, crowd)
    crowd.add(_tail(ego_as_agent(ego), extra))
    near_first = sorted(moving, key=lambda idx: _distance_to_ego(recorded, idx))
    for idx in near_first:
        tracks[idx] = _continue_agent(recorded.agents[idx], moving[idx], times_s, crowd)
        crowd.add(_tail(tracks[idx], extra))
    return replace(recorded, timeline=target, agents=tuple(tracks[idx] for idx in sorted(tracks)), ego=ego)


def _who_goes_on(recorded: Layout) -> tuple[list[int], dict[int, _Onward]]:
    """Split the agents seen at the last step into those who stand and those who move, and how."""
    standing, moving = [], {}
    for idx, agent in enumerate(recorded.agents):
        if not agent.valid[-1]:
            continue
        velocity_mps = _last_velocity(agent.center_world_m[:, :2], agent.valid, recorded.timeline.rate_hz)
        speed_mps = float(np.linalg.norm(velocity_mps))
        if speed_mps < STANDING_MPS:
            standing.append(idx)
            continue
        course_rad = float(np.arctan2(velocity_mps[1], velocity_mps[0]))
        follows_lanes = agent.category in VEHICLE_CATEGORIES
        lanes = recorded.road_map.lanes if follows_lanes else ()
        reach_m = speed_mps * 60.0 + 30.0
        path = path_ahead(lanes, agent.center_world_m[-1, :2], course_rad, reach_m=reach_m)
        turn_rad = float(agent.heading_rad[-1]) - float(path.heading_rad[0])
        moving[idx] = _Onward(path, speed_mps, turn_rad)
    return standing, moving


def _last_velocity(
    position_m: Float64[np.ndarray, "T 2"], valid: Bool[np.ndarray, " T"], rate_hz: float
) -> Float64[np.ndarray, "2"]:
    """Return the mean velocity over the last second of an unbroken track."""
    back = min(len(position_m) - 1, round(rate_hz))
    while back > 0 and not valid[-1 - back :].all():
        back -= 1
    if back == 0:
        return np.zeros(2)
    return np.asarray((position_m[-1] - position_m[-1 - back]) * (rate_hz / back))


def _distance_to_ego(recorded: Layout, idx: int) -> float:
    apart_m = recorded.agents[idx].center_world_m[-1, :2] - recorded.ego.position_world_m[-1, :2]
    return float(np.linalg.norm(apart_m))


def _continue_ego(recorded: Layout, times_s: Float64[np.ndarray, " T"], crowd: Crowd) -> EgoTrack:
    """Drive the ego on, stopping before anything that stands in its way."""
    ego, extra = recorded.ego, len(times_s) - 1
    position_m = ego.position_world_m[:, :2]
    velocity_mps = _last_velocity(position_m, np.ones(len(position_m), bool), recorded.timeline.rate_hz)
    speed_mps = float(np.linalg.norm(velocity_mps))
    if speed_mps < STANDING_MPS:
        return EgoTrack(
            world_from_ego=np.concatenate([ego.world_from_ego, np.repeat(ego.world_from_ego[-1:], extra, axis=0)]),
            velocity_world_mps=np.concatenate([ego.velocity_world_mps, np.zeros((extra, 2))]),
        )
    heading_rad = float(ego.heading_rad[-1])
    path = path_ahead(recorded.road_map.lanes, position_m[-1], heading_rad, reach_m=speed_mps * times_s[-1] + 30.0)
    stops: list[Stop] = []
    for _ in range(MOST_ATTEMPTS):
        travel = drive(path, times_s, start_m=0.0, cruise_mps=speed_mps, stops=stops)
        added = _ego_steps(ego, path, travel)
        conflict = crowd.first_conflict(ego_as_agent(added), margin_m=0.2)
        if conflict is None:
            break
        stops.append(Stop(at_m=max(float(travel.s_m[conflict[1]]) - GAP_M, 0.01)))
    else:
        added = _ego_steps(ego, path, Travel(np.zeros(extra + 1), np.zeros(extra + 1)))
    return EgoTrack(
        world_from_ego=np.concatenate([ego.world_from_ego, added.world_from_ego[1:]]),
        velocity_world_mps=np.concatenate([ego.velocity_world_mps, added.velocity_world_mps[1:]]),
    )


def _ego_steps(ego: EgoTrack, path: Path, travel: Travel) -> EgoTrack:
    """Move the last ego pose along a path, keeping its height, roll and pitch."""
    at = path.at(travel.s_m)
    last = ego.world_from_ego[-1]
    turn_rad = at.heading_rad - at.heading_rad[0]
    heading_rad = float(ego.heading_rad[-1]) + turn_rad
    position_m = np.column_stack([at.position_m, np.full(len(turn_rad), last[2, 3])])
    world_from_ego = planar_poses(position_m, turn_rad)
    world_from_ego[:, :3, :3] = world_from_ego[:, :3, :3] @ last[:3, :3]
    direction = np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=1)
    return EgoTrack(world_from_ego=world_from_ego, velocity_world_mps=travel.speed_mps[:, None] * direction)


def _continue_agent(agent: AgentTrack, onward: _Onward, times_s: Float64[np.ndarray, " T"], crowd: Crowd) -> AgentTrack:
    """Move one agent on, stopping before others; what cannot be avoided ends its presence."""
    stops: list[Stop] = []
    for _ in range(MOST_ATTEMPTS):
        travel = drive(onward.path, times_s, start_m=0.0, cruise_mps=onward.speed_mps, stops=stops)
        track = _append(agent, onward, travel)
        conflict = crowd.first_conflict(_tail(track, len(times_s) - 1), margin_m=0.1)
        if conflict is None:
            return track
        stops.append(Stop(at_m=max(float(travel.s_m[conflict[1]]) - GAP_M, 0.01)))
    return _leave(track, crowd, len(times_s) - 1)


def _leave(track: AgentTrack, crowd: Crowd, extra: int) -> AgentTrack:
    """End an agent's presence before its first conflict (its recorded steps stay)."""
    added = _tail(track, extra)
    conflicts = [crowd.first_conflict(replace(added, valid=_only(added.valid, step))) for step in range(1, extra + 1)]
    first = next((step for step, conflict in enumerate(conflicts, start=1) if conflict is not None), extra + 1)
    valid = track.valid.copy()
    valid[len(valid) - 1 - extra + first :] = False
    return replace(track, valid=valid)


def _only(valid: Bool[np.ndarray, " T"], step: int) -> Bool[np.ndarray, " T"]:
    only = np.zeros_like(valid)
    only[step] = valid[step]
    return only


def _append(agent: AgentTrack, onward: _Onward, travel: Travel) -> AgentTrack:
    at = onward.path.at(travel.s_m[1:])
    extra = len(travel.s_m) - 1
    direction = np.stack([np.cos(at.heading_rad), np.sin(at.heading_rad)], axis=1)
    added_m = np.column_stack([at.position_m, np.full(extra, agent.center_world_m[-1, 2])])
    return replace(
        agent,
        center_world_m=np.concatenate([agent.center_world_m, added_m]),
        heading_rad=np.concatenate([agent.heading_rad, at.heading_rad + onward.turn_rad]),
        velocity_world_mps=np.concatenate([agent.velocity_world_mps, travel.speed_mps[1:, None] * direction]),
        valid=np.concatenate([agent.valid, np.ones(extra, bool)]),
    )


def _hold(agent: AgentTrack, extra: int) -> AgentTrack:
    """Keep an agent where it is; who is not there at the last step does not come back."""
    return replace(
        agent,
        center_world_m=np.concatenate([agent.center_world_m, np.repeat(agent.center_world_m[-1:], extra, axis=0)]),
        heading_rad=np.concatenate([agent.heading_rad, np.repeat(agent.heading_rad[-1:], extra)]),
        velocity_world_mps=np.concatenate([agent.velocity_world_mps, np.zeros((extra, 2))]),
        valid=np.concatenate([agent.valid, np.repeat(agent.valid[-1:], extra)]),
    )


def _tail(agent: AgentTrack, extra: int) -> AgentTrack:
    """Return the last recorded step and those after it."""
    return replace(
        agent,
        center_world_m=agent.center_world_m[-extra - 1 :],
        heading_rad=agent.heading_rad[-extra - 1 :],
        velocity_world_mps=agent.velocity_world_mps[-extra - 1 :],
        valid=agent.valid[-extra - 1 :],
    )
