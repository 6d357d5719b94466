"""The road that is assumed along a way: the ego on its lane, whatever the way looks like, and honest about the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import shapely

from scenegen.geometry.rigid import planar_poses
from scenegen.layout.importers.assumed_road import CITY_STREET, MOTORWAY, AssumedRoad, build_assumed_road
from scenegen.layout.importers.source_tracks import velocity_by_differences
from scenegen.types import AgentCategory, AgentTrack, EgoTrack, RoadMap

RATE_HZ = 10.0


def ego_along(points_m: np.ndarray, heading_rad: np.ndarray) -> EgoTrack:
    position_m = np.column_stack([points_m, np.zeros(len(points_m))])
    t_s = np.arange(len(points_m)) / RATE_HZ
    return EgoTrack(
        world_from_ego=planar_poses(position_m, heading_rad), velocity_world_mps=velocity_by_differences(points_m, t_s)
    )


def straight(steps: int = 60, step_m: float = 1.0) -> EgoTrack:
    return ego_along(np.column_stack([np.arange(steps) * step_m, np.zeros(steps)]), np.zeros(steps))


def turn(radius_m: float, sweep_rad: float) -> EgoTrack:
    """20 m straight, a bend to the left (to the right for a negative sweep), 20 m straight."""
    heading_rad = np.concatenate([np.zeros(40), np.linspace(0, sweep_rad, 80), np.full(40, sweep_rad)])
    step_m = np.concatenate([np.full(40, 0.5), np.full(80, radius_m * abs(sweep_rad) / 80), np.full(40, 0.5)])
    steps_m = step_m[:, None] * np.column_stack([np.cos(heading_rad), np.sin(heading_rad)])
    return ego_along(np.cumsum(steps_m, axis=0) - steps_m[0], heading_rad)


def standing() -> EgoTrack:
    jitter_m = np.random.default_rng(1).normal(0.0, 0.05, (50, 2))
    return ego_along(jitter_m, np.full(50, 0.7))


def reversing() -> EgoTrack:
    """Forwards for 20 m, then backwards for 60 m."""
    x_m = np.concatenate([np.arange(0.0, 20.0, 0.5), np.arange(20.0, -40.0, -0.5)])
    return ego_along(np.column_stack([x_m, np.zeros(len(x_m))]), np.zeros(len(x_m)))


def car(name: str, left_m: float, *, speed_mps: float, heading_rad: float = 0.0, steps: int = 60) -> AgentTrack:
    x_m = (
        5.0 + speed_mps * np.cos(heading_rad) * np.arange(steps) / RATE_HZ + (50.0 if np.cos(heading_rad) < 0 else 0.0)
    )
    return AgentTrack(
        agent_id=name,
        category=AgentCategory.CAR,
        size_lwh_m=np.array([4.5, 1.9, 1.6]),
        center_world_m=np.column_stack([x_m, np.full(steps, left_m), np.full(steps, 0.8)]),
        heading_rad=np.full(steps, heading_rad),
        velocity_world_mps=np.tile([speed_mps * np.cos(heading_rad), 0.0], (steps, 1)),
        valid=np.ones(steps, bool),
    )


def region(road_map: RoadMap, kind: str) -> shapely.Geometry:
    return shapely.union_all([shapely.Polygon(a.polygon_world_m, a.holes_world_m) for a in road_map.areas_of(kind)])


def lane_at(road: AssumedRoad, name: str) -> np.ndarray:
    return next(lane.centerline_world_m for lane in road.road_map.lanes if lane.lane_id == f"assumed.{name}")


@pytest.mark.parametrize(
    "ego",
    [
        straight,
        lambda: turn(7.0, -np.pi / 2),
        lambda: turn(9.0, np.pi / 2),
        lambda: turn(5.0, np.pi),
        lambda: turn(12.0, 2 * np.pi),
        standing,
        reversing,
    ],
    ids=["straight", "right", "left", "about", "ring", "standing", "reversing"],
)
@pytest.mark.parametrize("section", [CITY_STREET, MOTORWAY], ids=["street", "motorway"])
def test_the_ego_is_on_the_road_and_in_its_lane(ego: Callable[[], EgoTrack], section: object) -> None:
    track = ego()
    road = build_assumed_road(track, section=section, rate_hz=RATE_HZ)
    where = shapely.points(track.position_world_m[:, :2])
    assert shapely.covers(region(road.road_map, "drivable").buffer(0.05), where).all()
    lane = shapely.LineString(lane_at(road, "f1"))
    assert shapely.distance(lane, where).max() < 0.4
    assert "the source has no map" in road.lost[0]


def test_lanes_run_with_and_against_the_ego_at_their_distances() -> None:
    road = build_assumed_road(straight(), section=CITY_STREET, rate_hz=RATE_HZ)
    forward_m, backward_m = lane_at(road, "f1"), lane_at(road, "b1")
    assert forward_m[0, 0] < 0.0 < forward_m[-1, 0] and backward_m[0, 0] > backward_m[-1, 0]
    np.testing.assert_allclose(forward_m[:, 1], 0.0, atol=1e-6)
    np.testing.assert_allclose(backward_m[:, 1], 3.5, atol=1e-6)
    low, high = region(road.road_map, "drivable").bounds[1::2]
    assert (low, high) == pytest.approx((-1.75, 5.25), abs=0.05)
    low, high = region(road.road_map, "sidewalk").bounds[1::2]
    assert (low, high) == pytest.approx((-4.25, 7.75), abs=0.05)


def test_the_road_goes_on_for_half_a_minute_at_the_last_speed() -> None:
    left_m, _, right_m, _ = region(
        build_assumed_road(straight(step_m=2.0), section=MOTORWAY, rate_hz=RATE_HZ).road_map, "drivable"
    ).bounds
    assert left_m == pytest.approx(-150.0, abs=1.0)
    assert right_m == pytest.approx(118.0 + 30.0 * 20.0, abs=4.0)


def test_vehicles_along_the_way_widen_the_road() -> None:
    right = car("right", -3.5, speed_mps=6.0)
    oncoming = car("oncoming", 7.0, speed_mps=6.0, heading_rad=np.pi)
    road = build_assumed_road(straight(), [right, oncoming], section=CITY_STREET, rate_hz=RATE_HZ)
    assert (road.section.lanes_forward, road.section.lanes_backward) == (2, 2)
    assert len(road.lost) == 1
    left = car("left", 3.5, speed_mps=6.0)
    road = build_assumed_road(straight(), [left, oncoming], section=CITY_STREET, rate_hz=RATE_HZ)
    assert (road.section.lanes_forward, road.section.lanes_backward) == (2, 1)
    assert "forward lane 2 from the left" in road.lost[0]


@pytest.mark.parametrize(("left_m", "lanes"), [(3.5, 1), (4.5, 1), (5.2, 2), (9.5, 3), (15.0, 4)])
def test_lanes_reach_to_the_outer_side_of_oncoming_vehicles(left_m: float, lanes: int) -> None:
    oncoming = car("oncoming", left_m, speed_mps=6.0, heading_rad=np.pi)
    road = build_assumed_road(straight(), [oncoming], section=CITY_STREET, rate_hz=RATE_HZ)
    assert road.section.lanes_backward == lanes


def test_a_lane_is_of_those_who_drive_in_it_longer() -> None:
    left = replace(car("left", 3.5, speed_mps=6.0), valid=np.arange(60) < 20)
    oncoming = car("oncoming", 3.5, speed_mps=6.0, heading_rad=np.pi)
    road = build_assumed_road(straight(), [left, oncoming], section=CITY_STREET, rate_hz=RATE_HZ)
    assert (road.section.lanes_forward, road.section.lanes_backward) == (1, 1)


def test_cyclists_and_a_glimpse_of_a_car_widen_nothing() -> None:
    bike = replace(car("bike", -3.5, speed_mps=6.0), category=AgentCategory.BICYCLE)
    glimpse = replace(car("glimpse", -3.5, speed_mps=6.0), valid=np.arange(60) < 9)
    road = build_assumed_road(straight(), [bike, glimpse], section=CITY_STREET, rate_hz=RATE_HZ)
    assert road.section.lanes_forward == 1


def test_standing_cars_along_an_edge_get_a_strip_to_park_on() -> None:
    parked = [replace(car(f"p{k}", -3.2, speed_mps=0.0), center_world_m=np.tile([12.0 * k, -3.2, 0.8], (60, 1)))
              for k in range(4)]  # fmt: skip
    road = build_assumed_road(straight(), parked, section=CITY_STREET, rate_hz=RATE_HZ)
    assert road.section.parking_right_m == pytest.approx(2.4) and road.section.parking_left_m == 0.0
    low, high = region(road.road_map, "parking").bounds[1::2]
    assert (low, high) == pytest.approx((-4.15, -1.75), abs=0.05)
    assert region(road.road_map, "sidewalk").bounds[1] == pytest.approx(-6.65, abs=0.05)
    assert len(road.lost) == 1
    assert (
        build_assumed_road(straight(), parked[:1], section=CITY_STREET, rate_hz=RATE_HZ).section.parking_right_m == 0.0
    )


def test_vehicles_elsewhere_are_counted() -> None:
    far, parked = car("far", -60.0, speed_mps=6.0), car("parked", -5.0, speed_mps=0.0)
    road = build_assumed_road(straight(), [far, parked], section=CITY_STREET, rate_hz=RATE_HZ)
    assert road.section.lanes_forward == 1
    assert road.lost[1:] == (
        "1 of 1 vehicles that drive are beside the assumed road, at times",
        "1 of 1 vehicles that stand are beside the assumed road",
    )


def test_the_same_tracks_give_the_same_road() -> None:
    def bytes_of(road: AssumedRoad) -> list[bytes]:
        return [area.polygon_world_m.tobytes() for area in road.road_map.areas]

    first, second = (build_assumed_road(turn(9.0, 2.0), section=CITY_STREET, rate_hz=RATE_HZ) for _ in range(2))
    assert bytes_of(first) == bytes_of(second)
