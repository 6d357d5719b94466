"""ScenarioNet: a small record written by the test, damaged and malicious records, and the seven real ones."""

from __future__ import annotations

import json
import os
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.importers import read_scenarionet
from scenegen.types import VEHICLE_CATEGORIES, AgentCategory, Layout
from tests.conftest import need_recorded

WriteRecord = Callable[..., Path]


def test_ego_starts_at_the_origin_and_is_no_agent(write_scenarionet: WriteRecord) -> None:
    layout = read_scenarionet(write_scenarionet())
    assert [agent.agent_id for agent in layout.agents] == ["bike"]
    np.testing.assert_allclose(layout.ego.position_world_m, [[0.5 * step, 0.0, 0.0] for step in range(6)], atol=1e-9)
    assert layout.layout_id == "nuscenes-scene-0001"
    assert "CC BY-NC-SA" in layout.licence


def test_velocity_of_the_last_valid_step_repeats_the_one_before(write_scenarionet: WriteRecord) -> None:
    layout = read_scenarionet(write_scenarionet())
    assert layout.ego.velocity_world_mps.tolist() == [[5.0, 0.0]] * 6
    (bike,) = layout.agents
    assert bike.velocity_world_mps[bike.valid].tolist() == [[4.0, 0.0]] * 3


def test_an_agent_keeps_place_size_and_validity(write_scenarionet: WriteRecord) -> None:
    (bike,) = read_scenarionet(write_scenarionet()).agents
    assert bike.valid.tolist() == [False, True, True, True, False, False]
    np.testing.assert_allclose(bike.center_world_m[1:4], [[10.4, 2.0, 0.75], [10.8, 2.0, 0.75], [11.2, 2.0, 0.75]])
    assert bike.size_lwh_m.tolist() == [1.8, 0.6, 1.5]
    assert (bike.category, bike.source_category) == (AgentCategory.BICYCLE, "vehicle.bicycle")
    assert bike.attribute == "cycle.with_rider"


def test_a_cycle_that_never_moves_has_no_rider(write_scenarionet: WriteRecord) -> None:
    def park(record: dict[str, Any]) -> None:
        record["tracks"]["bike"]["state"]["velocity"][:] = 0.0

    assert read_scenarionet(write_scenarionet(park)).agents[0].attribute == "cycle.without_rider"


@pytest.mark.parametrize(
    ("source", "kind", "category"),
    [
        ("human.pedestrian.construction_worker", "PEDESTRIAN", AgentCategory.PEDESTRIAN),
        ("vehicle.bus.rigid", "VEHICLE", AgentCategory.BUS),
        ("vehicle.construction", "VEHICLE", AgentCategory.CONSTRUCTION_VEHICLE),
        ("movable_object.barrier", "TRAFFIC_BARRIER", AgentCategory.BARRIER),
        ("movable_object.debris", "TRAFFIC_BARRIER", AgentCategory.OTHER),
        ("VEHICLE", "VEHICLE", AgentCategory.CAR),
        ("UNHEARD_OF", "UNHEARD_OF", AgentCategory.OTHER),
    ],
)
def test_source_classes_become_ours(
    write_scenarionet: WriteRecord, source: str, kind: str, category: AgentCategory
) -> None:
    def rename(record: dict[str, Any]) -> None:
        record["tracks"]["bike"]["type"] = kind
        record["tracks"]["bike"]["metadata"]["type"] = source

    agent = read_scenarionet(write_scenarionet(rename)).agents[0]
    assert (agent.category, agent.source_category) == (category, source)


