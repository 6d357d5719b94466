"""comma2k19: a minute of real driving from a dash camera's pose, without traffic and without a map.

`global_pose/` holds, for 1,200 frames at about 20 Hz, positions and velocities in Earth-centred axes (ECEF) and the
orientation of the device (x forward, y right, z down) as quaternions w, x, y, z. They are NumPy arrays without a file
ending; they are read without pickles.

* Positions, velocities and orientations are turned into east, north and up at the first frame, so that the frame is
  level; the height is dropped. The world frame has its x axis to the east.
* Frames are between 48.7 and 51.3 ms apart in the segment at hand. Steps are at 20 Hz of true time, by linear
  interpolation.
* Where the device sits in the car is not recorded. Its place is taken for the middle of the rear axle. Its heading
  relative to the car is: the median angle between its x axis and its course at speed; headings are corrected by it.
* Velocities are the recorded ones. A recording whose velocities contradict its positions is refused.
* Whether it was day, dusk or night follows from where the sun stood by the GPS times.
* The road is assumed (`assumed_road.py`): two lanes each way from `FAST_MPS` on, one each way below.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import planar_poses
from scenegen.layout.importers.assumed_road import build_assumed_road
from scenegen.layout.importers.earth import SEMI_MAJOR_AXIS_M, degrees_of, enu_from_ecef
from scenegen.layout.importers.npy_file import read_stamps_s, read_table
from scenegen.layout.importers.source_tracks import (
    headings_of_quaternions,
    layout_id_of,
    path_length_m,
    velocity_by_differences,
)
from scenegen.layout.importers.sun import sun_elevation_deg
from scenegen.layout.roads import CrossSection
from scenegen.types import EgoTrack, Environment, Layout, SourceReport, Timeline

LICENCE = "MIT (comma2k19, commaai)"
RATE_HZ = 20.0
LONGEST_GAP_S = 0.5
FEWEST_FRAMES = 20
FROM_EARTH_M = 100_000.0
"""No place that is driven to lies further from the ellipsoid's equatorial radius."""
CONTRADICTION_MPS = 2.0
"""Half of all steps may differ by less than this between stated velocities and those of positions."""
COURSE_MPS = 3.0
"""From this speed on, the course says where the car is heading."""
FAST_MPS, HIGHWAY_MPS = 14.0, 25.0
WEEK_S = 604_800.0
DAY_DEG, NIGHT_DEG = 3.0, -6.0
"""Elevations of the sun: between them is dusk (or dawn)."""
TWO_LANES = CrossSection(lanes_forward=2, lanes_backward=2, lane_width_m=3.6, sidewalk_m=0.0)
ONE_LANE = CrossSection(sidewalk_m=0.0)


def read_comma2k19(folder: Path) -> Layout:
    """Read one segment: a folder with `global_pose/`.

    Raises:
        LayoutError: a file is missing, damaged, of another shape, unordered in time, or contradicts another one.
        DependencyError: pyproj is not installed.
    """
    pose = folder / "global_pose"
    if not pose.is_dir():
        raise LayoutError("a segment with a folder global_pose", found="none", where=str(folder), fix=_segments(folder))
    t_s = read_stamps_s(pose / "frame_times")
    frames = len(t_s)
    position_ecef_m = read_table(pose / "frame_positions", 3, num_rows=frames)
    velocity_ecef_mps = read_table(pose / "frame_velocities", 3, num_rows=frames)
    quaternion = read_table(pose / "frame_orientations", 4, num_rows=frames)
    _require_driving(t_s, position_ecef_m, where=str(pose))
    turn = enu_from_ecef(position_ecef_m[0])
    position_m = (position_ecef_m - position_ecef_m[0]) @ turn.T
    velocity_mps = velocity_ecef_mps @ turn.T
    _require_agreement(velocity_mps, velocity_by_differences(position_m, t_s), where=str(pose / "frame_velocities"))
    course_rad = np.arctan2(velocity_mps[:, 1], velocity_mps[:, 0])
    device_rad = np.unwrap(_device_headings(quaternion, turn, where=str(pose / "frame_orientations")))
    mount_rad = _mount_angle(device_rad, course_rad, velocity_mps)

    timeline = Timeline(rate_hz=RATE_HZ, num_steps=int(np.floor((t_s[-1] - t_s[0]) * RATE_HZ + 1e-6)) + 1)
    steps_s = t_s[0] + np.arange(timeline.num_steps) / RATE_HZ
    step_m, step_mps = (_at(steps_s, t_s, values[:, :2]) for values in (position_m, velocity_mps))
    heading_rad = np.interp(steps_s, t_s, device_rad) - mount_rad
    ego = EgoTrack(
        world_from_ego=planar_poses(np.column_stack([step_m, np.zeros(len(step_m))]), heading_rad),
        velocity_world_mps=step_mps,
    )
    speed_mps = np.linalg.norm(velocity_mps, axis=1)
    mean_mps = float(speed_mps.mean())
    road = build_assumed_road(ego, section=TWO_LANES if mean_mps >= FAST_MPS else ONE_LANE, ego_lane=1, rate_hz=RATE_HZ)
    can, told = _can_speed(folder, mean_mps)
    time_of_day, clock = _time_of_day(pose / "frame_gps_times", position_ecef_m[0], frames)
    return Layout(
        layout_id=layout_id_of("comma2k19", f"{folder.resolve().parent.name}-{folder.resolve().name}"),
        source="comma2k19",
        licence=LICENCE,
        timeline=timeline,
        road_map=road.road_map,
        agents=(),
        ego=ego,
        environment=Environment(
            time_of_day=time_of_day,
            prompt=f"a road by {time_of_day}",
            style="highway" if speed_mps.max() >= HIGHWAY_MPS else "rural",
        ),
        report=SourceReport(
            counts={"frames": frames, "can_speed_rows": can},
            lost=(
                *road.lost,
                "all traffic: the segment records none",
                "the device's place in the car, which is not recorded: it is taken for the rear axle. Its x axis"
                f" points {np.degrees(mount_rad):+.2f} degrees to the left of the course; headings are corrected",
                f"heights from {position_m[:, 2].min():.1f} to {position_m[:, 2].max():.1f} m, roll and pitch;"
                f" {path_length_m(position_m):.1f} m are driven on slopes",
                f"weather, which is not recorded; {clock}",
                told,
            ),
        ),
    )


