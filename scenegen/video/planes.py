"""What the network sees of the condition maps: per-pixel planes, all bounded and smooth or one-hot.

Geometry enters at full resolution, so silhouettes, markings and window grids are given and only their look
is painted. The facade planes are phases of the building's own bay and storey grid, which the world fixes
(`AppearanceTable.pattern`); a photo of a real building would have to be fitted first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int
from torch import Tensor

from scenegen.types import (
    STATIC_INSTANCE_OFFSET,
    AppearanceTable,
    ConditionMaps,
    Lighting,
    Material,
    Semantic,
    StaticTable,
)
from scenegen.video.plane_kernel import write_planes
from scenegen.video.traits import EDGE_PX, NUM_FACADE_PLANES, NUM_TRAITS, facade_planes, instance_traits

NUM_MATERIALS = len(Material)
WALL_MATERIALS = (int(Material.FACADE), int(Material.WALL))
STYLE_SIZE = 13
CANCELLED = 1e-3
"""Length of the mean of unit vectors that spread evenly all around, as the axes of four fisheyes do."""
SEMANTIC_PLANES = (
    Semantic.CAR,
    Semantic.BUS,
    Semantic.TRUCK,
    Semantic.TRAILER,
    Semantic.CONSTRUCTION_VEHICLE,
    Semantic.BICYCLE,
    Semantic.MOTORCYCLE,
)
"""Classes that share materials but not their look."""
SEMANTIC_CODES = np.array(SEMANTIC_PLANES, np.int64)


@dataclass(frozen=True, kw_only=True)
class SurfaceMaps:
    """Condition maps of B images as tensors, before they become planes.

    Attributes:
        material: codes of `Material`.
        instance: image instance ids.
        row: row of `appearance` of each pixel's instance.
        depth_m: z-depth; sky holds +inf.
        normal_world, canonical, point_world_m, sun_visible: as in `ConditionMaps`.
        ray_world: unit viewing direction.
        footprint_m: edge of a pixel on the surface it shows, facing the camera.
        appearance: see `join_appearance`.
        sun_world: unit vector to the sun, one per image.
        forward_world: mean optical axis of the rig, one per image: where headlamps point.
    """

    material: Int[Tensor, "B H W"]
    semantic: Int[Tensor, "B H W"]
    instance: Int[Tensor, "B H W"]
    row: Int[Tensor, "B H W"]
    depth_m: Float[Tensor, "B H W"]
    normal_world: Float[Tensor, "B H W 3"]
    canonical: Float[Tensor, "B H W 3"]
    point_world_m: Float[Tensor, "B H W 3"]
    sun_visible: Float[Tensor, "B H W"]
    ray_world: Float[Tensor, "B H W 3"]
    footprint_m: Float[Tensor, "B H W"]
    appearance: Float[Tensor, "R 20"]
    sun_world: Float[Tensor, "B 3"]
    forward_world: Float[Tensor, "B 3"]


def join_appearance(agents: AppearanceTable, statics: StaticTable, *, salt: int) -> Float32[np.ndarray, "R 20"]:
    """Stack the ground (zeros), agents and statics into one table, a row each.

    Columns: 0-2 primary rgb, 3-5 secondary rgb, 6-9 pattern, 10-12 size of a static thing (metres), 13-14 its
    front's direction, 15-19 traits (`video.traits`).
    """
    looks = statics.appearance
    num_agents, num_statics = len(agents.primary_rgb), len(looks.primary_rgb)
    table = np.zeros((1 + num_agents + num_statics, 15 + NUM_TRAITS), np.float32)
    table[1 : 1 + num_agents, :10] = np.concatenate([agents.primary_rgb, agents.secondary_rgb, agents.pattern], axis=1)
    table[1 + num_agents :, :10] = np.concatenate([looks.primary_rgb, looks.secondary_rgb, looks.pattern], axis=1)
    table[1 + num_agents :, 10:13] = statics.size_lwh_m
    table[1 + num_agents :, 13:15] = statics.world_from_thing[:, :2, 0]
    ids = np.concatenate([np.arange(1 + num_agents), STATIC_INSTANCE_OFFSET + np.arange(num_statics)])
    table[:, 15:] = instance_traits(ids, salt=salt)
    table[0] = 0.0
    return table


def appearance_row(instance: np.ndarray, *, num_agents: int) -> np.ndarray:
    """Return the row of `join_appearance` of each instance id."""
    instance = instance.astype(np.int32)
    return np.where(instance < STATIC_INSTANCE_OFFSET, instance, instance - STATIC_INSTANCE_OFFSET + num_agents + 1)


def style_vector(lighting: Lighting) -> Float32[np.ndarray, " 13"]:
    """Return the per-scene appearance code with the sun's direction."""
    return np.concatenate([lighting.code(), lighting.sun_direction_world]).astype(np.float32)