def test_map_becomes_lanes_lines_and_one_drivable_area_with_its_island(write_scenarionet: WriteRecord) -> None:
    road_map = read_scenarionet(write_scenarionet()).road_map
    lane, connector = road_map.lanes
    assert lane.width_m == pytest.approx(4.0)
    assert (lane.is_intersection, connector.is_intersection) == (False, True)
    assert connector.width_m == pytest.approx(4.0)
    assert connector.speed_limit_mps is None
    assert [(line.kind, line.color) for line in road_map.lane_lines] == [
        ("solid", "white"),
        ("solid", "white"),
        ("solid", "yellow"),
    ]
    (area,) = road_map.areas_of("drivable")
    (island_m,) = area.holes_world_m
    np.testing.assert_allclose([island_m.min(axis=0), island_m.max(axis=0)], [[40.0, -1.0], [44.0, 1.0]])


def test_without_outlines_every_lane_is_drivable_at_its_width(write_scenarionet: WriteRecord) -> None:
    import shapely

    def erase(record: dict[str, Any]) -> None:
        del record["map_features"]["boundary_0"], record["map_features"]["boundary_1"]

    (area,) = read_scenarionet(write_scenarionet(erase)).road_map.areas_of("drivable")
    connector_m = 4.0 * np.hypot(30.0, 8.0)
    assert shapely.Polygon(area.polygon_world_m).area == pytest.approx(40.0 * 4.0 + connector_m, abs=4.0)


def test_the_drivable_area_ends_near_the_lanes(write_scenarionet: WriteRecord) -> None:
    (area,) = read_scenarionet(write_scenarionet()).road_map.areas_of("drivable")
    assert area.polygon_world_m[:, 0].max() == pytest.approx(60.0 + 20.0)


def test_a_map_driven_at_night_gives_a_night_scene(write_scenarionet: WriteRecord) -> None:
    def move(record: dict[str, Any]) -> None:
        record["metadata"]["map"] = "singapore-hollandvillage"

    assert read_scenarionet(write_scenarionet(move)).environment.time_of_day == "night"


def test_other_data_sets_keep_their_speed_limits(write_scenarionet: WriteRecord) -> None:
    def relabel(record: dict[str, Any]) -> None:
        record["metadata"]["dataset"] = "nuplan"

    layout = read_scenarionet(write_scenarionet(relabel))
    assert layout.road_map.lanes[1].speed_limit_mps == pytest.approx(27.78, abs=0.01)
    assert "nuplan" in layout.licence


def test_a_record_cannot_choose_a_path_as_its_id(write_scenarionet: WriteRecord) -> None:
    def climb(record: dict[str, Any]) -> None:
        record["id"] = "../../etc/passwd\n"

    assert read_scenarionet(write_scenarionet(climb)).layout_id == "nuscenes-.._.._etc_passwd_"


def put(value: object, *keys: str) -> Callable[[dict[str, Any]], None]:
    def edit(record: dict[str, Any]) -> None:
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value

    return edit


def remove(*keys: str) -> Callable[[dict[str, Any]], None]:
    def edit(record: dict[str, Any]) -> None:
        for key in keys[:-1]:
            record = record[key]
        del record[keys[-1]]

    return edit


