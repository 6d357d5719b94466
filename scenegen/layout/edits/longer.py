"""A track as if the recording had begun earlier and ended later, and the way that it moves along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.layout.continuation import path_ahead
from scenegen.layout.edits.subject import is_rolling
from scenegen.layout.paths import Path, make_path
from scenegen.types.layout import AgentTrack, Lane, Layout
from scenegen.types.taxonomy import VEHICLE_CATEGORIES

APART_M = 0.3
"""Places of a way are at least this far apart, so that the jitter of recordings is no way."""


class _Onward(NamedTuple):
    center_world_m: Float64[np.ndarray, "E 3"]
    heading_rad: Float64[np.ndarray, " E"]
    velocity_world_mps: Float64[np.ndarray, "E 2"]


def lengthen_track(track: AgentTrack, lanes: Sequence[Lane], *, rate_hz: float, before: int, after: int) -> AgentTrack:
    """Return a track with steps put before its first and after its last.

    Who is there at the first step was on the way before it, at the mean speed of the first second: vehicles along the
    lanes, others straight. Likewise after the last step. Who stands, or is not there, goes on doing so.
    """
    earlier = _onward(track, lanes, rate_hz, steps=before, backwards=True)
    later = _onward(track, lanes, rate_hz, steps=after, backwards=False)
    return replace(
        track,
        center_world_m=np.concatenate([earlier.center_world_m[::-1], track.center_world_m, later.center_world_m]),
        heading_rad=np.concatenate([earlier.heading_rad[::-1], track.heading_rad, later.heading_rad]),
        velocity_world_mps=np.concatenate(
            [earlier.velocity_world_mps[::-1], track.velocity_world_mps, later.velocity_world_mps]
        ),
        valid=np.concatenate([np.full(before, track.valid[0]), track.valid, np.full(after, track.valid[-1])]),
    )


def _onward(track: AgentTrack, lanes: Sequence[Lane], rate_hz: float, *, steps: int, backwards: bool) -> _Onward:
    """Return the steps beyond one end of a track, nearest first; velocities are in the direction of time."""
    order = slice(None, None, -1) if backwards else slice(None)
    center_m, valid = track.center_world_m[order], track.valid[order]
    back = min(len(valid) - 1, max(1, round(rate_hz)))
    while back > 0 and not valid[-1 - back :].all():
        back -= 1
    way_m = center_m[-1, :2] - center_m[-1 - back, :2]
    speed_mps = float(np.linalg.norm(way_m)) * rate_hz / max(back, 1)
    if not steps or not valid[-1] or not is_rolling(track) or speed_mps < 0.1:
        return _Onward(
            np.repeat(center_m[-1:], steps, axis=0),
            np.repeat(track.heading_rad[order][-1:], steps),
            np.zeros((steps, 2)),
        )
    course_rad = float(np.arctan2(way_m[1], way_m[0]))
    usable = lanes if track.category in VEHICLE_CATEGORIES else ()
    usable = [_reversed(lane) for lane in usable] if backwards else usable
    far_m = speed_mps / rate_hz * np.arange(1, steps + 1)
    path = path_ahead(usable, center_m[-1, :2], course_rad, reach_m=float(far_m[-1]) + 10.0)
    at = path.at(far_m)
    turn_rad = float(track.heading_rad[order][-1]) - float(path.heading_rad[0])
    direction = np.stack([np.cos(at.heading_rad), np.sin(at.heading_rad)], axis=1)
    return _Onward(
        np.column_stack([at.position_m, np.full(steps, center_m[-1, 2])]),
        at.heading_rad + turn_rad,
        (-speed_mps if backwards else speed_mps) * direction,
    )


def _reversed(lane: Lane) -> Lane:
    return replace(lane, centerline_world_m=lane.centerline_world_m[::-1])


@dataclass(frozen=True, kw_only=True)
class Way:
    """The path of a track with room at both ends, and how far along it the track is at every step."""

    path: Path
    s_m: Float64[np.ndarray, " T"]


def way_of(layout: Layout, track: AgentTrack, *, before_m: float, after_m: float) -> Way:
    """Return the way of a track that moves, `before_m` and `after_m` longer where the agent is on the move at its ends.

    The steps at which the agent is not there count as straight from place to place.
    """
    rate_hz = layout.timeline.rate_hz
    seen = np.flatnonzero(track.valid)
    present = _only(track, seen)
    before = _steps_for(present, before_m, rate_hz, backwards=True)
    after = _steps_for(present, after_m, rate_hz, backwards=False)
    longer = lengthen_track(present, layout.road_map.lanes, rate_hz=rate_hz, before=before, after=after)
    points_m = longer.center_world_m[:, :2]
    kept = [0]
    for idx in range(1, len(points_m)):
        if float(np.linalg.norm(points_m[idx] - points_m[kept[-1]])) >= APART_M:
            kept.append(idx)
    path = make_path(points_m[kept])
    length_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_m[kept], axis=0), axis=1))])
    along_m = np.interp(np.arange(len(points_m)), kept, length_m)[before : before + len(seen)]
    return Way(path=path, s_m=np.interp(np.arange(len(track.valid)), seen, along_m))


def _only(track: AgentTrack, steps: Int64[np.ndarray, " N"]) -> AgentTrack:
    return replace(
        track,
        center_world_m=track.center_world_m[steps],
        heading_rad=track.heading_rad[steps],
        velocity_world_mps=track.velocity_world_mps[steps],
        valid=track.valid[steps],
    )


def _steps_for(track: AgentTrack, reach_m: float, rate_hz: float, *, backwards: bool) -> int:
    """Return how many steps an agent needs for a distance, at its speed at that end."""
    if reach_m <= 0.0:
        return 0
    second = max(1, round(rate_hz))
    end_m = track.center_world_m[: second + 1, :2] if backwards else track.center_world_m[-second - 1 :, :2]
    moved_m = float(np.linalg.norm(end_m[-1] - end_m[0])) / max(len(end_m) - 1, 1)
    return 0 if moved_m < 0.1 / rate_hz else min(int(np.ceil(reach_m / moved_m)) + 2, 20_000)
