"""The LiDAR that fires azimuth after azimuth: walls and boxes on the move in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenegen.conditions.lidar import AgentBoxes, CountedSweep, LidarScanner
from scenegen.conditions.turn import TurnMotion
from scenegen.types import LidarModel, Material, Semantic, ShapeSet, World
from tests.unit.conditions.random_worlds import random_shapes, random_world
from tests.unit.conditions.test_lidar import see

ROLLING = LidarModel(num_azimuths=360, is_rolling=True)
POSE = np.array([[0.6, -0.8, 0.0, 0.3], [0.8, 0.6, 0.0, -0.2], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
SPEED_MPS, TURN_RATE, AGENT_MPS = 24.0, 0.8, -15.0


def open_world(*, wall_at: int | None) -> World:
    """Return flat ground without solids, and a wall across the x axis of the world, one voxel thick."""
    world = random_world(np.random.default_rng(1))
    semantics = np.full_like(world.semantics, Semantic.FREE)
    if wall_at is not None:
        semantics[wall_at] = Semantic.MANMADE
    ground = np.full_like(world.ground, Material.ASPHALT)
    return replace(world, semantics=semantics, ground=ground, kerb_height_m=0.0, shapes=ShapeSet.empty())


def one_box() -> ShapeSet:
    """Return an upright box 5 m ahead along the x axis of the world, its faces along the axes."""
    shapes = random_shapes(np.random.default_rng(0), count=1, first_instance=1)
    pose = np.eye(4)[None].copy()
    pose[0, :3, 3] = [5.0, 0.0, 1.0]
    return replace(
        shapes,
        kind=np.zeros(1, np.uint8),
        world_from_shape=pose,
        half_extent_m=np.array([[0.5, 2.0, 1.0]]),
        box_from_world=np.linalg.inv(pose),
    )


def motion_of(agents: ShapeSet, *, speed: float, turn_rate: float, agent_mps: float, along: np.ndarray) -> TurnMotion:
    count = len(agents)
    return TurnMotion(
        velocity_mps=speed * along,
        turn_rate_rad_s=turn_rate,
        agent_center_m=agents.world_from_shape[:, :3, 3].copy(),
        agent_velocity_mps=np.tile([agent_mps, 0.0, 0.0], (count, 1)),
        agent_turn_rate_rad_s=np.zeros(count),
        most_s=1.0 / 12.0,
    )


def sweep_of(world: World, agents: ShapeSet, model: LidarModel, pose: np.ndarray, motion: TurnMotion) -> CountedSweep:
    boxes = AgentBoxes(
        world_from_box=agents.world_from_shape,
        half_m=agents.half_extent_m,
        is_present=np.ones(len(agents), np.bool_),
    )
    scanner = LidarScanner(world, model=model, seed=0, scene_id="rolling")
    seen = see(world, agents, np.random.default_rng(0))
    return scanner.scan(agents, boxes=boxes, world_from_ego=pose, conditions=seen, step=3, motion=motion)


def expected_points(counted: CountedSweep, plane_m: np.ndarray, pose: np.ndarray, motion: TurnMotion) -> np.ndarray:
    """Return, frame `lidar`, where each beam meets an upright plane across world x that lies at `plane_m` (P,)."""
    sweep = counted.sweep
    assert sweep.time_offset_us is not None
    time_s = 1e-6 * sweep.time_offset_us
    azimuth = np.searchsorted(ROLLING.firing_us(most_s=1.0 / 12.0), sweep.time_offset_us)
    direction = ROLLING.directions()[azimuth, sweep.ring]
    met = np.empty((len(time_s), 3))
    lidar_from_world = np.linalg.inv(pose @ ROLLING.lidar2ego)
    for i, seconds in enumerate(time_s):
        angle = motion.turn_rate_rad_s * seconds
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        ego = np.eye(4)
        ego[:3, :3] = turn @ pose[:3, :3]
        ego[:3, 3] = pose[:3, 3] + motion.velocity_mps * seconds
        fired = ego @ ROLLING.lidar2ego
        aimed = fired[:3, :3] @ direction[i]
        point = fired[:3, 3] + (plane_m[i] - fired[0, 3]) / aimed[0] * aimed
        met[i] = (lidar_from_world @ [*point, 1.0])[:3]
    return met


@pytest.mark.parametrize("turn_rate", [0.0, TURN_RATE])
def test_a_wall_is_met_from_where_the_sensor_was(turn_rate: float) -> None:
    world = open_world(wall_at=20)
    motion = motion_of(ShapeSet.empty(), speed=SPEED_MPS, turn_rate=turn_rate, agent_mps=0.0, along=POSE[:3, 0])
    counted = sweep_of(world, ShapeSet.empty(), ROLLING, POSE, motion)
    sweep = counted.sweep
    wall_m = world.grid.origin_m[0] + 20 * world.grid.voxel_m
    front = np.full(len(sweep.ring), wall_m)
    expected = expected_points(counted, front, POSE, motion)
    world_m = sweep.points_lidar_m @ (POSE @ ROLLING.lidar2ego)[:3, :3].T + (POSE @ ROLLING.lidar2ego)[:3, 3]
    on_wall = (np.abs(world_m[:, 0] - wall_m) < 1e-4) & (world_m[:, 2] > 0.01)
    assert on_wall.sum() > 500
    np.testing.assert_allclose(sweep.points_lidar_m[on_wall], expected[on_wall], atol=1e-5)
    # the first to fire was a turn's length behind: 24 m/s * 50 ms
    assert sweep.time_offset_us is not None
    assert sweep.time_offset_us.min() == pytest.approx(-50e3, rel=0.02) and sweep.time_offset_us.max() == 0
    still = sweep_of(world, ShapeSet.empty(), replace(ROLLING, is_rolling=False), POSE, motion).sweep
    assert still.time_offset_us is None and not np.array_equal(still.points_lidar_m, sweep.points_lidar_m)


def test_a_moving_box_is_met_where_it_was() -> None:
    agents, pose = one_box(), np.eye(4)
    motion = motion_of(agents, speed=SPEED_MPS, turn_rate=0.0, agent_mps=AGENT_MPS, along=pose[:3, 0])
    counted = sweep_of(open_world(wall_at=None), agents, ROLLING, pose, motion)
    sweep = counted.sweep
    assert sweep.time_offset_us is not None
    own = sweep.instance == 1
    assert own.sum() > 100
    face_m = 5.0 - 0.5 + AGENT_MPS * 1e-6 * sweep.time_offset_us
    expected = expected_points(counted, face_m, pose, motion)
    gap_m = np.linalg.norm(sweep.points_lidar_m - expected, axis=1)
    # dead ahead half a turn before the step: 15 m/s * 25 ms ahead of the box as it stands at the step, so half inside
    assert (gap_m[own & (sweep.ring < 20)] < 1e-4).mean() > 0.9
    inside = np.abs(sweep.points_lidar_m + pose[:3, 3] + ROLLING.lidar2ego[:3, 3] - [5.0, 0.0, 1.0]) <= [0.5, 2.0, 1.0]
    assert counted.num_points[0] == inside.all(axis=1).sum()
    assert not (inside.all(axis=1) & ~own).any()


def test_where_nothing_moves_a_turn_is_an_instant() -> None:
    rng = np.random.default_rng(2)
    world, agents = random_world(rng), random_shapes(rng, count=6, first_instance=1)
    motion = motion_of(agents, speed=0.0, turn_rate=0.0, agent_mps=0.0, along=POSE[:3, 0])
    rolling = sweep_of(world, agents, ROLLING, POSE, motion)
    still = sweep_of(world, agents, replace(ROLLING, is_rolling=False), POSE, motion)
    assert np.array_equal(rolling.num_points, still.num_points)
    assert np.array_equal(rolling.sweep.ring, still.sweep.ring)
    np.testing.assert_allclose(rolling.sweep.points_lidar_m, still.sweep.points_lidar_m, atol=1e-5)


@pytest.mark.parametrize("tilt_rad", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_counts_are_the_points_inside_the_boxes_of_the_step(seed: int, tilt_rad: float) -> None:
    rng = np.random.default_rng(seed)
    world, agents = open_world(wall_at=20), random_shapes(rng, count=12, first_instance=1)
    motion = motion_of(agents, speed=SPEED_MPS, turn_rate=TURN_RATE, agent_mps=-2.0, along=POSE[:3, 0])
    pose = POSE.copy()
    pose[:3, :3] = pose[:3, :3] @ Rotation.from_euler("y", tilt_rad).as_matrix()
    counted = sweep_of(world, agents, replace(ROLLING, range_noise_m=0.05), pose, motion)
    points = np.c_[counted.sweep.points_lidar_m.astype(np.float64), np.ones(len(counted.sweep.ring))]
    others = (counted.sweep.instance == 0) | (counted.sweep.instance > len(agents))
    for a in range(len(agents)):
        box_from_lidar = np.linalg.inv(agents.world_from_shape[a]) @ pose @ ROLLING.lidar2ego
        local_m = np.abs((points @ box_from_lidar.T)[:, :3])
        assert counted.num_points[a] == (local_m <= agents.half_extent_m[a]).all(axis=1).sum()
        assert not (local_m[others] <= agents.half_extent_m[a]).all(axis=1).any()
    assert counted.num_points.sum() > 300
