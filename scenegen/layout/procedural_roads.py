"""Random roads: where the ego drives, where others may drive, who may cross when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from scenegen.layout.junctions import STOP_SETBACK_M, build_junction, build_roundabout
from scenegen.layout.motion import Stop
from scenegen.layout.paths import Path, make_path, place
from scenegen.layout.road_style import MIXED_ROADS, RoadStyle
from scenegen.layout.roads import (
    CROSSING_DEPTH_M,
    CrossSection,
    RoadFrame,
    RoadPiece,
    build_road,
    crossing_area,
    stop_lines,
)
from scenegen.types.layout import Area, Lane, LaneLine

LINE_BEFORE_CROSSING_M = 0.5 * CROSSING_DEPTH_M + 1.2


@dataclass(frozen=True, kw_only=True)
class Crosswalk:
    """A place to cross a road, and when traffic waits there."""

    frame: RoadFrame
    at_m: float
    window_s: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A lane by which traffic comes, the ways it may go on, and the stops of all who come this way.

    `stops` are where the front of a vehicle must stay behind. Outer lanes are where cyclists ride.
    """

    paths: tuple[Path, ...]
    stops: tuple[Stop, ...] = ()
    is_outer: bool = True


@dataclass(frozen=True, kw_only=True)
class RoadPlan:
    """Everything about a random road that traffic needs. The ego drives `entries[0].paths[0]`."""

    kind: str
    pieces: tuple[RoadPiece, ...]
    lines: tuple[LaneLine, ...]
    areas: tuple[Area, ...]
    entries: tuple[Entry, ...]
    crosswalks: tuple[Crosswalk, ...]
    ego_start_m: float
    ego_cruise_mps: float
    duration_s: float
    num_cyclists: tuple[int, int] = (3, 13)

    @property
    def frames(self) -> tuple[RoadFrame, ...]:
        """All roads of the plan."""
        return tuple(frame for piece in self.pieces for frame in piece.frames)


def plan_roads(
    rng: np.random.Generator, *, duration_s: float, kind: str | None = None, style: RoadStyle = MIXED_ROADS
) -> RoadPlan:
    """Draw a road network around a route that lasts `duration_s`."""
    kinds = list(style.kinds)
    chosen = kind or str(rng.choice(kinds, p=list(style.kinds.values())))
    heading_rad = 0.5 * np.pi * int(rng.integers(4))
    if rng.random() < 0.12:
        heading_rad += float(rng.uniform(-0.5, 0.5))
    planners: dict[str, Callable[[], RoadPlan]] = {
        "crossroads": lambda: _plan_junction(rng, chosen, heading_rad, duration_s, style),
        "t_junction": lambda: _plan_junction(rng, chosen, heading_rad, duration_s, style),
        "roundabout": lambda: _plan_roundabout(rng, heading_rad, duration_s, style),
    }
    plan = planners.get(chosen, lambda: _plan_single_road(rng, chosen, heading_rad, duration_s, style))()
    return replace(plan, num_cyclists=style.num_cyclists)


def draw_section(rng: np.random.Generator, *, most_lanes: int = 3, style: RoadStyle = MIXED_ROADS) -> CrossSection:
    """Draw a cross section, from a narrow street to an avenue."""
    lanes = int(rng.choice([1, 2, 3], p=style.lane_shares))
    lanes = min(lanes, most_lanes)
    has_parking = rng.random(2) < style.parking_chance[0 if lanes == 1 else 1]
    return CrossSection(
        lanes_forward=lanes,
        lanes_backward=lanes,
        lane_width_m=float(rng.uniform(*style.lane_width_m)),
        sidewalk_m=float(rng.uniform(*style.sidewalk_m)),
        parking_left_m=float(rng.uniform(2.1, 2.6)) if has_parking[0] else 0.0,
        parking_right_m=float(rng.uniform(2.1, 2.6)) if has_parking[1] else 0.0,
        centre_marking=str(rng.choice(["double", "solid", "dashed", "none"], p=style.marking_shares)),
        edge_marking=bool(rng.random() < style.edge_chance),
    )


