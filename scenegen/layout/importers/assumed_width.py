"""How wide an assumed road is: lanes for the vehicles that drive along it, strips for those that stand at its edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.layout.paths import make_path
from scenegen.layout.roads import CrossSection, Ring
from scenegen.types import AgentCategory, AgentTrack
from scenegen.types.layout import MOVING_MPS
from scenegen.types.taxonomy import VEHICLE_CATEGORIES

MOST_LANES = 4
"""Each way."""
ALONG_M = 40.0
"""Vehicles count as being along the way up to so far beyond its ends."""
SUPPORT_STEPS = 10
"""A lane is added where vehicles drive in it for so many steps, all together."""
OUTERMOST = 0.95
"""The share of steps whose vehicles the lanes cover."""
OVERHANG_M = 0.4
"""How far a vehicle may reach over the outer edge before it counts as driving in the next lane."""
PARKED, PARKING_M, DEEPEST_M = 2, (2.0, 3.0), 4.0
"""Vehicles that make a strip to park on; its width; how far from the lanes they may reach."""
DRIVING_MPS = 1.0
PARALLEL_COS = 0.9
FARTHEST_M = 16.0
"""From the way; what drives further off is on another road."""
WIDENING = VEHICLE_CATEGORIES - {AgentCategory.BICYCLE}
"""Cyclists ride in a lane or beside the road."""


@dataclass(frozen=True, kw_only=True)
class _Beside:
    """Steps of vehicles along the way: how far to its left, half their width, and whether they head as it does."""

    left_m: Float64[np.ndarray, " N"]
    half_m: Float64[np.ndarray, " N"]
    is_same: Bool[np.ndarray, " N"]


def widen_section(
    section: CrossSection, ego_lane: int, way_m: Ring, agents: Sequence[AgentTrack]
) -> tuple[CrossSection, int]:
    """Add lanes where vehicles drive along the way, and parking where they stand along its edges."""
    driving = _beside(way_m, [(agent, is_driving(agent)) for agent in agents])
    width_m = section.lane_width_m
    ego_lane = max(ego_lane, 1 + _lane_left(driving, width_m))
    right = _lanes_within(driving.half_m - driving.left_m, driving.is_same & (driving.left_m < 0.0), width_m)
    left = _lanes_within(driving.half_m + driving.left_m, ~driving.is_same & (driving.left_m > 0.0), width_m)
    forward = min(max(section.lanes_forward, ego_lane + right), ego_lane + MOST_LANES - 1)
    backward = min(max(section.lanes_backward, left - (ego_lane - 1)), MOST_LANES)
    if section.lanes_backward == 0:
        backward = 0  # the other carriageway is another road
    standing = _beside(way_m, [(agent, first_step(agent)) for agent in agents if is_standing(agent)])
    right_edge_m = (forward - ego_lane + 0.5) * width_m
    left_edge_m = (ego_lane - 0.5 + backward) * width_m
    widened = replace(
        section,
        lanes_forward=forward,
        lanes_backward=backward,
        parking_left_m=_parking(standing.left_m, standing.half_m, left_edge_m),
        parking_right_m=_parking(-standing.left_m, standing.half_m, right_edge_m),
    )
    return widened, ego_lane


def _lane_left(driving: _Beside, width_m: float) -> int:
    """Return how many lanes to the left others drive the ego's way, in enough steps and more than oncoming ones."""
    lanes = np.round(driving.left_m / width_m)
    for lane in range(MOST_LANES - 1, 0, -1):
        same, opposite = (int((lanes[which] == lane).sum()) for which in (driving.is_same, ~driving.is_same))
        if same >= SUPPORT_STEPS and same > opposite:
            return lane
    return 0


def _lanes_within(reach_m: Float64[np.ndarray, " N"], which: Bool[np.ndarray, " N"], width_m: float) -> int:
    """Return how many lanes beside the ego's it takes to cover vehicles that reach so far from its middle."""
    if which.sum() < SUPPORT_STEPS:
        return 0
    outermost_m = float(np.quantile(reach_m[which], OUTERMOST))
    return max(0, int(np.ceil((outermost_m - OVERHANG_M) / width_m - 0.5)))


def _parking(beside_m: Float64[np.ndarray, " N"], half_m: Float64[np.ndarray, " N"], edge_m: float) -> float:
    """Return the width of a strip beside an edge for the vehicles that stand there; 0 where too few do."""
    is_parked = (beside_m + half_m > edge_m + OVERHANG_M) & (beside_m + half_m < edge_m + DEEPEST_M)
    if is_parked.sum() < PARKED:
        return 0.0
    least_m, most_m = PARKING_M
    return float(np.clip((beside_m + half_m)[is_parked].max() - edge_m, least_m, most_m))


def _beside(way_m: Ring, seen: Sequence[tuple[AgentTrack, Bool[np.ndarray, " T"]]]) -> _Beside:
    """Measure from the way, `ALONG_M` longer at both ends, at some steps of vehicles that are parallel to it."""
    from scipy.spatial import cKDTree

    inner = make_path(way_m)
    path = make_path(inner.at(np.array([-ALONG_M, *inner.s_m, inner.length_m + ALONG_M])).position_m)
    normal = np.stack([-np.sin(path.heading_rad), np.cos(path.heading_rad)], axis=1)
    tree = cKDTree(path.points_m)
    left_m, half_m, is_same = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, bool)]
    for agent, steps in seen:
        points_m = agent.center_world_m[steps, :2]
        distance_m, at = tree.query(points_m)
        along = np.cos(agent.heading_rad[steps] - path.heading_rad[at])
        found = (distance_m < FARTHEST_M) & (at > 0) & (at < len(path.points_m) - 1) & (np.abs(along) > PARALLEL_COS)
        left_m.append(((points_m - path.points_m[at]) * normal[at]).sum(axis=1)[found])
        half_m.append(np.full(int(found.sum()), 0.5 * agent.size_lwh_m[1]))
        is_same.append(along[found] > 0.0)
    return _Beside(left_m=np.concatenate(left_m), half_m=np.concatenate(half_m), is_same=np.concatenate(is_same))


def first_step(agent: AgentTrack) -> Bool[np.ndarray, " T"]:
    """Return the step at which an agent is first seen, as a mask."""
    return np.asarray(np.arange(len(agent.valid)) == int(np.argmax(agent.valid)))


def is_standing(agent: AgentTrack) -> bool:
    """Tell whether it is a motor vehicle that stands most of the time."""
    speed_mps = np.linalg.norm(agent.velocity_world_mps[agent.valid], axis=1)
    return agent.category in WIDENING and bool(np.median(speed_mps) < MOVING_MPS)


def is_driving(agent: AgentTrack) -> Bool[np.ndarray, " T"]:
    """Return the steps at which a motor vehicle drives."""
    if agent.category not in WIDENING:
        return np.zeros(len(agent.valid), bool)
    return np.asarray(agent.valid & (np.linalg.norm(agent.velocity_world_mps, axis=1) > DRIVING_MPS))
