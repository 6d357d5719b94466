"""The scenes that ship: readable, 30 s at 12 Hz, full of life, free of collisions."""

from collections import Counter

import numpy as np
import pytest

from scenegen.layout.overlap import find_overlaps
from scenegen.layout.picture import draw_layout
from scenegen.layout.sources import library_names, read_layout
from scenegen.types.taxonomy import VEHICLE_CATEGORIES, AgentCategory

WANTED = {
    "crossing_pedestrian", "unprotected_left", "cut_in", "roundabout", "school_zone", "truck_occlusion", "night_rain",
    "construction",
}  # fmt: skip


def test_library_has_the_promised_scenes() -> None:
    assert set(library_names()) >= WANTED


@pytest.mark.parametrize("name", library_names())
def test_library_scene_lasts_30_s_is_lively_and_nothing_overlaps(name: str) -> None:
    layout = read_layout(name)
    assert layout.layout_id == name and layout.source == "library"
    assert layout.timeline.num_steps == 360 and layout.timeline.rate_hz == 12.0
    counts = Counter(agent.category for agent in layout.agents)
    assert sum(count for category, count in counts.items() if category in VEHICLE_CATEGORIES) >= 10
    assert counts[AgentCategory.PEDESTRIAN] >= (0 if name == "highway_merge" else 8)
    assert find_overlaps(layout) == []
    assert np.linalg.norm(np.diff(layout.ego.position_world_m, axis=0), axis=1).sum() > 60.0


def test_school_zone_has_many_pedestrians() -> None:
    agents = read_layout("school_zone").agents
    assert sum(agent.category is AgentCategory.PEDESTRIAN for agent in agents) >= 15


def test_ego_stops_before_the_crossing_and_goes_on() -> None:
    layout = read_layout("crossing_pedestrian")
    speed_mps = np.linalg.norm(layout.ego.velocity_world_mps, axis=1)
    x_m = layout.ego.position_world_m[:, 0]
    standing = speed_mps < 0.05
    assert standing.sum() > 24
    assert (x_m[standing] + 3.75 < 120.0 - 1.75).all()
    assert x_m[-1] > 200.0 and speed_mps[-1] > 5.0


@pytest.mark.parametrize("name", ["crossing_pedestrian", "roundabout"])
def test_motion_is_smooth_and_velocity_is_its_derivative(name: str) -> None:
    layout = read_layout(name)
    rate_hz = layout.timeline.rate_hz
    for agent in layout.agents:
        both = agent.valid[1:] & agent.valid[:-1]
        moved_mps = np.diff(agent.center_world_m[:, :2], axis=0)[both] * rate_hz
        stated_mps = (0.5 * (agent.velocity_world_mps[1:] + agent.velocity_world_mps[:-1]))[both]
        assert np.abs(moved_mps - stated_mps).max(initial=0.0) < 0.7, agent.agent_id
    turn_rad = np.diff(np.unwrap(layout.ego.heading_rad))
    assert np.abs(turn_rad).max() < 0.12


def test_picture_shows_the_ego_and_has_the_asked_size() -> None:
    picture = draw_layout(read_layout("crossing_pedestrian"), step=5, width_px=400, around_m=30.0)
    assert picture.shape == (372, 400, 3) and picture.dtype == np.uint8
    assert (picture == (40, 200, 90)).all(axis=-1).sum() > 50


@pytest.mark.parametrize("name", library_names())
def test_nobody_walks_or_drives_through_a_pole_or_tree(name: str) -> None:
    layout = read_layout(name)
    for prop in layout.road_map.props:
        radius_m = 0.3 if prop.kind in ("tree", "hedge") else 0.1
        for agent in layout.agents:
            apart_m = prop.position_world_m - agent.center_world_m[:, :2]
            cos, sin = np.cos(agent.heading_rad), np.sin(agent.heading_rad)
            along_m = np.abs(apart_m[:, 0] * cos + apart_m[:, 1] * sin) - 0.5 * agent.size_lwh_m[0]
            across_m = np.abs(apart_m[:, 1] * cos - apart_m[:, 0] * sin) - 0.5 * agent.size_lwh_m[1]
            hit = agent.valid & (along_m < radius_m) & (across_m < radius_m)
            assert not hit.any(), (prop.kind, prop.position_world_m, agent.agent_id)
