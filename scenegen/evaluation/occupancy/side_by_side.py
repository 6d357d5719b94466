"""One row of the side-by-side of world sources: obedience, consistency and fidelity, by the same code for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import UInt8

from scenegen.checks.world_encoder import WorldEncoder
from scenegen.evaluation.occupancy.consistency import frames_in_world, static_consistency, world_in_view
from scenegen.evaluation.occupancy.fidelity import measure_fidelity
from scenegen.evaluation.occupancy.obedience import FrameObedience, frame_obedience
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.crops import FRAME_LEVELS, Crops, crop_frames, crop_world, join_crops, sparse_steps
from scenegen.occupancy.fixed import FixedVoxels, fixed_voxels
from scenegen.occupancy.latent_ar.frames import LayoutFrames, cut_fixed, cut_frames, frame_steps, picture_layout
from scenegen.occupancy.raster import RasterFrame
from scenegen.occupancy.voxels import WorldVoxels, columns_of, voxelise_world
from scenegen.types import Layout

WorldSource = Callable[[Layout, int], WorldVoxels]
"""(layout, seed) -> the voxels of its world."""
FrameSource = Callable[[Layout, LayoutFrames, int], UInt8[np.ndarray, "T X Y Z"]]
"""(layout, what is told of its steps, seed) -> ego frames of `Group`s."""


@dataclass(frozen=True, kw_only=True)
class DriveTask:
    """A layout that sources are asked for, and what its answer is held against.

    Attributes:
        told: its steps at FRAME_RATE_HZ.
        fixed: of its world.
        crop_steps: rows of `told` at which crops are cut.
    """

    layout: Layout
    told: LayoutFrames
    fixed: FixedVoxels
    crop_steps: list[int]

    @property
    def columns(self) -> RasterFrame:
        """The world's columns."""
        return columns_of(self.fixed.given)


@dataclass
class SourceFigures:
    """What was measured of one source, drive by drive.

    Attributes:
        crops: cut at every drive's `crop_steps`; FRAME_LEVELS high for a source of frames.
    """

    name: str
    crops: list[Crops] = field(default_factory=list)
    obedience: list[FrameObedience] = field(default_factory=list)
    consistency: list[dict[str, float]] = field(default_factory=list)
    consistency_of_frames: list[dict[str, float]] = field(default_factory=list)

    def joined(self) -> Crops:
        """Return the crops of all drives."""
        return join_crops(self.crops)


def plan_drive(layout: Layout, *, seed: int, spacing_m: float, most_crops: int, num_steps: int | None) -> DriveTask:
    """Survey a layout. `num_steps` shortens the drive; None is all of it."""
    draft = begin_world(layout, seed=seed).draft
    told = picture_layout(draft.site, steps=frame_steps(layout)[:num_steps], style=layout.environment.style or "")
    return DriveTask(
        layout=layout,
        told=told,
        fixed=fixed_voxels(draft),
        crop_steps=sparse_steps(told.world_from_ego, spacing_m=spacing_m, at_most=most_crops),
    )


def rule_world(layout: Layout, seed: int) -> WorldVoxels:
    """Return the voxels of the world that the rules build."""
    return voxelise_world(build_world(layout, seed=seed))


def measure_worlds(name: str, source: WorldSource, tasks: Iterable[DriveTask], *, seed: int) -> SourceFigures:
    """Measure a source that makes worlds. Its consistency is also measured through ego frames, as a ceiling."""
    figures = SourceFigures(name=name)
    for task in tasks:
        voxels = source(task.layout, seed)
        frames = cut_frames(voxels, task.told)
        figures.crops.append(crop_world(voxels, task.told.take(task.crop_steps)))
        figures.obedience.append(frame_obedience(frames, cut_fixed(task.fixed, task.told)))
        figures.consistency.append(asdict(static_consistency(world_in_view(voxels, task.told))))
        through = static_consistency(frames_in_world(frames, task.told, task.columns))
        figures.consistency_of_frames.append(asdict(through))
    return figures


def measure_frames(name: str, source: FrameSource, tasks: Iterable[DriveTask], *, seed: int) -> SourceFigures:
    """Measure a source that makes ego frames."""
    figures = SourceFigures(name=name)
    for task in tasks:
        frames = source(task.layout, task.told, seed)
        figures.crops.append(crop_frames(frames[task.crop_steps], task.told.take(task.crop_steps)))
        figures.obedience.append(frame_obedience(frames, cut_fixed(task.fixed, task.told)))
        figures.consistency.append(asdict(static_consistency(frames_in_world(frames, task.told, task.columns))))
    return figures


def figures_of(
    source: SourceFigures, *, held_out: Crops, train: Crops, encoder: WorldEncoder
) -> dict[str, dict[str, Any]]:
    """Return a source's figures by name: means over drives, and fidelity at each height that it has.

    `fidelity.frame` is at the height of ego frames, which any source has; `fidelity.whole` up to the highest level.
    """
    crops = source.joined()
    low = measure_fidelity(
        crops.up_to(FRAME_LEVELS),
        held_out=held_out.up_to(FRAME_LEVELS),
        train=train.up_to(FRAME_LEVELS),
        encoder=encoder,
    )
    figures: dict[str, dict[str, Any]] = {
        "obedience": _means([_plain(own) for own in source.obedience]),
        "static_consistency": _means(source.consistency),
        "fidelity.frame": asdict(low),
    }
    if source.consistency_of_frames:
        figures["static_consistency_of_frames"] = _means(source.consistency_of_frames)
    if crops.solid.shape[3] > FRAME_LEVELS:
        figures["fidelity.whole"] = asdict(measure_fidelity(crops, held_out=held_out, train=train, encoder=encoder))
    return figures


def _plain(own: FrameObedience) -> dict[str, float]:
    return {"accuracy": own.accuracy, "iou": own.iou, "miou": own.miou}


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0] if not name.startswith("num_")}
