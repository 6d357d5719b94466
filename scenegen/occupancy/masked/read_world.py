"""Sampled voxels to a world: everything that a rule-made world has, instances, colours and thin things included.

Buildings, walls and hedges keep their voxels; pieces too small to be anything are left out. Trees near the ego are
drawn anew as smooth canopies in the space of theirs, as rule-made ones are. Posts, lamps, signs and signals are placed
by the usual rules, around what stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float64, Int64, UInt8
from scipy import ndimage

from scenegen.errors import WorldError
from scenegen.geometry.rigid import planar_pose
from scenegen.occupancy.appearance import WALL_SRGB, draw_color, draw_detail
from scenegen.occupancy.build import Beginning, begin_world
from scenegen.occupancy.buildings import draw_building_look
from scenegen.occupancy.draft import Look, WorldDraft, cylinder
from scenegen.occupancy.fixed import FixedVoxels, fixed_voxels
from scenegen.occupancy.greenery import (
    CANOPY_SHARES,
    NARROWEST_CANOPY_M,
    SMOOTH_WITHIN_M,
    draw_foliage_look,
    fits_tree,
    fits_trunk,
    plant_tree,
)
from scenegen.occupancy.masked.things import Canopy, find_trees, is_hedge, is_wall, split_buildings, without_specks
from scenegen.occupancy.raster import Cells, mask_of
from scenegen.occupancy.site import FINE_PER_VOXEL, VOXEL_M, is_near_ego
from scenegen.occupancy.streets import add_furniture
from scenegen.occupancy.voxels import OpenGround, SolidClass, WorldVoxels
from scenegen.types import Layout, Material, RandomKey, Semantic, World

LOWEST_CROWN_M = 2.2
LOWEST_TREE_M = 3.2
"""Lower vegetation is a bush: its voxels stay, without a trunk."""


def read_world(layout: Layout, *, seed: int, voxels: WorldVoxels) -> World:
    """Return the world of sampled voxels, with everything that the layout fixes set to its value.

    Recorded voxels stand as they are: nothing is cleared, smoothed or added. The same layout, seed and voxels give the
    same bytes.

    Raises:
        WorldError: the voxels are of another grid, or the layout has no road near the ego.
    """
    beginning = begin_world(layout, seed=seed)
    if voxels.is_recorded:
        return fill_recorded_world(beginning, voxels=voxels)
    return fill_world(beginning, fixed=fixed_voxels(beginning.draft), voxels=voxels)


def fill_recorded_world(beginning: Beginning, *, voxels: WorldVoxels) -> World:
    """Fill a begun world with what the instruments of a real log saw stand.

    Raises:
        WorldError: the voxels are of another grid.
    """
    draft, key = beginning.draft, beginning.key.at("read")
    grid = draft.site.grid
    if voxels.solid.shape != grid.shape or voxels.origin_world_m != grid.origin_m[:2]:
        found = f"{voxels.solid.shape} from {voxels.origin_world_m}"
        raise WorldError(f"voxels of grid {grid.shape} from {grid.origin_m[:2]}", found=found, where="recorded voxels")
    manmade, leaves = voxels.solid == SolidClass.MANMADE, voxels.solid == SolidClass.VEGETATION
    is_leafy = leaves.sum(axis=2) > manmade.sum(axis=2)  # all voxels of a column belong to one thing
    solid = manmade | leaves
    _pave(draft, voxels.ground)
    _add_manmade(draft, solid & ~is_leafy[..., None], key)
    _add_hedges(draft, solid & is_leafy[..., None], is_leafy, key.at("hedge"))
    return draft.finish()


def fill_world(beginning: Beginning, *, fixed: FixedVoxels, voxels: WorldVoxels) -> World:
    """Fill a begun world with what stands in `voxels`; see `read_world`."""
    draft, key = beginning.draft, beginning.key.at("read")
    clamped = fixed.clamp(voxels)
    solid = np.where((fixed.given.solid == SolidClass.FREE), clamped.solid, SolidClass.FREE).astype(np.uint8)
    solid[draft.column_instance != 0] = SolidClass.FREE
    manmade = without_specks(solid == SolidClass.MANMADE)
    leaves = without_specks(solid == SolidClass.VEGETATION) & ~manmade.any(axis=2)[..., None]
    _pave(draft, clamped.ground)
    hedge = is_hedge(*_span(leaves))
    draft.claimed |= manmade.any(axis=2) | hedge
    add_furniture(draft, beginning.district, beginning.key.at("streets"))
    _add_manmade(draft, manmade, key)
    _add_hedges(draft, leaves & hedge[..., None], hedge, key.at("hedge"))
    _plant(draft, leaves & ~hedge[..., None], key.at("tree"), autumn=beginning.district.autumn)
    return draft.finish()


def _span(voxels: Bool[np.ndarray, "X Y Z"]) -> tuple[Int64[np.ndarray, "X Y"], Int64[np.ndarray, "X Y"]]:
    """Return the lowest level that is set and one above the highest; both 0 for empty columns."""
    low = np.argmax(voxels, axis=2)
    top = voxels.shape[2] - np.argmax(voxels[..., ::-1], axis=2)
    return low, np.where(voxels.any(axis=2), top, 0)


def _pave(draft: WorldDraft, ground: UInt8[np.ndarray, "X Y"]) -> None:
    """Pave the open land of columns that are paved, except the layout's own lawns."""
    paved = np.repeat(np.repeat(ground == OpenGround.PAVED, FINE_PER_VOXEL, axis=0), FINE_PER_VOXEL, axis=1)
    lawn = mask_of(draft.site.lawn, draft.site.ground_frame)
    draft.ground[paved & (draft.ground == Material.GRASS) & ~lawn] = Material.SIDEWALK


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """Columns of one thing."""

    cells: Cells
    window: tuple[slice, slice]
    mask: Bool[np.ndarray, "I J"]


