"""Random traffic on a road plan: vehicles that keep their distance, cyclists, parked cars, people, road works.

Everything that is added is first tested against all that is there; what would overlap is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.layout.motion import (
    DEFAULT_SIZE_LWH_M,
    EGO_CENTER_FROM_AXLE_M,
    EGO_SIZE_LWH_M,
    Stop,
    Travel,
    drive,
    ego_along,
    follow_leader,
    standing_track,
    track_along,
)
from scenegen.layout.overlap import Crowd, ego_as_agent
from scenegen.layout.paths import Path, lengths_of, make_path, offset_polyline, polyline_length
from scenegen.layout.procedural_draws import Rate, draw_size
from scenegen.layout.procedural_roads import Crosswalk, Entry, RoadPlan
from scenegen.layout.roads import RoadFrame
from scenegen.layout.traffic_mix import DRAWN_MIX, TrafficMix
from scenegen.types.layout import AgentTrack, EgoTrack
from scenegen.types.taxonomy import AgentCategory

FAR_VEHICLE_M = 95.0
FAR_PERSON_M = 50.0
"""Agents that never come this near to the ego are left out: no camera would show them."""


class Traffic:
    """A scene being filled. Keeps what was accepted, in order, and the ego's track."""

    def __init__(
        self,
        plan: RoadPlan,
        times_s: Float64[np.ndarray, " T"],
        rng: np.random.Generator,
        *,
        ego_travel: Travel | None = None,
        mix: TrafficMix = DRAWN_MIX,
    ) -> None:
        """Begin with the ego: drawn with those before it, or with a motion that is given."""
        self._mix, self._rate = mix, Rate(times_s)
        self._plan, self._times_s, self._rng = plan, times_s, rng
        self._crowd = Crowd(len(times_s))
        self._numbers: dict[str, int] = {}
        self._density = mix.density(float(rng.uniform(0.35, 1.0)))
        self.tracks: list[AgentTrack] = []
        if ego_travel is None:
            self.ego = self._fill_ego_lane(plan.entries[0])
        else:
            self.ego = self._start_ego(plan.entries[0].paths[0], ego_travel)
            self._ego_travel = ego_travel

    def stage(self, tracks: Sequence[AgentTrack]) -> bool:
        """Take in those who play in an event, then fill the ego's lane behind it; say whether all had room."""
        for track in tracks:
            self._numbers[track.category.label] = self._numbers.get(track.category.label, 0)
            if not self._accept(track, margin_m=0.1, reach_m=FAR_VEHICLE_M):
                return False
        self._fill_behind(self._plan.entries[0], self._ego_travel)
        return True

    def fill(self) -> None:
        """Add everybody, the rarest and most constrained first."""
        for walk in self._plan.crosswalks:
            self._add_crossing_people(walk)
        for entry in self._plan.entries[1:]:
            self._fill_lane(entry)
        self._add_cyclists()
        if self._rng.random() < 0.3:
            self._add_road_works()
        for frame in self._plan.frames:
            self._add_parked(frame)
        self._add_sidewalk_people()

    # lanes -----------------------------------------------------------------------------------------------

    def _fill_ego_lane(self, entry: Entry) -> EgoTrack:
        """Draw the vehicles ahead of the ego, the ego behind the last of them, and those behind it."""
        plan, rng = self._plan, self._rng
        path = entry.paths[0]
        leader: tuple[Travel, float] | None = None
        ahead = []
        if rng.random() < 0.6:
            gap_m = float(rng.uniform(11.0, 38.0))
            starts_m = [plan.ego_start_m + gap_m + float(rng.uniform(9.0, 30.0)), plan.ego_start_m + gap_m]
            for start_m in starts_m[int(rng.random() < 0.5) :]:
                leader, track = self._drive_one(entry, path, start_m, leader, cruise_mps=plan.ego_cruise_mps)
                ahead.append(track)
        front_m = EGO_CENTER_FROM_AXLE_M + 0.5 * EGO_SIZE_LWH_M[0]
        free = drive(
            path,
            self._times_s,
            start_m=plan.ego_start_m,
            cruise_mps=plan.ego_cruise_mps,
            stops=[Stop(at_m=stop.at_m - front_m, from_s=stop.from_s, to_s=stop.to_s) for stop in entry.stops],
        )
        if leader is not None:
            free = follow_leader(free, leader[0], self._times_s, spacing_m=0.5 * leader[1] + front_m + 2.5)
        ego = self._start_ego(path, free)
        for track in ahead:
            self._accept(track, margin_m=0.1, reach_m=FAR_VEHICLE_M)
        self._fill_behind(entry, free)
        return ego

    def _start_ego(self, path: Path, travel: Travel) -> EgoTrack:
        ego = ego_along(path, travel)
        self._crowd.add(ego_as_agent(ego))
        self._ego_xy_m = ego.position_world_m[:, :2]
        return ego

    def _fill_behind(self, entry: Entry, ego_travel: Travel) -> None:
        """Draw those who follow the ego."""
        plan, rng, path = self._plan, self._rng, entry.paths[0]
        center = Travel(ego_travel.s_m + EGO_CENTER_FROM_AXLE_M, ego_travel.speed_mps)
        behind = (center, EGO_SIZE_LWH_M[0])
        start_m = plan.ego_start_m
        for _ in range(int(rng.integers(0, 4))):
            start_m -= float(rng.uniform(13.0, 40.0))
            behind, track = self._drive_one(entry, path, start_m, behind, cruise_mps=plan.ego_cruise_mps)
            self._accept(track, margin_m=0.1, reach_m=FAR_VEHICLE_M)

    def _fill_lane(self, entry: Entry) -> None:
        """Fill a lane from its far end backwards, each vehicle keeping behind the one before."""
        rng = self._rng
        cruise_mps = self._plan.ego_cruise_mps * float(rng.uniform(0.8, 1.3))
        start_m = max(path.length_m for path in entry.paths) * float(rng.uniform(0.6, 1.0))
        leader: tuple[Travel, float] | None = None
        while start_m > -cruise_mps * 15.0:
            path = entry.paths[int(rng.integers(len(entry.paths)))]
            following, track = self._drive_one(entry, path, start_m, leader, cruise_mps=cruise_mps)
            if self._accept(track, margin_m=0.15, reach_m=FAR_VEHICLE_M):
                leader = following
            start_m -= 9.0 + float(rng.exponential(26.0 / self._density))

    def _drive_one(
        self, entry: Entry, path: Path, start_m: float, leader: tuple[Travel, float] | None, *, cruise_mps: float
    ) -> tuple[tuple[Travel, float], AgentTrack]:
        """Drive one random vehicle; return its motion and length for who follows, and its track."""
        rng = self._rng
        shares = self._mix.moving
        category = AgentCategory(int(rng.choice([c.value for c in shares], p=list(shares.values()))))
        size_lwh_m = draw_size(rng, category)
        half_m = 0.5 * size_lwh_m[0]
        travel = drive(
            path,
            self._times_s,
            start_m=start_m,
            cruise_mps=cruise_mps * float(rng.uniform(0.92, 1.1)),
            stops=[Stop(at_m=stop.at_m - half_m, from_s=stop.from_s, to_s=stop.to_s) for stop in entry.stops],
        )
        if leader is not None:
            spacing_m = half_m + 0.5 * leader[1] + float(rng.uniform(1.8, 3.5))
            travel = follow_leader(travel, leader[0], self._times_s, spacing_m=spacing_m)
        track = track_along(
            path,
            travel,
            agent_id=self._name(category),
            category=category,
            size_lwh_m=size_lwh_m,
            valid=(travel.s_m >= 0.0) & (travel.s_m <= path.length_m),
        )
        return (travel, size_lwh_m[0]), track

    def _add_cyclists(self) -> None:
        """Let cyclists ride at the right edge of outer lanes, mostly near the ego's way."""
        rng = self._rng
        outer = [entry for entry in self._plan.entries if entry.is_outer]
        for _ in range(self._mix.num_cyclists(int(rng.integers(*self._plan.num_cyclists)), self._way_km())):
            entry = outer[int(rng.integers(len(outer)))] if outer and rng.random() < 0.6 else self._plan.entries[0]
            path = entry.paths[int(rng.integers(len(entry.paths)))]
            edge = make_path(offset_polyline(path.points_m, -float(rng.uniform(1.15, 1.4))))
            travel = drive(
                edge,
                self._times_s,
                start_m=float(rng.uniform(0.0, edge.length_m * 0.8)),
                cruise_mps=float(rng.uniform(2.8, 6.5)),
                stops=[Stop(at_m=s.at_m - 1.0, from_s=s.from_s, to_s=s.to_s) for s in entry.stops],
            )
            track = track_along(
                edge,
                travel,
                agent_id=self._name(AgentCategory.BICYCLE),
                category=AgentCategory.BICYCLE,
                size_lwh_m=draw_size(rng, AgentCategory.BICYCLE),
                valid=travel.s_m <= edge.length_m,
            )
            self._accept(track, margin_m=0.1, reach_m=FAR_VEHICLE_M)

    # standing things -------------------------------------------------------------------------------------

    def _add_parked(self, frame: RoadFrame) -> None:
        """Park vehicles in the bays along a road, clear of crossings."""
        rng, section = self._rng, frame.section
        fill = self._mix.parked(float(rng.uniform(0.35, 0.95)))
        crossings_m = [walk.at_m for walk in self._plan.crosswalks if walk.frame is frame]
        begin_m = 17.0 if "." in frame.road_id else 5.0
        for side, width_m in ((1.0, section.parking_left_m), (-1.0, section.parking_right_m)):
            if width_m == 0.0:
                continue
            s_m = begin_m + float(rng.uniform(0.0, 5.0))
            while s_m < frame.path.length_m - 4.0:
                category = AgentCategory.CAR
                if rng.random() < 0.08:
                    category = AgentCategory.TRUCK if rng.random() < 0.6 else AgentCategory.MOTORCYCLE
                size_lwh_m = draw_size(rng, category)
                if category is AgentCategory.TRUCK:
                    size_lwh_m = (6.2, min(2.2, width_m), 2.7)
                half_m = 0.5 * size_lwh_m[0]
                if rng.random() < fill and all(abs(s_m + half_m - at_m) > 4.5 + half_m for at_m in crossings_m):
                    left_m = side * (section.half_width_m + 0.5 * width_m + float(rng.uniform(-0.08, 0.12)))
                    self._stand(frame, s_m + half_m, left_m, category, size_lwh_m, reverse=side > 0.0, wobble_rad=0.03)
                s_m += size_lwh_m[0] + float(rng.uniform(0.7, 1.9))

    def _add_road_works(self) -> None:
        """Close a piece of the road's edge with cones, barriers and a machine."""
        rng = self._rng
        frame, at_m, sense, _ = self._place_near_ego()
        section = frame.section
        length_m = float(rng.uniform(10.0, 26.0))
        begin_m = at_m + sense * float(rng.uniform(8.0, 25.0)) - (length_m if sense < 0.0 else 0.0)
        edge_m = section.kerb_right_m if sense > 0.0 else section.kerb_left_m
        cone_m = draw_size(rng, AgentCategory.TRAFFIC_CONE)
        for s_m in np.arange(begin_m, begin_m + length_m, float(rng.uniform(1.8, 3.0))):
            self._stand(frame, float(s_m), edge_m + 0.35 * sense, AgentCategory.TRAFFIC_CONE, cone_m)
        for s_m in (begin_m - 1.0, begin_m + length_m + 1.0):
            self._stand(
                frame, s_m, edge_m - 0.5 * sense, AgentCategory.BARRIER, DEFAULT_SIZE_LWH_M[AgentCategory.BARRIER]
            )
        if section.sidewalk_m > 2.6 and rng.random() < 0.7:
            self._stand(
                frame,
                begin_m + 0.5 * length_m,
                edge_m - 1.6 * sense,
                AgentCategory.CONSTRUCTION_VEHICLE,
                DEFAULT_SIZE_LWH_M[AgentCategory.CONSTRUCTION_VEHICLE],
            )
        for _ in range(int(rng.integers(1, 4))):
            self._stand(
                frame,
                begin_m + float(rng.random()) * length_m,
                edge_m - sense * float(rng.uniform(0.6, 1.6)),
                AgentCategory.PEDESTRIAN,
                draw_size(rng, AgentCategory.PEDESTRIAN),
                wobble_rad=3.0,
            )

    def _stand(
        self,
        frame: RoadFrame,
        at_m: float,
        left_m: float,
        category: AgentCategory,
        size_lwh_m: Sequence[float],
        *,
        reverse: bool = False,
        wobble_rad: float = 0.0,
    ) -> None:
        at = frame.path.at(np.array([at_m]))
        heading_rad = float(at.heading_rad[0])
        position_m = at.position_m[0] + left_m * np.array([-np.sin(heading_rad), np.cos(heading_rad)])
        turn_rad = (np.pi if reverse else 0.0) + float(self._rng.uniform(-wobble_rad, wobble_rad))
        track = standing_track(
            position_m,
            heading_rad + turn_rad,
            num_steps=len(self._times_s),
            agent_id=self._name(category),
            category=category,
            size_lwh_m=size_lwh_m,
        )
        self._accept(track, margin_m=0.05, reach_m=FAR_VEHICLE_M)

    # people ----------------------------------------------------------------------------------------------

    def _add_crossing_people(self, walk: Crosswalk) -> None:
        """Let people wait at the kerb, cross while traffic waits, and walk on along the other side."""
        rng, section = self._rng, walk.frame.section
        if walk.window_s is None:
            return
        begin_s, end_s = walk.window_s
        for _ in range(int(rng.integers(1, 7))):
            side = float(rng.choice([-1.0, 1.0]))
            from_m = section.kerb_left_m + 0.8 if side > 0.0 else section.kerb_right_m - 0.8
            to_m = section.kerb_right_m - 1.0 if side > 0.0 else section.kerb_left_m + 1.0
            at_m = walk.at_m + float(rng.uniform(-1.2, 1.2))
            speed_mps = float(rng.uniform(1.1, 1.75))
            slack_s = end_s - begin_s - 2.2 - abs(to_m - from_m) / speed_mps
            start_s = max(begin_s, 0.0) + 2.0 + float(rng.uniform(0.0, max(slack_s, 0.1)))
            onward_m = float(rng.choice([-1.0, 1.0])) * 45.0
            line = walk.frame.path.at(np.array([at_m, at_m, at_m + onward_m]))
            normal = np.stack([-np.sin(line.heading_rad), np.cos(line.heading_rad)], axis=1)
            path = make_path(line.position_m + np.array([[from_m], [to_m], [to_m]]) * normal)
            s_m = speed_mps * np.clip(self._times_s - start_s, 0.0, None)
            self._walk(path, s_m, reach_m=FAR_PERSON_M)

    def _add_sidewalk_people(self) -> None:
        """Spread people along the sidewalks so that the ego passes near many of them."""
        rng = self._rng
        drawn = int(14 + rng.integers(0, 50) * self._density)
        for _ in range(self._mix.num_people(drawn, self._way_km())):
            frame, near_m, sense, step = self._place_near_ego()
            section = frame.section
            if section.sidewalk_m == 0.0:
                continue
            side = sense * float(rng.choice([-1.0, 1.0], p=[0.6, 0.4]))
            kerb_m = section.kerb_left_m if side > 0.0 else section.kerb_right_m
            left_m = kerb_m + side * float(rng.uniform(0.4, section.sidewalk_m - 0.35))
            speed_mps = (
                0.0 if rng.random() < 0.22 else float(rng.choice([1.0, 1.9], p=[0.94, 0.06]) * rng.uniform(0.7, 1.7))
            )
            direction = float(rng.choice([-1.0, 1.0]))
            at_m = near_m + sense * float(rng.uniform(-8.0, 26.0))
            for mate in range(1 + int(rng.random() < 0.25)):
                beside_m = left_m + side * 0.75 * mate
                s_m = at_m + direction * speed_mps * (self._times_s - self._times_s[step]) + 0.2 * mate
                self._stroll(frame, s_m, beside_m, direction)

    def _stroll(self, frame: RoadFrame, s_m: Float64[np.ndarray, " T"], left_m: float, direction: float) -> None:
        """Walk along a sidewalk; where an arm meets its junction people halt at the corner."""
        length_m = frame.path.length_m
        if "." in frame.road_id:
            s_m = np.maximum(s_m, 0.3)
        inside = (s_m >= 0.0) & (s_m <= length_m)
        line_m = offset_polyline(frame.path.points_m, left_m)
        if direction < 0.0:
            ratio, path = polyline_length(line_m) / length_m, make_path(line_m[::-1])
            s_m = length_m - s_m
        else:
            path = make_path(line_m)
            ratio = path.length_m / length_m
        self._walk(path, s_m * ratio, reach_m=FAR_PERSON_M, valid=inside)

    def _walk(
        self, path: Path, s_m: Float64[np.ndarray, " T"], *, reach_m: float, valid: Bool[np.ndarray, " T"] | None = None
    ) -> None:
        category = AgentCategory.PEDESTRIAN
        track = track_along(
            path,
            Travel(s_m, self._rate.of(s_m)),
            agent_id=self._name(category),
            category=category,
            size_lwh_m=draw_size(self._rng, category),
            valid=valid,
        )
        self._accept(track, margin_m=0.05, reach_m=reach_m)

    # bookkeeping -----------------------------------------------------------------------------------------

    def _place_near_ego(self) -> tuple[RoadFrame, float, float, int]:
        """Draw a moment; return the road nearest to the ego then, where along it, the ego's sense on it, the step."""
        step = int(self._rng.integers(len(self._times_s)))
        point_m = self._ego_xy_m[step]
        distance_m = [np.linalg.norm(frame.path.points_m - point_m, axis=1) for frame in self._plan.frames]
        nearest = int(np.argmin([d.min() for d in distance_m]))
        frame = self._plan.frames[nearest]
        idx = int(np.argmin(distance_m[nearest]))
        sense = 1.0 if np.cos(frame.path.heading_rad[idx] - self.ego.heading_rad[step]) >= 0.0 else -1.0
        return frame, float(frame.path.s_m[idx]), sense, step

    def _way_km(self) -> float:
        """Return the length of the ego's way, a hundred metres beyond its ends included: where people are put."""
        return 1e-3 * float(np.linalg.norm(np.diff(self._ego_xy_m, axis=0), axis=1).sum() + 100.0)

    def _name(self, category: AgentCategory) -> str:
        self._numbers[category.label] = self._numbers.get(category.label, 0) + 1
        return f"{category.label}_{self._numbers[category.label]}"

    def _accept(self, track: AgentTrack, *, margin_m: float, reach_m: float) -> bool:
        """Take a track in if it comes near the ego and touches nothing."""
        distance_m = lengths_of(track.center_world_m[:, :2] - self._ego_xy_m)
        if not (track.valid & (distance_m < reach_m)).any():
            return False
        if self._crowd.first_conflict(track, margin_m=margin_m) is not None:
            return False
        self._crowd.add(track)
        self.tracks.append(track)
        return True
