"""Which lanes lie under or beside a place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from scenegen.types.layout import Layout


class NearLane(NamedTuple):
    """A lane near a place: its direction there, and how far left of the place its centre line is."""

    heading_rad: float
    left_m: float
    distance_m: float


def lane_heading(layout: Layout, place_m: Float64[np.ndarray, "2"], *, within_m: float) -> float | None:
    """Return the direction of the nearest lane for vehicles, or None where there is none."""
    near = [lane for lane in _lanes_near(layout, place_m, heading_rad=0.0) if lane.distance_m <= within_m]
    return min(near, key=lambda lane: lane.distance_m).heading_rad if near else None


def lane_beside(
    layout: Layout, place_m: Float64[np.ndarray, "2"], *, heading_rad: float, side: float, from_m: float, to_m: float
) -> float | None:
    """Return how far left of a place the next lane's centre line is (right is negative), None without such a lane.

    Args:
        layout: any layout.
        place_m: world.
        heading_rad: the lane runs this way, to 30 degrees.
        side: 1 looks to the left, -1 to the right.
        from_m: nearer lanes do not count.
        to_m: nor do those further away.
    """
    near = [
        lane.left_m
        for lane in _lanes_near(layout, place_m, heading_rad=heading_rad)
        if from_m <= side * lane.left_m <= to_m
        and lane.distance_m < abs(lane.left_m) + 0.5
        and np.cos(lane.heading_rad - heading_rad) > np.cos(np.pi / 6)
    ]
    return min(near, key=abs) if near else None


def _lanes_near(layout: Layout, place_m: Float64[np.ndarray, "2"], *, heading_rad: float) -> Iterator[NearLane]:
    left = np.array([-np.sin(heading_rad), np.cos(heading_rad)])
    for lane in layout.road_map.lanes:
        points_m = lane.centerline_world_m[:, :2]
        step_m = np.diff(points_m, axis=0)
        length_m = np.linalg.norm(step_m, axis=1)
        if lane.kind == "walk" or not len(points_m) > 1 or not length_m.max() > 0.0:
            continue
        part = ((place_m - points_m[:-1]) * step_m).sum(axis=1) / np.maximum(length_m**2, 1e-12)
        nearest_m = points_m[:-1] + np.clip(part, 0.0, 1.0)[:, None] * step_m
        distance_m = np.where(length_m > 0.0, np.linalg.norm(nearest_m - place_m, axis=1), np.inf)
        idx = int(np.argmin(distance_m))
        yield NearLane(
            heading_rad=float(np.arctan2(step_m[idx, 1], step_m[idx, 0])),
            left_m=float((nearest_m[idx] - place_m) @ left),
            distance_m=float(distance_m[idx]),
        )
