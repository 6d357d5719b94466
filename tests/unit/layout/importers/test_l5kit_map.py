"""L5Kit's semantic map: written byte by byte by the test, placed on Earth by formulas of its own, and damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely

from scenegen.errors import LayoutError
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M
from scenegen.layout.sources import read_layout
from scenegen.types import Layout
from tests.unit.layout.importers import test_l5kit
from tests.unit.layout.importers.protobuf_wire import block, fixed, number, single, varint, zigzag
from tests.unit.layout.importers.refusal import assert_refused

pytest.importorskip("pyproj", reason="pyproj is not installed (extra `geo`)")
pytest.importorskip("google.protobuf", reason="protobuf is not installed (extra `waymo`)")

LATITUDE_DEG, LONGITUDE_DEG = 37.4285, -122.1612
"""Where the world of the test lies; its axes are east, north and up there."""
E2, A_M = 0.00669437999014, 6378137.0
AXLE_M = np.array([0.0, 1.5 - EGO_CENTER_FROM_AXLE_M])


def ecef(latitude_deg: float, longitude_deg: float) -> np.ndarray:
    lat, lon = np.radians([latitude_deg, longitude_deg])
    normal_m = A_M / np.sqrt(1.0 - E2 * np.sin(lat) ** 2)
    return np.array([normal_m * np.cos(lat) * np.cos(lon), normal_m * np.cos(lat) * np.sin(lon),
                     normal_m * (1.0 - E2) * np.sin(lat)])  # fmt: skip


def axes(latitude_deg: float, longitude_deg: float) -> np.ndarray:
    """East, north and up as columns, by differences of places."""
    step = 1e-5
    here = ecef(latitude_deg, longitude_deg)
    east = ecef(latitude_deg, longitude_deg + step) - here
    north = ecef(latitude_deg + step, longitude_deg) - here
    east, north = east / np.linalg.norm(east), north / np.linalg.norm(north)
    return np.column_stack([east, north, np.cross(east, north)])


def meta() -> str:
    """The street's origin, at `test_l5kit.ORIGIN_M` of the store's world, is where the test lies on Earth."""
    turn = axes(LATITUDE_DEG, LONGITUDE_DEG)
    place = ecef(LATITUDE_DEG, LONGITUDE_DEG) - turn[:, :2] @ test_l5kit.ORIGIN_M
    matrix = np.vstack([np.column_stack([turn, place]), [0.0, 0.0, 0.0, 1.0]])
    return json.dumps({"world_to_ecef": matrix.tolist()})


FRAME_DEG = (37.4290, -122.1610)
"""Of the elements: some fifty metres off."""
BEARING_DEG = 30.0


def frame() -> bytes:
    origin = fixed(1, round(FRAME_DEG[0] * 1e7)) + fixed(2, round(FRAME_DEG[1] * 1e7))
    return block(1, origin) + single(2, BEARING_DEG)


def local_cm(places: list[tuple[float, float]]) -> np.ndarray:
    """Places of the street in the elements' frame, whose y axis is `BEARING_DEG` clockwise from north."""
    turn = axes(LATITUDE_DEG, LONGITUDE_DEG)
    there = axes(*FRAME_DEG)
    bearing = np.radians(BEARING_DEG)
    x_axis = np.cos(bearing) * there[:, 0] - np.sin(bearing) * there[:, 1]
    y_axis = np.sin(bearing) * there[:, 0] + np.cos(bearing) * there[:, 1]
    out = []
    for x, y in places:
        offset = ecef(LATITUDE_DEG, LONGITUDE_DEG) + turn[:, :2] @ [x, y] - ecef(*FRAME_DEG)
        out.append([offset @ x_axis, offset @ y_axis])
    return np.round(np.array(out) * 100.0).astype(int)


def deltas(fields: tuple[int, int], places: list[tuple[float, float]]) -> bytes:
    cm = np.diff(local_cm(places), axis=0, prepend=0)
    return block(fields[0], zigzag(cm[:, 0].tolist())) + block(fields[1], zigzag(cm[:, 1].tolist()))


def boundary(x: float, *dividers: int, changes_cm: tuple[int, ...] = (), back: bool = False) -> bytes:
    ys = np.linspace(-40.0, 100.0, 29)[:: -1 if back else 1]
    out = deltas((1, 2), [(x, float(y)) for y in ys])
    out += block(4, b"".join(varint(kind) for kind in dividers))
    return out + (block(5, b"".join(varint(change) for change in changes_cm)) if changes_cm else b"")