BIKE = ("tracks", "bike", "state")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (remove("tracks"), ("'tracks'",)),
        (remove("tracks", "ego"), ("tracks", "'ego'")),
        (remove("metadata", "map"), ("metadata", "'map'")),
        (remove(*BIKE, "heading"), ("tracks.bike.state", "'heading'")),
        (put(np.full((6, 3), np.nan), *BIKE, "position"), ("tracks.bike.state.position", "row 0")),
        (put(np.zeros((5, 3)), *BIKE, "position"), ("tracks.bike.state.position", "6 rows")),
        (put(np.zeros((6, 1)), *BIKE, "length"), ("tracks.bike.state", "positive length")),
        (put(np.zeros(6), *BIKE, "valid"), ("tracks.bike.state", "valid")),
        (put(np.zeros((6, 1)), *BIKE, "position"), ("tracks.bike.state.position", "2 columns")),
        (put(np.zeros((6, 0)), *BIKE, "width"), ("tracks.bike.state.width", "empty")),
        (put([10**400] * 6, *BIKE, "heading"), ("tracks.bike.state.heading", "too large")),
        (put(np.full(6, 1e300), *BIKE, "heading"), ("tracks.bike.state.heading", "more than 1e+07")),
        (put(10**400, "metadata", "sample_rate"), ("metadata.sample_rate", "1e+07")),
        (put("wide", *BIKE, "width"), ("tracks.bike.state.width", "numbers")),
        (put(np.array([1, 1, 0, 1, 1, 1.0]), "tracks", "ego", "state", "valid"), ("tracks.ego", "step 2")),
        (put(0.0, "metadata", "sample_rate"), ("sample_rate",)),
        (put(np.array([0, 0.1, 0.2, 0.3, 0.9, 1.0]), "metadata", "ts"), ("metadata", "step 4")),
        (put("left-handed", "metadata", "coordinate"), ("metadata.coordinate", "left-handed")),
        (put("LANE_OF_LIGHT", "map_features", "lane", "type"), ("map_features.lane.type", "LANE_OF_LIGHT")),
        (put([[0.0, 0.0]], "map_features", "divider", "polyline"), ("map_features.divider", "polyline")),
    ],
)
def test_a_bad_value_is_named_with_file_and_key(
    write_scenarionet: WriteRecord, edit: Callable[[dict[str, Any]], None], words: tuple[str, ...]
) -> None:
    path = write_scenarionet(edit)
    with pytest.raises(LayoutError) as caught:
        read_scenarionet(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


class RunsACommand:
    """What an attacker puts into a pickle."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.marker}",))


def test_a_malicious_pickle_is_refused_and_never_runs(tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"id": RunsACommand(marker)}))
    with pytest.raises(LayoutError, match=r"evil\.pkl.*system"):
        read_scenarionet(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["builtins eval", "builtins getattr", "numpy load", "numpy.core.multiarray set_string"]
)
def test_any_other_global_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"c" + name.replace(" ", "\n").encode() + b"\n.")
    with pytest.raises(LayoutError, match=name.replace(" ", r"\.")):
        read_scenarionet(path)


def test_a_truncated_or_empty_pickle_is_named(write_scenarionet: WriteRecord) -> None:
    path = write_scenarionet()
    whole = path.read_bytes()
    for keep in (0, 1, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(LayoutError, match=path.name):
            read_scenarionet(path)


@pytest.mark.parametrize("content", [b"not a pickle", pickle.dumps([1, 2]), pickle.dumps({1: 2}), pickle.dumps(None)])
def test_something_else_in_the_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.pkl"
    path.write_bytes(content)
    with pytest.raises(LayoutError, match=r"odd\.pkl"):
        read_scenarionet(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"nowhere\.pkl"):
        read_scenarionet(tmp_path / "nowhere.pkl")


REAL_SCENES: dict[str, tuple[Any, ...]] = {
    "0061": (191, 91.9, 4.83, 4.76, 60, 24, 6, (71, 65), 460, 126, (0.80, 1.50), "day"),
    "0553": (201, 0.0, 0.00, 0.00, 12, 28, 1, (0, 16), 421, 156, (1.24, 1.74), "day"),
    "0757": (201, 27.3, 1.37, 1.38, 2, 22, 1, (5, 0), 151, 41, (1.28, 1.36), "day"),
    "0916": (201, 93.6, 4.68, 4.69, 23, 62, 10, (0, 0), 201, 129, (0.40, 1.42), "day"),
    "1077": (201, 254.9, 12.74, 12.40, 0, 59, 1, (0, 13), 212, 104, None, "night"),
    "1094": (196, 128.4, 6.59, 6.31, 55, 26, 5, (0, 0), 288, 116, (1.10, 1.61), "night"),
    "1100": (196, 1.1, 0.06, 0.04, 11, 19, 3, (0, 0), 153, 80, (0.48, 1.50), "night"),
}
"""The README beside the data: steps, ego path m, ego mean speed by tracks and CAN, pedestrians, vehicles with the
ego, cyclists, (cones, barriers), lane polygons, line features, pedestrian speed (mean, p95), time of day."""


@pytest.fixture(scope="module", params=sorted(REAL_SCENES))
def real_scene(request: pytest.FixtureRequest, shared_data: Path) -> tuple[Layout, tuple[Any, ...], list[Any]]:
    folder = shared_data / "nuscenes_mini"
    path = folder / "scenes" / f"sd_nuscenes_v1.0-mini_scene-{request.param}.pkl"
    need_recorded(path)
    can_bus = json.loads((folder / "can_bus" / f"scene-{request.param}_pose.json").read_text())
    return read_scenarionet(path), REAL_SCENES[request.param], can_bus


def test_real_scene_has_the_counts_of_its_readme(real_scene: tuple[Layout, tuple[Any, ...], list[Any]]) -> None:
    layout, known, _ = real_scene
    steps, _, _, _, pedestrians, vehicles, cyclists, cones_barriers, lanes, lines, _, time_of_day = known
    counts = Counter(agent.category for agent in layout.agents)
    cycles = counts[AgentCategory.BICYCLE] + counts[AgentCategory.MOTORCYCLE]
    assert (layout.timeline.num_steps, layout.timeline.rate_hz) == (steps, 10.0)
    assert counts[AgentCategory.PEDESTRIAN] == pedestrians
    assert sum(counts[category] for category in VEHICLE_CATEGORIES) - cycles == vehicles - 1
    assert cycles == cyclists
    assert (counts[AgentCategory.TRAFFIC_CONE], counts[AgentCategory.BARRIER]) == cones_barriers
    assert (len(layout.road_map.lanes), len(layout.road_map.lane_lines)) == (lanes, lines)
    assert layout.environment.time_of_day == time_of_day


def test_real_scene_has_the_speeds_and_path_of_its_readme(
    real_scene: tuple[Layout, tuple[Any, ...], list[Any]],
) -> None:
    layout, known, _ = real_scene
    path_m = np.linalg.norm(np.diff(layout.ego.position_world_m, axis=0), axis=1).sum()
    assert path_m == pytest.approx(known[1], abs=0.06)
    assert path_m / ((layout.timeline.num_steps - 1) / 10.0) == pytest.approx(known[2], abs=0.01)
    walkers = [agent for agent in layout.agents if agent.category == AgentCategory.PEDESTRIAN]
    if known[10] is None:
        assert not walkers
        return
    speed_mps = np.concatenate([np.linalg.norm(a.velocity_world_mps[a.valid], axis=1) for a in walkers])
    np.testing.assert_allclose([speed_mps.mean(), np.percentile(speed_mps, 95)], known[10], atol=0.01)


def test_real_ego_origin_is_the_can_bus_pose(real_scene: tuple[Layout, tuple[Any, ...], list[Any]]) -> None:
    layout, _, can_bus = real_scene
    can_m = np.array([message["pos"][:2] for message in can_bus])
    ego_m = layout.ego.position_world_m[:, :2] + can_m[0]
    nearest_m = np.linalg.norm(ego_m[:, None] - can_m[None], axis=2).min(axis=1)
    assert nearest_m.max() < 0.05


def test_real_ego_is_on_the_road_and_faces_along_its_motion(
    real_scene: tuple[Layout, tuple[Any, ...], list[Any]],
) -> None:
    import shapely

    layout, _, _ = real_scene
    roads = [shapely.Polygon(a.polygon_world_m, a.holes_world_m) for a in layout.road_map.areas_of("drivable")]
    assert all(road.is_valid for road in roads)
    assert shapely.covers(shapely.union_all(roads), shapely.points(layout.ego.position_world_m[:, :2])).all()
    velocity = layout.ego.velocity_world_mps
    moving = np.linalg.norm(velocity, axis=1) > 1.0
    angle = np.arctan2(velocity[:, 1], velocity[:, 0]) - layout.ego.heading_rad
    error_rad = np.abs((angle[moving] + np.pi) % (2 * np.pi) - np.pi)
    assert not moving.any() or np.median(error_rad) < 0.05
