"""Small hand-made layouts for the occupancy tests."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.types import (
    AgentCategory,
    AgentTrack,
    Area,
    EgoTrack,
    Lane,
    LaneLine,
    Layout,
    RoadMap,
    Timeline,
)

STEPS = 120
RATE_HZ = 12.0
LANE_M = 3.5


def track(
    agent_id: str,
    category: AgentCategory,
    size: tuple[float, float, float],
    start: tuple[float, float],
    velocity: tuple[float, float],
    attribute: str = "",
) -> AgentTrack:
    """Make an agent that moves straight, standing on the ground."""
    time_s = np.arange(STEPS) / RATE_HZ
    center = np.zeros((STEPS, 3))
    center[:, 0] = start[0] + velocity[0] * time_s
    center[:, 1] = start[1] + velocity[1] * time_s
    center[:, 2] = size[2] / 2
    heading = np.arctan2(velocity[1], velocity[0]) if np.hypot(*velocity) > 0 else 0.3
    return AgentTrack(
        agent_id=agent_id,
        category=category,
        size_lwh_m=np.array(size),
        center_world_m=center,
        heading_rad=np.full(STEPS, heading),
        velocity_world_mps=np.tile(velocity, (STEPS, 1)).astype(float),
        valid=np.ones(STEPS, bool),
        attribute=attribute,
    )


def rectangle(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Return the corners of an axis-aligned rectangle."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)


def straight_lane(lane_id: str, start: tuple[float, float], end: tuple[float, float]) -> Lane:
    """Return a straight vehicle lane sampled every 2 m."""
    count = int(np.hypot(end[0] - start[0], end[1] - start[1]) / 2) + 1
    points = np.linspace((*start, 0.0), (*end, 0.0), count)
    return Lane(lane_id=lane_id, centerline_world_m=points, width_m=LANE_M)


def all_categories(y: float = 20.0) -> tuple[AgentTrack, ...]:
    """Return one agent of every category, well apart, moving along x."""
    sizes = {
        AgentCategory.CAR: (4.5, 1.9, 1.5), AgentCategory.TRUCK: (8.0, 2.5, 3.2), AgentCategory.BUS: (12.0, 2.6, 3.3),
        AgentCategory.TRAILER: (10.0, 2.5, 3.4), AgentCategory.CONSTRUCTION_VEHICLE: (6.5, 2.6, 3.0),
        AgentCategory.PEDESTRIAN: (0.7, 0.7, 1.75), AgentCategory.MOTORCYCLE: (2.1, 0.8, 1.5),
        AgentCategory.BICYCLE: (1.8, 0.6, 1.7), AgentCategory.TRAFFIC_CONE: (0.4, 0.4, 0.8),
        AgentCategory.BARRIER: (0.6, 2.2, 1.0), AgentCategory.ANIMAL: (0.9, 0.35, 0.6),
        AgentCategory.OTHER: (0.8, 0.6, 1.1),
    }  # fmt: skip
    return tuple(
        track(f"{category.label}", category, size, (-70.0 + 13 * index, y + 0.1 * index), (1.4, 0.1))
        for index, (category, size) in enumerate(sizes.items())
    )


def crossroads_layout(layout_id: str = "crossroads", agents: tuple[AgentTrack, ...] | None = None) -> Layout:
    """Return two crossing streets with sidewalks, crossings, one building, and a moving ego."""
    half = 2 * LANE_M
    areas = [
        Area(kind="drivable", polygon_world_m=rectangle(-120, -half, 120, half)),
        Area(kind="drivable", polygon_world_m=rectangle(-LANE_M, -120, LANE_M, 120)),
        Area(kind="sidewalk", polygon_world_m=rectangle(-120, -half - 3, 120, half + 3)),
        Area(kind="sidewalk", polygon_world_m=rectangle(-LANE_M - 3, -120, LANE_M + 3, 120)),
        Area(kind="crossing", polygon_world_m=rectangle(-10, -half, -6.5, half)),
        Area(kind="parking", polygon_world_m=rectangle(20, -half - 2.2, 50, -half)),
        Area(
            kind="building",
            polygon_world_m=np.array([[25.0, 14], [45, 14], [45, 30], [35, 30], [35, 22], [25, 22]]),
            height_m=12.0,
        ),
    ]
    lanes = [straight_lane(f"e{k}", (-120, -LANE_M * (k + 0.5)), (120, -LANE_M * (k + 0.5))) for k in range(2)]
    lanes += [straight_lane(f"w{k}", (120, LANE_M * (k + 0.5)), (-120, LANE_M * (k + 0.5))) for k in range(2)]
    lines = [
        LaneLine(points_world_m=np.array([[x, y, 0.0] for x in (-120, 120)]), kind=kind, color=color)
        for y, kind, color in (
            (-LANE_M, "dashed", "white"),
            (0.0, "double_solid", "yellow"),
            (LANE_M, "dashed", "white"),
        )
    ]
    path = np.tile(np.eye(4), (STEPS, 1, 1))
    path[:, 0, 3] = np.linspace(-50, 20, STEPS)
    path[:, 1, 3] = -LANE_M / 2
    default = (
        track("car", AgentCategory.CAR, (4.5, 1.9, 1.5), (-30, LANE_M / 2), (6.0, 0.0)),
        track("walker", AgentCategory.PEDESTRIAN, (0.7, 0.7, 1.75), (-8, 11), (0.0, -1.4)),
        track("lost", AgentCategory.PEDESTRIAN, (0.7, 0.7, 1.75), (0, 16), (2.0, 0.8)),
    )
    return Layout(
        layout_id=layout_id,
        source="test",
        licence="CC0-1.0",
        timeline=Timeline(rate_hz=RATE_HZ, num_steps=STEPS),
        road_map=RoadMap(lanes=tuple(lanes), lane_lines=tuple(lines), areas=tuple(areas), num_roads=2),
        agents=default if agents is None else agents,
        ego=EgoTrack(world_from_ego=path, velocity_world_mps=np.tile([7.0, 0.0], (STEPS, 1))),
    )


def bend_layout(layout_id: str = "bend") -> Layout:
    """Return one curved two-lane road as a real log gives it: lanes only, no areas."""
    angle = np.linspace(-0.6, 1.6, 120)
    radius_m = 90.0
    lanes = []
    for k, offset in enumerate((-LANE_M / 2, LANE_M / 2)):
        r = radius_m - offset
        points = np.stack([r * np.sin(angle), radius_m - r * np.cos(angle), np.zeros_like(angle)], axis=1)
        lanes.append(Lane(lane_id=str(k), centerline_world_m=points if k == 0 else points[::-1], width_m=LANE_M))
    path = np.tile(np.eye(4), (STEPS, 1, 1))
    turn = np.linspace(0.0, 0.9, STEPS)
    r = radius_m + LANE_M / 2
    path[:, 0, 0], path[:, 0, 1], path[:, 1, 0], path[:, 1, 1] = np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)
    path[:, 0, 3], path[:, 1, 3] = r * np.sin(turn), radius_m - r * np.cos(turn)
    speed = r * 0.9 / (STEPS / RATE_HZ)
    return Layout(
        layout_id=layout_id,
        source="test",
        licence="CC0-1.0",
        timeline=Timeline(rate_hz=RATE_HZ, num_steps=STEPS),
        road_map=RoadMap(lanes=tuple(lanes), num_roads=1),
        agents=(),
        ego=EgoTrack(world_from_ego=path, velocity_world_mps=speed * np.stack([np.cos(turn), np.sin(turn)], axis=1)),
    )


@pytest.fixture(scope="session")
def crossroads() -> Layout:
    """Two crossing streets."""
    return crossroads_layout()


@pytest.fixture(scope="session")
def bend() -> Layout:
    """One curved road without areas."""
    return bend_layout()


@pytest.fixture(scope="session")
def zoo() -> Layout:
    """The crossroads with one agent of every category."""
    return crossroads_layout("zoo", all_categories())