def element(name: str, kind: int, content: bytes) -> bytes:
    return block(2, block(1, block(1, name)) + block(2, block(kind, content)))


def lane(name: str, left: bytes, right: bytes, *, parent: str = "segment", access: int = 0) -> bytes:
    content = block(1, block(1, parent)) + block(2, frame()) + block(3, left) + block(4, right)
    return element(name, 3, content + (block(11, number(1, access)) if access else b"") + block(5, block(1, "ahead")))


def elements() -> list[bytes]:
    ring = [(-5.25, 30.0), (1.75, 30.0), (1.75, 33.0), (-5.25, 33.0)]
    crossing = block(2, frame()) + deltas((3, 4), ring) + block(16, b"") + number(48, 4)
    return [
        element("segment", 1, single(9, 11.2) + number(6, 6)),
        element("junction", 5, number(4, 1)),
        lane("north", boundary(-1.7, 6), boundary(1.75, 5, 3, changes_cm=(9_000,))),
        # The way of its segment is north, too; it is driven southwards.
        lane("south", boundary(-1.8, 6, back=False), boundary(-5.25, 12, back=False)),
        lane("bike", boundary(1.9, 0), boundary(3.4, 12), access=4, parent="junction"),
        element("zebra", 4, crossing),
        element("light", 4, block(2, frame()) + block(29, b"")),
        element("stub", 3, block(2, frame())),
        lane("far", boundary(9_000.0, 3), boundary(9_003.0, 3)),
    ]


def write(root: Path, content: bytes, *, meta_text: str | None = None) -> Path:
    store = test_l5kit.write(root, test_l5kit.arrays())
    (root / "semantic_map").mkdir(exist_ok=True)
    (root / "semantic_map" / "semantic_map.pb").write_bytes(content)
    (root / "meta.json").write_text(meta() if meta_text is None else meta_text)
    return store


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return read_layout(f"l5kit:{write(tmp_path_factory.mktemp('l5kit_map'), b''.join(elements()))}/1")


def test_lanes_are_where_they_are_on_earth(layout: Layout) -> None:
    lanes = {lane.lane_id: lane for lane in layout.road_map.lanes}
    assert list(lanes) == ["north", "south", "bike"]
    begin = np.array([0.025, -40.0]) - AXLE_M
    np.testing.assert_allclose(lanes["north"].centerline_world_m[0, :2], begin, atol=0.02)
    np.testing.assert_allclose(lanes["north"].centerline_world_m[-1, :2], begin + np.array([0.0, 140.0]), atol=0.02)
    assert lanes["north"].width_m == pytest.approx(3.45, abs=0.02)
    assert lanes["north"].speed_limit_mps == pytest.approx(11.2)
    assert (lanes["bike"].kind, lanes["bike"].is_intersection, lanes["bike"].speed_limit_mps) == ("bike", True, None)


def test_a_lane_runs_so_that_its_left_is_on_the_left(layout: Layout) -> None:
    lanes = {lane.lane_id: lane.centerline_world_m for lane in layout.road_map.lanes}
    assert lanes["north"][-1, 1] > lanes["north"][0, 1]
    assert lanes["south"][-1, 1] < lanes["south"][0, 1]


def test_dividers_are_painted_once_and_change_where_they_change(layout: Layout) -> None:
    lines = [(line.kind, line.color, line.points_world_m[[0, -1], :2] + AXLE_M) for line in layout.road_map.lane_lines]
    assert [(kind, color) for kind, color, _ in lines] == [
        ("double_solid", "yellow"), ("dashed", "white"), ("solid", "white"),
    ]  # fmt: skip
    np.testing.assert_allclose(lines[1][2], [[1.75, -40.0], [1.75, 50.0]], atol=0.02)
    np.testing.assert_allclose(lines[2][2], [[1.75, 50.0], [1.75, 100.0]], atol=0.02)


