"""OpenDRIVE: geometry against numerical integration, the maps of esmini against their counts, small files by hand."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenegen.layout.importers import read_opendrive
from scenegen.layout.importers.opendrive.format import PlanPiece
from scenegen.layout.importers.opendrive.parse import parse_opendrive
from scenegen.layout.importers.opendrive.plan_view import evaluate_piece
from scenegen.layout.importers.opendrive.read import read_network
from scenegen.layout.sources import read_layout
from scenegen.layout.summary import summarise_layout
from scenegen.layout.write_yaml import write_yaml_layout
from scenegen.types import AgentCategory
from scenegen.types.layout_json import layout_sha256
from tests.conftest import need_recorded
from tests.unit.layout.importers.xodr_text import LINE, lane, network, road, section

COUNTS = {
    "e6mini": (1, 1464, 0, 15, 7, {"paramPoly3": 16, "line": 1}, 0),
    "soderleden": (5, 1888, 1, 40, 11, {"paramPoly3": 16, "arc": 1}, 0),
    "fabriksgatan": (16, 688, 1, 60, 20, {"paramPoly3": 16, "arc": 8}, 0),
    "fabriksgatan_traffic_lights": (16, 688, 1, 60, 20, {"paramPoly3": 16, "arc": 8}, 3),
    "jolengatan": (1, 794, 0, 7, 3, {"paramPoly3": 19}, 0),
    "multi_intersections": (63, 3508, 5, 305, 145, {"line": 95, "spiral": 56, "arc": 32}, 127),
    "curves_elevation": (1, 1154, 0, 7, 3, {"line": 2, "spiral": 7, "arc": 4}, 0),
    "straight_500m": (1, 500, 0, 7, 3, {"line": 1}, 0),
}
"""Of the data's README: roads, length in m, junctions, lanes, driving lanes, geometry, signals."""


@pytest.fixture
def maps(shared_data: Path) -> Path:
    folder = shared_data / "opendrive_esmini" / "xodr"
    need_recorded(folder)
    return folder


def written(folder: Path, text: str) -> Path:
    path = folder / "small.xodr"
    path.write_text(text, encoding="utf-8")
    return path


def piece(kind: str, *numbers: float, length_m: float = 80.0, is_normalized: bool = False) -> PlanPiece:
    return PlanPiece(
        kind=kind, s_m=0.0, x_m=3.0, y_m=-2.0, heading_rad=0.7, length_m=length_m, numbers=numbers,
        is_normalized=is_normalized,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("begin", "end"), [(0.0, 0.02), (-0.01, 0.03), (0.05, 0.0), (0.02, 0.02 + 1e-9), (0.01, -0.01), (0.0, 0.0)]
)
def test_spirals_agree_with_integrated_curvature(begin: float, end: float) -> None:
    s_m = np.linspace(0.0, 80.0, 200_001)
    heading = 0.7 + begin * s_m + 0.5 * (end - begin) / 80.0 * s_m**2
    step = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    expected_m = np.array([3.0, -2.0]) + 80.0 / 200_000 * (step.cumsum(axis=0) - 0.5 * (step + step[0]))
    poses = evaluate_piece(piece("spiral", begin, end), s_m[::2000])
    np.testing.assert_allclose(poses.position_m, expected_m[::2000], atol=1e-7)
    np.testing.assert_allclose(poses.heading_rad, heading[::2000], atol=1e-12)


def test_an_arc_is_a_circle() -> None:
    poses = evaluate_piece(piece("arc", 0.05), np.array([0.0, 10.0, 40.0 * np.pi]))
    center_m = np.array([3.0, -2.0]) + 20.0 * np.array([-np.sin(0.7), np.cos(0.7)])
    np.testing.assert_allclose(np.linalg.norm(poses.position_m - center_m, axis=1), 20.0, atol=1e-12)
    np.testing.assert_allclose(poses.position_m[2], [3.0, -2.0], atol=1e-9)


@pytest.mark.parametrize(
    "curve",
    [
        piece("poly3", 0.0, 0.0, 0.01, -0.0001),
        piece("paramPoly3", 0.0, 70.0, 10.0, -4.0, 0.0, 0.0, 30.0, -20.0, is_normalized=True),
    ],
)
def test_polynomials_are_followed_at_even_speed(curve: PlanPiece) -> None:
    poses = evaluate_piece(curve, np.linspace(0.0, 80.0, 4001))
    step_m = np.linalg.norm(np.diff(poses.position_m, axis=0), axis=1)
    np.testing.assert_allclose(step_m, step_m.mean(), rtol=2e-3)
    if curve.kind == "poly3":
        np.testing.assert_allclose(step_m.sum(), 80.0, rtol=1e-5)
    chords = np.diff(poses.position_m, axis=0)
    turned = np.unwrap(np.arctan2(chords[:, 1], chords[:, 0]))
    np.testing.assert_allclose(0.5 * (poses.heading_rad[1:] + poses.heading_rad[:-1]), turned, atol=1e-5)


