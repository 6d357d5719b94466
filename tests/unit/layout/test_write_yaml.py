"""Writing a layout as YAML and reading it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.errors import OutputError
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.layout.write_yaml import write_yaml_layout
from scenegen.types.layout import Layout
from scenegen.types.layout_json import layout_to_dict
from tests.conftest import need_recorded
from tests.unit.layout.importers.nuscenes_tables import LOCATION, small_expansion, small_tables, write_tables


def differences(layout: Layout, path: Path) -> list[str]:
    """Write a layout, read it back and name everything that is not the same bit by bit."""
    write_yaml_layout(layout, path)
    before, after = layout_to_dict(layout), layout_to_dict(read_layout(str(path)))
    assert after.pop("source") == "file"
    del before["source"]
    return list(_differences(before, after, "layout"))


def _differences(before: Any, after: Any, key: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict) and set(before) == set(after):
        for name in before:
            yield from _differences(before[name], after[name], f"{key}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for idx, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, f"{key}[{idx}]")
    elif repr(before) != repr(after):  # repr tells 0.0 from -0.0
        yield f"{key}: {repr(before)[:60]} became {repr(after)[:60]}"


def start_of(reference: str, duration_s: float = 3.0) -> Layout:
    """Return the first seconds of a layout; of large maps every eighth lane, line and area."""
    layout = read_layout(reference)
    road_map = layout.road_map
    if len(road_map.lanes) > 200:
        road_map = replace(
            road_map, lanes=road_map.lanes[::8], lane_lines=road_map.lane_lines[::8], areas=road_map.areas[::8]
        )
    layout = replace(layout, road_map=road_map)
    return extend_layout(layout, duration_s=duration_s, rate_hz=layout.timeline.rate_hz)


@pytest.mark.parametrize(
    "reference",
    [
        "roundabout",
        "highway_merge | mirror",
        "cut_in | remove(left_*) | insert(car, x_m=150, y_m=-1.75, to_s=1) | environment(prompt=\"a 'foggy': #night\")",
        "procedural:4",
    ],
)
def test_written_layout_reads_back_bit_by_bit(reference: str, tmp_path: Path) -> None:
    assert differences(start_of(reference), tmp_path / "new" / "scene.yaml") == []


def test_the_mark_of_the_added_part_comes_back(tmp_path: Path) -> None:
    longer = extend_layout(start_of("cut_in", 2.0), duration_s=3.0, rate_hz=12.0)
    assert longer.recorded_until_step == 24
    assert differences(longer, tmp_path / "scene.yaml") == []


@pytest.mark.parametrize(
    "source",
    [
        "av2:argoverse2/7fab2350-7eaf-3b7e-a39d-6937a4c1bede",
        "scenarionet:nuscenes_mini/scenes/sd_nuscenes_v1.0-mini_scene-0916.pkl",
        "opendrive:opendrive_esmini/xodr/fabriksgatan.xodr",
        "openscenario:opendrive_esmini/xosc/pedestrian.xosc",
    ],
)
def test_imported_layout_reads_back_bit_by_bit(source: str, tmp_path: Path, shared_data: Path) -> None:
    name, _, place = source.partition(":")
    path = need_recorded(shared_data / place)
    assert differences(start_of(f"{name}:{path}", 2.0), tmp_path / "scene.yaml") == []


def test_nuscenes_tables_read_back_bit_by_bit(tmp_path: Path) -> None:
    pytest.importorskip("nuscenes", reason="nuscenes-devkit is not installed: scenegen[nuscenes]")
    write_tables(tmp_path, small_tables())
    (tmp_path / "maps" / "expansion").mkdir()
    (tmp_path / "maps" / "expansion" / f"{LOCATION}.json").write_text(json.dumps(small_expansion()))
    assert differences(read_layout(f"nuscenes:{tmp_path}"), tmp_path / "scene.yaml") == []


def test_numbers_that_mean_nothing_come_back_too(tmp_path: Path) -> None:
    layout = start_of("cut_in", 1.0)
    wild = np.random.default_rng(3).standard_normal((12, 6))
    strange = replace(
        layout.agents[0],
        center_world_m=wild[:, :3] * 1e-7 + np.array([200.0, -0.0, 0.8]),
        heading_rad=np.where(wild[:, 3] > 0, 0.0, -0.0),
        velocity_world_mps=wild[:, 4:] * 1e-300,
        valid=np.array([0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0], bool),
    )
    nowhere = replace(strange, agent_id="nowhere", valid=np.zeros(12, bool))
    assert differences(replace(layout, agents=(strange, nowhere)), tmp_path / "scene.yaml") == []


def test_unwritable_place_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_yaml_layout(read_layout("cut_in"), tmp_path / "file" / "scene.yaml")
