"""Ego and agents of a nuScenes scene on an even timeline, at the times at which they were recorded.

Key frames are 0.40 s to 0.60 s apart, so a timeline of one step per key frame would falsify speeds by a fifth. Steps
are at 20 Hz, the LiDAR's rate, on which key frames fall within a few milliseconds; places between key frames lie on a
monotone cubic through the recorded ones, and velocities between the devkit's.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import planar_poses
from scenegen.layout.importers.nuscenes.scene import SceneRows
from scenegen.layout.importers.nuscenes.tables import Row, numbers_of
from scenegen.layout.importers.nuscenes_words import category_of_nuscenes
from scenegen.layout.importers.source_tracks import (
    headings_of_quaternions,
    hold_last_valid,
    velocity_by_differences,
)
from scenegen.types import AgentTrack, EgoTrack, Timeline

RATE_HZ = 20.0
LONGEST_GAP_S = 1.5
"""An instance that is not annotated for longer was not there meanwhile; the devkit's limit for velocities."""


def timeline_of(rows: SceneRows) -> Timeline:
    """Return steps at 20 Hz from the first key frame to the one nearest to the last."""
    return Timeline(rate_hz=RATE_HZ, num_steps=round(float(rows.sample_s[-1]) * RATE_HZ) + 1)


def key_steps(rows: SceneRows) -> Int64[np.ndarray, " S"]:
    """Return the step nearest to each key frame."""
    return np.round(rows.sample_s * RATE_HZ).astype(np.int64)


def ego_of(rows: SceneRows, timeline: Timeline, folder: Path) -> tuple[EgoTrack, Float64[np.ndarray, "2"]]:
    """Put the rear axle upright on the ground, in a world that begins at its first place; return that place, too.

    Raises:
        LayoutError: a pose that is not finite or no rotation.
    """
    file = folder / "ego_pose.json"
    position_m = numbers_of(rows.ego_poses, "translation", 3, file=file)[:, :2]
    heading_rad = _headings(rows.ego_poses, file)
    at_s = np.clip(np.arange(timeline.num_steps) / RATE_HZ, rows.ego_s[0], rows.ego_s[-1])
    xy_m = _interpolate(rows.ego_s, position_m, at_s)
    origin_m = xy_m[0].copy()
    velocity_mps = velocity_by_differences(position_m, rows.ego_s)
    return (
        EgoTrack(
            world_from_ego=planar_poses(
                np.column_stack([xy_m - origin_m, np.zeros(len(at_s))]),
                np.interp(at_s, rows.ego_s, np.unwrap(heading_rad)),
            ),
            velocity_world_mps=_linear(rows.ego_s, velocity_mps, at_s),
        ),
        origin_m,
    )


def agent_of(
    database: Any,
    instance: str,
    rows: SceneRows,
    timeline: Timeline,
    *,
    origin_m: Float64[np.ndarray, "2"],
    folder: Path,
) -> AgentTrack:
    """Read the track of an instance; where the devkit knows no velocity (a single annotation), it stands.

    Raises:
        LayoutError: a value that is not finite, no rotation, or no size; with the annotation's token.
    """
    file = folder / "sample_annotation.json"
    annotations = rows.annotations[instance]
    sample_idx = np.array([rows.sample_of[row["sample_token"]] for row in annotations])
    size_wlh_m = numbers_of(annotations, "size", 3, file=file)
    if (size_wlh_m <= 0.0).any():
        row = int(np.flatnonzero((size_wlh_m <= 0.0).any(axis=1))[0])
        where = f"{file}: {annotations[row]['token']!r}.size"
        raise LayoutError("a positive width, length, height", found=str(size_wlh_m[row].tolist()), where=where)
    size_lwh_m = np.median(size_wlh_m, axis=0)[[1, 0, 2]]
    position_m = numbers_of(annotations, "translation", 3, file=file)[:, :2] - origin_m
    velocity_mps = np.array([database.box_velocity(row["token"])[:2] for row in annotations])
    recorded = np.column_stack(
        [position_m, np.unwrap(_headings(annotations, file)), np.nan_to_num(velocity_mps, nan=0.0)]
    )
    on_timeline, valid = _on_timeline(rows.sample_s[sample_idx], recorded, timeline)
    filled = hold_last_valid(on_timeline, valid)
    name = database.get("category", database.get("instance", instance)["category_token"])["name"]
    return AgentTrack(
        agent_id=instance,
        category=category_of_nuscenes(name),
        size_lwh_m=size_lwh_m,
        center_world_m=np.column_stack([filled[:, :2], np.full(timeline.num_steps, size_lwh_m[2] / 2.0)]),
        heading_rad=filled[:, 2],
        velocity_world_mps=filled[:, 3:],
        valid=valid,
        attribute=max(attributes_of(database, annotations, file).items(), key=lambda item: item[1], default=("", 0))[0],
        source_category=name,
    )


def attributes_of(database: Any, annotations: list[Row], file: Path) -> Counter[str]:
    """Count the attributes of a track's annotations.

    Raises:
        LayoutError: an attribute's token names nothing.
    """
    known = {row["token"]: str(row["name"]) for row in database.attribute}
    counts: Counter[str] = Counter()
    for row in annotations:
        tokens = row["attribute_tokens"]
        if not isinstance(tokens, list) or not all(isinstance(token, str) and token in known for token in tokens):
            where = f"{file}: {row['token']!r}.attribute_tokens"
            raise LayoutError("tokens of attribute.json", found=f"{tokens!r:.60}", where=where)
        counts.update(known[token] for token in tokens)
    return counts


def _headings(rows: list[Row], file: Path) -> Float64[np.ndarray, " N"]:
    quaternion = numbers_of(rows, "rotation", 4, file=file)
    for idx, row in enumerate(rows):
        headings_of_quaternions(quaternion[idx : idx + 1], where=f"{file}: {row['token']!r}.rotation")
    return headings_of_quaternions(quaternion, where=str(file))


def _on_timeline(
    recorded_s: Float64[np.ndarray, " N"], recorded: Float64[np.ndarray, "N 5"], timeline: Timeline
) -> tuple[Float64[np.ndarray, "T 5"], Bool[np.ndarray, " T"]]:
    """Spread x, y, heading and velocity over the steps; every unbroken span by itself."""
    values = np.zeros((timeline.num_steps, 5))
    valid = np.zeros(timeline.num_steps, bool)
    ends = np.flatnonzero(np.diff(recorded_s) > LONGEST_GAP_S) + 1
    for span in np.split(np.arange(len(recorded_s)), ends):
        span_s = recorded_s[span]
        first, last = np.round(span_s[[0, -1]] * RATE_HZ).astype(np.int64)
        at_s = np.clip(np.arange(first, last + 1) / RATE_HZ, span_s[0], span_s[-1])
        values[first : last + 1, :2] = _interpolate(span_s, recorded[span, :2], at_s)
        values[first : last + 1, 2:] = _linear(span_s, recorded[span, 2:], at_s)
        valid[first : last + 1] = True
    return values, valid


def _interpolate(
    known_s: Float64[np.ndarray, " N"], known: Float64[np.ndarray, "N C"], at_s: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, "T C"]:
    from scipy.interpolate import PchipInterpolator

    if len(known_s) == 1:
        return np.repeat(known, len(at_s), axis=0)
    return np.asarray(PchipInterpolator(known_s, known, axis=0)(at_s))


def _linear(
    known_s: Float64[np.ndarray, " N"], known: Float64[np.ndarray, "N C"], at_s: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, "T C"]:
    return np.column_stack([np.interp(at_s, known_s, column) for column in known.T])