def centre_line(kind: str, length_m: float, *, radius_m: float, angle_rad: float) -> Float64[np.ndarray, "N 2"]:
    """Return the centre line of a named road shape, starting at the origin along x.

    `curve` turns once by `angle_rad`; `s_curve` swings to the side and back with that greatest angle.
    """
    s_m = np.arange(0.0, length_m + 1e-9, 1.0)
    if kind == "straight":
        heading_rad = np.zeros_like(s_m)
    elif kind == "curve":
        bend_m = radius_m * abs(angle_rad)
        heading_rad = angle_rad * np.clip((s_m - 0.5 * (length_m - bend_m)) / bend_m, 0.0, 1.0)
    else:
        wave_m = 4.0 * radius_m * abs(angle_rad)
        heading_rad = angle_rad * np.sin(2.0 * np.pi * s_m / wave_m)
    step = np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=1)
    middle = 0.5 * (step[1:] + step[:-1])
    return np.concatenate([np.zeros((1, 2)), np.cumsum(middle, axis=0)])


def lane_path(lanes: Sequence[Lane]) -> Path:
    """Join lanes end to end into one path."""
    return make_path(np.concatenate([lane.centerline_world_m[:, :2] for lane in lanes]))


def nearest_s_m(path: Path, point_m: Float64[np.ndarray, "2"]) -> float:
    """Return the arc length of the path's sample that is nearest to a point."""
    return float(path.s_m[int(np.argmin(np.linalg.norm(path.points_m - point_m, axis=1)))])


def _plan_single_road(
    rng: np.random.Generator, kind: str, heading_rad: float, duration_s: float, style: RoadStyle
) -> RoadPlan:
    section = draw_section(rng, style=style)
    cruise_mps = float(rng.uniform(*(style.narrow_mps if section.lanes_forward == 1 else style.wide_mps)))
    start_m = float(rng.uniform(35.0, 60.0))
    length_m = start_m + cruise_mps * duration_s + 70.0
    angle_rad = float(rng.choice([-1.0, 1.0]) * rng.uniform(*style.angle_rad))
    radius_m = float(rng.uniform(*style.radius_m))
    if kind == "s_curve":
        angle_rad, radius_m = 0.35 * angle_rad, float(rng.uniform(*style.swing_radius_m))
    line_m = centre_line(kind, length_m, radius_m=radius_m, angle_rad=angle_rad)
    road = build_road("road", place(line_m, at_m=(0.0, 0.0), heading_rad=heading_rad), section=section)
    frame = road.frames[0]
    crosswalks = tuple(
        Crosswalk(frame=frame, at_m=at_m, window_s=_crossing_window(rng, (at_m - start_m) / cruise_mps, duration_s))
        for at_m in _crossing_places(rng, start_m, cruise_mps, duration_s, style)
    )
    return RoadPlan(
        kind=kind,
        pieces=(road,),
        lines=tuple(
            line for walk in crosswalks for line in stop_lines(frame, walk.at_m, clear_m=LINE_BEFORE_CROSSING_M)
        ),
        areas=tuple(crossing_area(frame, walk.at_m) for walk in crosswalks),
        entries=_road_entries(road, section, crosswalks, rng),
        crosswalks=crosswalks,
        ego_start_m=start_m,
        ego_cruise_mps=cruise_mps,
        duration_s=duration_s,
    )


def _crossing_places(
    rng: np.random.Generator, start_m: float, cruise_mps: float, duration_s: float, style: RoadStyle
) -> list[float]:
    """Draw up to three crossings along the ego's way, well apart."""
    count = int(rng.choice([0, 1, 2, 3], p=style.crossing_shares))
    reach_m = cruise_mps * duration_s
    places: list[float] = []
    for at_m in start_m + 22.0 + rng.random(count) * max(reach_m * 0.8 - 22.0, 1.0):
        if all(abs(at_m - other) > 35.0 for other in places):
            places.append(float(at_m))
    return places


