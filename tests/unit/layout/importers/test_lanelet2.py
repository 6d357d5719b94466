"""Lanelet2: the README's quarter of Karlsruhe against its counts and the globe, small maps by hand."""

from __future__ import annotations

import doctest
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from scenegen.errors import DependencyError
from scenegen.layout.importers import earth, sun
from scenegen.layout.importers.lanelet2 import fittings
from scenegen.layout.importers.lanelet2 import read as lanelet2_read
from scenegen.layout.importers.lanelet2.primitives import Primitives, read_primitives
from scenegen.layout.importers.lanelet2.surfaces import read_lanelets
from scenegen.layout.importers.xml_file import read_xml
from scenegen.layout.sources import read_layout
from scenegen.types import Layout
from tests.conftest import need_recorded
from tests.unit.layout.importers.osm_text import LANES, NODES, WAYS, lanelet, member, node, osm, relation, tags, way

pytest.importorskip("pyproj", reason="pyproj is not installed (extra `geo`)")


@pytest.fixture
def karlsruhe(shared_data: Path) -> Path:
    return need_recorded(shared_data / "lanelet2" / "mapping_example.osm")


def written(folder: Path, text: str) -> Layout:
    path = folder / "small.osm"
    path.write_text(text, encoding="utf-8")
    return read_layout(f"lanelet2:{path}")


def lost(layout: Layout) -> str:
    assert layout.report is not None
    return "\n".join(layout.report.lost)


def primitives_of(path: Path) -> Primitives:
    return read_primitives(read_xml(path, root="osm"))


def from_file_m(layout: Layout) -> np.ndarray:
    """Where node `00` of the small maps is: the first lane begins in the middle between rows 0 and 1."""
    lane = next(lane for lane in layout.road_map.lanes if lane.lane_id == "10")
    return lane.centerline_world_m[0, :2] - [0.0, 2.0]


def test_counts_are_those_of_the_readme(karlsruhe: Path) -> None:
    layout = read_layout(f"lanelet2:{karlsruhe}")
    assert layout.report is not None
    counts = layout.report.counts
    stated = {
        "nodes": 2258, "ways": 1141, "relations": 456, "lanelets": 371, "areas": 76, "regulatory_elements": 9,
    }  # fmt: skip
    assert {name: counts[name] for name in stated} == stated
    assert counts["lanelet_crosswalk"] == len(layout.road_map.areas_of("crossing")) == 8
    walked = counts["lanelet_crosswalk"] + counts["lanelet_walkway"] + counts["lanelet_rail"]
    assert len(layout.road_map.lanes) == 371 - walked
    assert sum(lane.kind == "bike" for lane in layout.road_map.lanes) == counts["lanelet_bicycle_lane"] == 14
    assert len(layout.road_map.areas_of("building")) == counts["multipolygon_building"] == 3
    assert "1 deleted ways" in lost(layout)


def test_lengths_and_directions_are_those_on_the_globe(karlsruhe: Path) -> None:
    """North is that of the map's middle: a few hundredths of a degree beside it at the edges."""
    from pyproj import Geod

    root = read_xml(karlsruhe, root="osm")
    degrees = {element.word("id"): (element.number("lon"), element.number("lat")) for element in root.all("node")}
    globe = Geod(ellps="WGS84")
    primitives = read_primitives(root)
    for found in list(primitives.ways.values())[::50]:
        (lon, lat), (end_lon, end_lat) = degrees[found.nodes[0]], degrees[found.nodes[-1]]
        azimuth_deg, _, length_m = globe.inv(lon, lat, end_lon, end_lat)
        way_m = found.points_m[-1] - found.points_m[0]
        np.testing.assert_allclose(np.linalg.norm(way_m), length_m, rtol=1e-6, atol=1e-6)
        if length_m > 1.0:
            bearing_deg = np.degrees(np.arctan2(way_m[0], way_m[1]))
            assert abs((bearing_deg - azimuth_deg + 180.0) % 360.0 - 180.0) < 0.03


