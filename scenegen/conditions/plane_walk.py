"""The first voxel on each ray of an upright plane, by one walk over columns for all of them. Compiled with numba.

The beams of a LiDAR that fire together lie in such a plane: seen from above they are one line, and only their slopes
differ. So one walk finds the columns that the line crosses, jumps over open ground (`kerbs.cells_to_raised` of the
columns where anything stands), and looks at single rays only where a column's voxels are within their heights.

It answers as `raycast.cast_voxels` does, or says that it cannot: see `column_walk`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.bits import highest_set, lowest_set
from scenegen.conditions.column_walk import MISS, TIE, UNSURE, first_level, is_near_integer

STEEPEST = 1.0 - 1e-6
"""Of a line that moves on by less than a column across for each column along, beyond doubt."""


@njit(cache=True, nogil=True, inline="always")
def is_between(word, low, high):  # type: ignore[no-untyped-def]
    """Return whether levels of a column may lie between two heights in voxels."""
    return word != 0 and lowest_set(word) <= high + TIE and highest_set(word) + 1 >= low - TIE


@njit(cache=True, nogil=True, error_model="numpy")
def walk_plane(columns, start, d_x, d_y, slope, x_most, state, voxel, active):  # type: ignore[no-untyped-def]
    """Find the first occupied voxel on each ray, nearer than `x_most`.

    `columns` are (masks of occupied levels, `kerbs.cells_to_raised` of what is not empty, number of levels). Fills
    `state`, and where it is a face's axis (0, 1, 2) the `voxel` (3, R) entered through that face. `start`, inside
    the grid, is in voxels from its origin; (d_x, d_y) is the rays' common direction seen from above. Slopes rise; they
    and `x_most` are per voxel along the longer of the two. `active` is room for R indices.
    """
    masks, gaps, num_levels = columns
    num_rays = len(slope)
    state[:] = UNSURE
    major = 0 if abs(d_x) >= abs(d_y) else 1
    minor = 1 - major
    along, across = (d_x, d_y) if major == 0 else (d_y, d_x)
    m = across / abs(along)
    step = 1 if along > 0.0 else -1
    num_slabs, num_across = masks.shape[major], masks.shape[minor]
    start_z = start[2]
    slab = int(math.floor(start[major]))
    x = slab + 1 - start[major] if step > 0 else start[major] - slab
    low, high = start_z + min(slope[0], 0.0), start_z + max(slope[-1], 0.0)
    for y in (start[minor], start[minor] + m * x):
        j = int(math.floor(y))
        if is_near_integer(y) or not 0 <= j < num_across:
            return
        if is_between(masks[slab, j] if major == 0 else masks[j, slab], low, high):
            return
    slab += step
    x_far = 0.0
    for r in range(num_rays):
        active[r], state[r] = r, MISS
        x_far = max(x_far, x_most[r])
    first, last = 0, num_rays
    while first < last and x <= x_far + TIE:
        y = start[minor] + m * x
        j = int(math.floor(y))
        if not (0 <= slab < num_slabs and 0 <= j < num_across):
            break
        gap = int(gaps[slab, j] if major == 0 else gaps[j, slab])
        free = gap - 1 if abs(m) < STEEPEST else gap - 2
        if free > 0:
            slab += step * free
            x += free
            continue
        y_next = y + m
        j_next = int(math.floor(y_next))
        if is_near_integer(y) or is_near_integer(y_next):
            for i in range(first, last):
                state[active[i]] = UNSURE
            break
        word = masks[slab, j] if major == 0 else masks[j, slab]
        beyond = word
        if j_next != j:
            beyond = np.uint64(0)
            if 0 <= j_next < num_across:
                beyond = masks[slab, j_next] if major == 0 else masks[j_next, slab]
        while first < last and x > x_most[active[first]] + TIE:
            first += 1
        if first == last:
            break
        low = start_z + slope[active[first]] * (x + 1.0 if slope[active[first]] < 0.0 else x)
        high = start_z + slope[active[last - 1]] * (x + 1.0 if slope[active[last - 1]] > 0.0 else x)
        if is_between(word, low, high) or is_between(beyond, low, high):
            kept = first
            x_far = 0.0
            both = word | beyond
            bottom, top = lowest_set(both), highest_set(both) + 1
            part = (max(j, j_next) - y) / m if j_next != j else 1.0
            for i in range(first, last):
                r = active[i]
                found, level = enter_slab(word, beyond, bottom, top, start_z, slope[r], x, part, x_most[r], num_levels)
                if found == GO_ON:
                    active[kept] = r
                    kept += 1
                    x_far = max(x_far, x_most[r])
                    continue
                if found == ALONG:
                    state[r], voxel[minor, r] = major, j
                elif found == ACROSS:
                    state[r], voxel[minor, r] = minor, j_next
                elif found == UP_HERE:
                    state[r], voxel[minor, r] = 2, j
                elif found == UP_BEYOND:
                    state[r], voxel[minor, r] = 2, j_next
                else:
                    state[r] = found
                voxel[major, r], voxel[2, r] = slab, level
            last = kept
        x += 1.0
        slab += step


ALONG, ACROSS, UP_HERE, UP_BEYOND, GO_ON = 10, 11, 12, 13, 14


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def enter_slab(word, beyond, bottom, top, start_z, slope, x, part, x_most, num_levels):  # type: ignore[no-untyped-def]
    """Return (how, level): what a ray does within a slab, at `x` voxels along; MISS, UNSURE or one of the five above.

    It passes the column `word` and, after `part` of the slab where that is less than 1, `beyond`; nothing in either is
    below the level `bottom` or above `top`.
    """
    z, z_next = start_z + slope * x, start_z + slope * (x + 1.0)
    if x > x_most + TIE or z < -TIE or z > num_levels + TIE:
        return MISS, 0
    if z < TIE or z > num_levels - TIE:
        return UNSURE, 0
    if min(z, z_next) > top + TIE or max(z, z_next) < bottom - TIE:
        return GO_ON, 0
    k = int(z)
    if word >> np.uint64(k) & np.uint64(1) and x < x_most - TIE and not is_near_integer(z):
        return ALONG, k
    turns = part < 1.0
    z_turn = start_z + slope * (x + part) if turns else z_next
    how, reached, k = ALONG, x, -1
    if word != 0:
        k = first_level(word, z, z_turn, num_levels)
        if k >= 0 and k != int(math.floor(z)):
            how, reached = UP_HERE, x + ((k if slope > 0.0 else k + 1) - z) / slope
    if k == -1 and turns and beyond != 0:
        if z_turn < -TIE or z_turn > num_levels + TIE:
            return MISS, 0
        if z_turn < TIE or z_turn > num_levels - TIE:
            return UNSURE, 0
        how, reached = ACROSS, x + part
        k = first_level(beyond, z_turn, z_next, num_levels)
        if k >= 0 and k != int(math.floor(z_turn)):
            how, reached = UP_BEYOND, reached + ((k if slope > 0.0 else k + 1) - z_turn) / slope
    if k == -1:
        return GO_ON, 0
    if k == -2:
        return UNSURE, 0
    if reached > x_most + TIE:
        return MISS, 0
    if reached < x_most - TIE:
        return how, k
    return UNSURE, 0
