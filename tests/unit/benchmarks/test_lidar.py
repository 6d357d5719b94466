"""The LiDAR's benchmark on a small street: both see the same, and a difference is found."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.lidar import MeshSweeps, StaticSweeps, check_ranges, rays_of
from benchmarks.render_cases import street
from scenegen.errors import SceneGenError
from scenegen.types import LidarModel

MODEL = LidarModel(num_azimuths=60)


def pose() -> np.ndarray:
    pose = np.array([[0.6, -0.8, 0.0, 0.3], [0.8, 0.6, 0.0, 0.35], [0.0, 0.0, 1.0, 0.4], [0.0, 0.0, 0.0, 1.0]])
    return pose @ MODEL.lidar2ego


def test_open3d_casts_the_same_rays_to_the_same_ranges() -> None:
    pytest.importorskip("open3d")
    world = street(40.0)
    ours = StaticSweeps(world, MODEL)
    ours.cast(pose())
    theirs = MeshSweeps(world).cast(rays_of(pose(), MODEL))
    check_ranges(ours.range_m(), theirs, max_range_m=MODEL.max_range_m)
    with pytest.raises(SceneGenError, match=r"0\.002 m"):
        check_ranges(ours.range_m() + 0.01, theirs, max_range_m=MODEL.max_range_m)
    with pytest.raises(SceneGenError, match=r"0\.002 m"):  # beams of another azimuth
        check_ranges(np.roll(ours.range_m(), 1, axis=0), theirs, max_range_m=MODEL.max_range_m)


def test_rays_start_at_the_sensor_and_have_unit_length() -> None:
    rays = rays_of(pose(), MODEL)
    assert rays.shape == (MODEL.num_azimuths * MODEL.num_beams, 6)
    np.testing.assert_allclose(rays[:, :3], np.tile(pose()[:3, 3], (len(rays), 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rays[:, 3:], axis=1), 1.0, atol=1e-6)
