"""Buildings: voxel blocks with an exact oriented box, explicit ones from the layout and rows along streets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import shapely
from jaxtyping import Float64

from scenegen.geometry.rigid import planar_pose
from scenegen.occupancy.appearance import FACADE_SRGB, TRIM_SRGB, draw_color, draw_facade_pattern
from scenegen.occupancy.draft import Look, Solid, WorldDraft
from scenegen.occupancy.raster import Cells, cells_of_rectangle, mask_of, paint
from scenegen.occupancy.site import VOXEL_M, region_of
from scenegen.types import Area, Material, RandomKey, Semantic, ShapeKind

CLEARANCE_M = 0.6
"""Free margin around a footprint; more than half a column's diagonal, so that no column reaches over."""
SHORTEST_SIDE_M = 6.0
PART_SHARES = ((1.0, 1.0), (1.0, 0.75), (0.7, 1.0), (1.0, 0.55), (0.7, 0.75), (0.5, 1.0), (0.7, 0.55), (0.5, 0.55))
"""Width and depth of what may stand on a plot that traffic crosses, as shares of the plot's."""
TALLEST_M = 24.4
PARAPET_M = 0.8


@dataclass(frozen=True, kw_only=True)
class BuildingStyle:
    """Ranges from which the buildings of a block are drawn, in metres (low, high), and chances in 0..1.

    Attributes:
        paved_front: whether the land before a building and a strip around it are paved, as far as
            `paved_front_m` and `paved_side_m` say.
        has_fence: whether its block is fenced off the street.
    """

    width_m: tuple[float, float]
    depth_m: tuple[float, float]
    height_m: tuple[float, float]
    setback_m: tuple[float, float]
    gap_m: tuple[float, float]
    gable_chance: float
    parapet_chance: float
    paved_front: bool
    has_fence: bool
    paved_front_m: float = 8.0
    paved_side_m: float = 1.0


ROW = BuildingStyle(
    width_m=(8.0, 18.0), depth_m=(9.0, 14.0), height_m=(8.0, 20.0), setback_m=(0.7, 1.6), gap_m=(0.0, 0.6),
    gable_chance=0.2, parapet_chance=0.5, paved_front=True, has_fence=False,
)  # fmt: skip
HOUSES = BuildingStyle(
    width_m=(8.0, 13.0), depth_m=(8.0, 11.0), height_m=(4.8, 7.2), setback_m=(3.5, 7.0), gap_m=(3.0, 8.0),
    gable_chance=0.85, parapet_chance=0.05, paved_front=False, has_fence=True,
)  # fmt: skip
TOWERS = BuildingStyle(
    width_m=(14.0, 25.0), depth_m=(12.0, 18.0), height_m=(15.0, 24.4), setback_m=(3.0, 8.0), gap_m=(5.0, 14.0),
    gable_chance=0.0, parapet_chance=0.8, paved_front=True, has_fence=False,
)  # fmt: skip
HALLS = BuildingStyle(
    width_m=(16.0, 25.0), depth_m=(14.0, 20.0), height_m=(6.0, 9.6), setback_m=(5.0, 10.0), gap_m=(6.0, 16.0),
    gable_chance=0.25, parapet_chance=0.6, paved_front=False, has_fence=True,
)  # fmt: skip


def draw_building_look(generator: np.random.Generator) -> Look:
    """Draw wall colour, trim colour and window pattern."""
    return Look(
        primary_rgb=draw_color(generator, FACADE_SRGB),
        secondary_rgb=draw_color(generator, TRIM_SRGB),
        pattern=draw_facade_pattern(generator),
    )


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A rectangle of ground for one building.

    Attributes:
        front_world_m: middle of its street side.
        heading_rad: of its x axis, which runs along the street; the street is on its -y side.
        width_m, depth_m: along and away from the street.
    """

    front_world_m: Float64[np.ndarray, "2"]
    heading_rad: float
    width_m: float
    depth_m: float

    @property
    def world_from_middle(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of its middle."""
        middle = self.at(0.0, self.depth_m / 2)
        return planar_pose(middle[0], middle[1], self.heading_rad)

    def at(self, along_m: float, away_m: float) -> Float64[np.ndarray, "2"]:
        """Return the world point so far from the middle of the street side."""
        cos, sin = np.cos(self.heading_rad), np.sin(self.heading_rad)
        return self.front_world_m + np.array([cos * along_m - sin * away_m, sin * along_m + cos * away_m])

    def parts(self) -> Iterator[Plot]:
        """Yield the plot, then smaller ones inside it, the largest first."""
        for width_share, depth_share in PART_SHARES:
            width_m, depth_m = width_share * self.width_m, depth_share * self.depth_m
            for side, end in product(_ends(width_share), _ends(depth_share)):
                along_m = side * (self.width_m - width_m) / 2
                away_m = (1 + end) * (self.depth_m - depth_m) / 2
                yield replace(self, front_world_m=self.at(along_m, away_m), width_m=width_m, depth_m=depth_m)


