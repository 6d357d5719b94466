"""Worlds that cannot be: too wide, without a road, contradicting themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenegen.errors import LayoutError, WorldError
from scenegen.layout.sources import read_layout
from scenegen.layout.validate import validate_layout
from scenegen.occupancy.build import begin_world
from scenegen.types import Area, EgoTrack, Layout, RoadMap


@pytest.fixture(scope="module")
def layout() -> Layout:
    return read_layout("crossing_pedestrian")


def test_a_world_wider_than_memory_is_refused_before_it_is_built(layout: Layout) -> None:
    poses = layout.ego.world_from_ego.copy()
    poses[:, :2, 3] *= 1000.0
    ego = EgoTrack(world_from_ego=poses, velocity_world_mps=layout.ego.velocity_world_mps)
    with pytest.raises(WorldError, match="around the ego path"):
        begin_world(replace(layout, ego=ego), seed=0)


def test_a_layout_without_a_road_is_refused(layout: Layout) -> None:
    with pytest.raises(WorldError, match="lanes or drivable areas"):
        begin_world(replace(layout, road_map=RoadMap(lanes=(), lane_lines=(), areas=(), props=())), seed=0)


def test_a_building_on_the_road_is_a_contradiction(layout: Layout) -> None:
    road = layout.road_map.areas_of("drivable")[0].polygon_world_m
    middle = road.mean(axis=0)
    square = middle + np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    building = Area(kind="building", polygon_world_m=square, height_m=5.0)
    validate_layout(layout)
    with_building = replace(layout.road_map, areas=(*layout.road_map.areas, building))
    with pytest.raises(LayoutError, match="buildings beside the road"):
        validate_layout(replace(layout, road_map=with_building, agents=()))
