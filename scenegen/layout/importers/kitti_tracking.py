"""KITTI tracking: labelled boxes of one front camera, and the recording car by its inertial unit (OXTS), at 10 Hz.

Read against the published format. A label is a box in the rectified frame of camera 0 (x right, y down, z forward;
the place is the middle of its bottom). It goes by the sequence's calibration to the LiDAR and on to the inertial unit,
and by the unit's pose (latitude, longitude, roll, pitch, yaw counter-clockwise from east) into the world: x east, y
north.

* The inertial unit sits over the rear axle (within 5 cm, by KITTI's drawing of the car) and left of the middle, where
  the LiDAR is; the ego is moved right by that much, which the calibration says.
* Sizes do not change within a track; the median is taken. Boxes stand on the ground.
* The files have no times: steps are 0.1 s. Velocities, the ego's too, are differences of world positions over them, so
  that the ego's motion is out of those of agents. The unit's own forward speed tells how true the 0.1 s are.
* There is no map: the road is assumed (`assumed_road.py`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.assumed_road import CITY_STREET, build_assumed_road
from scenegen.layout.importers.earth import local_from_degrees
from scenegen.layout.importers.kitti_text import (
    Calibration,
    Labels,
    SequenceFiles,
    find_sequence,
    read_calibration,
    read_labels,
    read_oxts,
)
from scenegen.layout.importers.source_agents import RecordedStates, build_recorded_agent, ego_of_positions
from scenegen.layout.importers.source_tracks import layout_id_of, velocity_by_differences
from scenegen.layout.roads import CrossSection
from scenegen.types import AgentCategory, AgentTrack, EgoTrack, Environment, Layout, SourceReport, Timeline

LICENCE = "CC BY-NC-SA 3.0 (KITTI vision benchmark suite): not commercial, attribution, share alike"
RATE_HZ = 10.0
FAST_MPS = 16.7
FAST_ROAD = CrossSection(lanes_forward=2, lanes_backward=0, lane_width_m=3.6, sidewalk_m=0.0)
MOVING_MPS = 2.0
CONTRADICTION = 0.2
"""Share by which the speed of positions at 10 Hz may differ from the measured one."""
CATEGORY_OF_SOURCE = {
    "Car": AgentCategory.CAR,
    "Van": AgentCategory.CAR,
    "Truck": AgentCategory.TRUCK,
    "Pedestrian": AgentCategory.PEDESTRIAN,
    "Person": AgentCategory.PEDESTRIAN,
    "Person_sitting": AgentCategory.PEDESTRIAN,
    "Cyclist": AgentCategory.BICYCLE,
    "Tram": AgentCategory.BUS,
    "Misc": AgentCategory.OTHER,
}
ATTRIBUTE_OF_SOURCE = {"Cyclist": "cycle.with_rider", "Person_sitting": "pedestrian.sitting_lying_down"}
IGNORED = "DontCare"


@dataclass(frozen=True, kw_only=True)
class _ImuPoses:
    """The inertial unit per step: its axes (x forward, y left, z up) and place, east, north and up."""

    rotation: Float64[np.ndarray, "T 3 3"]
    position_m: Float64[np.ndarray, "T 3"]
    heading_rad: Float64[np.ndarray, " T"]
    speed_mps: Float64[np.ndarray, " T"]


def read_kitti_tracking(path: Path) -> Layout:
    """Read one sequence.

    Args:
        path: `ROOT/SEQUENCE`, where ROOT (or ROOT/training) has `label_02`, `calib` and `oxts` with `SEQUENCE.txt`.

    Raises:
        LayoutError: a file is missing, truncated, holds NaN, or contradicts another one; a line is named.
        DependencyError: pyproj is not installed.
    """
    files = find_sequence(path)
    calibration, labels = read_calibration(files.calib), read_labels(files.labels)
    imu = _poses_of(files)
    to_middle_m = calibration.imu_from_velo[1, 3] * imu.rotation[:, :, 1]
    axle_m = (imu.position_m + to_middle_m)[:, :2]
    own = ego_of_positions(axle_m, imu.heading_rad, rate_hz=RATE_HZ, where=str(files.oxts))
    agents = _agents_of(labels, calibration, imu, own.origin_source_m, where=str(files.labels))
    is_fast = float(np.linalg.norm(own.ego.velocity_world_mps, axis=1).mean()) > FAST_MPS
    road = build_assumed_road(own.ego, agents, section=FAST_ROAD if is_fast else CITY_STREET, rate_hz=RATE_HZ)
    kinds = Counter(str(kind) for kind in labels.kind)
    return Layout(
        layout_id=layout_id_of("kitti_tracking", files.sequence),
        source="kitti_tracking",
        licence=LICENCE,
        timeline=Timeline(rate_hz=RATE_HZ, num_steps=len(imu.position_m)),
        road_map=road.road_map,
        agents=agents,
        ego=own.ego,
        environment=Environment(
            style="highway" if is_fast else "suburb", prompt="a road in Karlsruhe, Germany, by day, dry, sunny"
        ),
        report=SourceReport(
            counts={"frames": len(imu.position_m), "tracks": len(agents), **dict(sorted(kinds.items()))},
            lost=(
                *road.lost,
                "pictures and sweeps, 2-D boxes, occlusion and truncation, heights, roll and pitch",
                "whoever the front camera does not see",
                *((f"{kinds[IGNORED]} regions {IGNORED}",) if kinds[IGNORED] else ()),
                _said_of_time(own.ego, imu, where=str(files.oxts)),
            ),
        ),
    )


def _poses_of(files: SequenceFiles) -> _ImuPoses:
    """Turn OXTS packets into poses; the grid's north is true north to a hundredth of a degree within a sequence."""
    oxts = read_oxts(files.oxts)
    east_north_m = local_from_degrees(oxts.latitude_deg, oxts.longitude_deg)
    roll, pitch, yaw = oxts.roll_pitch_yaw_rad.T
    about_x, about_y, about_z = (_rotations(axis, angle) for axis, angle in enumerate((roll, pitch, yaw)))
    rotation = about_z @ about_y @ about_x
    return _ImuPoses(
        rotation=rotation,
        position_m=np.column_stack([east_north_m, oxts.altitude_m - oxts.altitude_m[0]]),
        heading_rad=np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]),
        speed_mps=oxts.forward_mps,
    )


