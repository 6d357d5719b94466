"""CommonRoad: the README's scenarios against their counts and against themselves, small files by hand."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from scenegen.layout.importers import read_commonroad
from scenegen.layout.importers.source_tracks import velocity_by_differences
from scenegen.layout.overlap import ego_as_agent
from scenegen.layout.sources import read_layout
from scenegen.layout.write_yaml import write_yaml_layout
from scenegen.types import AgentCategory, Layout
from tests.conftest import need_recorded
from tests.unit.layout.importers.commonroad_text import (
    exact,
    lanelet,
    obstacle,
    points,
    problem,
    scenario,
    state,
)

COUNTS = {
    "USA_US101-3_3": {"lanelets": 12, "obstacles_car": 12, "longest_trajectory": 31},
    "USA_US101-4_1": {"lanelets": 12, "obstacles_car": 22, "longest_trajectory": 100},
    "DEU_A9-3_1": {"lanelets": 32, "obstacles_car": 9},
    "DEU_Starnberg-1_1": {"lanelets": 91, "traffic_signs": 15, "traffic_lights": 4, "obstacles": 0},
    "FRA_Anglet-1_1": {"lanelets": 20, "obstacles": 8},
}
"""Of the data's README."""
RATE_HZ = {"USA_US101-3_3": 10.0, "USA_US101-4_1": 10.0, "DEU_A9-3_1": 5.0, "FRA_Anglet-1_1": 10.0}
AT_START_M = {
    "USA_US101-3_3": (0.0, 0.0), "USA_US101-4_1": (0.0, 0.0),
    "DEU_A9-3_1": (331.22634, -5863.5773), "FRA_Anglet-1_1": (428.76203, 796.20261),
}  # fmt: skip


@pytest.fixture(scope="module")
def layouts() -> dict[str, Layout]:
    return {}


@pytest.fixture
def recorded(shared_data: Path, layouts: dict[str, Layout], request: pytest.FixtureRequest) -> Layout:
    name = request.param
    if name not in layouts:
        layouts[name] = read_layout(f"commonroad:{need_recorded(shared_data / 'commonroad' / f'{name}_T-1.xml')}")
    return layouts[name]


def written(folder: Path, text: str) -> Layout:
    path = folder / "small.xml"
    path.write_text(text, encoding="utf-8")
    return read_layout(f"commonroad:{path}")


def lost(layout: Layout) -> str:
    assert layout.report is not None
    return "\n".join(layout.report.lost)


def middle_m(layout: Layout) -> np.ndarray:
    return ego_as_agent(layout.ego).center_world_m[:, :2]


@pytest.mark.parametrize(("recorded", "name"), [(name, name) for name in COUNTS], indirect=["recorded"])
def test_counts_are_those_of_the_readme(recorded: Layout, name: str) -> None:
    assert recorded.report is not None
    counts = recorded.report.counts
    assert {key: counts[key] for key in COUNTS[name]} == COUNTS[name]
    assert counts["lanelets"] == len(recorded.road_map.lanes)
    assert counts["obstacles"] == len(recorded.agents)
    assert "road ends" not in lost(recorded) and "overlap" not in lost(recorded)
    assert recorded.timeline.rate_hz == RATE_HZ.get(name, 12.0)


@pytest.mark.parametrize(
    ("recorded", "median_mps", "most_mps"),
    [
        ("USA_US101-3_3", 0.15, 0.8),
        ("USA_US101-4_1", 0.15, 0.8),
        ("FRA_Anglet-1_1", 0.15, 0.8),
        ("DEU_A9-3_1", 0.5, 1.5),
    ],
    indirect=["recorded"],
)
def test_stated_speeds_are_those_of_the_positions(recorded: Layout, median_mps: float, most_mps: float) -> None:
    """Those of A9 are middles of intervals, at 25 to 30 m/s."""
    apart, speeds = [], []
    for agent in recorded.agents:
        steps = np.flatnonzero(agent.valid)
        assert (np.diff(steps) == 1).all()
        implied_mps = velocity_by_differences(agent.center_world_m[steps, :2], steps / recorded.timeline.rate_hz)
        apart.append(np.linalg.norm(agent.velocity_world_mps[steps] - implied_mps, axis=1)[1:-1])
        speeds.append(np.linalg.norm(implied_mps, axis=1)[1:-1])
    assert np.median(np.concatenate(apart)) < median_mps
    assert np.quantile(np.concatenate(apart), 0.95) < most_mps
    assert np.concatenate(speeds).mean() > 1.0


