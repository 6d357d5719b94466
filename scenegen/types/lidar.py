"""A spinning LiDAR, as data: `LidarModel`. What it measures is `scenegen.conditions.lidar`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32

from scenegen.errors import ConfigError

EXTRA_RING = 255
"""Ring of points that no beam made; see `scenegen.conditions.lidar`."""
USUAL_LIDAR_EGO_M = (0.94, 0.0, 1.84)
"""Where nuScenes has its LiDAR on the vehicle, on the roof."""
MAX_BEAMS = EXTRA_RING
MOST_RANGE_NOISE_M = 1.0


@dataclass(frozen=True, kw_only=True)
class LidarModel:
    """A spinning LiDAR. The defaults are `conf/lidar/exact32.yaml`: the beams of nuScenes' HDL-32E, free of error.

    Attributes:
        num_beams: evenly spaced in elevation; beam 0 is the lowest.
        min_elevation_deg, max_elevation_deg: of the lowest and the highest beam.
        num_azimuths: firings per turn, counter-clockwise, the first half a step beyond straight back.
        min_range_m, max_range_m: nothing closer or farther is returned.
        range_noise_m: standard deviation of the error of every range, normal and independent; 0 for none.
        drop_out_scale: times the probability that a return is lost; 0 keeps them all.
        is_rolling: azimuths fire one after the other; else all at the instant of the step.
        turn_rate_hz: of a rolling sensor; a step that is shorter than a turn makes it faster.
        position_ego_m: of the sensor; its axes are those of the ego frame.
    """

    num_beams: int = 32
    min_elevation_deg: float = -30.67
    max_elevation_deg: float = 10.67
    num_azimuths: int = 1080
    min_range_m: float = 1.0
    max_range_m: float = 70.0
    range_noise_m: float = 0.0
    drop_out_scale: float = 1.0
    is_rolling: bool = False
    turn_rate_hz: float = 20.0
    position_ego_m: tuple[float, float, float] = USUAL_LIDAR_EGO_M

    def __post_init__(self) -> None:
        if not 2 <= self.num_beams <= MAX_BEAMS:
            raise ConfigError(f"2 to {MAX_BEAMS} beams", found=str(self.num_beams), where="lidar")
        if self.num_azimuths < 1:
            raise ConfigError("at least one azimuth", found=str(self.num_azimuths), where="lidar")
        if not -90.0 < self.min_elevation_deg < self.max_elevation_deg < 90.0:
            elevations = f"{self.min_elevation_deg} to {self.max_elevation_deg}"
            raise ConfigError("rising elevations within 90 degrees", found=elevations, where="lidar")
        if not 0.0 < self.min_range_m < self.max_range_m:
            raise ConfigError(
                "rising ranges above zero", found=f"{self.min_range_m} to {self.max_range_m}", where="lidar"
            )
        if not 0.0 <= self.range_noise_m <= MOST_RANGE_NOISE_M:
            raise ConfigError(
                f"range noise from 0 to {MOST_RANGE_NOISE_M:g} m", found=str(self.range_noise_m), where="lidar"
            )
        if not self.drop_out_scale >= 0.0:
            raise ConfigError("a drop-out scale of zero or more", found=str(self.drop_out_scale), where="lidar")
        if not self.turn_rate_hz > 0.0:
            raise ConfigError("a turn rate above zero", found=str(self.turn_rate_hz), where="lidar")

    @property
    def lidar2ego(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of the sensor on the vehicle."""
        pose = np.eye(4)
        pose[:3, 3] = self.position_ego_m
        return pose

    def firing_us(self, *, most_s: float) -> Int32[np.ndarray, " K"]:
        """Return when each azimuth of a rolling sensor fires, after the step: the last one at it, the others before.

        A turn takes as long as `turn_rate_hz` says, and at most `most_s`.
        """
        turn_us = 1e6 * min(1.0 / self.turn_rate_hz, most_s)
        times_us: Int32[np.ndarray, " K"] = np.round(
            turn_us * (np.arange(1, self.num_azimuths + 1) / self.num_azimuths - 1.0)
        ).astype(np.int32)
        return times_us

    def directions(self) -> Float64[np.ndarray, "K R 3"]:
        """Return the unit vector, frame `lidar`, of every azimuth and beam."""
        first_azimuth, azimuth_step, num_azimuths, first_elevation, elevation_step, num_beams = self.packed()
        azimuth = (first_azimuth + azimuth_step * np.arange(num_azimuths))[:, None]
        elevation = (first_elevation + elevation_step * np.arange(num_beams))[None]
        flat, up = np.cos(elevation), np.broadcast_to(np.sin(elevation), (num_azimuths, num_beams))
        return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), up], axis=-1)

    def packed(self) -> tuple[float, float, int, float, float, int]:
        """Return the scan as `lidar_kernel` wants it."""
        azimuth_step = 2.0 * np.pi / self.num_azimuths
        low, high = np.radians(self.min_elevation_deg), np.radians(self.max_elevation_deg)
        elevation_step = (high - low) / (self.num_beams - 1)
        return (
            -np.pi + 0.5 * azimuth_step, azimuth_step, self.num_azimuths, float(low), elevation_step, self.num_beams
        )  # fmt: skip

    def as_attributes(self) -> dict[str, Any]:
        """Return what a scene stores."""
        return {**asdict(self), "position_ego_m": list(self.position_ego_m)}
