"""How people and animals go on: at their last velocity, off the road, round what stands, clear of what moves.

Everybody tries straight on first, then ever larger turns to either side, and stands where no way is free for the next
two seconds. Nobody steps from a pavement onto the road except over a crossing; who is on the road walks on until off
it. Who meets a kerb keeps the new course along it; who goes round somebody comes back to the old one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from scenegen.layout.footing import Footing

LOOK_S = np.array([0.4, 0.8, 1.2, 1.6, 2.0])
TURNS_RAD = np.deg2rad([0.0, 15.0, -15.0, 30.0, -30.0, 50.0, -50.0, 70.0, -70.0, 90.0, -90.0])
SPACE_M = 0.25
"""Kept between a body and whatever moves."""
TURN_RATE_RAD_S = np.deg2rad(100.0)
ACCELERATION_MPS2, BRAKING_MPS2, HALTING_MPS2 = 1.5, 3.0, 6.0
HEADING_SETTLES_S = 0.5
STEPS_BACK_M = 0.05
"""Who is too near to somebody already may go anywhere that is not nearer by this much."""


@dataclass(kw_only=True)
class Bodies:
    """Where M moving bodies will be at the times of `LOOK_S`: capsules of a half length along an axis, and a radius."""

    center_m: Float64[np.ndarray, "M L 2"]
    axis: Float64[np.ndarray, "M L 2"]
    half_m: Float64[np.ndarray, " M"]
    radius_m: Float64[np.ndarray, " M"]
    now_m: Float64[np.ndarray, "M 2"]
    now_axis: Float64[np.ndarray, "M 2"]

    def clearance_m(self, points_m: Float64[np.ndarray, "P C L 2"]) -> Float64[np.ndarray, "P C L M"]:
        """Return the distance of points, each at its time, from the surface of every body."""
        apart_m = points_m[:, :, :, None, :] - self.center_m.transpose(1, 0, 2)[None, None]
        return _from_capsule(apart_m, self.axis.transpose(1, 0, 2)[None, None], self.half_m, self.radius_m)

    def clearance_now_m(self, points_m: Float64[np.ndarray, "P 2"]) -> Float64[np.ndarray, "P M"]:
        """Return the distance of points from the surface of every body as it is now."""
        apart_m = points_m[:, None, :] - self.now_m[None]
        return _from_capsule(apart_m, self.now_axis[None], self.half_m, self.radius_m)


def _from_capsule(
    apart_m: Float64[np.ndarray, "*A M 2"],
    axis: Float64[np.ndarray, "*B M 2"],
    half_m: Float64[np.ndarray, " M"],
    radius_m: Float64[np.ndarray, " M"],
) -> Float64[np.ndarray, "*A M"]:
    along_m = (apart_m * axis).sum(axis=-1)
    rest_m = apart_m - np.clip(along_m, -half_m, half_m)[..., None] * axis
    return np.asarray(np.sqrt((rest_m**2).sum(axis=-1)) - radius_m)


def standing_bodies(
    center_m: Float64[np.ndarray, "M 2"], heading_rad: Float64[np.ndarray, " M"], size_m: Float64[np.ndarray, "M 2"]
) -> Bodies:
    """Return capsules about as long and wide as boxes that stay where they are."""
    axis = np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=1)
    axis = np.where((size_m[:, 0] < size_m[:, 1])[:, None], np.stack([-axis[:, 1], axis[:, 0]], axis=1), axis)
    radius_m = 0.5 * size_m.min(axis=1)
    return Bodies(
        center_m=np.repeat(center_m[:, None], len(LOOK_S), axis=1),
        axis=np.repeat(axis[:, None], len(LOOK_S), axis=1),
        half_m=np.maximum(0.5 * size_m.max(axis=1) - 0.6 * radius_m, 0.0),
        radius_m=radius_m,
        now_m=center_m,
        now_axis=axis,
    )


class Walkers:
    """Everybody on foot who goes on; `position_m`, `velocity_mps` and `heading_rad` are those of now."""

    def __init__(
        self,
        position_m: Float64[np.ndarray, "P 2"],
        velocity_mps: Float64[np.ndarray, "P 2"],
        heading_rad: Float64[np.ndarray, " P"],
        radius_m: Float64[np.ndarray, " P"],
        footing: Footing,
        standing: Bodies,
    ) -> None:
        self.position_m, self.velocity_mps = position_m.copy(), velocity_mps.copy()
        self.heading_rad, self.radius_m = heading_rad.copy(), radius_m
        self._footing, self._standing = footing, standing
        self._speed_mps = np.linalg.norm(velocity_mps, axis=1)
        self._cruise_mps = self._speed_mps.copy()
        self._course_rad = np.arctan2(velocity_mps[:, 1], velocity_mps[:, 0])
        self._wish_rad = self._course_rad.copy()

    def __len__(self) -> int:
        return len(self.position_m)

    def as_bodies(self) -> Bodies:
        """Return where everybody will be who keeps the velocity of now."""
        ahead_m = self.position_m[:, None, :] + LOOK_S[None, :, None] * self.velocity_mps[:, None, :]
        axis = np.broadcast_to(np.array([1.0, 0.0]), ahead_m.shape)
        return Bodies(
            center_m=ahead_m,
            axis=axis,
            half_m=np.zeros(len(self)),
            radius_m=self.radius_m,
            now_m=self.position_m,
            now_axis=axis[:, 0],
        )

    def step(self, step_s: float, vehicles: Bodies) -> None:
        """Move everybody on by one step, each minding the footing, each other and the vehicles."""
        if not len(self):
            return
        course_rad = self._wish_rad[:, None] + TURNS_RAD
        direction = np.stack([np.cos(course_rad), np.sin(course_rad)], axis=-1)
        ahead_m = (self._cruise_mps[:, None] * LOOK_S)[:, None, :, None] * direction[:, :, None, :]
        points_m = self.position_m[:, None, None, :] + ahead_m
        no_ground = self._footing.steps_where_it_may_not(self.position_m, points_m)
        no_room = self._is_taken(points_m, vehicles)
        is_free = ~(no_ground | no_room)
        choice = np.argmax(is_free, axis=1)
        goes = is_free.any(axis=1) | self._is_in_the_way(vehicles, no_ground)
        everyone = np.arange(len(self))
        keeps = goes & no_ground[:, 0] & is_free.any(axis=1)
        self._wish_rad = np.where(keeps, course_rad[everyone, choice], self._wish_rad)
        target_rad = np.where(keeps, self._wish_rad, course_rad[everyone, choice])
        self._move(step_s, target_rad, goes, vehicles)

    def _is_taken(self, points_m: Float64[np.ndarray, "P C L 2"], vehicles: Bodies) -> Bool[np.ndarray, "P C"]:
        """Say which ways would run into somebody who moves."""
        taken = np.zeros(points_m.shape[:2], bool)
        for bodies, is_own in ((vehicles, False), (self.as_bodies(), True)):
            if not len(bodies.half_m):
                continue
            room_m = bodies.clearance_m(points_m) - self.radius_m[:, None, None, None]
            now_m = bodies.clearance_now_m(self.position_m) - self.radius_m[:, None]
            bad = room_m < np.minimum(SPACE_M, now_m - STEPS_BACK_M)[:, None, None, :]
            if is_own:
                own: Int64[np.ndarray, " P"] = np.arange(len(self))
                bad[own, :, :, own] = False
            taken |= bad.any(axis=(2, 3))
        return taken

    def _is_in_the_way(self, vehicles: Bodies, no_ground: Bool[np.ndarray, "P C"]) -> Bool[np.ndarray, " P"]:
        """Say who would be run into while standing: such a one walks on, where there is ground to."""
        if not len(vehicles.half_m):
            return np.zeros(len(self), bool)
        stays_m = np.repeat(self.position_m[:, None, None, :], len(LOOK_S), axis=2)
        room_m = vehicles.clearance_m(stays_m) - self.radius_m[:, None, None, None]
        return (room_m < SPACE_M).any(axis=(1, 2, 3)) & ~no_ground[:, 0]

    def _move(
        self, step_s: float, target_rad: Float64[np.ndarray, " P"], goes: Bool[np.ndarray, " P"], vehicles: Bodies
    ) -> None:
        turn_rad = np.arctan2(np.sin(target_rad - self._course_rad), np.cos(target_rad - self._course_rad))
        most_rad = TURN_RATE_RAD_S * step_s
        self._course_rad = self._course_rad + np.clip(turn_rad, -most_rad, most_rad)
        direction = np.stack([np.cos(self._course_rad), np.sin(self._course_rad)], axis=1)
        wished_mps = np.where(goes, self._cruise_mps, 0.0)
        change = np.clip(wished_mps - self._speed_mps, -BRAKING_MPS2 * step_s, ACCELERATION_MPS2 * step_s)
        speed_mps = self._speed_mps + change
        next_m = self.position_m + (speed_mps * step_s)[:, None] * direction
        halts = self._footing.steps_where_it_may_not(self.position_m, next_m[:, None, None, :])[:, 0]
        halts |= self._touches(next_m, vehicles, room_m=0.2)
        speed_mps = np.where(halts, np.maximum(self._speed_mps - HALTING_MPS2 * step_s, 0.0), speed_mps)
        next_m = self.position_m + (speed_mps * step_s)[:, None] * direction
        speed_mps = np.where(self._touches(next_m, vehicles, room_m=0.02), 0.0, speed_mps)
        self._speed_mps = speed_mps
        self.velocity_mps = speed_mps[:, None] * direction
        self.position_m = self.position_m + step_s * self.velocity_mps
        off_rad = np.arctan2(np.sin(self._course_rad - self.heading_rad), np.cos(self._course_rad - self.heading_rad))
        settles = (1.0 - np.exp(-step_s / HEADING_SETTLES_S)) * (speed_mps > 0.1)
        self.heading_rad = self.heading_rad + settles * off_rad

    def _touches(
        self, next_m: Float64[np.ndarray, "P 2"], vehicles: Bodies, *, room_m: float
    ) -> Bool[np.ndarray, " P"]:
        """Say whose next step would bring them nearer to somebody, and nearer than `room_m`."""
        touches = np.zeros(len(self), bool)
        for bodies, is_own in ((vehicles, False), (self._standing, False), (self.as_bodies(), True)):
            if not len(bodies.half_m):
                continue
            next_room_m = bodies.clearance_now_m(next_m) - self.radius_m[:, None]
            now_room_m = bodies.clearance_now_m(self.position_m) - self.radius_m[:, None]
            bad = (next_room_m < room_m) & (next_room_m < now_room_m - 1e-9)
            if is_own:
                np.fill_diagonal(bad, False)
            touches |= bad.any(axis=1)
        return touches
