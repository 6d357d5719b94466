"""From the ego spec of the YAML format to the ego's track."""

from __future__ import annotations

import numpy as np

from scenegen.errors import LayoutError
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M, EGO_SIZE_LWH_M, ego_along
from scenegen.layout.waypoints import interpolate_waypoints
from scenegen.layout.yaml_agents import check_times, drive_as_told, route_path
from scenegen.layout.yaml_format import EgoSpec
from scenegen.layout.yaml_roads import Ground
from scenegen.types.layout import EgoTrack
from scenegen.types.timeline import Timeline


def build_ego(spec: EgoSpec, ground: Ground, timeline: Timeline) -> EgoTrack:
    """Build the ego's track from a route, waypoints or recorded poses.

    Raises:
        LayoutError: not exactly one of the three is given, or its lanes do not join.
    """
    times_s = np.arange(timeline.num_steps) / timeline.rate_hz
    forms = [form for form in ("route", "waypoints", "world_from_ego") if getattr(spec, form) is not None]
    if len(forms) != 1 or (spec.route is None) != (spec.drive is None):
        raise LayoutError(
            "either `route` with `drive`, or `waypoints`, or `world_from_ego`",
            found=" and ".join(forms) or "none",
            where=ground.marked.where(("ego",)),
        )
    if spec.route is not None and spec.drive is not None:
        path = route_path(spec.route, ground, key=("ego", "route"))
        front_m = EGO_CENTER_FROM_AXLE_M + 0.5 * EGO_SIZE_LWH_M[0]
        path, travel = drive_as_told(path, spec.drive, times_s, front_m=front_m)
        return ego_along(path, travel)
    if spec.waypoints is not None:
        check_times(spec.waypoints, ground, key=("ego", "waypoints"))
        motion = interpolate_waypoints(spec.waypoints, times_s)
        return motion.as_ego()
    return _recorded_ego(spec, ground, timeline.num_steps)


def _recorded_ego(spec: EgoSpec, ground: Ground, num_steps: int) -> EgoTrack:
    poses, velocity_mps = spec.world_from_ego or [], spec.velocity_mps or []
    if len(poses) != num_steps or len(velocity_mps) != num_steps:
        raise LayoutError(
            f"{num_steps} poses and velocities",
            found=f"{len(poses)} and {len(velocity_mps)}",
            where=ground.marked.where(("ego", "world_from_ego")),
        )
    world_from_ego = np.tile(np.eye(4), (num_steps, 1, 1))
    world_from_ego[:, :3, :] = np.array(poses, np.float64).reshape(-1, 3, 4)
    return EgoTrack(world_from_ego=world_from_ego, velocity_world_mps=np.array(velocity_mps, np.float64))