def _segments(folder: Path) -> str:
    found = sorted(str(path.parent.relative_to(folder)) for path in folder.glob("**/global_pose"))[:3]
    return f"segments below it: {', '.join(found)}" if found else ""


def _require_driving(
    t_s: Float64[np.ndarray, " N"], position_ecef_m: Float64[np.ndarray, "N 3"], *, where: str
) -> None:
    """Check that there is a drive on Earth, without holes."""
    if len(t_s) < FEWEST_FRAMES:
        raise LayoutError(f"at least {FEWEST_FRAMES} frames", found=f"{len(t_s)}", where=f"{where}/frame_times")
    gap_s = np.diff(t_s)
    if gap_s.max() > LONGEST_GAP_S:
        found = f"{gap_s.max():.3g} s after row {int(np.argmax(gap_s))}"
        raise LayoutError(f"frames at most {LONGEST_GAP_S:g} s apart", found=found, where=f"{where}/frame_times")
    height_m = np.abs(np.linalg.norm(position_ecef_m, axis=1) - SEMI_MAJOR_AXIS_M)
    if height_m.max() > FROM_EARTH_M:
        row = int(np.argmax(height_m))
        found = f"{position_ecef_m[row].round(1).tolist()} at row {row}"
        raise LayoutError("Earth-centred positions on its surface", found=found, where=f"{where}/frame_positions")


def _require_agreement(
    stated_mps: Float64[np.ndarray, "N 3"], implied_mps: Float64[np.ndarray, "N 3"], *, where: str
) -> None:
    """Check velocities against differences of positions."""
    apart_mps = float(np.median(np.linalg.norm(stated_mps - implied_mps, axis=1)))
    if apart_mps > CONTRADICTION_MPS:
        raise LayoutError(
            f"velocities within {CONTRADICTION_MPS:g} m/s of the differences of positions",
            found=f"{apart_mps:.3g} m/s at the median",
            where=where,
        )


def _device_headings(
    quaternion: Float64[np.ndarray, "N 4"], turn: Float64[np.ndarray, "3 3"], *, where: str
) -> Float64[np.ndarray, " N"]:
    """Return the direction of the device's x axis over the ground."""
    headings_of_quaternions(quaternion, where=where)  # checks the norms
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)).T
    ahead_ecef = np.stack([1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)], axis=1)
    east, north, _ = (ahead_ecef @ turn.T).T
    return np.asarray(np.arctan2(north, east))


def _mount_angle(
    device_rad: Float64[np.ndarray, " N"],
    course_rad: Float64[np.ndarray, " N"],
    velocity_mps: Float64[np.ndarray, "N 3"],
) -> float:
    """Return how far to the left of the course the device looks at speed; 0 for a car that never drives."""
    drives = np.linalg.norm(velocity_mps, axis=1) > COURSE_MPS
    if not drives.any():
        return 0.0
    apart = device_rad[drives] - course_rad[drives]
    return float(np.median(np.arctan2(np.sin(apart), np.cos(apart))))


def _at(
    at_s: Float64[np.ndarray, " T"], t_s: Float64[np.ndarray, " N"], values: Float64[np.ndarray, "N 2"]
) -> Float64[np.ndarray, "T 2"]:
    return np.stack([np.interp(at_s, t_s, column) for column in values.T], axis=1)


def _time_of_day(path: Path, place_ecef_m: Float64[np.ndarray, "3"], frames: int) -> tuple[str, str]:
    """Say whether it was day, dusk or night by where the sun stood at the first frame, and what that rests on."""
    if not path.exists():
        return "day", "it is taken to be day, for want of GPS times"
    week, second = read_table(path, 2, num_rows=frames)[0].tolist()
    elevation_deg = sun_elevation_deg(week * WEEK_S + second, *degrees_of(place_ecef_m))
    time_of_day = "day" if elevation_deg > DAY_DEG else "dusk" if elevation_deg > NIGHT_DEG else "night"
    return time_of_day, f"the sun stood at {elevation_deg:.0f} degrees by the GPS time"


def _can_speed(folder: Path, mean_mps: float) -> tuple[int, str]:
    """Count the rows of the car's own speed and compare its mean; it is not in the layout."""
    speed = folder / "processed_log" / "CAN" / "speed"
    if not speed.is_dir():
        return 0, "no second instrument: the segment has no CAN speed"
    t_s = read_stamps_s(speed / "t")
    can_mps = read_table(speed / "value", 1, num_rows=len(t_s))
    return len(t_s), f"the CAN speed, of mean {can_mps.mean():.2f} m/s; that of the poses is {mean_mps:.2f} m/s"
