"""comma2k19: the minute of the README against a second instrument, a drive that the test makes, damaged segments."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scenegen.cli import main
from scenegen.errors import LayoutError
from scenegen.layout.importers import read_comma2k19
from scenegen.layout.importers.npy_file import read_stamps_s, read_table
from scenegen.layout.sources import read_layout
from scenegen.types import Layout
from tests.conftest import need_recorded

pytest.importorskip("pyproj", reason="pyproj is not installed (extra `geo`)")

NUM_FRAMES = 101
SPEED_MPS, TURN_RADPS, MOUNT_RAD = 10.0, 0.1, 0.02
LATITUDE_RAD, LONGITUDE_RAD = 0.6, -2.1


@pytest.fixture
def segment(shared_data: Path) -> Path:
    return need_recorded(shared_data / "comma2k19" / "b0c9d2329ad1606b_2018-08-02--08-34-47" / "40")


@pytest.fixture(scope="module")
def drive() -> dict[str, np.ndarray]:
    """Five seconds of a left turn on a tilted device: positions on a circle, east first, uphill by a tenth."""
    t_s = np.arange(NUM_FRAMES) * 0.05
    course = TURN_RADPS * t_s
    radius_m = SPEED_MPS / TURN_RADPS
    local_m = np.stack([radius_m * np.sin(course), radius_m * (1.0 - np.cos(course)), 0.1 * SPEED_MPS * t_s], axis=1)
    local_mps = SPEED_MPS * np.stack([np.cos(course), np.sin(course), np.full(NUM_FRAMES, 0.1)], axis=1)
    (sin_lat, cos_lat), (sin_lon, cos_lon) = ((np.sin(angle), np.cos(angle)) for angle in (LATITUDE_RAD, LONGITUDE_RAD))
    ecef_from_enu = np.array(
        [
            [-sin_lon, -sin_lat * cos_lon, cos_lat * cos_lon],
            [cos_lon, -sin_lat * sin_lon, cos_lat * sin_lon],
            [0.0, cos_lat, sin_lat],
        ]
    )
    major_m, minor_m = 6378137.0, 6356752.314245
    normal_m = major_m**2 / np.hypot(major_m * cos_lat, minor_m * sin_lat)
    foot_m = np.array(
        [normal_m * cos_lat * cos_lon, normal_m * cos_lat * sin_lon, normal_m * (minor_m / major_m) ** 2 * sin_lat]
    )
    quaternions = [
        quaternion_of(ecef_from_enu @ yaw_matrix(angle + MOUNT_RAD) @ np.diag([1.0, -1.0, -1.0])) for angle in course
    ]
    return {
        "frame_times": 46_000.0 + t_s,
        "frame_positions": foot_m + local_m @ ecef_from_enu.T,
        "frame_velocities": local_mps @ ecef_from_enu.T,
        "frame_orientations": np.array(quaternions),
    }


def yaw_matrix(angle_rad: float) -> np.ndarray:
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def quaternion_of(matrix: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(matrix).as_quat()
    return np.array([w, x, y, z])


def written(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    (folder / "route" / "3" / "global_pose").mkdir(parents=True)
    for name, values in arrays.items():
        with (folder / "route" / "3" / "global_pose" / name).open("wb") as stream:
            np.save(stream, values)
    return folder / "route" / "3"


def speeds_mps(layout: Layout) -> np.ndarray:
    return np.linalg.norm(layout.ego.velocity_world_mps, axis=1)


def test_counts_and_means_are_those_of_the_readme(segment: Path) -> None:
    layout = read_layout(f"comma2k19:{segment}")
    assert layout.report is not None
    assert layout.report.counts == {"frames": 1200, "can_speed_rows": 4974}
    assert "1011.8 m" in " ".join(layout.report.lost)
    assert round(float(read_stamps_s(segment / "global_pose" / "frame_times")[[0, -1]] @ [-1.0, 1.0]), 2) == 59.95
    assert layout.timeline.rate_hz == 20.0 and layout.timeline.num_steps == 1199
    recorded_mps = np.linalg.norm(read_table(segment / "global_pose" / "frame_velocities", 3), axis=1)
    assert round(float(recorded_mps.mean()), 2) == 16.87
    np.testing.assert_allclose(speeds_mps(layout).mean(), recorded_mps.mean(), rtol=5e-3)


def test_speed_agrees_with_the_cars_own(segment: Path) -> None:
    """The CAN bus is one per cent slower, and its noise is a tenth of a metre per second; units and times are right."""
    layout = read_comma2k19(segment)
    can = segment / "processed_log" / "CAN" / "speed"
    can_s, can_mps = read_stamps_s(can / "t"), read_table(can / "value", 1)[:, 0]
    assert round(float(can_mps.mean()), 2) == 16.73
    begin_s = read_stamps_s(segment / "global_pose" / "frame_times")[0]
    steps_s = np.arange(layout.timeline.num_steps) / 20.0
    car_mps = np.interp(begin_s + steps_s, can_s, can_mps)
    apart_mps = speeds_mps(layout) - car_mps
    assert np.sqrt((apart_mps**2).mean()) < 0.25
    assert abs(apart_mps.mean()) < 0.01 * car_mps.mean() + 0.01
    shifted_mps = np.interp(begin_s + steps_s - 2.0, can_s, can_mps)
    assert np.sqrt(((speeds_mps(layout) - shifted_mps) ** 2).mean()) > 0.75


def test_velocities_agree_with_positions_and_headings(segment: Path) -> None:
    ego = read_comma2k19(segment).ego
    implied_mps = np.gradient(ego.position_world_m[:, :2], 0.05, axis=0)
    assert np.abs(implied_mps - ego.velocity_world_mps).max() < 0.35
    course_rad = np.arctan2(ego.velocity_world_mps[:, 1], ego.velocity_world_mps[:, 0])
    assert np.abs(ego.heading_rad - course_rad).max() < np.radians(1.0)


def test_a_turn_is_laid_level_with_east_along_x(tmp_path: Path, drive: dict[str, np.ndarray]) -> None:
    layout = read_layout(f"comma2k19:{written(tmp_path, drive)}")
    t_s = np.arange(layout.timeline.num_steps) / 20.0
    radius_m = SPEED_MPS / TURN_RADPS
    expected_m = radius_m * np.stack([np.sin(TURN_RADPS * t_s), 1.0 - np.cos(TURN_RADPS * t_s)], axis=1)
    np.testing.assert_allclose(layout.ego.position_world_m[:, :2], expected_m, atol=1e-6)
    np.testing.assert_allclose(layout.ego.heading_rad, TURN_RADPS * t_s, atol=1e-4)
    np.testing.assert_allclose(speeds_mps(layout), SPEED_MPS, rtol=1e-4)
    assert layout.report is not None
    assert any(f"{np.degrees(MOUNT_RAD):+.2f} degrees" in what for what in layout.report.lost)
    assert any("Assumed is a road" in what for what in layout.report.lost)


Edit = Callable[[Path], None]


def put(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    def edit(pose: Path) -> None:
        with (pose / name).open("rb") as stream:
            values = np.load(stream)
        with (pose / name).open("wb") as stream:
            np.save(stream, change(values))

    return edit


def put_bytes(name: str, change: Callable[[bytes], bytes]) -> Edit:
    return lambda pose: (pose / name).write_bytes(change((pose / name).read_bytes())) and None


def with_row(row: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[row] = value
        return changed

    return change


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def npy_pickle(_: bytes) -> bytes:
    """An object array whose pickle would call a function."""

    class Runs:
        def __reduce__(self) -> tuple[object, ...]:
            return (print, ("run",))

    return header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n") + pickle.dumps([Runs()])


def as_folder(name: str) -> Edit:
    def edit(pose: Path) -> None:
        (pose / name).unlink()
        (pose / name).mkdir()

    return edit


NOT_ONE = "a NumPy array file"
HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (200000000000,), }\n"
CAN = "../processed_log/CAN/speed"


def can_files(rows_t: int, rows_value: int) -> Edit:
    def edit(pose: Path) -> None:
        folder = pose / CAN
        folder.mkdir(parents=True)
        for name, rows in (("t", rows_t), ("value", rows_value)):
            with (folder / name).open("wb") as stream:
                np.save(stream, np.arange(rows, dtype=float))

    return edit


CASES: dict[str, tuple[Edit, str]] = {
    "no times": (lambda pose: (pose / "frame_times").unlink(), "no such file"),
    "a folder for a file": (as_folder("frame_times"), "something else"),
    "empty file": (put_bytes("frame_times", lambda _: b""), NOT_ONE),
    "truncated": (put_bytes("frame_positions", lambda content: content[:-100]), "bytes of numbers"),
    "longer than said": (put_bytes("frame_positions", lambda content: content + b"x" * 64), "bytes of numbers"),
    "text": (put_bytes("frame_positions", lambda _: b"x,y,z\n1,2,3\n"), NOT_ONE),
    "a pickle": (put_bytes("frame_positions", lambda _: pickle.dumps([1.0])), NOT_ONE),
    "an array of pickles": (put_bytes("frame_positions", npy_pickle), "of type object"),
    "a header that is code": (put_bytes("frame_times", lambda _: header("__import__('os').getcwd()\n")), NOT_ONE),
    "a header without end": (put_bytes("frame_times", lambda _: header("{'descr': '<f8', ")), NOT_ONE),
    "a terabyte by its header": (put_bytes("frame_times", lambda _: header(HUGE)), "bytes of numbers"),
    "a later version": (put_bytes("frame_times", lambda old: old[:6] + b"\x09\x00" + old[8:]), "format version"),
    "complex numbers": (put("frame_velocities", lambda values: values * 1j), "an array of numbers"),
    "words": (put("frame_velocities", lambda values: values.astype(str)), "an array of numbers"),
    "two columns": (put("frame_positions", lambda values: values[:, :2]), "a table of 3 columns"),
    "four dimensions": (put("frame_positions", lambda values: values[None, None]), "a table of 3 columns"),
    "fewer rows": (put("frame_velocities", lambda values: values[:-1]), f"{NUM_FRAMES} rows"),
    "no rows": (put("frame_times", lambda values: values[:0]), "a table of 1 columns"),
    "few frames": (put("frame_times", lambda values: values[:5]), "frame_positions"),
    "NaN": (put("frame_positions", with_row(7, np.nan)), "NaN or infinity at row 7"),
    "infinity": (put("frame_velocities", with_row(8, np.inf)), "NaN or infinity at row 8"),
    "huge numbers": (put("frame_velocities", with_row(9, 1e200)), "more than 1e+07 at row 9"),
    "unsorted times": (put("frame_times", lambda values: values[::-1]), "times that increase"),
    "a time twice": (put("frame_times", with_row(1, 46_000.0)), "at row 1"),
    "a hole": (put("frame_times", lambda values: values + 5.0 * (values > 46_002.0)), "apart"),
    "not on Earth": (put("frame_positions", lambda values: values - values.mean(axis=0)), "on its surface"),
    "quaternions of norm two": (put("frame_orientations", lambda values: 2.0 * values), "unit quaternions"),
    "quaternions of zero": (put("frame_orientations", with_row(3, 0.0)), "norm of 0.0000 at row 3"),
    "velocities in miles per hour": (put("frame_velocities", lambda values: 2.237 * values), "of positions"),
    "CAN times and values that differ": (can_files(50, 49), "50 rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_damaged_segment_is_refused_by_name(tmp_path: Path, drive: dict[str, np.ndarray], name: str) -> None:
    edit, said = CASES[name]
    folder = written(tmp_path, drive)
    edit(folder / "global_pose")
    begin_s = time.process_time()
    with pytest.raises(LayoutError) as caught:
        read_layout(f"comma2k19:{folder}")
    assert time.process_time() - begin_s < 2.0
    message = str(caught.value)
    assert str(folder) in message and said in message, message


def test_a_route_is_told_its_segments_and_nothing_is_written(
    tmp_path: Path, drive: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    route = written(tmp_path, drive).parent
    target = tmp_path / "made.yaml"
    assert main(["layout", "import", f"comma2k19:{route}", "-o", str(target)]) == 2
    assert "Segments below it: 3" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize(
    ("week", "second", "expected"), [(2012, 404_106.0, "day"), (2012, 443_700.0, "dusk"), (2012, 460_000.0, "night")]
)
def test_time_of_day_follows_the_sun(
    tmp_path: Path, drive: dict[str, np.ndarray], week: int, second: float, expected: str
) -> None:
    """2 August 2018 at 34.4 N, 120.3 W: morning, a quarter past eight in the evening by local time, after midnight."""
    stamps = np.column_stack([np.full(NUM_FRAMES, float(week)), second + np.arange(NUM_FRAMES) * 0.05])
    layout = read_comma2k19(written(tmp_path, {**drive, "frame_gps_times": stamps}))
    assert layout.environment.time_of_day == expected
