"""Waymo Open Motion: scenarios written byte by byte by the test in the published format, and damaged ones."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M
from scenegen.layout.sources import read_layout
from scenegen.types import AgentCategory, Layout
from tests.unit.layout.importers.motion_world import ACTORS, EGO, Actor
from tests.unit.layout.importers.protobuf_wire import block, crc32c, double, number, single, tfrecord, varint
from tests.unit.layout.importers.refusal import assert_refused

pytest.importorskip("google.protobuf", reason="protobuf is not installed (extra `waymo`)")

NUM_STEPS = 20
ORIGIN_M = np.array([-7300.0, 2150.0])
TYPE = {"car": 1, "pedestrian": 2, "cyclist": 3}
AXLE_M = np.array([0.0, 1.5 - EGO_CENTER_FROM_AXLE_M])
Track = list[bytes]


def state(actor: Actor, step: int, **changes: float) -> bytes:
    t_s = np.array(step / 10.0)
    if not actor.seen_s[0] <= t_s <= actor.seen_s[1]:
        return number(11, 0) + double(2, -1.0)
    x, y = actor.at(t_s) + ORIGIN_M
    vx, vy = actor.velocity(t_s)
    length, width, height = actor.size_lwh_m
    values = {"x": x, "y": y, "z": 40.0, "length": length, "width": width, "height": height,
              "heading": float(actor.heading(t_s)), "vx": vx, "vy": vy, **changes}  # fmt: skip
    doubles = b"".join(double(2 + idx, values[name]) for idx, name in enumerate("xyz"))
    floats = ("length", "width", "height", "heading", "vx", "vy")
    return doubles + b"".join(single(5 + idx, values[name]) for idx, name in enumerate(floats)) + number(11, 1)


def tracks() -> list[Track]:
    """Id, type, then one block per state."""
    return [
        [
            number(1, 100 + idx),
            number(2, TYPE[actor.kind]),
            *(block(3, state(actor, step)) for step in range(NUM_STEPS)),
        ]
        for idx, actor in enumerate((*ACTORS, EGO))
    ]


def point(x: float, y: float) -> bytes:
    return double(1, x + ORIGIN_M[0]) + double(2, y + ORIGIN_M[1]) + double(3, 40.0)


def polyline(field: int, *places: tuple[float, float]) -> bytes:
    return b"".join(block(field, point(x, y)) for x, y in places)


def features() -> list[bytes]:
    """Two lanes either side of a double yellow line, the right one to a road edge; signs, crossings, a driveway."""
    ys = np.linspace(-30.0, 90.0, 61)

    def along(field: int, x: float) -> bytes:
        return polyline(field, *((x, float(y)) for y in ys))

    def boundary(line: int) -> bytes:
        return number(1, 0) + number(2, len(ys) - 1) + number(3, line) + number(4, 7)

    north = (
        double(1, 25.0)
        + number(2, 2)
        + along(8, 0.0)
        + block(9, varint(7))
        + block(13, boundary(3))
        + block(14, boundary(4))
    )
    south = number(2, 1) + along(8, -3.5)[::1] + block(13, boundary(3))
    bike = number(2, 3) + number(3, 1) + polyline(8, (3.0, -30.0), (3.0, 90.0))
    ring = [(-6.0, 30.0), (3.5, 30.0), (3.5, 33.0), (-6.0, 33.0)]
    return [
        number(1, 1) + block(3, north),
        number(1, 2) + block(3, south),
        number(1, 5) + block(3, bike),
        number(1, 3) + block(4, number(1, 7) + along(2, -1.75)),
        number(1, 4) + block(5, number(1, 1) + along(2, 5.0)),
        number(1, 6) + block(7, number(1, 1) + block(2, point(6.0, 28.0))),
        number(1, 7) + block(8, polyline(1, *ring)),
        number(1, 8) + block(9, polyline(1, *ring)),
        number(1, 9) + block(10, polyline(1, (5.0, 50.0), (12.0, 50.0), (12.0, 56.0), (5.0, 56.0))),
        number(1, 12) + block(5, number(1, 1) + along(2, -9.5)),
        number(1, 13) + block(5, number(1, 2) + along(2, 15.0)),
        number(1, 10) + block(4, number(1, 1) + polyline(2, (0.0, 0.0))),
        number(1, 11) + block(4, number(1, 0) + polyline(2, (9.0, 0.0), (9.0, 5.0))),
    ]


def parts() -> dict[str, Any]:
    return {
        "times": [1000.0 + step / 10.0 + 0.0003 * (step % 3) for step in range(NUM_STEPS)],
        "tracks": tracks(),
        "id": "d9f1a2b3c4",
        "sdc": 3,
        "features": features(),
        "lights": [block(1, number(1, 1) + number(2, 4)) + block(1, number(1, 2) + number(2, 6))] * NUM_STEPS,
        "more": number(10, 10) + block(11, number(1, 0)) + block(12, b"\x00" * 500) + block(4, varint(100)),
    }


def scenario(content: dict[str, Any]) -> bytes:
    out = b"".join(double(1, t_s) for t_s in content["times"])
    out += b"".join(block(2, b"".join(track)) for track in content["tracks"])
    out += block(5, content["id"]) + (b"" if content["sdc"] is None else number(6, content["sdc"]))
    out += b"".join(block(7, step) for step in content["lights"])
    return out + b"".join(block(8, feature) for feature in content["features"]) + content["more"]


def write(folder: Path, *records: bytes) -> Path:
    path = folder / "training.tfrecord-00000-of-01000"
    path.write_bytes(tfrecord(records))
    return path


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return read_layout(f"waymo:{write(tmp_path_factory.mktemp('waymo'), scenario(parts()))}")


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


def test_the_ego_is_where_the_recording_car_was(layout: Layout) -> None:
    t_s = np.arange(NUM_STEPS) / 10.0
    np.testing.assert_allclose(layout.ego.position_world_m[:, :2], EGO.at(t_s) - EGO.at(t_s)[0], atol=1e-6)
    np.testing.assert_allclose(layout.ego.heading_rad, np.pi / 2, atol=1e-6)
    assert (layout.layout_id, layout.timeline.rate_hz, layout.timeline.num_steps) == ("waymo-d9f1a2b3c4", 10.0, 20)


@pytest.mark.parametrize("number_of", range(3))
def test_boxes_are_where_the_street_says(layout: Layout, number_of: int) -> None:
    actor, agent = ACTORS[number_of], layout.agents[number_of]
    t_s = np.arange(NUM_STEPS) / 10.0
    seen = (t_s >= actor.seen_s[0]) & (t_s <= actor.seen_s[1])
    assert agent.agent_id == str(100 + number_of) and (agent.valid == seen).all()
    np.testing.assert_allclose(agent.center_world_m[seen, :2], actor.at(t_s[seen]) - AXLE_M, atol=1e-6)
    np.testing.assert_allclose(agent.heading_rad[seen], actor.heading(t_s[seen]), atol=1e-5)
    np.testing.assert_allclose(agent.size_lwh_m, actor.size_lwh_m, atol=1e-5)
    points_m = agent.center_world_m[agent.valid, :2]
    np.testing.assert_allclose(
        agent.velocity_world_mps[agent.valid][1:-1], (points_m[2:] - points_m[:-2]) * 5.0, atol=0.02
    )


def test_the_map_has_lanes_widths_lines_and_areas(layout: Layout) -> None:
    import shapely

    north, south, bike = layout.road_map.lanes
    assert north.width_m == pytest.approx(6.75)  # 1.75 to the line, 5 to the road edge
    assert south.width_m == pytest.approx(6.75)  # no right boundary: as its like
    assert (bike.kind, bike.width_m, bike.is_intersection) == ("bike", 1.5, True)
    assert north.speed_limit_mps == pytest.approx(11.176) and south.speed_limit_mps is None
    np.testing.assert_allclose(north.centerline_world_m[0], [0.0, -30.0 - AXLE_M[1], 0.0], atol=1e-6)
    (line,) = layout.road_map.lane_lines
    assert (line.kind, line.color) == ("double_solid", "yellow")
    road = shapely.union_all([shapely.Polygon(area.polygon_world_m) for area in layout.road_map.areas_of("drivable")])
    assert road.bounds[2] == pytest.approx(12.0, abs=0.05)  # the driveway; the edge of a median beyond widens nothing
    assert road.bounds[0] == pytest.approx(-9.5, abs=0.15)  # 2.6 m from the lane to the outer edge, where cars park
    assert shapely.covers(road, shapely.points(layout.ego.position_world_m[:, :2])).all()
    assert len(layout.road_map.areas_of("crossing")) == 1
    (sign,) = layout.road_map.props
    assert sign.kind == "sign" and sign.heading_rad == pytest.approx(-np.pi / 2)


def test_counts_and_what_is_lost(layout: Layout) -> None:
    assert layout.report is not None
    assert layout.report.counts == {
        "tracks": 4, "cyclist": 1, "pedestrian": 1, "vehicle": 2, "lane": 3, "road_line": 3, "road_edge": 3,
        "stop_sign": 1, "crosswalk": 1, "speed_bump": 1, "driveway": 1,
    }  # fmt: skip
    said = "\n".join(layout.report.lost)
    for what in ("traffic light states of 2 lanes", "1 features of kind road_line without enough points",
                 "1 road lines of unknown type", "1 speed bumps"):  # fmt: skip
        assert what in said
    assert "stated velocities" not in said


def test_types_sizes_and_tracks_that_are_never_there(tmp_path: Path) -> None:
    content = parts()
    long = [block(3, state(ACTORS[0], step, length=9.0)) for step in range(NUM_STEPS)]
    content["tracks"] += [
        [number(1, 200), number(2, 1), *long],
        [number(1, 201), number(2, 4), *[block(3, b"")] * NUM_STEPS],
    ]
    layout = read_layout(f"waymo:{write(tmp_path, scenario(content))}")
    assert [agent.category for agent in layout.agents] == [
        AgentCategory.CAR, AgentCategory.PEDESTRIAN, AgentCategory.BICYCLE, AgentCategory.TRUCK,
    ]  # fmt: skip
    assert layout.report is not None and "1 tracks that are never valid" in layout.report.lost


def test_velocities_that_disagree_are_said(tmp_path: Path) -> None:
    content = parts()
    content["tracks"][0][2:] = [block(3, state(ACTORS[0], step, vy=6.0)) for step in range(NUM_STEPS)]
    layout = read_layout(f"waymo:{write(tmp_path, scenario(content))}")
    assert layout.report is not None
    assert any("stated velocities of 1 of 3 tracks (the first is '100')" in what for what in layout.report.lost)


def test_one_record_of_many_by_its_number(tmp_path: Path) -> None:
    second = {**parts(), "id": "another"}
    path = write(tmp_path, scenario(parts()), scenario(second))
    assert read_layout(f"waymo:{path}/1").layout_id == "waymo-another"
    with pytest.raises(LayoutError, match="2 records"):
        read_layout(f"waymo:{path}")
    with pytest.raises(LayoutError, match="expected a record 2"):
        read_layout(f"waymo:{path}/2")


def test_packed_and_unpacked_times_are_the_same(tmp_path: Path) -> None:
    content = parts()
    packed = block(1, struct.pack(f"<{NUM_STEPS}d", *content["times"]))
    layout = read_layout(f"waymo:{write(tmp_path, packed + scenario({**content, 'times': []}))}")
    assert layout.timeline.num_steps == NUM_STEPS


Edit = Callable[[dict[str, Any]], object]


def states_of(track: int, **changes: float) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        actor = (*ACTORS, EGO)[track]
        content["tracks"][track][2:] = [block(3, state(actor, step, **changes)) for step in range(NUM_STEPS)]

    return edit


def ego_gap(content: dict[str, Any]) -> None:
    content["tracks"][3][2 + 6] = block(3, number(11, 0))


def time_goes_back(content: dict[str, Any]) -> None:
    content["times"][5] = 0.0


CASES: dict[str, tuple[Edit, str]] = {
    "no id": (lambda c: c.update(id=""), "a scenario_id"),
    "no recording car": (lambda c: c.update(sdc=None), "sdc_track_index, the recording car"),
    "recording car beyond": (lambda c: c.update(sdc=4), "sdc_track_index from 0 to 3"),
    "recording car before": (lambda c: c.update(sdc=-1), "sdc_track_index from 0 to 3"),
    "recording car with a gap": (ego_gap, "tracks[3]: expected the recording car at every step, found none at step 6"),
    "recording car leaps": (lambda c: c["tracks"][3].__setitem__(9, block(3, state(EGO, 7, x=5000.0))), "tracks[3]"),
    "no times": (lambda c: c.update(times=[]), "timestamps_seconds"),
    "time goes back": (time_goes_back, "timestamps_seconds at 10 Hz"),
    "time is NaN": (lambda c: c["times"].__setitem__(3, float("nan")), "timestamps_seconds"),
    "another rate": (lambda c: c.update(times=[step / 5.0 for step in range(NUM_STEPS)]), "at 10 Hz"),
    "a state too few": (lambda c: c["tracks"][1].pop(), "tracks[1]: expected 20 states, found 19"),
    "place is NaN": (states_of(0, x=float("nan")), "tracks[0]"),
    "place is infinite": (states_of(2, y=float("inf")), "tracks[2]"),
    "place is not on Earth": (states_of(0, x=1e12), "more than 1e+07"),
    "flat box": (states_of(0, height=0.0), "tracks[0]"),
    "inside out": (states_of(1, length=-1.0), "tracks[1]"),
    "id twice": (lambda c: c["tracks"].append(c["tracks"][0]), "tracks[4]: expected unique ids, found 100 twice"),
    "feature id twice": (lambda c: c["features"].append(c["features"][0]), "map_features[13], id 1"),
    "crossing is NaN": (
        lambda c: c["features"].append(number(1, 99) + block(8, block(1, double(1, float("nan"))))), "id 99"),
    "features without end": (
        lambda c: c.update(features=[number(1, idx) for idx in range(20_001)]), "at most 20,000 map features"),
    "tracks without end": (lambda c: c["tracks"].extend([[b""]] * 5_001), "at most 5,000 tracks"),
    "steps without end": (lambda c: c.update(times=[0.1 * step for step in range(2_001)]), "2 to 2,000"),
}  # fmt: skip


def refused(path: Path, said: str) -> None:
    assert_refused(f"waymo:{path}", path.parent, path.name, said)


@pytest.mark.parametrize("name", CASES)
def test_malformed_scenario_is_refused_by_name(tmp_path: Path, name: str) -> None:
    edit, said = CASES[name]
    content = parts()
    edit(content)
    refused(write(tmp_path, scenario(content)), said)


BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "a scenario_id"),
    "noise": (bytes(range(256)) * 4, "a Scenario message"),
    "length beyond the end": (b"\x12\xff\xff\xff\xff\x0f" + b"\x00" * 40, "a Scenario message"),
    "number without end": (b"\x30" + b"\xff" * 40, "a Scenario message"),
    "groups without end": (b"\x0b" * 1_000_000, "a Scenario message"),
    "id that is no text": (block(5, b"\xff\xfe\xfd"), "expected"),
    "millions of empty states": (block(2, b"\x1a\x00" * (2**21)), "timestamps_seconds"),
}


@pytest.mark.parametrize("name", BODIES)
def test_bytes_that_are_no_scenario_are_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body, said = BODIES[name]
    path = tmp_path / "bad.tfrecord"
    if len(body) > 100_000:  # the checksum bit by bit would take minutes
        import google_crc32c

        monkeypatch.setattr("tests.unit.layout.importers.protobuf_wire.crc32c", google_crc32c.value)
    if name == "millions of empty states":
        body = block(5, "x") + body
    path.write_bytes(tfrecord([body]))
    refused(path, said)


def framed(length: int, crc: bytes | None = None, body: bytes = b"abc") -> bytes:
    from tests.unit.layout.importers.protobuf_wire import masked

    head = struct.pack("<Q", length)
    return head + (masked(head) if crc is None else crc) + body + masked(body)


FRAMES: dict[str, tuple[bytes, str]] = {
    "no bytes": (b"", "at least one record"),
    "half a head": (b"\x01\x00\x00", "at least 16 bytes"),
    "wrong checksum of the length": (framed(3, b"\x00\x00\x00\x00"), "a length with checksum"),
    "wrong checksum of the content": (framed(3)[:-1] + b"\x00", "a content with checksum"),
    "length is huge": (framed(2**63), "9,223,372,036,854,775,808 bytes"),
    "length beyond the end": (framed(4), "4 bytes"),
    "content cut": (framed(3)[:-2], "3 bytes"),
    "a text file": (b"%YAML 1.2\nhello: world, this is longer than a head\n", "a length with checksum"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_broken_framing_is_refused(tmp_path: Path, name: str) -> None:
    content, said = FRAMES[name]
    path = tmp_path / "bad.tfrecord"
    path.write_bytes(content)
    refused(path, said)


def test_records_larger_than_any_scenario_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "bad.tfrecord"
    path.write_bytes(framed(2**30))
    with path.open("r+b") as file:
        file.truncate(2**30 + 16)
    refused(path, "at most 8,388,608 bytes")
