"""A slow ray caster that is obviously right: list every boundary a ray crosses, sort, look between them.

Nothing here is shared with `scenegen.conditions`. Solids are intersected as sets of t-intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenegen.types import RAISED_MATERIALS, STATIC_INSTANCE_OFFSET, Material, Semantic, ShapeKind, ShapeSet, World

FAR_M = 1500.0
GROUND_SEMANTIC = {1: 11, 2: 11, 3: 11, 4: 11, 5: 12, 6: 13, 7: 13, 8: 14}


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What each ray sees: z-depth, class, instance, and for ground its material (else -1)."""

    depth_m: np.ndarray
    semantic: np.ndarray
    instance: np.ndarray
    ground_material: np.ndarray


def first_occupied(crossings: np.ndarray, occupied_at) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return the smallest t after which `occupied_at(t)` holds, given all t where it may change."""
    ts = np.sort(np.clip(crossings, 0.0, FAR_M), axis=1)
    middle = 0.5 * (ts[:, 1:] + ts[:, :-1])
    inside = occupied_at(middle) & (ts[:, 1:] > ts[:, :-1])
    return np.where(inside.any(1), ts[np.arange(len(ts)), inside.argmax(1)], np.inf)


def plane_crossings(o: np.ndarray, d: np.ndarray, planes: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (planes[None] - o[:, None]) / d[:, None]
    return np.where(np.isfinite(t), t, 0.0)


def cast_voxels(world: World, o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grid = world.grid
    origin, shape = np.array(grid.origin_m), np.array(grid.shape)

    def cells(t: np.ndarray) -> np.ndarray:
        return np.floor((o[:, None] + t[..., None] * d[:, None] - origin) / grid.voxel_m).astype(int)

    def occupied(t: np.ndarray) -> np.ndarray:
        index = cells(t)
        inside = ((index >= 0) & (index < shape)).all(-1)
        index = np.clip(index, 0, shape - 1)
        return inside & (world.semantics[index[..., 0], index[..., 1], index[..., 2]] != Semantic.FREE)

    planes = [plane_crossings(o[:, a], d[:, a], origin[a] + grid.voxel_m * np.arange(shape[a] + 1)) for a in range(3)]
    start = np.zeros((len(o), 1))
    t = first_occupied(np.concatenate([start, *planes], axis=1), occupied)
    index = np.clip(cells(np.where(np.isfinite(t), t + 1e-7, 0.0)[:, None])[:, 0], 0, shape - 1)
    return t, index


def cast_ground(world: World, o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ground as solid blocks: each cell reaches from far below up to its height."""
    corner, cell, shape = np.array(world.ground_origin_m), world.ground_cell_m, np.array(world.ground.shape)
    raised_codes = [int(m) for m in RAISED_MATERIALS]

    def material(t: np.ndarray) -> np.ndarray:
        xy = o[:, None, :2] + t[..., None] * d[:, None, :2]
        index = np.floor((xy - corner) / cell).astype(int)
        inside = ((index >= 0) & (index < shape)).all(-1)
        index = np.clip(index, 0, shape - 1)
        return np.where(inside, world.ground[index[..., 0], index[..., 1]], int(Material.GRASS))

    def solid(t: np.ndarray) -> np.ndarray:
        height = np.where(np.isin(material(t), raised_codes), world.kerb_height_m, 0.0)
        return o[:, None, 2] + t * d[:, None, 2] < height

    lines = [plane_crossings(o[:, a], d[:, a], corner[a] + cell * np.arange(shape[a] + 1)) for a in range(2)]
    levels = plane_crossings(o[:, 2], d[:, 2], np.array([0.0, world.kerb_height_m]))
    ends = np.tile([0.0, FAR_M], (len(o), 1))
    t = first_occupied(np.concatenate([ends, *lines, levels], axis=1), solid)
    after = np.where(np.isfinite(t), t + 1e-7, 0.0)[:, None]
    found = material(after)[:, 0]
    z = o[:, 2] + np.where(np.isfinite(t), t, 0.0) * d[:, 2]
    is_raised = np.isin(found, raised_codes)
    from_side = is_raised & (z < world.kerb_height_m - 1e-9)
    return t, np.where(from_side, int(Material.KERB), found)


