"""L5Kit: a Zarr store of version 2 written by the test with numpy and blosc alone, and damaged ones."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenegen.errors import LayoutError
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M
from scenegen.layout.sources import read_layout
from scenegen.types import AgentCategory, Layout
from tests.unit.layout.importers.motion_world import ACTORS, EGO
from tests.unit.layout.importers.refusal import assert_refused

NUM_STEPS = 25
ORIGIN_M = np.array([680.0, -2180.0])
AXLE_M = np.array([0.0, 1.5 - EGO_CENTER_FROM_AXLE_M])
LABEL = {"car": 3, "pedestrian": 14, "cyclist": 12}
NUM_LABELS, NUM_FACES = 17, 3
SCENES = [("frame_index_interval", "<i8", (2,)), ("host", "<U16"), ("start_time", "<i8"), ("end_time", "<i8")]
FRAMES = [("timestamp", "<i8"), ("agent_index_interval", "<i8", (2,)),
          ("traffic_light_faces_index_interval", "<i8", (2,)), ("ego_translation", "<f8", (3,)),
          ("ego_rotation", "<f8", (3, 3))]  # fmt: skip
AGENTS = [("centroid", "<f8", (2,)), ("extent", "<f4", (3,)), ("yaw", "<f4"), ("velocity", "<f4", (2,)),
          ("track_id", "<u8"), ("label_probabilities", "<f4", (NUM_LABELS,))]  # fmt: skip
FACES = [("face_id", "<U16"), ("traffic_light_id", "<U16"), ("traffic_light_face_status", "<f4", (NUM_FACES,))]
Arrays = dict[str, np.ndarray]


def arrays(*, before: int = 7, agents_before: int = 11) -> Arrays:
    """Two scenes; the first is of zeros, so that the second begins inside a chunk."""
    scenes = np.zeros(2, SCENES)
    scenes["host"] = "host-a013"
    scenes["frame_index_interval"] = [[0, before], [before, before + NUM_STEPS]]
    frames, agents = np.zeros(before + NUM_STEPS, FRAMES), []
    for step in range(NUM_STEPS):
        t_s = np.array(step / 10.0)
        frame = frames[before + step]
        begin = agents_before + len(agents)
        for number, actor in enumerate(ACTORS):
            if actor.seen_s[0] <= t_s <= actor.seen_s[1]:
                row = np.zeros(1, AGENTS)
                row["centroid"], row["extent"] = actor.at(t_s) + ORIGIN_M, actor.size_lwh_m
                row["yaw"], row["velocity"], row["track_id"] = actor.heading(t_s), actor.velocity(t_s), 40 + number
                row["label_probabilities"][0, LABEL[actor.kind]] = 0.9
                agents.append(row)
        frame["agent_index_interval"] = [begin, agents_before + len(agents)]
        frame["timestamp"] = 1_572_643_684_801_892_606 + step * 100_000_000 + (step % 3) * 1_500_000
        frame["ego_translation"] = [*(EGO.at(t_s) + ORIGIN_M), 288.0]
        frame["ego_rotation"] = Rotation.from_euler("ZYX", [EGO.heading(t_s), 0.01, -0.02]).as_matrix()
    return {
        "scenes": scenes,
        "frames": frames,
        "agents": np.concatenate([np.zeros(agents_before, AGENTS), *agents]),
        "traffic_light_faces": np.zeros(0, FACES),
    }


def described(dtype: np.dtype) -> list[list[Any]]:
    out = []
    for name in dtype.names or ():
        base, shape = dtype[name].base, list(dtype[name].shape)
        out.append([name, base.str, shape] if shape else [name, base.str])
    return out


def write(root: Path, content: Arrays, *, rows: int = 16, packed: bool = True) -> Path:
    from numcodecs import Blosc

    store = root / "scenes" / "sample.zarr"
    store.mkdir(parents=True, exist_ok=True)
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    (store / ".zattrs").write_text('{"format_version": 2}')
    codec = Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE)
    for name, array in content.items():
        (store / name).mkdir(exist_ok=True)
        compressor = codec.get_config() if packed else None
        metadata = {"chunks": [rows], "compressor": compressor, "dtype": described(array.dtype), "fill_value": None,
                    "filters": None, "order": "C", "shape": [len(array)], "zarr_format": 2}  # fmt: skip
        (store / name / ".zarray").write_text(json.dumps(metadata))
        for begin in range(0, len(array), rows):
            chunk = np.zeros(rows, array.dtype)
            part = array[begin : begin + rows]
            chunk[: len(part)] = part
            content_bytes = codec.encode(chunk.tobytes()) if packed else chunk.tobytes()
            (store / name / str(begin // rows)).write_bytes(content_bytes)
    return store


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return read_layout(f"l5kit:{write(tmp_path_factory.mktemp('l5kit'), arrays())}/1")


def test_the_ego_is_where_the_recording_car_was(layout: Layout) -> None:
    t_s = np.arange(NUM_STEPS) / 10.0
    np.testing.assert_allclose(layout.ego.position_world_m[:, :2], EGO.at(t_s) - EGO.at(t_s)[0], atol=1e-6)
    np.testing.assert_allclose(layout.ego.heading_rad, np.pi / 2, atol=1e-6)
    assert (layout.layout_id, layout.timeline.num_steps) == ("l5kit-sample-1", NUM_STEPS)


@pytest.mark.parametrize("number", range(3))
def test_boxes_are_where_the_street_says(layout: Layout, number: int) -> None:
    actor, agent = ACTORS[number], layout.agents[number]
    t_s = np.arange(NUM_STEPS) / 10.0
    seen = (t_s >= actor.seen_s[0]) & (t_s <= actor.seen_s[1])
    assert agent.agent_id == str(40 + number) and (agent.valid == seen).all()
    np.testing.assert_allclose(agent.center_world_m[seen, :2], actor.at(t_s[seen]) - AXLE_M, atol=1e-6)
    np.testing.assert_allclose(agent.heading_rad[seen], actor.heading(t_s[seen]), atol=1e-5)
    np.testing.assert_allclose(agent.size_lwh_m, actor.size_lwh_m, atol=1e-5)
    points_m = agent.center_world_m[agent.valid, :2]
    moved_mps = (points_m[2:] - points_m[:-2]) * 5.0
    np.testing.assert_allclose(agent.velocity_world_mps[agent.valid][1:-1], moved_mps, atol=0.02)


def test_labels_counts_and_what_is_lost(layout: Layout) -> None:
    assert [(agent.category, agent.attribute) for agent in layout.agents] == [
        (AgentCategory.CAR, ""), (AgentCategory.PEDESTRIAN, ""), (AgentCategory.BICYCLE, "cycle.with_rider"),
    ]  # fmt: skip
    assert layout.report is not None
    assert layout.report.counts == {"frames": 25, "tracks": 3, "CAR": 1, "CYCLIST": 1, "PEDESTRIAN": 1}
    assert "the source has no map" in layout.report.lost[0]
    assert not any("stated velocities" in what for what in layout.report.lost)


def test_chunks_without_packing_are_the_same(tmp_path: Path, layout: Layout) -> None:
    plain = read_layout(f"l5kit:{write(tmp_path, arrays(), rows=1000, packed=False)}/1")
    for one, other in zip(plain.agents, layout.agents, strict=True):
        assert one.center_world_m.tobytes() == other.center_world_m.tobytes()


def test_the_likeliest_label_of_a_track_counts(tmp_path: Path) -> None:
    content = arrays()
    rows = np.flatnonzero(content["agents"]["track_id"] == 40)
    content["agents"]["label_probabilities"][rows[:5], 3] = 0.0
    content["agents"]["label_probabilities"][rows[:5], 7] = 0.99
    content["agents"]["label_probabilities"][content["agents"]["track_id"] == 41] = 0.0
    agents = read_layout(f"l5kit:{write(tmp_path, content)}/1").agents
    assert [(agent.category, agent.source_category) for agent in agents[:2]] == [
        (AgentCategory.CAR, "CAR"), (AgentCategory.OTHER, "NOT_SET"),
    ]  # fmt: skip


def test_a_number_is_needed_where_there_are_more_scenes(tmp_path: Path) -> None:
    store = write(tmp_path, arrays())
    with pytest.raises(LayoutError, match="2 scenes"):
        read_layout(f"l5kit:{store}")
    with pytest.raises(LayoutError, match="expected a scene 2"):
        read_layout(f"l5kit:{store}/2")
    content = arrays(before=0, agents_before=0)
    content["scenes"] = content["scenes"][1:]
    assert read_layout(f"l5kit:{write(tmp_path / 'one', content)}").layout_id == "l5kit-sample-0"


def cell(array: str, name: str, row: int, value: object) -> Callable[[Arrays], None]:
    def edit(content: Arrays) -> None:
        content[array][name][row] = value

    return edit


VALUES: dict[str, tuple[Callable[[Arrays], None], str]] = {
    "scene beyond the frames": (cell("scenes", "frame_index_interval", 1, [7, 99]), "rows within 0 to 32"),
    "scene that ends before it begins": (cell("scenes", "frame_index_interval", 1, [30, 8]), "2 to 20,000 frames"),
    "scene from before the first": (cell("scenes", "frame_index_interval", 1, [-5, 8]), "rows within"),
    "scene without end": (cell("scenes", "frame_index_interval", 1, [0, 2**62]), "2 to 20,000 frames"),
    "time goes back": (cell("frames", "timestamp", 12, 0), "timestamps at 10 Hz"),
    "time leaps": (cell("frames", "timestamp", 31, 2**62), "timestamps at 10 Hz"),
    "ego is NaN": (cell("frames", "ego_translation", 9, [np.nan, 0, 0]), "ego_translation"),
    "ego is not on Earth": (cell("frames", "ego_translation", 9, [1e15, 0, 0]), "more than 1e+07"),
    "ego leaps": (cell("frames", "ego_translation", 9, [9e6, 0, 0]), "at most 70 m/s"),
    "rotation of zeros": (cell("frames", "ego_rotation", 8, np.zeros((3, 3))), "orthonormal"),
    "rotation that stretches": (cell("frames", "ego_rotation", 8, 1.01 * np.eye(3)), "at step 1"),
    "rotation that mirrors": (cell("frames", "ego_rotation", 8, np.diag([1.0, 1.0, -1.0])), "mirrors"),
    "rotation is NaN": (cell("frames", "ego_rotation", 8, np.full((3, 3), np.nan)), "ego_rotation"),
    "agents beyond the end": (cell("frames", "agent_index_interval", 31, [67, 2**40]), "agent"),
    "agents overlap": (cell("frames", "agent_index_interval", 10, [11, 20]), "at step 3"),
    "agents go back": (cell("frames", "agent_index_interval", 7, [11, 5]), "at step 0"),
    "centroid is NaN": (cell("agents", "centroid", 12, [np.nan, 0.0]), "centroid"),
    "yaw is infinite": (cell("agents", "yaw", 13, np.inf), "yaw"),
    "velocity is NaN": (cell("agents", "velocity", 13, np.nan), "velocity"),
    "track twice in a frame": (cell("agents", "track_id", 12, 40), "track 40"),
}  # fmt: skip


def refused(store: Path, said: str) -> None:
    assert_refused(f"l5kit:{store}/1", store.parents[1], "sample.zarr", said)


@pytest.mark.parametrize("name", VALUES)
def test_malformed_rows_are_refused_by_name(tmp_path: Path, name: str) -> None:
    edit, said = VALUES[name]
    content = arrays()
    edit(content)
    refused(write(tmp_path, content), said)


def test_boxes_without_a_volume_are_refused(tmp_path: Path) -> None:
    content = arrays()
    content["agents"]["extent"][:, 2] = 0.0
    refused(write(tmp_path, content), "track 40: expected positive length, width and height")


def metadata(array: str, **changes: Any) -> Callable[[Path], None]:
    def edit(store: Path) -> None:
        path = store / array / ".zarray"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


def field(array: str, name: str, *entry: Any) -> Callable[[Path], None]:
    """Describe a field otherwise, or leave it out."""

    def edit(store: Path) -> None:
        path = store / array / ".zarray"
        content = json.loads(path.read_text())
        content["dtype"] = [([name, *entry] if old[0] == name else old) for old in content["dtype"]
                            if entry or old[0] != name]  # fmt: skip
        path.write_text(json.dumps(content))

    return edit


def content_of(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda store: (store / name).write_bytes(change((store / name).read_bytes()))  # type: ignore[return-value]


def claims(unpacked: int) -> Callable[[bytes], bytes]:
    return lambda chunk: chunk[:4] + struct.pack("<I", unpacked) + chunk[8:]


RAN = "a_pickle_of_a_store_ran"
"""Left in the working directory, which is the test's own, if a pickle is ever opened."""


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(RAN),))