def test_a_parameter_that_is_an_arc_length_is_taken_as_it_is() -> None:
    curve = piece("paramPoly3", 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.005, 0.0, length_m=20.0)
    local_m = np.array([10.0, 0.5])
    cos, sin = np.cos(0.7), np.sin(0.7)
    expected_m = [3.0 + cos * local_m[0] - sin * local_m[1], -2.0 + sin * local_m[0] + cos * local_m[1]]
    np.testing.assert_allclose(evaluate_piece(curve, np.array([10.0])).position_m[0], expected_m)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_readme(maps: Path, name: str) -> None:
    roads, length_m, junctions, lanes, driving, geometry, signals = COUNTS[name]
    drive = parse_opendrive(maps / f"{name}.xodr")
    counts = drive.counts()
    assert round(drive.length_m) == length_m
    assert counts == {
        "roads": roads, "junctions": junctions, "lanes": lanes, "driving_lanes": driving,
        "objects": counts["objects"], "signals": signals, **geometry,
    }  # fmt: skip


def test_pieces_of_a_road_and_linked_lanes_meet_within_five_centimetres(maps: Path) -> None:
    """But for one link of `soderleden.xodr`, where the file goes on half a lane aside."""
    off = []
    for path in sorted(maps.glob("*.xodr")):
        network_ = read_network(path)
        for road_ in network_.drive.roads.values():
            for before, after in zip(road_.plan, road_.plan[1:], strict=False):
                end_m = evaluate_piece(before, np.array([before.length_m])).position_m[0]
                assert np.hypot(end_m[0] - after.x_m, end_m[1] - after.y_m) < 0.05, (path.name, road_.road_id)
        off += [(path.name, *pair) for pair, gap_m in network_.graph.gaps_m.items() if gap_m > 0.05]
    assert off == [("soderleden.xodr", ("0", 0, -3), ("0", 1, -2))]


def test_every_map_becomes_a_valid_layout_whose_ego_moves(maps: Path) -> None:
    files = sorted(maps.glob("*.xodr"))
    assert len(files) == 20
    for path in files:
        layout = read_layout(f"opendrive:{path}")
        summary = summarise_layout(layout)
        assert summary["map"]["roads"] == summary["source_counts"]["roads"]
        assert summary["ego"]["distance_m"] > 100.0, path.name
        assert layout.report is not None and layout.report.lost
        assert np.allclose(layout.ego.position_world_m[0], 0.0)


def test_crossings_lights_and_parking_are_kept(maps: Path) -> None:
    crossroads = read_opendrive(maps / "multi_intersections.xodr").road_map
    assert len(crossroads.areas_of("crossing")) == 17
    assert sum(prop.kind == "traffic_light" for prop in crossroads.props) == 34
    parking = read_opendrive(maps / "parking_demo.xodr").road_map
    assert len(parking.areas_of("crossing")) == 3 and parking.areas_of("parking")
    signs = read_opendrive(maps / "straight_500m_signs.xodr")
    assert {lane_.speed_limit_mps for lane_ in signs.road_map.lanes} == {50.0 / 3.6}


def test_traffic_keeps_right_and_left_where_the_rule_says_so(tmp_path: Path) -> None:
    for rule, sign in (('rule="RHT"', 1.0), ('rule="LHT"', -1.0)):
        lanes = read_opendrive(written(tmp_path, network(road(rule=rule)))).road_map.lanes
        for lane_ in lanes:
            way_m = lane_.centerline_world_m[-1, 0] - lane_.centerline_world_m[0, 0]
            is_right = lane_.lane_id.endswith("-1")
            assert np.sign(way_m) == (sign if is_right else -sign)


def test_borders_widths_and_offsets_place_the_lanes(tmp_path: Path) -> None:
    border = '<border sOffset="0" a="-4" b="0" c="0" d="0"/>'
    text = network(
        road(sections=section(right=lane(-1, width=border)) + "", extra="").replace(
            "<lanes>", '<lanes><laneOffset s="0" a="1" b="0" c="0" d="0"/>'
        )
    )
    strips = read_network(written(tmp_path, text)).strips
    np.testing.assert_allclose(strips["1", 0, 1].outer_m[:, 1], 4.5)
    np.testing.assert_allclose(strips["1", 0, -1].inner_m[:, 1], 1.0)
    np.testing.assert_allclose(strips["1", 0, -1].outer_m[:, 1], -3.0)


def test_marks_end_where_the_next_begins_and_keep_their_colour(tmp_path: Path) -> None:
    marks = (
        '<roadMark sOffset="0" type="broken" color="yellow" width="0.2"/>'
        '<roadMark sOffset="40" type="solid solid" color="white"/>'
        '<roadMark sOffset="60" type="none"/><roadMark sOffset="80" type="solid broken"/>'
    )
    layout = read_opendrive(written(tmp_path, network(road(sections=section(center=lane(0, inside=marks))))))
    lines = layout.road_map.lane_lines
    lengths = [float(np.ptp(line.points_world_m[:, 0])) for line in lines]
    assert [(line.kind, line.color) for line in lines] == [
        ("dashed", "yellow"), ("double_solid", "white"), ("solid", "white"),
    ]  # fmt: skip
    np.testing.assert_allclose(lengths, [40.0, 20.0, 20.0], atol=1e-6)
    assert layout.report is not None
    assert "1 road marks 'solid broken' that became solid" in layout.report.lost


