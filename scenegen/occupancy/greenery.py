"""Trees and hedges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.geometry.rigid import planar_pose
from scenegen.occupancy.appearance import AUTUMN_SRGB, BARK_SRGB, FOLIAGE_SRGB, draw_color, draw_detail
from scenegen.occupancy.draft import Look, Solid, WorldDraft, cylinder
from scenegen.occupancy.raster import Cells, cells_of_disc, cells_of_rectangle
from scenegen.occupancy.site import VOXEL_M, is_near_ego
from scenegen.types import Material, Semantic, ShapeKind

SMOOTH_WITHIN_M = 40.0
"""Trees nearer than this to the ego path get smooth canopies; the others are made of voxels."""
CANOPY_SHARES = (1.0, 0.75, 0.55)
"""Of the radius a tree could have; the widest that has room is taken."""
NARROWEST_CANOPY_M = 1.0
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
    places_world_m: Sequence[Float64[np.ndarray, "2"]],
    height_m: float,
    autumn: float,
) -> bool:
    """Plant a tree at the first place whose trunk has free ground and whose canopy hangs over neither road nor walls.

    Where traffic passes there, its canopy is smaller, or it stands at a later place, or nowhere; all places that
    could have it stay its own.
    """
    crown_low_m = max(2.2, height_m * generator.uniform(0.3, 0.42))
    widest_m = float(np.clip(height_m * generator.uniform(0.24, 0.36), 1.1, 3.6))
    radii_m = [widest_m * share for share in CANOPY_SHARES if widest_m * share >= NARROWEST_CANOPY_M]
    allotted: list[tuple[Float64[np.ndarray, "2"], list[float]]] = []
    for place in places_world_m:
        roomy = next((n for n, radius_m in enumerate(radii_m) if _has_ground(draft, place, radius_m)), None)
        if roomy is not None:
            allotted.append((place, radii_m[roomy:]))
    if not allotted:
        return False
    for place, fitting_m in allotted:
        draft.claim(_root_cells(draft, place, fitting_m[0]))
    sizes = ((place, radius_m) for place, fitting_m in allotted for radius_m in fitting_m)
    stands = next((size for size in sizes if not _meets_traffic(draft, *size, crown_low_m=crown_low_m)), None)
    if stands is None:
        draft.leave_row()
        return True
    place, radius_m = stands
    plant_tree(
        draft, generator, base_world_m=place, height_m=height_m, crown_low_m=crown_low_m, radius_m=radius_m,
        autumn=autumn,
    )  # fmt: skip
    return True


def fits_tree(
    draft: WorldDraft, place_world_m: Float64[np.ndarray, "2"], *, radius_m: float, crown_low_m: float
) -> bool:
    """Return whether a tree of that size has free ground, and no traffic passes through it."""
    return _has_ground(draft, place_world_m, radius_m) and not _meets_traffic(
        draft, place_world_m, radius_m, crown_low_m=crown_low_m
    )


def fits_trunk(draft: WorldDraft, place_world_m: Float64[np.ndarray, "2"]) -> bool:
    """Return whether a trunk has free ground that nobody passes."""
    cells = _trunk_cells(draft, place_world_m)
    return draft.is_free(cells, blocked=draft.site.is_road) and not draft.is_swept(cells)


def _has_ground(draft: WorldDraft, place_world_m: Float64[np.ndarray, "2"], radius_m: float) -> bool:
    """Return whether trunk and canopy are over unclaimed ground beside the roadway."""
    is_road = draft.site.is_road
    return draft.is_free(_trunk_cells(draft, place_world_m), blocked=is_road) and draft.is_free(
        _canopy_cells(draft, place_world_m, radius_m), blocked=is_road
    )


def _meets_traffic(
    draft: WorldDraft, place_world_m: Float64[np.ndarray, "2"], radius_m: float, *, crown_low_m: float
) -> bool:
    """Return whether anyone passes through the trunk or as high as the canopy."""
    return draft.is_swept(_trunk_cells(draft, place_world_m)) or draft.is_swept(
        _canopy_cells(draft, place_world_m, radius_m), above_m=crown_low_m - SWEPT_CLEARANCE_M
    )


def _trunk_cells(draft: WorldDraft, place_world_m: Float64[np.ndarray, "2"]) -> Cells:
    frame = draft.site.column_frame
    return cells_of_disc(frame, centre_world_m=place_world_m, radius_m=0.2, margin_m=TRUNK_CLEARANCE_M)


def _canopy_cells(draft: WorldDraft, place_world_m: Float64[np.ndarray, "2"], radius_m: float) -> Cells:
    frame = draft.site.column_frame
    return cells_of_disc(frame, centre_world_m=place_world_m, radius_m=radius_m, margin_m=VOXEL_M)


def _root_cells(draft: WorldDraft, place_world_m: Float64[np.ndarray, "2"], radius_m: float) -> Cells:
    """Return the ground that a tree needs for itself."""
    frame = draft.site.column_frame
    return cells_of_disc(frame, centre_world_m=place_world_m, radius_m=max(1.0, 0.8 * radius_m))


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
    draft.claim(_root_cells(draft, base_world_m, radius_m))


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
    i, j = cells.i, cells.j
    is_mine = draft.column_instance[i, j] == 0
    centre = frame.to_cells(base_world_m)
    k = np.arange(int(np.ceil(low_m / VOXEL_M)), min(int(np.floor(high_m / VOXEL_M)), draft.site.grid.shape[2]))
    x = (i[:, None] + 0.5 - centre[0]) * VOXEL_M / radius_m
    y = (j[:, None] + 0.5 - centre[1]) * VOXEL_M / radius_m
    z = ((k[None] + 0.5) * VOXEL_M - (low_m + high_m) / 2) / ((high_m - low_m) / 2)
    rough = generator.uniform(0.75, 1.1, (len(i), len(k)))
    leaf: Bool[np.ndarray, "N K"] = (x**2 + y**2 + z**2 <= rough) & is_mine[:, None]
    column, level = np.nonzero(leaf)
    draft.semantics[i[column], j[column], k[level]] = Semantic.VEGETATION
    touched = leaf.any(axis=1)
    draft.column_instance[i[touched], j[touched]] = row


def try_strip(
    draft: WorldDraft,
    *,
    middle_world_m: Float64[np.ndarray, "2"],
    heading_rad: float,
    length_m: float,
    height_m: float,
    material: int,
    look: Look,
) -> bool:
    """Place a straight piece of hedge (FOLIAGE, two voxels thick) or wall (WALL, one voxel) if its ground is free.

    In swept space it gives way.
    """
    site = draft.site
    is_hedge = material == Material.FOLIAGE
    thickness_m = (2 if is_hedge else 1) * VOXEL_M
    pose = planar_pose(middle_world_m[0], middle_world_m[1], heading_rad)
    needed = cells_of_rectangle(site.column_frame, world_from_thing=pose, size_m=(length_m, thickness_m), margin_m=0.29)
    if not draft.is_free(needed, blocked=site.is_paved):
        return False
    cells = cells_of_rectangle(site.column_frame, world_from_thing=pose, size_m=(length_m, thickness_m), margin_m=0.05)
    draft.claim(cells)
    if draft.is_swept(needed):
        draft.leave_row()
        return True
    row = draft.add_thing(material, world_from_thing=pose, size_lwh_m=(length_m, thickness_m, height_m), look=look)
    semantic = Semantic.VEGETATION if is_hedge else Semantic.MANMADE
    draft.fill_columns(row, cells, low_m=0.0, high_m=height_m, semantic=semantic)
    return True
