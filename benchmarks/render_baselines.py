"""What people use instead of a renderer of their own: a mesh and Open3D, a walk per voxel in numba, marching in torch.

All of them see the voxels of a world and a flat ground at z = 0 around them; classes are Occ3D's, 17 for the sky.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from numba import njit
from torch import Tensor

from scenegen.errors import ConfigError
from scenegen.types import Semantic, World

FREE, TERRAIN = int(Semantic.FREE), int(Semantic.TERRAIN)
FAR_M = 1500.0
STEP_M, NUM_STEPS = 0.2, 280
"""Of marching, as far as a camera looks in occupancy data sets."""


def import_open3d() -> Any:
    """Import Open3D, an optional package.

    Raises:
        ConfigError: it is not installed, or a system library that it links is missing.
    """
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise ConfigError(
            "open3d, the baseline of this benchmark",
            found=str(error),
            fix="install scenegen[open3d] and run make system-libs",
        ) from error
    return open3d


def ground_classes(world: World) -> UInt8[np.ndarray, "X Y"]:
    """Return the class of each cell of the ground."""
    classes = np.full(32, Semantic.TERRAIN, np.uint8)
    classes[1:5] = Semantic.DRIVEABLE_SURFACE
    classes[5] = Semantic.OTHER_FLAT
    classes[6:8] = Semantic.SIDEWALK
    return classes[world.ground]


class MeshScene:
    """A world's visible faces as triangles, with the tree that Open3D builds over them."""

    def __init__(self, world: World) -> None:
        open3d = import_open3d()
        corners, self._classes = visible_faces(world)
        num_faces = len(corners) // 4
        first = 4 * np.arange(num_faces, dtype=np.uint32)[:, None]
        triangles = (first + np.array([[0, 1, 2, 0, 2, 3]], np.uint32)).reshape(-1, 3)
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(open3d.core.Tensor(corners), open3d.core.Tensor(triangles))
        self._tensor = open3d.core.Tensor
        self._ground = ground_classes(world)
        self._world = world

    def cast(self, rays: Float32[np.ndarray, "N 6"]) -> tuple[UInt8[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
        """Return class and depth, inf for the sky, along rays; the first call builds the tree."""
        hits = self._scene.cast_rays(self._tensor(rays), nthreads=1)
        depth_m = hits["t_hit"].numpy()
        face = hits["primitive_ids"].numpy() // 2
        semantic = self._classes[np.minimum(face, len(self._classes) - 1)]
        semantic[~np.isfinite(depth_m)] = FREE
        on_ground = np.flatnonzero((face == len(self._classes) - 1) & np.isfinite(depth_m))
        points = rays[on_ground, :2] + depth_m[on_ground, None] * rays[on_ground, 3:5]
        semantic[on_ground] = look_up(self._ground, points, self._world)
        return semantic, depth_m


def look_up(ground: UInt8[np.ndarray, "X Y"], points: np.ndarray, world: World) -> UInt8[np.ndarray, " N"]:
    """Return the classes of the ground under points; terrain around the raster."""
    index = np.floor((points - world.ground_origin_m) / world.ground_cell_m).astype(np.int64)
    inside = ((index >= 0) & (index < ground.shape)).all(axis=1)
    index = np.clip(index, 0, np.array(ground.shape) - 1)
    return np.where(inside, ground[index[:, 0], index[:, 1]], np.uint8(Semantic.TERRAIN))


def visible_faces(world: World) -> tuple[Float32[np.ndarray, "M 3"], UInt8[np.ndarray, " F"]]:
    """Return four corners of each face between an occupied and a free voxel, and its class; the ground comes last."""
    semantics, grid = world.semantics, world.grid
    occupied = np.pad(semantics != FREE, 1)
    corners, classes = [], []
    for axis in range(3):
        across = [np.eye(3, dtype=np.float32)[(axis + turn) % 3] for turn in (1, 2)]
        square = np.stack([0 * across[0], across[0], across[0] + across[1], across[1]])
        for side in (0, 1):
            beyond = np.roll(occupied, 1 if side == 0 else -1, axis=axis)
            index = np.argwhere((occupied & ~beyond)[1:-1, 1:-1, 1:-1])
            base = index.astype(np.float32)
            base[:, axis] += side
            corners.append((base[:, None] + square[None]).reshape(-1, 3))
            classes.append(semantics[tuple(index.T)])
    far = 2.0 * FAR_M
    ground = np.array([[-far, -far, 0], [far, -far, 0], [far, far, 0], [-far, far, 0]], np.float32)
    placed = np.concatenate(corners) * np.float32(grid.voxel_m) + np.array(grid.origin_m, np.float32)
    return np.concatenate([placed, ground]), np.concatenate([*classes, np.zeros(1, np.uint8)])


def walk_voxels(
    world: World, origins: Float64[np.ndarray, "N 3"], directions: Float64[np.ndarray, "N 3"]
) -> tuple[UInt8[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
    """Walk every ray from voxel to voxel (Amanatides and Woo, 1987), and meet the ground in closed form."""
    semantic = np.empty(len(origins), np.uint8)
    depth_m = np.empty(len(origins), np.float32)
    _walk(
        world.semantics,
        tuple(world.grid.origin_m),
        world.grid.voxel_m,
        ground_classes(world),
        tuple(world.ground_origin_m),
        world.ground_cell_m,
        origins,
        directions,
        semantic,
        depth_m,
    )
    return semantic, depth_m


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(semantics, low, voxel_m, ground, corner, cell_m, origins, directions, semantic, depth_m):  # type: ignore[no-untyped-def]
    num_x, num_y, num_z = semantics.shape
    for ray in range(len(origins)):
        ox, oy, oz = origins[ray, 0], origins[ray, 1], origins[ray, 2]
        dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
        semantic[ray], depth_m[ray] = FREE, np.inf
        t_end = FAR_M
        if dz < 0.0:
            t = -oz / dz
            if t < FAR_M:
                t_end = t
                i = int(math.floor((ox + t * dx - corner[0]) / cell_m))
                j = int(math.floor((oy + t * dy - corner[1]) / cell_m))
                is_inside = 0 <= i < ground.shape[0] and 0 <= j < ground.shape[1]
                semantic[ray], depth_m[ray] = ground[i, j] if is_inside else TERRAIN, t
        ax, bx = (low[0] - ox) / dx, (low[0] + num_x * voxel_m - ox) / dx
        ay, by = (low[1] - oy) / dy, (low[1] + num_y * voxel_m - oy) / dy
        az, bz = (low[2] - oz) / dz, (low[2] + num_z * voxel_m - oz) / dz
        t = max(max(min(ax, bx), min(ay, by)), max(min(az, bz), 0.0))
        t_end = min(min(max(ax, bx), max(ay, by)), min(max(az, bz), t_end))
        if t >= t_end:
            continue
        x = min(max(int(math.floor((ox + t * dx - low[0]) / voxel_m)), 0), num_x - 1)
        y = min(max(int(math.floor((oy + t * dy - low[1]) / voxel_m)), 0), num_y - 1)
        z = min(max(int(math.floor((oz + t * dz - low[2]) / voxel_m)), 0), num_z - 1)
        step_x, step_y, step_z = 1 if dx > 0.0 else -1, 1 if dy > 0.0 else -1, 1 if dz > 0.0 else -1
        next_x = (low[0] + voxel_m * (x + (1 if dx > 0.0 else 0)) - ox) / dx
        next_y = (low[1] + voxel_m * (y + (1 if dy > 0.0 else 0)) - oy) / dy
        next_z = (low[2] + voxel_m * (z + (1 if dz > 0.0 else 0)) - oz) / dz
        add_x, add_y, add_z = voxel_m / abs(dx), voxel_m / abs(dy), voxel_m / abs(dz)
        while True:
            found = semantics[x, y, z]
            if found != FREE:
                semantic[ray], depth_m[ray] = found, t
                break
            if next_x < next_y and next_x < next_z:
                t = next_x
                next_x += add_x
                x += step_x
                if x < 0 or x >= num_x:
                    break
            elif next_y < next_z:
                t = next_y
                next_y += add_y
                y += step_y
                if y < 0 or y >= num_y:
                    break
            else:
                t = next_z
                next_z += add_z
                z += step_z
                if z < 0 or z >= num_z:
                    break
            if t >= t_end:
                break


def march(
    world: World, origins: Float64[np.ndarray, "N 3"], directions: Float64[np.ndarray, "N 3"]
) -> tuple[Int64[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
    """Sample the voxels' classes every 0.2 m along rays with `grid_sample`, to the nearest voxel; the first one counts.

    Ground is where a sample lies under z = 0. Depth is that of the sample, so up to a step too far.
    """
    grid = world.grid
    volume = torch.from_numpy(world.semantics.astype(np.float32) - FREE).permute(2, 1, 0)[None, None]
    start, heading = torch.from_numpy(origins).float(), torch.from_numpy(directions).float()
    per_m = torch.linalg.vector_norm(heading, dim=1, keepdim=True)
    distance_m = STEP_M * torch.arange(1, NUM_STEPS + 1)
    points = start[:, None] + (heading / per_m)[:, None] * distance_m[:, None]
    low = torch.tensor(grid.origin_m)
    size = torch.tensor(grid.shape) * grid.voxel_m
    where = 2.0 * (points - low) / size - 1.0
    sampled = sample_nearest(volume, where)
    is_ground = points[..., 2] < 0.0
    stops = (sampled != 0.0) | is_ground
    has_hit, first = stops.any(dim=1), stops.int().argmax(dim=1)
    found = sampled.gather(1, first[:, None])[:, 0] + FREE
    found = torch.where(is_ground.gather(1, first[:, None])[:, 0], float(Semantic.TERRAIN), found)
    depth_m = distance_m[first] / per_m[:, 0]
    semantic = torch.where(has_hit, found, float(FREE)).long()
    return semantic.numpy(), torch.where(has_hit, depth_m, torch.inf).numpy()


def sample_nearest(volume: Tensor, where: Tensor) -> Tensor:
    """Return the volume's value at points in -1..1, zero outside it."""
    sampled = torch.nn.functional.grid_sample(
        volume, where[None, None], mode="nearest", padding_mode="zeros", align_corners=False
    )
    return sampled[0, 0, 0]
