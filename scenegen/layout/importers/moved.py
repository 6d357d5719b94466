"""Layouts moved over the ground: importers build in the frame of their file and move the ego's start to the origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from scenegen.geometry.rigid import planar_poses
from scenegen.types.layout import AgentTrack, Area, EgoTrack, Lane, LaneLine, Layout, Prop, RoadMap


def moved_to_ego(layout: Layout) -> Layout:
    """Move a layout so that the first ego position is its origin; orientation kept."""
    by_m = -layout.ego.position_world_m[0, :2]
    return replace(
        layout,
        road_map=_moved_map(layout.road_map, by_m),
        agents=tuple(_moved_agent(agent, by_m) for agent in layout.agents),
        ego=_moved_ego(layout.ego, by_m),
    )


def _moved_map(road_map: RoadMap, by_m: Float64[np.ndarray, "2"]) -> RoadMap:
    by_3_m = np.array([by_m[0], by_m[1], 0.0])

    def lane(item: Lane) -> Lane:
        return replace(item, centerline_world_m=item.centerline_world_m + by_3_m)

    def line(item: LaneLine) -> LaneLine:
        return replace(item, points_world_m=item.points_world_m + by_3_m)

    def area(item: Area) -> Area:
        holes_m = tuple(hole + by_m for hole in item.holes_world_m)
        return replace(item, polygon_world_m=item.polygon_world_m + by_m, holes_world_m=holes_m)

    def prop(item: Prop) -> Prop:
        return replace(item, position_world_m=item.position_world_m + by_m)

    return replace(
        road_map,
        lanes=tuple(map(lane, road_map.lanes)),
        lane_lines=tuple(map(line, road_map.lane_lines)),
        areas=tuple(map(area, road_map.areas)),
        props=tuple(map(prop, road_map.props)),
    )


def _moved_agent(agent: AgentTrack, by_m: Float64[np.ndarray, "2"]) -> AgentTrack:
    return replace(agent, center_world_m=agent.center_world_m + np.array([by_m[0], by_m[1], 0.0]))


def _moved_ego(ego: EgoTrack, by_m: Float64[np.ndarray, "2"]) -> EgoTrack:
    position_m = ego.position_world_m + np.array([by_m[0], by_m[1], 0.0])
    return replace(ego, world_from_ego=planar_poses(position_m, ego.heading_rad))
