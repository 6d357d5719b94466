"""A world under construction: rules add to it, `finish` freezes it.

Ground is allotted by where streets and other things are, never by where agents pass: a thing whose ground is swept
gives way on its own plot, which nothing else takes, and keeps its row. So a moved agent changes neither the place
nor the number of any other thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8, UInt16

from scenegen.errors import WorldError
from scenegen.geometry.rigid import invert_rigid
from scenegen.occupancy.raster import Cells
from scenegen.occupancy.site import VOXEL_M, Site
from scenegen.types import (
    STATIC_INSTANCE_OFFSET,
    AppearanceTable,
    Material,
    Semantic,
    ShapeKind,
    ShapeSet,
    StaticTable,
    World,
)

KERB_HEIGHT_M = 0.15
MAX_STATICS = 0x7FFF


@dataclass(frozen=True, kw_only=True)
class Look:
    """Appearance of one static thing; see `AppearanceTable`."""

    primary_rgb: Float32[np.ndarray, "3"]
    secondary_rgb: Float32[np.ndarray, "3"]
    pattern: Float32[np.ndarray, "4"]


@dataclass(frozen=True, kw_only=True)
class Solid:
    """One solid of a thing, in the thing's own frame (origin at the middle of its footprint, z up)."""

    kind: int
    center_m: tuple[float, float, float]
    half_extent_m: tuple[float, float, float]
    material: int
    semantic: int = Semantic.MANMADE
    taper: tuple[float, float] = (0.0, 0.0)
    yaw_rad: float = 0.0
    pitch_rad: float = 0.0