def view_rays(
    world_from_cam: Float[Tensor, "B 4 4"], K: Float[Tensor, "B 3 3"], *, size_px: tuple[int, int]
) -> Float[Tensor, "B H W 3"]:
    """Return viewing directions of pinholes in the world frame, with unit z in frame cam (so point = depth * ray)."""
    width, height = size_px
    u = torch.arange(width, dtype=torch.float32) + 0.5
    v = torch.arange(height, dtype=torch.float32) + 0.5
    x = (u[None, :] - K[:, 0, 2, None]) / K[:, 0, 0, None]
    y = (v[None, :] - K[:, 1, 2, None]) / K[:, 1, 1, None]
    batch = len(K)
    ray_cam = torch.stack(
        [x[:, None, :].expand(batch, height, width), y[:, :, None].expand(batch, height, width)], dim=-1
    )
    return turn_rays(world_from_cam, ray_cam)


def turn_rays(world_from_cam: Float[Tensor, "B 4 4"], ray_cam: Float[Tensor, "B H W 2"]) -> Float[Tensor, "B H W 3"]:
    """Turn rays (x, y) of unit z in frame cam, of any lens, to the world frame; zero for pixels that see nothing."""
    rays = torch.cat([ray_cam.float(), torch.ones_like(ray_cam[..., :1], dtype=torch.float32)], dim=-1)
    rays = torch.where(rays.isfinite().all(dim=-1, keepdim=True), rays, 0.0)
    return torch.einsum("bij,bhwj->bhwi", world_from_cam[:, :3, :3].float(), rays)


def surface_maps(
    conditions: ConditionMaps, *, step: int, appearance: Float[Tensor, "R 20"], num_agents: int, lighting: Lighting
) -> SurfaceMaps:
    """Take one step of all views of `conditions` as tensors; views become the batch.

    Pixels that see nothing hold what the nearest pixel that does holds, so that they form no edge.
    """
    rays = turn_rays(torch.from_numpy(conditions.world_from_cam[:, step]), torch.from_numpy(conditions.ray_cam))
    sun = torch.from_numpy(lighting.sun_direction_world).float()
    is_seen = conditions.is_seen
    source = None if is_seen.all() else nearest_seen(is_seen.tobytes(), is_seen.shape)

    def take(maps: np.ndarray) -> Tensor:
        return torch.from_numpy(maps if source is None else maps[source])

    instance = conditions.instance[:, step]
    return SurfaceMaps(
        material=take(conditions.material[:, step]).long(),
        semantic=take(conditions.semantic[:, step]).long(),
        instance=take(instance.astype(np.int64)),
        row=take(appearance_row(instance, num_agents=num_agents)).long(),
        depth_m=take(conditions.depth_m[:, step]),
        normal_world=take(conditions.normal_world[:, step]),
        canonical=take(conditions.canonical[:, step]),
        point_world_m=take(conditions.point_world_m[:, step]),
        sun_visible=take(conditions.sun_visible[:, step]).float(),
        ray_world=take(torch.nn.functional.normalize(rays, dim=-1).numpy()),
        footprint_m=take(conditions.depth_m[:, step] / conditions.focal_px.astype(np.float32)),
        appearance=appearance,
        sun_world=sun.expand(len(conditions.material), 3),
        forward_world=mean_axis(conditions.world_from_cam[:, step]).expand(len(conditions.material), 3),
    )


