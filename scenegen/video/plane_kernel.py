"""Write the planes of a pixel side by side, in one pass.

`torch.cat` and copies into slices take several times as long: their parts are a few numbers wide.
"""

from __future__ import annotations

import numpy as np
from numba import njit

ONE, ZERO = np.float32(1.0), np.float32(0.0)
BOX_LIMIT = np.float32(0.75)
TWO = np.float32(2.0)


@njit(cache=True, nogil=True)
def write_planes(material, semantic, row, wall, looks, kinds, num_materials, vectors, facades, slab, scalars, out):  # type: ignore[no-untyped-def]
    """Fill `out` (P, C) in the order of `planes.build_planes`, single precision.

    Args:
        material: codes of `Material`, of P pixels.
        semantic: codes of `Semantic`.
        row: rows of `looks`.
        wall: whether it is a wall.
        looks: per appearance its planes; two tables, for what is not a wall and for walls.
        kinds: codes of the classes that have a plane.
        num_materials: how many materials there are.
        vectors: normal, ray and canonical position of each pixel, (P, 3) each.
        facades: (P, F).
        slab: (6, P), of the ground.
        scalars: (S, P).
        out: overwritten.
    """
    normal, ray, canonical = vectors
    others, walls = looks
    num_looks, num_facades = others.shape[1], facades.shape[1]
    for p in range(len(material)):
        pixel = out[p]
        for code in range(num_materials):
            pixel[code] = ZERO
        pixel[material[p]] = ONE
        at = num_materials
        for index in range(len(kinds)):
            pixel[at + index] = ONE if semantic[p] == kinds[index] else ZERO
        at += len(kinds)
        table = walls if wall[p] else others
        for index in range(num_looks):
            pixel[at + index] = table[row[p], index]
        at += num_looks
        for axis in range(3):
            pixel[at + axis] = normal[p, axis]
            pixel[at + 3 + axis] = ray[p, axis]
        at += 6
        for index in range(num_facades):
            pixel[at + index] = facades[p, index]
        at += num_facades
        for axis in range(3):
            inside = min(max(canonical[p, axis], -BOX_LIMIT), BOX_LIMIT) * TWO
            pixel[at + axis] = ZERO if wall[p] else inside
        at += 3
        for index in range(len(slab)):
            pixel[at + index] = slab[index, p]
        at += len(slab)
        for index in range(len(scalars)):
            pixel[at + index] = scalars[index, p]
