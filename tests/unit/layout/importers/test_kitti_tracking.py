"""KITTI tracking: a sequence written by the test from a known street, and damaged ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenegen.errors import LayoutError
from scenegen.layout.sources import expand_references, read_layout
from scenegen.types import AgentCategory, Layout
from tests.unit.layout.importers.motion_world import ACTORS, BIKE, CAR, EGO, WALKER, Actor
from tests.unit.layout.importers.refusal import assert_refused

pytest.importorskip("pyproj", reason="pyproj is not installed (extra `geo`)")

NUM_FRAMES = 30
LATITUDE_DEG, LONGITUDE_DEG = 49.01, 8.43
IMU_LEFT_M, IMU_UP_M, AXLE_BEHIND_M = 0.32, 0.93, 1.4
ROLL_RAD, PITCH_RAD = 0.02, -0.015
KIND = {CAR: "Car", WALKER: "Pedestrian", BIKE: "Cyclist"}

# Where the instruments sit: LiDAR 0.81 m ahead of the inertial unit, in the middle; the camera before it, a bit tilted.
VELO_FROM_IMU = np.column_stack([Rotation.from_euler("xyz", [0.015, 0.002, -0.001]).as_matrix(), [-0.81, 0.32, -0.80]])
CAM_AXES = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
CAM_FROM_VELO = np.column_stack(
    [Rotation.from_euler("xyz", [0.01, 0.02, -0.01]).as_matrix() @ CAM_AXES, [0.0, -0.08, -0.27]]
)
RECTIFIED = Rotation.from_euler("xyz", [0.004, -0.007, 0.01]).as_matrix()


def apply(matrix: np.ndarray, point: np.ndarray) -> np.ndarray:
    return matrix[:, :3] @ point + matrix[:, 3]


def imu_pose(t_s: float) -> tuple[np.ndarray, np.ndarray]:
    heading = float(EGO.heading(np.array(t_s)))
    ahead, left = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    place = EGO.at(np.array(t_s)) - AXLE_BEHIND_M * ahead + IMU_LEFT_M * left
    return Rotation.from_euler("ZYX", [heading, PITCH_RAD, ROLL_RAD]).as_matrix(), np.append(place, IMU_UP_M)


def oxts_line(t_s: float) -> str:
    """Degrees by the radii of curvature of WGS84 at the place: no projection is involved."""
    _, place = imu_pose(t_s)
    sin = np.sin(np.radians(LATITUDE_DEG))
    e2 = 0.00669437999014
    meridian_m = 6378137.0 * (1 - e2) / (1 - e2 * sin**2) ** 1.5
    normal_m = 6378137.0 / np.sqrt(1 - e2 * sin**2)
    latitude = LATITUDE_DEG + np.degrees(place[1] / meridian_m)
    longitude = LONGITUDE_DEG + np.degrees(place[0] / (normal_m * np.cos(np.radians(LATITUDE_DEG))))
    velocity = EGO.velocity(np.array(t_s))
    yaw = float(EGO.heading(np.array(t_s)))
    row = [latitude, longitude, 112.0 + place[2], ROLL_RAD, PITCH_RAD, yaw, velocity[1], velocity[0], 8.0, 0.0, 0.0]
    return " ".join(f"{value:.12f}" for value in row) + " 0" * 14 + " 4 10 4 4 0"


def label_line(frame: int, track: int, actor: Actor) -> str:
    t_s = frame / 10.0
    rotation, place = imu_pose(t_s)
    x, y = actor.at(np.array(t_s))
    heading = float(actor.heading(np.array(t_s)))

    def to_cam(vector_imu: np.ndarray, *, is_point: bool) -> np.ndarray:
        if is_point:
            return RECTIFIED @ apply(CAM_FROM_VELO, apply(VELO_FROM_IMU, vector_imu))
        return RECTIFIED @ CAM_FROM_VELO[:, :3] @ VELO_FROM_IMU[:, :3] @ vector_imu

    bottom = to_cam(rotation.T @ (np.array([x, y, 0.0]) - place), is_point=True)
    ahead = to_cam(rotation.T @ np.array([np.cos(heading), np.sin(heading), 0.0]), is_point=False)
    length, width, height = actor.size_lwh_m
    values = [height, width, length, *bottom, np.arctan2(-ahead[2], ahead[0])]
    return f"{frame} {track} {KIND[actor]} 0 0 -1.5 600 170 650 200 " + " ".join(f"{value:.9f}" for value in values)


def texts() -> dict[str, str]:
    labels = []
    for frame in range(NUM_FRAMES):
        for track, actor in enumerate(ACTORS):
            if actor.seen_s[0] <= frame / 10.0 <= actor.seen_s[1]:
                labels.append(label_line(frame, track, actor))
        labels.append(f"{frame} -1 DontCare -1 -1 -10 0 0 9 9 -1 -1 -1 -1000 -1000 -1000 -10")

    def row(matrix: np.ndarray) -> str:
        return " ".join(f"{value:.12e}" for value in matrix.ravel())

    calib = "\n".join([
        *(f"P{idx}: {row(np.eye(3, 4))}" for idx in range(4)),
        f"R_rect {row(RECTIFIED)}", f"Tr_velo_cam {row(CAM_FROM_VELO)}", f"Tr_imu_velo {row(VELO_FROM_IMU)}", "",
    ])  # fmt: skip
    oxts = "\n".join(oxts_line(frame / 10.0) for frame in range(NUM_FRAMES)) + "\n"
    return {"label_02": "\n".join(labels) + "\n", "calib": calib, "oxts": oxts}


def write(root: Path, parts: dict[str, str], *, below: str = "training", sequence: str = "0004") -> str:
    for part, text in parts.items():
        (root / below / part).mkdir(parents=True, exist_ok=True)
        (root / below / part / f"{sequence}.txt").write_text(text)
    return f"kitti_tracking:{root}/{sequence}"


def track(layout: Layout, number: int) -> Any:
    return next(agent for agent in layout.agents if agent.agent_id == str(number))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return read_layout(write(tmp_path_factory.mktemp("kitti"), texts()))


def test_the_ego_is_its_rear_axle_in_east_and_north(layout: Layout) -> None:
    t_s = np.arange(NUM_FRAMES) / 10.0
    np.testing.assert_allclose(layout.ego.position_world_m[:, :2], EGO.at(t_s) - EGO.at(t_s)[0], atol=0.02)
    np.testing.assert_allclose(layout.ego.heading_rad, EGO.heading(t_s), atol=1e-6)
    np.testing.assert_allclose(layout.ego.velocity_world_mps, EGO.velocity(t_s), atol=0.01)


@pytest.mark.parametrize("number", range(3))
def test_boxes_go_from_the_camera_to_the_world(layout: Layout, number: int) -> None:
    actor, agent = ACTORS[number], track(layout, number)
    t_s = np.arange(NUM_FRAMES) / 10.0
    seen = (t_s >= actor.seen_s[0]) & (t_s <= actor.seen_s[1])
    axle_m = EGO.at(t_s)[0] - [0.0, AXLE_BEHIND_M]
    assert (agent.valid == seen).all()
    np.testing.assert_allclose(agent.center_world_m[seen, :2], actor.at(t_s[seen]) - axle_m, atol=0.03)
    turned = agent.heading_rad[seen] - actor.heading(t_s[seen])
    np.testing.assert_allclose(np.cos(turned), 1.0, atol=1e-3)
    np.testing.assert_allclose(agent.size_lwh_m, actor.size_lwh_m)
    np.testing.assert_allclose(agent.center_world_m[:, 2], actor.size_lwh_m[2] / 2.0)


@pytest.mark.parametrize("number", range(3))
def test_velocities_are_of_the_world_and_not_relative_to_the_ego(layout: Layout, number: int) -> None:
    actor, agent = ACTORS[number], track(layout, number)
    t_s = np.flatnonzero(agent.valid)[1:-1] / 10.0
    inner = agent.velocity_world_mps[agent.valid][1:-1]
    np.testing.assert_allclose(inner, actor.velocity(t_s), atol=0.05)


def test_categories_counts_and_what_is_lost(layout: Layout) -> None:
    assert [(agent.category, agent.attribute) for agent in layout.agents] == [
        (AgentCategory.CAR, ""), (AgentCategory.PEDESTRIAN, ""), (AgentCategory.BICYCLE, "cycle.with_rider"),
    ]  # fmt: skip
    assert layout.report is not None
    assert layout.report.counts == {
        "frames": 30, "tracks": 3, "Car": 30, "Cyclist": 30, "DontCare": 30, "Pedestrian": 8,
    }  # fmt: skip
    said = "\n".join(layout.report.lost)
    assert "the source has no map" in said and "30 regions DontCare" in said and "they are 100.0 ms" in said
    assert layout.environment.style == "suburb" and "not commercial" in layout.licence


def test_sequences_expand_and_folders_may_lie_at_the_root(tmp_path: Path) -> None:
    for sequence in ("0000", "0011", "0012"):
        write(tmp_path, texts(), below=".", sequence=sequence)
    assert expand_references([f"kitti_tracking:{tmp_path}/001*"]) == [
        f"kitti_tracking:{tmp_path}/0011", f"kitti_tracking:{tmp_path}/0012",
    ]  # fmt: skip
    assert read_layout(f"kitti_tracking:{tmp_path}/0011").layout_id == "kitti_tracking-0011"


def line_with(part: str, old: str, new: str) -> Callable[[dict[str, str]], None]:
    def edit(parts: dict[str, str]) -> None:
        assert old in parts[part]
        parts[part] = parts[part].replace(old, new, 1)

    return edit


def word(part: str, line: int, column: int, value: str) -> Callable[[dict[str, str]], None]:
    def edit(parts: dict[str, str]) -> None:
        lines = parts[part].splitlines()
        words = lines[line].split()
        words[column] = value
        lines[line] = " ".join(words)
        parts[part] = "\n".join(lines)

    return edit


def cut(part: str, share: float) -> Callable[[dict[str, str]], None]:
    def edit(parts: dict[str, str]) -> None:
        parts[part] = parts[part][: int(len(parts[part]) * share)]

    return edit


def slow_down(parts: dict[str, str]) -> None:
    lines = [line.split() for line in parts["oxts"].splitlines()]
    parts["oxts"] = "\n".join(" ".join([*words[:8], "20.0", *words[9:]]) for words in lines)


CASES: dict[str, tuple[Callable[[dict[str, str]], None], str, str]] = {
    "label cut": (cut("label_02", 0.52), "label_02/0004.txt:", "17 columns"),
    "no labels": (cut("label_02", 0.0), "label_02/0004.txt", "at least one label"),
    "label is NaN": (word("label_02", 0, 13, "nan"), "label_02/0004.txt:1", "finite number"),
    "label is huge": (word("label_02", 2, 15, "1e300"), "label_02/0004.txt:3", "1e+07"),
    "label is a word": (word("label_02", 1, 12, "wide"), "label_02/0004.txt:2", "'wide'"),
    "frame is a fraction": (word("label_02", 0, 0, "0.5"), "label_02/0004.txt:1", "whole number"),
    "frame before the first": (word("label_02", 0, 0, "-1"), "label_02/0004.txt:1", "from 0 on"),
    "frame that OXTS lacks": (word("label_02", 0, 0, "30"), "label_02/0004.txt:1", "frames 0 to 29"),
    "track without number": (word("label_02", 0, 1, "-1"), "label_02/0004.txt:1", "a track from 0 on"),
    "track twice in a frame": (word("label_02", 3, 0, "0"), "track 0", "two in frame 0"),
    "type changes": (word("label_02", 0, 2, "Truck"), "track 0", "one type"),
    "type unknown": (line_with("label_02", "Pedestrian", "Ghost"), "track 1", "Ghost"),
    "no calibration of the LiDAR": (line_with("calib", "Tr_velo_cam", "Tr_other"), "calib/0004.txt", "no Tr_velo_cam"),
    "calibration cut": (cut("calib", 0.9), "calib/0004.txt:7", "12 numbers"),
    "calibration stretches": (word("calib", 6, 1, "1.4"), "Tr_imu_velo", "orthonormal"),
    "calibration mirrors": (line_with("calib", "R_rect ", "R_rect -1 0 0 0 1 0 0 0 1\nX "), "R_rect", "mirrors"),
    "calibration is infinite": (word("calib", 4, 3, "inf"), "calib/0004.txt:5", "finite number"),
    "packet cut": (cut("oxts", 0.999), "oxts/0004.txt", "30 columns"),
    "no packets": (cut("oxts", 0.0), "oxts/0004.txt", "1 to 20,000 packets"),
    "latitude in radians too many": (word("oxts", 3, 0, "490.1"), "oxts/0004.txt:4", "latitude"),
    "yaw is NaN": (word("oxts", 5, 5, "NaN"), "oxts/0004.txt:6", "finite number"),
    "speed contradicts positions": (slow_down, "oxts/0004.txt", "0.40 of it"),
    "frames of one car in two places": (word("label_02", 4, 1, "0"), "track 0", "one type"),
    "car leaps": (word("oxts", 9, 0, "49.2"), "oxts/0004.txt", "at most 70 m/s"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_malformed_sequence_is_refused_by_name(tmp_path: Path, name: str) -> None:
    edit, where, said = CASES[name]
    parts = texts()
    edit(parts)
    assert_refused(write(tmp_path, parts), tmp_path, where, said)


def test_boxes_without_a_volume_are_refused(tmp_path: Path) -> None:
    parts = texts()
    rows = [line.split() for line in parts["label_02"].splitlines()]
    parts["label_02"] = "\n".join(" ".join([*row[:10], "-1.5", *row[11:]] if row[2] == "Car" else row) for row in rows)
    with pytest.raises(LayoutError, match="track 0: expected positive length, width and height"):
        read_layout(write(tmp_path, parts))


@pytest.mark.parametrize("part", ["label_02", "calib", "oxts"])
def test_missing_and_binary_files_are_named(tmp_path: Path, part: str) -> None:
    reference = write(tmp_path, texts())
    path = tmp_path / "training" / part / "0004.txt"
    path.write_bytes(b"\xff\xfe\x00\x01" * 100)
    with pytest.raises(LayoutError, match=f"{part}/0004.txt"):
        read_layout(reference)
    path.unlink()
    with pytest.raises(LayoutError, match=part):
        read_layout(reference)
