"""The static world of a log from its accumulated sweeps: which voxels something stands in, and of what kind.

Rules, in this order:

1. Points of the car itself and within 0.3 m of an agent's box are left out (`moments`).
2. Ground: the lowest tenth of the heights in squares of 2 m, no more than 0.6 m above the lowest of the seven by seven
   squares around. Points up to 0.3 m above it are ground.
3. A voxel stands where two points fell into it, or one beside a neighbour with another.
4. Kind: of the points one is kept per cell of 0.15 m. Where its twenty nearest lie in a plane or on a line (least
   eigenvalue of their covariance below 4 % of the sum), it votes for manmade, elsewhere for vegetation. Votes are
   summed over five by five columns. What this gets wrong: fine metalwork and clutter, which are scattered, and clipped
   hedges, which are flat.
5. Manmade columns are filled from the ground to their highest return, except where a beam passed.
6. What reaches the highest beams goes on above them, where no beam passed: manmade columns to the top of the world
   (25.6 m), vegetation to 8 m. Nobody saw that; it is nearer to the truth than sky, and masked as not known.
7. Open ground is paved where it was seen within 0.3 m of the plane and no vegetation is within 1.2 m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from scipy import ndimage

from scenegen.geometry.rigid import transform_points
from scenegen.logs.moments import StepPoints
from scenegen.logs.surface import drivable_columns
from scenegen.types import OCC3D_GRID, GridSpec, Layout, OpenGround, SolidClass, WorldVoxels

GROUND_CELL_M = 2.0
LOWEST_SHARE = 0.1
STEP_UP_M = 0.6
AROUND_CELLS = 7
ABOVE_GROUND_M = 0.3
THINNED_M = 0.15
NUM_NEIGHBOURS = 20
FLAT_SHARE = 0.04
VOTING_COLUMNS = 5
NEAR_PLANE_M = 0.3
LEAFY_WITHIN_COLUMNS = 3
TOPMOST_QUANTILE, TOPMOST_RAD = 0.998, 0.026
"""Points this close to a sweep's highest ones are at the upper rim of what its beams reach."""
HIGHEST_TREE_M = 8.0


@dataclass(frozen=True, kw_only=True)
class SeenWorld:
    """What sweeps tell of a world.

    Attributes:
        voxels: what stands.
        is_seen: voxels that a beam crossed or hit; nothing is known of the others.
        is_drivable: columns of the roadway, as seen.
        is_walkway: columns of other paved ground that the source calls so; none where nothing does.
        grid: of all.
    """

    voxels: WorldVoxels
    is_seen: Bool[np.ndarray, "X Y Z"]
    is_drivable: Bool[np.ndarray, "X Y"]
    is_walkway: Bool[np.ndarray, "X Y"]
    grid: GridSpec

    def known_from(self, world_from_ego: Float64[np.ndarray, "4 4"]) -> Bool[np.ndarray, "X Y Z"]:
        """Return which voxels of the occupancy view from a pose are known; the ground's layer where its column is."""
        centers_ego_m = np.moveaxis(np.indices(OCC3D_GRID.shape), 0, -1) + 0.5
        centers_ego_m = np.array(OCC3D_GRID.origin_m) + OCC3D_GRID.voxel_m * centers_ego_m
        centers_m = transform_points(world_from_ego, centers_ego_m)
        centers_m[..., 2] = np.where(centers_m[..., 2] > -self.grid.voxel_m, np.maximum(centers_m[..., 2], 0.0), -1e3)
        index, is_inside = index_of(centers_m, self.grid)
        return np.asarray(is_inside & self.is_seen[tuple(np.where(is_inside[..., None], index, 0).T)].T)


def index_of(
    points_m: Float64[np.ndarray, "*N 3"], grid: GridSpec
) -> tuple[Int64[np.ndarray, "*N 3"], Bool[np.ndarray, "*N"]]:
    """Return the voxel of every point, and whether it is in the grid."""
    index = np.floor((points_m - np.array(grid.origin_m)) / grid.voxel_m).astype(np.int64)
    return index, np.asarray(((index >= 0) & (index < np.array(grid.shape))).all(axis=-1))


