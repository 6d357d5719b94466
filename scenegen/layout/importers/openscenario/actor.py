"""An entity in motion: along lanes, along a trajectory, or straight on; with changes of speed and lateral place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.openscenario.course import Course, course_from
from scenegen.layout.importers.openscenario.entities import Entity
from scenegen.layout.importers.openscenario.places import Place, Places
from scenegen.layout.paths import Path, make_path

STRAIGHT_ON_M = 3_000.0
EGO_BRAKING_MPS2 = 3.0
EGO_MARGIN_M = 5.0


def shape_at(shape: str, part: float) -> float:
    """Return how far a transition of a dynamics shape has come, 0 to 1, at a share of its time.

    >>> shape_at("linear", 0.25), shape_at("cubic", 0.5), shape_at("sinusoidal", 1.0), shape_at("step", 0.0)
    (0.25, 0.5, 1.0, 1.0)
    """
    part = min(max(part, 0.0), 1.0)
    if shape == "linear":
        return part
    if shape == "cubic":
        return part * part * (3.0 - 2.0 * part)
    if shape == "sinusoidal":
        return 0.5 - 0.5 * float(np.cos(np.pi * part))
    return 1.0


@dataclass(kw_only=True)
class Change:
    """A value on its way to a target, over a time or over a distance travelled."""

    begin: float
    target: Callable[[], float]
    shape: str
    duration_s: float
    distance_m: float
    since_s: float
    since_m: float
    keeps_on: bool = False
    is_done: bool = False

    def value(self, time_s: float, travelled_m: float) -> float:
        """Return the value now, and note when the target is reached."""
        if self.distance_m > 0.0:
            part = (travelled_m - self.since_m) / self.distance_m
        else:
            part = (time_s - self.since_s) / self.duration_s if self.duration_s > 0.0 else 1.0
        if self.shape == "step" or part >= 1.0:
            self.is_done = True
            return self.target()
        return self.begin + (self.target() - self.begin) * shape_at(self.shape, part)


@dataclass(kw_only=True)
class Timed:
    """A trajectory with times: positions (and headings) to be at, frame of the file."""

    at_s: Float64[np.ndarray, " N"]
    position_m: Float64[np.ndarray, "N 2"]
    heading_rad: Float64[np.ndarray, " N"] | None


@dataclass(kw_only=True)
class Actor:
    """One entity's state. `left_m` is how far left of its path it is."""

    entity: Entity
    places: Places
    is_ego: bool
    position_m: Float64[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2))
    heading_rad: float = 0.0
    speed_mps: float = 0.0
    acceleration_mps2: float = 0.0
    travelled_m: float = 0.0
    left_m: float = 0.0
    s_m: float = 0.0
    is_present: bool = False
    path: Path | None = None
    course: Course | None = None
    is_on_trajectory: bool = False
    timed: Timed | None = None
    speed_change: Change | None = None
    lateral_change: Change | None = None
    roads: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where it is now; its lane is the one of its course."""
        if self.course is None:
            return self.places.place_at(self.position_m, self.heading_rad)
        key = self.course.key_at(self.s_m)
        return Place(position_m=self.position_m, heading_rad=self.heading_rad, key=key, is_along=self.course.is_along)

    def teleport(self, place: Place) -> None:
        """Put it somewhere, and let it follow the lane there or go straight on."""
        self.is_present = True
        self.timed, self.is_on_trajectory = None, False
        self.lateral_change = None
        self.follow(place)

    def follow(self, place: Place) -> None:
        """Go on along the lane of a place, keeping the distance from its middle; without a lane, straight on."""
        self.position_m, self.heading_rad = place.position_m, place.heading_rad
        self.is_on_trajectory = False
        if place.key is None:
            direction = np.array([np.cos(place.heading_rad), np.sin(place.heading_rad)])
            self.course = None
            self.path = make_path(
                np.stack([place.position_m, place.position_m + STRAIGHT_ON_M * direction]), spacing_m=50
            )
            self.s_m = self.left_m = 0.0
            return
        self.course = course_from(self.places.network, place.key, is_along=place.is_along, roads=self.roads)
        self.path = self.course.path
        self.s_m, self.left_m = self.course.project(place.position_m)

    def take_trajectory(self, path: Path) -> None:
        """Follow a path of its own, at its speed."""
        self.path, self.course, self.is_on_trajectory = path, None, True
        self.s_m = self.left_m = 0.0
        self.lateral_change = None

    def step(self, time_s: float, step_s: float) -> None:
        """Move on by one step to `time_s`."""
        if not self.is_present or self.path is None:
            return
        before_mps = self.speed_mps
        if self.speed_change is not None:
            self.speed_mps = max(self.speed_change.value(time_s, self.travelled_m), 0.0)
            if self.speed_change.is_done and not self.speed_change.keeps_on:
                self.speed_change = None
        if self.timed is not None:
            self._step_timed(time_s, step_s)
        else:
            self._step_path(time_s, step_s)
        self.acceleration_mps2 = (self.speed_mps - before_mps) / step_s

    def join_timed(self, time_s: float) -> None:
        """Be at once where a trajectory with times, which has begun already, has it now."""
        assert self.timed is not None
        timed = self.timed
        self.position_m = np.array([np.interp(time_s, timed.at_s, timed.position_m[:, axis]) for axis in (0, 1)])
        if timed.heading_rad is not None:
            self.heading_rad = float(np.interp(time_s, timed.at_s, timed.heading_rad))

    def _step_timed(self, time_s: float, step_s: float) -> None:
        assert self.timed is not None
        timed = self.timed
        position_m = np.array([np.interp(time_s, timed.at_s, timed.position_m[:, axis]) for axis in (0, 1)])
        way_m = position_m - self.position_m
        moved_m = float(np.linalg.norm(way_m))
        if timed.heading_rad is not None:
            self.heading_rad = float(np.interp(time_s, timed.at_s, timed.heading_rad))
        elif moved_m > 1e-4:
            self.heading_rad = float(np.arctan2(way_m[1], way_m[0]))
        self.position_m, self.speed_mps = position_m, moved_m / step_s
        self.travelled_m += moved_m
        if time_s >= timed.at_s[-1]:
            self.timed = None
            self.end_trajectory()

    def _step_path(self, time_s: float, step_s: float) -> None:
        assert self.path is not None
        if self.is_ego and not self.is_on_trajectory:
            left_m = max(self.path.length_m - EGO_MARGIN_M - self.s_m, 0.0)
            self.speed_mps = min(self.speed_mps, float(np.sqrt(2.0 * EGO_BRAKING_MPS2 * left_m)), left_m / step_s)
        if self.speed_mps == 0.0 and self.lateral_change is None:
            return
        self.s_m += self.speed_mps * step_s
        self.travelled_m += self.speed_mps * step_s
        before_left_m = self.left_m
        if self.lateral_change is not None:
            self.left_m = self.lateral_change.value(time_s, self.travelled_m)
            if self.lateral_change.is_done:
                self.lateral_change = None
        at = self.path.at(np.array([self.s_m]))
        along_rad = float(at.heading_rad[0])
        self.position_m = at.position_m[0] + self.left_m * np.array([-np.sin(along_rad), np.cos(along_rad)])
        if self.speed_mps > 0.05:
            drift_rad = float(np.arctan2((self.left_m - before_left_m) / step_s, self.speed_mps))
            self.heading_rad = along_rad + drift_rad
        if self.s_m >= self.path.length_m:
            if self.is_on_trajectory:
                self.end_trajectory()
            elif not self.is_ego:
                self.is_present = False

    def end_trajectory(self) -> None:
        """Go on as before a trajectory: vehicles along the lane where it ended, others stand."""
        self.is_on_trajectory = False
        if self.entity.is_vehicle:
            self.follow(self.places.place_at(self.position_m, self.heading_rad))
        else:
            self.speed_mps, self.speed_change = 0.0, None
            self.path = make_path(
                np.stack(
                    [self.position_m, self.position_m + np.array([np.cos(self.heading_rad), np.sin(self.heading_rad)])]
                )
            )
            self.course, self.s_m, self.left_m = None, 0.0, 0.0
