"""Where the 3-D boxes of a scene land in its pictures."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.label_checks.finding import SceneLabels
from scenegen.dataset.rotations import yaw_rad
from scenegen.dataset.wireframe import box_corners_world_m, project_edges
from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import Camera

POINTS_ALONG = 12


def corners_world_m(labels: SceneLabels, row: int) -> Float64[np.ndarray, "8 3"]:
    """Return the corners of a row of `SceneLabels.objects`."""
    objects = labels.objects
    heading_rad = float(yaw_rad(objects.rotation_wxyz[row : row + 1])[0])
    return box_corners_world_m(objects.center_world_m[row], objects.size_lwh_m[row], heading_rad=heading_rad)


def projected_bounds(
    corners_m: Float64[np.ndarray, "8 3"], camera: Camera, world_from_ego: Float64[np.ndarray, "4 4"]
) -> Float64[np.ndarray, "4"] | None:
    """Return x1 y1 x2 y2 around the projection of a box; None where it has none, or only in part."""
    if camera.lens.model == "pinhole":
        points_px = project_edges(corners_m, camera, world_from_ego=world_from_ego)[0].reshape(-1, 2)
    else:
        points_cam_m = transform_points(invert_rigid(world_from_ego @ camera.ego_from_cam), points_inside(corners_m))
        points_px = project_points(points_cam_m, camera)
    if not len(points_px) or not np.isfinite(points_px).all():
        return None
    return np.concatenate([points_px.min(axis=0), points_px.max(axis=0)])


def points_inside(corners_m: Float64[np.ndarray, "8 3"]) -> Float64[np.ndarray, "P 3"]:
    """Return a grid of points in a box: the rim of a bent lens may cut off all edges of a box that it shows."""
    share = (np.indices((POINTS_ALONG,) * 3).reshape(3, -1).T / (POINTS_ALONG - 1))[:, :, None]
    away = corners_m[[3, 5, 6]] - corners_m[7]
    points_m: Float64[np.ndarray, "P 3"] = corners_m[7] + (share * away).sum(axis=1)
    return points_m


def axis_overlap(first_px: Float64[np.ndarray, "4"], second_px: Float64[np.ndarray, "4"]) -> Float64[np.ndarray, "2"]:
    """Return how far two boxes x1 y1 x2 y2 share their extents across and down: intersection over union, 0 to 1.

    >>> axis_overlap(np.array([0.0, 0.0, 4.0, 2.0]), np.array([2.0, 0.0, 4.0, 1.0])).tolist()
    [0.5, 0.5]
    """
    shared_px = np.minimum(first_px[2:], second_px[2:]) - np.maximum(first_px[:2], second_px[:2])
    joint_px = np.maximum(first_px[2:], second_px[2:]) - np.minimum(first_px[:2], second_px[:2])
    overlap: Float64[np.ndarray, "2"] = np.maximum(shared_px, 0.0) / joint_px
    return overlap
