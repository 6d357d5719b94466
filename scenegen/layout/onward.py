"""Who goes on after the end of a recording, and how: as a vehicle on a path, on foot, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.layout.continuation import KEPT_OFFSET_M, way_ahead
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M, EGO_SIZE_LWH_M, speed_limits
from scenegen.layout.paths import Path, PathSample
from scenegen.types.layout import AgentTrack, EgoTrack, Layout
from scenegen.types.taxonomy import VEHICLE_CATEGORIES, AgentCategory

EGO = -1
"""Stands for the ego among indices of agents."""
STANDING_MPS = 0.35
DROVE_MPS = 1.5
"""Who stands at the end and was once faster than this waits; who was not is parked."""
DRIFT_M = 1.0
"""Annotated boxes of parked cars wander by so much."""
WAITING_S = 5.0
"""Who waits stands for so long in all, then goes when the way is free."""
SLOWEST_WAY_ON_MPS = 5.0
"""On a lane nobody wishes to go slower, however slow the last recorded second was."""
LOOK_BACK_S = 10.0
HEADING_SETTLES_M = 8.0
TWO_WHEELED = (AgentCategory.BICYCLE, AgentCategory.MOTORCYCLE)
WALKING = (AgentCategory.PEDESTRIAN, AgentCategory.ANIMAL, AgentCategory.OTHER)


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """A vehicle that goes on along a path.

    Attributes:
        idx: of the agent, or EGO.
        path: of the reference point: the box centre, or the ego's rear axle.
        lane_m: how much of the path lies on lanes; 0 for one that is on none.
        center_m: the box centre lies this far ahead of the reference point.
        limits_mps: wished speed at every sample of the path.
        turn_rad: heading at the end of the recording, measured from the path's.
        reverses: drives backwards, and therefore only comes to rest.
        waits_s: stands for so long before it goes.
    """

    idx: int
    path: Path
    lane_m: float
    size_lwh_m: Float64[np.ndarray, "3"]
    center_m: float
    speed_mps: float
    limits_mps: list[float]
    turn_rad: float
    reverses: bool
    waits_s: float

    def limit_mps(self, s_m: float) -> float:
        """Return the wished speed at a place of the path."""
        if self.reverses:
            return 0.0
        spacing_m = float(self.path.s_m[1])
        return self.limits_mps[min(max(int(s_m / spacing_m), 0), len(self.limits_mps) - 1)]

    def pose(self, s_m: Float64[np.ndarray, " S"]) -> PathSample:
        """Return reference points and headings of the box; the heading settles into the path's within metres."""
        at = self.path.at(s_m)
        fading = 1.0 if self.reverses else np.exp(-np.asarray(s_m) / HEADING_SETTLES_M)
        return PathSample(at.position_m, at.heading_rad + self.turn_rad * fading)


@dataclass(frozen=True, kw_only=True)
class Walker:
    """Somebody on foot who goes on."""

    idx: int
    velocity_mps: Float64[np.ndarray, "2"]


@dataclass(frozen=True, kw_only=True)
class Onward:
    """Everybody at the end of a recording, by how they go on; `standing` are indices of agents."""

    vehicles: tuple[Vehicle, ...]
    walkers: tuple[Walker, ...]
    standing: tuple[int, ...]
    ego_stands: bool


def who_goes_on(recorded: Layout, *, extra_s: float) -> Onward:
    """Split everybody who is there at the last step of a layout into those who stand and those who move."""
    vehicles, walkers, standing = [], [], []
    ego = vehicle_of_ego(recorded, extra_s)
    for idx, agent in enumerate(recorded.agents):
        if not agent.valid[-1]:
            continue
        if agent.category in WALKING:
            velocity_mps = last_velocity(
                agent.center_world_m[:, :2], agent.velocity_world_mps, agent.valid, recorded.timeline.rate_hz
            )
            if np.linalg.norm(velocity_mps) >= STANDING_MPS:
                walkers.append(Walker(idx=idx, velocity_mps=velocity_mps))
                continue
        vehicle = _vehicle_of(recorded, idx, agent, extra_s) if agent.category in VEHICLE_CATEGORIES else None
        if vehicle is None:
            standing.append(idx)
        else:
            vehicles.append(vehicle)
    return Onward(
        vehicles=(*vehicles, *([] if ego is None else [ego])),
        walkers=tuple(walkers),
        standing=tuple(standing),
        ego_stands=ego is None,
    )


def last_velocity(
    position_m: Float64[np.ndarray, "T 2"],
    velocity_mps: Float64[np.ndarray, "T 2"],
    valid: Bool[np.ndarray, " T"],
    rate_hz: float,
) -> Float64[np.ndarray, "2"]:
    """Return the velocity with which an unbroken track ends.

    That is the stated one where the median over the steps of the last half second agrees with it to a metre per second,
    else that median: single positions of recordings jump.
    """
    back = min(len(position_m) - 1, max(1, round(0.5 * rate_hz)))
    while back > 0 and not valid[-1 - back :].all():
        back -= 1
    if back == 0:
        return np.zeros(2)
    implied_mps = np.median(np.diff(position_m[-1 - back :], axis=0), axis=0) * rate_hz
    stated_mps = velocity_mps[-1]
    return np.asarray(stated_mps if np.linalg.norm(stated_mps - implied_mps) < 1.0 else implied_mps, np.float64)


def vehicle_of_ego(recorded: Layout, extra_s: float) -> Vehicle | None:
    """Return the ego as a vehicle that goes on; None where it never moved."""
    ego = recorded.ego
    position_m = ego.position_world_m[:, :2]
    always = np.ones(len(position_m), bool)
    return _vehicle(
        recorded,
        EGO,
        position_m,
        ego.velocity_world_mps,
        always,
        float(ego.heading_rad[-1]),
        np.array(EGO_SIZE_LWH_M),
        EGO_CENTER_FROM_AXLE_M,
        KEPT_OFFSET_M,
        extra_s,
    )


