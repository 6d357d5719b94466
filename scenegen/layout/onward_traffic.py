"""Everybody moves on together, step by step: vehicles by the Intelligent Driver Model, people on foot round them.

A vehicle minds what stands in its strip of road, who drives there ahead of it, who has the right of way where paths
cross or join, and who is about to walk into its way and could still be stopped for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from scenegen.layout.corridor import Found, outline_points, placed
from scenegen.layout.driving import FOOT_GAP_M, Driving, acceleration_of, reach_m
from scenegen.layout.footing import Footing
from scenegen.layout.onward import EGO, Onward, Vehicle
from scenegen.layout.overlap import ego_as_agent
from scenegen.layout.right_of_way import Conflict, Demand, find_conflicts
from scenegen.layout.walking import LOOK_S, Bodies, Walkers, standing_bodies
from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.taxonomy import AgentCategory

LONGEST_STEP_S = 0.1
FIRMEST_FOR_WALKERS_MPS2 = 5.0
FOOT_LOOK_S = np.arange(0.0, 3.6, 0.4)
MANOEUVRING_MPS = 8.0
"""Who is on no lane and faster than this has driven off the map, not over a car park."""
ROAD_KINDS = ("drivable", "parking", "crossing")


class Trace(NamedTuple):
    """Reference point, heading, velocity of somebody at every added step."""

    position_m: Float64[np.ndarray, "S 2"]
    heading_rad: Float64[np.ndarray, " S"]
    velocity_mps: Float64[np.ndarray, "S 2"]


def drive_on(recorded: Layout, onward: Onward, *, extra: int, rate_hz: float) -> dict[int, Trace]:
    """Move everybody who goes on for `extra` steps after the last of a layout; by index of agent, EGO for the ego."""
    return _Scene(recorded, onward, extra / rate_hz).run(extra, rate_hz)


class _Scene:
    """All who go on, and what stands around them."""

    def __init__(self, recorded: Layout, onward: Onward, extra_s: float) -> None:
        boxes = [recorded.agents[idx] for idx in onward.standing]
        if onward.ego_stands:
            boxes.append(ego_as_agent(recorded.ego))
        standing_m = [_outline_of(box) for box in boxes]
        self._driving = {
            vehicle.idx: Driving(vehicle, standing_m, _end_of_road(recorded, vehicle)) for vehicle in onward.vehicles
        }
        self._conflicts: list[Conflict] = find_conflicts(
            {idx: who.corridor for idx, who in self._driving.items()},
            {idx: float(who.vehicle.size_lwh_m[1]) for idx, who in self._driving.items()},
            {idx: who.progress for idx, who in self._driving.items()},
        )
        self._order = list(self._driving)
        self._around_m = np.array(
            [0.5 * float(np.linalg.norm(who.vehicle.size_lwh_m[:2])) for who in self._driving.values()]
        )
        self._walker_idx = [walker.idx for walker in onward.walkers]
        self._walkers = _walkers_of(recorded, onward, boxes, extra_s)

    def run(self, extra: int, rate_hz: float) -> dict[int, Trace]:
        substeps = max(1, int(np.ceil(1.0 / (rate_hz * LONGEST_STEP_S) - 1e-9)))
        step_s = 1.0 / (rate_hz * substeps)
        way_m = {idx: np.zeros(extra) for idx in self._driving}
        speed_mps = {idx: np.zeros(extra) for idx in self._driving}
        people = np.zeros((extra, len(self._walkers), 5))
        for k in range(extra * substeps):
            self._step(k * step_s, step_s)
            if (k + 1) % substeps == 0:
                step = (k + 1) // substeps - 1
                for idx, who in self._driving.items():
                    way_m[idx][step], speed_mps[idx][step] = who.s_m, who.speed_mps
                people[step] = np.column_stack(
                    [self._walkers.position_m, self._walkers.velocity_mps, self._walkers.heading_rad]
                )
        traces = {idx: _trace(who.vehicle, way_m[idx], speed_mps[idx]) for idx, who in self._driving.items()}
        for column, idx in enumerate(self._walker_idx):
            traces[idx] = Trace(people[:, column, :2], people[:, column, 4], people[:, column, 2:4])
        return traces

    def _step(self, now_s: float, step_s: float) -> None:
        outlines_m = {idx: who.outline_now_m() for idx, who in self._driving.items()}
        self._centers_m = np.array([outlines_m[idx].mean(axis=0) for idx in self._order]).reshape(-1, 2)
        velocities_mps = {idx: who.velocity_now_mps() for idx, who in self._driving.items()}
        state = {idx: who.progress for idx, who in self._driving.items()}
        demands: dict[int, list[Demand]] = {idx: [] for idx in self._driving}
        for conflict in self._conflicts:
            yielding = conflict.update(state, step_s)
            if yielding is not None:
                demands[yielding[0]].append(yielding[1])
        for idx, who in self._driving.items():
            if now_s < who.vehicle.waits_s:
                who.change_mps2 = 0.0
                continue
            leader = self._leader(idx, who, outlines_m, velocities_mps)
            who.change_mps2 = acceleration_of(who, leader, demands[idx], self._on_foot(who))
        self._walkers.step(step_s, self._bodies())
        for who in self._driving.values():
            if now_s >= who.vehicle.waits_s:
                who.move(step_s)

    def _leader(
        self,
        idx: int,
        who: Driving,
        outlines_m: dict[int, Float64[np.ndarray, "K 2"]],
        velocities_mps: dict[int, Float64[np.ndarray, "2"]],
    ) -> Found | None:
        """Return the nearest moving thing in the strip: a vehicle, or somebody on foot."""
        front_m = who.s_m + who.to_front_m
        to_m = front_m + reach_m(who.speed_mps)
        near = who.corridor.near(self._centers_m, self._around_m, from_m=front_m - 6.0, to_m=to_m)
        best: Found | None = None
        for other in (self._order[row] for row in near):
            if other == idx:
                continue
            found = who.corridor.first_of(outlines_m[other], velocities_mps[other], front_m=front_m, to_m=to_m)
            if found is not None and (best is None or found.at_m < best.at_m):
                best = found
        return best

    def _on_foot(self, who: Driving) -> Found | None:
        """Return the nearest place where somebody on foot is, or will be before the vehicle is past."""
        walkers = self._walkers
        if not len(walkers):
            return None
        front_m = who.s_m + who.to_front_m
        own_m = who.vehicle.path.at(np.array([front_m])).position_m[0]
        near = np.flatnonzero(np.abs(walkers.position_m - own_m).max(axis=1) < 40.0)
        if not len(near):
            return None
        ahead_m = walkers.position_m[near, None, :] + FOOT_LOOK_S[None, :, None] * walkers.velocity_mps[near, None, :]
        at_m, inside, _ = who.corridor.places(ahead_m.reshape(-1, 2), from_m=front_m - 1.0, to_m=front_m + 45.0)
        at_m, inside = at_m.reshape(len(near), -1), inside.reshape(len(near), -1)
        inside &= at_m > front_m - 0.2
        speed_mps = max(who.speed_mps, 0.5)
        passed_s = (at_m - front_m + float(who.vehicle.size_lwh_m[0])) / speed_mps
        room_m = at_m - front_m - FOOT_GAP_M
        can_stop = who.speed_mps**2 < 2.0 * FIRMEST_FOR_WALKERS_MPS2 * np.maximum(room_m, 0.05)
        is_now = FOOT_LOOK_S == 0.0
        minds = inside & (is_now | (can_stop & (passed_s > FOOT_LOOK_S - 0.5)))
        if not minds.any():
            return None
        return Found(float(np.where(minds, at_m, np.inf).min()), 0.0)

    def _bodies(self) -> Bodies:
        """Return where the vehicles will be, for those on foot."""
        count = len(self._driving)
        center_m, heading_rad = np.zeros((count, len(LOOK_S), 2)), np.zeros((count, len(LOOK_S)))
        now_m, now_rad = np.zeros((count, 2)), np.zeros(count)
        half_m, radius_m = np.zeros(count), np.zeros(count)
        for row, who in enumerate(self._driving.values()):
            places_m = np.concatenate([[who.s_m], who.places_ahead_m(LOOK_S)])
            at_m, at_rad = who.center_m(places_m)
            now_m[row], now_rad[row] = at_m[0], at_rad[0]
            center_m[row], heading_rad[row] = at_m[1:], at_rad[1:]
            radius_m[row] = 0.5 * float(who.vehicle.size_lwh_m[1])
            half_m[row] = max(0.5 * float(who.vehicle.size_lwh_m[0]) - 0.6 * radius_m[row], 0.0)
        return Bodies(
            center_m=center_m,
            axis=np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=-1),
            half_m=half_m,
            radius_m=radius_m,
            now_m=now_m,
            now_axis=np.stack([np.cos(now_rad), np.sin(now_rad)], axis=-1),
        )


def _trace(vehicle: Vehicle, way_m: Float64[np.ndarray, " S"], speed_mps: Float64[np.ndarray, " S"]) -> Trace:
    at, course_rad = vehicle.pose(way_m), vehicle.path.at(way_m).heading_rad
    direction = np.stack([np.cos(course_rad), np.sin(course_rad)], axis=1)
    return Trace(at.position_m, at.heading_rad, speed_mps[:, None] * direction)


def _outline_of(box: AgentTrack) -> Float64[np.ndarray, "K 2"]:
    return placed(outline_points(box.size_lwh_m), box.center_world_m[-1, :2], float(box.heading_rad[-1]))


def _end_of_road(recorded: Layout, vehicle: Vehicle) -> float:
    """Return where the road ends ahead of a vehicle that is on no lane; infinite where that is not known."""
    from shapely import Polygon, contains_xy, union_all

    areas = [area for kind in ROAD_KINDS for area in recorded.road_map.areas_of(kind)]
    if vehicle.lane_m > 0.0 or vehicle.idx == EGO or vehicle.speed_mps > MANOEUVRING_MPS or not areas:
        return np.inf
    road = union_all([Polygon(area.polygon_world_m, area.holes_world_m).buffer(0.0) for area in areas])
    points_m = vehicle.path.points_m
    is_road = contains_xy(road, points_m[:, 0], points_m[:, 1])
    if not is_road[0] or is_road.all():
        return np.inf
    return float(vehicle.path.s_m[int(np.argmin(is_road))])


def _walkers_of(recorded: Layout, onward: Onward, boxes: Sequence[AgentTrack], extra_s: float) -> Walkers:
    agents = [recorded.agents[walker.idx] for walker in onward.walkers]
    position_m = np.array([agent.center_world_m[-1, :2] for agent in agents]).reshape(-1, 2)
    velocity_mps = np.array([walker.velocity_mps for walker in onward.walkers]).reshape(-1, 2)
    radius_m = np.array([_radius_m(agent) for agent in agents])
    reach_m = np.linalg.norm(velocity_mps, axis=1, keepdims=True) * extra_s + 5.0
    low_m = (position_m - reach_m).min(axis=0) if agents else np.zeros(2)
    high_m = (position_m + reach_m).max(axis=0) if agents else np.zeros(2)
    widened = [_widened(box, 0.35) for box in boxes]
    return Walkers(
        position_m,
        velocity_mps,
        np.array([float(agent.heading_rad[-1]) for agent in agents]),
        radius_m,
        Footing(recorded.road_map, widened, low_m=low_m, high_m=high_m),
        standing_bodies(
            np.array([box.center_world_m[-1, :2] for box in boxes]).reshape(-1, 2),
            np.array([float(box.heading_rad[-1]) for box in boxes]),
            np.array([box.size_lwh_m[:2] for box in boxes]).reshape(-1, 2),
        ),
    )


def _radius_m(agent: AgentTrack) -> float:
    return float(np.clip(0.5 * np.linalg.norm(agent.size_lwh_m[:2]), 0.25, 0.8))


def _widened(box: AgentTrack, by_m: float) -> Float64[np.ndarray, "4 2"]:
    half_m = 0.5 * box.size_lwh_m[:2] + (by_m if box.category is not AgentCategory.PEDESTRIAN else 0.1)
    corners = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]) * half_m
    return placed(corners, box.center_world_m[-1, :2], float(box.heading_rad[-1]))
