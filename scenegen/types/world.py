"""The static world: voxels, ground surface, static shapes. The single source of truth of a scene.

Three exact parts, all in the world frame:

* `semantics` and `column_instance`: voxels of what stands (buildings, canopies, hedges, walls).
* `ground`: a raster of materials. Cells of a raised material lie at `kerb_height_m`, others at z = 0;
  the step between them is a kerb. Markings are an attribute of the surface, not geometry.
* `shapes`: thin static things (poles, lamps, signs, trunks) as exact solids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8, UInt16

from scenegen.errors import WorldError
from scenegen.types.taxonomy import Material

RAISED_MATERIALS = (Material.SIDEWALK, Material.KERB, Material.GRASS)
MAX_LEVELS = 64
"""Vertical voxels per column: one machine word, which is what makes ray casting cheap."""


@dataclass(frozen=True, kw_only=True)
class GridSpec:
    """A regular grid: voxel (i, j, k) spans `origin_m + voxel_m * (i, j, k)` to one voxel further."""

    origin_m: tuple[float, float, float]
    voxel_m: float
    shape: tuple[int, int, int]


OCC3D_GRID = GridSpec(origin_m=(-40.0, -40.0, -1.0), voxel_m=0.4, shape=(200, 200, 16))
"""The ego-frame view of the world that perception teams use."""


class ShapeKind:
    """Codes of `ShapeSet.kind`."""

    BOX = 0
    """Local |x|, |y|, |z| <= half extent."""
    ELLIPSOID = 1
    """Local (x/hx)^2 + (y/hy)^2 + (z/hz)^2 <= 1."""
    CYLINDER = 2
    """Axis along local z: (x/hx)^2 + (y/hy)^2 <= 1, |z| <= hz."""
    WEDGE = 3
    """A box whose +x and -x faces lean in: at the top (z = +hz) x runs from -hx*(1-taper_back) to
    +hx*(1-taper_front); at the bottom it is the full box. `taper` holds (front, back), each 0..1."""


@dataclass(frozen=True, kw_only=True)
class ShapeSet:
    """N solids. A thing (agent, lamp) is made of one or more of them, sharing an instance id.

    Attributes:
        kind: code of `ShapeKind`.
        world_from_shape: pose of each solid's own centre and axes.
        half_extent_m: half sizes along the solid's own axes.
        taper: (front, back) for wedges, zero otherwise.
        instance: image instance id of the thing (see `taxonomy.STATIC_INSTANCE_OFFSET`).
        semantic: Occ3D class.
        material: default material.
        box_from_world: maps world points into the thing's own box, where each axis runs -0.5..0.5:
            the canonical coordinate.
    """

    kind: UInt8[np.ndarray, " N"]
    world_from_shape: Float64[np.ndarray, "N 4 4"]
    half_extent_m: Float64[np.ndarray, "N 3"]
    taper: Float64[np.ndarray, "N 2"]
    instance: UInt16[np.ndarray, " N"]
    semantic: UInt8[np.ndarray, " N"]
    material: UInt8[np.ndarray, " N"]
    box_from_world: Float64[np.ndarray, "N 4 4"]

    def __len__(self) -> int:
        return len(self.kind)

    @staticmethod
    def empty() -> ShapeSet:
        """Return a set of no solids."""
        return ShapeSet(
            kind=np.zeros(0, np.uint8),
            world_from_shape=np.zeros((0, 4, 4)),
            half_extent_m=np.zeros((0, 3)),
            taper=np.zeros((0, 2)),
            instance=np.zeros(0, np.uint16),
            semantic=np.zeros(0, np.uint8),
            material=np.zeros(0, np.uint8),
            box_from_world=np.zeros((0, 4, 4)),
        )

    @staticmethod
    def concatenate(sets: list[ShapeSet]) -> ShapeSet:
        """Join several sets, in order."""
        if not sets:
            return ShapeSet.empty()
        return ShapeSet(
            **{name: np.concatenate([getattr(s, name) for s in sets]) for name in ShapeSet.__dataclass_fields__}
        )


@dataclass(frozen=True, kw_only=True)
class AppearanceTable:
    """How each instance looks, fixed for the whole scene in every camera. Row i belongs to instance i of its table.

    Attributes:
        primary_rgb: main colour, linear 0..1 (facade, car body, upper cloth, foliage).
        secondary_rgb: second colour (window frames and ground floor, trim, lower cloth).
        pattern: buildings: (bay width m, storey height m, window width fraction, window height fraction);
            other things: four numbers in 0..1 that vary detail.
    """

    primary_rgb: Float32[np.ndarray, "N 3"]
    secondary_rgb: Float32[np.ndarray, "N 3"]
    pattern: Float32[np.ndarray, "N 4"]


@dataclass(frozen=True, kw_only=True)
class StaticTable:
    """Static instances. Row s has image instance id `STATIC_INSTANCE_OFFSET + s`; row 0 is the ground.

    Attributes:
        material: material of the voxels of this instance (FACADE, FOLIAGE, WALL, ...).
        world_from_thing: its frame: x along the front, origin at the middle of its footprint at z = 0.
        size_lwh_m: extent of the thing in its own frame. For a building the four vertical faces of this box
            are its wall planes, on which canonical coordinates live.
        appearance: how it looks.
    """

    material: UInt8[np.ndarray, " S"]
    world_from_thing: Float64[np.ndarray, "S 4 4"]
    size_lwh_m: Float64[np.ndarray, "S 3"]
    appearance: AppearanceTable


@dataclass(frozen=True, kw_only=True)
class World:
    """The static world of one scene.

    Attributes:
        grid: voxel grid; at most 64 levels.
        semantics: Occ3D class per voxel, `Semantic.FREE` where nothing stands. Ground is not in here.
        column_instance: row of `statics` that owns the voxels of each column; 0 where there are none.
        ground_origin_m: (x, y) of the corner of ground cell (0, 0).
        ground_cell_m: edge of a ground cell.
        ground: material per cell. Outside the raster the ground is GRASS.
        kerb_height_m: height of the raised materials.
        shapes: static solids.
        statics: table of static instances.
    """

    grid: GridSpec
    semantics: UInt8[np.ndarray, "X Y Z"]
    column_instance: UInt16[np.ndarray, "X Y"]
    ground_origin_m: tuple[float, float]
    ground_cell_m: float
    ground: UInt8[np.ndarray, "GX GY"]
    kerb_height_m: float
    shapes: ShapeSet
    statics: StaticTable

    def __post_init__(self) -> None:
        if self.semantics.shape != self.grid.shape:
            raise WorldError(f"voxels of shape {self.grid.shape}", found=f"{self.semantics.shape}", where="world")
        if self.grid.shape[2] > MAX_LEVELS:
            raise WorldError(f"at most {MAX_LEVELS} levels", found=f"{self.grid.shape[2]}", where="world")
        if self.column_instance.shape != self.grid.shape[:2]:
            raise WorldError(
                "column_instance of the grid's shape", found=f"{self.column_instance.shape}", where="world"
            )
        if self.kerb_height_m < 0.0:
            raise WorldError("kerb_height_m of zero or more", found=f"{self.kerb_height_m}", where="world")


@dataclass(frozen=True, kw_only=True)
class OccupancyView:
    """Ego-frame occupancy of one step, Occ3D meaning: 0 others .. 16 vegetation, 17 free."""

    semantics: UInt8[np.ndarray, "X Y Z"]
    mask_camera: Bool[np.ndarray, "X Y Z"]
    instance: Int32[np.ndarray, "X Y Z"]


@dataclass(frozen=True, kw_only=True)
class Lighting:
    """Light and weather of a scene in numbers: the per-scene appearance code.

    Attributes:
        sun_direction_world: unit vector from the ground towards the sun (or moon).
        sun, overcast, fog, rain, night, warmth: each 0..1.
        variation: free numbers in 0..1 that vary sky, asphalt and grass from scene to scene.
    """

    sun_direction_world: Float64[np.ndarray, "3"]
    sun: float
    overcast: float
    fog: float
    rain: float
    night: float
    warmth: float
    variation: tuple[float, float, float, float]

    def code(self) -> Float32[np.ndarray, "10"]:
        """Return the appearance code as one vector: the six weights, then `variation`."""
        return np.array(
            [self.sun, self.overcast, self.fog, self.rain, self.night, self.warmth, *self.variation], np.float32
        )