STORES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no group": (lambda store: (store / ".zgroup").unlink(), ".zgroup"),
    "no frames": (lambda store: (store / "frames" / ".zarray").unlink(), "frames/.zarray"),
    "metadata cut": (content_of("agents/.zarray", lambda text: text[:50]), "agents/.zarray"),
    "metadata deep": (content_of("agents/.zarray", lambda _: b"[" * 200_000), "agents/.zarray"),
    "metadata is a list": (content_of("agents/.zarray", lambda _: b"[]"), "agents/.zarray"),
    "metadata is huge": (content_of("agents/.zarray", lambda _: b" " * 2**21), "at most 1,048,576 bytes"),
    "version 3": (metadata("agents", zarr_format=3), "zarr_format 2"),
    "two dimensions": (metadata("frames", shape=[32, 2], chunks=[16, 2]), "one dimension"),
    "negative shape": (metadata("frames", shape=[-3]), "one dimension"),
    "chunks of nothing": (metadata("agents", chunks=[0]), "agents/.zarray: chunks"),
    "chunks of everything": (metadata("agents", chunks=[2**40]), "chunks of 1 to 67,108,864 bytes"),
    "more rows than chunks": (metadata("scenes", shape=[2**50], chunks=[1]), "scenes/"),
    "filters": (metadata("agents", filters=[{"id": "pickle"}]), "no filters"),
    "unknown packing": (metadata("agents", compressor={"id": "pickle"}), "compressor"),
    "objects": (metadata("agents", dtype="|O", filters=[{"id": "pickle"}]), "dtype"),
    "field of objects": (field("agents", "yaw", "|O"), "'yaw' of type '|O'"),
    "field of raw bytes": (field("agents", "yaw", "|V4"), "'yaw' of type '|V4'"),
    "big-endian": (field("agents", "yaw", ">f4"), "'yaw' of type '>f4'"),
    "field is missing": (field("frames", "ego_rotation"), "a field 'ego_rotation'"),
    "field of another kind": (field("agents", "centroid", "<i8", [2]), "'centroid' of kind f"),
    "field of another shape": (field("agents", "label_probabilities", "<f4", [4]), "label_probabilities"),
    "shape without end": (field("agents", "extent", "<f4", [10**9]), "a small shape"),
    "field twice": (
        metadata("agents", dtype=[["yaw", "<f4"], ["yaw", "<f4"]]), "different names of fields"),
    "chunk is missing": (lambda store: (store / "frames" / "1").unlink(), "frames/1"),
    "chunk is empty": (content_of("frames/1", lambda _: b""), "frames/1"),
    "chunk is cut": (content_of("agents/2", lambda chunk: chunk[:-5]), "agents/2"),
    "chunk is a pickle": (content_of("agents/1", lambda _: pickle.dumps(_Runs())), "agents/1"),
    "chunk unpacks to gigabytes": (content_of("agents/1", claims(2**32 - 1)), "4,294,967,295"),
    "chunk unpacks to less": (content_of("agents/1", claims(16)), "unpacks to"),
    "chunk is noise behind its head": (
        content_of("agents/1", lambda chunk: chunk[:16] + bytes(range(256))[: len(chunk) - 16].ljust(len(chunk) - 16)),
        "agents/1"),
}  # fmt: skip


@pytest.mark.parametrize("name", STORES)
def test_damaged_stores_are_refused_by_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    change, said = STORES[name]
    store = write(tmp_path, arrays())
    change(store)
    refused(store, said)
    assert not (tmp_path / RAN).exists()


def test_the_zarr_library_does_not_read_such_stores(tmp_path: Path) -> None:
    """The reason for a reader of our own; once this fails, use the library."""
    import zarr

    with pytest.raises(ValueError, match="No Zarr data type found"):
        zarr.open_group(write(tmp_path, arrays()), mode="r", zarr_format=2)["agents"]
