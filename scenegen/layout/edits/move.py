"""Put an agent elsewhere: at a place, or further along and beside its way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.edits.longer import way_of
from scenegen.layout.edits.subject import find_agent, is_rolling, keep_to_road, put_agent, require_finite, step_at
from scenegen.layout.importers.source_tracks import velocity_by_differences
from scenegen.types.layout import AgentTrack, Layout


def move_agent(
    layout: Layout,
    agent: str,
    *,
    x_m: float | None = None,
    y_m: float | None = None,
    heading_deg: float | None = None,
    at_s: float | None = None,
    forward_m: float = 0.0,
    left_m: float = 0.0,
) -> Layout:
    """Move an agent, with its whole track, to a place; or along its way and sideways.

    With `x_m`, `y_m` or `heading_deg` the track is shifted and turned rigidly, so that the agent has that place and
    heading at `at_s` (when it is first there, if not given). With `forward_m` and `left_m` it is that far ahead on its
    own way, and left of it, at every step, with the speed it has there (more on the outside of bends).

    Raises:
        LayoutError: no such agent, nothing to move or both ways at once, or no room there.
    """
    track = find_agent(layout, agent)
    require_finite(x_m=x_m, y_m=y_m, heading_deg=heading_deg, forward_m=forward_m, left_m=left_m)
    is_to_place = not (x_m is None and y_m is None and heading_deg is None)
    if is_to_place == bool(forward_m or left_m):
        raise LayoutError(
            "either x_m, y_m and heading_deg, or forward_m and left_m", found="both" if is_to_place else "neither",
            where=f"agent {agent!r}",
        )  # fmt: skip
    if not is_to_place:
        return put_agent(layout, keep_to_road(layout, _along(layout, track, forward_m, left_m)))
    step = int(np.argmax(track.valid)) if at_s is None else step_at(layout, at_s)
    if not track.valid[step]:
        raise LayoutError("a time at which the agent is there", found=f"{at_s:g} s", where=f"agent {agent!r}")
    here_m = track.center_world_m[step, :2]
    place_m = np.array([here_m[0] if x_m is None else x_m, here_m[1] if y_m is None else y_m])
    turn_rad = 0.0
    if heading_deg is not None:
        turn_rad = float(np.deg2rad(heading_deg) - track.heading_rad[step])
    return put_agent(layout, keep_to_road(layout, _rigidly(track, here_m, place_m, turn_rad), step=step))


def _rigidly(
    track: AgentTrack, here_m: Float64[np.ndarray, "2"], place_m: Float64[np.ndarray, "2"], turn_rad: float
) -> AgentTrack:
    """Shift a track and turn it about the place."""
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    turn = np.array([[cos, sin], [-sin, cos]])
    center_m = track.center_world_m.copy()
    center_m[:, :2] = (center_m[:, :2] - here_m) @ turn + place_m
    return replace(
        track,
        center_world_m=center_m,
        heading_rad=track.heading_rad + turn_rad,
        velocity_world_mps=track.velocity_world_mps @ turn,
    )


def _along(layout: Layout, track: AgentTrack, forward_m: float, left_m: float) -> AgentTrack:
    """Shift a track along its own way, which goes on along the lanes, and sideways from it."""
    if not is_rolling(track):
        heading_rad = float(track.heading_rad[int(np.argmax(track.valid))])
        ahead = np.array([np.cos(heading_rad), np.sin(heading_rad)])
        offset_m = forward_m * ahead + left_m * np.array([-ahead[1], ahead[0]])
        return replace(track, center_world_m=track.center_world_m + np.array([*offset_m, 0.0]))
    way = way_of(layout, track, before_m=max(-forward_m, 0.0), after_m=max(forward_m, 0.0))
    before, after = way.path.at(way.s_m), way.path.at(way.s_m + forward_m)
    turn_rad = after.heading_rad - before.heading_rad
    left = np.stack([-np.sin(after.heading_rad), np.cos(after.heading_rad)], axis=1)
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    aside_m = track.center_world_m[:, :2] - before.position_m
    turned_m = np.stack([cos * aside_m[:, 0] - sin * aside_m[:, 1], sin * aside_m[:, 0] + cos * aside_m[:, 1]], axis=1)
    center_m = track.center_world_m.copy()
    center_m[:, :2] = after.position_m + turned_m + left_m * left
    rate_hz = layout.timeline.rate_hz
    change_mps = _implied_mps(center_m, track, rate_hz) - _implied_mps(track.center_world_m, track, rate_hz)
    return replace(
        track,
        center_world_m=center_m,
        heading_rad=track.heading_rad + turn_rad,
        velocity_world_mps=track.velocity_world_mps + change_mps,
    )


def _implied_mps(center_m: Float64[np.ndarray, "T 3"], track: AgentTrack, rate_hz: float) -> Float64[np.ndarray, "T 2"]:
    """Differentiate positions, each unbroken presence by itself; zero where the agent is not there."""
    implied_mps = np.zeros((len(center_m), 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], track.valid, [False]]).astype(np.int8)))
    for first, stop in edges.reshape(-1, 2):
        t_s = np.arange(stop - first) / rate_hz
        implied_mps[first:stop] = velocity_by_differences(center_m[first:stop, :2], t_s)
    return implied_mps
