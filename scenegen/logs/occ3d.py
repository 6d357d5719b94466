"""Occ3D-nuScenes labels: read, compared with the annotated boxes, and joined to the static world of a log.

A label is indexed [x forward, y left, z up] in the ego frame, 0.4 m, from -40 m, -40 m and -1 m. Its ground lies in one
layer, which need not be that of z = 0: in the label at hand it is the lowest, 0.8 m below the wheels, and what
stands on it is as much too low as annotated boxes say. So heights count from the middle of the layer that most of the
ground lies in.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from scenegen.errors import RecordingError
from scenegen.geometry.rigid import invert_rigid, planar_pose, transform_points
from scenegen.logs.lidar_world import SeenWorld
from scenegen.types import OCC3D_GRID, AgentCategory, GridSpec, Layout, OpenGround, Semantic, SolidClass, WorldVoxels
from scenegen.types.taxonomy import SEMANTIC_OF_CATEGORY

ARRAYS = ("semantics", "mask_lidar", "mask_camera")
MOST_BYTES = 40_000_000
GROUND = (Semantic.DRIVEABLE_SURFACE, Semantic.OTHER_FLAT, Semantic.SIDEWALK, Semantic.TERRAIN)
MOVABLE = (
    Semantic.BUS, Semantic.CAR, Semantic.CONSTRUCTION_VEHICLE, Semantic.MOTORCYCLE, Semantic.TRAILER, Semantic.TRUCK,
)  # fmt: skip
GROWN_M = 0.4
"""A label voxel may reach this far beyond a box."""
STATIC_BY_KIND = {
    SolidClass.MANMADE: (Semantic.OTHERS, Semantic.BARRIER, Semantic.MANMADE),
    SolidClass.VEGETATION: (Semantic.VEGETATION,),
}
LEAST_BOXES, LEAST_INSIDE = 3, 0.35
"""A label is refused where less than this share of its movable voxels is at boxes, if there are enough of them."""


@dataclass(frozen=True, kw_only=True)
class Occ3dLabel:
    """One label, as stored."""

    semantics: UInt8[np.ndarray, "X Y Z"]
    mask_lidar: UInt8[np.ndarray, "X Y Z"]
    mask_camera: UInt8[np.ndarray, "X Y Z"]

    @property
    def ground_m(self) -> float:
        """Height, in the label's frame, of the middle of the layer that most of its ground lies in."""
        levels = np.isin(self.semantics, GROUND).sum(axis=(0, 1))
        return OCC3D_GRID.origin_m[2] + OCC3D_GRID.voxel_m * (int(levels.argmax()) + 0.5)


@dataclass(frozen=True, kw_only=True)
class BoxAgreement:
    """How a label agrees with the boxes of its moment, seen from above.

    Attributes:
        num_boxes, num_right: cars and buses in the grid, and those around whose middle their class is most frequent.
        inside_share: of the voxels of movable classes, those within 0.4 m of a box; NaN without such voxels.
    """

    num_boxes: int
    num_right: int
    inside_share: float


def read_occ3d(path: Path) -> Occ3dLabel:
    """Read `labels.npz`.

    Raises:
        RecordingError: missing, truncated, of another shape, or with classes above 17.
    """
    where = str(path)
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MOST_BYTES:
            raise RecordingError(f"a label of at most {MOST_BYTES} bytes", found=f"{unpacked} unpacked", where=where)
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ARRAYS}
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
        raise RecordingError(f"arrays {', '.join(ARRAYS)} in a .npz file", found=f"{error}", where=where) from error
    for name, array in arrays.items():
        if array.shape != OCC3D_GRID.shape or array.dtype != np.uint8:
            found = f"{array.dtype} {array.shape}"
            raise RecordingError(f"{name} uint8 {OCC3D_GRID.shape}", found=found, where=where)
    if arrays["semantics"].max() > Semantic.FREE:
        raise RecordingError("classes 0 to 17", found=f"{arrays['semantics'].max()}", where=where)
    if not np.isin(arrays["semantics"], GROUND).any():
        raise RecordingError("some ground", found="none", where=where)
    return Occ3dLabel(**arrays)


def compare_with_boxes(label: Occ3dLabel, layout: Layout, *, step: int) -> BoxAgreement:
    """Compare a label with the boxes of a step, from above: heights are another question (`ground_m`)."""
    index = np.argwhere(label.semantics != Semantic.FREE)
    places_m = np.array(OCC3D_GRID.origin_m) + OCC3D_GRID.voxel_m * (index + 0.5)
    classes = label.semantics[tuple(index.T)]
    is_movable = np.isin(classes, MOVABLE)
    is_inside = np.zeros(len(classes), np.bool_)
    ego_from_world = invert_rigid(_upright(layout, step))
    num_boxes = num_right = 0
    for agent in layout.agents:
        center_m = transform_points(ego_from_world, agent.center_world_m[step])
        if not agent.valid[step] or np.abs(center_m[:2]).max() > -OCC3D_GRID.origin_m[0]:
            continue
        turn_rad = agent.heading_rad[step] - layout.ego.heading_rad[step]
        in_box_m = np.abs((places_m - center_m)[:, :2] @ planar_pose(0.0, 0.0, turn_rad)[:2, :2])
        is_inside |= (in_box_m <= agent.size_lwh_m[:2] / 2 + GROWN_M).all(axis=1)
        if agent.category in (AgentCategory.CAR, AgentCategory.BUS):
            own = classes[(in_box_m <= agent.size_lwh_m[:2] / 2).all(axis=1) & ~np.isin(classes, GROUND)]
            num_boxes += 1
            counts = np.bincount(own, minlength=Semantic.FREE + 1)
            num_right += bool(len(own)) and int(counts.argmax()) == SEMANTIC_OF_CATEGORY[agent.category]
    share = float(is_inside[is_movable].mean()) if is_movable.any() else float("nan")
    return BoxAgreement(num_boxes=num_boxes, num_right=num_right, inside_share=share)


