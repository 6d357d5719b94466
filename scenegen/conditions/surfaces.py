"""Codes of what a ray hits, shared by the kernels."""

from __future__ import annotations

SURFACE_GROUND, SURFACE_VOXEL, SURFACE_SHAPE, SURFACE_NONE = 0, 1, 2, 3

FACE_UP, FACE_DOWN = 4, 5
"""Sides seen are 0 to 5 for +x, -x, +y, -y, +z, -z."""
