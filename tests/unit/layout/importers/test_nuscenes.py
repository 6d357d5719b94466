"""nuScenes tables: a small scene written by the test, and the real scene 0916."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.importers import read_nuscenes, read_scenarionet
from scenegen.layout.sources import expand_references, read_layout
from scenegen.layout.summary import speeds_of
from scenegen.types import VEHICLE_CATEGORIES, AgentCategory, AgentTrack, Layout
from tests.conftest import need_recorded
from tests.unit.layout.importers.nuscenes_tables import (
    LOCATION,
    Tables,
    real_tables,
    small_expansion,
    small_tables,
    write_tables,
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nuscenes") is None, reason="nuscenes-devkit is not installed: scenegen[nuscenes]"
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    root = tmp_path_factory.mktemp("nuscenes")
    write_tables(root, small_tables())
    (root / "maps" / "expansion").mkdir()
    (root / "maps" / "expansion" / f"{LOCATION}.json").write_text(json.dumps(small_expansion()))
    return read_layout(f"nuscenes:{root}")


def agent(layout: Layout, name: str) -> AgentTrack:
    return next(agent for agent in layout.agents if agent.agent_id == name)


def test_steps_keep_the_time_of_the_record(small: Layout) -> None:
    assert (small.timeline.rate_hz, small.timeline.num_steps) == (20.0, 40)
    np.testing.assert_allclose(small.ego.velocity_world_mps, [[0.0, 6.0]] * 40, atol=1e-9)
    np.testing.assert_allclose(small.ego.position_world_m[:, 1], 0.3 * np.arange(40), atol=1e-9)
    np.testing.assert_allclose(small.ego.heading_rad, np.pi / 2)


def test_agents_have_place_size_velocity_and_words(small: Layout) -> None:
    car, walker = agent(small, "car"), agent(small, "walker")
    assert car.size_lwh_m.tolist() == [4.5, 1.9, 1.6]
    np.testing.assert_allclose(car.center_world_m[[0, 39]], [[0.0, 20.0, 0.8], [0.0, 31.7, 0.8]], atol=1e-9)
    np.testing.assert_allclose(car.heading_rad, np.pi / 2)
    np.testing.assert_allclose(walker.velocity_world_mps[walker.valid], [[1.5, 0.0]] * 32, atol=1e-6)
    assert np.flatnonzero(walker.valid).tolist() == list(range(8, 40))
    assert (walker.category, walker.source_category) == (AgentCategory.PEDESTRIAN, "human.pedestrian.adult")
    assert walker.attribute == "pedestrian.moving"


def test_a_single_annotation_lasts_one_step_and_stands(small: Layout) -> None:
    cyclist = agent(small, "cyclist")
    assert np.flatnonzero(cyclist.valid).tolist() == [19]
    assert not cyclist.velocity_world_mps.any()
    assert small.report is not None
    assert any("1 instances with a single annotation" in what for what in small.report.lost)


def test_the_description_tells_night_and_weather(small: Layout) -> None:
    assert (small.environment.time_of_day, small.environment.weather) == ("night", "clear")
    assert "CC BY-NC-SA" in small.licence


def test_the_map_expansion_becomes_the_map(small: Layout) -> None:
    import shapely

    road_map = small.road_map
    lane, connector = road_map.lanes
    assert (lane.is_intersection, connector.is_intersection) == (False, True)
    assert [lane.width_m, connector.width_m] == pytest.approx([4.0, 4.0])
    np.testing.assert_allclose(lane.centerline_world_m[[0, -1]], [[0.0, -30.0, 0.0], [0.0, 40.0, 0.0]], atol=0.01)
    assert [(line.kind, line.color, len(line.points_world_m)) for line in road_map.lane_lines] == [
        ("dashed", "white", 2),
        ("double_solid", "yellow", 2),
        ("solid", "yellow", 2),
    ]
    (drivable,) = road_map.areas_of("drivable")
    height_m = 11.7 + 2 * 120.0
    assert shapely.Polygon(drivable.polygon_world_m, drivable.holes_world_m).area == pytest.approx(60 * height_m - 100)
    for kind, area_m2 in (("crossing", 64.0), ("sidewalk", 400.0), ("parking", 180.0)):
        (area,) = road_map.areas_of(kind)
        assert shapely.Polygon(area.polygon_world_m).area == pytest.approx(area_m2)
    assert small.report is not None
    assert small.report.counts["annotations"] == 15
    assert small.report.counts["map lane_divider"] == 1


def test_without_an_expansion_the_roads_are_reported_as_lost(tmp_path: Path) -> None:
    write_tables(tmp_path, small_tables())
    layout = read_nuscenes(tmp_path / "v1.0-mini" / "scene-0001")
    assert not layout.road_map.lanes
    assert layout.report is not None
    assert any(f"maps/expansion/{LOCATION}.json" in what for what in layout.report.lost)


def test_an_instance_that_is_away_for_two_seconds_is_not_there_meanwhile(tmp_path: Path) -> None:
    tables = small_tables()
    rows = [row for row in tables["sample_annotation"] if row["token"] in ("cone-0", "cone-4")]
    rows[0]["next"], rows[1]["prev"] = "cone-4", "cone-0"
    tables["sample_annotation"] = [row for row in tables["sample_annotation"] if row["instance_token"] != "cone"] + rows
    write_tables(tmp_path, tables)
    assert np.flatnonzero(agent(read_nuscenes(tmp_path), "cone").valid).tolist() == [0, 39]


def test_references_name_scenes_and_patterns_of_them(tmp_path: Path) -> None:
    tables = small_tables()
    tables["scene"].append({**tables["scene"][0], "token": "other", "name": "scene-0002"})
    version = write_tables(tmp_path, tables)
    assert expand_references([f"nuscenes:{version}/scene-*"]) == [
        f"nuscenes:{version}/scene-0001",
        f"nuscenes:{version}/scene-0002",
    ]
    with pytest.raises(LayoutError, match=r"scenes are scene-0001, scene-0002"):
        read_layout(f"nuscenes:{version}")
    with pytest.raises(LayoutError, match=r"scene-0003"):
        read_layout(f"nuscenes:{version}/scene-0003")


def put(value: object, table: str, row: int, key: str) -> Callable[[Tables], None]:
    def edit(tables: Tables) -> None:
        tables[table][row][key] = value

    return edit


def drop(table: str, row: int, key: str = "") -> Callable[[Tables], None]:
    def edit(tables: Tables) -> None:
        if key:
            del tables[table][row][key]
        else:
            del tables[table][row]

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (drop("sample", 1, "next"), ("sample.json", "'sample-1'", "'next'")),
        (drop("sample", 1, "token"), ("sample.json", "row 1", "token")),
        (drop("sample", 2), ("sample_data.json", "'data-2'.sample_token", "'sample-2'")),
        (put("sample-0", "sample", 4, "next"), ("sample.json", "cycle")),
        (put("sample-3", "sample", 3, "next"), ("sample.json", "'sample-3'", "prev")),
        (put("nowhere", "sample", 3, "next"), ("sample.json", "'nowhere'")),
        (put("", "sample", 3, "next"), ("sample.json", "4 in the chain", "5 in the table")),
        (put(7, "scene", 0, "nbr_samples"), ("sample.json", "7 in scene.json")),
        (put(START := 1_600_000_000_000_000, "sample", 3, "timestamp"), ("sample.json", "'sample-3'", f"{START}")),
        (put(float("nan"), "sample", 3, "timestamp"), ("sample.json", "'sample-3'.timestamp", "nan")),
        (put("car", "sample_annotation", 5, "instance_token"), ("sample_annotation.json", "'walker-1'", "two")),
        (put("car-0", "sample_annotation", 3, "next"), ("sample_annotation.json", "'car-3'", "next")),
        (put("car-9", "sample_annotation", 3, "prev"), ("sample_annotation.json", "'car-3'", "prev")),
        (
            put("ghost", "sample_annotation", 0, "instance_token"),
            ("'car-0'.instance_token", "instance.json", "'ghost'"),
        ),
        (put(["odd"], "sample_annotation", 0, "attribute_tokens"), ("'car-0'.attribute_tokens", "'odd'")),
        (put([0.0, float("nan"), 0.0], "sample_annotation", 0, "translation"), ("'car-0'.translation", "NaN")),
        (put([2.0, -4.0, 1.0], "sample_annotation", 0, "size"), ("'car-0'.size", "-4.0")),
        (put([2.0, 4.0], "sample_annotation", 0, "size"), ("'car-0'.size", "3 numbers")),
        (put([10**400, 4.0, 1.0], "sample_annotation", 0, "size"), ("'car-0'.size", "too large")),
        (put([1.0, 1.0, 0.0, 0.0], "sample_annotation", 0, "rotation"), ("'car-0'.rotation", "unit quaternions")),
        (put([0.0, 0.0, 0.0, 0.0], "ego_pose", 2, "rotation"), ("ego_pose.json", "'pose-2'.rotation", "0.0000")),
        (put([float("inf"), 0.0, 0.0], "ego_pose", 2, "translation"), ("ego_pose.json", "'pose-2'.translation")),
        (put([1e9, 0.0, 0.0], "ego_pose", 2, "translation"), ("ego_pose.json", "'pose-2'.translation", "1e+07")),
        (put(1_600_000_000_400_000, "ego_pose", 0, "timestamp"), ("ego_pose.json", "two at the same")),
        (drop("sample_data", 4), ("sample_data.json", "1.95 s")),
        (put("pose-0", "ego_pose", 1, "token"), ("ego_pose.json", "row 1", "second time")),
        (put("gone", "sample_data", 0, "ego_pose_token"), ("'data-0'.ego_pose_token", "'gone'")),
        (put("gone", "scene", 0, "log_token"), ("scene.json", "'scene'.log_token")),
        (put([], "map", 0, "log_tokens"), ("map.json", "'log'")),
        (lambda tables: tables.update(map=[]), ("map.json", "empty")),
        (lambda tables: tables.pop("instance"), ("instance.json", "no such file")),
        (lambda tables: tables.update(log={}), ("log.json", "dict")),
    ],
)
def test_a_bad_table_is_named_with_file_and_row(
    tmp_path: Path, edit: Callable[[Tables], None], words: tuple[str, ...]
) -> None:
    tables = small_tables()
    edit(tables)
    write_tables(tmp_path, tables)
    with pytest.raises(LayoutError) as caught:
        read_nuscenes(tmp_path)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["", "[{", '[{"token": "a"', "[" * 100_000, '{"a": 1}', "\x00\xff"])
def test_a_truncated_or_odd_table_is_named(tmp_path: Path, text: str) -> None:
    version = write_tables(tmp_path, small_tables())
    (version / "ego_pose.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(LayoutError, match=r"ego_pose\.json"):
        read_nuscenes(tmp_path)


def test_a_missing_raster_or_version_is_named(tmp_path: Path) -> None:
    write_tables(tmp_path, small_tables())
    (tmp_path / "maps" / "prior.png").unlink()
    with pytest.raises(LayoutError, match=r"prior\.png"):
        read_nuscenes(tmp_path)
    with pytest.raises(LayoutError, match="version folder"):
        read_nuscenes(tmp_path / "maps")


def map_edit(layer: str, key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def edit(expansion: dict[str, Any]) -> None:
        expansion[layer][0][key] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda expansion: expansion.pop("walkway"), ("walkway",)),
        (lambda expansion: expansion.update(version="1.2"), ("outdated",)),
        (map_edit("lane", "polygon_token", "gone"), ("gone",)),
        (map_edit("node", "x", float("nan")), ("node 'node-0'", "NaN")),
        (map_edit("lane_divider", "lane_divider_segments", [{}, {}, {}]), ("divider", "segment_type")),
        (
            lambda expansion: expansion["arcline_path_3"]["lane"][0].update(segment_length=[0, 1e12, 0]),
            ("lane", "1e+12"),
        ),
        (
            lambda expansion: expansion["arcline_path_3"]["lane"][0].pop("segment_length"),
            ("lane 'lane'", "segment_length"),
        ),
    ],
)
def test_a_bad_expansion_is_named_with_file_and_record(
    tmp_path: Path, edit: Callable[[dict[str, Any]], None], words: tuple[str, ...]
) -> None:
    write_tables(tmp_path, small_tables())
    expansion = small_expansion()
    edit(expansion)
    path = tmp_path / "maps" / "expansion" / f"{LOCATION}.json"
    path.parent.mkdir()
    path.write_text(json.dumps(expansion))
    with pytest.raises(LayoutError) as caught:
        read_nuscenes(tmp_path)
    for word in (str(path), *words):
        assert word in str(caught.value)


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, Tables, dict[str, np.ndarray]]:
    """Scene 0916: published rows of tables and its 41 key frames, put together again as tables."""
    need_recorded(shared_data / "nuscenes_mini" / "keyframes_scene-0916.json")
    tables, stated = real_tables(shared_data)
    root = tmp_path_factory.mktemp("scene-0916")
    write_tables(root, tables)
    return read_nuscenes(root / "v1.0-mini" / "scene-0916"), tables, stated


def at_key_frames(layout: Layout, tables: Tables) -> list[tuple[AgentTrack, int, dict[str, Any]]]:
    """Return agent, step and annotation of every box."""
    stamp_us = {row["token"]: row["timestamp"] for row in tables["sample"]}
    first_us = min(stamp_us.values())
    agents = {agent.agent_id: agent for agent in layout.agents}
    return [
        (agents[row["instance_token"]], round((stamp_us[row["sample_token"]] - first_us) * 20e-6), row)
        for row in tables["sample_annotation"]
    ]


def test_real_scene_has_every_box_where_it_was(real: tuple[Layout, Tables, dict[str, np.ndarray]]) -> None:
    layout, tables, _ = real
    boxes = at_key_frames(layout, tables)
    origin_m = np.array(tables["ego_pose"][0]["translation"][:2])
    assert layout.report is not None
    assert (layout.report.counts["samples"], layout.report.counts["annotations"]) == (41, len(boxes))
    assert all(agent.valid[step] for agent, step, _ in boxes)
    assert sum(agent.category is AgentCategory.PEDESTRIAN for agent, _, _ in boxes) == 427
    tracks = Counter(agent.category for agent in layout.agents)
    cycles = tracks[AgentCategory.BICYCLE] + tracks[AgentCategory.MOTORCYCLE]
    vehicles = sum(tracks[category] for category in VEHICLE_CATEGORIES) - cycles
    assert (tracks[AgentCategory.PEDESTRIAN], vehicles + 1, cycles) == (
        23,
        62,
        10,
    )  # README of the data; the ego is one
    beside_m = [np.linalg.norm(a.center_world_m[s, :2] + origin_m - row["translation"][:2]) for a, s, row in boxes]
    assert np.percentile(beside_m, 95) < 0.02
    assert max(beside_m) < 0.15


def test_real_velocities_are_those_of_the_record(real: tuple[Layout, Tables, dict[str, np.ndarray]]) -> None:
    layout, tables, stated = real
    boxes = at_key_frames(layout, tables)
    wrong_mps = [np.linalg.norm(a.velocity_world_mps[step] - stated[row["token"]]) for a, step, row in boxes]
    assert np.percentile(wrong_mps, 95) < 0.02
    speed_mps = np.array(
        [np.linalg.norm(a.velocity_world_mps[s]) for a, s, _ in boxes if a.category is AgentCategory.PEDESTRIAN]
    )
    assert speed_mps.mean() == pytest.approx(0.40, abs=0.01)
    assert np.percentile(speed_mps, 95) == pytest.approx(1.41, abs=0.02)
    assert speed_mps.max() < 12.0
    assert speeds_of(layout, AgentCategory.PEDESTRIAN).max() < 12.0


def test_real_velocities_agree_with_finite_differences(real: tuple[Layout, Tables, dict[str, np.ndarray]]) -> None:
    layout, _, _ = real
    beside_mps = []
    for track in layout.agents:
        pairs = track.valid[1:] & track.valid[:-1]
        moved_mps = np.diff(track.center_world_m[:, :2], axis=0)[pairs] * 20.0
        said_mps = (track.velocity_world_mps[1:] + track.velocity_world_mps[:-1])[pairs] / 2.0
        if pairs.any():
            np.testing.assert_allclose(said_mps.mean(axis=0), moved_mps.mean(axis=0), atol=0.25)
            beside_mps.append(np.linalg.norm(said_mps - moved_mps, axis=1))
    assert np.median(np.concatenate(beside_mps)) < 0.1


def test_real_scene_agrees_with_the_second_route(
    real: tuple[Layout, Tables, dict[str, np.ndarray]], shared_data: Path
) -> None:
    layout, tables, _ = real
    folder = shared_data / "nuscenes_mini"
    second = read_scenarionet(folder / "scenes" / "sd_nuscenes_v1.0-mini_scene-0916.pkl")
    beside_m = np.linalg.norm(layout.ego.position_world_m[::2] - second.ego.position_world_m[:200], axis=1)
    assert np.percentile(beside_m, 95) < 0.15
    path_m = np.linalg.norm(np.diff(layout.ego.position_world_m, axis=0), axis=1).sum()
    assert path_m == pytest.approx(93.6, rel=0.01)
    means = [speeds_of(route, AgentCategory.PEDESTRIAN).mean() for route in (layout, second)]
    assert means[0] == pytest.approx(means[1], rel=0.05)


def test_real_ego_is_where_the_can_bus_says_at_every_step(
    real: tuple[Layout, Tables, dict[str, np.ndarray]], shared_data: Path
) -> None:
    layout, tables, _ = real
    messages = json.loads((shared_data / "nuscenes_mini" / "can_bus" / "scene-0916_pose.json").read_text())
    can_s = (np.array([message["utime"] for message in messages]) - tables["sample"][0]["timestamp"]) * 1e-6
    can_m = np.array([message["pos"][:2] for message in messages]) - tables["ego_pose"][0]["translation"][:2]
    at_s = np.arange(layout.timeline.num_steps) / 20.0
    there_m = np.column_stack([np.interp(at_s, can_s, can_m[:, axis]) for axis in (0, 1)])
    assert np.linalg.norm(layout.ego.position_world_m[:, :2] - there_m, axis=1).max() < 0.06
    can_mps = np.interp(at_s, can_s, [message["vel"][0] for message in messages])
    assert np.linalg.norm(layout.ego.velocity_world_mps, axis=1).mean() == pytest.approx(can_mps.mean(), rel=0.02)


@pytest.mark.parametrize("folder", ["v1.0-onesample", "v1.0-mini_partial"])
def test_real_tables_without_their_annotations_are_refused_by_name(folder: str, shared_data: Path) -> None:
    path = shared_data / "nuscenes_mini" / folder
    need_recorded(path)
    with pytest.raises(LayoutError, match=r"\.json: expected a nuScenes table, found no such file"):
        read_nuscenes(path / "scene-0061")
