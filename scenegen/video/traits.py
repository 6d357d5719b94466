"""Appearance codes below the level of an instance: traits of a thing, tones of a window.

They are numbers in 0..1 hashed from (scene, instance) or (instance, bay, storey), so a lit window stays lit
in every step and every camera. The preview shader and the learned network read the same codes; what a code
looks like is the shader's rule, and the network's to learn.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float32, Int
from numba import njit

from scenegen.types import Material, random_key
from scenegen.video.hashing import hash_unit

FACADE = int(Material.FACADE)
WALL = int(Material.WALL)
TRAIT_KEYS = (3, 9, 7, 17, 19)
"""Skin of a wall, shop on the ground floor, face of a sign, tone of skin, tone of hair."""
NUM_TRAITS = len(TRAIT_KEYS)
SHOP_SHARE = 0.6
BLIND_SHARE = 0.38
"""Share of windows with a blind, let down the farther the higher their second tone."""
EDGE_PX = 3.0
"""Distances to edges are told up to this many pixels."""
NUM_FACADE_PLANES = 18
DOOR_SHARE = 0.22
"""Share of ground-floor bays with a door where there is no shop: those with the darkest window tone."""


def trait_salt(seed: int, scene_id: str) -> int:
    """Return the number that makes the traits of one scene differ from another's."""
    return random_key(seed, scene_id, "preview") % 1_000_003


def instance_traits(instances: Int[np.ndarray, " N"], *, salt: int) -> Float32[np.ndarray, "N 5"]:
    """Return the traits of image instance ids."""
    return np.array([[hash_unit(int(i), key, salt) for key in TRAIT_KEYS] for i in instances], np.float32).reshape(
        len(instances), NUM_TRAITS
    )


@njit(cache=True, nogil=True, inline="always")
def cut_px(distance_px):  # type: ignore[no-untyped-def]
    """Cut a distance at EDGE_PX pixels; returns -1..1."""
    return min(EDGE_PX, max(-EDGE_PX, distance_px)) / EDGE_PX


@njit(cache=True, nogil=True, inline="always")
def opening(is_shop, is_door, looks, bay_m, storey_m, storey):  # type: ignore[no-untyped-def]
    """Return half the width of a bay's opening, its lower and upper edge, and half the width of its bar, in metres."""
    if is_shop and is_door:
        return 0.21 * bay_m, 0.02, 0.70 * storey_m, 0.025 * bay_m
    if is_shop:
        return 0.42 * bay_m, 0.45, 0.70 * storey_m, -bay_m
    if is_door:
        return 0.55, 0.18, 2.25, -bay_m
    wide, tall = min(0.94, max(0.2, looks[8])), min(0.90, max(0.2, looks[9]))
    middle = (storey + 0.5) * storey_m
    bar_m = 0.035 if wide * bay_m > 1.0 else -bay_m
    return 0.5 * wide * bay_m, middle - 0.5 * tall * storey_m, middle + 0.5 * tall * storey_m, bar_m


@njit(cache=True, nogil=True)
def facade_planes(material, row, instance, canonical, normal, point, footprint_m, table, out):  # type: ignore[no-untyped-def]
    """Fill the window-grid planes of walls; flat arrays of P pixels, `out` (P, NUM_FACADE_PLANES) zeroed.

    Facade: 0 inside the grid, 1-4 phases of bay and storey, 5-6 two tones of the window, 7 shop, 8 door, 9 tone of the
    shop's sign, 10 phase of brick courses; then distances in pixels, negative inside, cut at EDGE_PX: 11 to the sides
    and 12 to sill and lintel of the opening (window, shop window or door), 15 to the sign board or ledge, 16 to the
    edge of the blind, 17 to the bar in the middle; 13-14 the distance from the middle of bay and storey. Garden wall:
    phases, tones and joints of its blocks. `table` is `planes.join_appearance`.
    """
    turn = 2.0 * math.pi
    for p in range(len(material)):
        if material[p] == WALL:
            along = point[p, 0] * normal[p, 1] - point[p, 1] * normal[p, 0]
            course = math.floor(point[p, 2] * 2.5)
            phase = along * 1.4 + 0.5 * (course % 2.0)
            height = point[p, 2] * 2.5
            out[p, 5] = hash_unit(int(math.floor(phase + 0.5)), int(course), instance[p])
        elif material[p] == FACADE:
            looks = table[row[p]]
            bay_m, storey_m = max(0.8, looks[6]), max(1.5, looks[7])
            u, h = canonical[p, 0], canonical[p, 1]
            along_y = abs(normal[p, 0] * looks[13] + normal[p, 1] * looks[14]) > 0.7
            length = looks[11] if along_y else looks[10]
            bays = math.floor(max(0.0, length - 0.8) / bay_m)
            floors = math.floor((looks[12] - 0.4) / storey_m)
            phase = u / bay_m + 0.5 * bays
            height = h / storey_m
            storey = math.floor(height)
            if 0.0 <= phase < bays and h <= floors * storey_m + 0.12:
                bay = int(math.floor(phase))
                is_shop = storey < 1.0 and looks[16] < SHOP_SHARE
                level = -1 if is_shop else int(storey)
                out[p, 0] = 1.0
                out[p, 5] = hash_unit(bay, level, instance[p])
                out[p, 6] = hash_unit(bay + 71, level, instance[p] + 13)
                if is_shop:
                    out[p, 7] = 1.0
                    out[p, 9] = hash_unit(bay // 3, 5, instance[p])
                is_door = (is_shop and (bay + instance[p]) % 3 == 0) or (
                    not is_shop and storey < 1.0 and out[p, 5] < DOOR_SHARE
                )
                out[p, 8] = 1.0 if is_door else 0.0
            if looks[15] < 0.45:
                out[p, 10] = math.sin(turn * 8.0 * h) * min(1.0, max(0.0, 1.6 - 10.0 * footprint_m[p]))
        else:
            continue
        across = abs(phase - math.floor(phase) - 0.5)
        up = abs(height - math.floor(height) - 0.5)
        if material[p] == FACADE:
            per_px = 1.0 / footprint_m[p]
            half_m, low_m, high_m, bar_m = opening(out[p, 7] > 0.0, out[p, 8] > 0.0, looks, bay_m, storey_m, storey)
            side_px = (across * bay_m - half_m) * per_px
            sill_px = (abs(h - 0.5 * (low_m + high_m)) - 0.5 * (high_m - low_m)) * per_px
            ledge_m = storey_m * (abs(height - math.floor(height + 0.5)) - 0.05)
            if out[p, 7] > 0.0 and height < 0.95:
                ledge_m = storey_m * (abs(height - 0.855) - 0.095)
            blind_m = storey_m
            if out[p, 0] > 0.0 and out[p, 6] < BLIND_SHARE:
                blind_m = high_m - 1.6 * out[p, 6] * (high_m - low_m) - h
            out[p, 15] = cut_px(ledge_m * per_px)
            out[p, 16] = cut_px(blind_m * per_px)
            out[p, 17] = cut_px((across * bay_m - bar_m) * per_px)
        else:
            side_px = (0.5 - across) / (1.4 * footprint_m[p])
            sill_px = (0.5 - up) / (2.5 * footprint_m[p])
        out[p, 11] = cut_px(side_px)
        out[p, 12] = cut_px(sill_px)
        out[p, 13], out[p, 14] = 2.0 * across, 2.0 * up
        out[p, 1], out[p, 2] = math.sin(turn * phase), math.cos(turn * phase)
        out[p, 3], out[p, 4] = math.sin(turn * height), math.cos(turn * height)