def test_the_ego_takes_the_longest_way_and_stops_before_its_end(tmp_path: Path) -> None:
    second = road(
        "2",
        plan=LINE.replace('x="0"', 'x="100"'),
        link='<link><predecessor elementType="road" elementId="1" contactPoint="end"/></link>',
        sections=section(
            left=lane(1, inside='<link><predecessor id="1"/></link>'),
            right=lane(-1, inside='<link><predecessor id="-1"/></link>'),
        ),
    )
    slow = '<type s="0" type="town"><speed max="36" unit="km/h"/></type>'
    layout = read_opendrive(written(tmp_path, network(road(extra=slow), second)))
    x_m = layout.ego.position_world_m[:, 0]
    assert 170.0 < np.ptp(x_m) < 200.0
    speed_mps = np.linalg.norm(layout.ego.velocity_world_mps, axis=1)
    assert speed_mps[0] == pytest.approx(10.0, abs=0.1)
    assert speed_mps.max() == pytest.approx(50.0 / 3.6, abs=0.1)
    assert speed_mps[-1] < 0.1


def test_objects_become_agents_props_and_areas_or_are_reported(tmp_path: Path) -> None:
    objects = (
        '<objects><object id="a" type="car" s="50" t="-8" length="4" width="2" height="1.5"/>'
        '<object id="b" type="tree" s="20" t="9" height="6">'
        '<repeat s="20" length="40" distance="10" tStart="9"/></object>'
        '<object id="c" type="crosswalk" s="30" t="0" hdg="0" length="4" width="7"/>'
        '<object id="d" type="building" s="60" t="20" length="20" width="10" height="9"/>'
        '<object id="e" type="wind" s="60" t="20"/></objects>'
        '<signals><signal id="s" s="70" t="-5" dynamic="yes" orientation="+" type="1000001" height="1" zOffset="2"/>'
        "</signals>"
    )
    layout = read_opendrive(written(tmp_path, network(road(extra=objects))))
    assert [agent.category for agent in layout.agents] == [AgentCategory.CAR]
    assert sum(prop.kind == "tree" for prop in layout.road_map.props) == 5
    (light,) = (prop for prop in layout.road_map.props if prop.kind == "traffic_light")
    assert abs(abs(light.heading_rad) - np.pi) < 1e-9, "it shows to who drives along the road"
    assert light.height_m == 3.0
    (building,) = layout.road_map.areas_of("building")
    assert building.height_m == 9.0
    assert len(layout.road_map.areas_of("crossing")) == 1
    assert layout.report is not None and "1 objects of type 'wind'" in layout.report.lost


def test_large_maps_are_read_in_seconds(tmp_path: Path) -> None:
    bend = '<geometry s="0" x="0" y="{}" hdg="0" length="50000"><arc curvature="0.0001"/></geometry>'
    roads = [road(str(n), length="50000", plan=bend.format(60 * n)) for n in range(20)]
    path = written(tmp_path, network(*roads))
    begin_s = time.process_time()
    layout = read_opendrive(path)
    assert time.process_time() - begin_s < 5.0
    assert layout.report is not None and layout.report.road_length_m == 1e6


def test_of_large_maps_what_is_far_from_the_ego_is_cut(tmp_path: Path) -> None:
    roads = [
        road(str(n), length="8000", plan=LINE.replace('y="0"', f'y="{1500 * n}"').replace("100", "8000"))
        for n in range(4)
    ]
    layout = read_opendrive(written(tmp_path, network(*roads)))
    assert {lane_.lane_id.split(".")[0] for lane_ in layout.road_map.lanes} == {"0"}
    assert max(float(np.abs(lane_.centerline_world_m[:, 0]).max()) for lane_ in layout.road_map.lanes) < 1_600.0
    assert layout.report is not None and layout.report.counts["roads"] == 4
    assert any("6 of 8 lanes" in what for what in layout.report.lost)


def test_the_yaml_of_an_import_reads_back_and_says_what_was_lost(tmp_path: Path) -> None:
    objects = '<objects><object id="a" type="w&#10;id: evil" s="5" t="9"/></objects>'
    layout = read_opendrive(written(tmp_path, network(road(extra=objects))))
    write_yaml_layout(layout, tmp_path / "small.yaml")
    again = read_layout(f"file:{tmp_path / 'small.yaml'}")
    assert layout_sha256(replace(again, source="opendrive")) == layout_sha256(layout)
    head = (tmp_path / "small.yaml").read_text().splitlines()
    assert head[0].startswith("# lost: no ego") and any("evil" in line and line.startswith("#") for line in head)