@dataclass
class WorldDraft:
    """Arrays that the rules fill in, and the free ground that is left.

    Attributes:
        claimed: columns allotted to a thing, whether it stands or gives way to an agent.
    """

    site: Site
    ground: UInt8[np.ndarray, "GX GY"]
    semantics: UInt8[np.ndarray, "X Y Z"] = field(init=False)
    column_instance: UInt16[np.ndarray, "X Y"] = field(init=False)
    claimed: Bool[np.ndarray, "X Y"] = field(init=False)
    _materials: list[int] = field(default_factory=list)
    _poses: list[Float64[np.ndarray, "4 4"]] = field(default_factory=list)
    _sizes: list[tuple[float, float, float]] = field(default_factory=list)
    _looks: list[Look] = field(default_factory=list)
    _solids: list[tuple[int, Solid]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.semantics = np.full(self.site.grid.shape, Semantic.FREE, np.uint8)
        self.column_instance = np.zeros(self.site.grid.shape[:2], np.uint16)
        self.claimed = np.zeros(self.site.grid.shape[:2], np.bool_)

    def add_thing(
        self,
        material: int,
        *,
        world_from_thing: Float64[np.ndarray, "4 4"],
        size_lwh_m: tuple[float, float, float],
        look: Look,
    ) -> int:
        """Append a row to the static table and return its index.

        Raises:
            WorldError: there are more things than instance ids.
        """
        row = len(self._materials)
        if row >= MAX_STATICS:
            raise WorldError(
                f"at most {MAX_STATICS} static things", found="more", where=self.site.layout.layout_id,
                fix="shorten the ego path",
            )  # fmt: skip
        self._materials.append(int(material))
        self._poses.append(world_from_thing)
        self._sizes.append(size_lwh_m)
        self._looks.append(look)
        return row

    def leave_row(self) -> int:
        """Append the row of a thing that gives way: it numbers nothing that can be seen."""
        black = np.zeros(3, np.float32)
        return self.add_thing(
            Material.GRASS,
            world_from_thing=np.eye(4),
            size_lwh_m=(0.0, 0.0, 0.0),
            look=Look(primary_rgb=black, secondary_rgb=black, pattern=np.zeros(4, np.float32)),
        )

    def add_solids(self, row: int, solids: list[Solid]) -> None:
        """Append solids of thing `row`, given in its own frame."""
        self._solids.extend((row, solid) for solid in solids)

    def fill_columns(self, row: int, cells: Cells, *, low_m: float, high_m: float, semantic: int) -> None:
        """Fill the voxels between two heights of columns that are still empty, or already belong to `row`."""
        mine = np.isin(self.column_instance[cells.i, cells.j], (0, row))
        i, j = cells.i[mine], cells.j[mine]
        if len(i) == 0:
            return
        low, high = round(low_m / VOXEL_M), min(round(high_m / VOXEL_M), self.site.grid.shape[2])
        self.semantics[i, j, low:high] = semantic
        self.column_instance[i, j] = row

    def is_free(self, cells: Cells, *, blocked: Bool[np.ndarray, "X Y"]) -> bool:
        """Return whether all cells lie in the grid, unclaimed and outside `blocked`."""
        if not cells.is_complete or len(cells.i) == 0:
            return False
        return not bool((self.claimed[cells.i, cells.j] | blocked[cells.i, cells.j]).any())

    def is_swept(self, cells: Cells, *, above_m: float = 0.0) -> bool:
        """Return whether an agent or the ego ever passes one of the cells and reaches higher than `above_m`."""
        return bool((self.site.swept_top_m[cells.i, cells.j] > above_m).any())

    def claim(self, cells: Cells) -> None:
        """Allot columns."""
        self.claimed[cells.i, cells.j] = True

    def finish(self) -> World:
        """Freeze the draft."""
        site = self.site
        statics = StaticTable(
            material=np.array(self._materials, np.uint8),
            world_from_thing=np.stack(self._poses),
            size_lwh_m=np.array(self._sizes, np.float64),
            appearance=AppearanceTable(
                primary_rgb=np.stack([look.primary_rgb for look in self._looks]),
                secondary_rgb=np.stack([look.secondary_rgb for look in self._looks]),
                pattern=np.stack([look.pattern for look in self._looks]),
            ),
        )
        return World(
            grid=site.grid,
            semantics=self.semantics,
            column_instance=self.column_instance,
            ground_origin_m=site.ground_frame.origin_m,
            ground_cell_m=site.ground_frame.cell_m,
            ground=self.ground,
            kerb_height_m=KERB_HEIGHT_M,
            shapes=_place_solids(self._solids, statics),
            statics=statics,
        )


def rotation_of(yaw_rad: float, pitch_rad: float) -> Float64[np.ndarray, "3 3"]:
    """Return yaw about z after pitch about y (positive pitch lowers the x axis)."""
    cy, sy, cp, sp = np.cos(yaw_rad), np.sin(yaw_rad), np.cos(pitch_rad), np.sin(pitch_rad)
    return np.array([[cy * cp, -sy, cy * sp], [sy * cp, cy, sy * sp], [-sp, 0.0, cp]])


def box_from_world_of(
    world_from_thing: Float64[np.ndarray, "4 4"], size_lwh_m: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "4 4"]:
    """Return the map from the world into a thing's own box, -0.5..0.5 per axis; its frame's origin is on the ground."""
    box_from_thing = np.eye(4)
    box_from_thing[:3, :3] = np.diag(1.0 / size_lwh_m)
    box_from_thing[2, 3] = -0.5
    return np.asarray(box_from_thing @ invert_rigid(world_from_thing))


def _place_solids(solids: list[tuple[int, Solid]], statics: StaticTable) -> ShapeSet:
    if not solids:
        return ShapeSet.empty()
    poses = np.zeros((len(solids), 4, 4))
    boxes = np.zeros((len(solids), 4, 4))
    box_of_row: dict[int, Float64[np.ndarray, "4 4"]] = {}
    for index, (row, solid) in enumerate(solids):
        thing_from_shape = np.eye(4)
        thing_from_shape[:3, :3] = rotation_of(solid.yaw_rad, solid.pitch_rad)
        thing_from_shape[:3, 3] = solid.center_m
        poses[index] = statics.world_from_thing[row] @ thing_from_shape
        if row not in box_of_row:
            box_of_row[row] = box_from_world_of(statics.world_from_thing[row], statics.size_lwh_m[row])
        boxes[index] = box_of_row[row]
    rows = np.array([row for row, _ in solids])
    return ShapeSet(
        kind=np.array([solid.kind for _, solid in solids], np.uint8),
        world_from_shape=poses,
        half_extent_m=np.array([solid.half_extent_m for _, solid in solids], np.float64),
        taper=np.array([solid.taper for _, solid in solids], np.float64),
        instance=(STATIC_INSTANCE_OFFSET + rows).astype(np.uint16),
        semantic=np.array([solid.semantic for _, solid in solids], np.uint8),
        material=np.array([solid.material for _, solid in solids], np.uint8),
        box_from_world=boxes,
    )


def cylinder(
    x_m: float,
    y_m: float,
    *,
    low_m: float,
    high_m: float,
    radius_m: float,
    material: int,
    semantic: int = Semantic.MANMADE,
) -> Solid:
    """Return an upright cylinder between two heights."""
    return Solid(
        kind=ShapeKind.CYLINDER,
        center_m=(x_m, y_m, (low_m + high_m) / 2),
        half_extent_m=(radius_m, radius_m, (high_m - low_m) / 2),
        material=material,
        semantic=semantic,
    )


def box(
    center_m: tuple[float, float, float], size_m: tuple[float, float, float], *, material: int = Material.METAL
) -> Solid:
    """Return an axis-aligned box."""
    return Solid(
        kind=ShapeKind.BOX,
        center_m=center_m,
        half_extent_m=(size_m[0] / 2, size_m[1] / 2, size_m[2] / 2),
        material=material,
    )