@pytest.mark.parametrize(("recorded", "name"), [(name, name) for name in AT_START_M], indirect=["recorded"])
def test_ego_starts_at_the_initial_state_among_the_agents(recorded: Layout, name: str, shared_data: Path) -> None:
    """In the file's frame, the middle of the ego is at the initial position: agents keep their places around it."""
    from xml.etree import ElementTree

    root = ElementTree.parse(shared_data / "commonroad" / f"{name}_T-1.xml").getroot()
    first = next(element for element in root if element.tag in ("obstacle", "dynamicObstacle"))
    place = first.find("initialState/position/point") or first.find("initialState/position/rectangle/center")
    assert place is not None
    in_file_m = np.array([float(place.findtext(axis) or "nan") for axis in "xy"])
    agent = next(agent for agent in recorded.agents if agent.agent_id == first.get("id"))
    start = int(np.argmax(agent.valid))
    between_m = agent.center_world_m[start, :2] - middle_m(recorded)[0]
    np.testing.assert_allclose(between_m, in_file_m - np.array(AT_START_M[name]), atol=0.06)


@pytest.mark.parametrize("recorded", ["USA_US101-4_1"], indirect=True)
def test_ego_is_at_the_goal_in_time(recorded: Layout) -> None:
    """The goal is a rectangle of 2.3 x 1.7 m, 25 m ahead, 9.0 to 10.0 s after the start, at 0 to 3 m/s."""
    assert recorded.timeline.num_steps == 101
    travelled_m = middle_m(recorded)[95] - middle_m(recorded)[0]
    apart_m = travelled_m - [17.836, -17.2178]
    cos, sin = np.cos(-0.73431), np.sin(-0.73431)
    assert abs(cos * apart_m[0] + sin * apart_m[1]) < 0.2 and abs(cos * apart_m[1] - sin * apart_m[0]) < 0.5 * 1.7444
    assert 0.0 <= np.linalg.norm(recorded.ego.velocity_world_mps[95]) <= 3.0
    np.testing.assert_allclose(np.linalg.norm(recorded.ego.velocity_world_mps[0]), 5.331, atol=0.2)


@pytest.mark.parametrize("recorded", ["USA_US101-3_3"], indirect=True)
def test_ego_is_on_the_goals_lanelet_in_time(recorded: Layout) -> None:
    import shapely

    lane = next(lane for lane in recorded.road_map.lanes if lane.lane_id == "31")
    strip = shapely.LineString(lane.centerline_world_m[:, :2]).buffer(0.5 * lane.width_m, cap_style="flat")
    assert strip.contains(shapely.Point(middle_m(recorded)[30]))


@pytest.mark.parametrize("recorded", ["USA_US101-4_1"], indirect=True)
def test_neighbours_share_their_line(recorded: Layout) -> None:
    """Two of 24 bounds are broad; the dashed ones lie between lanes and are painted once."""
    kinds = [line.kind for line in recorded.road_map.lane_lines]
    assert kinds.count("solid") >= 2 and 5 <= kinds.count("dashed") <= 9
    assert all(3.25 < lane.width_m < 3.85 for lane in recorded.road_map.lanes)


