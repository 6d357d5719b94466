"""The ground plane beneath the car, from its sweep.

Layouts have flat ground at z = 0. A recording has not; but around the car, where pictures show ground at all, a plane
is close. Each step's pose is taken relative to the plane of its own sweep, so roll, pitch and height of the car
over the road stay, and hills do not enter.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from scenegen.errors import RecordingError

REACH_M = 25.0
"""Points this near to the ego count."""
CELL_M = 1.0
LOWEST_SHARE = 0.1
"""A cell's ground is at this quantile of its heights."""
NEAR_PLANE_M = (0.5, 0.3, 0.15, 0.15)
"""Cells this close to the plane so far decide the next one."""
LEAST_CELLS = 40
STEEPEST = 0.12


def fit_ground(points_ego_m: Float64[np.ndarray, "P 3"], *, where: str) -> Float64[np.ndarray, "4 4"]:
    """Return `ego_from_ground`: beneath the ego's origin, z along the normal of the ground, x forward.

    Starting at z = 0, where an ego frame has its ground, a plane is fitted by least squares to the lowest tenth of the
    points of each square metre, again and again to those close to it.

    Raises:
        RecordingError: there is too little ground, or it is nowhere near z = 0.
    """
    near = points_ego_m[np.hypot(points_ego_m[:, 0], points_ego_m[:, 1]) < REACH_M]
    cells = _lowest_of_cells(near)
    slope_x, slope_y, height_m = 0.0, 0.0, 0.0
    for within_m in NEAR_PLANE_M:
        away_m = cells[:, 2] - (slope_x * cells[:, 0] + slope_y * cells[:, 1] + height_m)
        used = cells[np.abs(away_m) < within_m]
        if len(used) < LEAST_CELLS:
            found = f"{len(used)} square metres of ground around the car"
            raise RecordingError(f"at least {LEAST_CELLS} within {within_m} m of a plane", found=found, where=where)
        design = np.column_stack([used[:, 0], used[:, 1], np.ones(len(used))])
        (slope_x, slope_y, height_m), *_ = np.linalg.lstsq(design, used[:, 2], rcond=None)
    if np.hypot(slope_x, slope_y) > STEEPEST:
        raise RecordingError(
            f"ground with a slope of at most {STEEPEST}", found=f"{np.hypot(slope_x, slope_y):.3f}", where=where
        )
    return pose_of_plane(float(slope_x), float(slope_y), float(height_m))


def pose_of_plane(slope_x: float, slope_y: float, height_m: float) -> Float64[np.ndarray, "4 4"]:
    """Return the pose of a plane z = slope_x * x + slope_y * y + height_m: origin next to the ego's, x forward.

    >>> pose_of_plane(0.0, 0.0, -0.3)[2].tolist()
    [0.0, 0.0, 1.0, -0.3]
    """
    up = np.array([-slope_x, -slope_y, 1.0])
    distance_m = height_m / np.linalg.norm(up)
    up = up / np.linalg.norm(up)
    forward = np.array([1.0, 0.0, 0.0]) - up[0] * up
    forward = forward / np.linalg.norm(forward)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = forward, np.cross(up, forward), up
    pose[:3, 3] = distance_m * up
    return pose


def _lowest_of_cells(points_m: Float64[np.ndarray, "P 3"]) -> Float64[np.ndarray, "C 3"]:
    """Return, per square of the x-y plane, its middle place and the low quantile of its heights."""
    index = np.floor(points_m[:, :2] / CELL_M).astype(np.int64)
    code = index[:, 0] * 100_003 + index[:, 1]
    order = np.lexsort((points_m[:, 2], code))
    sorted_code = code[order]
    starts = np.flatnonzero(np.r_[True, np.diff(sorted_code) != 0]) if len(order) else np.zeros(0, np.int64)
    counts = np.diff(np.r_[starts, len(order)])
    rows = order[starts + np.floor(LOWEST_SHARE * (counts - 1)).astype(np.int64)]
    return points_m[rows]
