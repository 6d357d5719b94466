"""Motion through waypoints: exact at each, smooth in between, standing before the first and after the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float64

from scenegen.geometry.rigid import planar_poses
from scenegen.types.layout import EgoTrack

SLOWEST_TURNING_MPS = 0.15
"""Below this speed the direction of motion says nothing about the heading."""


class Waypoint(Protocol):
    """A place at a time; heading (degrees) and velocity where they are known."""

    @property
    def t_s(self) -> float: ...
    @property
    def x_m(self) -> float: ...
    @property
    def y_m(self) -> float: ...
    @property
    def heading_deg(self) -> float | None: ...
    @property
    def vx_mps(self) -> float | None: ...
    @property
    def vy_mps(self) -> float | None: ...


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Position, velocity and heading at every step, world frame."""

    position_m: Float64[np.ndarray, "T 2"]
    velocity_mps: Float64[np.ndarray, "T 2"]
    heading_rad: Float64[np.ndarray, " T"]

    def as_ego(self) -> EgoTrack:
        """Take the moving point as the middle of the rear axle."""
        position_m = np.column_stack([self.position_m, np.zeros(len(self.heading_rad))])
        return EgoTrack(world_from_ego=planar_poses(position_m, self.heading_rad), velocity_world_mps=self.velocity_mps)


def interpolate_waypoints(waypoints: Sequence[Waypoint], times_s: Float64[np.ndarray, " T"]) -> Motion:
    """Pass a cubic through waypoints; velocity is its derivative.

    Slopes are monotone (PCHIP), so nothing overshoots a place where it stands, except where a waypoint gives its
    velocity. The heading follows the motion, or the given headings the short way round where every waypoint has one.
    """
    at_s = np.array([waypoint.t_s for waypoint in waypoints])
    place_m = np.array([[waypoint.x_m, waypoint.y_m] for waypoint in waypoints])
    if len(waypoints) == 1:
        heading_rad = np.deg2rad(waypoints[0].heading_deg or 0.0)
        steps = len(times_s)
        return Motion(
            position_m=np.tile(place_m, (steps, 1)),
            velocity_mps=np.zeros((steps, 2)),
            heading_rad=np.full(steps, heading_rad),
        )
    position_m, velocity_mps = _through(at_s, place_m, waypoints, times_s)
    outside = (times_s < at_s[0]) | (times_s > at_s[-1])
    velocity_mps[outside] = 0.0
    given_deg = [waypoint.heading_deg for waypoint in waypoints]
    if all(heading is not None for heading in given_deg):
        unwrapped = np.unwrap(np.deg2rad(np.array(given_deg, np.float64)))
        heading_rad = np.interp(times_s, at_s, unwrapped)
    else:
        heading_rad = _heading_of(velocity_mps, place_m)
    return Motion(position_m=position_m, velocity_mps=velocity_mps, heading_rad=heading_rad)


def _through(
    at_s: Float64[np.ndarray, " N"],
    place_m: Float64[np.ndarray, "N 2"],
    waypoints: Sequence[Waypoint],
    times_s: Float64[np.ndarray, " T"],
) -> tuple[Float64[np.ndarray, "T 2"], Float64[np.ndarray, "T 2"]]:
    from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

    slope = PchipInterpolator(at_s, place_m, axis=0).derivative()(at_s)
    for idx, waypoint in enumerate(waypoints):
        for axis, given in enumerate((waypoint.vx_mps, waypoint.vy_mps)):
            if given is not None:
                slope[idx, axis] = given
    curve = CubicHermiteSpline(at_s, place_m, slope, axis=0)
    inside_s = np.clip(times_s, at_s[0], at_s[-1])
    return np.asarray(curve(inside_s)), np.asarray(curve.derivative()(inside_s))


def _heading_of(
    velocity_mps: Float64[np.ndarray, "T 2"], place_m: Float64[np.ndarray, "N 2"]
) -> Float64[np.ndarray, " T"]:
    """Return the direction of motion; while standing, the one before, and before the first motion, the first one."""
    moving = np.linalg.norm(velocity_mps, axis=1) > SLOWEST_TURNING_MPS
    direction = np.arctan2(velocity_mps[:, 1], velocity_mps[:, 0])
    if not moving.any():
        way_m = place_m[-1] - place_m[0]
        return np.full(len(moving), float(np.arctan2(way_m[1], way_m[0])))
    last = np.maximum.accumulate(np.where(moving, np.arange(len(moving)), -1))
    last = np.where(last < 0, int(np.argmax(moving)), last)
    return np.unwrap(direction[last])