def _ends(share: float) -> tuple[int, ...]:
    """Return where a part can lie along an axis: at the low end or at the high end, or just there if it is whole."""
    return (0,) if share == 1.0 else (-1, 1)


def add_explicit_buildings(draft: WorldDraft, key: RandomKey) -> None:
    """Build the layout's own buildings: exactly its polygons, minus columns of the roadway and of swept space.

    The wall planes of a building that is not a rectangle are those of its minimum rotated rectangle.
    """
    for index, area in enumerate(draft.site.layout.road_map.areas_of("building")):
        _add_explicit_building(draft, area, key.at(index).generator())


def _add_explicit_building(draft: WorldDraft, area: Area, generator: np.random.Generator) -> None:
    site = draft.site
    height_m = _on_voxels(area.height_m if area.height_m > 0.0 else generator.uniform(7.0, 18.0))
    look = draw_building_look(generator)
    region = region_of(area)
    i, j = np.nonzero(mask_of(region, site.column_frame) & ~site.is_road)
    if len(i) == 0:
        return
    plot = Cells(i=i, j=j, is_complete=True)
    cells = plot.without(site.keep_out)
    draft.claim(plot)
    if len(cells.i) == 0:
        draft.leave_row()
        return
    corners = shapely.get_coordinates(region.minimum_rotated_rectangle)[:4]
    along, across = corners[1] - corners[0], corners[2] - corners[1]
    centre = corners.mean(axis=0)
    pose = planar_pose(centre[0], centre[1], float(np.arctan2(along[1], along[0])))
    size = (float(np.linalg.norm(along)), float(np.linalg.norm(across)), height_m)
    row = draft.add_thing(Material.FACADE, world_from_thing=pose, size_lwh_m=size, look=look)
    draft.fill_columns(row, cells, low_m=0.0, high_m=height_m, semantic=Semantic.MANMADE)


def try_building(
    draft: WorldDraft, generator: np.random.Generator, plots: Iterable[Plot], *, style: BuildingStyle
) -> bool:
    """Place a building on the first plot whose ground is free, smaller where traffic passes, or nowhere on it."""
    plot = next((plot for plot in plots if _is_large(plot) and _has_ground(draft, plot)), None)
    if plot is None:
        return False
    draft.claim(_cells_of(draft, plot, margin_m=VOXEL_M / 2))
    standing = next((part for part in plot.parts() if _is_large(part) and not _meets_traffic(draft, part)), None)
    if standing is None:
        draft.leave_row()
    else:
        _raise_building(draft, generator, plot=standing, style=style)
    return True


def _is_large(plot: Plot) -> bool:
    return min(plot.width_m, plot.depth_m) >= SHORTEST_SIDE_M


def _has_ground(draft: WorldDraft, plot: Plot) -> bool:
    return draft.is_free(_needed_cells(draft, plot), blocked=draft.site.is_paved)


def _meets_traffic(draft: WorldDraft, plot: Plot) -> bool:
    return draft.is_swept(_needed_cells(draft, plot))


def _needed_cells(draft: WorldDraft, plot: Plot) -> Cells:
    """Return the columns that must be free; neighbours in a row may touch."""
    return _cells_of(draft, replace(plot, width_m=plot.width_m - 0.8), margin_m=CLEARANCE_M)


