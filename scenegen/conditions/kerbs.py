"""Ground without the walk over its cells, wherever no kerb is near. Compiled with numba.

`raycast.cast_ground` walks from where a ray reaches kerb height to where it reaches z = 0, cell by cell. How far each
cell is from the nearest raised one tells in one look that there is no kerb in between, or how far the walk may jump.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.raycast import NO_HIT

MOST_CELLS = 255
UNSURE = 255


@njit(cache=True, nogil=True)
def cells_to_raised(ground, raised):  # type: ignore[no-untyped-def]
    """Return how many cells each cell is from the nearest raised one, counting diagonals as one; at most MOST_CELLS.

    What lies outside the raster counts as raised. Source: Rosenfeld and Pfaltz 1968, distance in two passes.
    """
    num_x, num_y = ground.shape
    cells = np.zeros((num_x + 2, num_y + 2), np.uint8)
    for i in range(1, num_x + 1):
        for j in range(1, num_y + 1):
            if not raised[ground[i - 1, j - 1]]:
                nearest = min(min(cells[i - 1, j - 1], cells[i - 1, j]), min(cells[i - 1, j + 1], cells[i, j - 1]))
                cells[i, j] = min(nearest + 1, MOST_CELLS)
    for i in range(num_x, 0, -1):
        for j in range(num_y, 0, -1):
            if cells[i, j] > 1:
                nearest = min(min(cells[i + 1, j - 1], cells[i + 1, j]), min(cells[i + 1, j + 1], cells[i, j + 1]))
                cells[i, j] = min(cells[i, j], nearest + 1)
    return cells[1:-1, 1:-1].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def look_at_ground(ground, cells, corner_m, per_cell, kerb_m, o, directions, outside, t_ground, material):  # type: ignore[no-untyped-def]
    """Fill t and material where rays from above the kerbs meet the ground's top, as `raycast.cast_ground` to the bit.

    The material is UNSURE where a kerb's face may be in the way: only those rays have to be walked. t is NO_HIT for
    rays that do not fall and for those of NaN. `directions` (3, W) are in the world, `cells` are `cells_to_raised` of
    the ground; `outside`, what lies around it, is raised.
    """
    num_x, num_y = ground.shape
    corner_x, corner_y = corner_m[0], corner_m[1]
    ox, oy, oz = o[0], o[1], o[2]
    for u in range(directions.shape[1]):
        dx, dy, dz = directions[0, u], directions[1, u], directions[2, u]
        t_ground[u] = NO_HIT
        material[u] = outside
        if not dz < 0.0:
            continue
        t = (kerb_m - oz) / dz
        t_ground[u] = t
        i = int(math.floor((ox + t * dx - corner_x) * per_cell))
        j = int(math.floor((oy + t * dy - corner_y) * per_cell))
        if i < 0 or j < 0 or i >= num_x or j >= num_y:
            continue
        gap = np.int64(cells[i, j])
        if gap == 0:
            material[u] = ground[i, j]
            continue
        t_low = -oz / dz
        cells_per_t = max(abs(dx), abs(dy)) * per_cell
        while gap > 1 and (t_low - t) * cells_per_t + 1.01 > gap:
            t += (gap - 1.01) / cells_per_t
            i = int(math.floor((ox + t * dx - corner_x) * per_cell))
            j = int(math.floor((oy + t * dy - corner_y) * per_cell))
            gap = np.int64(cells[i, j] if 0 <= i < num_x and 0 <= j < num_y else 0)
        if (t_low - t) * cells_per_t + 1.01 > gap:
            material[u] = UNSURE
            continue
        t_ground[u] = t_low
        i = int(math.floor((ox + t_low * dx - corner_x) * per_cell))
        j = int(math.floor((oy + t_low * dy - corner_y) * per_cell))
        if 0 <= i < num_x and 0 <= j < num_y:
            material[u] = ground[i, j]
