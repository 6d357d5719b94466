"""Trees and hedges."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.geometry.rigid import planar_pose
from scenegen.occupancy.appearance import AUTUMN_SRGB, BARK_SRGB, FOLIAGE_SRGB, draw_color, draw_detail
from scenegen.occupancy.draft import Look, Solid, WorldDraft, cylinder
from scenegen.occupancy.raster import cells_of_disc, cells_of_rectangle
from scenegen.occupancy.site import VOXEL_M, is_near_ego
from scenegen.types import Material, Semantic, ShapeKind

SMOOTH_WITHIN_M = 40.0
"""Trees nearer than this to the ego path get smooth canopies; the others are made of voxels."""
TRUNK_CLEARANCE_M = 0.4
SWEPT_CLEARANCE_M = 0.3


def draw_foliage_look(generator: np.random.Generator, *, autumn: float) -> Look:
    """Draw leaf and bark colours; `autumn` is the share of yellow and red trees."""
    palette = AUTUMN_SRGB if generator.random() < autumn else FOLIAGE_SRGB
    return Look(
        primary_rgb=draw_color(generator, palette, spread=8.0),
        secondary_rgb=draw_color(generator, BARK_SRGB, spread=6.0),
        pattern=draw_detail(generator),
    )


def try_tree(
    draft: WorldDraft,
    generator: np.random.Generator,
    *,
    base_world_m: Float64[np.ndarray, "2"],
    height_m: float,
    autumn: float,
) -> bool:
    """Plant a tree if its trunk has free ground and its canopy hangs over neither roadway, traffic nor walls."""
    site = draft.site
    trunk = cells_of_disc(site.column_frame, centre_world_m=base_world_m, radius_m=0.2, margin_m=TRUNK_CLEARANCE_M)
    if not draft.is_free(trunk, blocked=site.keep_out):
        return False
    crown_low_m = max(2.2, height_m * generator.uniform(0.3, 0.42))
    widest_m = float(np.clip(height_m * generator.uniform(0.24, 0.36), 1.1, 3.6))
    forbidden = site.is_road | (site.swept_top_m > crown_low_m - SWEPT_CLEARANCE_M) | draft.claimed
    for radius_m in (widest_m, 0.75 * widest_m, 0.55 * widest_m):
        canopy = cells_of_disc(site.column_frame, centre_world_m=base_world_m, radius_m=radius_m, margin_m=VOXEL_M)
        if radius_m >= 1.0 and canopy.is_complete and not forbidden[canopy.i, canopy.j].any():
            plant_tree(
                draft, generator, base_world_m=base_world_m, height_m=height_m, crown_low_m=crown_low_m,
                radius_m=radius_m, autumn=autumn,
            )  # fmt: skip
            return True
    return False


def plant_tree(
    draft: WorldDraft,
    generator: np.random.Generator,
    *,
    base_world_m: Float64[np.ndarray, "2"],
    height_m: float,
    crown_low_m: float,
    radius_m: float,
    autumn: float,
) -> None:
    """Plant a tree of given size, whatever stands there."""
    site = draft.site
    pose = planar_pose(base_world_m[0], base_world_m[1], generator.uniform(0.0, 2 * np.pi))
    row = draft.add_thing(
        Material.FOLIAGE,
        world_from_thing=pose,
        size_lwh_m=(2 * radius_m, 2 * radius_m, height_m),
        look=draw_foliage_look(generator, autumn=autumn),
    )
    trunk_m = float(np.clip(height_m * 0.02, 0.1, 0.22))
    solids = [
        cylinder(
            0.0, 0.0, low_m=0.0, high_m=crown_low_m + 0.3 * (height_m - crown_low_m), radius_m=trunk_m,
            material=Material.BARK, semantic=Semantic.VEGETATION,
        )
    ]  # fmt: skip
    if is_near_ego(site, base_world_m, within_m=SMOOTH_WITHIN_M):
        solids.extend(_canopy_solids(generator, low_m=crown_low_m, high_m=height_m, radius_m=radius_m))
    else:
        _fill_canopy(
            draft, row, generator, base_world_m=base_world_m, low_m=crown_low_m, high_m=height_m, radius_m=radius_m
        )
    draft.add_solids(row, solids)
    draft.claim(cells_of_disc(site.column_frame, centre_world_m=base_world_m, radius_m=max(1.0, 0.8 * radius_m)))


def _canopy_solids(generator: np.random.Generator, *, low_m: float, high_m: float, radius_m: float) -> list[Solid]:
    """Return two to five overlapping ellipsoids inside the canopy's cylinder; slim trees are stacked, others bushy."""
    is_slim = generator.random() < 0.2
    count = 2 if is_slim else int(generator.integers(3, 6))
    span_m = high_m - low_m
    first_angle = generator.uniform(0.0, 2 * np.pi)
    solids = []
    for index in range(count):
        if is_slim:
            scale = generator.uniform(0.7, 0.9) if index == 0 else generator.uniform(0.5, 0.65)
        else:
            scale = generator.uniform(0.68, 0.85) if index == 0 else generator.uniform(0.45, 0.66)
        offset_m = 0.0 if is_slim else (1.0 - scale) * radius_m * generator.uniform(0.7, 1.0)
        angle = first_angle + index * 2 * np.pi / count + generator.uniform(-0.4, 0.4)
        half_z = span_m / 2 * (generator.uniform(0.7, 0.9) if index == 0 else scale * generator.uniform(0.8, 1.0))
        rise = generator.uniform(0.0, 0.3) if index == 0 else generator.uniform(0.1, 1.0)
        centre_z = low_m + half_z + rise * (span_m - 2 * half_z)
        solids.append(
            Solid(
                kind=ShapeKind.ELLIPSOID,
                center_m=(offset_m * np.cos(angle), offset_m * np.sin(angle), float(centre_z)),
                half_extent_m=(scale * radius_m, scale * radius_m * generator.uniform(0.85, 1.0), float(half_z)),
                material=Material.FOLIAGE,
                semantic=Semantic.VEGETATION,
                yaw_rad=float(angle),
            )
        )
    return solids


