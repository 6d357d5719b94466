"""Files that a person writes: what they mean, and what is said about mistakes."""

import re
from pathlib import Path

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.schema import layout_schema
from scenegen.layout.sources import read_layout
from scenegen.types.layout import AgentTrack, Layout

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = re.search(r"```yaml\n(.*?)```", (ROOT / "layouts" / "README.md").read_text(), re.S)[1]  # type: ignore[index]


def read_text(tmp_path: Path, text: str) -> Layout:
    path = tmp_path / "scene.yaml"
    path.write_text(text)
    return read_layout(str(path))


def agent_of(layout: Layout, agent_id: str) -> AgentTrack:
    return next(agent for agent in layout.agents if agent.agent_id == agent_id)


def test_schema_file_is_up_to_date() -> None:
    assert (ROOT / "layouts" / "layout.schema.json").read_text() == layout_schema()


def test_readme_example_reads_and_says_what_it_says(tmp_path: Path) -> None:
    layout = read_text(tmp_path, EXAMPLE)
    assert layout.environment.weather == "rain" and layout.source == "file"
    assert {lane.lane_id for lane in layout.road_map.lanes} == {"main.f1", "main.b1"}
    woman = agent_of(layout, "woman")
    for t_s, place_m in ((0, [110, -7]), (6, [110, -6.2]), (14, [110, 5]), (20, [118, 5.5])):
        np.testing.assert_allclose(woman.center_world_m[t_s * 12, :2], place_m, atol=1e-9)
    assert len([agent for agent in layout.agents if agent.agent_id.startswith("parked_")]) == 9


def test_waypoint_velocity_is_exact_where_it_is_given(tmp_path: Path) -> None:
    text = EXAMPLE.replace("{t_s: 6, x_m: 110, y_m: -6.2}", "{t_s: 6, x_m: 110, y_m: -6.2, vx_mps: 0.1, vy_mps: 1.3}")
    woman = agent_of(read_text(tmp_path, text), "woman")
    np.testing.assert_allclose(woman.velocity_world_mps[72], [0.1, 1.3], atol=1e-9)


def test_front_bumper_of_the_ego_halts_at_its_stop(tmp_path: Path) -> None:
    layout = read_text(tmp_path, EXAMPLE)
    assert layout.ego.position_world_m[150, 0] + 3.75 == pytest.approx(106.0, abs=0.02)


def test_waiting_ends_and_lane_changes_happen_where_said(tmp_path: Path) -> None:
    text = (
        EXAMPLE.replace("lanes: 1,", "lanes: 2,")
        .replace("length_m: 260", "length_m: 400")
        .replace(
            "drive: {start_m: 40, speed_mps: 8, stops: [{at_m: 106, from_s: 3, to_s: 15}]}",
            "drive: {start_m: 40, speed_mps: 8, shifts: [{at_m: 80, over_m: 30, left_m: -3.5}]}",
        )
    )
    position_m = read_text(tmp_path, text).ego.position_world_m
    np.testing.assert_allclose(position_m[position_m[:, 0] < 78.0][:, 1], -1.75, atol=0.02)
    np.testing.assert_allclose(position_m[position_m[:, 0] > 113.0][:, 1], -5.25, atol=0.02)


STRAIGHT = "template: straight, position: [0, 0], heading_deg: 0, length_m: 260,"
EGO = "  route: [main.f1]\n  drive: {start_m: 40, speed_mps: 8, stops: [{at_m: 106, from_s: 3, to_s: 15}]}"
MISTAKES = {
    "malformed YAML": ("ego:", "ego: [", 17, "well-formed YAML"),
    "unknown key": ("color: [200", "colour: [200", 21, "Did you mean 'color'"),
    "key twice": ("rate_hz: 12", "rate_hz: 12\nid: again", 5, "every key once"),
    "unknown category": ("category: car, follow", "category: cra, follow", 27, "Did you mean 'car'"),
    "NaN": ("y_m: -7}", "y_m: .nan}", 23, "finite"),
    "duplicate id": ("id: van", "id: woman", 29, "used once"),
    "impossible speed": ("{t_s: 14, x_m: 110, y_m: 5}", "{t_s: 6.5, x_m: 110, y_m: 25}", 19, "at most 12 m/s"),
    "agent in a building": ("x_m: 90, y_m: -7.6", "x_m: 60, y_m: 20", 30, "outside of buildings"),
    "ego off road": (EGO, "  waypoints: [{t_s: 0, x_m: 0, y_m: 40}, {t_s: 30, x_m: 50, y_m: 40}]", 15, "drivable"),
    "times not increasing": ("{t_s: 14,", "{t_s: 5,", 25, "increase"),
    "unknown lane": ("lane: main.b1", "lane: main.c1", 27, "main.f1"),
    "unknown road": ("walk: {road: main", "walk: {road: mian", 28, "Did you mean 'main'"),
    "two motions": ("pose: {x_m: 90", "waypoints: [{t_s: 0, x_m: 1, y_m: 1}], pose: {x_m: 90", 30, "exactly one of"),
    "unknown template": ("template: straight", "template: stright", 7, "roundabout"),
    "negative size": ("[6, 2.1, 2.6]", "[6, -2.1, 2.6]", 29, "greater than 0"),
    "wrong type": ("speed_mps: 9", "speed_mps: fast", 27, "number"),
    "line without length": (STRAIGHT, "centerline: [[1, 1], [1, 1]],", 7, "two different points"),
    "bend too long": ("template: straight", "radius_m: 500, angle_deg: 90, template: curve", 7, "bend"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named_with_its_line(tmp_path: Path, mistake: str) -> None:
    before, after, line, message = MISTAKES[mistake]
    assert before in EXAMPLE
    with pytest.raises(LayoutError, match=message) as raised:
        read_text(tmp_path, EXAMPLE.replace(before, after, 1))
    assert f"scene.yaml:{line}" in str(raised.value), str(raised.value)


@pytest.mark.parametrize(
    "text", ["", "- 1\n", "a:\n\t- b\n", "version: 1\n", "&a [*a]\n", "\x00", "version: 2\nid: x\n"]
)
def test_garbage_is_a_layout_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(LayoutError):
        read_text(tmp_path, text)


def test_binary_file_is_a_layout_error(tmp_path: Path) -> None:
    path = tmp_path / "scene.yaml"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(LayoutError):
        read_layout(str(path))