def test_left_bounds_are_left_and_most_lanes_are_linked(karlsruhe: Path) -> None:
    """Lanelet2's own routing graph has 313 of these links, and four that lead into the second direction of a lane."""
    lanelets, following = read_lanelets(primitives_of(karlsruhe), {}, {}, Counter())
    for found in lanelets.values():
        way_m = found.centerline_m[-1] - found.centerline_m[0]
        across_m = found.left_m.mean(axis=0) - found.right_m.mean(axis=0)
        assert way_m[0] * across_m[1] - way_m[1] * across_m[0] > 0.0 or found.length_m < 8.0, found.lanelet_id
    drivable = {name for name, found in lanelets.items() if found.lane_kind == "vehicle"}
    pairs = [
        (before, after)
        for (before, is_back), others in following.items()
        for after, is_also_back in others
        if not is_back and not is_also_back and {before, after} <= drivable
    ]
    assert len(pairs) == 316
    for before, after in pairs:
        gap_m = lanelets[before].centerline_m[-1] - lanelets[after].centerline_m[0]
        assert np.linalg.norm(gap_m) < 1e-6


def test_ego_drives_two_hundred_metres_on_the_road(karlsruhe: Path) -> None:
    layout = read_layout(f"lanelet2:{karlsruhe}")
    step_m = np.linalg.norm(np.diff(layout.ego.position_world_m, axis=0), axis=1)
    assert step_m.sum() > 200.0 and layout.timeline.duration_s == 30.0
    np.testing.assert_allclose(layout.ego.position_world_m[0], 0.0)
    assert np.abs(np.diff(np.unwrap(layout.ego.heading_rad))).max() < 0.15


def test_bounds_are_turned_to_run_along_whatever_their_order(tmp_path: Path) -> None:
    turned = way("r0", ("10", "00")) + way("r1", ("11", "01"))
    layout = written(tmp_path, osm(lanelet("10", "r1", "r0"), ways=WAYS + turned))
    (lane,) = layout.road_map.lanes
    np.testing.assert_allclose(lane.width_m, 4.0, rtol=0.01)
    assert lane.centerline_world_m[-1, 0] - lane.centerline_world_m[0, 0] == pytest.approx(40.0, rel=0.01)


def test_a_lanelet_that_is_not_one_way_is_a_way_back(tmp_path: Path) -> None:
    """Towards the west there is 120 m of road, with one lanelet in the middle that allows both directions."""
    west = lanelet("10", "010", "011") + lanelet("11", "121", "120", one_way="no") + lanelet("12", "230", "231")
    layout = written(tmp_path, osm(west))
    assert len(layout.road_map.lanes) == 3
    assert layout.ego.position_world_m[-1, 0] < -80.0
    assert "the second direction of 1 lanelets" in lost(layout)


def test_subtypes_become_lanes_and_ground(tmp_path: Path) -> None:
    more = (
        lanelet("20", "012", "011", subtype="walkway") + lanelet("21", "122", "121", subtype="bicycle_lane")
        + lanelet("22", "232", "231", subtype="crosswalk") + lanelet("23", "013", "012", subtype="canal")
    )  # fmt: skip
    layout = written(tmp_path, osm(LANES, more))
    kinds = {lane.lane_id: lane.kind for lane in layout.road_map.lanes}
    assert kinds == {"10": "vehicle", "11": "vehicle", "12": "vehicle", "21": "bike"}
    assert len(layout.road_map.areas_of("sidewalk")) == len(layout.road_map.areas_of("crossing")) == 1
    assert "1 lanelets of subtype 'canal'" in lost(layout)


