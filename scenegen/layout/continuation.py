"""Which way a vehicle goes on: along the lane it is in and its continuations, else straight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from scenegen.layout.paths import Path, make_path
from scenegen.types.layout import Lane

NEAREST_LANE_M = 2.5
LARGEST_TURN_RAD = np.pi / 4
JOIN_M = 2.5
"""A lane continues another if it begins this near to its end."""
KEPT_OFFSET_M = 0.4
"""Who drives this near to the middle of the lane stays there; others come this near to it."""
MERGING_S, LEAST_MERGING_M, MOST_MERGING_M = 3.0, 8.0, 40.0


class WayAhead(NamedTuple):
    """A path from where somebody is, and how far of it lies on lanes; 0 where no lane was found."""

    path: Path
    lane_m: float
    speed_limit_mps: float | None


def way_ahead(
    lanes: Sequence[Lane],
    position_m: Float64[np.ndarray, "2"],
    course_rad: float,
    *,
    reach_m: float,
    speed_mps: float,
    kept_offset_m: float = KEPT_OFFSET_M,
) -> WayAhead:
    """Return a path of at least `reach_m` that starts at a position, in the direction of a course.

    Where a vehicle lane lies under the position and runs that way, the path comes to within `kept_offset_m` of the
    lane's middle without a kink and follows it and the lanes that begin where it ends, each time the one that turns
    least. Beyond the last lane, and where there is none, it runs straight.
    """
    direction = np.array([np.cos(course_rad), np.sin(course_rad)])
    straight = WayAhead(make_path(position_m + np.array([[0.0], [reach_m]]) * direction), 0.0, None)
    usable = [lane for lane in lanes if lane.kind != "walk" and len(lane.centerline_world_m) >= 2]
    found = _lane_at(usable, position_m, course_rad)
    if found is None:
        return straight
    lane, s_m = found
    middle = make_path(_chain(usable, lane, s_m + reach_m))
    at = middle.at(np.array([s_m]))
    lane_m = middle.length_m - s_m
    if lane_m < 1.0:
        return straight
    normal = np.array([-np.sin(at.heading_rad[0]), np.cos(at.heading_rad[0])])
    left_m = float((position_m - at.position_m[0]) @ normal)
    slope = float(np.tan(np.clip(_wrap(course_rad - float(at.heading_rad[0])), -0.7, 0.7)))
    merging_m = float(np.clip(speed_mps * MERGING_S, LEAST_MERGING_M, MOST_MERGING_M))
    along_m = np.arange(0.0, max(reach_m, 1.0) + 0.5, 0.5)
    offset_m = _merge(
        along_m / merging_m, left_m, slope * merging_m, float(np.clip(left_m, -kept_offset_m, kept_offset_m))
    )
    line = middle.at(s_m + along_m)
    normals = np.stack([-np.sin(line.heading_rad), np.cos(line.heading_rad)], axis=1)
    points_m = line.position_m + offset_m[:, None] * normals
    points_m[0] = position_m
    return WayAhead(make_path(points_m), lane_m, lane.speed_limit_mps)


def path_ahead(
    lanes: Sequence[Lane], position_m: Float64[np.ndarray, "2"], course_rad: float, *, reach_m: float
) -> Path:
    """Return the path of `way_ahead` that keeps its distance from the lane's middle."""
    return way_ahead(lanes, position_m, course_rad, reach_m=reach_m, speed_mps=0.0, kept_offset_m=np.inf).path


def _merge(part: Float64[np.ndarray, " N"], begin_m: float, slope_m: float, end_m: float) -> Float64[np.ndarray, " N"]:
    """Return the cubic that leaves `begin_m` with a slope and arrives level at `end_m`; constant beyond part 1."""
    u = np.clip(part, 0.0, 1.0)
    return np.asarray(
        begin_m * (2 * u**3 - 3 * u**2 + 1) + slope_m * (u**3 - 2 * u**2 + u) + end_m * (3 * u**2 - 2 * u**3)
    )


def _lane_at(
    lanes: Sequence[Lane], position_m: Float64[np.ndarray, "2"], course_rad: float
) -> tuple[Lane, float] | None:
    """Return the nearest lane that runs along the course, and how far along it the position is."""
    best: tuple[float, Lane, float] | None = None
    for lane in lanes:
        points_m = lane.centerline_world_m[:, :2]
        begin_m, step_m = points_m[:-1], np.diff(points_m, axis=0)
        length_m = np.linalg.norm(step_m, axis=1)
        part = ((position_m - begin_m) * step_m).sum(axis=1) / np.maximum(length_m**2, 1e-12)
        part = np.clip(part, 0.0, 1.0)
        distance_m = np.linalg.norm(begin_m + part[:, None] * step_m - position_m, axis=1)
        idx = int(np.argmin(distance_m))
        turn = np.arctan2(step_m[idx, 1], step_m[idx, 0]) - course_rad
        if distance_m[idx] > NEAREST_LANE_M or np.cos(turn) < np.cos(LARGEST_TURN_RAD):
            continue
        # Where lanes part, several lie equally near: the one that runs as the vehicle points is its own.
        cost = float(distance_m[idx]) + 2.0 * abs(_wrap(float(turn)))
        if best is None or cost < best[0]:
            best = (cost, lane, float(length_m[:idx].sum() + part[idx] * length_m[idx]))
    return None if best is None else (best[1], best[2])


def _chain(lanes: Sequence[Lane], first: Lane, length_m: float) -> Float64[np.ndarray, "N 2"]:
    """Join a lane and its continuations until they are long enough or none follows."""
    line_m = first.centerline_world_m[:, :2]
    used = {first.lane_id}
    while float(np.linalg.norm(np.diff(line_m, axis=0), axis=1).sum()) < length_m:
        end_m, heading_rad = line_m[-1], _heading(line_m[-2:])
        following = []
        for lane in lanes:
            points_m = lane.centerline_world_m[:, :2]
            gap_m = float(np.linalg.norm(points_m[0] - end_m))
            if lane.lane_id in used or gap_m > JOIN_M:
                continue
            turn_rad = abs(_wrap(_heading(points_m[[0, -1]]) - heading_rad))
            if abs(_wrap(_heading(points_m[:2]) - heading_rad)) < LARGEST_TURN_RAD:
                following.append((turn_rad, lane.lane_id, points_m))
        if not following:
            break
        _, lane_id, points_m = min(following, key=lambda item: item[:2])
        used.add(lane_id)
        line_m = np.concatenate([line_m, points_m[1:]])
    return line_m


def _heading(ends_m: Float64[np.ndarray, "2 2"]) -> float:
    way_m = ends_m[1] - ends_m[0]
    return float(np.arctan2(way_m[1], way_m[0]))


def _wrap(angle_rad: float) -> float:
    return float(np.arctan2(np.sin(angle_rad), np.cos(angle_rad)))