@lru_cache(maxsize=2)
def nearest_seen(is_seen: bytes, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, as an index into V H W, the nearest pixel of the same view that sees something.

    Args:
        is_seen: `ConditionMaps.is_seen` as bytes, the same at every step of a scene.
        shape: (V, H, W).
    """
    from scipy.ndimage import distance_transform_edt

    seen = np.frombuffer(is_seen, np.bool_).reshape(shape)
    nearest = [distance_transform_edt(~view, return_distances=False, return_indices=True) for view in seen]
    rows, columns = np.stack(nearest, axis=1)
    return np.arange(shape[0])[:, None, None], rows, columns


def mean_axis(world_from_cam: Float64[np.ndarray, "V 4 4"]) -> Float[Tensor, "3"]:
    """Return the mean horizontal optical axis of the views, of unit length; the first view's where they cancel out."""
    axis = world_from_cam[:, :2, 2].mean(axis=0)
    if np.linalg.norm(axis) < CANCELLED:
        axis = world_from_cam[0, :2, 2]
    length = max(float(np.linalg.norm(axis)), 1e-9)
    return torch.tensor([axis[0] / length, axis[1] / length, 0.0], dtype=torch.float32)


def build_planes(maps: SurfaceMaps) -> Float[Tensor, "B C H W"]:
    """Turn surface maps into the network's condition planes."""
    material = maps.material
    sky = material == int(Material.SKY)
    wall = (material == WALL_MATERIALS[0]) | (material == WALL_MATERIALS[1])
    inverse_depth = torch.where(sky, 0.0, 1.0 / maps.depth_m.clamp(min=0.5))
    log_depth = torch.where(sky, 1.3, maps.depth_m.clamp(0.5, 300.0).log() / 4.4)

    height = (maps.canonical[..., 1] * wall).clamp(0.0, 25.0) / 10.0
    ground = (maps.row == 0) & ~sky
    slab_phase = ground.float() * torch.stack(
        phases(maps.point_world_m[..., 0])
        + phases(maps.point_world_m[..., 1])
        + [joint_distance(maps, 0), joint_distance(maps, 1)]
    )
    bay_px = wall * maps.appearance[:, 6][maps.row] / maps.footprint_m.clamp(min=1e-3)
    shade = dot(maps.normal_world, maps.sun_world[:, None, None, :])
    glow = dot(maps.ray_world, maps.sun_world[:, None, None, :])
    facing = -dot(maps.normal_world, maps.ray_world)
    scalars = torch.stack(
        [
            inverse_depth * 2.0,
            log_depth,
            shade,
            maps.sun_visible,
            shade.clamp(min=0.0) * maps.sun_visible,
            glow,
            facing,
            height,
            (bay_px.clamp(0.5, 200.0).log2() / 6.0) * wall,
            maps.footprint_m.clamp(0.005, 3.0).log2() / 6.0,
            (maps.point_world_m[..., 2] / 5.0).clamp(-1.0, 5.0),
            dot(maps.ray_world, maps.forward_world[:, None, None, :]),
            instance_edges(maps.row * 32 + material),
        ]
    )
    planes = torch.empty(*material.shape, NUM_PLANES)
    write_planes(
        material.reshape(-1).numpy(),
        maps.semantic.reshape(-1).numpy(),
        maps.row.reshape(-1).numpy(),
        wall.reshape(-1).numpy(),
        look_tables(maps.appearance),
        SEMANTIC_CODES,
        NUM_MATERIALS,
        tuple(part.reshape(-1, 3).numpy() for part in (maps.normal_world, maps.ray_world, maps.canonical)),
        window_planes(maps),
        slab_phase.view(len(slab_phase), -1).numpy(),
        scalars.view(len(scalars), -1).numpy(),
        planes.view(-1, NUM_PLANES).numpy(),
    )
    return planes.permute(0, 3, 1, 2)


def look_tables(appearance: Float[Tensor, "R 20"]) -> tuple[Float32[np.ndarray, "R 15"], Float32[np.ndarray, "R 15"]]:
    """Return the planes of each appearance: colours, pattern and traits, of what is not a wall and of walls."""
    colors = 2.0 * appearance[:, :6].clamp(0.0, 1.0).sqrt() - 1.0
    pattern, traits = appearance[:, 6:10], appearance[:, 15:]
    of_walls = pattern * torch.tensor([0.25, 0.25, 1.0, 1.0])
    others, walls = (torch.cat([colors, part, traits], dim=1).numpy() for part in (pattern, of_walls))
    return others, walls


NUM_PLANES = NUM_MATERIALS + len(SEMANTIC_PLANES) + 6 + 4 + NUM_TRAITS + 3 + 3 + NUM_FACADE_PLANES + 3 + 6 + 13


def window_planes(maps: SurfaceMaps) -> Float32[np.ndarray, "P 18"]:
    """Return the window grid and brick courses of walls (`video.traits.facade_planes`)."""
    out = np.zeros((maps.material.numel(), NUM_FACADE_PLANES), np.float32)
    facade_planes(
        maps.material.reshape(-1).numpy(),
        maps.row.reshape(-1).numpy(),
        maps.instance.reshape(-1).numpy(),
        maps.canonical.reshape(-1, 3).numpy(),
        maps.normal_world.reshape(-1, 3).numpy(),
        maps.point_world_m.reshape(-1, 3).numpy(),
        maps.footprint_m.reshape(-1).numpy(),
        maps.appearance.numpy(),
        out,
    )
    return out


def joint_distance(maps: SurfaceMaps, axis: int) -> Float[Tensor, "B H W"]:
    """Return the distance to the nearest line halfway between whole metres, in pixels, cut at EDGE_PX, 0..1."""
    turns = maps.point_world_m[..., axis]
    facing = -dot(maps.normal_world, maps.ray_world)
    pixel_m = maps.footprint_m.clamp(min=1e-3) / facing.clamp(min=0.08)
    return ((turns - turns.floor() - 0.5).abs() / pixel_m).clamp(max=EDGE_PX) / EDGE_PX


def dot(a: Float[Tensor, "B H W 3"], b: Float[Tensor, "#B #H #W 3"]) -> Float[Tensor, "B H W"]:
    """Return products of vectors; by axis, since torch is slow to sum over three."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def phases(turns: Tensor) -> list[Tensor]:
    """Return sine and cosine of a number of turns."""
    angle = (turns - turns.floor()) * (2.0 * math.pi)
    return [angle.sin(), angle.cos()]


def instance_edges(code: Int[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Mark pixels whose right or lower neighbour shows something else."""
    edge = torch.zeros(code.shape, dtype=torch.float32)
    edge[:, :, :-1] = (code[:, :, 1:] != code[:, :, :-1]).float()
    edge[:, :-1, :] = torch.maximum(edge[:, :-1, :], (code[:, 1:, :] != code[:, :-1, :]).float())
    return edge
