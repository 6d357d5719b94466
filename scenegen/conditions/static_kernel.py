"""What each pixel sees of ground and voxels, row by row. Compiled with numba.

Every pixel gets what `raycast.cast_ground` and `raycast.cast_voxels` would give it, to the bit; they are called only
for the few pixels that `kerbs.look_at_ground` and `column_walk.walk_columns` leave open.

Short loops over rows of plain arrays, not one loop over pixels: where arrays are passed on per pixel, numba counts
references per pixel, which costs more than the rays.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.bits import next_power_of_two
from scenegen.conditions.column_walk import MISS, TIE, UNSURE, cross_slabs, make_room, walk_columns
from scenegen.conditions.kerbs import UNSURE as UNSURE_GROUND
from scenegen.conditions.kerbs import look_at_ground
from scenegen.conditions.open_space import choose_sides, first_slabs, slope_range
from scenegen.conditions.raycast import FAR_M, NO_HIT, cast_ground, cast_ray
from scenegen.conditions.surfaces import FACE_UP, SURFACE_GROUND, SURFACE_NONE, SURFACE_VOXEL
from scenegen.conditions.upright_kernel import NO_COLUMNS, WHOLE, is_upright, scan_upright
from scenegen.types.taxonomy import Material

KERB = int(Material.KERB)
GRASS = int(Material.GRASS)


@njit(cache=True, nogil=True, error_model="numpy")
def find_static(world, cells, table, camera, depth, surface, face, detail):  # type: ignore[no-untyped-def]
    """Fill `depth`, `surface`, `face` and `detail` of every pixel with the nearest of ground and voxels.

    `world` is from `packing.pack_world`, `cells` are `kerbs.cells_to_raised` of its ground, `camera` is
    (world_from_cam, rays), `table` is room for the table of `open_space` with the bins per unit of s that it
    should have. `depth` is FAR_M where nothing is hit. `face` is the side of the ground or voxel that is seen;
    `detail` (ix, iy, iz) for a voxel, (material, ...) for ground, else as it was.
    """
    masks, origin_m, voxel_m, num_levels, ground, raised, corner_m, cell_m, kerb_m = world
    world_from_cam, rays = camera
    height, width = depth.shape
    inv = 1.0 / voxel_m
    o, start = np.empty(3), np.empty(3)
    for a in range(3):
        o[a] = world_from_cam[a, 3]
        start[a] = (o[a] - origin_m[a]) * inv
    num_x, num_y = masks.shape
    is_inside = 0.0 <= start[0] < num_x and 0.0 <= start[1] < num_y and TIE < start[2] < num_levels - TIE
    is_above = o[2] > kerb_m and raised[GRASS]
    ground_depth = o[2] * inv + TIE if o[2] >= 0.0 else NO_HIT
    rows, is_open, bins_per_s, columns_seen = table
    for q in range(4):
        for w in range(is_open.shape[1]):
            is_open[q, w] = False
    s_low, s_high = slope_range(world_from_cam, rays)
    bins = (rows, is_open, s_low, min(bins_per_s, rows.shape[2] / (s_high - s_low + TIE)))
    directions, aim = np.empty((3, width)), np.empty((3, width))
    t = np.empty(width)
    sums = (np.empty(width), np.empty(width), np.empty(width), np.empty(width, np.int64))
    side, material, state = np.empty(width, np.uint8), np.empty(width, np.uint8), np.empty(width, np.uint8)
    first = np.empty(width, np.uint16)
    voxel = np.empty((3, width), np.int64)
    room = make_room(width)
    for u in range(width):
        material[u] = UNSURE_GROUND
        state[u] = UNSURE
    scans = is_inside and columns_seen != NO_COLUMNS and is_upright(world_from_cam)
    for v in range(height):
        if not scans or v == 0:
            aim_row(world_from_cam, rays, v, directions)
        else:
            raise_row(world_from_cam, rays, columns_seen, v, directions)
        if is_above:
            look_at_ground(ground, cells, corner_m, 1.0 / cell_m, kerb_m, o, directions, GRASS, t, material)
        place_ground(world, o, directions, material, v, t, surface, face, detail)
        if is_inside and not scans:
            choose_sides(directions, aim, side)
            first_slabs(masks, num_levels, start, ground_depth, bins, aim, side, first)
            cross_slabs(masks, num_levels, start, voxel_m, aim, side, t, first, state, voxel, room)
            walk_columns(masks, num_levels, start, voxel_m, aim, side, t, first, state, voxel)
        if not scans:
            place_voxels(world, start, o, directions, state, voxel, v, t, sums, surface, face, detail)
        for u in range(width):
            depth[v, u] = t[u]
    if scans:
        scan_upright(world, world_from_cam, rays, columns_seen, depth, surface, face, detail)


@njit(cache=True, nogil=True, error_model="numpy")
def aim_row(world_from_cam, rays, v, directions):  # type: ignore[no-untyped-def]
    """Fill the directions, in the world, of the rays of a row."""
    m = world_from_cam
    for u in range(rays.shape[1]):
        x, y = rays[v, u, 0], rays[v, u, 1]
        directions[0, u] = m[0, 0] * x + m[0, 1] * y + m[0, 2]
        directions[1, u] = m[1, 0] * x + m[1, 1] * y + m[1, 2]
        directions[2, u] = m[2, 0] * x + m[2, 1] * y + m[2, 2]


@njit(cache=True, nogil=True, error_model="numpy")
def raise_row(world_from_cam, rays, columns, v, directions):  # type: ignore[no-untyped-def]
    """As `aim_row` for upright cameras, whose rows differ in one direction only."""
    m = world_from_cam
    dz = m[2, 0] * rays[v, 0, 0] + m[2, 1] * rays[v, 0, 1] + m[2, 2]
    for u in range(rays.shape[1]):
        directions[2, u] = dz if columns == WHOLE or rays[v, u, 1] == rays[v, 0, 1] else math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def place_ground(world, o, directions, material, v, t, surface, face, detail):  # type: ignore[no-untyped-def]
    """Enter the ground that a row sees, walking the rays left open; `t` becomes how far voxels are of interest."""
    _, _, _, _, ground, raised, corner_m, cell_m, kerb_m = world
    d = np.empty(3)
    for u in range(directions.shape[1]):
        face[v, u] = FACE_UP
        found = np.int64(material[u])
        if math.isnan(directions[2, u]):
            t[u] = NO_HIT
        elif material[u] == UNSURE_GROUND:
            d[0], d[1], d[2] = directions[0, u], directions[1, u], directions[2, u]
            t[u], walked, axis = cast_ground(ground, raised, corner_m, cell_m, kerb_m, o, d, GRASS)
            found = np.int64(walked)
            if axis != 2:
                found = np.int64(KERB)
                face[v, u] = 2 * axis + (1 if d[axis] > 0.0 else 0)
        if t[u] < FAR_M:
            surface[v, u] = SURFACE_GROUND
            detail[v, u, 0] = found
        else:
            surface[v, u] = SURFACE_NONE
            t[u] = FAR_M


@njit(cache=True, nogil=True, error_model="numpy")
def place_voxels(world, start, o, directions, state, voxel, v, t, sums, surface, face, detail):  # type: ignore[no-untyped-def]
    """Enter the voxels that a row sees, casting the rays left open. `sums` is room for `add_up`."""
    masks, origin_m, voxel_m, num_levels, _, _, _, _, _ = world
    total, delta, adds, place = sums
    count = 0
    for u in range(directions.shape[1]):
        axis = np.int64(state[u])
        if axis == MISS:
            continue
        if axis == UNSURE:
            dx, dy, dz = directions[0, u], directions[1, u], directions[2, u]
            if math.isnan(dz):
                continue
            found, ix, iy, iz, axis = cast_ray(
                masks, origin_m[0], origin_m[1], origin_m[2], voxel_m, num_levels, o[0], o[1], o[2], dx, dy, dz, t[u]
            )
            if found < t[u]:
                t[u] = found
                surface[v, u] = SURFACE_VOXEL
                detail[v, u, 0], detail[v, u, 1], detail[v, u, 2] = ix, iy, iz
                face[v, u] = FACE_UP if axis == 3 else 2 * axis + (1 if directions[axis, u] > 0.0 else 0)
            continue
        is_ahead = directions[axis, u] > 0.0
        k = voxel[axis, u]
        surface[v, u] = SURFACE_VOXEL
        detail[v, u, 0], detail[v, u, 1], detail[v, u, 2] = voxel[0, u], voxel[1, u], voxel[2, u]
        face[v, u] = 2 * axis + (1 if is_ahead else 0)
        if axis < 2:
            own = int(math.floor(start[axis]))
            edge_m = origin_m[axis] + voxel_m * (own + (1 if is_ahead else 0))
            total[count] = (edge_m - o[axis]) / directions[axis, u]
            delta[count] = voxel_m / abs(directions[axis, u])
            adds[count] = abs(k - own) - 1
            place[count] = u
            count += 1
        else:
            t[u] = (origin_m[2] + voxel_m * (k + (0 if is_ahead else 1)) - o[2]) / directions[2, u]
    add_up(total[:count], delta[:count], adds[:count])
    for i in range(count):
        t[place[i]] = total[i]


@njit(cache=True, nogil=True, error_model="numpy")
def add_up(t, delta, adds):  # type: ignore[no-untyped-def]
    """Add `delta` to `t` `adds` times, one after the other as a walk does: a product would round differently.

    Between two powers of two all sums lie on one grid, so that after one addition there each further one adds the same:
    `delta` rounded to the grid, ties included (they end on even numbers). Those are added at once, as an exact product.
    """
    left = 1
    while left > 0:
        left = 0
        for i in range(len(t)):
            x, step, n = t[i], delta[i], adds[i]
            x += step if n > 0.0 else 0.0
            x += step if n > 1.0 else 0.0
            x += step if n > 2.0 else 0.0
            n -= 3.0
            limit = next_power_of_two(x)
            fits = np.floor((limit - x) / step) - 1.0
            fits = fits if x - 0.5 * limit > 1.5 * step else 0.0
            fits = fits if fits < n else n
            fits = fits if fits > 0.0 else 0.0
            t[i] = x + fits * ((x + step) - x)
            n -= fits
            adds[i] = n
            left += 1 if n > 0.0 else 0
