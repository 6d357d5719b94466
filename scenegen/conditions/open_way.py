"""How far rays that fall run free of voxels: one short walk spares all rays of an upright plane their own.

The walk looks at every voxel's length along the plane, at columns and their eight neighbours. A ray within
`MAX_ASIDE` voxels of the plane crosses no column that the walk has not looked at, so that "free" is never wrong.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.raycast import lowest_bit

NO_LEVEL = 64
MAX_ASIDE = 0.25
"""In voxels. With half a voxel between a point and the nearest one that was looked at, less than a whole voxel."""


@njit(cache=True, nogil=True)
def lowest_levels_nearby(masks):  # type: ignore[no-untyped-def]
    """Return the lowest occupied level of each column and its eight neighbours, one column wider on each side.

    `masks` are columns packed to words; `NO_LEVEL` where nothing stands.
    """
    num_x, num_y = masks.shape
    lowest = np.full((num_x + 2, num_y + 2), NO_LEVEL, np.uint8)
    for i in range(num_x):
        for j in range(num_y):
            if masks[i, j] == 0:
                continue
            level = lowest_bit(masks[i, j])
            for x in range(i, i + 3):
                for y in range(j, j + 3):
                    lowest[x, y] = min(lowest[x, y], level)
    return lowest


@njit(cache=True, nogil=True)
def open_way_m(lowest, origin_m, voxel_m, start_m, along_x, along_y, reach_m):  # type: ignore[no-untyped-def]
    """Return how far, along a level unit vector, rays that do not rise meet no occupied voxel; at most `reach_m`."""
    num_x, num_y = lowest.shape
    x = (start_m[0] - origin_m[0]) / voxel_m + 1.0
    y = (start_m[1] - origin_m[1]) / voxel_m + 1.0
    highest = math.floor((start_m[2] - origin_m[2]) / voxel_m) + 1
    for step in range(int(math.ceil(reach_m / voxel_m)) + 1):
        i, j = int(math.floor(x + step * along_x)), int(math.floor(y + step * along_y))
        if 0 <= i < num_x and 0 <= j < num_y and lowest[i, j] != NO_LEVEL and lowest[i, j] <= highest:
            return (step - 0.5) * voxel_m
    return reach_m
