"""The ego of a CommonRoad file: from the initial state of its planning problem over lanes to the goal.

The file has no ego trajectory. The initial position is taken for the middle of the car. The way follows successors, and
neighbours where the goal needs a lane change; among all ways to the goal's lanelets the shortest one is taken. A goal
with a place is reached at the middle of its time, with the middle of its speed, on a cubic in time; on a lanelet, the
ego is then as far as steady acceleration takes it. Without a place it keeps its initial speed, straight on at
junctions. It looks out for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.commonroad.network import Network
from scenegen.layout.importers.commonroad.values import (
    State,
    interval_of,
    middle_of,
    point_of,
    state_of,
    steps_of,
)
from scenegen.layout.importers.commonroad.way import NEAREST_LANE_M, draw_way, lane_at, shortest_route
from scenegen.layout.importers.lanelets import RouteKey, route_lanes_of
from scenegen.layout.importers.longest_route import (
    FASTEST_MPS,
    USUAL_MPS,
    RouteLane,
    stop_before_end,
    straight_on,
)
from scenegen.layout.importers.xml_file import XmlElement
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M, Travel, drive, ego_along
from scenegen.layout.paths import Path, make_path
from scenegen.types.layout import MOVING_MPS, EgoTrack
from scenegen.types.timeline import Timeline

JOIN_S, SHORTEST_JOIN_M = 3.0, 15.0
"""How soon the ego is in the middle of its lane."""
AHEAD_M = 50.0
FASTER_THAN_LIMIT = 1.5
FEWEST_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The first goal of a planning problem. Without a place both places are empty."""

    lanelets: tuple[str, ...]
    place_m: tuple[float, float] | None
    first_step: int
    last_step: int
    speed_mps: float | None

    @property
    def has_place(self) -> bool:
        """Say whether it is somewhere."""
        return bool(self.lanelets) or self.place_m is not None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A planning problem as read, and how many goals it has beside the first one."""

    start: State
    goal: Goal
    other_goals: int
    where: XmlElement


def read_problem(element: XmlElement, network: Network) -> Problem:
    """Read a planning problem with its first goal.

    Raises:
        LayoutError: states are missing or malformed, or the goal's lanelet is not in the file.
    """
    initial = element.one("initialState")
    start = state_of(initial)
    if start.heading_rad is None or start.speed_mps is None:
        initial.fail("an orientation and a velocity", "none")
    state = element.one("goalState")
    other_goals = len(element.all("goalState")) - 1
    first, last = steps_of(state.one("time"))
    if last < start.step:
        state.fail(f"a goal after step {start.step}, where the ego starts", f"one until step {last}")
    position, speed = state.first("position"), state.first("velocity")
    lanelets: tuple[str, ...] = ()
    place_m = None
    if position is not None:
        references = position.all("lanelet")
        for reference in references:
            if reference.word("ref") not in network.lanelets:
                reference.fail("a lanelet of the file", repr(reference.word("ref")))
        lanelets = tuple(reference.word("ref") for reference in references)
        point = position.first("point")
        if not lanelets:
            place_m = point_of(point) if point is not None else middle_of(position)
    goal = Goal(
        lanelets=lanelets,
        place_m=place_m,
        first_step=first,
        last_step=last,
        speed_mps=0.5 * sum(interval_of(speed)) if speed is not None else None,
    )
    return Problem(start=start, goal=goal, other_goals=other_goals, where=element)


def drive_to_goal(problem: Problem, network: Network, timeline: Timeline) -> tuple[EgoTrack, Timeline, list[str]]:
    """Return the ego's track in the frame of the file, its timeline, and what it does not do of its problem.

    The timeline ends where its road does, if that is earlier.

    Raises:
        LayoutError: the ego starts beside all lanes.
    """
    lost = [f"{problem.other_goals} more goals: the first one is driven to"] if problem.other_goals else []
    lanes = route_lanes_of(network.lanelets)
    heading_rad = problem.start.heading_rad or 0.0
    middle_m = np.array(problem.start.position_m)
    axle_m = middle_m - EGO_CENTER_FROM_AXLE_M * np.array([np.cos(heading_rad), np.sin(heading_rad)])
    begin = lane_at(middle_m, heading_rad, lanes)
    if begin is None:
        problem.where.one("initialState").fail(f"a lane within {NEAREST_LANE_M:g} m of the ego", "none")
    speed_mps = problem.start.speed_mps or 0.0
    following = {(name, False): [(other, False) for other in others] for name, others in network.following.items()}
    beside = {(name, False): [(other, False) for other in others] for name, others in network.beside.items()}
    need_m = AHEAD_M + max(speed_mps, USUAL_MPS) * timeline.duration_s
    goals = _goal_lanes(problem.goal, lanes)
    route = shortest_route(begin, goals, lanes, following, beside) if goals else None
    is_reached = route is not None
    if problem.goal.has_place and not is_reached:
        lost.append("the goal of the ego: no lanes lead there; it goes straight on")
    route = route or (begin,)
    # The ego may be at the very end of the lane that it is on.
    route = (*route[:-1], *straight_on(route[-1], lanes, following, lanes[route[-1]].length_m + need_m))
    path = make_path(draw_way(route, lanes, following, axle_m, join_m=max(SHORTEST_JOIN_M, JOIN_S * speed_mps)))
    travel = _travel(problem, path, lanes, goals if is_reached else (), timeline, lost)
    on_road = travel.s_m <= path.length_m - EGO_CENTER_FROM_AXLE_M
    if not on_road.all():
        timeline = replace(timeline, num_steps=max(int(np.argmin(on_road)), FEWEST_STEPS))
        travel = Travel(travel.s_m[: timeline.num_steps], travel.speed_mps[: timeline.num_steps])
        lost.append(f"what is after {timeline.duration_s:.1f} s, when the ego's road ends")
    return ego_along(path, travel), timeline, lost


def _goal_lanes(goal: Goal, lanes: Mapping[RouteKey, RouteLane]) -> tuple[RouteKey, ...]:
    """Return the lanes of the goal: those that it names, or those whose middle is nearest to its place."""
    import shapely

    if goal.place_m is None:
        return tuple((name, False) for name in goal.lanelets if (name, False) in lanes)
    place = shapely.Point(goal.place_m)
    apart_m = {key: float(shapely.LineString(lane.centerline_m).distance(place)) for key, lane in lanes.items()}
    nearest_m = min(apart_m.values(), default=np.inf)
    return tuple(key for key, value in apart_m.items() if value <= min(nearest_m + 0.5, NEAREST_LANE_M))


def _travel(
    problem: Problem,
    path: Path,
    lanes: Mapping[RouteKey, RouteLane],
    goals: Sequence[RouteKey],
    timeline: Timeline,
    lost: list[str],
) -> Travel:
    """Drive along the way: to the goal's place in time, else at the initial speed."""
    times_s = np.arange(timeline.num_steps) / timeline.rate_hz
    begin_mps = problem.start.speed_mps or 0.0
    span_m = _goal_along(problem.goal, path, lanes, goals)
    middle_step = 0.5 * (problem.goal.first_step + problem.goal.last_step) - problem.start.step
    if span_m is not None and middle_step > 0.0:
        needed_s = middle_step / timeline.rate_hz
        end_mps = begin_mps if problem.goal.speed_mps is None else max(problem.goal.speed_mps, 0.0)
        goal_m = float(np.clip(0.5 * (begin_mps + end_mps) * needed_s, *span_m))
        if goal_m / needed_s <= FASTER_THAN_LIMIT * FASTEST_MPS:
            end_mps = end_mps if problem.goal.speed_mps is not None else goal_m / needed_s
            return _by_cubic(path, times_s, goal_m=goal_m, needed_s=needed_s, begin_mps=begin_mps, end_mps=end_mps)
        lost.append("the time of the ego's goal, which is too far away")
    cruise_mps = begin_mps if begin_mps > MOVING_MPS else USUAL_MPS
    return drive(
        path,
        times_s,
        start_m=0.0,
        cruise_mps=cruise_mps,
        start_mps=begin_mps,
        stops=[stop_before_end(path, 0.0)],
    )


