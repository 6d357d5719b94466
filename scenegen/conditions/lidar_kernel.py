"""One sweep of a spinning LiDAR by exact ray casting: what each beam hits, and what comes back. Compiled with numba.

A packed scan is (first_azimuth_rad, azimuth_step_rad, num_azimuths, first_elevation_rad, elevation_step_rad,
num_beams): beam r at azimuth k looks along elevation first + r * step, azimuth first + k * step of frame `lidar`.
Directions have length one, so a ray's parameter is its range in metres.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.lidar_static import cast_static
from scenegen.conditions.raycast import NO_HIT
from scenegen.conditions.solid_kernel import enter_solid, into_solid, out_of_solid
from scenegen.conditions.surfaces import SURFACE_GROUND, SURFACE_NONE, SURFACE_SHAPE, SURFACE_VOXEL
from scenegen.conditions.view_kernel import FOLIAGE, STATIC

ANGLE_MARGIN_RAD = 1e-9
RANGE_MARGIN_M = 1e-6


@njit(cache=True, nogil=True)
def scan_window(half, lidar_from_solid, scan):  # type: ignore[no-untyped-def]
    """Return (first azimuth, one past the last, first beam, one past the last) that a solid's box may meet.

    Azimuths may lie outside 0..num_azimuths and are meant modulo it. Conservative: the box's upright cylinder.
    """
    first_azimuth, azimuth_step, num_azimuths, first_elevation, elevation_step, num_beams = scan
    m = lidar_from_solid
    radius, low_z, high_z = 0.0, NO_HIT, -NO_HIT
    for corner in range(8):
        x = half[0] if corner & 1 else -half[0]
        y = half[1] if corner & 2 else -half[1]
        z = half[2] if corner & 4 else -half[2]
        radius = max(
            radius,
            math.hypot(m[0, 0] * x + m[0, 1] * y + m[0, 2] * z, m[1, 0] * x + m[1, 1] * y + m[1, 2] * z),
        )
        height = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        low_z, high_z = min(low_z, height), max(high_z, height)
    distance = math.hypot(m[0, 3], m[1, 3])
    if distance <= radius + 1e-6:
        return 0, num_azimuths, 0, num_beams
    middle = math.atan2(m[1, 3], m[0, 3])
    reach = math.asin(radius / distance) + ANGLE_MARGIN_RAD
    k0 = int(math.ceil((middle - reach - first_azimuth) / azimuth_step))
    k1 = int(math.floor((middle + reach - first_azimuth) / azimuth_step)) + 1
    low = math.atan2(low_z, distance - radius if low_z < 0.0 else distance + radius) - ANGLE_MARGIN_RAD
    high = math.atan2(high_z, distance - radius if high_z > 0.0 else distance + radius) + ANGLE_MARGIN_RAD
    r0 = max(int(math.ceil((low - first_elevation) / elevation_step)), 0)
    r1 = min(int(math.floor((high - first_elevation) / elevation_step)) + 1, num_beams)
    return k0, min(k1, k0 + num_azimuths), r0, r1


@njit(cache=True, nogil=True, inline="always")
def aim(world_from_lidar, direction, d):  # type: ignore[no-untyped-def]
    """Set `d` to a direction of frame `lidar` in the world."""
    m, x, y, z = world_from_lidar, direction[0], direction[1], direction[2]
    d[0] = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z
    d[1] = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z
    d[2] = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z


@njit(cache=True, nogil=True)
def cast_sweep(world, gaps, solids, lidar, reach_m, range_m, surface, detail, facing):  # type: ignore[no-untyped-def]
    """Fill range, kind and detail (as `view_kernel.find_solids`) and the cosine of incidence of every beam.

    Arrays are indexed [azimuth, beam]. `lidar` is (world_from_lidar, lidar_from_world, packed scan, directions);
    `gaps` are `lidar_static.measure_gaps` of the world.
    """
    cast_static(world, gaps, lidar, reach_m, range_m, surface, detail, facing)
    cast_solids(solids, lidar, reach_m, range_m, surface, detail, facing)


@njit(cache=True, nogil=True)
def cast_solids(solids, lidar, reach_m, range_m, surface, detail, facing):  # type: ignore[no-untyped-def]
    """Cast the beams to the solids that they may meet, in front of what they hit so far; see `cast_sweep`."""
    kind, half, taper, world_from_shape = solids
    world_from_lidar, lidar_from_world, scan, directions = lidar
    num_azimuths = range_m.shape[0]
    o = world_from_lidar[:3, 3].copy()
    d = np.empty(3)
    lidar_from_solid = np.empty((3, 4))
    for s in range(len(kind)):
        m, size = world_from_shape[s], half[s]
        away_x, away_y, away_z = o[0] - m[0, 3], o[1] - m[1, 3], o[2] - m[2, 3]
        nearest_m = math.sqrt(away_x**2 + away_y**2 + away_z**2) - math.sqrt(size[0] ** 2 + size[1] ** 2 + size[2] ** 2)
        if nearest_m > reach_m:
            continue
        chain(lidar_from_world, m, lidar_from_solid)
        k0, k1, r0, r1 = scan_window(size, lidar_from_solid, scan)
        ox, oy, oz = into_solid(m, away_x, away_y, away_z)
        for k in range(k0, k1):
            column = k % num_azimuths
            for r in range(r0, r1):
                if range_m[column, r] < nearest_m - RANGE_MARGIN_M:
                    continue
                aim(world_from_lidar, directions[column, r], d)
                dx, dy, dz = into_solid(m, d[0], d[1], d[2])
                t, nx, ny, nz = enter_solid(kind[s], size, taper[s], ox, oy, oz, dx, dy, dz)
                if t < range_m[column, r]:
                    range_m[column, r], surface[column, r], detail[column, r, 0] = t, SURFACE_SHAPE, s
                    nx, ny, nz = out_of_solid(m, nx, ny, nz)
                    facing[column, r] = abs(d[0] * nx + d[1] * ny + d[2] * nz)


@njit(cache=True, nogil=True)
def chain(a_from_b, b_from_c, a_from_c):  # type: ignore[no-untyped-def]
    """Fill the upper three rows of a product of rigid transforms."""
    for row in range(3):
        for column in range(4):
            total = a_from_b[row, 3] if column == 3 else 0.0
            for inner in range(3):
                total += a_from_b[row, inner] * b_from_c[inner, column]
            a_from_c[row, column] = total


@njit(cache=True, nogil=True, inline="always")
def scrambled(key, number):  # type: ignore[no-untyped-def]
    """Return a 64-bit hash of a number under a key. Source: Steele et al., SplitMix64, 2014."""
    z = key + np.uint64(number) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


MOST_DEVIATIONS = 7.0
"""`standard_normal` stays below: sqrt(2 ln 2^33) = 6.76."""


@njit(cache=True, nogil=True)
def standard_normal(key, number):  # type: ignore[no-untyped-def]
    """Return a draw for a number under a key. Source: Box and Muller, 1958."""
    bits = scrambled(key, number)
    radius = math.sqrt(-2.0 * math.log((bits >> np.uint64(32)) * 2.0**-32 + 2.0**-33))
    return radius * math.cos(2.0 * math.pi * ((bits & np.uint64(0xFFFFFFFF)) * 2.0**-32))


@njit(cache=True, nogil=True)
def intensity_of(reflectivity, facing, range_m, share):  # type: ignore[no-untyped-def]
    """Return the intensity of a return; the model is in `scenegen.conditions.lidar`."""
    return min(reflectivity * (0.2 + 0.8 * facing) * math.exp(-range_m / 100.0) * (0.9 + 0.2 * share), 1.0)


@njit(cache=True, nogil=True)
def into_box(box_from_lidar, half, margin_m, p):  # type: ignore[no-untyped-def]
    """Move a point of frame `lidar`, in place, to at least `margin_m` inside a box."""
    b = box_from_lidar
    q = np.empty(3)
    for a in range(3):
        inner = max(half[a] - margin_m, 0.0)
        q[a] = b[a, 0] * p[0] + b[a, 1] * p[1] + b[a, 2] * p[2] + b[a, 3]
        q[a] = min(max(q[a], -inner), inner)
    for a in range(3):
        p[a] = b[0, a] * (q[0] - b[0, 3]) + b[1, a] * (q[1] - b[1, 3]) + b[2, a] * (q[2] - b[2, 3])


@njit(cache=True, nogil=True)
def is_inside(box_from_lidar, half, margin_m, x, y, z):  # type: ignore[no-untyped-def]
    """Return whether a point of frame `lidar` lies in a box grown by `margin_m`."""
    b = box_from_lidar
    if abs(b[0, 0] * x + b[0, 1] * y + b[0, 2] * z + b[0, 3]) > half[0] + margin_m:
        return False
    if abs(b[1, 0] * x + b[1, 1] * y + b[1, 2] * z + b[1, 3]) > half[1] + margin_m:
        return False
    return abs(b[2, 0] * x + b[2, 1] * y + b[2, 2] * z + b[2, 3]) <= half[2] + margin_m


@njit(cache=True, nogil=True)
def describe_returns(tables, solid_tables, materials, boxes, beams, keys, limits, hits, out, counts):  # type: ignore[no-untyped-def]
    """Turn hits into returns, in firing order; returns how many there are. See `scenegen.conditions.lidar`.

    `boxes` are (box_from_lidar, half extents, which agents stand still while the sensor turns, boxes near each
    azimuth), `beams` are (origins (K, 3), directions (K, R, 3)) in frame `lidar` at the step. `counts` gets, added, the
    points in each box. Only what agents return can lie in one, and only in the boxes near its azimuth: it was moved by
    less than `boxes_per_azimuth` grew them.
    """
    column_instance, static_material = tables
    shape_instance, shape_material = solid_tables
    reflectivity, transparent = materials
    box_from_lidar, half, is_still, near = boxes
    key = keys
    min_range_m, reach_m, inner_m, outer_m, noise_m, drop_out_scale = limits
    origins, directions = beams
    range_m, surface, detail, facing = hits
    points, intensity, ring, instance_out, azimuth = out
    num_azimuths, num_beams = range_m.shape
    p = np.empty(3)
    count = 0
    for k in range(num_azimuths):
        for r in range(num_beams):
            distance = range_m[k, r]
            if surface[k, r] == SURFACE_NONE or distance < min_range_m:
                continue
            instance = 0
            if surface[k, r] == SURFACE_GROUND:
                material = detail[k, r, 0]
            elif surface[k, r] == SURFACE_VOXEL:
                row = column_instance[detail[k, r, 0], detail[k, r, 1]]
                instance, material = STATIC + row, static_material[row]
            else:
                instance, material = shape_instance[detail[k, r, 0]], shape_material[detail[k, r, 0]]
            towards = 1.0 if material == FOLIAGE else facing[k, r]
            bits = scrambled(key, k * num_beams + r)
            lost = 0.02 + 0.6 * (distance / reach_m) ** 2 * (1.0 - reflectivity[material] * (0.2 + 0.8 * towards))
            if transparent[material]:
                lost += 0.6
            if (bits >> np.uint64(32)) * 2.0**-32 < drop_out_scale * lost:
                continue
            for a in range(3):
                p[a] = origins[k, a] + distance * directions[k, r, a]
            of_agent = 0 < instance < STATIC
            b = instance - 1
            is_held = of_agent and (is_still[b] or is_inside(box_from_lidar[b], half[b], outer_m, p[0], p[1], p[2]))
            if noise_m > 0.0:
                error_m = noise_m * standard_normal(key, (num_azimuths + k) * num_beams + r)
                for a in range(3):
                    p[a] += error_m * directions[k, r, a]
            if is_held:
                into_box(box_from_lidar[b], half[b], inner_m, p)
            elif not of_agent and is_in_any(near, k, box_from_lidar, half, outer_m, p):
                continue
            points[count, 0], points[count, 1], points[count, 2] = p[0], p[1], p[2]
            if of_agent:
                count_near(near, k, box_from_lidar, half, points[count], counts)
            share = (bits & np.uint64(0xFFFFFFFF)) * 2.0**-32
            intensity[count] = intensity_of(reflectivity[material], towards, distance, share)
            ring[count], instance_out[count], azimuth[count] = r, instance, k
            count += 1
    return count


@njit(cache=True, nogil=True)
def boxes_per_azimuth(lidar_from_box, half, is_present, outer_m, scan, num_beside):  # type: ignore[no-untyped-def]
    """List the boxes, grown by `outer_m`, that each azimuth or one of `num_beside` on either side of it may meet.

    Returns (start per azimuth, box indices), a compressed table.
    """
    num_azimuths = scan[2]
    windows = np.zeros((len(half), 2), np.int64)
    start = np.zeros(num_azimuths + 1, np.int64)
    for b in range(len(half)):
        if not is_present[b]:
            continue
        k0, k1, _, _ = scan_window(half[b] + outer_m, lidar_from_box[b], scan)
        windows[b, 0], windows[b, 1] = k0 - num_beside, min(k1 + num_beside, k0 - num_beside + num_azimuths)
        for k in range(windows[b, 0], windows[b, 1]):
            start[k % num_azimuths + 1] += 1
    start = np.cumsum(start)
    fill = start.copy()
    members = np.zeros(start[-1], np.int32)
    for b in range(len(half)):
        for k in range(windows[b, 0], windows[b, 1]):
            members[fill[k % num_azimuths]] = b
            fill[k % num_azimuths] += 1
    return start, members


@njit(cache=True, nogil=True)
def is_in_any(near, k, box_from_lidar, half, margin_m, p):  # type: ignore[no-untyped-def]
    """Return whether a point at azimuth k lies in a box grown by `margin_m`."""
    start, members = near
    for i in range(start[k], start[k + 1]):
        b = members[i]
        if is_inside(box_from_lidar[b], half[b], margin_m, p[0], p[1], p[2]):
            return True
    return False


@njit(cache=True, nogil=True)
def count_near(near, k, box_from_lidar, half, point, counts):  # type: ignore[no-untyped-def]
    """Add a stored point (float32) to the counts of the boxes at azimuth k that hold it."""
    start, members = near
    x, y, z = np.float64(point[0]), np.float64(point[1]), np.float64(point[2])
    for i in range(start[k], start[k + 1]):
        b = members[i]
        if is_inside(box_from_lidar[b], half[b], 0.0, x, y, z):
            counts[b] += 1


@njit(cache=True, nogil=True)
def count_inside(points, box_from_lidar, half, is_present, counts):  # type: ignore[no-untyped-def]
    """Add to `counts` the points of frame `lidar` that lie in each box, faces included."""
    for b in range(len(half)):
        if not is_present[b]:
            continue
        for i in range(len(points)):
            x, y, z = np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2])
            if is_inside(box_from_lidar[b], half[b], 0.0, x, y, z):
                counts[b] += 1