def _vehicle_of(recorded: Layout, idx: int, agent: AgentTrack, extra_s: float) -> Vehicle | None:
    return _vehicle(
        recorded,
        idx,
        agent.center_world_m[:, :2],
        agent.velocity_world_mps,
        agent.valid,
        float(agent.heading_rad[-1]),
        agent.size_lwh_m,
        0.0,
        np.inf if agent.category in TWO_WHEELED else KEPT_OFFSET_M,
        extra_s,
    )


def _vehicle(
    recorded: Layout,
    idx: int,
    position_m: Float64[np.ndarray, "T 2"],
    velocity_mps: Float64[np.ndarray, "T 2"],
    valid: Bool[np.ndarray, " T"],
    heading_rad: float,
    size_lwh_m: Float64[np.ndarray, "3"],
    center_m: float,
    kept_offset_m: float,
    extra_s: float,
) -> Vehicle | None:
    """Find the path and the wished speed of a vehicle; None for one that is parked."""
    rate_hz = recorded.timeline.rate_hz
    velocity = last_velocity(position_m, velocity_mps, valid, rate_hz)
    speed_mps = float(np.linalg.norm(velocity))
    drove_mps = _fastest(position_m, valid, rate_hz)
    stands = speed_mps < STANDING_MPS
    if drove_mps < DROVE_MPS and (stands or _strayed_m(position_m, valid, rate_hz) < DRIFT_M):
        return None
    course_rad = heading_rad if stands else float(np.arctan2(velocity[1], velocity[0]))
    reverses = bool(np.cos(course_rad - heading_rad) < 0.0)
    if not reverses and abs(_wrap(course_rad - heading_rad)) < 0.5:
        course_rad = heading_rad  # of a slow box, steadier than the direction of its centre
    desired_mps = max(speed_mps, drove_mps)
    reach_m = max(desired_mps, SLOWEST_WAY_ON_MPS) * extra_s + 40.0
    way = way_ahead(
        recorded.road_map.lanes,
        position_m[-1],
        course_rad,
        reach_m=reach_m,
        speed_mps=speed_mps,
        kept_offset_m=kept_offset_m,
    )
    if way.lane_m == 0.0 and stands:
        return None
    on_lane_mps = way.speed_limit_mps or max(desired_mps, SLOWEST_WAY_ON_MPS)
    desired_mps = on_lane_mps if way.lane_m > 0.0 else speed_mps
    return Vehicle(
        idx=idx,
        path=way.path,
        lane_m=way.lane_m,
        size_lwh_m=size_lwh_m,
        center_m=center_m,
        speed_mps=0.0 if stands else speed_mps,
        limits_mps=speed_limits(way.path, desired_mps),
        turn_rad=_wrap(heading_rad - float(way.path.heading_rad[0])),
        reverses=reverses and not stands,
        waits_s=max(0.0, WAITING_S - _stood_s(position_m, valid, rate_hz)) if stands else 0.0,
    )


def _fastest(position_m: Float64[np.ndarray, "T 2"], valid: Bool[np.ndarray, " T"], rate_hz: float) -> float:
    """Return the greatest speed over any half second of the last seconds, by positions."""
    over = max(1, round(0.5 * rate_hz))
    recent = slice(max(0, len(valid) - round(LOOK_BACK_S * rate_hz) - 1), None)
    place_m, seen = position_m[recent], valid[recent]
    if len(place_m) <= over:
        return 0.0
    speed_mps = np.linalg.norm(place_m[over:] - place_m[:-over], axis=1) * (rate_hz / over)
    unbroken = np.array([seen[k : k + over + 1].all() for k in range(len(speed_mps))])
    return float((speed_mps * unbroken).max())


def _strayed_m(position_m: Float64[np.ndarray, "T 2"], valid: Bool[np.ndarray, " T"], rate_hz: float) -> float:
    """Return how far a track's end is from where it was in the last seconds."""
    recent = slice(max(0, len(valid) - round(LOOK_BACK_S * rate_hz) - 1), None)
    return float(np.linalg.norm(position_m[recent][valid[recent]] - position_m[-1], axis=1).max())


def _stood_s(position_m: Float64[np.ndarray, "T 2"], valid: Bool[np.ndarray, " T"], rate_hz: float) -> float:
    """Return for how long a track has not been half a metre away from its end."""
    away = (np.linalg.norm(position_m - position_m[-1], axis=1) > 0.5) | ~valid
    return float(np.argmax(away[::-1]) if away.any() else len(away)) / rate_hz


def _wrap(angle_rad: float) -> float:
    return float(np.arctan2(np.sin(angle_rad), np.cos(angle_rad)))


def ego_track_from(
    ego: EgoTrack,
    position_m: Float64[np.ndarray, "S 2"],
    heading_rad: Float64[np.ndarray, " S"],
    velocity_mps: Float64[np.ndarray, "S 2"],
) -> EgoTrack:
    """Append steps to an ego track, keeping the height, roll and pitch of its last pose."""
    from scenegen.geometry.rigid import planar_poses

    last = ego.world_from_ego[-1]
    turn_rad = heading_rad - float(ego.heading_rad[-1])
    added = planar_poses(np.column_stack([position_m, np.full(len(turn_rad), last[2, 3])]), turn_rad)
    added[:, :3, :3] = added[:, :3, :3] @ last[:3, :3]
    return EgoTrack(
        world_from_ego=np.concatenate([ego.world_from_ego, added]),
        velocity_world_mps=np.concatenate([ego.velocity_world_mps, velocity_mps]),
    )
