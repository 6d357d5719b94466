"""A real log as its reader understood it: poses, boxes and calibration in memory, pictures and sweeps as files.

Frame `source`: the world of the recording, z roughly up. Readers (`layout.importers`) make it, `scenegen.logs` turns it
into a layout and a data set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.types.layout import Environment, RoadMap
from scenegen.types.taxonomy import AgentCategory

SWEEP_FORMATS = ("dgp_npz", "nuscenes_bin", "kitti_bin")
SINGLE_STEP_RATE_HZ = 2.0
"""Of logs with one step, which have no rate: every step of such a scene is a key frame."""


@dataclass(frozen=True, kw_only=True)
class RecordedBox:
    """An annotated box of one step.

    Attributes:
        track_id: unique within a step.
        source_category: the annotators' word.
        ego_from_box: pose of its middle on the recording car, x forward along its length.
        velocity_ego_mps: over ground, in ego axes, where the source has one.
        num_lidar_pts: as the source counted; None where it did not.
    """

    track_id: str
    category: AgentCategory
    source_category: str
    size_lwh_m: Float64[np.ndarray, "3"]
    ego_from_box: Float64[np.ndarray, "4 4"]
    velocity_ego_mps: Float64[np.ndarray, "2"] | None = None
    num_lidar_pts: int | None = None
    attribute: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordedBox2d:
    """A box that an annotator drew into a picture: x1 y1 x2 y2 in pixel edges of the recorded picture.

    `track_id` names the `RecordedBox` it belongs to; empty where the source does not say.
    """

    xyxy_px: tuple[float, float, float, float]
    source_category: str
    track_id: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordedImage:
    """A picture of one camera at one step, with its camera's pose at the moment of exposure."""

    path: Path
    stamp_us: int
    source_from_cam: Float64[np.ndarray, "4 4"]
    boxes2d: tuple[RecordedBox2d, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedSweep:
    """A LiDAR turn. Frame `lidar`: x forward, y left, z up; readers turn the file's axes.

    Attributes:
        format: one of SWEEP_FORMATS.
        ego_from_lidar: pose of the points' frame on the car.
        sensor_lidar_m: where beams begin in that frame.
    """

    path: Path
    format: str
    ego_from_lidar: Float64[np.ndarray, "4 4"]
    sensor_lidar_m: Float64[np.ndarray, "3"]


@dataclass(frozen=True, kw_only=True)
class RecordedStep:
    """One moment: that of the sweep, where there is one.

    Attributes:
        images: by camera name; every camera of the log has one.
        occupancy: file of the Occ3D label of this step.
    """

    stamp_us: int
    source_from_ego: Float64[np.ndarray, "4 4"]
    boxes: tuple[RecordedBox, ...]
    images: dict[str, RecordedImage]
    sweep: RecordedSweep | None = None
    occupancy: Path | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedCamera:
    """Calibration of a camera; K belongs to the recorded pixels."""

    name: str
    K: Float64[np.ndarray, "3 3"]
    ego_from_cam: Float64[np.ndarray, "4 4"]
    size_px: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class RecordedLog:
    """One scene of a recording.

    Attributes:
        log_id: safe in file names.
        source, licence: as in `Layout`.
        road_map: None where the source has none.
        counts, lost: as in `SourceReport`.
    """

    log_id: str
    source: str
    licence: str
    cameras: tuple[RecordedCamera, ...]
    steps: tuple[RecordedStep, ...]
    road_map: RoadMap | None = None
    environment: Environment = field(default_factory=Environment)
    counts: dict[str, int] = field(default_factory=dict)
    lost: tuple[str, ...] = ()

    @property
    def has_occupancy(self) -> bool:
        """Whether every step has an Occ3D label."""
        return all(step.occupancy is not None for step in self.steps)

    @property
    def rate_hz(self) -> float:
        """Steps per second, by the median distance of stamps, to a hundredth."""
        if len(self.steps) < 2:
            return SINGLE_STEP_RATE_HZ
        stamps_us = np.array([step.stamp_us for step in self.steps], np.int64)
        return round(1e6 / float(np.median(np.diff(stamps_us))), 2)

    @property
    def elapsed_s(self) -> Float64[np.ndarray, " T"]:
        """Seconds from the first step to each, as recorded."""
        return np.array([step.stamp_us - self.steps[0].stamp_us for step in self.steps], np.float64) * 1e-6
