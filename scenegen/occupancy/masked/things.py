"""Voxels to things: which columns are one building, which are walls and hedges, where trees stand.

A sampled world has classes only. What is drawn per thing (facades, colours, instances) needs things, found here by
shape alone, so the same voxels give the same things.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Int64
from scipy import ndimage

WALL_LEVELS = 6
"""A manmade piece no higher than this (2.4 m) and thin is a wall."""
WALL_HALF_COLUMNS = 1.5
HEDGE_LEVELS = 5
LEAST_COLUMNS = 6
SMALL_PART = 9
"""Roof parts of fewer columns go to the neighbour they share most with."""
ENCLOSED_SHARE = 0.55
ROOF_STEP_LEVELS, ROOF_STEP_SHARE = 3, 0.3
"""A slice of a pitched roof shares more of its border with the next one than a house of a row with its neighbour."""
SLIMMEST_TREE = 2.5
"""Smallest half width of a canopy, in columns."""


def without_specks(voxels: Bool[np.ndarray, "X Y Z"]) -> Bool[np.ndarray, "X Y Z"]:
    """Return voxels without pieces of fewer than LEAST_COLUMNS columns: no wall, hedge or canopy is that small."""
    labels, count = ndimage.label(voxels.any(axis=2), structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return np.asarray(voxels & (sizes >= LEAST_COLUMNS)[labels][..., None])


def split_buildings(top: Int64[np.ndarray, "X Y"]) -> Int32[np.ndarray, "X Y"]:
    """Divide manmade columns into buildings, numbered from 1; 0 where there is none.

    `top` is the number of levels up to the highest manmade voxel, 0 without. Columns of equal height that touch are a
    roof part. Parts are one building if they are slices of a pitched roof, if one lies in the other (parapets, plant
    rooms), or if one is tiny.
    """
    parts = _parts_of_equal_height(top)
    for rule in (_join_slices, _join_enclosed, _join_enclosed):
        parts = rule(parts, top)
    return _renumber(parts)


def is_wall(columns: Bool[np.ndarray, "X Y"], *, levels: int) -> bool:
    """Return whether a piece is low and thin."""
    return levels <= WALL_LEVELS and float(ndimage.distance_transform_edt(np.pad(columns, 1)).max()) <= (
        WALL_HALF_COLUMNS
    )


def is_hedge(low: Int64[np.ndarray, "X Y"], top: Int64[np.ndarray, "X Y"]) -> Bool[np.ndarray, "X Y"]:
    """Return the columns whose vegetation begins at the ground and is low; `top` is 0 where there is none."""
    return (top > 0) & (low == 0) & (top <= HEDGE_LEVELS)


@dataclass(frozen=True, kw_only=True)
class Canopy:
    """One tree's canopy, in columns and levels.

    Attributes:
        middle: (i, j) of its axis, in columns from the corner of column (0, 0).
        radius: half its width in columns.
        low, high: levels where it begins and ends.
    """

    middle: tuple[float, float]
    radius: float
    low: int
    high: int


def find_trees(low: Int64[np.ndarray, "X Y"], top: Int64[np.ndarray, "X Y"]) -> list[Canopy]:
    """Return the canopies of all vegetation columns (`top` above 0), the widest of each piece first.

    The widest disc that fits the piece is a tree; it is taken away, and again, until what is left is too narrow.
    """
    pieces, _ = ndimage.label(top > 0, structure=np.ones((3, 3)))
    trees: list[Canopy] = []
    for index, window in enumerate(ndimage.find_objects(pieces), start=1):
        mask = np.pad(pieces[window] == index, 1)
        corner = np.array([window[0].start - 1, window[1].start - 1])
        left = mask.copy()
        while left.any():
            distance = ndimage.distance_transform_edt(left)
            middle = np.array(np.unravel_index(int(np.argmax(distance)), distance.shape))
            radius = float(distance[tuple(middle)])
            if radius < SLIMMEST_TREE and left.sum() < mask.sum():
                break
            i, j = np.nonzero(mask)
            near = (i - middle[0]) ** 2 + (j - middle[1]) ** 2 <= (radius + 0.5) ** 2
            at = (i[near] + corner[0], j[near] + corner[1])
            trees.append(
                Canopy(
                    middle=(float(middle[0] + corner[0]) + 0.5, float(middle[1] + corner[1]) + 0.5),
                    radius=radius,
                    low=int(low[at].min()),
                    high=int(top[at].max()),
                )
            )
            left[i[near], j[near]] = False
    return trees


def _parts_of_equal_height(top: Int64[np.ndarray, "X Y"]) -> Int32[np.ndarray, "X Y"]:
    parts = np.zeros(top.shape, np.int32)
    count = 0
    for height in np.unique(top[top > 0]):
        labels, found = ndimage.label(top == height)
        parts[labels > 0] = labels[labels > 0] + count
        count += found
    return parts


@dataclass(frozen=True, kw_only=True)
class _Borders:
    """Pairs of parts that touch (each pair both ways), with the number of edges they share, and all edges of a part."""

    first: Int64[np.ndarray, " P"]
    second: Int64[np.ndarray, " P"]
    shared: Int64[np.ndarray, " P"]
    perimeter: Int64[np.ndarray, " N"]


def _borders_of(parts: Int32[np.ndarray, "X Y"]) -> _Borders:
    padded = np.pad(parts, 1).astype(np.int64)
    count = int(padded.max()) + 1
    pairs = [(padded[1:], padded[:-1]), (padded[:, 1:], padded[:, :-1])]
    a = np.concatenate([x.ravel() for pair in pairs for x in pair])
    b = np.concatenate([x.ravel() for pair in pairs for x in pair[::-1]])
    differ = (a != b) & (a > 0)
    codes, shared = np.unique(a[differ] * count + b[differ], return_counts=True)
    perimeter = np.bincount(a[differ], minlength=count)
    first, second = codes // count, codes % count
    inner = second > 0
    return _Borders(first=first[inner], second=second[inner], shared=shared[inner], perimeter=perimeter)


def _join_slices(parts: Int32[np.ndarray, "X Y"], top: Int64[np.ndarray, "X Y"]) -> Int32[np.ndarray, "X Y"]:
    borders = _borders_of(parts)
    height = np.zeros(len(borders.perimeter), np.int64)
    height[parts] = top
    close = np.abs(height[borders.first] - height[borders.second]) <= ROOF_STEP_LEVELS
    close &= borders.shared >= ROOF_STEP_SHARE * borders.perimeter[borders.first]
    return _join(parts, borders.first[close], borders.second[close])


def _join_enclosed(parts: Int32[np.ndarray, "X Y"], top: Int64[np.ndarray, "X Y"]) -> Int32[np.ndarray, "X Y"]:
    """Join a part with the one that it shares most of its border with, or any border where it is tiny."""
    borders = _borders_of(parts)
    size = np.bincount(parts.ravel(), minlength=len(borders.perimeter))
    inside = borders.shared >= ENCLOSED_SHARE * borders.perimeter[borders.first]
    order = np.lexsort((borders.second, -borders.shared, borders.first))
    most = np.zeros(len(borders.first), np.bool_)
    most[order[np.unique(borders.first[order], return_index=True)[1]]] = True
    joined = inside | (most & (size[borders.first] < SMALL_PART))
    return _join(parts, borders.first[joined], borders.second[joined])


def _join(
    parts: Int32[np.ndarray, "X Y"], first: Int64[np.ndarray, " P"], second: Int64[np.ndarray, " P"]
) -> Int32[np.ndarray, "X Y"]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = int(parts.max()) + 1
    graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    joined = component.astype(np.int32)[parts]
    return np.where(parts > 0, joined, 0).astype(np.int32)


def _renumber(parts: Int32[np.ndarray, "X Y"]) -> Int32[np.ndarray, "X Y"]:
    """Number the parts from 1 in the order of their first column."""
    values, first, inverse = np.unique(parts, return_index=True, return_inverse=True)
    order = np.argsort(np.where(values == 0, -1, first))
    rank = np.empty(len(values), np.int32)
    rank[order] = np.arange(len(values), dtype=np.int32) + (0 if values[0] == 0 else 1)
    return rank[inverse.reshape(parts.shape)]
