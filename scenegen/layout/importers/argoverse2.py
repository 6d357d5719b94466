"""Argoverse 2 sensor logs: annotations, ego poses, vector map and ground height of one log folder.

What is exact: x, y, heading and size of every box, and the ego path, in the city frame moved to the first ego
position. What is approximate, because a layout's ground is flat at z = 0:

* Roll and pitch of the ego car are dropped; its origin (the rear axle, about 0.33 m up) goes to the ground.
* A box stands at half its height plus its clearance: the median over its track of how far its bottom was above
  the log's ground height, one number per track so that it does not bob over the raster's cells. Tracks outside
  the raster, and logs without one, have no clearance.
* Velocities are finite differences of positions in the city frame over the recorded stamps, central where both
  neighbours exist. Argoverse 2 publishes none.

Sizes do not change within a published track; the median is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import planar_poses
from scenegen.layout.importers.argoverse2_map import GroundHeight, read_ground_height, read_vector_map
from scenegen.layout.importers.arrow_table import ArrowTable, read_feather
from scenegen.layout.importers.source_tracks import hold_last_valid, layout_id_of, velocity_by_differences
from scenegen.types import AgentCategory, AgentTrack, EgoTrack, Environment, Layout, Timeline

LICENCE = "CC BY-NC-SA 4.0 (Argoverse 2 sensor data set, Argo AI): not commercial, attribution, share alike"
RATE_HZ = 10.0
STAMP_TOLERANCE = 0.2
"""Largest deviation of a stamp from the rate, as a share of one period."""
POSE_COLUMNS = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
SIZE_COLUMNS = ("length_m", "width_m", "height_m")

CATEGORY_OF_SOURCE = {
    "REGULAR_VEHICLE": AgentCategory.CAR,
    "BOX_TRUCK": AgentCategory.TRUCK,
    "LARGE_VEHICLE": AgentCategory.TRUCK,
    "TRUCK": AgentCategory.TRUCK,
    "TRUCK_CAB": AgentCategory.TRUCK,
    "ARTICULATED_BUS": AgentCategory.BUS,
    "BUS": AgentCategory.BUS,
    "SCHOOL_BUS": AgentCategory.BUS,
    "MESSAGE_BOARD_TRAILER": AgentCategory.TRAILER,
    "TRAFFIC_LIGHT_TRAILER": AgentCategory.TRAILER,
    "VEHICULAR_TRAILER": AgentCategory.TRAILER,
    "PEDESTRIAN": AgentCategory.PEDESTRIAN,
    "OFFICIAL_SIGNALER": AgentCategory.PEDESTRIAN,
    "WHEELED_RIDER": AgentCategory.PEDESTRIAN,
    "MOTORCYCLE": AgentCategory.MOTORCYCLE,
    "MOTORCYCLIST": AgentCategory.MOTORCYCLE,
    "BICYCLE": AgentCategory.BICYCLE,
    "BICYCLIST": AgentCategory.BICYCLE,
    "CONSTRUCTION_CONE": AgentCategory.TRAFFIC_CONE,
    "CONSTRUCTION_BARREL": AgentCategory.BARRIER,
    "ANIMAL": AgentCategory.ANIMAL,
    "DOG": AgentCategory.ANIMAL,
}
"""Argoverse 2 class to ours; every other class becomes OTHER and keeps its name in `source_category`."""

ATTRIBUTE_OF_SOURCE = {
    "BICYCLE": "cycle.without_rider",
    "MOTORCYCLE": "cycle.without_rider",
    "BICYCLIST": "cycle.with_rider",
    "MOTORCYCLIST": "cycle.with_rider",
}


@dataclass(frozen=True, kw_only=True)
class _Poses:
    """Poses by stamp: `rotation` and `position_m` bring the pose's own frame into its parent."""

    stamp_ns: Int64[np.ndarray, " N"]
    rotation: Float64[np.ndarray, "N 3 3"]
    position_m: Float64[np.ndarray, "N 3"]


@dataclass(frozen=True, kw_only=True)
class _Boxes:
    """All boxes of a log, one per row, in the city frame."""

    step_idx: Int64[np.ndarray, " N"]
    track_id: np.ndarray
    category: np.ndarray
    size_lwh_m: Float64[np.ndarray, "N 3"]
    center_city_m: Float64[np.ndarray, "N 3"]
    heading_rad: Float64[np.ndarray, " N"]
    clearance_m: Float64[np.ndarray, " N"]


