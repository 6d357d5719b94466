"""How traffic goes on beyond a recording: it keeps lanes and distances, gives way, and keeps off the road on foot."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.extension import COMFORTABLE_MPS2, EMERGENCY_MPS2, measure
from scenegen.layout.extend import extend_layout
from scenegen.layout.idm import DRIVER, following_acceleration
from scenegen.layout.overlap import find_overlaps
from scenegen.layout.procedural import build_procedural_layout
from scenegen.types.layout import AgentTrack, Area, EgoTrack, Lane, Layout, RoadMap
from scenegen.types.layout_json import layout_from_dict, layout_sha256, layout_to_dict
from scenegen.types.taxonomy import AgentCategory
from scenegen.types.timeline import Timeline
from tests.conftest import need_recorded

RATE_HZ = 10.0
STEPS = 31


def track(
    agent_id: str,
    *,
    begin_m: tuple[float, float],
    velocity_mps: tuple[float, float],
    category: AgentCategory = AgentCategory.CAR,
    heading_rad: float | None = None,
) -> AgentTrack:
    velocity = np.array(velocity_mps)
    along_m = np.array(begin_m) + velocity * (np.arange(STEPS) / RATE_HZ)[:, None]
    size = (0.6, 0.6, 1.7) if category is AgentCategory.PEDESTRIAN else (4.5, 1.8, 1.6)
    heading = float(np.arctan2(velocity[1], velocity[0])) if heading_rad is None else heading_rad
    return AgentTrack(
        agent_id=agent_id,
        category=category,
        size_lwh_m=np.array(size),
        center_world_m=np.column_stack([along_m, np.full(STEPS, 0.5 * size[2])]),
        heading_rad=np.full(STEPS, heading),
        velocity_world_mps=np.tile(velocity, (STEPS, 1)),
        valid=np.ones(STEPS, bool),
    )


def lane(name: str, *points_m: tuple[float, float], limit_mps: float | None = None) -> Lane:
    dense = np.concatenate([np.linspace(a, b, 30) for a, b in pairwise(points_m)])
    return Lane(
        lane_id=name, centerline_world_m=np.column_stack([dense, np.zeros(len(dense))]), width_m=3.5,
        speed_limit_mps=limit_mps,
    )  # fmt: skip


def scene(
    *agents: AgentTrack, road_map: RoadMap, ego_m: tuple[float, float] = (0.0, -200.0), ego_mps: float = 0.0
) -> Layout:
    poses = np.tile(np.eye(4), (STEPS, 1, 1))
    poses[:, :2, 3] = np.array(ego_m) + np.outer(ego_mps * np.arange(STEPS) / RATE_HZ, [1.0, 0.0])
    return Layout(
        layout_id="scene", source="file", licence="CC0-1.0", timeline=Timeline(rate_hz=RATE_HZ, num_steps=STEPS),
        road_map=road_map, agents=agents,
        ego=EgoTrack(world_from_ego=poses, velocity_world_mps=np.tile([ego_mps, 0.0], (STEPS, 1))),
    )  # fmt: skip


def longer(layout: Layout, duration_s: float = 20.0) -> Layout:
    return extend_layout(layout, duration_s=duration_s, rate_hz=RATE_HZ)


def test_gap_and_speed_of_equilibrium_ask_for_no_acceleration() -> None:
    """Equation 3 of the paper at a = 0 and equal speeds, by hand for 10 m/s of 15: (2 + 12) / sqrt(1 - (2/3)^4)."""
    gap_m = 14.0 / np.sqrt(1.0 - (2.0 / 3.0) ** 4)
    assert gap_m == pytest.approx(15.6284, abs=1e-4)
    assert following_acceleration(10.0, 15.0, gap_m=gap_m, leader_mps=10.0) == pytest.approx(0.0, abs=1e-12)
    assert following_acceleration(10.0, 15.0, gap_m=gap_m - 1.0, leader_mps=10.0) < 0.0


def test_braking_is_hard_only_where_the_gap_needs_it() -> None:
    assert following_acceleration(5.0, 10.0, gap_m=1.5, leader_mps=5.0) == -DRIVER.firm_braking_mps2
    assert following_acceleration(12.0, 12.0, gap_m=5.0, leader_mps=0.0) == -DRIVER.hardest_braking_mps2


def test_vehicle_follows_its_bending_lane_at_its_limit() -> None:
    bend = [(20.0 + 60.0 * np.sin(a), 60.0 - 60.0 * np.cos(a)) for a in np.linspace(0.0, np.pi / 2, 12)]
    road_map = RoadMap(lanes=(lane("in", (-60.0, 0.0), (20.0, 0.0), limit_mps=8.0), lane("bend", *bend)))
    after = longer(scene(track("car", begin_m=(-40.0, 0.3), velocity_mps=(6.0, 0.0)), road_map=road_map))
    car = after.agents[0]
    lines_m = np.concatenate([one.centerline_world_m[:, :2] for one in road_map.lanes])
    on_m = car.center_world_m[:, :2][car.center_world_m[:, 1] < 55.0]
    assert np.linalg.norm(on_m[:, None] - lines_m[None], axis=2).min(axis=1).max() < 1.5
    assert on_m[-1, 1] > 30.0
    assert np.linalg.norm(car.velocity_world_mps[80]) == pytest.approx(8.0, abs=0.3)


def test_recorded_steps_are_untouched_and_marked() -> None:
    layout = scene(track("car", begin_m=(0.0, 0.0), velocity_mps=(6.0, 0.0)), road_map=RoadMap())
    after = longer(layout)
    assert after.recorded_until_step == STEPS
    assert after.is_recorded().tolist() == [True] * STEPS + [False] * (200 - STEPS)
    assert np.array_equal(after.agents[0].center_world_m[:STEPS], layout.agents[0].center_world_m)
    assert layout_from_dict(layout_to_dict(after)).recorded_until_step == STEPS
    assert layout_sha256(layout_from_dict(layout_to_dict(after))) == layout_sha256(after)
    assert longer(after, 2.0).recorded_until_step is None
    assert extend_layout(after, duration_s=10.0, rate_hz=5.0).recorded_until_step == 16
    assert longer(after, 30.0).recorded_until_step == STEPS


def test_layout_that_was_not_extended_says_nothing_of_it() -> None:
    layout = build_procedural_layout(3, duration_s=2.0)
    assert layout.recorded_until_step is None
    assert layout.is_recorded().all()
    assert "recorded_until_step" not in layout_to_dict(layout)


def test_two_who_would_meet_at_a_crossing_take_turns() -> None:
    road_map = RoadMap(lanes=(lane("east", (-100.0, 0.0), (300.0, 0.0)), lane("north", (0.0, -100.0), (0.0, 300.0))))
    first = track("first", begin_m=(-58.0, 0.0), velocity_mps=(10.0, 0.0))
    second = track("second", begin_m=(0.0, -60.0), velocity_mps=(0.0, 10.0))
    together = longer(scene(first, second, road_map=road_map))
    assert find_overlaps(together, margin_m=0.2) == []
    assert all(agent.valid.all() for agent in together.agents)
    passes = [
        np.argmax(agent.center_world_m[:, axis] > 0.0) for agent, axis in zip(together.agents, (0, 1), strict=True)
    ]
    assert 0 < passes[0] < passes[1]
    alone = longer(scene(second, road_map=road_map)).agents[0]
    assert together.agents[1].center_world_m[-1, 1] < alone.center_world_m[-1, 1] - 3.0


def test_waiting_vehicle_goes_on_and_parked_one_stays() -> None:
    road_map = RoadMap(lanes=(lane("east", (-100.0, 0.0), (300.0, 0.0)), lane("beside", (-100.0, 9.0), (300.0, 9.0))))
    waits = track("waits", begin_m=(0.0, 0.0), velocity_mps=(8.0, 0.0))
    moving = np.arange(STEPS) < 10
    for column, scale in ((waits.center_world_m, 1.0), (waits.velocity_world_mps, 0.0)):
        column[~moving] = column[9] * scale
    parked = track("parked", begin_m=(0.0, 9.0), velocity_mps=(0.0, 0.0))
    after = longer(scene(waits, parked, road_map=road_map))
    went_m = after.agents[0].center_world_m[:, 0] - waits.center_world_m[-1, 0]
    assert abs(went_m[STEPS + 26]) < 1e-9  # stood for 2.2 s, waits for 2.8 s more
    assert went_m[-1] > 40.0
    assert np.ptp(after.agents[1].center_world_m[:, 0]) == 0.0


def street() -> RoadMap:
    road = Area(kind="drivable", polygon_world_m=np.array([[-80.0, -4.0], [80.0, -4.0], [80.0, 4.0], [-80.0, 4.0]]))
    return RoadMap(areas=(road,))


def test_walker_who_reaches_a_kerb_turns_along_it() -> None:
    walker = track("walker", begin_m=(0.0, 10.0), velocity_mps=(0.7, -1.0), category=AgentCategory.PEDESTRIAN)
    after = longer(scene(walker, road_map=street())).agents[0]
    assert after.center_world_m[:, 1].min() > 3.9
    assert after.center_world_m[-1, 0] > 8.0
    assert np.linalg.norm(after.velocity_world_mps[-1]) == pytest.approx(np.hypot(0.7, 1.0), abs=0.05)


def test_walker_on_a_crossing_and_one_on_the_road_walk_to_the_other_side() -> None:
    zebra = Area(kind="crossing", polygon_world_m=np.array([[-2.0, -4.0], [2.0, -4.0], [2.0, 4.0], [-2.0, 4.0]]))
    over = track("over", begin_m=(0.0, 9.0), velocity_mps=(0.0, -1.3), category=AgentCategory.PEDESTRIAN)
    inside = track("inside", begin_m=(20.0, 5.0), velocity_mps=(0.0, -1.3), category=AgentCategory.PEDESTRIAN)
    road_map = RoadMap(areas=(*street().areas, zebra))
    after = longer(scene(over, inside, road_map=road_map), 15.0)
    assert [bool(agent.center_world_m[-1, 1] < -4.0) for agent in after.agents] == [True, True]


def test_walker_goes_round_a_parked_car_and_vehicles_stop_for_walkers() -> None:
    walker = track("walker", begin_m=(-12.0, 20.0), velocity_mps=(1.4, 0.0), category=AgentCategory.PEDESTRIAN)
    parked = track("parked", begin_m=(0.0, 20.0), velocity_mps=(0.0, 0.0))
    crosses = track("crosses", begin_m=(0.0, -5.5), velocity_mps=(0.0, 1.1), category=AgentCategory.PEDESTRIAN)
    car = track("car", begin_m=(-55.0, 0.0), velocity_mps=(8.0, 0.0))
    after = longer(scene(walker, parked, crosses, car, road_map=street()))
    assert find_overlaps(after) == []
    assert all(agent.valid.all() for agent in after.agents)
    assert after.agents[0].center_world_m[-1, 0] > 6.0
    assert after.agents[2].center_world_m[-1, 1] > 4.0
    speed_mps = np.linalg.norm(after.agents[3].velocity_world_mps, axis=1)
    assert speed_mps.min() < 5.0
    assert np.abs(np.diff(speed_mps)).max() * RATE_HZ < COMFORTABLE_MPS2 + 1e-6


RECORDED = (
    *(f"nuscenes_mini/scenes/sd_nuscenes_v1.0-mini_scene-{scene}.pkl" for scene in ("0061", "1077", "1094", "1100")),
    "argoverse2/7fab2350-7eaf-3b7e-a39d-6937a4c1bede",
)


@pytest.mark.parametrize("place", RECORDED)
def test_recording_goes_on_without_a_touch_or_a_jump(shared_data: Path, place: str) -> None:
    path = need_recorded(shared_data / place)
    source = "av2" if path.is_dir() else "scenarionet"
    figures = measure(f"{source}:{path}", duration_s=30.0)
    assert figures.is_untouched
    assert figures.num_overlaps == 0
    assert figures.num_ended == 0
    assert figures.hardest_mps2 <= EMERGENCY_MPS2
    assert figures.comfortable_share > 0.99
    assert figures.seam_position_m < 0.2
    assert figures.seam_heading_rad < 0.05
    assert figures.on_lane_share > figures.recorded_on_lane_share - 0.15
