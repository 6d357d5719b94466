"""Agent boxes as lines in a camera image."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, planar_pose, transform_points
from scenegen.types import Camera

NEAR_M = 0.2
"""Edges are cut where they come closer to the camera than this; wide lenses scale it as the ray caster does."""
NUM_PIECES = 12

UNIT_CORNERS = np.array(list(itertools.product((0.5, -0.5), repeat=3)))
"""Corners of a unit box; the first four are its front (x = +0.5)."""
EDGES = np.array(
    [(a, b) for a, b in itertools.combinations(range(8), 2) if np.abs(UNIT_CORNERS[a] - UNIT_CORNERS[b]).sum() == 1.0]
)
IS_FRONT_EDGE: Bool[np.ndarray, "12"] = (EDGES < 4).all(axis=1)


def box_corners_world_m(
    center_world_m: Float64[np.ndarray, "3"], size_lwh_m: Float64[np.ndarray, "3"], *, heading_rad: float
) -> Float64[np.ndarray, "8 3"]:
    """Return the corners of an upright box, front first."""
    x_m, y_m, z_m = center_world_m
    world_from_agent = planar_pose(x_m, y_m, heading_rad, z_m=z_m)
    return transform_points(world_from_agent, UNIT_CORNERS * size_lwh_m)


def project_edges(
    corners_world_m: Float64[np.ndarray, "8 3"], camera: Camera, *, world_from_ego: Float64[np.ndarray, "4 4"]
) -> tuple[Float64[np.ndarray, "E 2 2"], Bool[np.ndarray, " E"]]:
    """Project the edges of a box that lie, at least in part, in front of a camera and in its field of view.

    Returns:
        The two ends of each edge in pixels of the stored image (they may lie outside of it), and which edges
        belong to the front of the box. Where the lens bends straight lines, an edge comes in `NUM_PIECES` pieces.
    """
    cam_from_world = invert_rigid(world_from_ego @ camera.ego_from_cam)
    ends_cam_m = transform_points(cam_from_world, corners_world_m)[EDGES]
    depth_m = ends_cam_m[:, :, 2]
    near_m = NEAR_M * np.cos(camera.lens.max_angle_rad) if camera.lens.is_angular else NEAR_M
    in_front = (depth_m > near_m).any(axis=1)
    ends_cam_m = cut_behind(ends_cam_m[in_front], near_m=near_m)
    is_front = IS_FRONT_EDGE[in_front]
    if camera.lens.model == "pinhole":
        homogeneous = ends_cam_m @ camera.K.T
        return homogeneous[:, :, :2] / homogeneous[:, :, 2:], is_front
    share_along = np.linspace(0.0, 1.0, NUM_PIECES + 1)[:, None]
    along_cam_m = ends_cam_m[:, None, 0] + share_along * (ends_cam_m[:, None, 1] - ends_cam_m[:, None, 0])
    along_px = project_points(along_cam_m, camera)
    pieces_px = np.stack([along_px[:, :-1], along_px[:, 1:]], axis=2).reshape(-1, 2, 2)
    is_seen = np.isfinite(pieces_px).all(axis=(1, 2))
    return pieces_px[is_seen], np.repeat(is_front, NUM_PIECES)[is_seen]


def cut_behind(ends_cam_m: Float64[np.ndarray, "S 2 3"], *, near_m: float) -> Float64[np.ndarray, "S 2 3"]:
    """Move ends of lines that are closer to the camera plane than `near_m`, or behind it, along their line to there."""
    depth_m = ends_cam_m[:, :, 2]
    way_m = ends_cam_m[:, ::-1] - ends_cam_m
    share = (near_m - depth_m) / np.where(way_m[:, :, 2] == 0.0, 1.0, way_m[:, :, 2])
    return np.where((depth_m < near_m)[:, :, None], ends_cam_m + share[:, :, None] * way_m, ends_cam_m)
