"""Labelled scenes whose ego turns and climbs out of the origin, so that no frame coincides with another."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from scenegen.dataset import fold_receipts
from scenegen.geometry.rigid import planar_poses
from scenegen.types import EgoTrack, SceneRecord
from tests.unit.dataset.export.export_scene import NUM_STEPS, export_record, write_labelled

TRAIN_ID, VAL_ID = "turn-00c0ffee", "turn-5ca1ab1e"


def turning_record(*, scene_id: str, split: str) -> SceneRecord:
    """The export scene with an ego on a left turn, 35 degrees at its start and 75 at its end."""
    record = export_record(scene_id=scene_id, split=split)
    heading_rad = np.radians(np.linspace(35.0, 75.0, NUM_STEPS))
    velocity = 6.0 * np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=1)
    position = np.concatenate([[[-2.0, 1.5]], velocity[:-1] / 12.0]).cumsum(axis=0)
    poses = planar_poses(np.concatenate([position, np.zeros((NUM_STEPS, 1))], axis=1), heading_rad)
    ego = EgoTrack(world_from_ego=poses, velocity_world_mps=velocity)
    return dataclasses.replace(record, layout=dataclasses.replace(record.layout, ego=ego))


def write_turning_dataset(folder: Path) -> None:
    """Write two scenes of four key frames each, in two splits."""
    for scene_id, split in ((TRAIN_ID, "train"), (VAL_ID, "val")):
        write_labelled(folder, turning_record(scene_id=scene_id, split=split))
    fold_receipts(folder)
