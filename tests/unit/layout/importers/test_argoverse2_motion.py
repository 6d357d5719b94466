"""Argoverse 2 motion forecasting: a scenario written by the test in the published columns, and damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M
from scenegen.layout.sources import read_layout
from scenegen.types import AgentCategory, Layout
from tests.conftest import need_recorded
from tests.unit.layout.importers.conftest import argoverse2_map
from tests.unit.layout.importers.motion_world import ACTORS, EGO
from tests.unit.layout.importers.refusal import assert_refused

pytest.importorskip("pyarrow", reason="PyArrow is not installed (extra `generate`)")

NUM_STEPS = 20
ORIGIN_CITY_M = np.array([1000.0, 500.0])
KIND = {"car": "vehicle", "pedestrian": "pedestrian", "cyclist": "cyclist"}
Columns = dict[str, list[Any]]


def columns() -> Columns:
    names = ("observed", "track_id", "object_type", "object_category", "timestep", "position_x", "position_y",
             "heading", "velocity_x", "velocity_y", "scenario_id", "start_timestamp", "end_timestamp", "num_timestamps",
             "focal_track_id", "city")  # fmt: skip
    table: Columns = {name: [] for name in names}
    for actor in (*ACTORS, EGO):
        for step in range(NUM_STEPS):
            t_s = np.array(step / 10.0)
            if not actor.seen_s[0] <= t_s <= actor.seen_s[1]:
                continue
            x, y = actor.at(t_s) + ORIGIN_CITY_M
            vx, vy = actor.velocity(t_s)
            quality = {"car": 3, "walker": 0, "bike": 2, "ego": 1}[actor.name]
            row = (step < 10, "AV" if actor is EGO else actor.name, KIND[actor.kind], quality, step, x, y,
                   float(actor.heading(t_s)), vx, vy, "0a0af725", 315_969_629_019_741_000, 315_969_630_919_741_000,
                   NUM_STEPS, "car", "washington-dc")  # fmt: skip
            for name, value in zip(names, row, strict=True):
                table[name].append(value)
    return table


def write(folder: Path, table: Columns, *, map_text: str | None = None) -> Path:
    import pyarrow
    from pyarrow import parquet

    folder.mkdir(exist_ok=True)
    parquet.write_table(pyarrow.table(table), folder / "scenario_0a0af725.parquet")
    text = json.dumps(argoverse2_map()) if map_text is None else map_text
    (folder / "log_map_archive_0a0af725.json").write_text(text)
    return folder


def track(layout: Layout, name: str) -> Any:
    return next(agent for agent in layout.agents if agent.agent_id == name)


@pytest.mark.parametrize("source", ["av2_motion", "av2"])
def test_tracks_are_where_the_street_says(tmp_path: Path, source: str) -> None:
    layout = read_layout(f"{source}:{write(tmp_path, columns())}")
    assert (layout.layout_id, layout.timeline.num_steps, layout.timeline.rate_hz) == ("av2_motion-0a0af725", 20, 10.0)
    t_s = np.arange(NUM_STEPS) / 10.0
    axle_m = np.array([0.0, 1.5 - EGO_CENTER_FROM_AXLE_M])
    np.testing.assert_allclose(layout.ego.position_world_m[:, :2], EGO.at(t_s) - EGO.at(t_s)[0], atol=1e-9)
    np.testing.assert_allclose(layout.ego.velocity_world_mps, EGO.velocity(t_s), atol=1e-6)
    for actor in ACTORS:
        agent = track(layout, actor.name)
        seen = (t_s >= actor.seen_s[0]) & (t_s <= actor.seen_s[1])
        assert (agent.valid == seen).all()
        np.testing.assert_allclose(agent.center_world_m[seen, :2], actor.at(t_s[seen]) - axle_m, atol=1e-6)
        np.testing.assert_allclose(agent.heading_rad[seen], actor.heading(t_s[seen]), atol=1e-9)
        np.testing.assert_allclose(agent.velocity_world_mps[seen], actor.velocity(t_s[seen]), atol=1e-6)
        assert agent.center_world_m[0, 2] == agent.size_lwh_m[2] / 2


def test_stated_velocities_agree_with_differences_of_positions(tmp_path: Path) -> None:
    layout = read_layout(f"av2_motion:{write(tmp_path, columns())}")
    for agent in layout.agents:
        points_m = agent.center_world_m[agent.valid, :2]
        moved_mps = (points_m[2:] - points_m[:-2]) * 5.0
        np.testing.assert_allclose(agent.velocity_world_mps[agent.valid][1:-1], moved_mps, atol=0.02)
    assert layout.report is not None and not any("agreement" in what for what in layout.report.lost)


def test_velocities_that_disagree_are_said(tmp_path: Path) -> None:
    table = columns()
    table["velocity_y"] = [
        -v if name == "car" else v for name, v in zip(table["track_id"], table["velocity_y"], strict=True)
    ]
    layout = read_layout(f"av2_motion:{write(tmp_path, table)}")
    assert layout.report is not None
    assert any("stated velocities of 1 of 3 tracks (the first is 'car')" in what for what in layout.report.lost)


def test_counts_categories_and_map(tmp_path: Path) -> None:
    layout = read_layout(f"av2_motion:{write(tmp_path, columns())}")
    assert layout.report is not None
    assert layout.report.counts == {
        "tracks": 4, "states": 68, "track fragments": 1, "unscored tracks": 1, "scored tracks": 1, "focal tracks": 1,
    }  # fmt: skip
    kinds = {agent.agent_id: (agent.category, agent.attribute) for agent in layout.agents}
    assert kinds == {
        "bike": (AgentCategory.BICYCLE, "cycle.with_rider"),
        "car": (AgentCategory.CAR, ""),
        "walker": (AgentCategory.PEDESTRIAN, ""),
    }
    axle_m = 1.5 - EGO_CENTER_FROM_AXLE_M
    assert layout.road_map.lanes[0].centerline_world_m[0, :2] == pytest.approx([0.25, -20.0 - axle_m])
    assert "not commercial" in layout.licence and layout.environment.prompt == "a city street in Washington Dc by day"


def test_rows_may_come_in_any_order(tmp_path: Path) -> None:
    table = columns()
    order = np.random.default_rng(3).permutation(len(table["timestep"]))
    shuffled = {name: [cells[row] for row in order] for name, cells in table.items()}
    first = read_layout(f"av2_motion:{write(tmp_path / 'a', table)}")
    second = read_layout(f"av2_motion:{write(tmp_path / 'b', shuffled)}")
    for one, other in zip(first.agents, second.agents, strict=True):
        assert (one.agent_id, one.center_world_m.tobytes()) == (other.agent_id, other.center_world_m.tobytes())


def changed(name: str, value: object, row: int = 0) -> Callable[[Columns], None]:
    def edit(table: Columns) -> None:
        table[name][row] = value

    return edit


def all_of(name: str, value: object) -> Callable[[Columns], None]:
    def edit(table: Columns) -> None:
        table[name] = [value] * len(table[name])

    return edit


def without(name: str, value: object) -> Callable[[Columns], None]:
    """Drop the rows where a column has a value."""

    def edit(table: Columns) -> None:
        kept = [row for row, cell in enumerate(table[name]) if cell != value]
        for column in table:
            table[column] = [table[column][row] for row in kept]

    return edit


def drop(name: str) -> Callable[[Columns], None]:
    return lambda table: table.pop(name)  # type: ignore[return-value]


def ego_gap(table: Columns) -> None:
    row = next(r for r, (name, step) in enumerate(zip(table["track_id"], table["timestep"], strict=True))
               if (name, step) == ("AV", 7))  # fmt: skip
    for column in table.values():
        del column[row]


CASES: dict[str, tuple[Callable[[Columns], Any], str]] = {
    "no heading": (drop("heading"), "no heading"),
    "position is NaN": (changed("position_x", float("nan"), 5), "position_x"),
    "velocity is infinite": (changed("velocity_y", float("inf"), 2), "velocity_y"),
    "position is huge": (changed("position_y", 1e12), "more than 1e+07"),
    "position is text": (all_of("position_x", "here"), "numbers in column position_x"),
    "no ego": (without("track_id", "AV"), "a track 'AV'"),
    "ego with a gap": (ego_gap, "8 as its step 7"),
    "ego leaps": (changed("position_x", 9e6, -1), "track 'AV'"),
    "step before the first": (changed("timestep", -1), "track 'car'"),
    "step beyond the last": (changed("timestep", 4000), "track 'car'"),
    "step twice": (changed("timestep", 1), "another at step 1"),
    "steps as fractions": (all_of("timestep", 0.5), "whole numbers in column timestep"),
    "type changes": (changed("object_type", "bus"), "track 'car'"),
    "type of tomorrow": (all_of("object_type", "hovercraft"), "hovercraft"),
    "unnamed track": (changed("track_id", None, 3), "track_id"),
    "quality unknown": (changed("object_category", 7), "object_category"),
    "too few stamps": (all_of("num_timestamps", 3), "num_timestamps"),
    "time goes back": (all_of("end_timestamp", 315_969_600_000_000_000), "20 stamps at 10 Hz"),
    "another rate": (all_of("end_timestamp", 315_969_632_819_741_000), "20 stamps at 10 Hz"),
    "no rows": (without("city", "washington-dc"), "at least one row"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_malformed_table_is_refused_by_name(tmp_path: Path, name: str) -> None:
    edit, said = CASES[name]
    table = columns()
    edit(table)
    assert_refused(f"av2_motion:{write(tmp_path / 'in', table)}", tmp_path, "scenario_0a0af725.parquet", said)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.97])
def test_truncated_tables_are_refused(tmp_path: Path, share: float) -> None:
    folder = write(tmp_path / "in", columns())
    path = folder / "scenario_0a0af725.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert_refused(f"av2_motion:{folder}", tmp_path, "scenario_0a0af725.parquet")


def write_many_rows(folder: Path) -> None:
    """Four million equal rows are a few kilobytes on disk."""
    import pyarrow
    from pyarrow import parquet

    folder.mkdir(exist_ok=True)
    table = {name: [cells[0]] * 4_100_000 for name, cells in columns().items() if name in ("timestep", "heading")}
    parquet.write_table(pyarrow.table(table), folder / "scenario_rows.parquet")
    assert (folder / "scenario_rows.parquet").stat().st_size < 100_000


def test_a_table_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    write_many_rows(tmp_path)
    assert_refused(f"av2_motion:{tmp_path}", tmp_path, "4,100,000 rows")


def test_missing_or_broken_map_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, columns(), map_text='{"lane_segments": ')
    with pytest.raises(LayoutError, match="log_map_archive_0a0af725"):
        read_layout(f"av2_motion:{folder}")
    (folder / "log_map_archive_0a0af725.json").unlink()
    with pytest.raises(LayoutError, match="log_map_archive"):
        read_layout(f"av2_motion:{folder}")


def city_origin_m(log: Path) -> np.ndarray:
    """Where the ego is in the city at the first annotation."""
    from pyarrow import feather

    poses = feather.read_table(log / "city_SE3_egovehicle.feather").to_pydict()
    first = min(feather.read_table(log / "annotations.feather", columns=["timestamp_ns"]).column(0).to_pylist())
    row = poses["timestamp_ns"].index(first)
    return np.array([poses["tx_m"][row], poses["ty_m"][row]])


def test_a_recorded_log_told_as_a_scenario_is_the_same_street(tmp_path: Path, shared_data: Path) -> None:
    """Real tracks, real map: what a sensor log says, written in the columns of a scenario, comes back as it was."""
    log = need_recorded(shared_data / "argoverse2" / "7fab2350-7eaf-3b7e-a39d-6937a4c1bede")
    recorded = read_layout(f"av2:{log}")
    origin_m = city_origin_m(log)
    steps = recorded.timeline.num_steps
    ahead_m = EGO_CENTER_FROM_AXLE_M * recorded.ego.world_from_ego[:, :2, 0]
    named = {"CAR": "vehicle", "TRUCK": "vehicle", "PEDESTRIAN": "pedestrian", "BUS": "bus"}
    table: Columns = {name: [] for name in columns() if name != "observed"}
    states = [("AV", "vehicle", recorded.ego.position_world_m[:, :2] + ahead_m, recorded.ego.heading_rad,
               recorded.ego.velocity_world_mps, np.ones(steps, bool))]  # fmt: skip
    states += [(agent.agent_id, named.get(agent.category.name, "unknown"), agent.center_world_m[:, :2],
                agent.heading_rad, agent.velocity_world_mps, agent.valid) for agent in recorded.agents]  # fmt: skip
    for name, kind, place_m, heading_rad, velocity_mps, valid in states:
        for step in np.flatnonzero(valid).tolist():
            motion = (*(place_m[step] + origin_m).tolist(), heading_rad[step], *velocity_mps[step].tolist())
            row = (name, kind, 1, step, *motion, "log", 0, (steps - 1) * 100_000_000, steps, "AV", "miami")  # fmt: skip
            for column, value in zip(table.values(), row, strict=True):
                column.append(value)
    (map_file,) = (log / "map").glob("log_map_archive_*.json")
    folder = write(tmp_path, table, map_text=map_file.read_text())
    layout = read_layout(f"av2_motion:{folder}")
    assert layout.report is not None and not any("stated velocities" in what for what in layout.report.lost)
    assert len(layout.road_map.lanes) == len(recorded.road_map.lanes)
    for agent in recorded.agents:
        again = track(layout, agent.agent_id)
        assert (again.valid == agent.valid).all()
        np.testing.assert_allclose(again.center_world_m[:, :2], agent.center_world_m[:, :2], atol=1e-9)
        np.testing.assert_allclose(again.velocity_world_mps, agent.velocity_world_mps, atol=1e-9)
