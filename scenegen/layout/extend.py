"""Bring a layout to another rate and length.

Within the recording nothing is invented: poses are interpolated where an agent is seen. Beyond its end everybody
who is still there goes on, and `Layout.recorded_until_step` says where that begins:

* who is parked or stands on foot, stays; a vehicle that drove and now stands waits, and goes when it has stood for
  five seconds and its way is free;
* the ego and other vehicles follow the lane they are in and its continuations, straight on where the map has none, by
  the Intelligent Driver Model (`idm`), slow for bends, and let each other pass where paths cross (`right_of_way`);
* people and animals keep their last velocity, off the road and round what stands (`walking`);
* a pair of boxes that would overlap all the same, and did not at the end of the recording, is parted by ending the
  presence of the one that moves and is further from the ego.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.onward import EGO, ego_track_from, who_goes_on
from scenegen.layout.onward_traffic import Trace, drive_on
from scenegen.layout.overlap import new_overlaps
from scenegen.types.layout import AgentTrack, EgoTrack, Layout
from scenegen.types.timeline import Timeline


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
    until = _until_step(layout, timeline)
    if source.rate_hz == target.rate_hz:
        agents = tuple(_crop(agent, count) for agent in layout.agents)
        ego = EgoTrack(
            world_from_ego=layout.ego.world_from_ego[:count], velocity_world_mps=layout.ego.velocity_world_mps[:count]
        )
        return replace(layout, timeline=timeline, agents=agents, ego=ego, recorded_until_step=until)
    source_s = np.arange(source.num_steps) / source.rate_hz
    times_s = np.minimum(np.arange(count) / target.rate_hz, end_s)
    agents = tuple(resample_agent(agent, source_s, times_s) for agent in layout.agents)
    ego = _resample_ego(layout.ego, source_s, times_s)
    return replace(layout, timeline=timeline, agents=agents, ego=ego, recorded_until_step=until)


def _until_step(layout: Layout, timeline: Timeline) -> int | None:
    """Return the step of another timeline from which on a layout was not recorded; None where all of it was."""
    if layout.recorded_until_step is None:
        return None
    last_s = (layout.recorded_until_step - 1) / layout.timeline.rate_hz
    until = int(np.floor(last_s * timeline.rate_hz + 1e-6)) + 1
    return until if until < timeline.num_steps else None


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


def _continue(recorded: Layout, target: Timeline) -> Layout:
    """Append steps to a layout until it has as many as the target."""
    steps = recorded.timeline.num_steps
    extra = target.num_steps - steps
    onward = who_goes_on(recorded, extra_s=extra / target.rate_hz)
    traces = drive_on(recorded, onward, extra=extra, rate_hz=target.rate_hz)
    agents = tuple(
        _append(agent, traces[idx]) if idx in traces else _hold(agent, extra)
        for idx, agent in enumerate(recorded.agents)
    )
    if EGO in traces:
        ego = ego_track_from(recorded.ego, *traces[EGO])
    else:
        still = np.zeros((extra, 2))
        ego = ego_track_from(
            recorded.ego,
            recorded.ego.position_world_m[-1, :2] + still,
            np.full(extra, recorded.ego.heading_rad[-1]),
            still,
        )
    known = recorded.recorded_until_step
    layout = replace(
        recorded, timeline=target, agents=agents, ego=ego, recorded_until_step=steps if known is None else known
    )
    return _part(layout, since=steps - 1, moving=frozenset(traces))


def _part(layout: Layout, *, since: int, moving: frozenset[int]) -> Layout:
    """End the presence of agents before they overlap somebody whom they did not at step `since`."""
    agents = list(layout.agents)
    while True:
        found = new_overlaps(replace(layout, agents=tuple(agents)), since=since)
        leaving: dict[int, int] = {}
        for a, b, step in found:
            movers = [idx for idx in (a, b) if idx in moving and idx != EGO]
            if movers:
                idx = max(movers, key=lambda idx: (_distance_to_ego(layout, idx, step), idx))
                leaving[idx] = min(step, leaving.get(idx, step))
        if not leaving:
            return replace(layout, agents=tuple(agents))
        for idx, step in leaving.items():
            valid = agents[idx].valid.copy()
            valid[step:] = False
            agents[idx] = replace(agents[idx], valid=valid)


def _distance_to_ego(layout: Layout, idx: int, step: int) -> float:
    apart_m = layout.agents[idx].center_world_m[step, :2] - layout.ego.position_world_m[step, :2]
    return float(np.linalg.norm(apart_m))


def _append(agent: AgentTrack, trace: Trace) -> AgentTrack:
    extra = len(trace.heading_rad)
    added_m = np.column_stack([trace.position_m, np.full(extra, agent.center_world_m[-1, 2])])
    return replace(
        agent,
        center_world_m=np.concatenate([agent.center_world_m, added_m]),
        heading_rad=np.concatenate([agent.heading_rad, trace.heading_rad]),
        velocity_world_mps=np.concatenate([agent.velocity_world_mps, trace.velocity_mps]),
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