def test_tracks_start_and_end_where_the_file_says(tmp_path: Path) -> None:
    walking = [state("state", step, x=30.0 + 0.1 * (step - 4), y=6.0, speed=1.0) for step in (4, 5, 6, 9)]
    initial = walking[0].replace("state>", "initialState>")
    late = obstacle("7", kind="pedestrian", initial=initial, states=walking[1:])
    layout = written(tmp_path, scenario(lanelet("1"), obstacle(), late, problem()))
    car, walker = layout.agents
    assert layout.timeline.num_steps == 21 and layout.timeline.rate_hz == 10.0
    assert np.flatnonzero(car.valid).tolist() == list(range(11))
    assert np.flatnonzero(walker.valid).tolist() == [4, 5, 6, 9]
    assert walker.category is AgentCategory.PEDESTRIAN and walker.attribute == "pedestrian.moving"
    between_m = car.center_world_m[3, :2] - middle_m(layout)[0]
    np.testing.assert_allclose(between_m, [18.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(car.velocity_world_mps[3], [10.0, 0.0])


def test_speeds_that_contradict_positions_are_reported(tmp_path: Path) -> None:
    odd = obstacle(states=[state("state", step, x=20.0 + 0.5 * step, speed=10.0) for step in range(1, 11)])
    layout = written(tmp_path, scenario(lanelet("1"), odd, problem()))
    assert "1 obstacles with stated speeds over 1 m/s beside those of their positions" in lost(layout)


def test_an_agent_in_the_egos_way_is_reported(tmp_path: Path) -> None:
    wall = ('<staticObstacle id="9"><type>parkedVehicle</type><shape><rectangle><length>4</length><width>2</width>'
            f"</rectangle></shape>{state('initialState', 0, x=20.0)}</staticObstacle>")  # fmt: skip
    layout = written(tmp_path, scenario(lanelet("1"), wall, problem()))
    (parked,) = layout.agents
    assert parked.valid.all() and parked.attribute == "vehicle.parked"
    assert "boxes of '9' and the ego overlap" in lost(layout)


def test_types_become_lanes_and_ground(tmp_path: Path) -> None:
    kinds = {"2": "sidewalk", "3": "bicycleLane", "4": "busLane", "5": "crosswalk", "6": "parking", "7": "shoulder"}
    rows = [
        lanelet(name, right=-1.75 + 5.0 * (idx + 1), inside=f"<laneletType>{kind}</laneletType>")
        for idx, (name, kind) in enumerate(kinds.items())
    ]
    road_map = written(tmp_path, scenario(lanelet("1"), *rows, problem())).road_map
    assert {lane.lane_id: lane.kind for lane in road_map.lanes} == {"1": "vehicle", "3": "bike", "4": "bus"}
    assert [len(road_map.areas_of(kind)) for kind in ("sidewalk", "crossing", "parking")] == [1, 1, 1]
    assert len(road_map.areas_of("drivable")) == 4


def test_signs_limit_speed_and_stand_beside_the_road(tmp_path: Path) -> None:
    sign = ('<trafficSign id="70"><trafficSignElement><trafficSignID>274</trafficSignID><additionalValue>8.5'
            "</additionalValue></trafficSignElement></trafficSign>"
            '<trafficSign id="71"><trafficSignElement><trafficSignID>206</trafficSignID></trafficSignElement>'
            "</trafficSign>"
            f'<trafficLight id="72"><position>{points((55.0, 3.0))}</position></trafficLight>')  # fmt: skip
    inside = '<trafficSignRef ref="70"/><trafficLightRef ref="72"/>'
    layout = written(tmp_path, scenario(lanelet("1", inside=inside), sign, problem()))
    (lane,) = layout.road_map.lanes
    assert lane.speed_limit_mps == 8.5
    props = {prop.kind: prop for prop in layout.road_map.props}
    start_m = middle_m(layout)[0] - [5.0, 0.0]
    np.testing.assert_allclose(props["sign"].position_world_m - start_m, [60.0, -2.75], atol=1e-6)
    np.testing.assert_allclose(props["traffic_light"].position_world_m - start_m, [55.0, 3.0], atol=1e-6)
    np.testing.assert_allclose(np.abs(props["traffic_light"].heading_rad), np.pi)
    assert "1 what signs 206 say" in lost(layout) and "1 traffic light cycles" in lost(layout)


def test_marks_of_either_side_and_stop_lines_are_painted(tmp_path: Path) -> None:
    low = lanelet("1", marks=("dashed", "broad_solid"), links='<adjacentLeft ref="2" drivingDir="same"/>')
    high = lanelet("2", right=1.75, marks=("solid_solid", "dashed"), inside="<stopLine/>")
    lines = written(tmp_path, scenario(low, high, problem())).road_map.lane_lines
    assert sorted((line.kind, line.width_m) for line in lines) == [
        ("dashed", 0.15), ("double_solid", 0.15), ("solid", 0.3), ("solid", 0.4),
    ]  # fmt: skip


def test_a_goal_on_the_neighbour_takes_a_lane_change(tmp_path: Path) -> None:
    beside = '<adjacentLeft ref="2" drivingDir="same"/>'
    goal = '<position><lanelet ref="2"/></position>'
    text = scenario(
        lanelet("1", end=150.0, links=beside), lanelet("2", end=150.0, right=1.75), problem(position=goal, last=80)
    )
    layout = written(tmp_path, text)
    sideways_m = middle_m(layout)[:, 1] - middle_m(layout)[0, 1]
    assert abs(sideways_m[5]) < 0.5 and abs(sideways_m[60] - 3.5) < 0.05
    assert np.abs(np.diff(layout.ego.heading_rad)).max() < 0.03


def test_ego_joins_the_middle_of_its_lane_at_its_speed(tmp_path: Path) -> None:
    text = scenario(
        lanelet("1", end=150.0), problem(initial=state("initialState", 3, x=5.0, y=0.8, speed=8.0), last=60)
    )
    layout = written(tmp_path, text)
    assert layout.timeline.num_steps == 58
    aside_m = middle_m(layout)[:, 1] - middle_m(layout)[0, 1]
    np.testing.assert_allclose(aside_m[-1], -0.8, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(layout.ego.velocity_world_mps, axis=1), 8.0, atol=0.05)


def test_a_goal_that_no_lane_leads_to_is_said(tmp_path: Path) -> None:
    far = lanelet("2", begin=200.0, end=260.0)
    layout = written(tmp_path, scenario(lanelet("1"), far, problem(position='<position><lanelet ref="2"/></position>')))
    assert "no lanes lead there" in lost(layout)


def test_intervals_are_halved(tmp_path: Path) -> None:
    place = ("<position><rectangle><length>2</length><width>1</width><orientation>0.3</orientation>"
             "<center><x>22</x><y>1</y></center></rectangle></position>")  # fmt: skip
    speed = "<velocity><intervalStart>4</intervalStart><intervalEnd>6</intervalEnd></velocity>"
    initial = f"<initialState>{place}{exact('orientation', 0.0)}{exact('time', 0)}{speed}</initialState>"
    layout = written(tmp_path, scenario(lanelet("1"), obstacle(initial=initial, states=[]), problem()))
    (agent,) = layout.agents
    np.testing.assert_allclose(agent.center_world_m[0, :2] - middle_m(layout)[0], [17.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(agent.velocity_world_mps[0], [5.0, 0.0])
    assert "1 obstacles with uncertain states" in lost(layout)


def test_a_map_alone_lasts_half_a_minute_and_survives_yaml(tmp_path: Path) -> None:
    layout = written(
        tmp_path, scenario(lanelet("1", links='<successor ref="2"/>'), lanelet("2", begin=60.0, end=200.0))
    )
    assert layout.timeline.duration_s == 30.0 and layout.ego.position_world_m[-1, 0] > 100.0
    path = tmp_path / "again.yaml"
    write_yaml_layout(layout, path)
    again = read_layout(str(path))
    np.testing.assert_allclose(again.ego.position_world_m, layout.ego.position_world_m, atol=1e-3)


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "small.xml"
    path.write_text(scenario())
    assert repr(read_commonroad(path)) == repr(read_commonroad(path))


def test_successors_in_a_circle_have_an_end(tmp_path: Path) -> None:
    """Two lanelets of a millimetre, each the successor of the other."""
    begin_s = time.process_time()
    first = lanelet("1", end=0.001, links='<successor ref="2"/>')
    layout = written(tmp_path, scenario(first, lanelet("2", end=0.001, links='<successor ref="1"/>')))
    assert layout.timeline.duration_s == 30.0
    assert time.process_time() - begin_s < 2.0


def test_a_long_chain_of_lanelets_is_read_in_time(tmp_path: Path) -> None:
    """A thousand lanelets in a row, with the goal on the last one."""
    count = 1_000
    links = [*(f'<successor ref="{n + 1}"/>' for n in range(count - 1)), ""]
    chain = [lanelet(str(n), begin=10.0 * n, end=10.0 * n + 10.0, links=link) for n, link in enumerate(links)]
    begin_s = time.process_time()
    layout = written(tmp_path, scenario(*chain, problem(position=f'<position><lanelet ref="{count - 1}"/></position>')))
    assert time.process_time() - begin_s < 4.0
    assert len(layout.road_map.lanes) == count and "too far away" in lost(layout)


def test_further_goals_and_problems_are_said(tmp_path: Path) -> None:
    goals = "<goalState><time><exact>15</exact></time></goalState>"
    layout = written(tmp_path, scenario(lanelet("1"), problem(goal=goals * 3), problem()))
    assert "2 more goals" in lost(layout) and "1 more planning problems" in lost(layout)


def test_ego_goes_on_into_what_follows_a_long_lanelet(tmp_path: Path) -> None:
    """It starts 20 m before the end of 500 m; what follows lies a metre further to the left."""
    first = lanelet("1", end=500.0, links='<successor ref="2"/>')
    second = lanelet("2", begin=500.0, end=900.0, right=-0.75)
    initial = state("initialState", 0, x=480.0)
    layout = written(tmp_path, scenario(first, second, problem(initial=initial, last=60)))
    assert layout.timeline.num_steps == 61
    assert middle_m(layout)[-1, 1] - middle_m(layout)[0, 1] == pytest.approx(1.0, abs=0.01)


def test_the_scene_ends_where_the_egos_road_does(tmp_path: Path) -> None:
    """The goal is 5 m before the end of the road, to be passed at 10 m/s after 4 s; the scene would last 6 s."""
    goal = f"<position>{points((55.0, 0.0))}</position>"
    speed = "<velocity><intervalStart>10</intervalStart><intervalEnd>10</intervalEnd></velocity>"
    layout = written(tmp_path, scenario(lanelet("1"), problem(position=goal, velocity=speed, last=70)))
    assert middle_m(layout)[40, 0] - middle_m(layout)[0, 0] == pytest.approx(50.0, abs=0.2)
    assert 43 <= layout.timeline.num_steps <= 46
    assert "when the ego's road ends" in lost(layout)


def test_the_ego_halts_before_the_end_of_its_road_where_it_can(tmp_path: Path) -> None:
    goal = f"<position>{points((25.0, 0.0))}</position>"
    layout = written(tmp_path, scenario(lanelet("1"), problem(position=goal, last=40), obstacle(states=[
        state("state", 200, x=21.0)
    ])))  # fmt: skip
    assert layout.timeline.num_steps == 201
    assert np.linalg.norm(layout.ego.velocity_world_mps[-1]) < 0.1
    assert middle_m(layout)[-1, 0] - middle_m(layout)[0, 0] < 55.0
