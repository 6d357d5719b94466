"""Layouts that leave as OpenSCENARIO and come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from scenegen.cli import main
from scenegen.errors import LayoutError
from scenegen.layout.edits import apply_edits
from scenegen.layout.exporters import layout_to_opendrive, layout_to_openscenario
from scenegen.layout.extend import extend_layout, resample_layout
from scenegen.layout.importers.source_tracks import velocity_by_differences
from scenegen.layout.sources import read_layout
from scenegen.types.layout import AgentTrack, Environment, Layout
from scenegen.types.taxonomy import AgentCategory
from tests.conftest import need_recorded

WITHIN_M = 0.05


def leave_and_return(layout: Layout, folder: Path) -> Layout:
    (folder / "map.xodr").write_text(layout_to_opendrive(layout), encoding="utf-8")
    (folder / "s.xosc").write_text(layout_to_openscenario(layout, road_file="map.xodr"), encoding="utf-8")
    return read_layout(f"openscenario:{folder}/s.xosc")


def require_same(before: Layout, after: Layout, *, within_mps: float) -> None:
    """Compare places at every step of the layout that came back, and velocities with differences of places."""
    if before.timeline.rate_hz != after.timeline.rate_hz:
        before = resample_layout(before, after.timeline)
        assert 0 <= after.timeline.num_steps - before.timeline.num_steps <= 1  # the last step is the next one at 12 Hz
        after = resample_layout(after, before.timeline)
    assert after.timeline == before.timeline
    shift_m = before.ego.position_world_m[0]
    assert np.abs(after.ego.position_world_m + shift_m - before.ego.position_world_m).max() < WITHIN_M
    back = {agent.agent_id: agent for agent in after.agents}
    t_s = np.arange(before.timeline.num_steps) / before.timeline.rate_hz
    for agent in before.agents:
        if not agent.valid.any():
            continue
        other, seen = back[agent.agent_id], agent.valid
        assert np.array_equal(other.valid, seen), agent.agent_id
        apart_m = np.linalg.norm(other.center_world_m + shift_m - agent.center_world_m, axis=1)[seen]
        assert apart_m.max() < WITHIN_M, agent.agent_id
        turn = np.exp(1j * (other.heading_rad - agent.heading_rad))[seen]
        assert np.abs(np.angle(turn)).max() < 1e-3
        implied_mps = velocity_by_differences(agent.center_world_m[seen, :2], t_s[seen])
        assert np.abs(other.velocity_world_mps[seen] - implied_mps).max() < within_mps, agent.agent_id
        assert np.allclose(other.size_lwh_m, agent.size_lwh_m, atol=1e-5)
        assert (other.category, other.color_rgb) == (agent.category, agent.color_rgb)
    environment = after.environment
    assert (environment.weather, environment.time_of_day) == (
        before.environment.weather,
        before.environment.time_of_day,
    )


@pytest.mark.parametrize("reference", ["night_rain", "procedural:8"])
def test_who_is_where_comes_back_within_five_centimetres(tmp_path: Path, reference: str) -> None:
    layout = extend_layout(read_layout(reference), duration_s=3.0, rate_hz=12.0)
    require_same(layout, leave_and_return(layout, tmp_path), within_mps=0.01)


def test_edited_layouts_leave_as_they_are(tmp_path: Path) -> None:
    layout = extend_layout(read_layout("cut_in"), duration_s=4.0, rate_hz=12.0)
    inserted = "insert(pedestrian, x_m=60, y_m=-11, from_s=1, to_s=3)"
    layout = apply_edits(layout, ["remove(left_*)", inserted, "environment(fog, time_of_day=night)"])
    require_same(layout, leave_and_return(layout, tmp_path), within_mps=0.01)


def test_every_category_and_weather_comes_back(tmp_path: Path) -> None:
    layout = extend_layout(read_layout("cut_in"), duration_s=1.5, rate_hz=12.0)
    example = next(agent for agent in layout.agents if agent.agent_id == "parked_5")
    for weather, time_of_day in (("rain", "dusk"), ("overcast", "day")):
        agents = tuple(
            replace(
                example,
                agent_id=f"the {category.label}",
                category=category,
                center_world_m=example.center_world_m + np.array([15.0 * category, 40.0, 0.0]),
                valid=np.arange(18) % (3 + category) > 1,
            )
            for category in AgentCategory
        )
        changed = replace(layout, agents=agents, environment=Environment(weather=weather, time_of_day=time_of_day))
        require_same(changed, leave_and_return(changed, tmp_path), within_mps=0.01)


def test_recordings_leave_too(tmp_path: Path, shared_data: Path) -> None:
    logs = sorted(path for path in need_recorded(shared_data / "argoverse2").iterdir() if path.is_dir())
    recorded = read_layout(f"av2:{logs[0]}")
    layout = extend_layout(recorded, duration_s=1.5, rate_hz=recorded.timeline.rate_hz)
    require_same(layout, leave_and_return(layout, tmp_path), within_mps=0.6)


def test_an_agent_called_ego_is_not_taken_for_it(tmp_path: Path) -> None:
    layout = extend_layout(read_layout("cut_in"), duration_s=1.5, rate_hz=12.0)
    renamed: tuple[AgentTrack, ...] = (replace(layout.agents[0], agent_id="Ego"), *layout.agents[1:])
    back = leave_and_return(replace(layout, agents=renamed), tmp_path)
    assert "Ego" in {agent.agent_id for agent in back.agents}
    assert np.allclose(
        back.ego.position_world_m + layout.ego.position_world_m[0], layout.ego.position_world_m, atol=0.01
    )


def test_command_line_writes_scenario_and_map_beside_each_other(tmp_path: Path) -> None:
    assert main(["layout", "export", "cut_in", "-o", str(tmp_path / "new" / "cut_in.xosc")]) == 0
    root = ElementTree.parse(tmp_path / "new" / "cut_in.xosc").getroot()
    logic = root.find("RoadNetwork/LogicFile")
    assert logic is not None and (tmp_path / "new" / logic.attrib["filepath"]).is_file()
    assert len(root.findall("Entities/ScenarioObject")) == 75


def test_other_endings_and_a_single_step_are_refused(tmp_path: Path) -> None:
    assert main(["layout", "export", "cut_in", "-o", str(tmp_path / "cut_in.txt")]) == 2
    assert not any(tmp_path.iterdir())
    one = extend_layout(read_layout("cut_in"), duration_s=0.05, rate_hz=12.0)
    with pytest.raises(LayoutError, match="two steps"):
        layout_to_openscenario(one, road_file="map.xodr")
