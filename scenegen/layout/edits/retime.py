"""Let an agent do what it does later, earlier, slower or faster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenegen.errors import LayoutError
from scenegen.layout.edits.longer import lengthen_track
from scenegen.layout.edits.subject import find_agent, keep_to_road, put_agent
from scenegen.layout.extend import resample_agent
from scenegen.types.layout import AgentTrack, Layout

FACTORS = (0.1, 5.0)


def retime_agent(layout: Layout, agent: str, *, later_s: float = 0.0, speed_factor: float = 1.0) -> Layout:
    """Shift an agent in time and change its speed; its path stays.

    At time t it is where it was at `t0 + speed_factor * (t - t0 - later_s)`, t0 being when it is first there.
    Velocities scale with the factor. Who is there from the beginning (to the end) is taken to come from before it (to
    go on), as `lengthen_track` says; others come and go at other times.

    Args:
        layout: any layout.
        agent: its id.
        later_s: negative is earlier.
        speed_factor: 2 is twice as fast.

    Raises:
        LayoutError: no such agent, nothing to change, or the agent is never there, too fast, or runs into somebody.
    """
    track = find_agent(layout, agent)
    timeline = layout.timeline
    longest_s = timeline.duration_s
    if not abs(later_s) <= longest_s:
        raise LayoutError(f"later_s from {-longest_s:g} to {longest_s:g}", found=f"{later_s:g}", where=agent)
    if not FACTORS[0] <= speed_factor <= FACTORS[1]:
        raise LayoutError(
            f"a speed_factor from {FACTORS[0]:g} to {FACTORS[1]:g}", found=f"{speed_factor:g}", where=agent
        )
    if later_s == 0.0 and speed_factor == 1.0:
        raise LayoutError("later_s or speed_factor", found="neither", where=agent)
    begin_s = int(np.argmax(track.valid)) / timeline.rate_hz
    times_s = np.arange(timeline.num_steps) / timeline.rate_hz
    source_s = begin_s + speed_factor * (times_s - begin_s - later_s)
    before = max(0, int(np.ceil(-source_s[0] * timeline.rate_hz)))
    after = max(0, int(np.ceil(source_s[-1] * timeline.rate_hz)) - timeline.num_steps + 1)
    longer = lengthen_track(track, layout.road_map.lanes, rate_hz=timeline.rate_hz, before=before, after=after)
    longer_s = np.arange(-before, timeline.num_steps + after) / timeline.rate_hz
    moved = resample_agent(longer, longer_s, source_s)
    moved = replace(moved, velocity_world_mps=speed_factor * moved.velocity_world_mps)
    return put_agent(layout, keep_to_road(layout, _where_it_was(moved, track)))


def _where_it_was(moved: AgentTrack, track: AgentTrack) -> AgentTrack:
    """Refuse a track that is never there any more."""
    if not moved.valid.any():
        raise LayoutError(
            "an agent that is there at some time", found="none after the edit", where=f"agent {track.agent_id!r}",
            fix="remove it instead, or shift it less",
        )  # fmt: skip
    return moved