def read_argoverse2(path: Path) -> Layout:
    """Read one Argoverse 2 sensor log folder.

    Args:
        path: folder with `annotations.feather`, `city_SE3_egovehicle.feather` and `map/`.

    Raises:
        LayoutError: a file is missing, truncated, lacks a column or holds NaN.
        DependencyError: pyarrow is not installed.
    """
    if not path.is_dir():
        raise LayoutError("an Argoverse 2 log folder", found="no such folder", where=str(path))
    annotations = read_feather(
        path / "annotations.feather", ("timestamp_ns", "track_uuid", "category", *SIZE_COLUMNS, *POSE_COLUMNS)
    )
    ego_poses = read_feather(path / "city_SE3_egovehicle.feather", ("timestamp_ns", *POSE_COLUMNS))
    stamp_ns = _steps_of(annotations)
    ego = _poses_at(_poses_of(ego_poses), stamp_ns, where=ego_poses.where)

    origin_city_m = ego.position_m[0] * [1.0, 1.0, 0.0]
    boxes = _boxes_in_city(annotations, ego, read_ground_height(path / "map"))
    t_s = (stamp_ns - stamp_ns[0]) * 1e-9
    return Layout(
        layout_id=layout_id_of("av2", path.resolve().name),
        source="av2",
        licence=LICENCE,
        timeline=Timeline(rate_hz=RATE_HZ, num_steps=len(stamp_ns)),
        road_map=read_vector_map(path / "map", origin_city_m=origin_city_m),
        agents=_agents_of(boxes, t_s, origin_city_m=origin_city_m, where=annotations.where),
        ego=_ego_of(ego, t_s, origin_city_m=origin_city_m),
        environment=Environment(weather="clear", time_of_day="day", prompt="a city street by day"),
    )


def _poses_of(table: ArrowTable) -> _Poses:
    """Turn pose columns (quaternion wxyz, translation) into rotation matrices and positions."""
    quaternion = table.numbers(POSE_COLUMNS[:4])
    norm = np.linalg.norm(quaternion, axis=1, keepdims=True)
    if (np.abs(norm - 1.0) > 1e-2).any():
        row = int(np.argmax(np.abs(norm - 1.0)))
        raise LayoutError("unit quaternions qw..qz", found=f"norm {norm[row, 0]:.4f} at row {row}", where=table.where)
    w, x, y, z = (quaternion / norm).T
    rotation = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=-1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=-1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1),
        ],
        axis=1,
    )
    return _Poses(
        stamp_ns=table.integers("timestamp_ns"), rotation=rotation, position_m=table.numbers(POSE_COLUMNS[4:])
    )


def _steps_of(annotations: ArrowTable) -> Int64[np.ndarray, " T"]:
    """Return the stamps of the steps, in order; they must follow the rate without a gap."""
    stamp_ns: Int64[np.ndarray, " T"] = np.unique(annotations.integers("timestamp_ns"))
    period_ns = 1e9 / RATE_HZ
    uneven = np.abs(np.diff(stamp_ns) - period_ns) > STAMP_TOLERANCE * period_ns
    if uneven.any():
        step = int(np.argmax(uneven))
        gap_s = float(stamp_ns[step + 1] - stamp_ns[step]) * 1e-9
        raise LayoutError(
            f"annotations at {RATE_HZ:g} Hz without gaps",
            found=f"{gap_s:.3f} s between steps {step} and {step + 1}",
            where=annotations.where,
        )
    return stamp_ns


def _poses_at(poses: _Poses, stamp_ns: Int64[np.ndarray, " T"], *, where: str) -> _Poses:
    """Pick the pose of every stamp."""
    order = np.argsort(poses.stamp_ns, kind="stable")
    row = np.searchsorted(poses.stamp_ns[order], stamp_ns)
    row_idx = order[np.minimum(row, len(order) - 1)]
    absent = poses.stamp_ns[row_idx] != stamp_ns
    if absent.any():
        raise LayoutError(
            "an ego pose at every annotation stamp", found=f"none at {stamp_ns[np.argmax(absent)]}", where=where
        )
    return _Poses(stamp_ns=stamp_ns, rotation=poses.rotation[row_idx], position_m=poses.position_m[row_idx])


def _yaw(rotation: Float64[np.ndarray, "N 3 3"]) -> Float64[np.ndarray, " N"]:
    """Heading of the x axis, counter-clockwise from the parent's x axis."""
    yaw: Float64[np.ndarray, " N"] = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    return yaw