def build_lidar_world(steps: Sequence[StepPoints], layout: Layout, *, grid: GridSpec) -> SeenWorld:
    """Accumulate sweeps into the voxels of a world."""
    from scenegen.occupancy.traverse import mark_returns

    is_seen = np.zeros(grid.shape, np.bool_)
    for step_idx, step in enumerate(steps):
        sensor_m = transform_points(layout.ego.world_from_ego[step_idx], step.sensor_ego_m)
        mark_returns(is_seen, np.array(grid.origin_m), grid.voxel_m, sensor_m, step.points_world_m)
    points_m = np.concatenate([step.points_world_m[step.is_static] for step in steps])
    is_topmost = np.concatenate([_is_topmost(step)[step.is_static] for step in steps])
    in_grid = index_of(points_m * [1.0, 1.0, 0.0], grid)[1]
    points_m, is_topmost = points_m[in_grid], is_topmost[in_grid]
    above_m = points_m[:, 2] - _ground_height_m(points_m, grid)
    is_low = above_m < ABOVE_GROUND_M
    standing_m = points_m[~is_low]
    index, is_inside = index_of(standing_m, grid)
    index, standing_m, is_topmost = index[is_inside], standing_m[is_inside], is_topmost[~is_low][is_inside]
    counts = np.zeros(grid.shape, np.uint16)
    np.add.at(counts, tuple(index.T), 1)
    stands = _without_lone_points(counts)
    is_leafy = _is_leafy(standing_m, index, grid)
    is_passed = is_seen & (counts == 0)
    leaves, manmade = stands & is_leafy[..., None], stands & ~is_leafy[..., None]
    is_cut = np.zeros(grid.shape[:2], np.bool_)
    is_cut[tuple(index[is_topmost, :2].T)] = True
    manmade = _filled_down(manmade, is_passed)
    manmade = _filled_up(manmade, is_cut, is_passed, top=grid.shape[2])
    leaves = _filled_up(leaves, is_cut, is_passed, top=round(HIGHEST_TREE_M / grid.voxel_m))
    solid = np.zeros(grid.shape, np.uint8)
    solid[leaves], solid[manmade] = SolidClass.VEGETATION, SolidClass.MANMADE
    return SeenWorld(
        voxels=WorldVoxels(
            solid=solid,
            ground=_open_ground(points_m[is_low], solid, grid),
            origin_world_m=(float(grid.origin_m[0]), float(grid.origin_m[1])),
            voxel_m=grid.voxel_m,
            is_recorded=True,
        ),
        is_seen=is_seen,
        is_drivable=drivable_columns(points_m[is_low], layout, grid=grid),
        is_walkway=np.zeros(grid.shape[:2], np.bool_),
        grid=grid,
    )


def _ground_height_m(points_m: Float64[np.ndarray, "P 3"], grid: GridSpec) -> Float64[np.ndarray, " P"]:
    """Return the height of the ground beneath every point."""
    cells = np.floor((points_m[:, :2] - np.array(grid.origin_m[:2])) / GROUND_CELL_M).astype(np.int64)
    shape = tuple(int(np.ceil(length * grid.voxel_m / GROUND_CELL_M)) + 1 for length in grid.shape[:2])
    code = cells[:, 0] * shape[1] + cells[:, 1]
    order = np.lexsort((points_m[:, 2], code))
    starts = np.flatnonzero(np.r_[True, np.diff(code[order]) != 0]) if len(order) else np.zeros(0, np.int64)
    counts = np.diff(np.r_[starts, len(order)])
    lowest = order[starts + np.floor(LOWEST_SHARE * (counts - 1)).astype(np.int64)]
    height = np.full(shape, np.inf)
    height[tuple(cells[lowest].T)] = points_m[lowest, 2]
    around = ndimage.minimum_filter(height, AROUND_CELLS, mode="constant", cval=np.inf)
    return np.minimum(height, around + STEP_UP_M)[tuple(cells.T)]