def _cells_of(draft: WorldDraft, plot: Plot, *, margin_m: float) -> Cells:
    size_m = (plot.width_m, plot.depth_m)
    return cells_of_rectangle(
        draft.site.column_frame, world_from_thing=plot.world_from_middle, size_m=size_m, margin_m=margin_m
    )


def _raise_building(
    draft: WorldDraft,
    generator: np.random.Generator,
    *,
    plot: Plot,
    style: BuildingStyle,
) -> None:
    """Fill the voxels of one building and add its roof."""
    site = draft.site
    pose, width_m, depth_m = plot.world_from_middle, plot.width_m, plot.depth_m
    height_m = _on_voxels(min(generator.uniform(*style.height_m), TALLEST_M))
    look = draw_building_look(generator)
    row = draft.add_thing(Material.FACADE, world_from_thing=pose, size_lwh_m=(width_m, depth_m, height_m), look=look)
    footprint = cells_of_rectangle(site.column_frame, world_from_thing=pose, size_m=(width_m, depth_m))
    roof = generator.random()
    body_m = height_m
    if roof < style.gable_chance:
        draft.add_solids(row, [_gable(width_m, depth_m, height_m, generator)])
    elif roof < style.gable_chance + style.parapet_chance:
        body_m = height_m - PARAPET_M
        inner = cells_of_rectangle(
            site.column_frame, world_from_thing=pose, size_m=(width_m - 2 * VOXEL_M, depth_m - 2 * VOXEL_M)
        )
        draft.fill_columns(row, footprint, low_m=0.0, high_m=height_m, semantic=Semantic.MANMADE)
        draft.fill_columns(row, inner, low_m=body_m, high_m=height_m, semantic=Semantic.FREE)
    draft.fill_columns(row, footprint, low_m=0.0, high_m=body_m, semantic=Semantic.MANMADE)
    if generator.random() < 0.3 and height_m > 9.0 and body_m + 2.4 <= TALLEST_M:
        block = cells_of_rectangle(
            site.column_frame, world_from_thing=pose, size_m=(width_m * 0.35, depth_m * 0.35)
        )  # stair house or plant room
        draft.fill_columns(row, block, low_m=body_m, high_m=body_m + 2.4, semantic=Semantic.MANMADE)
    if style.paved_front:
        _pave_around(draft, pose=pose, width_m=width_m, depth_m=depth_m, style=style)


def _gable(width_m: float, depth_m: float, height_m: float, generator: np.random.Generator) -> Solid:
    """Return a pitched roof with its ridge along the street or across it."""
    rise_m = float(np.clip(min(width_m, depth_m) * generator.uniform(0.3, 0.45), 1.2, 25.4 - height_m))
    along_street = generator.random() < 0.6
    half = (
        (depth_m / 2 + 0.3, width_m / 2, rise_m / 2) if along_street else (width_m / 2, depth_m / 2 + 0.3, rise_m / 2)
    )
    return Solid(
        kind=ShapeKind.WEDGE,
        center_m=(0.0, 0.0, height_m + rise_m / 2),
        half_extent_m=half,
        material=Material.ROOF,
        taper=(0.98, 0.98),
        yaw_rad=np.pi / 2 if along_street else 0.0,
    )


def _pave_around(
    draft: WorldDraft, *, pose: Float64[np.ndarray, "4 4"], width_m: float, depth_m: float, style: BuildingStyle
) -> None:
    """Pave the land between a town building and the street, and a strip around it."""
    half_x, back = width_m / 2 + style.paved_side_m, depth_m / 2 + style.paved_side_m
    front = -depth_m / 2 - style.paved_front_m
    corners = np.array([[-half_x, front], [half_x, front], [half_x, back], [-half_x, back]])
    plot = shapely.Polygon(corners @ pose[:2, :2].T + pose[:2, 3]).difference(draft.site.lawn)
    paint(draft.ground, draft.site.ground_frame, region=plot, value=Material.SIDEWALK, only_on=(Material.GRASS,))


def _on_voxels(height_m: float) -> float:
    return float(round(min(height_m, TALLEST_M) / VOXEL_M) * VOXEL_M)