def _pieces_of(labels: np.ndarray) -> list[_Piece]:
    pieces = []
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        mask = labels[window] == index
        i, j = np.nonzero(mask)
        cells = Cells(i=i + window[0].start, j=j + window[1].start, is_complete=True)
        pieces.append(_Piece(cells=cells, window=window, mask=mask))
    return pieces


def _add_manmade(draft: WorldDraft, manmade: Bool[np.ndarray, "X Y Z"], key: RandomKey) -> None:
    _, top = _span(manmade)
    for piece in _pieces_of(split_buildings(top)):
        levels = int(top[piece.window][piece.mask].max())
        generator = _key_of(draft, piece, key.at("manmade")).generator()
        if is_wall(piece.mask, levels=levels):
            material: int = Material.WALL
            look = Look(
                primary_rgb=draw_color(generator, WALL_SRGB),
                secondary_rgb=draw_color(generator, WALL_SRGB),
                pattern=draw_detail(generator),
            )
        else:
            material, look = Material.FACADE, draw_building_look(generator)
        _add_piece(draft, piece, manmade, levels=levels, material=material, semantic=Semantic.MANMADE, look=look)


def _add_hedges(
    draft: WorldDraft, leaves: Bool[np.ndarray, "X Y Z"], columns: Bool[np.ndarray, "X Y"], key: RandomKey
) -> None:
    """Add every connected piece of low vegetation as one thing."""
    _, top = _span(leaves)
    labels, _ = ndimage.label(columns, structure=np.ones((3, 3)))
    for piece in _pieces_of(labels):
        look = draw_foliage_look(_key_of(draft, piece, key).generator(), autumn=0.0)
        levels = int(top[piece.window][piece.mask].max())
        _add_piece(
            draft, piece, leaves, levels=levels, material=Material.FOLIAGE, semantic=Semantic.VEGETATION, look=look
        )


def _key_of(draft: WorldDraft, piece: _Piece, key: RandomKey) -> RandomKey:
    """Return the generator's place of a thing: its first column, counted from the world's origin."""
    x, y = (round(origin / VOXEL_M) for origin in draft.site.column_frame.origin_m)
    return key.at(int(piece.cells.i[0]) + x, int(piece.cells.j[0]) + y)


def _add_piece(
    draft: WorldDraft,
    piece: _Piece,
    voxels: Bool[np.ndarray, "X Y Z"],
    *,
    levels: int,
    material: int,
    semantic: int,
    look: Look,
) -> None:
    pose, length_m, width_m = _frame_of(draft, piece)
    row = draft.add_thing(material, world_from_thing=pose, size_lwh_m=(length_m, width_m, levels * VOXEL_M), look=look)
    _set_voxels(draft, row, piece.cells, voxels, semantic=semantic)


def _set_voxels(draft: WorldDraft, row: int, cells: Cells, voxels: Bool[np.ndarray, "X Y Z"], *, semantic: int) -> None:
    i, j = cells.i, cells.j
    draft.semantics[i, j] = np.where(voxels[i, j], np.uint8(semantic), draft.semantics[i, j])
    draft.column_instance[i, j] = row


