"""One vehicle while it drives on: where it is, what it minds, how it brakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from scenegen.layout.corridor import Corridor, Found, outline_points, placed
from scenegen.layout.idm import DRIVER, Driver, following_acceleration, free_acceleration
from scenegen.layout.onward import Vehicle
from scenegen.layout.passing import pass_standing
from scenegen.layout.right_of_way import Demand, Progress

MOST_REACH_M = 90.0
LINE_GAP_M = 0.5
"""A vehicle that yields stops this far before the shared piece."""
FOOT_GAP_M = 1.0
YIELDING = Driver(standstill_gap_m=0.8)
WALL_SLACK_M = 0.12
"""What stands is passed at a smaller distance than what moves."""
CREEP_MPS = 0.15


class Driving:
    """One vehicle while it drives."""

    def __init__(self, vehicle: Vehicle, standing_m: Sequence[Float64[np.ndarray, "K 2"]], end_m: float) -> None:
        length_m, width_m = float(vehicle.size_lwh_m[0]), float(vehicle.size_lwh_m[1])
        if not vehicle.reverses:
            path = pass_standing(vehicle.path, standing_m, width_m=width_m, length_m=length_m)
            vehicle = replace(vehicle, path=path)
        self.vehicle = vehicle
        self.corridor = Corridor(vehicle.path, length_m=length_m, width_m=width_m)
        self.to_front_m = vehicle.center_m + 0.5 * length_m
        self.to_rear_m = vehicle.center_m - 0.5 * length_m
        self.outline_m = outline_points(vehicle.size_lwh_m)
        self.s_m, self.speed_mps, self.change_mps2 = 0.0, vehicle.speed_mps, 0.0
        self.wall_m = min(end_m, self._first_wall(standing_m))

    def _first_wall(self, standing_m: Sequence[Float64[np.ndarray, "K 2"]]) -> float:
        """Return where the first standing thing begins in the strip; what is already alongside does not count."""
        first_m = np.inf
        for outline_m in standing_m:
            at_m, inside, _ = self.corridor.places(
                outline_m, from_m=0.0, to_m=float(len(self.corridor.points_m)), slack_m=WALL_SLACK_M
            )
            if inside.any():
                begin_m = float(at_m[inside].min())
                if begin_m > self.to_front_m - 0.1:
                    first_m = min(first_m, begin_m)
        return first_m

    @property
    def progress(self) -> Progress:
        """Where front and rear are, and the speed."""
        return Progress(self.s_m + self.to_front_m, self.s_m + self.to_rear_m, self.speed_mps)

    def center_m(self, s_m: Float64[np.ndarray, " S"]) -> tuple[Float64[np.ndarray, "S 2"], Float64[np.ndarray, " S"]]:
        """Return box centres and headings at places of the path."""
        at = self.vehicle.pose(s_m)
        ahead = np.stack([np.cos(at.heading_rad), np.sin(at.heading_rad)], axis=1)
        return at.position_m + self.vehicle.center_m * ahead, at.heading_rad

    def outline_now_m(self) -> Float64[np.ndarray, "K 2"]:
        """Return points on the outline of the box."""
        center_m, heading_rad = self.center_m(np.array([self.s_m]))
        return placed(self.outline_m, center_m[0], float(heading_rad[0]))

    def velocity_now_mps(self) -> Float64[np.ndarray, "2"]:
        """Return the velocity along the path."""
        heading_rad = float(self.vehicle.path.at(np.array([self.s_m])).heading_rad[0])
        return self.speed_mps * np.array([np.cos(heading_rad), np.sin(heading_rad)])

    def places_ahead_m(self, after_s: Float64[np.ndarray, " L"]) -> Float64[np.ndarray, " L"]:
        """Return where along the path the vehicle will be, if it keeps its acceleration down to standing."""
        if self.change_mps2 < -1e-6:
            after_s = np.minimum(after_s, self.speed_mps / -self.change_mps2)
        change = min(self.change_mps2, 0.0)
        return self.s_m + self.speed_mps * after_s + 0.5 * change * after_s**2

    def move(self, step_s: float) -> None:
        """Move by one step at the acceleration chosen before (ballistic update, exact where it comes to rest)."""
        if self.speed_mps < CREEP_MPS and self.change_mps2 < CREEP_MPS:
            self.s_m += 0.5 * self.speed_mps * step_s
            self.speed_mps = 0.0
            return
        after_mps = self.speed_mps + self.change_mps2 * step_s
        if after_mps < 0.0:
            self.s_m += self.speed_mps**2 / (-2.0 * self.change_mps2)
            self.speed_mps = 0.0
            return
        self.s_m += 0.5 * (self.speed_mps + after_mps) * step_s
        self.speed_mps = after_mps


def reach_m(speed_mps: float) -> float:
    """Return how far ahead a driver looks: three seconds, and what it takes to stop comfortably."""
    return min(20.0 + 3.0 * speed_mps + speed_mps**2 / (2.0 * DRIVER.braking_mps2), MOST_REACH_M)


def acceleration_of(who: Driving, leader: Found | None, demands: Sequence[Demand], on_foot: Found | None) -> float:
    """Return the smallest acceleration that anything ahead asks for."""
    front_m, speed_mps = who.s_m + who.to_front_m, who.speed_mps
    desired_mps = who.vehicle.limit_mps(who.s_m)

    def behind(gap_m: float, leader_mps: float, driver: Driver = DRIVER) -> float:
        return following_acceleration(speed_mps, desired_mps, gap_m=gap_m, leader_mps=leader_mps, driver=driver)

    choices = [free_acceleration(speed_mps, desired_mps)]
    if np.isfinite(who.wall_m):
        choices.append(behind(who.wall_m - front_m, 0.0))
    if leader is not None:
        choices.append(behind(leader.at_m - front_m, max(leader.speed_mps, 0.0)))
    if on_foot is not None:
        choices.append(behind(on_foot.at_m - FOOT_GAP_M - front_m, 0.0, YIELDING))
    for demand in demands:
        held = behind(demand.line_m - LINE_GAP_M - front_m, 0.0, YIELDING)
        if demand.gap_m is not None and demand.gap_m > 0.0:
            held = max(held, behind(demand.gap_m, demand.leader_mps))
        choices.append(held)
    return min(choices)
