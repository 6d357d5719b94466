"""Ego frames of rule-made worlds, kept in a folder as memory-mapped arrays: what the latent reference design reads.

Layouts are named by references joined by plus signs. Values are below 16, so that two voxels share a byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from scenegen.errors import DatasetError
from scenegen.layout.sources import expand_references, read_layout
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.latent_ar.frames import LayoutFrames, cut_frames, frame_steps, picture_layout
from scenegen.occupancy.voxels import WorldVoxels, voxelise_world
from scenegen.types import OCC3D_GRID, Layout

_INDEX = "index.json"
_ARRAYS = ("frames", "surface", "agents", "poses")


@dataclass(frozen=True, kw_only=True)
class FrameCache:
    """Frames of all drives, one after the other.

    Attributes:
        frames: `Group`s, two levels to a byte, the lower one in the low half.
        surface: `Surface` of every column.
        agents: largest `Group` of the agents over every column.
        poses: `world_from_ego`.
        starts: first frame of every drive, and the number of all frames.
        styles: of every drive.
    """

    frames: UInt8[np.ndarray, "N X Y H"]
    surface: UInt8[np.ndarray, "N X Y"]
    agents: UInt8[np.ndarray, "N X Y"]
    poses: Float64[np.ndarray, "N 4 4"]
    starts: tuple[int, ...]
    styles: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def drive_of(self, row: int) -> int:
        """Return the number of the drive that a frame belongs to."""
        return int(np.searchsorted(self.starts, row, side="right")) - 1

    def read(self, rows: np.ndarray | list[int]) -> UInt8[np.ndarray, "B X Y Z"]:
        """Return frames with a byte per voxel."""
        return unpack_levels(self.frames[np.asarray(rows)])


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A layout with its world and what the reference design is told of it."""

    layout: Layout
    voxels: WorldVoxels
    told: LayoutFrames


def build_drives(references: str, *, seed: int) -> Iterator[Drive]:
    """Build the rule-made world of every layout, in order.

    Raises:
        LayoutError: a reference that names nothing.
        WorldError: a layout without roads.
    """
    for reference in expand_references(references.split("+")):
        layout = read_layout(reference)
        site = begin_world(layout, seed=seed).draft.site
        yield Drive(
            layout=layout,
            voxels=voxelise_world(build_world(layout, seed=seed)),
            told=picture_layout(site, steps=frame_steps(layout), style=style_of(layout)),
        )


def style_of(layout: Layout) -> str:
    """Return the name of a layout's style, empty for any mixture."""
    return layout.environment.style or ""


def open_frame_cache(references: str, folder: Path, *, seed: int) -> FrameCache:
    """Open the frames of some layouts, building them where the folder holds none yet.

    Raises:
        DatasetError: the folder holds frames of other layouts or of another seed.
    """
    asked = {"layouts": references, "seed": seed}
    path = folder / _INDEX
    if not path.is_file():
        _write_cache(references, folder, seed=seed, asked=asked)
    facts = json.loads(path.read_text())
    found = {key: facts.get(key) for key in asked}
    if found != asked:
        raise DatasetError(
            f"frames of {asked}", found=str(found), where=str(folder), fix="name another folder with windows="
        )
    frames, surface, agents, poses = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS)
    return FrameCache(
        frames=frames,
        surface=surface,
        agents=agents,
        poses=poses,
        starts=tuple(facts["starts"]),
        styles=tuple(facts["styles"]),
    )


def pack_levels(frames: UInt8[np.ndarray, "*N Z"]) -> UInt8[np.ndarray, "*N H"]:
    """Join two levels in a byte.

    >>> pack_levels(np.array([1, 2, 3, 15], np.uint8)).tolist()
    [33, 243]
    """
    return frames[..., 0::2] | (frames[..., 1::2] << 4)


def unpack_levels(packed: UInt8[np.ndarray, "*N H"]) -> UInt8[np.ndarray, "*N Z"]:
    """Undo `pack_levels`."""
    levels = np.stack([packed & 15, packed >> 4], axis=-1)
    return levels.reshape(*packed.shape[:-1], -1)


def _write_cache(references: str, folder: Path, *, seed: int, asked: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    layouts = [read_layout(r) for r in expand_references(references.split("+"))]
    counts = [len(frame_steps(layout)) for layout in layouts]
    total, (size_x, size_y, size_z) = sum(counts), OCC3D_GRID.shape
    shapes = {
        "frames": ((total, size_x, size_y, size_z // 2), np.uint8),
        "surface": ((total, size_x, size_y), np.uint8),
        "agents": ((total, size_x, size_y), np.uint8),
        "poses": ((total, 4, 4), np.float64),
    }
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
        for name, (shape, dtype) in shapes.items()
    }
    starts, styles = [0], []
    for drive in build_drives(references, seed=seed):
        rows = slice(starts[-1], starts[-1] + len(drive.told))
        arrays["frames"][rows] = pack_levels(cut_frames(drive.voxels, drive.told))
        arrays["surface"][rows] = drive.told.surface
        arrays["agents"][rows] = drive.told.agents.max(axis=3)
        arrays["poses"][rows] = drive.told.world_from_ego
        starts.append(rows.stop)
        styles.append(drive.told.style)
    for array in arrays.values():
        array.flush()
    (folder / _INDEX).write_text(json.dumps({**asked, "starts": starts, "styles": styles}))
