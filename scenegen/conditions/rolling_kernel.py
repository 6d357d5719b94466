"""A sweep whose azimuths fire one by one, from a sensor on the move, at solids on the move. Compiled with numba.

A solid's motion within a turn is that of its agent: it goes at a steady velocity and turns about the agent's middle at
a steady rate, up to where it stands at the step.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.lidar_kernel import RANGE_MARGIN_M, aim, chain, scan_window
from scenegen.conditions.lidar_static import cast_static
from scenegen.conditions.solid_kernel import enter_solid, into_solid, out_of_solid
from scenegen.conditions.surfaces import SURFACE_SHAPE

BLOCK = 27
"""Azimuths for which the window of beams that may meet a solid is found once."""


@njit(cache=True, nogil=True)
def cast_turn(world, gaps, solids, motion, lidar, reach_m, range_m, surface, detail, facing):  # type: ignore[no-untyped-def]
    """Fill what `lidar_kernel.cast_sweep` fills, each azimuth from its own pose.

    `lidar` is (world_from_lidar (K, 4, 4), their inverses, packed scan, directions); for `motion` see `cast_moving`.
    """
    poses, inverses, scan, directions = lidar
    for k in range(len(poses)):
        own = (poses[k], inverses[k], scan, directions[k : k + 1])
        cast_static(
            world, gaps, own, reach_m, range_m[k : k + 1], surface[k : k + 1], detail[k : k + 1], facing[k : k + 1]
        )
    cast_moving(solids, motion, lidar, reach_m, range_m, surface, detail, facing)


@njit(cache=True, nogil=True)
def cast_moving(solids, motion, lidar, reach_m, range_m, surface, detail, facing):  # type: ignore[no-untyped-def]
    """Cast the beams to moving solids, in front of what they hit so far.

    `motion` is (middle (S, 3), velocity (S, 3) and rate of turn (S,) of each solid's agent, seconds from the step per
    azimuth (K,), most speed and most rate of turn of the sensor).
    """
    kind, half, taper, world_from_shape = solids
    middle, velocity, turn_rate, time_s, _, _ = motion
    poses, _, _, directions = lidar
    num_azimuths = len(poses)
    d, moved, lidar_from_solid = np.empty(3), np.zeros((4, 4)), np.empty((3, 4))
    for s in range(len(kind)):
        size = half[s]
        of_turn = moving_window(s, 0, num_azimuths, solids, motion, lidar, moved, lidar_from_solid)
        if of_turn[0] > reach_m:
            continue
        for first in range(0, num_azimuths, BLOCK):
            last = min(first + BLOCK, num_azimuths)
            if not is_in_window(first, last, of_turn[1], of_turn[2], num_azimuths):
                continue
            nearest_m, k0, k1, r0, r1 = moving_window(s, first, last, solids, motion, lidar, moved, lidar_from_solid)
            if nearest_m > reach_m:
                continue
            for k in range(k0, k1):
                column = k % num_azimuths
                if not first <= column < last:
                    continue
                move_solid(world_from_shape[s], middle[s], velocity[s], turn_rate[s], time_s[column], moved)
                pose = poses[column]
                ox, oy, oz = into_solid(
                    moved, pose[0, 3] - moved[0, 3], pose[1, 3] - moved[1, 3], pose[2, 3] - moved[2, 3]
                )
                for r in range(r0, r1):
                    if range_m[column, r] < nearest_m:
                        continue
                    aim(pose, directions[column, r], d)
                    dx, dy, dz = into_solid(moved, d[0], d[1], d[2])
                    t, nx, ny, nz = enter_solid(kind[s], size, taper[s], ox, oy, oz, dx, dy, dz)
                    if t < range_m[column, r]:
                        range_m[column, r], surface[column, r], detail[column, r, 0] = t, SURFACE_SHAPE, s
                        nx, ny, nz = out_of_solid(moved, nx, ny, nz)
                        facing[column, r] = abs(d[0] * nx + d[1] * ny + d[2] * nz)


@njit(cache=True, nogil=True)
def moving_window(s, first, last, solids, motion, lidar, moved, lidar_from_solid):  # type: ignore[no-untyped-def]
    """Return (least range, window as of `scan_window`) of what azimuths `first` to `last - 1` may meet of solid `s`.

    Solid and sensor stand as in the middle of that time, and the solid is larger by as much as either moves until its
    ends. `moved` and `lidar_from_solid` are overwritten.
    """
    _, half, _, world_from_shape = solids
    middle, velocity, turn_rate, time_s, own_speed, own_rate = motion
    poses, inverses, scan, _ = lidar
    size, m = half[s], world_from_shape[s]
    radius = math.sqrt(size[0] ** 2 + size[1] ** 2 + size[2] ** 2)
    speed = math.sqrt(velocity[s, 0] ** 2 + velocity[s, 1] ** 2 + velocity[s, 2] ** 2)
    arm = math.hypot(m[0, 3] - middle[s, 0], m[1, 3] - middle[s, 1]) + radius
    speed += abs(turn_rate[s]) * arm
    at = (first + last) // 2
    move_solid(m, middle[s], velocity[s], turn_rate[s], time_s[at], moved)
    away = 0.0
    for a in range(3):
        away += (poses[at, a, 3] - moved[a, 3]) ** 2
    away = math.sqrt(away)
    apart_s = max(time_s[last - 1] - time_s[at], time_s[at] - time_s[first])
    slack_m = 1.01 * apart_s * (speed + own_speed + own_rate * (away + radius)) + RANGE_MARGIN_M
    chain(inverses[at], moved, lidar_from_solid)
    k0, k1, r0, r1 = scan_window(size + slack_m, lidar_from_solid, scan)
    return away - radius - slack_m, k0, k1, r0, r1


@njit(cache=True, nogil=True)
def is_in_window(first, last, k0, k1, num_azimuths):  # type: ignore[no-untyped-def]
    """Return whether any of azimuths `first` to `last - 1` is in k0 to k1 - 1 modulo the turn."""
    is_in = False
    for turn in range(-1, 2):
        is_in = is_in or max(first + turn * num_azimuths, k0) < min(last + turn * num_azimuths, k1)
    return is_in


@njit(cache=True, nogil=True)
def move_solid(m, middle, velocity, turn_rate, time_s, moved):  # type: ignore[no-untyped-def]
    """Fill the pose that a solid of pose `m` at time 0 has at another time."""
    sine, cosine = math.sin(turn_rate * time_s), math.cos(turn_rate * time_s)
    for column in range(3):
        moved[0, column] = cosine * m[0, column] - sine * m[1, column]
        moved[1, column] = sine * m[0, column] + cosine * m[1, column]
        moved[2, column] = m[2, column]
    x, y = m[0, 3] - middle[0], m[1, 3] - middle[1]
    moved[0, 3] = middle[0] + velocity[0] * time_s + cosine * x - sine * y
    moved[1, 3] = middle[1] + velocity[1] * time_s + sine * x + cosine * y
    moved[2, 3] = m[2, 3] + velocity[2] * time_s
    moved[3, 3] = 1.0
