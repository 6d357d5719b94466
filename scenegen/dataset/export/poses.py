"""Rotations and poses in the shapes that foreign files want them."""

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


def yaw_rad(rotation_wxyz: Float64[np.ndarray, "N 4"]) -> Float64[np.ndarray, " N"]:
    """Return the yaw of upright boxes, counter-clockwise from x.

    >>> yaw_rad(np.array([[0.5 ** 0.5, 0.0, 0.0, 0.5 ** 0.5]])).round(6).tolist()
    [1.570796]
    """
    w, x, y, z = rotation_wxyz.T
    yaw: Float64[np.ndarray, " N"] = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return yaw


def shifted(pose: Float64[np.ndarray, "*T 4 4"], shift_m: Float64[np.ndarray, "2"]) -> Float64[np.ndarray, "*T 4 4"]:
    """Move poses in the horizontal plane."""
    moved = pose.copy()
    moved[..., :2, 3] += shift_m
    return moved