def _frame_of(draft: WorldDraft, piece: _Piece) -> tuple[Float64[np.ndarray, "4 4"], float, float]:
    """Return the tightest box of a thing's columns: its pose, the nearest roadway on its -y side, and its sides."""
    frame = draft.site.column_frame
    centres = np.asarray(frame.origin_m) + (np.stack([piece.cells.i, piece.cells.j], axis=1) + 0.5) * VOXEL_M
    hull = shapely.MultiPoint(centres).convex_hull
    if hull.geom_type == "Polygon":
        with np.errstate(divide="ignore", invalid="ignore"):  # of slivers, whose corners are cut off
            hull = hull.buffer(VOXEL_M / 2, cap_style="square", join_style="mitre")
    else:  # a single column, or a row of them
        around = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * VOXEL_M / 2
        hull = shapely.MultiPoint((centres[:, None] + around).reshape(-1, 2)).convex_hull
    corners = shapely.get_coordinates(hull.minimum_rotated_rectangle)[:4]
    middle = corners.mean(axis=0)
    near = shapely.get_coordinates(shapely.shortest_line(draft.site.roadway, shapely.Point(middle)))[0]
    sides = np.roll(corners, -1, axis=0) - corners
    outward = np.stack([sides[:, 1], -sides[:, 0]], axis=1)
    outward *= np.sign(((corners + sides / 2 - middle) * outward).sum(axis=1))[:, None]
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    front = int(np.argmax(outward @ (near - middle)))
    heading = float(np.arctan2(outward[front][0], -outward[front][1]))  # x axis with -y outward
    length, width = (float(np.linalg.norm(sides[(front + turn) % 4])) for turn in (0, 1))
    return planar_pose(middle[0], middle[1], heading), length, width


def _plant(draft: WorldDraft, leaves: Bool[np.ndarray, "X Y Z"], key: RandomKey, *, autumn: float) -> None:
    """Plant a tree for every canopy: smooth near the ego, its own voxels elsewhere; none where no trunk can stand."""
    low, top = _span(leaves)
    owner = _owners(draft, find_trees(low, top), top > 0)
    for tree, cells in owner:
        place = np.asarray(draft.site.column_frame.origin_m) + np.asarray(tree.middle) * VOXEL_M
        generator = key.at(*(round(10 * x) for x in place)).generator()
        high_m = tree.high * VOXEL_M
        crown_low_m = max(tree.low * VOXEL_M, LOWEST_CROWN_M)
        is_tree = high_m >= LOWEST_TREE_M
        if is_tree and not fits_trunk(draft, place):
            continue
        if is_tree and is_near_ego(draft.site, place, within_m=SMOOTH_WITHIN_M):
            radii = (tree.radius * VOXEL_M * share for share in CANOPY_SHARES)
            fitting = next(
                (
                    radius_m
                    for radius_m in radii
                    if radius_m >= NARROWEST_CANOPY_M
                    and fits_tree(draft, place, radius_m=radius_m, crown_low_m=crown_low_m)
                ),
                None,
            )
            if fitting is not None:
                plant_tree(
                    draft, generator, base_world_m=place, height_m=high_m, crown_low_m=crown_low_m,
                    radius_m=fitting, autumn=autumn,
                )  # fmt: skip
                continue
        _keep_canopy(draft, tree, cells, leaves, place, generator, autumn=autumn, has_trunk=is_tree)


def _keep_canopy(
    draft: WorldDraft,
    tree: Canopy,
    cells: Cells,
    leaves: Bool[np.ndarray, "X Y Z"],
    place_world_m: Float64[np.ndarray, "2"],
    generator: np.random.Generator,
    *,
    autumn: float,
    has_trunk: bool,
) -> None:
    """Add a tree that keeps its voxels, and a trunk under them."""
    size = (2 * tree.radius * VOXEL_M, 2 * tree.radius * VOXEL_M, tree.high * VOXEL_M)
    look = draw_foliage_look(generator, autumn=autumn)
    pose = planar_pose(place_world_m[0], place_world_m[1], 0.0)
    row = draft.add_thing(Material.FOLIAGE, world_from_thing=pose, size_lwh_m=size, look=look)
    _set_voxels(draft, row, cells, leaves, semantic=Semantic.VEGETATION)
    if has_trunk:
        trunk = cylinder(
            0.0, 0.0, low_m=0.0, high_m=(tree.low + tree.high) / 2 * VOXEL_M,
            radius_m=float(np.clip(0.02 * size[2], 0.1, 0.22)), material=Material.BARK, semantic=Semantic.VEGETATION,
        )  # fmt: skip
        draft.add_solids(row, [trunk])


def _owners(draft: WorldDraft, trees: list[Canopy], columns: Bool[np.ndarray, "X Y"]) -> list[tuple[Canopy, Cells]]:
    """Give every vegetation column to the tree whose axis is nearest, by its own radius."""
    from scipy.spatial import cKDTree

    i, j = np.nonzero(columns)
    if not trees:
        return []
    _, nearest = cKDTree(np.array([tree.middle for tree in trees])).query(np.stack([i, j], axis=1) + 0.5)
    order = np.argsort(nearest, kind="stable")
    bounds = np.searchsorted(nearest[order], np.arange(len(trees) + 1))
    return [
        (tree, Cells(i=i[order[a:b]], j=j[order[a:b]], is_complete=True))
        for tree, a, b in zip(trees, bounds[:-1], bounds[1:], strict=True)
        if b > a
    ]
