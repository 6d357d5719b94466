"""What a template gives: the ego's way and motion, who plays in it, and who has to wait elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M, EGO_SIZE_LWH_M, Stop, Travel, drive
from scenegen.layout.paths import Path, make_path
from scenegen.layout.procedural_roads import Crosswalk, Entry, RoadPlan, nearest_s_m
from scenegen.types.layout import AgentTrack

FRONT_M = EGO_CENTER_FROM_AXLE_M + 0.5 * EGO_SIZE_LWH_M[0]
"""From the ego's rear axle to its front."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """A staged event.

    Attributes:
        plan: the road, with the ego's changed way and the stops of all lanes that wait for the event.
        travel: the ego's motion along `plan.entries[0].paths[0]`.
        tracks: who plays; the first is what the event is named after.
        words: for the prompt.
    """

    plan: RoadPlan
    travel: Travel
    tracks: tuple[AgentTrack, ...]
    words: str


class Site:
    """A drawn road with the ego's undisturbed drive along it: where and when something can happen."""

    def __init__(self, plan: RoadPlan, times_s: Float64[np.ndarray, " T"], rng: np.random.Generator) -> None:
        self.plan, self.times_s, self.rng = plan, times_s, rng
        self.entry = plan.entries[0]
        self.path = self.entry.paths[0]
        self.frame = plan.frames[0]
        self.section = self.frame.section
        self.free = self.drive(self.path)
        middle = self.frame.path.at(np.array([0.5 * self.frame.path.length_m]))
        normal = np.array([-np.sin(middle.heading_rad[0]), np.cos(middle.heading_rad[0])])
        beside_m = self.path.at(np.array([nearest_s_m(self.path, middle.position_m[0])])).position_m[0]
        self.lane_left_m = float((beside_m - middle.position_m[0]) @ normal)
        """Sideways offset of the ego's lane on its road."""

    def drive(self, path: Path, *, stops: Sequence[Stop] = (), speeds: Sequence[tuple[float, float]] = ()) -> Travel:
        """Drive the ego along a path; stops are for its front."""
        both = [*self.entry.stops, *stops]
        return drive(
            path,
            self.times_s,
            start_m=self.plan.ego_start_m,
            cruise_mps=self.plan.ego_cruise_mps,
            stops=[Stop(at_m=stop.at_m - FRONT_M, from_s=stop.from_s, to_s=stop.to_s) for stop in both],
            speeds=speeds,
        )

    def draw_place(self, earliest_s: float, latest_s: float) -> float | None:
        """Draw where along the ego's path its front is at a drawn time; None near a crossing or too far along."""
        if self.times_s[-1] < earliest_s + 4.0:
            return None
        moment_s = float(self.rng.uniform(earliest_s, min(latest_s, float(self.times_s[-1]) - 3.0)))
        place_m = float(np.interp(moment_s, self.times_s, self.free.s_m)) + FRONT_M
        crossings_m = [nearest_s_m(self.path, walk.frame.path.at(np.array([walk.at_m])).position_m[0])
                       for walk in self.plan.crosswalks]  # fmt: skip
        if any(abs(place_m - at_m) < 30.0 for at_m in crossings_m):
            return None
        return place_m if place_m < self.path.length_m - 45.0 else None

    def time_at(self, front_m: float) -> float:
        """Return when the front of the undisturbed ego is at a place of its path."""
        return float(np.interp(front_m - FRONT_M, self.free.s_m, self.times_s))

    def brake_time(self, line_m: float, braking_mps2: float) -> float:
        """Return when the undisturbed ego has to begin to brake, to stand with its front at a line."""
        now_s = self.time_at(line_m)
        for _ in range(8):
            speed_mps = float(np.interp(now_s, self.times_s, self.free.speed_mps))
            now_s = self.time_at(line_m - speed_mps**2 / (2.0 * braking_mps2))
        return now_s

    def on_road(self, place_m: float) -> float:
        """Return how far along the road, not the ego's path, a place is."""
        return nearest_s_m(self.frame.path, self.path.at(np.array([place_m])).position_m[0])

    def at(self, road_m: float, left_m: float) -> Float64[np.ndarray, "2"]:
        """Return the world position of a place of the road, `left_m` to the left of its middle."""
        at = self.frame.path.at(np.array([road_m]))
        normal = np.array([-np.sin(at.heading_rad[0]), np.cos(at.heading_rad[0])])
        return np.asarray(at.position_m[0] + left_m * normal)

    def heading_rad(self, road_m: float) -> float:
        """Return the direction of the road at a place."""
        return float(self.frame.path.at(np.array([road_m])).heading_rad[0])

    def across(self, road_m: float, from_left_m: float, to_left_m: float, *, onward_m: float = 0.0) -> Path:
        """Return a path across the road, and then `onward_m` along it (negative: back)."""
        points_m = [self.at(road_m, from_left_m), self.at(road_m, to_left_m)]
        if onward_m:
            points_m.append(self.at(road_m + onward_m, to_left_m))
        return make_path(np.array(points_m))

    def hold_others(self, road_m: float, *, from_s: float, to_s: float, clear_m: float = 3.0) -> tuple[Entry, ...]:
        """Return all entries, where those but the ego's wait before a place of the road between two times."""
        center_m = self.at(road_m, 0.0)
        entries = [self.entry]
        for entry in self.plan.entries[1:]:
            line_m = nearest_s_m(entry.paths[0], center_m) - clear_m
            stop = Stop(at_m=line_m, from_s=max(from_s, 0.0), to_s=to_s)
            entries.append(replace(entry, stops=(*entry.stops, stop)))
        return tuple(entries)

    def event(
        self,
        words: str,
        tracks: Sequence[AgentTrack],
        *,
        path: Path | None = None,
        stops: Sequence[Stop] = (),
        speeds: Sequence[tuple[float, float]] = (),
        others: Sequence[Entry] | None = None,
        crosswalks: Sequence[Crosswalk] = (),
    ) -> Event:
        """Put an event together: the ego drives `path` with the stops and speeds, others as in `others`."""
        way = self.path if path is None else path
        own = replace(self.entry, paths=(way, *self.entry.paths[1:]), stops=(*self.entry.stops, *stops))
        rest = (self.plan.entries if others is None else tuple(others))[1:]
        plan = replace(self.plan, entries=(own, *rest), crosswalks=(*self.plan.crosswalks, *crosswalks))
        travel = self.drive(way, stops=stops, speeds=speeds)
        return Event(plan=plan, travel=travel, tracks=tuple(tracks), words=words)


def move_aside(path: Path, *, left_m: float, from_m: float, to_m: float, ease_m: float) -> Path:
    """Return a path moved sideways between two places, with smooth ways over and back of `ease_m` outside of them."""
    rising = np.clip((path.s_m - (from_m - ease_m)) / ease_m, 0.0, 1.0)
    falling = np.clip(((to_m + ease_m) - path.s_m) / ease_m, 0.0, 1.0)
    part = np.minimum(rising, falling)
    offset_m = left_m * (6.0 * part**5 - 15.0 * part**4 + 10.0 * part**3)
    normal = np.stack([-np.sin(path.heading_rad), np.cos(path.heading_rad)], axis=1)
    return make_path(path.points_m + offset_m[:, None] * normal)
