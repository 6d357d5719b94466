"""Mirror a scene: right-hand traffic becomes left-hand traffic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from scenegen.types.layout import AgentTrack, Area, EgoTrack, Layout, RoadMap

SIDE = np.array([1.0, -1.0, 1.0, 1.0])
"""Of the axes of a pose: y changes its sign."""


def mirror_layout(layout: Layout) -> Layout:
    """Mirror everything at the world's x axis: y, headings, lateral velocities; twice is the layout itself.

    Lanes, marks, areas, props, agents and the ego are mirrored. Rigs, boxes and colours are not: cameras stay where
    they are on the car, and what a world makes up by itself (buildings, plants, signs) is drawn for the new streets.
    """
    poses = layout.ego.world_from_ego
    return replace(
        layout,
        road_map=_mirrored_map(layout.road_map),
        agents=tuple(_mirrored_agent(agent) for agent in layout.agents),
        ego=EgoTrack(
            world_from_ego=np.concatenate([SIDE[:3, None] * poses[:, :3] * SIDE, poses[:, 3:]], axis=1),
            velocity_world_mps=_flipped(layout.ego.velocity_world_mps),
        ),
    )


def _flipped(points: Float64[np.ndarray, "N C"]) -> Float64[np.ndarray, "N C"]:
    flipped = points.copy()
    flipped[:, 1] = -flipped[:, 1]
    return flipped


def _mirrored_map(road_map: RoadMap) -> RoadMap:
    return replace(
        road_map,
        lanes=tuple(replace(lane, centerline_world_m=_flipped(lane.centerline_world_m)) for lane in road_map.lanes),
        lane_lines=tuple(replace(line, points_world_m=_flipped(line.points_world_m)) for line in road_map.lane_lines),
        areas=tuple(_mirrored_area(area) for area in road_map.areas),
        props=tuple(
            replace(
                prop,
                position_world_m=prop.position_world_m * np.array([1.0, -1.0]),
                heading_rad=-prop.heading_rad,
            )
            for prop in road_map.props
        ),
    )


def _mirrored_area(area: Area) -> Area:
    """Mirror an outline; its corners run the other way round, as the mirror has it."""
    return replace(
        area,
        polygon_world_m=_flipped(area.polygon_world_m),
        holes_world_m=tuple(_flipped(hole_m) for hole_m in area.holes_world_m),
    )


def _mirrored_agent(agent: AgentTrack) -> AgentTrack:
    return replace(
        agent,
        center_world_m=_flipped(agent.center_world_m),
        heading_rad=-agent.heading_rad,
        velocity_world_mps=_flipped(agent.velocity_world_mps),
    )