def half_space(n: np.ndarray, c: float, o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval of t where n . p <= c."""
    rate, gap = d @ n, c - o @ n
    with np.errstate(divide="ignore", invalid="ignore"):
        t = gap / rate
    low = np.where(rate < 0, t, np.where((rate == 0) & (gap < 0), np.inf, -np.inf))
    high = np.where(rate > 0, t, np.inf)
    return low, high


def quadric(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval of t where |o + t d|^2 <= 1."""
    a, b, c = (d * d).sum(1), (o * d).sum(1), (o * o).sum(1) - 1.0
    disc = b * b - a * c
    root = np.sqrt(np.maximum(disc, 0.0))
    miss = disc <= 0
    return np.where(miss, np.inf, (-b - root) / a), np.where(miss, -np.inf, (-b + root) / a)


def enter_solid(shapes: ShapeSet, s: int, o: np.ndarray, d: np.ndarray, near_m: float) -> np.ndarray:
    inverse = np.linalg.inv(shapes.world_from_shape[s])
    o, d = o @ inverse[:3, :3].T + inverse[:3, 3], d @ inverse[:3, :3].T
    hx, hy, hz = shapes.half_extent_m[s]
    kind = shapes.kind[s]
    x, y, z = np.eye(3)
    if kind == ShapeKind.ELLIPSOID:
        intervals = [quadric(o / shapes.half_extent_m[s], d / shapes.half_extent_m[s])]
    elif kind == ShapeKind.CYLINDER:
        flat = np.array([1.0 / hx, 1.0 / hy, 0.0])
        intervals = [quadric(o * flat, d * flat), half_space(z, hz, o, d), half_space(-z, hz, o, d)]
    else:
        front, back = shapes.taper[s] if kind == ShapeKind.WEDGE else (0.0, 0.0)
        lean_front, lean_back = hx * front / (2 * hz), hx * back / (2 * hz)
        intervals = [
            half_space(y, hy, o, d),
            half_space(-y, hy, o, d),
            half_space(z, hz, o, d),
            half_space(-z, hz, o, d),
            half_space(x + lean_front * z, hx - lean_front * hz, o, d),
            half_space(-x + lean_back * z, hx - lean_back * hz, o, d),
        ]
    low = np.max([i[0] for i in intervals], axis=0)
    high = np.min([i[1] for i in intervals], axis=0)
    return np.where((low < high) & (low > near_m), low, np.inf)


def cast_rays(world: World, agents: ShapeSet, o: np.ndarray, d: np.ndarray, *, near_m: float = 0.05) -> Hits:
    """See along rays `o + t d`; solids from t = `near_m` on."""
    depth, material = cast_ground(world, o, d)
    depth = np.where(depth < FAR_M, depth, np.inf)
    hit_ground = np.isfinite(depth)
    semantic = np.where(
        hit_ground, np.vectorize(lambda m: GROUND_SEMANTIC.get(int(m), 17))(material), int(Semantic.FREE)
    )
    instance = np.zeros(len(o), int)
    ground_material = np.where(hit_ground, material, -1)
    t, index = cast_voxels(world, o, d)
    nearer = t < depth
    depth = np.where(nearer, t, depth)
    semantic = np.where(nearer, world.semantics[index[:, 0], index[:, 1], index[:, 2]], semantic)
    instance = np.where(nearer, STATIC_INSTANCE_OFFSET + world.column_instance[index[:, 0], index[:, 1]], instance)
    ground_material = np.where(nearer, -1, ground_material)
    shapes = ShapeSet.concatenate([world.shapes, agents])
    for s in range(len(shapes)):
        t = enter_solid(shapes, s, o, d, near_m)
        nearer = t < depth
        depth = np.where(nearer, t, depth)
        semantic = np.where(nearer, shapes.semantic[s], semantic)
        instance = np.where(nearer, shapes.instance[s], instance)
        ground_material = np.where(nearer, -1, ground_material)
    return Hits(depth_m=depth, semantic=semantic, instance=instance, ground_material=ground_material)