def _crossing_window(rng: np.random.Generator, arrival_s: float, duration_s: float) -> tuple[float, float] | None:
    """Draw when people cross: mostly about when the ego would arrive."""
    if rng.random() < 0.25:
        return None
    begin_s = max(0.0, arrival_s - float(rng.uniform(1.0, 5.0)))
    end_s = min(begin_s + float(rng.uniform(8.0, 12.0)), duration_s)
    return (begin_s, end_s) if end_s - begin_s > 6.0 else None


def _road_entries(
    road: RoadPiece, section: CrossSection, crosswalks: Sequence[Crosswalk], rng: np.random.Generator
) -> tuple[Entry, ...]:
    """Return one entry per lane, the ego's first."""
    entries = []
    for lane in road.lanes:
        path = lane_path([lane])
        stops = []
        for walk in crosswalks:
            if walk.window_s is not None:
                center_m = walk.frame.path.at(np.array([walk.at_m])).position_m[0]
                line_m = nearest_s_m(path, center_m) - LINE_BEFORE_CROSSING_M - 0.4
                stops.append(Stop(at_m=line_m, from_s=walk.window_s[0], to_s=walk.window_s[1]))
        number = int(lane.lane_id[-1])
        entries.append(Entry(paths=(path,), stops=tuple(stops), is_outer=number == section.lanes_forward))
    ego_idx = int(rng.integers(section.lanes_forward))
    return (entries[ego_idx], *(entry for idx, entry in enumerate(entries) if idx != ego_idx))


def _plan_junction(
    rng: np.random.Generator, kind: str, heading_rad: float, duration_s: float, style: RoadStyle
) -> RoadPlan:
    names = (
        ["east", "north", "west", "south"]
        if kind == "crossroads"
        else list(rng.choice([["east", "west", "north"], ["east", "west", "south"], ["west", "north", "south"]]))
    )
    main, side = (draw_section(rng, most_lanes=2, style=style) for _ in range(2))
    sections = {str(name): main if name in ("east", "west") else side for name in names}
    cruise_mps = float(rng.uniform(*style.junction_mps))
    approach_m = float(rng.uniform(20.0, 70.0))
    goal = str(rng.choice([name for name in sections if name != "west"]))
    lengths_m = dict.fromkeys(sections, 95.0)
    lengths_m["west"] = approach_m + 55.0
    lengths_m[goal] = max(95.0, cruise_mps * duration_s - approach_m + 35.0)
    junction = build_junction(
        "junction",
        arms=sections,
        heading_rad=heading_rad,
        arm_length_m=lengths_m,
        corner_radius_m=float(rng.uniform(4.0, 9.0)),
        crossings=tuple(name for name in sections if rng.random() < style.crossing_chance),
    )
    reds = _signal(rng, duration_s)
    lane_number = 1 if goal == "north" else sections["west"].lanes_forward if goal == "south" else 1
    entries = _junction_entries(junction, sections, reds, ego=("west", lane_number, goal))
    crosswalks = [
        Crosswalk(frame=frame, at_m=STOP_SETBACK_M - 1.0 - 0.5 * CROSSING_DEPTH_M, window_s=window)
        for frame in junction.frames
        for window in reds[_axis(frame.road_id.split(".")[1])]
        if window[1] - window[0] > 6.0
    ]
    return RoadPlan(
        kind=kind,
        pieces=(junction,),
        lines=(),
        areas=(),
        entries=entries,
        crosswalks=tuple(crosswalks),
        ego_start_m=50.0,
        ego_cruise_mps=cruise_mps,
        duration_s=duration_s,
    )


def _axis(arm: str) -> str:
    return "main" if arm in ("east", "west") else "side"