def check_axes(label: Occ3dLabel, layout: Layout, *, step: int, where: str) -> None:
    """Refuse a label that does not lie at the boxes: mirrored, turned, or of another moment.

    Raises:
        RecordingError: too few of its movable voxels are at boxes.
    """
    found = compare_with_boxes(label, layout, step=step)
    if found.num_boxes >= LEAST_BOXES and found.inside_share < LEAST_INSIDE:
        raise RecordingError(
            f"at least {LEAST_INSIDE:.0%} of the label's movable voxels within {GROWN_M} m of annotated boxes",
            found=f"{found.inside_share:.0%}, and {found.num_right} of {found.num_boxes} cars and buses",
            where=where,
            fix="check that the label is of this key frame, indexed x forward, y left, z up",
        )


def build_occ3d_world(labels: Sequence[Occ3dLabel], layout: Layout, *, grid: GridSpec) -> SeenWorld:
    """Join the labels of all steps to one static world, by the majority of those that saw a voxel.

    Voxels of classes that move, and anything within 0.4 m of a box, are free. Ground, too: it becomes surface.
    """
    votes = np.zeros((3, *grid.shape), np.uint8)
    ground = np.zeros((4, *grid.shape[:2]), np.uint8)
    for step, label in enumerate(labels):
        _vote(votes, ground, label, layout, step=step, grid=grid)
    is_seen = votes.any(axis=0)
    kind = np.where(is_seen, votes.argmax(axis=0), SolidClass.FREE).astype(np.uint8)
    is_known = ground.any(axis=0)
    surface = ground.argmax(axis=0)
    return SeenWorld(
        voxels=WorldVoxels(
            solid=kind,
            ground=np.where(is_known & (surface != 3), OpenGround.PAVED, OpenGround.TERRAIN).astype(np.uint8),
            origin_world_m=(float(grid.origin_m[0]), float(grid.origin_m[1])),
            voxel_m=grid.voxel_m,
            is_recorded=True,
        ),
        is_seen=is_seen,
        is_drivable=is_known & (surface == 0),
        is_walkway=is_known & ((surface == 1) | (surface == 2)),
        grid=grid,
    )


def _vote(
    votes: UInt8[np.ndarray, "3 X Y Z"],
    ground: UInt8[np.ndarray, "4 X Y"],
    label: Occ3dLabel,
    layout: Layout,
    *,
    step: int,
    grid: GridSpec,
) -> None:
    """Let every voxel of the world that a label covers vote for what the label has there, in place."""
    ego_from_world = invert_rigid(_upright(layout, step))
    reach = round(2.0 * -OCC3D_GRID.origin_m[0] / grid.voxel_m)
    middle = np.floor((layout.ego.position_world_m[step, :2] - np.array(grid.origin_m[:2])) / grid.voxel_m).astype(int)
    low = np.maximum(middle - reach, 0)
    high = np.minimum(middle + reach, grid.shape[:2])
    i, j = (part.ravel() for part in np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij"))
    places_m = np.stack([i + 0.5, j + 0.5, np.zeros(len(i))], axis=1) * grid.voxel_m + [*grid.origin_m[:2], 0.0]
    at = np.floor((transform_points(ego_from_world, places_m)[:, :2] + 40.0) / OCC3D_GRID.voxel_m).astype(int)
    is_covered = ((at >= 0) & (at < OCC3D_GRID.shape[0])).all(axis=1)
    i, j, at, places_m = i[is_covered], j[is_covered], at[is_covered], places_m[is_covered]
    is_observed = (label.mask_lidar | label.mask_camera).astype(np.bool_)
    at_box = _at_boxes(places_m, layout, step)
    bottom = round((label.ground_m - OCC3D_GRID.origin_m[2]) / OCC3D_GRID.voxel_m - 0.5)
    kind_of = np.zeros(Semantic.FREE + 1, np.uint8)
    for solid, semantics in STATIC_BY_KIND.items():
        kind_of[list(semantics)] = solid
    for level in range(min(grid.shape[2], OCC3D_GRID.shape[2] - bottom)):
        stored = level + bottom
        seen = is_observed[at[:, 0], at[:, 1], stored]
        kind = np.where(at_box, SolidClass.FREE, kind_of[label.semantics[at[:, 0], at[:, 1], stored]])
        votes[kind[seen], i[seen], j[seen], level] += 1
    columns = label.semantics[at[:, 0], at[:, 1], bottom]
    for number, semantic in enumerate(GROUND):
        own = columns == semantic
        ground[number, i[own], j[own]] += 1


def _at_boxes(places_m: Float64[np.ndarray, "P 3"], layout: Layout, step: int) -> Bool[np.ndarray, " P"]:
    at_box = np.zeros(len(places_m), np.bool_)
    for agent in layout.agents:
        if agent.valid[step]:
            turn = planar_pose(0.0, 0.0, agent.heading_rad[step])[:2, :2]
            in_box_m = np.abs((places_m - agent.center_world_m[step])[:, :2] @ turn)
            at_box |= (in_box_m <= agent.size_lwh_m[:2] / 2 + GROWN_M).all(axis=1)
    return at_box


def _upright(layout: Layout, step: int) -> Float64[np.ndarray, "4 4"]:
    x, y, _ = layout.ego.position_world_m[step]
    return planar_pose(x, y, float(layout.ego.heading_rad[step]))