def _rotations(axis: int, angle_rad: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, "T 3 3"]:
    """Rotate about x (0), y (1) or z (2), counter-clockwise as seen from the tip of the axis."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    rotation = np.zeros((len(angle_rad), 3, 3))
    rotation[:, axis, axis] = 1.0
    rotation[:, first, first] = rotation[:, second, second] = cos
    rotation[:, first, second], rotation[:, second, first] = -sin, sin
    return rotation


def _agents_of(
    labels: Labels, calibration: Calibration, imu: _ImuPoses, origin_m: Float64[np.ndarray, "2"], *, where: str
) -> tuple[AgentTrack, ...]:
    """Bring every label into the world and group them by track, in order of their numbers."""
    num_steps = len(imu.position_m)
    beyond = labels.frame >= num_steps
    if beyond.any():
        line = labels.line[int(np.argmax(beyond))]
        raise LayoutError(f"frames 0 to {num_steps - 1}, as OXTS has", found="a later one", where=f"{where}:{line}")
    rotation = imu.rotation[labels.frame]
    imu_from_cam = calibration.imu_from_velo @ calibration.velo_from_cam
    bottom_imu_m = labels.bottom_cam_m @ imu_from_cam[:3, :3].T + imu_from_cam[:3, 3]
    center_m = (np.einsum("nij,nj->ni", rotation, bottom_imu_m) + imu.position_m[labels.frame])[:, :2] - origin_m
    turn = labels.rotation_y_rad
    ahead_cam = np.stack([np.cos(turn), np.zeros(len(turn)), -np.sin(turn)], axis=1)
    ahead = np.einsum("nij,nj->ni", rotation, ahead_cam @ imu_from_cam[:3, :3].T)
    heading_rad = np.arctan2(ahead[:, 1], ahead[:, 0])
    agents = []
    for number in np.unique(labels.track[labels.kind != IGNORED]):
        rows = np.flatnonzero((labels.track == number) & (labels.kind != IGNORED))
        rows = rows[np.argsort(labels.frame[rows], kind="stable")]
        at = f"{where}:{labels.line[rows[0]]}: track {number}"
        kinds = set(labels.kind[rows])
        if len(kinds) != 1 or not kinds <= CATEGORY_OF_SOURCE.keys():
            raise LayoutError(f"one type out of {', '.join(CATEGORY_OF_SOURCE)}", found=str(sorted(kinds)), where=at)
        kind = str(kinds.pop())
        step_idx = labels.frame[rows]
        if (np.diff(step_idx) == 0).any():
            twice = int(step_idx[:-1][np.diff(step_idx) == 0][0])
            raise LayoutError("one box per track and frame", found=f"two in frame {twice}", where=at)
        agents.append(
            build_recorded_agent(
                RecordedStates(
                    step_idx=step_idx,
                    center_m=center_m[rows],
                    heading_rad=heading_rad[rows],
                    velocity_mps=velocity_by_differences(center_m[rows], step_idx / RATE_HZ),
                ),
                agent_id=str(number),
                category=CATEGORY_OF_SOURCE[kind],
                source_category=kind,
                size_lwh_m=np.median(labels.size_lwh_m[rows], axis=0).tolist(),
                num_steps=num_steps,
                where=at,
                attribute=ATTRIBUTE_OF_SOURCE.get(kind, ""),
            )
        )
    return tuple(agents)


def _said_of_time(ego: EgoTrack, imu: _ImuPoses, *, where: str) -> str:
    """Compare the speed that positions have at 10 Hz to the measured one.

    Raises:
        LayoutError: they contradict each other.
    """
    moving = np.abs(imu.speed_mps) > MOVING_MPS
    if moving.sum() < RATE_HZ:
        return "true times: the files have none, steps are 0.1 s"
    moved_mps = np.linalg.norm(ego.velocity_world_mps, axis=1)[moving]
    ratio = float(np.median(moved_mps / np.abs(imu.speed_mps[moving])))
    if abs(ratio - 1.0) > CONTRADICTION:
        raise LayoutError(
            "positions that move at the measured forward speed, at 10 Hz", found=f"{ratio:.2f} of it", where=where
        )
    return (
        "true times: the files have none, steps are 0.1 s; by the measured forward speed they are"
        f" {100.0 * ratio:.1f} ms"
    )
