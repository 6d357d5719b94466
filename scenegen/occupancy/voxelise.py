"""Solids to voxels: by voxel centre, and by sampling where a solid is thinner than a voxel."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int32, UInt8, UInt16

from scenegen.occupancy.compiled import compiled

FIRST_GROUND, LAST_GROUND = 11, 14
"""Occ3D classes of the ground, DRIVEABLE_SURFACE to TERRAIN; solids never replace them."""


@compiled
def mark_solids(
    semantics: UInt8[np.ndarray, "X Y Z"],
    instance: Int32[np.ndarray, "X Y Z"],
    origin_m: Float64[np.ndarray, "3"],
    voxel_m: float,
    kind: UInt8[np.ndarray, " N"],
    grid_from_shape: Float64[np.ndarray, "N 4 4"],
    half_extent_m: Float64[np.ndarray, "N 3"],
    taper: Float64[np.ndarray, "N 2"],
    semantic: UInt8[np.ndarray, " N"],
    shape_instance: UInt16[np.ndarray, " N"],
) -> None:
    """Mark the voxels of N solids in place, in order; the ground is left as it is.

    A voxel belongs to a solid if its centre lies inside, or if one of the points of a lattice in the solid, at most
    half a voxel apart, lies in the voxel (solids thinner than a voxel only).
    """
    for n in range(len(kind)):
        pose, half = grid_from_shape[n], half_extent_m[n]
        first, last = np.empty(3, np.int64), np.empty(3, np.int64)
        for axis in range(3):
            reach = abs(pose[axis, 0]) * half[0] + abs(pose[axis, 1]) * half[1] + abs(pose[axis, 2]) * half[2]
            centre = (pose[axis, 3] - origin_m[axis]) / voxel_m
            first[axis] = max(0, int(np.floor(centre - reach / voxel_m)))
            last[axis] = min(semantics.shape[axis], int(np.floor(centre + reach / voxel_m)) + 1)
        for i in range(first[0], last[0]):
            for j in range(first[1], last[1]):
                for k in range(first[2], last[2]):
                    dx = origin_m[0] + (i + 0.5) * voxel_m - pose[0, 3]
                    dy = origin_m[1] + (j + 0.5) * voxel_m - pose[1, 3]
                    dz = origin_m[2] + (k + 0.5) * voxel_m - pose[2, 3]
                    u = (pose[0, 0] * dx + pose[1, 0] * dy + pose[2, 0] * dz) / half[0]
                    v = (pose[0, 1] * dx + pose[1, 1] * dy + pose[2, 1] * dz) / half[1]
                    w = (pose[0, 2] * dx + pose[1, 2] * dy + pose[2, 2] * dz) / half[2]
                    if _is_inside(kind[n], u, v, w, taper[n]):
                        _mark(semantics, instance, i, j, k, semantic[n], shape_instance[n])
        if 2.0 * min(half[0], half[1], half[2]) < voxel_m:
            _sample_thin(
                semantics, instance, origin_m, voxel_m, kind[n], pose, half, taper[n], semantic[n], shape_instance[n]
            )


@compiled
def _sample_thin(
    semantics: UInt8[np.ndarray, "X Y Z"],
    instance: Int32[np.ndarray, "X Y Z"],
    origin_m: Float64[np.ndarray, "3"],
    voxel_m: float,
    kind: int,
    pose: Float64[np.ndarray, "4 4"],
    half: Float64[np.ndarray, "3"],
    taper: Float64[np.ndarray, "2"],
    semantic: int,
    shape_instance: int,
) -> None:
    """Mark the voxels that lattice points of one solid fall into."""
    count = np.empty(3, np.int64)
    for axis in range(3):
        count[axis] = max(1, int(np.ceil(2.0 * half[axis] / (0.5 * voxel_m))))
    for a in range(count[0]):
        u = (2.0 * a + 1.0) / count[0] - 1.0
        for b in range(count[1]):
            v = (2.0 * b + 1.0) / count[1] - 1.0
            for c in range(count[2]):
                w = (2.0 * c + 1.0) / count[2] - 1.0
                if not _is_inside(kind, u, v, w, taper):
                    continue
                x, y, z = u * half[0], v * half[1], w * half[2]
                at_i = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3] - origin_m[0]
                at_j = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3] - origin_m[1]
                at_k = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3] - origin_m[2]
                i, j, k = int(np.floor(at_i / voxel_m)), int(np.floor(at_j / voxel_m)), int(np.floor(at_k / voxel_m))
                if 0 <= i < semantics.shape[0] and 0 <= j < semantics.shape[1] and 0 <= k < semantics.shape[2]:
                    _mark(semantics, instance, i, j, k, semantic, shape_instance)


@compiled
def _is_inside(kind: int, u: float, v: float, w: float, taper: Float64[np.ndarray, "2"]) -> bool:
    """Return whether a point in units of the half extents lies in a solid of this kind."""
    if kind == 1:  # ELLIPSOID
        return u * u + v * v + w * w <= 1.0
    if abs(u) > 1.0 or abs(v) > 1.0 or abs(w) > 1.0:
        return False
    if kind == 2:  # CYLINDER
        return u * u + v * v <= 1.0
    if kind == 3:  # WEDGE
        up = (w + 1.0) / 2.0
        return bool(-1.0 + taper[1] * up <= u <= 1.0 - taper[0] * up)
    return True


@compiled
def _mark(
    semantics: UInt8[np.ndarray, "X Y Z"],
    instance: Int32[np.ndarray, "X Y Z"],
    i: int,
    j: int,
    k: int,
    semantic: int,
    shape_instance: int,
) -> None:
    if FIRST_GROUND <= semantics[i, j, k] <= LAST_GROUND:
        return
    semantics[i, j, k] = semantic
    instance[i, j, k] = shape_instance
