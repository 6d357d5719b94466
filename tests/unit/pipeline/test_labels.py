"""Labels of generated scenes: stored and rendered alike, and in agreement with each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenegen.config import GenerateConfig
from scenegen.dataset import Scene, open_dataset
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import DatasetError
from scenegen.pipeline import SerialExecutor, generate
from scenegen.rerender import open_rendered
from scenegen.types import EXTRA_RING, LidarModel
from tests.unit.pipeline.conftest import STEPS, GreyBackbone, SilentReporter

Install = Callable[[GreyBackbone], None]


@pytest.fixture
def make(config: GenerateConfig, use_streets: Install) -> Callable[..., str]:
    def generate_scene(*, sensor: LidarModel | None = None, **dataset: str) -> str:
        use_streets(GreyBackbone())
        folder = str(Path(config.output) / "-".join(("scene", *dataset.values())))
        job = replace(config, layouts=("a",), output=folder, dataset=replace(config.dataset, **dataset))
        job = job if sensor is None else replace(job, lidar=sensor)
        generate(job, executor=SerialExecutor(), reporter=SilentReporter()).raise_on_failure()
        return folder

    return generate_scene


def only(dataset: object) -> Scene:
    (scene,) = dataset  # type: ignore[misc]
    return scene


def test_stored_and_rendered_maps_have_the_same_bytes(make: Callable[..., str]) -> None:
    stored = only(open_dataset(make(labels="stored")))
    folder = make(labels="rendered")
    with pytest.raises(DatasetError, match="open_rendered"):
        only(open_dataset(folder)).depth("CAM_FRONT")
    rendered = only(open_rendered(folder))
    for read in (Scene.depth, Scene.semantic, Scene.instance, Scene.optical_flow):
        kept, made = read(stored, "CAM_FRONT"), read(rendered, "CAM_FRONT")
        assert (kept.shape, kept.dtype, kept.attrs) == (made.shape, made.dtype, made.attrs)
        assert kept[:].tobytes() == made[:].tobytes()
        assert kept[5, 3:9].tobytes() == made[5, 3:9].tobytes()
        assert kept[1:6:2].tobytes() == made[1:6:2].tobytes()
        assert made[2:2].shape == kept[2:2].shape
        for array in (kept, made):
            with pytest.raises(IndexError):
                array[STEPS]
            with pytest.raises(IndexError):
                array[4:2:-1]
    walker_mm = stored.depth("CAM_FRONT")[0][stored.instance("CAM_FRONT")[0] == 1].astype(int)
    away_mm = 1000.0 * (12.0 - stored.cam2ego("CAM_FRONT")[0, 3])
    assert np.abs(walker_mm - away_mm).max() < 300
    assert np.isnan(stored.optical_flow("CAM_FRONT")[0].astype(float)).all()
    assert np.isfinite(stored.optical_flow("CAM_FRONT")[1].astype(float)).any()
    verify_dataset(make(labels="stored"), deep=True).raise_on_damage()


def test_sweeps_are_the_same_stored_or_rendered_and_agree_with_the_boxes(make: Callable[..., str]) -> None:
    folder = make(lidar="key_frames")
    stored, rendered = only(open_dataset(folder)), only(open_rendered(folder))
    keys = np.flatnonzero(stored.is_key_frame)
    for step in keys.tolist():
        for name in ("points_lidar_m", "intensity", "ring", "instance", "box"):
            assert getattr(stored.lidar(step), name).tobytes() == getattr(rendered.lidar(step), name).tobytes()
    for step in range(STEPS):
        sweep, boxes = rendered.lidar(step), stored.boxes(step)
        world_m = np.c_[sweep.points_lidar_m, np.ones(len(sweep))] @ (stored.ego2global[step] @ stored.lidar2ego).T
        away_m = world_m[:, :3] - boxes.center_world_m[0]
        heading = 2.0 * np.arctan2(boxes.rotation_wxyz[0, 3], boxes.rotation_wxyz[0, 0])
        turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
        local_m = np.c_[away_m[:, :2] @ turn, away_m[:, 2]]
        inside = (np.abs(local_m) <= 0.5 * boxes.size_lwh_m[0]).all(axis=1)
        assert boxes.num_lidar_pts[0] == inside.sum() > 10
        assert np.array_equal(inside, sweep.box == 0)


def test_sweeps_of_a_sensor_with_errors_are_the_same_stored_or_rendered(make: Callable[..., str]) -> None:
    sensor = LidarModel(is_rolling=True, range_noise_m=0.05, num_beams=40, position_ego_m=(1.2, 0.1, 1.9))
    folder = make(sensor=sensor)
    stored, rendered = only(open_dataset(folder)), only(open_rendered(folder))
    assert stored.lidar_model == sensor and stored.record.lidar == sensor
    assert np.array_equal(stored.lidar2ego, sensor.lidar2ego) and np.array_equal(rendered.lidar2ego, sensor.lidar2ego)
    step = int(np.flatnonzero(stored.is_key_frame)[-1])
    kept, made = stored.lidar(step), rendered.lidar(step)
    assert kept.time_offset_us is not None and made.time_offset_us is not None
    for name in ("points_lidar_m", "intensity", "ring", "instance", "box", "time_offset_us"):
        assert getattr(kept, name).tobytes() == getattr(made, name).tobytes()
    of_beams = kept.time_offset_us[kept.ring != EXTRA_RING]
    assert (np.diff(of_beams) >= 0).all() and -50_000 <= of_beams[0] < -45_000 and of_beams[-1] <= 0
    assert kept.ring[kept.ring != EXTRA_RING].max() > 32
    verify_dataset(folder, deep=True).raise_on_damage()


def test_a_sensor_without_swept_points_is_known_to_the_scene(make: Callable[..., str]) -> None:
    sensor = LidarModel(range_noise_m=0.03)
    folder = make(sensor=sensor, lidar="none")
    scene = only(open_rendered(folder))
    assert scene.lidar_model == sensor
    exact = only(open_rendered(make(lidar="none", labels="stored")))
    assert not np.array_equal(scene.lidar(0).points_lidar_m, exact.lidar(0).points_lidar_m)
    verify_dataset(folder, deep=True).raise_on_damage()


def test_the_default_sensor_leaves_hashes_and_attributes_as_they_were(
    config: GenerateConfig, make: Callable[..., str]
) -> None:
    assert config.lidar == LidarModel()
    noisy = replace(config, lidar=LidarModel(range_noise_m=0.02))
    assert noisy.content_sha256() != config.content_sha256()
    scene = only(open_dataset(make()))
    assert "lidar" not in scene.attrs and scene.lidar_model == LidarModel()
    assert not scene.has_array("lidar/time_offset_us") and scene.lidar(0).time_offset_us is None


def test_lidar_mask_is_exactly_what_its_points_cross(make: Callable[..., str]) -> None:
    scene = only(open_rendered(make(lidar="none")))
    sweep, sensor_m = scene.lidar(2), scene.lidar2ego[:3, 3]
    points_m = sweep.points_lidar_m[sweep.ring != EXTRA_RING].astype(np.float64)
    crossed = np.zeros((200, 200, 16), np.uint8)
    planes = [np.arange(n + 1) * 0.4 - offset for n, offset in ((200, 40.0), (200, 40.0), (16, 1.0))]
    for way_m in points_m:
        reach = 1.0 + 0.1 / np.linalg.norm(way_m)
        borders = np.concatenate([(plane - sensor_m[a]) / way_m[a] for a, plane in enumerate(planes) if way_m[a]])
        share = np.sort(np.r_[0.0, borders[(borders > 0.0) & (borders < reach)], reach])
        share = share[np.r_[True, np.diff(share) > 1e-9]]
        middle_m = sensor_m + 0.5 * (share[1:] + share[:-1])[:, None] * way_m
        voxel = np.floor((middle_m - [-40.0, -40.0, -1.0]) / 0.4).astype(int)
        voxel = voxel[((voxel >= 0) & (voxel < crossed.shape)).all(axis=1)]
        crossed[tuple(voxel.T)] = 1
    assert crossed.sum() > 10_000
    assert (crossed != scene.occupancy(2).mask_lidar).sum() == 0


def test_2d_boxes_are_tight_around_the_instance_maps(make: Callable[..., str]) -> None:
    scene = only(open_dataset(make(labels="stored")))
    for step in range(STEPS):
        found, image = scene.boxes2d(step, "CAM_FRONT"), scene.instance("CAM_FRONT")[step]
        assert found.box.tolist() == [0]
        rows, columns = np.nonzero(image == 1)
        assert found.xyxy_px[0].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert found.num_px[0] == len(rows)
        assert found.visible_fraction[0] == scene.boxes(step).visible_fraction[0] == 1.0


def test_flow_of_voxels_is_the_walkers(make: Callable[..., str]) -> None:
    scene = only(open_dataset(make(lidar="none")))
    occupancy = scene.occupancy(4)
    is_walker = occupancy.semantics == 7
    assert is_walker.sum() >= 2
    assert np.array_equal(occupancy.instance == 1, is_walker)
    np.testing.assert_allclose(occupancy.flow_mps[is_walker], np.tile([0.0, 1.4], (is_walker.sum(), 1)), atol=1e-6)
    assert not occupancy.flow_mps[~is_walker].any()
