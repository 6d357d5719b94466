"""Resampling, cropping and continuing layouts."""

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.extend import extend_layout
from scenegen.layout.overlap import ego_as_agent, find_overlaps
from scenegen.layout.procedural import build_procedural_layout
from scenegen.layout.sources import read_layout
from scenegen.types.layout import AgentTrack, EgoTrack, Layout, RoadMap
from scenegen.types.taxonomy import AgentCategory
from scenegen.types.timeline import Timeline


def moving_car(
    agent_id: str, *, start_m: float, speed_mps: float, y_m: float, steps: int, rate_hz: float
) -> AgentTrack:
    x_m = start_m + speed_mps * np.arange(steps) / rate_hz
    return AgentTrack(
        agent_id=agent_id,
        category=AgentCategory.CAR,
        size_lwh_m=np.array([4.5, 1.8, 1.6]),
        center_world_m=np.column_stack([x_m, np.full(steps, y_m), np.full(steps, 0.8)]),
        heading_rad=np.zeros(steps),
        velocity_world_mps=np.tile([speed_mps, 0.0], (steps, 1)),
        valid=np.ones(steps, bool),
    )


def empty_road(agents: tuple[AgentTrack, ...], *, ego_mps: float, steps: int, rate_hz: float) -> Layout:
    poses = np.tile(np.eye(4), (steps, 1, 1))
    poses[:, 0, 3] = ego_mps * np.arange(steps) / rate_hz
    ego = EgoTrack(world_from_ego=poses, velocity_world_mps=np.tile([ego_mps, 0.0], (steps, 1)))
    return Layout(
        layout_id="road", source="file", licence="CC0-1.0", timeline=Timeline(rate_hz=rate_hz, num_steps=steps),
        road_map=RoadMap(), agents=agents, ego=ego,
    )  # fmt: skip


def test_layout_of_the_wanted_rate_and_length_is_returned_as_it_is() -> None:
    layout = build_procedural_layout(1)
    assert extend_layout(layout, duration_s=30.0, rate_hz=12.0) is layout


def test_crop_keeps_every_number() -> None:
    layout = build_procedural_layout(1)
    cropped = extend_layout(layout, duration_s=4.0, rate_hz=12.0)
    assert cropped.timeline.num_steps == 48
    for before, after in zip(layout.agents, cropped.agents, strict=True):
        assert np.array_equal(before.center_world_m[:48], after.center_world_m)
        assert np.array_equal(before.valid[:48], after.valid)


def test_resampling_a_straight_drive_is_exact() -> None:
    car = moving_car("car", start_m=30.0, speed_mps=10.0, y_m=4.0, steps=51, rate_hz=10.0)
    layout = extend_layout(empty_road((car,), ego_mps=8.0, steps=51, rate_hz=10.0), duration_s=5.0, rate_hz=12.0)
    times_s = np.arange(60) / 12.0
    np.testing.assert_allclose(layout.agents[0].center_world_m[:, 0], 30.0 + 10.0 * times_s, atol=1e-9)
    np.testing.assert_allclose(layout.ego.position_world_m[:, 0], 8.0 * times_s, atol=1e-9)
    np.testing.assert_allclose(layout.agents[0].velocity_world_mps[:, 0], 10.0, atol=1e-9)


def test_gap_in_a_recording_stays_a_gap() -> None:
    car = moving_car("car", start_m=30.0, speed_mps=10.0, y_m=4.0, steps=50, rate_hz=10.0)
    car.valid[20:30] = False
    layout = extend_layout(empty_road((car,), ego_mps=1.0, steps=50, rate_hz=10.0), duration_s=4.5, rate_hz=12.0)
    times_s = np.arange(54) / 12.0
    assert np.array_equal(layout.agents[0].valid, (times_s <= 1.9 + 1e-9) | (times_s >= 3.0 - 1e-9))


def test_headings_turn_the_short_way_round() -> None:
    car = moving_car("car", start_m=30.0, speed_mps=1.0, y_m=4.0, steps=2, rate_hz=1.0)
    car.heading_rad[:] = [np.pi - 0.1, -np.pi + 0.1]
    layout = extend_layout(empty_road((car,), ego_mps=0.0, steps=2, rate_hz=1.0), duration_s=1.5, rate_hz=2.0)
    assert layout.agents[0].heading_rad[1] == pytest.approx(np.pi)


def test_everybody_goes_on_at_the_last_speed() -> None:
    car = moving_car("car", start_m=30.0, speed_mps=10.0, y_m=4.0, steps=50, rate_hz=10.0)
    layout = extend_layout(empty_road((car,), ego_mps=8.0, steps=50, rate_hz=10.0), duration_s=30.0, rate_hz=10.0)
    assert layout.timeline.num_steps == 300
    assert layout.agents[0].center_world_m[-1, 0] == pytest.approx(30.0 + 10.0 * 29.9, abs=0.5)
    assert layout.ego.position_world_m[-1, 0] == pytest.approx(8.0 * 29.9, abs=0.5)


def test_ego_brakes_for_what_stands_and_followers_brake_for_the_ego() -> None:
    wall = moving_car("standing", start_m=100.0, speed_mps=0.0, y_m=0.0, steps=50, rate_hz=10.0)
    behind = moving_car("behind", start_m=-15.0, speed_mps=9.0, y_m=0.0, steps=50, rate_hz=10.0)
    layout = extend_layout(
        empty_road((wall, behind), ego_mps=8.0, steps=50, rate_hz=10.0), duration_s=30.0, rate_hz=10.0
    )
    assert find_overlaps(layout) == []
    assert np.linalg.norm(layout.ego.velocity_world_mps[-1]) < 0.05
    assert ego_as_agent(layout.ego).center_world_m[-1, 0] > 85.0
    assert layout.agents[1].valid.all()


def test_ego_follows_its_curved_lane() -> None:
    layout = extend_layout(read_layout("night_rain"), duration_s=40.0, rate_hz=12.0)
    lane_m = layout.road_map.lanes[0].centerline_world_m[:, :2]
    for step in (400, 440, 479):
        position_m = layout.ego.position_world_m[step, :2]
        if np.linalg.norm(position_m - lane_m[-1]) > 5.0:
            assert np.linalg.norm(lane_m - position_m, axis=1).min() < 1.3


@pytest.mark.parametrize("seed", [2, 5])
def test_shortened_traffic_continues_without_touching_the_ego(seed: int) -> None:
    short = extend_layout(build_procedural_layout(seed), duration_s=12.0, rate_hz=10.0)
    layout = extend_layout(short, duration_s=18.0, rate_hz=12.0)
    assert layout.timeline.num_steps == 216
    assert find_overlaps(layout) == []


@pytest.mark.parametrize("duration_s", [0.0, -1.0, float("nan")])
def test_impossible_duration_is_refused(duration_s: float) -> None:
    with pytest.raises(LayoutError, match="duration_s"):
        extend_layout(build_procedural_layout(1), duration_s=duration_s, rate_hz=12.0)
