"""Rigid transforms: float64 4x4 matrices named `dst_from_src`, so that names cancel."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64


def transform_points(
    dst_from_src: Float64[np.ndarray, "4 4"], points_src_m: Float64[np.ndarray, "*N 3"]
) -> Float64[np.ndarray, "*N 3"]:
    """Move points from frame `src` to frame `dst`.

    >>> world_from_ego = planar_pose(10.0, 0.0, np.pi / 2)
    >>> transform_points(world_from_ego, np.array([[1.0, 0.0, 0.0]])).round(6).tolist()
    [[10.0, 1.0, 0.0]]
    """
    return points_src_m @ dst_from_src[:3, :3].T + dst_from_src[:3, 3]


def invert_rigid(dst_from_src: Float64[np.ndarray, "*B 4 4"]) -> Float64[np.ndarray, "*B 4 4"]:
    """Return `src_from_dst` by transposing the rotation; exact for rigid transforms."""
    rotation = dst_from_src[..., :3, :3]
    inverse = np.zeros_like(dst_from_src)
    inverse[..., :3, :3] = np.swapaxes(rotation, -1, -2)
    inverse[..., :3, 3] = -np.einsum("...ji,...j->...i", rotation, dst_from_src[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def planar_pose(x_m: float, y_m: float, heading_rad: float, *, z_m: float = 0.0) -> Float64[np.ndarray, "4 4"]:
    """Build the pose of something standing upright: position, and yaw counter-clockwise from x."""
    pose = np.eye(4)
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    pose[:2, :2] = [[cos, -sin], [sin, cos]]
    pose[:3, 3] = [x_m, y_m, z_m]
    return pose


def planar_poses(
    position_world_m: Float64[np.ndarray, "T 3"], heading_rad: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, "T 4 4"]:
    """Build upright poses for T positions and headings."""
    poses = np.zeros((len(heading_rad), 4, 4))
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    poses[:, 0, 0], poses[:, 0, 1] = cos, -sin
    poses[:, 1, 0], poses[:, 1, 1] = sin, cos
    poses[:, 2, 2] = poses[:, 3, 3] = 1.0
    poses[:, :3, 3] = position_world_m
    return poses