def _signal(rng: np.random.Generator, duration_s: float) -> dict[str, list[tuple[float, float]]]:
    """Draw when each axis has red; a side that is not red has green, with two seconds for clearing."""
    now_s, turn = -float(rng.uniform(0.0, 12.0)), int(rng.integers(2))
    reds: dict[str, list[tuple[float, float]]] = {"main": [], "side": []}
    while now_s < duration_s:
        phase_s = float(rng.uniform(9.0, 16.0))
        reds["main" if turn else "side"].append((now_s, now_s + phase_s + 2.0))
        now_s, turn = now_s + phase_s, 1 - turn
    return reds


def _junction_entries(
    junction: RoadPiece,
    sections: dict[str, CrossSection],
    reds: dict[str, list[tuple[float, float]]],
    *,
    ego: tuple[str, int, str],
) -> tuple[Entry, ...]:
    """Return one entry per incoming lane, the ego's first with its own way first, then the outgoing lanes."""
    lanes = {lane.lane_id: lane for lane in junction.lanes}
    ego_arm, ego_number, goal = ego
    entries: dict[str, Entry] = {}
    for lane_id, lane in lanes.items():
        if ".in" not in lane_id:
            continue
        _, arm, number = lane_id.replace(".in", ".").split(".")
        ways = [name for name in lanes if f".{arm}{number}_to_" in name]
        is_ego = (arm, int(number)) == (ego_arm, ego_number)
        ways.sort()
        if is_ego:
            ways.sort(key=lambda name: f"_to_{goal}" not in name)
        paths = []
        for way in ways:
            target, out_number = way.split("_to_")[1][:-1], way[-1]
            paths.append(lane_path([lane, lanes[way], lanes[f"junction.{target}.out{out_number}"]]))
        if not paths:
            continue
        line_m = make_path(lane.centerline_world_m[:, :2]).length_m - STOP_SETBACK_M - 0.4
        stops = tuple(Stop(at_m=line_m, from_s=begin, to_s=end) for begin, end in reds[_axis(arm)])
        entries[lane_id] = Entry(paths=tuple(paths), stops=stops, is_outer=int(number) == sections[arm].lanes_backward)
    first = f"junction.{ego_arm}.in{ego_number}"
    leaving = [Entry(paths=(lane_path([lane]),), is_outer=False) for name, lane in lanes.items() if ".out" in name]
    return (entries[first], *(entry for name, entry in entries.items() if name != first), *leaving)


def _plan_roundabout(rng: np.random.Generator, heading_rad: float, duration_s: float, style: RoadStyle) -> RoadPlan:
    section = draw_section(rng, most_lanes=1, style=style)
    names = ["east", "north", "west", "south"]
    cruise_mps = float(rng.uniform(5.0, 8.5))
    approach_m = float(rng.uniform(20.0, 60.0))
    goal = str(rng.choice(["east", "north", "south"]))
    lengths_m = dict.fromkeys(names, 90.0)
    lengths_m["west"] = approach_m + 55.0
    lengths_m[goal] = max(90.0, cruise_mps * duration_s - approach_m - 10.0)
    sections = dict.fromkeys(names, section)
    junction = build_roundabout(
        "junction",
        arms=sections,
        heading_rad=heading_rad,
        arm_length_m=lengths_m,
        ring_radius_m=float(rng.uniform(12.0, 17.0)),
        ring_width_m=float(rng.uniform(5.5, 7.0)),
        crossings=tuple(name for name in names if rng.random() < min(0.6, style.crossing_chance)),
    )
    entries = _junction_entries(junction, sections, {"main": [], "side": []}, ego=("west", 1, goal))
    return RoadPlan(
        kind="roundabout",
        pieces=(junction,),
        lines=(),
        areas=(),
        entries=entries,
        crosswalks=(),
        ego_start_m=50.0,
        ego_cruise_mps=cruise_mps,
        duration_s=duration_s,
    )
