"""Does the static world stay what it was? Every step's voxels brought into the world frame and compared.

A source says for each step what it believes of the world: a generator in world frame always the same, one in ego frames
whatever its frame of that step holds. Agents are left out: they move.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from scenegen.geometry.rigid import invert_rigid
from scenegen.occupancy.crops import FRAME_LEVELS
from scenegen.occupancy.latent_ar.codes import AGENT_GROUPS, GROUP_OF_GROUND, GROUP_OF_SOLID, Group
from scenegen.occupancy.latent_ar.frames import GROUND_LEVEL, LayoutFrames
from scenegen.occupancy.raster import RasterFrame
from scenegen.occupancy.voxels import WorldVoxels, columns_of
from scenegen.types import OCC3D_GRID


@dataclass(frozen=True, kw_only=True)
class SeenWorld:
    """What a source says of the static world at one step, FRAME_LEVELS levels from z = 0.

    Attributes:
        shape: of all of the world's columns.
        part: the columns that may be seen.
        groups: `Group` of every voxel of them; level 0 holds the ground where nothing stands.
        is_seen: voxels of which something static is said.
    """

    shape: tuple[int, int]
    part: tuple[slice, slice]
    groups: UInt8[np.ndarray, "X Y Z"]
    is_seen: Bool[np.ndarray, "X Y Z"]


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Shares of voxels that stay the same.

    Attributes:
        occupied: of voxels seen in two consecutive steps and not free in both, those of equal class.
        all: of all voxels seen in two consecutive steps.
        throughout: of voxels seen in two or more steps, and not always free, those that never change.
        num_compared: pairs behind `occupied`.
    """

    occupied: float
    all: float
    throughout: float
    num_compared: int


def static_consistency(steps: Iterable[SeenWorld]) -> Consistency:
    """Compare every step with the one before and with all; NaN where nothing is seen twice."""
    tally: _Tally | None = None
    equal_occupied = num_occupied = equal = num = 0
    for seen in steps:
        if tally is None:
            tally = _Tally((*seen.shape, seen.groups.shape[2]))
        both, before = tally.seen_before(seen)
        now, then = seen.groups[both], before[both]
        same, occupied = now == then, (now != Group.FREE) | (then != Group.FREE)
        equal, num = equal + int(same.sum()), num + same.size
        equal_occupied += int((same & occupied).sum())
        num_occupied += int(occupied.sum())
        tally.add(seen)
    return Consistency(
        occupied=_share(equal_occupied, num_occupied),
        all=_share(equal, num),
        throughout=float("nan") if tally is None else tally.share_unchanged(),
        num_compared=num_occupied,
    )


def frames_in_world(
    frames: UInt8[np.ndarray, "T X Y Z"], told: LayoutFrames, columns: RasterFrame
) -> Iterator[SeenWorld]:
    """Warp ego frames of `Group`s into the world: a voxel is what the ego voxel that holds its middle says."""
    for frame, pose in zip(frames, told.world_from_ego, strict=True):
        part, cells, inside = _ego_columns(pose, columns)
        groups = frame[cells[..., 0], cells[..., 1], GROUND_LEVEL:]
        is_seen = inside[..., None] & ~np.isin(groups, AGENT_GROUPS)
        yield SeenWorld(shape=columns.shape, part=part, groups=groups, is_seen=is_seen)


def world_in_view(voxels: WorldVoxels, told: LayoutFrames) -> Iterator[SeenWorld]:
    """Say at every step what a generated world holds in the range of the ego frame."""
    groups = GROUP_OF_SOLID[voxels.solid[..., :FRAME_LEVELS]]
    floor = groups[..., 0]
    groups[..., 0] = np.where(floor == Group.FREE, GROUP_OF_GROUND[voxels.ground], floor)
    columns = columns_of(voxels)
    for pose in told.world_from_ego:
        part, _, inside = _ego_columns(pose, columns)
        is_seen = np.broadcast_to(inside[..., None], (*inside.shape, groups.shape[2]))
        yield SeenWorld(shape=columns.shape, part=part, groups=groups[part], is_seen=is_seen)


class _Tally:
    """What every voxel was so far."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._steps = 0
        self._first = np.zeros(shape, np.uint8)
        self._last = np.zeros(shape, np.uint8)
        self._last_step = np.full(shape, -1, np.int16)
        self._count = np.zeros(shape, np.uint16)
        self._has_changed = np.zeros(shape, np.bool_)
        self._was_occupied = np.zeros(shape, np.bool_)

    def seen_before(self, seen: SeenWorld) -> tuple[Bool[np.ndarray, "X Y Z"], UInt8[np.ndarray, "X Y Z"]]:
        """Return the voxels seen now and in the step before, and what they were then."""
        is_recent = (self._last_step[seen.part] == self._steps - 1) & (self._count[seen.part] > 0)
        return seen.is_seen & is_recent, self._last[seen.part]

    def add(self, seen: SeenWorld) -> None:
        part, is_seen, groups = seen.part, seen.is_seen, seen.groups
        is_new = is_seen & (self._count[part] == 0)
        self._first[part][is_new] = groups[is_new]
        self._has_changed[part] |= is_seen & (groups != self._first[part])
        self._was_occupied[part] |= is_seen & (groups != Group.FREE)
        self._count[part] += is_seen
        self._last[part][is_seen] = groups[is_seen]
        self._last_step[part][is_seen] = self._steps
        self._steps += 1

    def share_unchanged(self) -> float:
        counted = (self._count > 1) & self._was_occupied
        return _share(int((counted & ~self._has_changed).sum()), int(counted.sum()))


def _ego_columns(
    world_from_ego: np.ndarray, columns: RasterFrame
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Return the columns around the ego frame, the ego column that holds the middle of each, and whether one does."""
    part = _columns_around(world_from_ego, columns)
    axes = [
        columns.origin_m[axis] + columns.cell_m * (np.arange(columns.shape[axis])[part[axis]] + 0.5) for axis in (0, 1)
    ]
    world_m = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    ego_from_world = invert_rigid(world_from_ego)
    ego_m = world_m @ ego_from_world[:2, :2].T + ego_from_world[:2, 3]
    cells = np.floor((ego_m - np.array(OCC3D_GRID.origin_m[:2])) / OCC3D_GRID.voxel_m).astype(np.int64)
    shape = np.array(OCC3D_GRID.shape[:2])
    inside = ((cells >= 0) & (cells < shape)).all(axis=-1)
    return part, np.clip(cells, 0, shape - 1), inside


def _columns_around(world_from_ego: np.ndarray, columns: RasterFrame) -> tuple[slice, slice]:
    low_m = np.array(OCC3D_GRID.origin_m[:2])
    high_m = low_m + OCC3D_GRID.voxel_m * np.array(OCC3D_GRID.shape[:2])
    corners_m = np.array([(x, y) for x in (low_m[0], high_m[0]) for y in (low_m[1], high_m[1])])
    cells = (corners_m @ world_from_ego[:2, :2].T + world_from_ego[:2, 3] - np.array(columns.origin_m)) / columns.cell_m
    first = np.clip(np.floor(cells.min(axis=0)).astype(int) - 1, 0, columns.shape)
    last = np.clip(np.ceil(cells.max(axis=0)).astype(int) + 1, 0, columns.shape)
    return slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1]))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