def _without_lone_points(counts: np.ndarray) -> Bool[np.ndarray, "X Y Z"]:
    occupied = counts > 0
    around = ndimage.uniform_filter(occupied.astype(np.float32), 3, mode="constant") * 27.0
    return np.asarray(occupied & ((counts >= 2) | (around > 1.5)))


def _is_leafy(
    points_m: Float64[np.ndarray, "P 3"], index: Int64[np.ndarray, "P 3"], grid: GridSpec
) -> Bool[np.ndarray, "X Y"]:
    """Return the columns in and around which more points lie scattered than in planes."""
    from scipy.spatial import cKDTree

    votes = np.zeros(grid.shape[:2], np.float32)
    _, kept = np.unique(np.floor(points_m / THINNED_M).astype(np.int64), axis=0, return_index=True)
    points_m, index = points_m[kept], index[kept]
    if len(points_m) > NUM_NEIGHBOURS:
        _, near = cKDTree(points_m).query(points_m, k=NUM_NEIGHBOURS)
        parts = points_m[near] - points_m[near].mean(axis=1, keepdims=True)
        eigenvalues = np.linalg.eigvalsh(np.einsum("pki,pkj->pij", parts, parts))
        is_flat = eigenvalues[:, 0] < FLAT_SHARE * eigenvalues.sum(axis=1)
        np.add.at(votes, tuple(index[:, :2].T), np.where(is_flat, -1.0, 1.0).astype(np.float32))
    return np.asarray(ndimage.uniform_filter(votes, VOTING_COLUMNS, mode="constant") > 1e-3)


def _filled_down(manmade: Bool[np.ndarray, "X Y Z"], is_passed: Bool[np.ndarray, "X Y Z"]) -> Bool[np.ndarray, "X Y Z"]:
    """Fill columns below their highest voxel, except where a beam passed without a return."""
    below = np.logical_or.accumulate(manmade[..., ::-1], axis=2)[..., ::-1]
    return np.asarray(manmade | (below & ~is_passed))


def _filled_up(
    solid: Bool[np.ndarray, "X Y Z"],
    is_cut: Bool[np.ndarray, "X Y"],
    is_passed: Bool[np.ndarray, "X Y Z"],
    *,
    top: int,
) -> Bool[np.ndarray, "X Y Z"]:
    """Fill columns that were cut off above their highest voxel, up to a level, except where a beam passed."""
    above = np.logical_or.accumulate(solid, axis=2) & is_cut[..., None] & ~is_passed
    above[..., top:] = False
    return np.asarray(solid | above)


def _is_topmost(step: StepPoints) -> Bool[np.ndarray, " P"]:
    """Return the points at the upper rim of a sweep's field of view."""
    from_sensor_m = step.points_ego_m - step.sensor_ego_m
    elevation_rad = np.arctan2(from_sensor_m[:, 2], np.hypot(from_sensor_m[:, 0], from_sensor_m[:, 1]))
    return np.asarray(elevation_rad > np.quantile(elevation_rad, TOPMOST_QUANTILE) - TOPMOST_RAD)


def _open_ground(
    low_m: Float64[np.ndarray, "P 3"], solid: UInt8[np.ndarray, "X Y Z"], grid: GridSpec
) -> UInt8[np.ndarray, "X Y"]:
    ground = np.full(grid.shape[:2], OpenGround.TERRAIN, np.uint8)
    flat_m = low_m[np.abs(low_m[:, 2]) < NEAR_PLANE_M] * [1.0, 1.0, 0.0]
    index, _ = index_of(flat_m, grid)
    seen = np.zeros(grid.shape[:2], np.bool_)
    seen[tuple(index[:, :2].T)] = True
    leafy = ndimage.binary_dilation((solid == SolidClass.VEGETATION).any(axis=2), iterations=LEAFY_WITHIN_COLUMNS)
    ground[ndimage.binary_closing(seen, iterations=2) & ~leafy] = OpenGround.PAVED
    return ground
