"""What the beams of a sweep meet of ground and voxels, azimuth by azimuth. Compiled with numba.

Every beam gets what `raycast.cast_ground` and `raycast.cast_voxels` would give it, to the bit; they are called only for
the beams that `kerbs.look_at_ground` and `plane_walk.walk_plane` leave open, and for all where the sensor is tilted.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.column_walk import MISS, TIE, UNSURE
from scenegen.conditions.kerbs import UNSURE as UNSURE_GROUND
from scenegen.conditions.kerbs import cells_to_raised, look_at_ground
from scenegen.conditions.plane_walk import walk_plane
from scenegen.conditions.raycast import cast_ground, cast_voxels
from scenegen.conditions.static_kernel import GRASS, KERB, add_up
from scenegen.conditions.surfaces import SURFACE_GROUND, SURFACE_NONE, SURFACE_VOXEL

UPRIGHT = 1e-12
"""Most that a sensor's upward axis leans, as a sine: its planes of beams are upright, and seen from above lines."""


@njit(cache=True, nogil=True)
def measure_gaps(world):  # type: ignore[no-untyped-def]
    """Return how far each ground cell is from a kerb, and each column from the nearest that is not empty."""
    masks, _, _, _, ground, raised, _, _, _ = world
    stands = np.zeros(masks.shape, np.uint8)
    for i in range(masks.shape[0]):
        for j in range(masks.shape[1]):
            stands[i, j] = 1 if masks[i, j] != 0 else 0
    return cells_to_raised(ground, raised), cells_to_raised(stands, np.array([False, True]))


@njit(cache=True, nogil=True, error_model="numpy")
def cast_static(world, gaps, lidar, reach_m, range_m, surface, detail, facing):  # type: ignore[no-untyped-def]
    """Cast every beam to the ground and to the voxels; see `lidar_kernel.cast_sweep`."""
    masks, origin_m, voxel_m, num_levels, ground, raised, corner_m, cell_m, kerb_m = world
    cells_to_kerb, columns_to_voxel = gaps
    world_from_lidar, _, _, directions = lidar
    num_azimuths, num_beams = range_m.shape
    aimed = np.empty((3, num_beams))
    t, slope, x_most = np.empty(num_beams), np.empty(num_beams), np.empty(num_beams)
    size = range_m.size
    sums = (np.empty(size), np.empty(size), np.empty(size), np.empty(size, np.int64))
    count = 0
    material, state = np.empty(num_beams, np.uint8), np.empty(num_beams, np.uint8)
    active = np.empty(num_beams, np.int64)
    voxel = np.empty((3, num_beams), np.int64)
    m = world_from_lidar
    o = m[:3, 3].copy()
    start = (o - origin_m) * (1.0 / voxel_m)
    is_inside = TIE < start[2] < num_levels - TIE
    for a in range(2):
        is_inside = is_inside and 0.0 <= start[a] < masks.shape[a]
    is_upright = abs(m[2, 0]) < UPRIGHT and abs(m[2, 1]) < UPRIGHT and abs(m[2, 2] - 1.0) < UPRIGHT
    columns = (masks, columns_to_voxel, num_levels)
    for k in range(num_azimuths):
        for r in range(num_beams):
            x, y, z = directions[k, r, 0], directions[k, r, 1], directions[k, r, 2]
            aimed[0, r] = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z
            aimed[1, r] = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z
            aimed[2, r] = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z
        if o[2] > kerb_m and raised[GRASS]:
            look_at_ground(ground, cells_to_kerb, corner_m, 1.0 / cell_m, kerb_m, o, aimed, GRASS, t, material)
        else:
            material[:] = UNSURE_GROUND
        place_ground(world, o, aimed, reach_m, material, t, range_m[k], surface[k], detail[k], facing[k])
        if is_inside and is_upright:
            for r in range(num_beams):
                along = max(abs(aimed[0, r]), abs(aimed[1, r]))
                slope[r] = aimed[2, r] / along
                x_most[r] = range_m[k, r] * along * (1.0 / voxel_m)
            walk_plane(columns, start, aimed[0, 0], aimed[1, 0], slope, x_most, state, voxel, active)
        else:
            state[:] = UNSURE
        row = (range_m[k], surface[k], detail[k], facing[k])
        count = place_voxels(world, start, o, aimed, state, voxel, k * num_beams, sums, count, row)
    total, delta, adds, place = sums
    add_up(total[:count], delta[:count], adds[:count])
    for i in range(count):
        range_m.flat[place[i]] = total[i]


@njit(cache=True, nogil=True, error_model="numpy")
def place_ground(world, o, aimed, reach_m, material, t, range_m, surface, detail, facing):  # type: ignore[no-untyped-def]
    """Enter the ground that the beams of an azimuth meet, walking those left open."""
    _, _, _, _, ground, raised, corner_m, cell_m, kerb_m = world
    d = np.empty(3)
    for r in range(len(range_m)):
        range_m[r], surface[r], facing[r] = reach_m, SURFACE_NONE, 0.0
        if not (aimed[2, r] < 0.0 and o[2] + reach_m * aimed[2, r] < kerb_m):
            continue
        found, axis = np.int64(material[r]), 2
        if material[r] == UNSURE_GROUND:
            d[0], d[1], d[2] = aimed[0, r], aimed[1, r], aimed[2, r]
            t[r], walked, axis = cast_ground(ground, raised, corner_m, cell_m, kerb_m, o, d, GRASS)
            found = np.int64(walked) if axis == 2 else np.int64(KERB)
        if t[r] < reach_m:
            range_m[r], surface[r], facing[r], detail[r, 0] = t[r], SURFACE_GROUND, abs(aimed[axis, r]), found


@njit(cache=True, nogil=True, error_model="numpy")
def place_voxels(world, start, o, aimed, state, voxel, offset, sums, count, row):  # type: ignore[no-untyped-def]
    """Enter the voxels that the beams of an azimuth meet, casting those left open.

    Ranges that are still to be added up go to `sums`, after the first `count`; returns how many there are then.
    """
    range_m, surface, detail, facing = row
    masks, origin_m, voxel_m, num_levels, _, _, _, _, _ = world
    total, delta, adds, place = sums
    d = np.empty(3)
    for r in range(len(range_m)):
        axis = np.int64(state[r])
        if axis == MISS:
            continue
        if axis == UNSURE:
            d[0], d[1], d[2] = aimed[0, r], aimed[1, r], aimed[2, r]
            t, ix, iy, _, axis = cast_voxels(masks, origin_m, voxel_m, num_levels, o, d, range_m[r])
            if t < range_m[r]:
                range_m[r], surface[r] = t, SURFACE_VOXEL
                facing[r] = abs(d[axis]) if axis < 3 else 1.0
                detail[r, 0], detail[r, 1] = ix, iy
            continue
        surface[r], facing[r] = SURFACE_VOXEL, abs(aimed[axis, r])
        detail[r, 0], detail[r, 1] = voxel[0, r], voxel[1, r]
        is_ahead = aimed[axis, r] > 0.0
        if axis < 2:
            own = int(math.floor(start[axis]))
            edge_m = origin_m[axis] + voxel_m * (own + (1 if is_ahead else 0))
            total[count] = (edge_m - o[axis]) / aimed[axis, r]
            delta[count] = voxel_m / abs(aimed[axis, r])
            adds[count] = abs(voxel[axis, r] - own) - 1
            place[count] = offset + r
            count += 1
        else:
            edge_m = origin_m[2] + voxel_m * (voxel[2, r] + (0 if is_ahead else 1))
            range_m[r] = (edge_m - o[2]) / aimed[2, r]
    return count