def _goal_along(
    goal: Goal, path: Path, lanes: Mapping[RouteKey, RouteLane], goals: Sequence[RouteKey]
) -> tuple[float, float] | None:
    """Return from where to where on its way the ego is at its goal: its middle at a place, or on a lanelet."""
    import shapely

    if not goals:
        return None
    line = shapely.LineString(path.points_m)
    if goal.place_m is not None:
        at_m = max(float(line.project(shapely.Point(goal.place_m))) - EGO_CENTER_FROM_AXLE_M, 0.0)
        return at_m, at_m
    spans_m = [line.project(shapely.points(lanes[key].centerline_m[[0, -1]])) for key in goals]
    begin_m, end_m = min(spans_m, key=lambda span_m: float(span_m[0])).tolist()
    return begin_m, max(begin_m, end_m - EGO_CENTER_FROM_AXLE_M)


def _by_cubic(
    path: Path,
    times_s: Float64[np.ndarray, " T"],
    *,
    goal_m: float,
    needed_s: float,
    begin_mps: float,
    end_mps: float,
) -> Travel:
    """Go by a cubic from place 0 at one speed to a place at another in a time, never back; then on at that speed."""
    part = np.minimum(times_s / needed_s, 1.0)
    s_m = (
        (part**3 - 2.0 * part**2 + part) * needed_s * begin_mps
        + (3.0 * part**2 - 2.0 * part**3) * goal_m
        + (part**3 - part**2) * needed_s * end_mps
    )
    later_s = times_s[times_s > needed_s] - needed_s
    if len(later_s):
        stop = stop_before_end(path, goal_m)
        later = drive(path, later_s, start_m=goal_m, cruise_mps=end_mps, start_mps=end_mps, stops=[stop])
        s_m[times_s > needed_s] = later.s_m
    s_m = np.maximum.accumulate(np.maximum(s_m, 0.0))
    return Travel(s_m, np.gradient(s_m, times_s))
