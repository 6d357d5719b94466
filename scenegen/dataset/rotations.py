"""Quaternions w, x, y, z, as boxes are stored and as foreign files want poses, and angles."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64


def rotation_wxyz(rotation: Float64[np.ndarray, "*N 3 3"]) -> Float64[np.ndarray, "*N 4"]:
    """Return unit quaternions w, x, y, z with w >= 0.

    >>> rotation_wxyz(np.diag([-1.0, -1.0, 1.0])).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    from scipy.spatial.transform import Rotation

    wxyz = Rotation.from_matrix(rotation).as_quat()[..., [3, 0, 1, 2]]
    return np.where(wxyz[..., :1] < 0.0, -wxyz, wxyz) + 0.0


def rotation_matrices(wxyz: Float64[np.ndarray, "N 4"]) -> Float64[np.ndarray, "N 3 3"]:
    """Return the rotations that unit quaternions stand for.

    >>> rotation_matrices(np.array([[0.5 ** 0.5, 0.0, 0.0, 0.5 ** 0.5]])).round(6)[0, :, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    from scipy.spatial.transform import Rotation

    if not len(wxyz):
        return np.zeros((0, 3, 3))
    matrices: Float64[np.ndarray, "N 3 3"] = Rotation.from_quat(wxyz[:, [1, 2, 3, 0]]).as_matrix()
    return matrices


def forward_axes(wxyz: Float64[np.ndarray, "N 4"]) -> Float64[np.ndarray, "N 3"]:
    """Return the x axes that unit quaternions turn to.

    >>> forward_axes(np.array([[0.0, 0.0, 0.0, 1.0]])).tolist()  # half a turn
    [[-1.0, 0.0, 0.0]]
    """
    w, x, y, z = wxyz.T
    return np.stack([1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)], axis=1)


def yaw_rad(wxyz: Float64[np.ndarray, "N 4"]) -> Float64[np.ndarray, " N"]:
    """Return the yaw of boxes, counter-clockwise from x.

    >>> yaw_rad(np.array([[0.5 ** 0.5, 0.0, 0.0, 0.5 ** 0.5]])).round(6).tolist()
    [1.570796]
    """
    forward = forward_axes(wxyz)
    return np.arctan2(forward[:, 1], forward[:, 0])


def wrap_angle(angle_rad: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Return angles in [-pi, pi)."""
    return np.mod(angle_rad + np.pi, 2.0 * np.pi) - np.pi
