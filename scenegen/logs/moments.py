"""The points of every step in the log's world, without the car's own and without those on agents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt16

from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.logs.sweeps import Points, read_points
from scenegen.types import Layout, Sweep
from scenegen.types.recorded_log import RecordedStep, RecordedSweep

GROWN_M = 0.3
"""Points this close around an agent's box are taken for the agent's: boxes are tight, and mirrors stick out."""
EGO_BOX_M = ((-1.5, 4.5), (-1.4, 1.4), (-0.5, 2.4))
"""Space of the recording car in frame `ego`: x, y, z from, to."""


@dataclass(frozen=True, kw_only=True)
class StepPoints:
    """A sweep, placed.

    Attributes:
        points: as read.
        points_ego_m, points_world_m: the same points.
        sensor_ego_m: where beams begin.
        instance: 1 + index of the agent whose box holds the point; 0 for none.
        num_inside: points in the box of each of the A agents; 0 where it is absent.
        is_static: neither the car's own nor at an agent.
    """

    points: Points
    points_ego_m: Float64[np.ndarray, "P 3"]
    points_world_m: Float64[np.ndarray, "P 3"]
    sensor_ego_m: Float64[np.ndarray, "3"]
    instance: UInt16[np.ndarray, " P"]
    num_inside: Int32[np.ndarray, " A"]
    is_static: Bool[np.ndarray, " P"]

    def sweep(self) -> Sweep:
        """Return the sweep as data sets store it."""
        return Sweep(
            points_lidar_m=self.points.points_lidar_m,
            intensity=self.points.intensity,
            ring=self.points.ring,
            instance=self.instance,
        )


def points_ego_m(points: Points, sweep: RecordedSweep) -> Float64[np.ndarray, "P 3"]:
    """Return the points of a sweep in frame `ego`."""
    return transform_points(sweep.ego_from_lidar, points.points_lidar_m.astype(np.float64))


def place_points(step: RecordedStep, layout: Layout, *, step_idx: int) -> StepPoints | None:
    """Read and place the sweep of a step; None where it has none.

    Boxes are those of the recording, with their roll and pitch.

    Raises:
        RecordingError: the sweep cannot be read.
    """
    sweep = step.sweep
    if sweep is None:
        return None
    points = read_points(sweep)
    at_ego_m = points_ego_m(points, sweep)
    agent_of = {agent.agent_id: index for index, agent in enumerate(layout.agents)}
    instance = np.zeros(len(at_ego_m), np.uint16)
    num_inside = np.zeros(len(layout.agents), np.int32)
    is_static = ~_is_in_box(at_ego_m, EGO_BOX_M)
    for box in step.boxes:
        near = np.flatnonzero(
            np.abs(at_ego_m - box.ego_from_box[:3, 3]).max(axis=1) < 0.5 * np.linalg.norm(box.size_lwh_m) + GROWN_M
        )
        beyond_m = np.abs(transform_points(invert_rigid(box.ego_from_box), at_ego_m[near])) - 0.5 * box.size_lwh_m
        is_inside = (beyond_m <= 0.0).all(axis=1)
        agent = agent_of[box.track_id]
        num_inside[agent] = is_inside.sum()
        instance[near[is_inside]] = 1 + agent
        is_static[near[(beyond_m <= GROWN_M).all(axis=1)]] = False
    return StepPoints(
        points=points,
        points_ego_m=at_ego_m,
        points_world_m=transform_points(layout.ego.world_from_ego[step_idx], at_ego_m),
        sensor_ego_m=transform_points(sweep.ego_from_lidar, sweep.sensor_lidar_m),
        instance=instance,
        num_inside=num_inside,
        is_static=is_static,
    )


def _is_in_box(
    points_m: Float64[np.ndarray, "P 3"], bounds_m: tuple[tuple[float, float], ...]
) -> Bool[np.ndarray, " P"]:
    low, high = np.array(bounds_m).T
    return np.asarray(((points_m >= low) & (points_m <= high)).all(axis=1))