def test_areas_are_chained_from_ways_of_any_direction_with_holes(tmp_path: Path) -> None:
    nodes = "".join(
        node(name, x, y)
        for name, x, y in (
            ("a", 0.0, 20.0), ("b", 30.0, 20.0), ("c", 30.0, 50.0), ("d", 0.0, 50.0),
            ("e", 10.0, 30.0), ("f", 20.0, 30.0), ("g", 20.0, 40.0),
        )
    )  # fmt: skip
    ways = way("w1", "ab") + way("w2", "cb") + way("w3", "cda") + way("w4", "efge")
    outer = "".join(member("way", name, "outer") for name in ("w1", "w3", "w2")) + member("way", "w4", "inner")
    park = relation("50", outer, "multipolygon", "vegetation") + relation("51", outer, "multipolygon", "building")
    layout = written(tmp_path, osm(LANES, park, nodes=NODES + nodes, ways=WAYS + ways))
    (grass,) = layout.road_map.areas_of("grass")
    (building,) = layout.road_map.areas_of("building")
    assert [len(grass.holes_world_m), len(building.holes_world_m)] == [1, 1]
    low_m, high_m = grass.polygon_world_m.min(axis=0), grass.polygon_world_m.max(axis=0)
    np.testing.assert_allclose(low_m - from_file_m(layout), [0.0, 20.0], atol=0.3)
    np.testing.assert_allclose(high_m - low_m, [30.0, 30.0], rtol=0.01)


def test_lines_are_painted_by_type_and_joined(tmp_path: Path) -> None:
    more = (
        way("l1", ("02", "12"), type="line_thick", subtype="solid", color="yellow")
        + way("l2", ("03", "13"), type="curbstone") + way("l3", ("12", "13"), type="stop_line")
        + way("l4", ("23", "33"), type="wall")
    )  # fmt: skip
    plain = WAYS.replace('v="line_thin"', 'v="virtual"').replace(
        '<way id="010"><nd ref="00"/><nd ref="10"/><tag k="type" v="virtual"/>',
        '<way id="010"><nd ref="00"/><nd ref="10"/><tag k="type" v="line_thin"/>',
    )
    both = plain.replace(
        '<way id="120"><nd ref="10"/><nd ref="20"/><tag k="type" v="virtual"/>',
        '<way id="120"><nd ref="10"/><nd ref="20"/><tag k="type" v="line_thin"/>',
    )
    layout = written(tmp_path, osm(ways=both + more))
    lines = layout.road_map.lane_lines
    looks = sorted((line.kind, line.color, line.width_m) for line in lines)
    assert looks == [("dashed", "white", 0.12), ("solid", "white", 0.4), ("solid", "yellow", 0.25)]
    joined = next(line for line in lines if line.kind == "dashed")
    assert np.ptp(joined.points_world_m[:, 0]) == pytest.approx(80.0, rel=0.01)
    assert "1 ways of type 'wall'" in lost(layout)


def test_limits_signs_and_lights(tmp_path: Path) -> None:
    more = (
        way("s1", ("02", "03"), type="traffic_sign", subtype="de274-30") + way("t1", ("12", "13"), type="traffic_light")
        + way("stop", ("20", "21"), type="stop_line")
    )  # fmt: skip
    light = member("way", "t1", "refers") + member("way", "stop", "ref_line")
    rules = (
        relation("60", member("way", "s1", "refers"), "regulatory_element", "speed_limit")
        + relation("61", light, "regulatory_element", "traffic_light")
        + relation("62", member("relation", "12", "yield"), "regulatory_element", "right_of_way")
    )  # fmt: skip
    lanes = (
        lanelet("10", "011", "010", more=member("relation", "60", "regulatory_element"))
        + lanelet("11", "121", "120", speed_limit="60 km/h") + lanelet("12", "231", "230")
    )  # fmt: skip
    layout = written(tmp_path, osm(lanes, rules, ways=WAYS + more))
    limits = {lane.lane_id: lane.speed_limit_mps for lane in layout.road_map.lanes}
    assert limits == {"10": 30.0 / 3.6, "11": 60.0 / 3.6, "12": None}
    props = {prop.kind: prop for prop in layout.road_map.props}
    towards_stop_m = np.array([80.0, 2.0]) - np.array([40.0, 10.0])
    assert props["traffic_light"].heading_rad == pytest.approx(np.arctan2(*towards_stop_m[::-1]), abs=0.01)
    assert props["sign"].heading_rad == pytest.approx(0.0, abs=0.01)
    assert "1 regulatory elements of subtype 'right_of_way'" in lost(layout)