def test_areas_counts_and_what_is_lost(layout: Layout) -> None:
    road = shapely.union_all([shapely.Polygon(area.polygon_world_m) for area in layout.road_map.areas_of("drivable")])
    assert road.bounds[0] == pytest.approx(-5.25, abs=0.05) and road.bounds[2] == pytest.approx(3.4, abs=0.05)
    assert road.geom_type == "Polygon"
    (crossing,) = layout.road_map.areas_of("crossing")
    np.testing.assert_allclose(crossing.polygon_world_m[0], np.array([-5.25, 30.0]) - AXLE_M, atol=0.02)
    assert layout.report is not None
    assert layout.report.counts["map lanes nearby"] == 3 and layout.report.counts["map crossings nearby"] == 1
    assert "of the map: 1 lights, signs, stop lines and humps" in layout.report.lost


def huge(values: int) -> bytes:
    left = block(1, zigzag([2**31 - 1] * values)) + block(2, zigzag([0] * values))
    return lane("huge", left, boundary(1.0, 3))


def uneven() -> bytes:
    return lane("uneven", block(1, zigzag([1, 2, 3])) + block(2, zigzag([1, 2])), boundary(1.0, 3))


def off_earth() -> bytes:
    frame_content = block(1, fixed(1, 2**31 - 1) + fixed(2, 0))
    return element("off", 3, block(2, frame_content) + block(3, boundary(0.0, 3)) + block(4, boundary(3.0, 3)))


def turned(bearing: float) -> bytes:
    content = (
        block(2, block(1, fixed(1, 0)) + single(2, bearing)) + block(3, boundary(0.0, 3)) + block(4, boundary(3.0, 3))
    )
    return element("turned", 3, content)


MAPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "noise": (lambda: bytes(range(256)) * 9, "a MapFragment message"),
    "cut": (lambda: b"".join(elements())[:-40], "a MapFragment message"),
    "length beyond the end": (lambda: b"\x12\xff\xff\xff\xff\x0f", "a MapFragment message"),
    "groups without end": (lambda: b"\x0b" * 2**20, "a MapFragment message"),
    "too large": (lambda: b"\x00" * (16 * 2**20 + 1), "at most 16,777,216 bytes"),
    "elements without end": (lambda: b"\x12\x00" * 2**20, "at most 100,000 elements"),
    "elements behind a number": (lambda: b"\x18\x01" + b"\x12\x00" * 2**20, "at most 100,000 elements"),
    "elements behind a group": (lambda: b"\x1b\x1c" + b"\x12\x00" * 2**20, "wire type 3"),
    "more x than y": (uneven, "lane 'uneven': expected as many x as y"),
    "deltas that leave the Earth": (lambda: huge(600), "coordinates"),
    "frame off the Earth": (off_earth, "a latitude"),
    "bearing is NaN": (lambda: turned(float("nan")), "a bearing"),
}
MIRROR = np.diag([1.0, 1.0, -1.0, 1.0])
METAS: dict[str, tuple[str, str]] = {
    "no matrix": ("{}", "world_to_ecef"),
    "cut": ('{"world_to_ecef": [[1', "meta.json"),
    "matrix of another shape": ('{"world_to_ecef": [[1, 0], [0, 1]]}', "(4, 4)"),
    "matrix that stretches": (json.dumps({"world_to_ecef": (2.0 * np.eye(4)).tolist()}), "a rigid transform"),
    "matrix that mirrors": (
        json.dumps({"world_to_ecef": MIRROR.tolist()}),
        "a rigid transform",
    ),
    "matrix of NaN": (json.dumps({"world_to_ecef": (np.nan * np.eye(4)).tolist()}), "NaN"),
}


@pytest.mark.parametrize("name", MAPS)
def test_malformed_map_is_refused_by_name(tmp_path: Path, name: str) -> None:
    content, said = MAPS[name]
    assert_refused(f"l5kit:{write(tmp_path, content())}/1", tmp_path, "semantic_map.pb", said)


@pytest.mark.parametrize("name", METAS)
def test_malformed_place_on_earth_is_refused_by_name(tmp_path: Path, name: str) -> None:
    text, said = METAS[name]
    store = write(tmp_path, b"".join(elements()), meta_text=text)
    assert_refused(f"l5kit:{store}/1", tmp_path, "meta.json", said)


def test_an_ego_off_the_map_is_refused(tmp_path: Path) -> None:
    beside = [lane("beside", boundary(40.0, 3), boundary(43.0, 3))]
    with pytest.raises(LayoutError, match="the ego on drivable areas"):
        read_layout(f"l5kit:{write(tmp_path, b''.join(beside))}/1")
