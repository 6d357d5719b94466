"""The ego of a map that has none: it drives the longest route, at the lanes' speeds.

From every lane the way goes straight on wherever there is a choice; the longest such way wins, up to what is needed. Of
equal ones the first lane that nothing leads into, then the outermost. The ego starts `START_M` from the begin of its
way, at speed, and stops before the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.opendrive.areas import LANE_KIND_OF_TYPE
from scenegen.layout.importers.opendrive.links import LaneGraph
from scenegen.layout.importers.opendrive.strips import Strip, StripKey
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M, EGO_SIZE_LWH_M, Stop, drive, ego_along
from scenegen.layout.paths import make_path
from scenegen.types.layout import EgoTrack
from scenegen.types.timeline import Timeline

DURATION_S, RATE_HZ = 30.0, 12.0
USUAL_MPS = 50.0 / 3.6
"""On roads without a limit."""
FASTEST_MPS = 130.0 / 3.6
START_M = 20.0
BEFORE_END_M = 1.0
NARROWEST_M = 1.8


def drive_longest_route(
    strips: Mapping[StripKey, Strip], graph: LaneGraph, *, where: str
) -> tuple[EgoTrack, Timeline, tuple[StripKey, ...]]:
    """Return the ego's track in the frame of the file, its timeline, and the lanes it drives over.

    Raises:
        LayoutError: the file has no lane to drive on.
    """
    timeline = Timeline(rate_hz=RATE_HZ, num_steps=round(DURATION_S * RATE_HZ))
    route = longest_route(strips, graph, where=where)
    line_m, speeds, along_m = [], [], 0.0
    for key in route:
        strip = strips[key]
        speeds.append((along_m, speed_on(strip)))
        line_m.append(strip.centerline_m)
        along_m += float(np.linalg.norm(np.diff(strip.centerline_m, axis=0), axis=1).sum())
    path = make_path(np.concatenate(line_m))
    front_m = EGO_CENTER_FROM_AXLE_M + 0.5 * EGO_SIZE_LWH_M[0]
    start_m = min(START_M, 0.1 * path.length_m)
    end_m = max(path.length_m - front_m - BEFORE_END_M, start_m + 0.01)
    travel = drive(
        path,
        np.arange(timeline.num_steps) / timeline.rate_hz,
        start_m=start_m,
        cruise_mps=speeds[0][1],
        speeds=speeds,
        stops=[Stop(at_m=end_m)],
    )
    return ego_along(path, travel), timeline, route


def speed_on(strip: Strip) -> float:
    """Return the speed that is driven on a lane: its limit, or `USUAL_MPS`."""
    limit_mps = strip.speed_limit_mps
    return USUAL_MPS if limit_mps is None else min(limit_mps, FASTEST_MPS)


def longest_route(strips: Mapping[StripKey, Strip], graph: LaneGraph, *, where: str) -> tuple[StripKey, ...]:
    """Return the lanes of the longest way, as far as it is needed."""
    lanes = [key for key, strip in strips.items() if is_drivable(strip)]
    if not lanes:
        raise LayoutError(
            f"a driving lane of at least {NARROWEST_M:g} m", found="none", where=where, fix="is this a road network?"
        )
    fastest_mps = max(speed_on(strips[key]) for key in lanes)
    need_m = START_M + fastest_mps * DURATION_S + 50.0
    best: tuple[tuple[float, ...], tuple[StripKey, ...]] | None = None
    for place, start in enumerate(lanes):
        route = _straight_on(start, strips, graph, need_m)
        length_m = min(sum(strips[key].length_m for key in route), need_m)
        rank = (round(length_m, 1), float(not graph.leading[start]), float(abs(start[2])), -float(place))
        if best is None or rank > best[0]:
            best = (rank, route)
    assert best is not None
    return best[1]


def is_drivable(strip: Strip) -> bool:
    """Say whether the ego may drive along a lane: made for vehicles, and nowhere too narrow."""
    is_for_vehicles = LANE_KIND_OF_TYPE.get(strip.lane.kind) in ("vehicle", "bus")
    return is_for_vehicles and float(strip.width_m.min()) >= NARROWEST_M


def _straight_on(
    start: StripKey, strips: Mapping[StripKey, Strip], graph: LaneGraph, need_m: float
) -> tuple[StripKey, ...]:
    route, length_m = [start], strips[start].length_m
    while length_m < need_m:
        going = [key for key in graph.following[route[-1]] if is_drivable(strips[key])]
        if not going:
            break
        end_rad = heading_of(strips[route[-1]].centerline_m[-2:])
        route.append(min(going, key=lambda key: (_turn(end_rad, strips[key].centerline_m), key)))
        length_m += strips[route[-1]].length_m
    return tuple(route)


def _turn(from_rad: float, line_m: Float64[np.ndarray, "N 2"]) -> float:
    """Return by how much a lane turns from begin to end, against a heading."""
    change = heading_of(line_m[-2:]) - from_rad
    return round(abs(float(np.arctan2(np.sin(change), np.cos(change)))), 3)


def heading_of(ends_m: Sequence[Float64[np.ndarray, "2"]] | Float64[np.ndarray, "2 2"]) -> float:
    """Return the direction from the first to the last of two points."""
    way_m = ends_m[-1] - ends_m[0]
    return float(np.arctan2(way_m[1], way_m[0]))
