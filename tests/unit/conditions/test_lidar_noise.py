"""Errors of the simulated LiDAR's ranges: along the beam, normal, keyed, and nothing else of a sweep changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from scenegen.conditions.lidar import AgentBoxes, LidarScanner
from scenegen.conditions.lidar_kernel import MOST_DEVIATIONS, standard_normal
from scenegen.types import LidarModel, Material, Semantic, ShapeSet, Sweep
from tests.unit.conditions.random_worlds import random_world
from tests.unit.conditions.test_lidar import see

NOISE_M = 0.05
EXACT = LidarModel(num_azimuths=720)
NOISY = replace(EXACT, range_noise_m=NOISE_M)
NO_BOXES = AgentBoxes(world_from_box=np.zeros((0, 4, 4)), half_m=np.zeros((0, 3)), is_present=np.zeros(0, np.bool_))


def sweep_flat_ground(model: LidarModel, *, seed: int = 0, step: int = 0) -> Sweep:
    world = random_world(np.random.default_rng(0))
    semantics = np.full_like(world.semantics, Semantic.FREE)
    ground = np.full_like(world.ground, Material.SIDEWALK)
    flat = replace(world, semantics=semantics, ground=ground, shapes=ShapeSet.empty())
    scanner = LidarScanner(flat, model=model, seed=seed, scene_id="flat")
    return scanner.scan(
        ShapeSet.empty(),
        boxes=NO_BOXES,
        world_from_ego=np.eye(4),
        conditions=see(flat, ShapeSet.empty(), np.random.default_rng(1)),
        step=step,
    ).sweep


def test_errors_lie_along_the_beam_and_change_nothing_else() -> None:
    exact, noisy = sweep_flat_ground(EXACT), sweep_flat_ground(NOISY)
    assert len(exact.ring) > 10_000
    for name in ("ring", "instance", "intensity"):
        assert getattr(exact, name).tobytes() == getattr(noisy, name).tobytes()
    moved_m = (noisy.points_lidar_m - exact.points_lidar_m).astype(np.float64)
    beam = exact.points_lidar_m / np.linalg.norm(exact.points_lidar_m, axis=1, keepdims=True)
    error_m = (moved_m * beam).sum(axis=1)
    assert np.abs(moved_m - error_m[:, None] * beam).max() < 1e-5
    assert error_m.std() == pytest.approx(NOISE_M, rel=0.03)
    assert stats.kstest(error_m / NOISE_M, "norm").pvalue > 0.01
    neighbours = np.corrcoef(error_m[:-1], error_m[1:])[0, 1]
    assert abs(neighbours) < 4.0 / np.sqrt(len(error_m))
    brightness = np.corrcoef(error_m, exact.intensity)[0, 1]
    assert abs(brightness) < 4.0 / np.sqrt(len(error_m))


def test_without_drop_out_every_beam_that_meets_something_returns() -> None:
    kept, fewer, usual = (
        sweep_flat_ground(replace(EXACT, drop_out_scale=scale, max_range_m=6.0)) for scale in (0.0, 0.5, 1.0)
    )
    elevation_rad = np.radians(np.linspace(EXACT.min_elevation_deg, EXACT.max_elevation_deg, EXACT.num_beams))
    down = elevation_rad[elevation_rad < 0.0]
    height_m = EXACT.position_ego_m[2] - 0.15  # a pavement all around
    num_within = int((height_m / np.sin(-down) < 6.0).sum())
    assert len(kept.ring) == num_within * EXACT.num_azimuths
    lost = 1.0 - len(usual.ring) / len(kept.ring)
    assert lost > 0.1
    assert 1.0 - len(fewer.ring) / len(kept.ring) == pytest.approx(0.5 * lost, rel=0.1)


def test_errors_are_keyed_by_seed_and_step() -> None:
    first, again = sweep_flat_ground(NOISY), sweep_flat_ground(NOISY)
    assert first.points_lidar_m.tobytes() == again.points_lidar_m.tobytes()
    exact = sweep_flat_ground(EXACT)
    for other in (sweep_flat_ground(NOISY, seed=1), sweep_flat_ground(NOISY, step=1)):
        assert len(other.ring) != len(exact.ring) or not np.array_equal(other.points_lidar_m, first.points_lidar_m)


def test_draws_are_standard_normal_and_bounded() -> None:
    draws = np.array([standard_normal(np.uint64(12345), number) for number in range(100_000)])
    assert stats.kstest(draws, "norm").pvalue > 0.01
    assert np.abs(draws).max() < MOST_DEVIATIONS
    assert np.sqrt(2.0 * 33.0 * np.log(2.0)) < MOST_DEVIATIONS  # the smallest share is 2^-33