def test_local_coordinates_are_taken_as_they_are(tmp_path: Path) -> None:
    nodes = "".join(
        f'<node id="{column}{row}" lat="" lon="">{tags(local_x=str(50.0 * column), local_y=str(3.0 * row))}</node>'
        for column in range(4)
        for row in range(4)
    )
    layout = written(tmp_path, osm(nodes=nodes))
    assert [round(lane.width_m, 9) for lane in layout.road_map.lanes] == [3.0, 3.0, 3.0]


def test_lanelets_over_each_other_are_an_intersection(tmp_path: Path) -> None:
    """A lanelet to the north crosses the middle one of three."""
    nodes = "".join(
        node(name, x, y) for name, x, y in (("a", 58.0, -4.0), ("b", 58.0, 8.0), ("c", 62.0, -4.0), ("d", 62.0, 8.0))
    )
    ways = way("ab", "ab") + way("cd", "cd")
    layout = written(tmp_path, osm(LANES, lanelet("20", "ab", "cd"), nodes=NODES + nodes, ways=WAYS + ways))
    crossing = {lane.lane_id: lane.is_intersection for lane in layout.road_map.lanes}
    assert crossing == {"10": False, "11": False, "12": False, "20": True}


def test_a_circle_of_short_lanelets_has_an_end(tmp_path: Path) -> None:
    """Four lanelets of three millimetres that lead into each other, round and round."""
    begin_s = time.process_time()
    corners = ((0.0, 0.0), (0.003, 0.0), (0.003, 0.003), (0.0, 0.003))
    nodes = "".join(
        node(f"{side}{n}", 50.0 + reach * (x - 0.0015), 50.0 + reach * (y - 0.0015))
        for side, reach in (("i", 1.0), ("o", 2000.0))
        for n, (x, y) in enumerate(corners)
    )
    ways = "".join(way(f"{side}{n}", (f"{side}{n}", f"{side}{(n + 1) % 4}")) for side in "io" for n in range(4))
    ring = "".join(lanelet(str(n), f"i{n}", f"o{n}") for n in range(4))
    layout = written(tmp_path, osm(ring, nodes=nodes, ways=ways))
    assert layout.ego.position_world_m.shape == (360, 3)
    assert time.process_time() - begin_s < 2.0


def test_doctests_hold() -> None:
    for module in (fittings, earth, sun):
        failed, attempted = doctest.testmod(module)
        assert failed == 0 and attempted > 0


def test_a_missing_pyproj_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyproj", None)
    with pytest.raises(DependencyError, match=r"scenegen\[geo\]"):
        written(tmp_path, osm())


def test_of_a_large_map_only_what_is_near_the_way_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanelet2_read, "LARGE_MAP_M", 100.0)
    nodes = "".join(node(f"far{n}", 40.0 * (n // 2), 5_000.0 + 4.0 * (n % 2)) for n in range(4))
    ways = way("f0", ("far0", "far2"), type="line_thin") + way("f1", ("far1", "far3"))
    layout = written(tmp_path, osm(LANES, lanelet("30", "f1", "f0"), nodes=NODES + nodes, ways=WAYS + ways))
    assert [lane.lane_id for lane in layout.road_map.lanes] == ["10", "11", "12"]
    assert max(np.abs(line.points_world_m).max() for line in layout.road_map.lane_lines) < 200.0
    assert "1 of 4 lanelets" in lost(layout)
