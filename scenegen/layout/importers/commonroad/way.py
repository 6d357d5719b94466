"""The ego's way over lanes: where it begins, the shortest route, and the line over it with its lane changes."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.lanelets import RouteKey
from scenegen.layout.importers.longest_route import RouteLane

if TYPE_CHECKING:
    from shapely import LineString

NEAREST_LANE_M = 5.0
CHANGE_M = 40.0
"""What a lane change is worth of way, and how long it is at most."""


def lane_at(
    point_m: Float64[np.ndarray, "2"], heading_rad: float, lanes: Mapping[RouteKey, RouteLane]
) -> RouteKey | None:
    """Return the lane whose middle is nearest and runs along, or None."""
    import shapely

    best: tuple[float, RouteKey] | None = None
    for key, lane in lanes.items():
        line = shapely.LineString(lane.centerline_m)
        apart_m = float(line.distance(shapely.Point(point_m)))
        if apart_m > NEAREST_LANE_M:
            continue
        along_m = line.project(shapely.Point(point_m))
        ends_m = shapely.get_coordinates(line.interpolate([max(along_m - 1.0, 0.0), along_m + 1.0]))
        way_m = ends_m[1] - ends_m[0]
        turn = float(np.cos(np.arctan2(way_m[1], way_m[0]) - heading_rad))
        if turn > 0.5 and (best is None or (apart_m + 2.0 * (1.0 - turn), key) < best):
            best = (apart_m + 2.0 * (1.0 - turn), key)
    return best[1] if best is not None else None


def shortest_route(
    begin: RouteKey,
    goals: Sequence[RouteKey],
    lanes: Mapping[RouteKey, RouteLane],
    following: Mapping[RouteKey, Sequence[RouteKey]],
    beside: Mapping[RouteKey, Sequence[RouteKey]],
) -> tuple[RouteKey, ...] | None:
    """Return the lanes of the shortest way to any goal, lane changes counted as `CHANGE_M`; None where there is none.

    Source: E. W. Dijkstra, A note on two problems in connexion with graphs, Numerische Mathematik 1 (1959).
    """
    waiting: list[tuple[float, RouteKey, RouteKey | None]] = [(0.0, begin, None)]
    came_from: dict[RouteKey, RouteKey | None] = {}
    while waiting:
        cost_m, key, before = heapq.heappop(waiting)
        if key in came_from:
            continue
        came_from[key] = before
        if key in goals:
            return _back_from(key, came_from)
        steps = [(lanes[key].length_m, other) for other in following[key]]
        steps += [(CHANGE_M, other) for other in beside[key]]
        for step_m, other in steps:
            if other in lanes and other not in came_from:
                heapq.heappush(waiting, (cost_m + step_m, other, key))
    return None


def _back_from(key: RouteKey, came_from: Mapping[RouteKey, RouteKey | None]) -> tuple[RouteKey, ...]:
    route = [key]
    while (before := came_from[route[-1]]) is not None:
        route.append(before)
    return tuple(reversed(route))


def draw_way(
    route: Sequence[RouteKey],
    lanes: Mapping[RouteKey, RouteLane],
    following: Mapping[RouteKey, Sequence[RouteKey]],
    start_m: Float64[np.ndarray, "2"],
    *,
    join_m: float,
) -> Float64[np.ndarray, "N 2"]:
    """Draw the way over the lanes of a route: from a place smoothly to the middle, and smoothly to neighbours."""
    import shapely

    line = shapely.LineString(lanes[route[0]].centerline_m)
    at_m = float(line.project(shapely.Point(start_m)))
    pieces: list[Float64[np.ndarray, "_ 2"]] = []
    for before, after in pairwise(route):
        next_line = shapely.LineString(lanes[after].centerline_m)
        if after in following[before]:
            pieces.append(_part(line, at_m, line.length))
            line, at_m = next_line, 0.0
            continue
        change_m = _part(line, at_m, min(at_m + CHANGE_M, line.length))
        beside_m = next_line.project(shapely.points(change_m))
        share = np.linspace(0.0, 1.0, len(change_m))[:, None]
        share = share * share * (3.0 - 2.0 * share)
        pieces.append(change_m + share * (shapely.get_coordinates(next_line.interpolate(beside_m)) - change_m))
        line, at_m = next_line, float(beside_m[-1])
    pieces.append(_part(line, at_m, line.length))
    way_m = np.concatenate(pieces)
    along_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way_m, axis=0), axis=1))])
    share = np.clip(along_m / join_m, 0.0, 1.0)
    offset_m = start_m - way_m[0]
    return np.asarray(way_m + (1.0 - share * share * (3.0 - 2.0 * share))[:, None] * offset_m)


def _part(line: LineString, begin_m: float, end_m: float) -> Float64[np.ndarray, "N 2"]:
    import shapely

    count = max(2, int(np.ceil(end_m - begin_m)) + 1)
    return shapely.get_coordinates(line.interpolate(np.linspace(begin_m, max(end_m, begin_m), count)))
