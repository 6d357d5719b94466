"""The ego of a map that has none: it drives the longest route, at the lanes' speeds.

From every lane the way goes straight on wherever there is a choice; the longest such way wins, up to what is needed. Of
equal ones the first lane that nothing leads into, then the outermost. The ego starts `START_M` from the begin of its
way, at speed, and stops before the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.source_tracks import path_length_m
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M, EGO_SIZE_LWH_M, Stop, drive, ego_along
from scenegen.layout.paths import Path, make_path
from scenegen.types.layout import EgoTrack
from scenegen.types.timeline import Timeline

Key = TypeVar("Key", bound=Any)
"""What names a lane of a file; keys compare, which settles draws."""
DURATION_S, RATE_HZ = 30.0, 12.0
ROUTE_TIMELINE = Timeline(rate_hz=RATE_HZ, num_steps=round(DURATION_S * RATE_HZ))
"""Of maps without anything that moves."""
USUAL_MPS = 50.0 / 3.6
"""On roads without a limit."""
FASTEST_MPS = 130.0 / 3.6
START_M = 20.0
BEFORE_END_M = 1.0
NARROWEST_M = 1.8
"""Lanes that are narrower somewhere are no way for the ego."""
MOST_LANES = 2_000
"""Of a route; a circle of lanes as short as nothing has no end."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RouteLane:
    """A lane that the ego may drive along, in the frame of the file.

    Attributes:
        limit_mps: its speed limit, or None.
        from_middle: greater for lanes further out, where the source says so.
    """

    centerline_m: Float64[np.ndarray, "N 2"]
    length_m: float
    limit_mps: float | None
    from_middle: float = 0.0

    @property
    def speed_mps(self) -> float:
        """What is driven on it: its limit, or `USUAL_MPS`."""
        return USUAL_MPS if self.limit_mps is None else min(self.limit_mps, FASTEST_MPS)


def drive_longest_route(
    lanes: Mapping[Key, RouteLane],
    following: Mapping[Key, Sequence[Key]],
    *,
    where: str,
    timeline: Timeline = ROUTE_TIMELINE,
) -> tuple[EgoTrack, tuple[Key, ...]]:
    """Return the ego's track in the frame of the file, and the lanes it drives over.

    Args:
        lanes: those that it may drive along, in the order of the file.
        following: what goes on from each lane of the file, in driving direction.
        where: the file.
        timeline: of the scene.

    Raises:
        LayoutError: there is no lane to drive on.
    """
    route = longest_route(lanes, following, where=where)
    line_m, speeds, along_m = [], [], 0.0
    for key in route:
        lane = lanes[key]
        speeds.append((along_m, lane.speed_mps))
        line_m.append(lane.centerline_m)
        along_m += path_length_m(lane.centerline_m)
    path = make_path(np.concatenate(line_m))
    start_m = min(START_M, 0.1 * path.length_m)
    travel = drive(
        path,
        np.arange(timeline.num_steps) / timeline.rate_hz,
        start_m=start_m,
        cruise_mps=speeds[0][1],
        speeds=speeds,
        stops=[stop_before_end(path, start_m)],
    )
    return ego_along(path, travel), route


def stop_before_end(path: Path, start_m: float) -> Stop:
    """Return where the rear axle halts so that the ego stays on its way."""
    front_m = EGO_CENTER_FROM_AXLE_M + 0.5 * EGO_SIZE_LWH_M[0]
    return Stop(at_m=max(path.length_m - front_m - BEFORE_END_M, start_m + 0.01))


def longest_route(
    lanes: Mapping[Key, RouteLane], following: Mapping[Key, Sequence[Key]], *, where: str
) -> tuple[Key, ...]:
    """Return the lanes of the longest way, as far as it is needed.

    Raises:
        LayoutError: there is no lane to drive on.
    """
    if not lanes:
        raise LayoutError(
            f"a driving lane of at least {NARROWEST_M:g} m", found="none", where=where, fix="is this a road network?"
        )
    need_m = START_M + max(lane.speed_mps for lane in lanes.values()) * DURATION_S + 50.0
    led = {key for keys in following.values() for key in keys}
    best: tuple[tuple[float, ...], tuple[Key, ...]] | None = None
    for place, start in enumerate(lanes):
        route = straight_on(start, lanes, following, need_m)
        length_m = min(sum(lanes[key].length_m for key in route), need_m)
        rank = (round(length_m, 1), float(start not in led), lanes[start].from_middle, -float(place))
        if best is None or rank > best[0]:
            best = (rank, route)
    assert best is not None
    return best[1]


def straight_on(
    start: Key, lanes: Mapping[Key, RouteLane], following: Mapping[Key, Sequence[Key]], need_m: float
) -> tuple[Key, ...]:
    """Return the lanes from a lane on, by the straightest wherever there is a choice, until they are long enough."""
    route, length_m = [start], lanes[start].length_m
    while length_m < need_m and len(route) < MOST_LANES:
        going = [key for key in following[route[-1]] if key in lanes]
        if not going:
            break
        end_rad = heading_of(lanes[route[-1]].centerline_m[-2:])
        route.append(min(going, key=lambda key: (_turn(end_rad, lanes[key].centerline_m), key)))
        length_m += lanes[route[-1]].length_m
    return tuple(route)


def _turn(from_rad: float, line_m: Float64[np.ndarray, "N 2"]) -> float:
    """Return by how much a lane turns from begin to end, against a heading."""
    change = heading_of(line_m[-2:]) - from_rad
    return round(abs(float(np.arctan2(np.sin(change), np.cos(change)))), 3)


def heading_of(ends_m: Sequence[Float64[np.ndarray, "2"]] | Float64[np.ndarray, "2 2"]) -> float:
    """Return the direction from the first to the last of two points."""
    way_m = ends_m[-1] - ends_m[0]
    return float(np.arctan2(way_m[1], way_m[0]))
