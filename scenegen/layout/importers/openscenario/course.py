"""Ways along lanes: a lane and those that follow it, as one path to drive along."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.longest_route import heading_of
from scenegen.layout.importers.opendrive.read import Network
from scenegen.layout.importers.opendrive.strips import Strip, StripKey
from scenegen.layout.paths import Path, make_path

REACH_M = 3_000.0
MOST_LANES = 2_000


@dataclass(frozen=True, kw_only=True)
class Course:
    """A path over lanes; `begin_m` says where each lane begins on it.

    Attributes:
        is_along: whether the path runs with the traffic of its lanes.
    """

    path: Path
    keys: tuple[StripKey, ...]
    begin_m: Float64[np.ndarray, " K"]
    is_along: bool

    def key_at(self, s_m: float) -> StripKey:
        """Return the lane at a distance along the path."""
        idx = int(np.searchsorted(self.begin_m, s_m, side="right")) - 1
        return self.keys[max(idx, 0)]

    def project(self, position_m: Float64[np.ndarray, "2"]) -> tuple[float, float]:
        """Return how far along and how far left of the path a position is."""
        return project(self.path, position_m)


def project(path: Path, position_m: Float64[np.ndarray, "2"]) -> tuple[float, float]:
    """Return distance along a path, and to the left of it, of the nearest point."""
    begin_m, step_m = path.points_m[:-1], np.diff(path.points_m, axis=0)
    length_m = np.maximum(np.linalg.norm(step_m, axis=1), 1e-12)
    part = np.clip(((position_m - begin_m) * step_m).sum(axis=1) / length_m**2, 0.0, 1.0)
    away_m = position_m - (begin_m + part[:, None] * step_m)
    idx = int(np.argmin((away_m**2).sum(axis=1)))
    s_m = float(path.s_m[idx] + part[idx] * length_m[idx])
    at = path.at(np.array([s_m]))
    heading_rad = float(at.heading_rad[0])
    offset_m = position_m - at.position_m[0]
    return s_m, float(offset_m @ np.array([-np.sin(heading_rad), np.cos(heading_rad)]))


def course_from(network: Network, key: StripKey, *, is_along: bool, roads: Collection[str] = ()) -> Course:
    """Follow lanes from one on; where there is a choice, onto a road of `roads`, else straight on."""
    keys, lines_m, begins_m, total_m = [key], [_line(network.strips[key], is_along)], [0.0], 0.0
    while len(keys) < MOST_LANES:
        total_m += _length(lines_m[-1])
        graph = network.graph.following if is_along else network.graph.leading
        ways = graph[keys[-1]]
        if not ways or total_m > REACH_M:
            break
        end_rad = heading_of(lines_m[-1][-2:])
        keys.append(
            min(ways, key=lambda way: (way[0] not in roads, _turn(end_rad, network.strips[way], is_along), way))
        )
        lines_m.append(_line(network.strips[keys[-1]], is_along))
        begins_m.append(total_m)
    return Course(
        path=make_path(np.concatenate(lines_m)), keys=tuple(keys), begin_m=np.array(begins_m), is_along=is_along
    )


def roads_between(network: Network, start: StripKey, goal: StripKey) -> tuple[str, ...] | None:
    """Return the roads of the shortest way from one lane to another, or to any lane of its road; None without any."""
    import heapq

    best: dict[StripKey, float] = {start: 0.0}
    before: dict[StripKey, StripKey] = {}
    waiting: list[tuple[float, StripKey]] = [(0.0, start)]
    second: StripKey | None = None
    reached: StripKey | None = None
    while waiting:
        far_m, at = heapq.heappop(waiting)
        if at == goal:
            reached = at
            break
        if at[0] == goal[0] and second is None:
            second = at
        if far_m > best[at]:
            continue
        for way in network.graph.following[at]:
            cost_m = far_m + network.strips[at].length_m
            if cost_m < best.get(way, np.inf):
                best[way], before[way] = cost_m, at
                heapq.heappush(waiting, (cost_m, way))
    at_end = reached or second
    if at_end is None:
        return None
    keys = [at_end]
    while keys[-1] != start:
        keys.append(before[keys[-1]])
    return tuple(dict.fromkeys(key[0] for key in reversed(keys)))


def _line(strip: Strip, is_along: bool) -> Float64[np.ndarray, "N 2"]:
    return strip.centerline_m if is_along else strip.centerline_m[::-1]


def _length(line_m: Float64[np.ndarray, "N 2"]) -> float:
    return float(np.linalg.norm(np.diff(line_m, axis=0), axis=1).sum())


def _turn(from_rad: float, strip: Strip, is_along: bool) -> float:
    change = heading_of(_line(strip, is_along)[-2:]) - from_rad
    return round(abs(float(np.arctan2(np.sin(change), np.cos(change)))), 3)
