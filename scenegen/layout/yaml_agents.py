"""From agent and ego specs of the YAML format to tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError
from scenegen.layout.motion import (
    DEFAULT_SIZE_LWH_M,
    Stop,
    Travel,
    default_attribute,
    drive,
    standing_track,
    track_along,
)
from scenegen.layout.paths import Path, make_path, offset_polyline
from scenegen.layout.waypoints import interpolate_waypoints
from scenegen.layout.yaml_format import (
    AgentRowSpec,
    AgentSpec,
    DriveSpec,
    LayoutSpec,
    ParkedSpec,
    TrackSpanSpec,
    WalkSpec,
    WaypointSpec,
)
from scenegen.layout.yaml_lines import KeyPath
from scenegen.layout.yaml_roads import Ground
from scenegen.types.layout import AgentTrack
from scenegen.types.taxonomy import AgentCategory, parse_category
from scenegen.types.timeline import Timeline

AGENT_FORMS = ("waypoints", "follow", "walk", "pose", "parked", "track")
MOST_IN_ROW = 5_000
MOST_BOXES = 20_000_000
"""Agents times steps: a gigabyte."""
LARGEST_GAP_M = 4.0
"""Between the end of a lane of a route and the begin of the next."""


def build_agents(spec: LayoutSpec, ground: Ground, timeline: Timeline) -> tuple[AgentTrack, ...]:
    """Build all agents of a file, rows after single ones.

    Raises:
        LayoutError: an id is used twice, or an agent's motion is not said exactly once or names unknown roads.
    """
    times_s = np.arange(timeline.num_steps) / timeline.rate_hz
    most = len(spec.agents) + sum(max(0, int((row.to_m - row.from_m) / row.every_m) + 1) for row in spec.agent_rows)
    if most * timeline.num_steps > MOST_BOXES:
        raise LayoutError(
            f"at most {MOST_BOXES} boxes, agents times steps", found=f"{most} agents, {timeline.num_steps} steps",
            where=ground.marked.where(("duration_s",)),
        )  # fmt: skip
    tracks: dict[str, AgentTrack] = {}
    for idx, agent in enumerate(spec.agents):
        if agent.id in tracks:
            where = ground.marked.where(("agents", idx, "id"))
            raise LayoutError("agent ids used once", found=f"{agent.id!r} again", where=where)
        tracks[agent.id] = build_agent(agent, ground, times_s, key=("agents", idx))
    for idx, row in enumerate(spec.agent_rows):
        for track in _row(row, ground, timeline.num_steps, key=("agent_rows", idx)):
            if track.agent_id in tracks:
                where = ground.marked.where(("agent_rows", idx, "id"))
                raise LayoutError("agent ids used once", found=f"{track.agent_id!r} again", where=where)
            tracks[track.agent_id] = track
    return tuple(tracks.values())


def build_agent(spec: AgentSpec, ground: Ground, times_s: Float64[np.ndarray, " T"], *, key: KeyPath) -> AgentTrack:
    """Build one agent from whichever way its motion is given."""
    forms = [form for form in AGENT_FORMS if getattr(spec, form) is not None]
    if len(forms) != 1:
        raise LayoutError(
            f"exactly one of {', '.join(AGENT_FORMS)}",
            found=" and ".join(forms) or "none",
            where=ground.marked.where(key),
        )
    category = category_of(spec.category)
    size_lwh_m = np.array(spec.size_lwh_m or DEFAULT_SIZE_LWH_M[category], np.float64)
    if spec.waypoints is not None:
        track = _from_waypoints(spec, size_lwh_m, ground, times_s, key=key)
    elif spec.follow is not None:
        lanes = [spec.follow.lane] if isinstance(spec.follow.lane, str) else spec.follow.lane
        path = route_path(lanes, ground, key=(*key, "follow", "lane"))
        path, travel = drive_as_told(path, spec.follow, times_s, front_m=0.5 * float(size_lwh_m[0]))
        valid = (travel.s_m >= 0.0) & (travel.s_m <= path.length_m)
        track = track_along(path, travel, agent_id=spec.id, category=category, size_lwh_m=size_lwh_m, valid=valid)
    elif spec.walk is not None:
        track = _from_walk(spec, spec.walk, size_lwh_m, ground, times_s, key=key)
    elif spec.track is not None:
        track = _from_spans(spec, spec.track, size_lwh_m, len(times_s), ground, key=key)
    else:
        x_m, y_m, heading_rad = _standing_pose(spec, ground, key=key)
        track = standing_track(
            (x_m, y_m), heading_rad, num_steps=len(times_s), agent_id=spec.id, category=category, size_lwh_m=size_lwh_m
        )
    return _with_details(track, spec, times_s)


def category_of(name: str) -> AgentCategory:
    """Return the category of a name that the format has already checked."""
    category = parse_category(name)
    assert category is not None
    return category


def _with_details(track: AgentTrack, spec: AgentSpec, times_s: Float64[np.ndarray, " T"]) -> AgentTrack:
    """Apply what an agent says besides its motion."""
    if spec.present_s is not None:
        present = (times_s >= spec.present_s[0]) & (times_s <= spec.present_s[1])
        track = replace(track, valid=track.valid & present)
    if spec.attribute is not None:
        track = replace(track, attribute=spec.attribute)
    if spec.source_category is not None:
        track = replace(track, source_category=spec.source_category)
    if spec.color is not None:
        track = replace(track, color_rgb=(spec.color[0], spec.color[1], spec.color[2]))
    return track


def route_path(lane_ids: Sequence[str], ground: Ground, *, key: KeyPath) -> Path:
    """Join lanes end to end.

    Raises:
        LayoutError: a lane is unknown, or does not begin where the one before ends.
    """
    lines_m = [ground.lane(lane_id, key=key).centerline_world_m[:, :2] for lane_id in lane_ids]
    for idx in range(1, len(lines_m)):
        gap_m = float(np.linalg.norm(lines_m[idx][0] - lines_m[idx - 1][-1]))
        if gap_m > LARGEST_GAP_M:
            raise LayoutError(
                "lanes that join end to end",
                found=f"{gap_m:.1f} m between the end of {lane_ids[idx - 1]!r} and the begin of {lane_ids[idx]!r}",
                where=ground.marked.where(key),
            )
    return make_path(np.concatenate(lines_m))


def drive_as_told(
    path: Path, spec: DriveSpec, times_s: Float64[np.ndarray, " T"], *, front_m: float
) -> tuple[Path, Travel]:
    """Move along a path with the stops, speeds and lateral shifts of a spec; `front_m` is ahead of the moving point."""
    left_m = np.full(len(path.s_m), spec.left_m)
    for shift in spec.shifts:
        before_m = left_m[int(np.searchsorted(path.s_m, shift.at_m).clip(0, len(left_m) - 1))]
        part = np.clip((path.s_m - shift.at_m) / shift.over_m, 0.0, 1.0)
        after_m = before_m + (shift.left_m - before_m) * part**2 * (3.0 - 2.0 * part)
        left_m = np.where(path.s_m < shift.at_m, left_m, after_m)
    if left_m.any():
        path = make_path(shifted(path, left_m))
    travel = drive(
        path,
        times_s,
        start_m=spec.start_m,
        cruise_mps=spec.speed_mps,
        start_mps=spec.start_speed_mps,
        stops=[Stop(at_m=stop.at_m - front_m, from_s=stop.from_s, to_s=stop.to_s) for stop in spec.stops],
        speeds=[(speed.from_m, speed.speed_mps) for speed in spec.speeds],
    )
    return path, travel


def shifted(path: Path, left_m: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, "N 2"]:
    """Move every sample of a path sideways by its own amount."""
    normal = np.stack([-np.sin(path.heading_rad), np.cos(path.heading_rad)], axis=1)
    return np.asarray(path.points_m + left_m[:, None] * normal)


def _from_waypoints(
    spec: AgentSpec,
    size_lwh_m: Float64[np.ndarray, "3"],
    ground: Ground,
    times_s: Float64[np.ndarray, " T"],
    *,
    key: KeyPath,
) -> AgentTrack:
    waypoints = spec.waypoints or []
    check_times(waypoints, ground, key=(*key, "waypoints"))
    motion = interpolate_waypoints(waypoints, times_s)
    category = category_of(spec.category)
    top_mps = float(np.linalg.norm(motion.velocity_mps, axis=1).max())
    return AgentTrack(
        agent_id=spec.id,
        category=category,
        size_lwh_m=size_lwh_m,
        center_world_m=np.column_stack([motion.position_m, np.full(len(times_s), 0.5 * size_lwh_m[2])]),
        heading_rad=motion.heading_rad,
        velocity_world_mps=motion.velocity_mps,
        valid=np.ones(len(times_s), bool),
        attribute=default_attribute(category, top_mps),
        source_category=category.label,
    )


def check_times(waypoints: Sequence[WaypointSpec], ground: Ground, *, key: KeyPath) -> None:
    """Raise LayoutError, naming the line, where waypoint times do not increase."""
    for idx in range(1, len(waypoints)):
        if waypoints[idx].t_s <= waypoints[idx - 1].t_s:
            raise LayoutError(
                "waypoint times that increase",
                found=f"{waypoints[idx].t_s:g} s after {waypoints[idx - 1].t_s:g} s",
                where=ground.marked.where((*key, idx, "t_s")),
            )


def _from_walk(
    spec: AgentSpec, walk: WalkSpec, size_lwh_m: Float64[np.ndarray, "3"], ground: Ground,
    times_s: Float64[np.ndarray, " T"], *, key: KeyPath,
) -> AgentTrack:  # fmt: skip
    frame = ground.frame(walk.road, key=(*key, "walk", "road"))
    section = frame.section
    left_m = section.kerb_left_m + walk.kerb_m if walk.side == "left" else section.kerb_right_m - walk.kerb_m
    line_m = offset_polyline(frame.path.points_m, left_m)
    forward = make_path(line_m)
    start_m = walk.start_m * forward.length_m / frame.path.length_m
    path = forward if walk.speed_mps >= 0.0 else make_path(line_m[::-1])
    begin_m = start_m if walk.speed_mps >= 0.0 else path.length_m - start_m
    s_m = begin_m + abs(walk.speed_mps) * np.clip(times_s - walk.from_s, 0.0, None)
    speed_mps = np.where(times_s >= walk.from_s, abs(walk.speed_mps), 0.0)
    valid = (s_m >= 0.0) & (s_m <= path.length_m)
    category = category_of(spec.category)
    return track_along(
        path, Travel(s_m, speed_mps), agent_id=spec.id, category=category, size_lwh_m=size_lwh_m, valid=valid
    )


def _from_spans(
    spec: AgentSpec, spans: Sequence[TrackSpanSpec], size_lwh_m: Float64[np.ndarray, "3"], num_steps: int,
    ground: Ground, *, key: KeyPath,
) -> AgentTrack:  # fmt: skip
    """Unfold recorded spans; where none says anything the agent is not valid and holds its last pose."""
    rows = np.zeros((num_steps, 6))
    said, valid = np.zeros(num_steps, bool), np.zeros(num_steps, bool)
    for idx, span in enumerate(spans):
        steps = slice(span.first_step, span.first_step + span.num_steps)
        where = ground.marked.where((*key, "track", idx))
        if steps.stop > num_steps or said[steps].any():
            raise LayoutError(f"spans that do not overlap, within {num_steps} steps", where=where)
        for column, name in enumerate(("x_m", "y_m", "z_m", "heading_rad", "vx_mps", "vy_mps")):
            values = getattr(span, name)
            if isinstance(values, list) and len(values) != span.num_steps:
                raise LayoutError(f"{span.num_steps} numbers in {name}", found=f"{len(values)}", where=where)
            rows[steps, column] = values
        said[steps], valid[steps] = True, span.valid
    rows = np.where(said[:, None], rows, hold_unsaid(rows, valid))
    category = category_of(spec.category)
    return AgentTrack(
        agent_id=spec.id,
        category=category,
        size_lwh_m=size_lwh_m,
        center_world_m=rows[:, :3].copy(),
        heading_rad=rows[:, 3].copy(),
        velocity_world_mps=rows[:, 4:].copy(),
        valid=valid,
    )


def hold_unsaid(rows: Float64[np.ndarray, "T 6"], valid: Bool[np.ndarray, " T"]) -> Float64[np.ndarray, "T 6"]:
    """Return what a track says where a file says nothing: the last valid pose, or the first, and no velocity.

    Columns are x, y, z, heading and both velocities.
    """
    held = np.maximum.accumulate(np.where(valid, np.arange(len(valid)), 0))
    held = np.maximum(held, int(np.argmax(valid)))
    return rows[held] * np.where(valid[:, None], 1.0, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0])


def _standing_pose(spec: AgentSpec, ground: Ground, *, key: KeyPath) -> tuple[float, float, float]:
    if spec.pose is not None:
        return spec.pose.x_m, spec.pose.y_m, float(np.deg2rad(spec.pose.heading_deg))
    parked = spec.parked
    assert parked is not None
    return beside_road(parked, ground, key=(*key, "parked"))


def beside_road(parked: ParkedSpec, ground: Ground, *, key: KeyPath) -> tuple[float, float, float]:
    """Return the pose of a vehicle parked beside a road, facing as traffic on that side does."""
    frame = ground.frame(parked.road, key=(*key, "road"))
    section, is_left = frame.section, parked.side == "left"
    left_m = parked.left_m
    if left_m is None:
        strip_m = section.parking_left_m if is_left else section.parking_right_m
        left_m = (1.0 if is_left else -1.0) * (section.half_width_m + 0.5 * strip_m)
    at = frame.path.at(np.array([parked.at_m]))
    heading_rad = float(at.heading_rad[0])
    x_m, y_m = at.position_m[0] + left_m * np.array([-np.sin(heading_rad), np.cos(heading_rad)])
    return float(x_m), float(y_m), heading_rad + (np.pi if is_left and section.lanes_backward else 0.0)


def _row(row: AgentRowSpec, ground: Ground, num_steps: int, *, key: KeyPath) -> list[AgentTrack]:
    if (row.side is None) == (row.left_m is None):
        raise LayoutError("either `side` or `left_m`", where=ground.marked.where(key))
    side = row.side or ("left" if (row.left_m or 0.0) > 0.0 else "right")
    category = category_of(row.category)
    if (row.to_m - row.from_m) / row.every_m > MOST_IN_ROW:
        found = f"{(row.to_m - row.from_m) / row.every_m:.0f}"
        raise LayoutError(f"a row of at most {MOST_IN_ROW}", found=found, where=ground.marked.where(key))
    tracks = []
    for number, at_m in enumerate(np.arange(row.from_m, row.to_m + 1e-9, row.every_m)):
        if number in row.skip:
            continue
        place = ParkedSpec(road=row.road, side=side, at_m=float(at_m), left_m=row.left_m)
        x_m, y_m, heading_rad = beside_road(place, ground, key=key)
        tracks.append(
            standing_track(
                (x_m, y_m),
                heading_rad + float(np.deg2rad(row.heading_deg)),
                num_steps=num_steps,
                agent_id=f"{row.id}_{number}",
                category=category,
                size_lwh_m=row.size_lwh_m or DEFAULT_SIZE_LWH_M[category],
            )
        )
    return tracks