def _boxes_in_city(annotations: ArrowTable, ego: _Poses, ground: GroundHeight | None) -> _Boxes:
    """Move every box from the ego frame of its stamp into the city frame."""
    ego_from_box = _poses_of(annotations)
    step_idx = np.searchsorted(ego.stamp_ns, ego_from_box.stamp_ns)
    rotation = ego.rotation[step_idx]
    center_city_m = np.einsum("nij,nj->ni", rotation, ego_from_box.position_m) + ego.position_m[step_idx]
    size_lwh_m = annotations.numbers(SIZE_COLUMNS)
    ground_m = np.full(len(step_idx), np.nan) if ground is None else ground.height_m(center_city_m[:, :2])
    return _Boxes(
        step_idx=step_idx,
        track_id=annotations.text("track_uuid"),
        category=annotations.text("category"),
        size_lwh_m=size_lwh_m,
        center_city_m=center_city_m,
        heading_rad=_yaw(rotation @ ego_from_box.rotation),
        clearance_m=center_city_m[:, 2] - size_lwh_m[:, 2] / 2.0 - ground_m,
    )


def _ego_of(ego: _Poses, t_s: Float64[np.ndarray, " T"], *, origin_city_m: Float64[np.ndarray, "3"]) -> EgoTrack:
    """Put the rear axle on the ground, upright."""
    position_world_m = (ego.position_m - origin_city_m) * [1.0, 1.0, 0.0]
    return EgoTrack(
        world_from_ego=planar_poses(position_world_m, _yaw(ego.rotation)),
        velocity_world_mps=velocity_by_differences(position_world_m[:, :2], t_s),
    )


def _agents_of(
    boxes: _Boxes, t_s: Float64[np.ndarray, " T"], *, origin_city_m: Float64[np.ndarray, "3"], where: str
) -> tuple[AgentTrack, ...]:
    """Group boxes by track, in the order of track ids."""
    order = np.lexsort((boxes.step_idx, boxes.track_id))
    track_ids, starts = np.unique(boxes.track_id[order], return_index=True)
    rows_of_track = np.split(order, starts[1:])
    return tuple(
        _agent_of(boxes, rows, t_s, origin_city_m=origin_city_m, where=f"{where}: track {track_id}")
        for track_id, rows in zip(track_ids, rows_of_track, strict=True)
    )


def _agent_of(
    boxes: _Boxes,
    rows: Int64[np.ndarray, " N"],
    t_s: Float64[np.ndarray, " T"],
    *,
    origin_city_m: Float64[np.ndarray, "3"],
    where: str,
) -> AgentTrack:
    """Spread the boxes of one track over the timeline."""
    step_idx = boxes.step_idx[rows]
    if (np.diff(step_idx) == 0).any():
        twice = int(step_idx[np.argmin(np.diff(step_idx))])
        raise LayoutError("one box per track and stamp", found=f"two at step {twice}", where=where)
    source_category = str(boxes.category[rows[0]])
    if (boxes.category[rows] != source_category).any():
        raise LayoutError("one category per track", found=str(sorted(set(boxes.category[rows]))), where=where)
    smallest_m = boxes.size_lwh_m[rows].min(axis=0)
    if (smallest_m <= 0.0).any():
        raise LayoutError("positive length_m, width_m, height_m", found=str(smallest_m.tolist()), where=where)
    size_lwh_m = np.median(boxes.size_lwh_m[rows], axis=0)
    clearance_m = boxes.clearance_m[rows]
    known = np.isfinite(clearance_m)
    position_m = boxes.center_city_m[rows] - origin_city_m
    position_m[:, 2] = size_lwh_m[2] / 2.0 + (float(np.median(clearance_m[known])) if known.any() else 0.0)
    velocity_mps = velocity_by_differences(position_m[:, :2], t_s[step_idx])

    valid: Bool[np.ndarray, " T"] = np.zeros(len(t_s), bool)
    valid[step_idx] = True
    on_timeline = np.zeros((len(t_s), 6))
    on_timeline[step_idx] = np.column_stack([position_m, boxes.heading_rad[rows], velocity_mps])
    filled = hold_last_valid(on_timeline, valid)
    return AgentTrack(
        agent_id=str(boxes.track_id[rows[0]]),
        category=CATEGORY_OF_SOURCE.get(source_category, AgentCategory.OTHER),
        size_lwh_m=size_lwh_m,
        center_world_m=filled[:, :3],
        heading_rad=filled[:, 3],
        velocity_world_mps=filled[:, 4:],
        valid=valid,
        attribute=ATTRIBUTE_OF_SOURCE.get(source_category, ""),
        source_category=source_category,
    )
