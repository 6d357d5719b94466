"""Argoverse 2: a small log written by the test, damaged logs, and the two real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.importers import read_argoverse2
from scenegen.types import AgentCategory, AgentTrack, Layout
from tests.conftest import need_recorded

WriteLog = Callable[..., Path]


def agent_called(layout: Layout, agent_id: str) -> AgentTrack:
    return next(agent for agent in layout.agents if agent.agent_id == agent_id)


def test_ego_starts_at_the_origin_on_the_ground_and_faces_along_its_motion(write_argoverse2: WriteLog) -> None:
    ego = read_argoverse2(write_argoverse2()).ego
    np.testing.assert_allclose(ego.position_world_m[0], 0.0, atol=1e-9)
    np.testing.assert_allclose(ego.position_world_m[-1], [0.0, 2.5, 0.0], atol=1e-9)
    np.testing.assert_allclose(ego.heading_rad, np.pi / 2, atol=1e-9)
    np.testing.assert_allclose(ego.velocity_world_mps, np.tile([0.0, 5.0], (6, 1)), atol=1e-6)


def test_boxes_move_from_the_ego_frame_of_their_stamp_to_the_world(write_argoverse2: WriteLog) -> None:
    car = agent_called(read_argoverse2(write_argoverse2()), "car-1")
    np.testing.assert_allclose(car.center_world_m[:, :2], [[0.0, 10.0 + 0.5 * step] for step in range(6)], atol=1e-9)
    np.testing.assert_allclose(car.heading_rad, np.pi / 2, atol=1e-9)
    np.testing.assert_allclose(car.velocity_world_mps, np.tile([0.0, 5.0], (6, 1)), atol=1e-6)
    assert car.size_lwh_m.tolist() == [4.5, 2.0, 1.6]
    assert (car.category, car.source_category) == (AgentCategory.CAR, "REGULAR_VEHICLE")


def test_a_box_stands_at_half_its_height_above_the_ground_raster(write_argoverse2: WriteLog) -> None:
    layout = read_argoverse2(write_argoverse2())
    np.testing.assert_allclose(agent_called(layout, "car-1").center_world_m[:, 2], 0.8, atol=0.01)
    np.testing.assert_allclose(agent_called(layout, "walker").center_world_m[:, 2], 0.9, atol=0.01)


def test_a_log_without_ground_raster_puts_boxes_exactly_on_the_ground(write_argoverse2: WriteLog) -> None:
    folder = write_argoverse2()
    next((folder / "map").glob("*.npy")).unlink()
    assert (agent_called(read_argoverse2(folder), "walker").center_world_m[:, 2] == 0.9).all()


def test_unseen_steps_are_invalid_and_finite(write_argoverse2: WriteLog) -> None:
    walker = agent_called(read_argoverse2(write_argoverse2()), "walker")
    assert walker.valid.tolist() == [False, False, True, True, True, True]
    np.testing.assert_allclose(walker.center_world_m[:, :2], np.tile([-3.0, 0.0], (6, 1)), atol=1e-9)
    np.testing.assert_allclose(walker.velocity_world_mps, 0.0, atol=1e-6)


def test_map_becomes_lanes_lines_and_areas(write_argoverse2: WriteLog) -> None:
    road_map = read_argoverse2(write_argoverse2()).road_map
    north, south = road_map.lanes
    np.testing.assert_allclose(north.centerline_world_m[[0, -1]], [[0.25, -20.0, 0.0], [0.25, 60.0, 0.0]])
    np.testing.assert_allclose(south.centerline_world_m[[0, -1]], [[-3.25, 60.0, 0.0], [-3.25, -20.0, 0.0]])
    assert (north.width_m, south.width_m) == (3.5, 3.5)
    assert [(line.kind, line.color) for line in road_map.lane_lines] == [("double_solid", "yellow"), ("solid", "white")]
    (crossing,) = road_map.areas_of("crossing")
    assert crossing.polygon_world_m.tolist() == [[-5.0, 30.0], [2.0, 30.0], [2.0, 33.0], [-5.0, 33.0]]
    assert len(road_map.areas_of("drivable")) == 1


@pytest.mark.parametrize(
    ("source", "category", "attribute"),
    [
        ("BICYCLE", AgentCategory.BICYCLE, "cycle.without_rider"),
        ("BICYCLIST", AgentCategory.BICYCLE, "cycle.with_rider"),
        ("SCHOOL_BUS", AgentCategory.BUS, ""),
        ("CONSTRUCTION_CONE", AgentCategory.TRAFFIC_CONE, ""),
        ("BOLLARD", AgentCategory.OTHER, ""),
        ("A_CLASS_OF_TOMORROW", AgentCategory.OTHER, ""),
    ],
)
def test_source_classes_become_ours_and_keep_their_name(
    write_argoverse2: WriteLog, source: str, category: AgentCategory, attribute: str
) -> None:
    def rename(boxes: dict[str, Any], poses: dict[str, Any], archive: dict[str, Any]) -> None:
        boxes["category"] = [source if name == "PEDESTRIAN" else name for name in boxes["category"]]

    walker = agent_called(read_argoverse2(write_argoverse2(rename)), "walker")
    assert (walker.category, walker.attribute, walker.source_category) == (category, attribute, source)


def set_cell(table: int, column: str, value: object, row: int = 0) -> Callable[..., None]:
    def edit(*tables: dict[str, Any]) -> None:
        tables[table][column][row] = value

    return edit


def drop_column(boxes: dict[str, Any], poses: dict[str, Any], archive: dict[str, Any]) -> None:
    del boxes["qz"]


def repeat_last_box(boxes: dict[str, Any], poses: dict[str, Any], archive: dict[str, Any]) -> None:
    for cells in boxes.values():
        cells.append(cells[-1])


def lose_a_pose(boxes: dict[str, Any], poses: dict[str, Any], archive: dict[str, Any]) -> None:
    for cells in poses.values():
        del cells[3]


def lose_a_step(boxes: dict[str, Any], poses: dict[str, Any], archive: dict[str, Any]) -> None:
    kept = [row for row, stamp in enumerate(boxes["timestamp_ns"]) if stamp != boxes["timestamp_ns"][1]]
    for name in boxes:
        boxes[name] = [boxes[name][row] for row in kept]


def unknown_mark(boxes: dict[str, Any], poses: dict[str, Any], archive: dict[str, Any]) -> None:
    archive["lane_segments"]["1"]["left_lane_mark_type"] = "GLOWING"


def nan_in_map(boxes: dict[str, Any], poses: dict[str, Any], archive: dict[str, Any]) -> None:
    archive["drivable_areas"]["7"]["area_boundary"][2]["y"] = float("nan")


def no_crossings(boxes: dict[str, Any], poses: dict[str, Any], archive: dict[str, Any]) -> None:
    del archive["pedestrian_crossings"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (drop_column, ("annotations.feather", "no qz")),
        (set_cell(0, "tx_m", float("nan")), ("annotations.feather", "tx_m", "row 0")),
        (set_cell(0, "qw", 3.0), ("annotations.feather", "quaternion")),
        (set_cell(0, "category", None), ("annotations.feather", "category", "row 0")),
        (set_cell(0, "height_m", -30.0), ("annotations.feather", "height_m", "car-1")),
        (set_cell(1, "ty_m", float("inf"), 2), ("city_SE3_egovehicle.feather", "ty_m", "row 2")),
        (set_cell(1, "tx_m", 1e9), ("city_SE3_egovehicle.feather", "tx_m", "more than 1e+07")),
        (repeat_last_box, ("annotations.feather", "walker", "one box per track and stamp")),
        (lose_a_pose, ("city_SE3_egovehicle.feather", "an ego pose at every annotation stamp")),
        (lose_a_step, ("annotations.feather", "10 Hz", "between steps 0 and 1")),
        (unknown_mark, ("log_map_archive", "lane_segments.1.left_lane_mark_type", "GLOWING")),
        (nan_in_map, ("log_map_archive", "drivable_areas.7.area_boundary[2].y")),
        (no_crossings, ("log_map_archive", "pedestrian_crossings")),
    ],
)
def test_a_bad_value_is_named_with_file_and_key(
    write_argoverse2: WriteLog, edit: Callable[..., None], words: tuple[str, ...]
) -> None:
    folder = write_argoverse2(edit)
    with pytest.raises(LayoutError) as caught:
        read_argoverse2(folder)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["annotations.feather", "city_SE3_egovehicle.feather"])
def test_a_truncated_feather_file_is_named(write_argoverse2: WriteLog, name: str) -> None:
    file = write_argoverse2() / name
    for keep in (0, 3, 100, file.stat().st_size // 2, file.stat().st_size - 1):
        file.write_bytes(file.read_bytes()[:keep])
        with pytest.raises(LayoutError, match=name):
            read_argoverse2(file.parent)


@pytest.mark.parametrize("name", ["annotations.feather", "city_SE3_egovehicle.feather", "map/log_map_archive_*.json"])
def test_a_missing_file_is_named(write_argoverse2: WriteLog, name: str) -> None:
    folder = write_argoverse2()
    next(folder.glob(name)).unlink()
    with pytest.raises(LayoutError, match=r"annotations|city_SE3|log_map_archive"):
        read_argoverse2(folder)


def test_a_column_name_that_is_no_text_is_named(write_argoverse2: WriteLog) -> None:
    file = write_argoverse2() / "annotations.feather"
    file.write_bytes(file.read_bytes().replace(b"timestamp_ns", b"timest\xa8mp_ns"))
    with pytest.raises(LayoutError, match=r"annotations\.feather"):
        read_argoverse2(file.parent)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="nowhere"):
        read_argoverse2(tmp_path / "nowhere")


def test_malformed_json_is_named_with_its_line(write_argoverse2: WriteLog) -> None:
    folder = write_argoverse2()
    file = next((folder / "map").glob("log_map_archive_*.json"))
    file.write_text('{\n "lane_segments": {,}\n}')
    with pytest.raises(LayoutError, match=r"log_map_archive_.*json:2"):
        read_argoverse2(folder)


def test_a_damaged_ground_raster_is_named(write_argoverse2: WriteLog) -> None:
    folder = write_argoverse2()
    next((folder / "map").glob("*.npy")).write_bytes(b"\x93NUMPY")
    with pytest.raises(LayoutError, match="ground_height"):
        read_argoverse2(folder)


REAL_LOGS = {
    "adcf7d18-0510-35b0-a2fa-b4cea13a6d76": {
        "boxes": 12078, "steps": 156, "tracks": 146, "pedestrians": 38, "cars": 47, "pedestrian_mps": (0.80, 1.70),
        "car_mps": (1.58, 7.48), "path_m": 38.2, "lanes": (166, 19, 14), "in_intersections": 61, "crossings": 11,
        "drivable": 8,
    },
    "7fab2350-7eaf-3b7e-a39d-6937a4c1bede": {
        "boxes": 11364, "steps": 156, "tracks": 114, "pedestrians": 17, "cars": 71, "pedestrian_mps": (0.67, 1.68),
        "car_mps": (2.86, 10.51), "path_m": 72.2, "lanes": (163, 20, 0), "in_intersections": 73, "crossings": 11,
        "drivable": 13,
    },
}  # fmt: skip
"""Figures of the README beside the data."""


@pytest.fixture(scope="module", params=sorted(REAL_LOGS))
def real_log(request: pytest.FixtureRequest, shared_data: Path) -> tuple[Layout, dict[str, Any]]:
    folder = shared_data / "argoverse2" / request.param
    need_recorded(folder)
    return read_argoverse2(folder), REAL_LOGS[request.param]


def speeds_mps(layout: Layout, category: AgentCategory) -> np.ndarray:
    return np.concatenate(
        [np.linalg.norm(a.velocity_world_mps[a.valid], axis=1) for a in layout.agents if a.category == category]
    )


def test_real_log_has_the_counts_of_its_readme(real_log: tuple[Layout, dict[str, Any]]) -> None:
    layout, known = real_log
    counts = Counter(agent.category for agent in layout.agents)
    lanes = Counter(lane.kind for lane in layout.road_map.lanes)
    assert layout.timeline.rate_hz == 10.0
    assert layout.timeline.num_steps == known["steps"]
    assert sum(int(agent.valid.sum()) for agent in layout.agents) == known["boxes"]
    assert len(layout.agents) == known["tracks"]
    assert (counts[AgentCategory.PEDESTRIAN], counts[AgentCategory.CAR]) == (known["pedestrians"], known["cars"])
    assert (lanes["vehicle"], lanes["bike"], lanes["bus"]) == known["lanes"]
    assert sum(lane.is_intersection for lane in layout.road_map.lanes) == known["in_intersections"]
    assert len(layout.road_map.areas_of("crossing")) == known["crossings"]
    assert len(layout.road_map.areas_of("drivable")) == known["drivable"]


def test_real_log_has_the_speeds_and_path_of_its_readme(real_log: tuple[Layout, dict[str, Any]]) -> None:
    layout, known = real_log
    for category, key in ((AgentCategory.PEDESTRIAN, "pedestrian_mps"), (AgentCategory.CAR, "car_mps")):
        speed_mps = speeds_mps(layout, category)
        np.testing.assert_allclose([speed_mps.mean(), np.percentile(speed_mps, 95)], known[key], atol=0.015)
    path_m = np.linalg.norm(np.diff(layout.ego.position_world_m, axis=0), axis=1).sum()
    assert path_m == pytest.approx(known["path_m"], abs=0.1)


def test_real_log_has_its_ego_on_the_road_and_agents_on_the_ground(real_log: tuple[Layout, dict[str, Any]]) -> None:
    import shapely

    layout, _ = real_log
    road = shapely.union_all([shapely.Polygon(area.polygon_world_m) for area in layout.road_map.areas_of("drivable")])
    assert shapely.covers(road, shapely.points(layout.ego.position_world_m[:, :2])).all()
    bottom_m = [agent.center_world_m[agent.valid][0, 2] - agent.size_lwh_m[2] / 2 for agent in layout.agents]
    assert np.abs(bottom_m).max() < 0.2


def test_real_ego_faces_along_its_motion(real_log: tuple[Layout, dict[str, Any]]) -> None:
    layout, _ = real_log
    velocity = layout.ego.velocity_world_mps
    moving = np.linalg.norm(velocity, axis=1) > 1.0
    angle = np.arctan2(velocity[:, 1], velocity[:, 0]) - layout.ego.heading_rad
    assert np.abs((angle[moving] + np.pi) % (2 * np.pi) - np.pi).max() < 0.1