def _fill_canopy(
    draft: WorldDraft,
    row: int,
    generator: np.random.Generator,
    *,
    base_world_m: Float64[np.ndarray, "2"],
    low_m: float,
    high_m: float,
    radius_m: float,
) -> None:
    """Fill an irregular ellipsoid of voxels in columns that nothing else owns."""
    frame = draft.site.column_frame
    cells = cells_of_disc(frame, centre_world_m=base_world_m, radius_m=radius_m)
    mine = draft.column_instance[cells.i, cells.j] == 0
    i, j = cells.i[mine], cells.j[mine]
    centre = frame.to_cells(base_world_m)
    k = np.arange(int(np.ceil(low_m / VOXEL_M)), min(int(np.floor(high_m / VOXEL_M)), draft.site.grid.shape[2]))
    x = (i[:, None] + 0.5 - centre[0]) * VOXEL_M / radius_m
    y = (j[:, None] + 0.5 - centre[1]) * VOXEL_M / radius_m
    z = ((k[None] + 0.5) * VOXEL_M - (low_m + high_m) / 2) / ((high_m - low_m) / 2)
    rough = generator.uniform(0.75, 1.1, (len(i), len(k)))
    leaf: Bool[np.ndarray, "N K"] = x**2 + y**2 + z**2 <= rough
    column, level = np.nonzero(leaf)
    draft.semantics[i[column], j[column], k[level]] = Semantic.VEGETATION
    touched = leaf.any(axis=1)
    draft.column_instance[i[touched], j[touched]] = row


def try_strip(
    draft: WorldDraft,
    generator: np.random.Generator,
    *,
    middle_world_m: Float64[np.ndarray, "2"],
    heading_rad: float,
    length_m: float,
    height_m: float,
    material: int,
    look: Look,
) -> bool:
    """Place a straight piece of hedge (FOLIAGE, two voxels thick) or wall (WALL, one voxel) if its ground is free."""
    site = draft.site
    is_hedge = material == Material.FOLIAGE
    thickness_m = (2 if is_hedge else 1) * VOXEL_M
    pose = planar_pose(middle_world_m[0], middle_world_m[1], heading_rad)
    needed = cells_of_rectangle(site.column_frame, world_from_thing=pose, size_m=(length_m, thickness_m), margin_m=0.29)
    if not draft.is_free(needed, blocked=site.keep_out | site.is_paved):
        return False
    row = draft.add_thing(material, world_from_thing=pose, size_lwh_m=(length_m, thickness_m, height_m), look=look)
    cells = cells_of_rectangle(site.column_frame, world_from_thing=pose, size_m=(length_m, thickness_m), margin_m=0.05)
    semantic = Semantic.VEGETATION if is_hedge else Semantic.MANMADE
    draft.fill_columns(row, cells, low_m=0.0, high_m=height_m, semantic=semantic)
    draft.claim(cells)
    return True
