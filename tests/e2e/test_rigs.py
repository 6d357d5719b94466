"""Every rig that ships paints, is stored with its lenses and sizes, verifies, and can be rebuilt from the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenegen.cli.compose import compose_config
from scenegen.cli.report import describe_scene
from scenegen.config import GenerateConfig
from scenegen.dataset import open_dataset
from scenegen.dataset.verify import verify_dataset
from scenegen.geometry.lens import pixel_rays
from scenegen.pipeline import SerialExecutor, generate
from scenegen.rig import build_rig
from scenegen.scene import SceneStage
from tests.unit.pipeline.conftest import SilentReporter

RIGS = ("av2_ring7", "hyperion7", "kitti2", "surround_fisheye4")


@pytest.mark.parametrize("name", RIGS)
def test_a_rig_makes_a_scene_that_reads_back(name: str, tmp_path: Path) -> None:
    overrides = ["layouts=[crossing_pedestrian]", "video=preview", f"rig={name}", f"output={tmp_path}"]
    config = compose_config(GenerateConfig, "generate", [*overrides, "duration_s=0.1667", "dataset.image_codec=png"])
    report = generate(config, executor=SerialExecutor(), reporter=SilentReporter())
    assert report.failed == ()
    assert verify_dataset(tmp_path, deep=True).damages == ()
    scene = open_dataset(tmp_path)[report.committed[0].scene_id]
    rig = build_rig(config.rig)
    assert scene.num_steps == 2 and scene.rig.size_px == rig.size_px
    for stored, camera in zip(scene.rig.cameras, rig.cameras, strict=True):
        assert (stored.name, stored.size_px, stored.lens) == (camera.name, camera.size_px, camera.lens)
        np.testing.assert_array_equal(stored.K, camera.K)
        attributes = scene.array(f"cameras/{camera.name}/cam2img").attrs
        assert attributes["camera_model"] == camera.lens.model
        assert tuple(attributes["distortion"]) == camera.lens.coefficients
        frames = scene.rgb(camera.name)[:]
        assert frames.shape == (2, camera.size_px[1], camera.size_px[0], 3)
        is_seen = np.isfinite(pixel_rays(camera)[..., 0])
        assert (frames[:, ~is_seen] == 0).all()
        assert frames[:, is_seen].std() > 10.0
        assert (frames[:, is_seen].max(axis=-1) > 0).mean() > 0.99
    assert scene.occupancy(0).mask_camera.any()
    sizes = {f"{camera.size_px[0]}x{camera.size_px[1]}" for camera in rig.cameras}
    assert set(describe_scene(tmp_path, scene.scene_id)["views_of_size"]) == sizes
    again = SceneStage(scene.layout, rig=scene.rig, seed=int(scene.attrs["seed"])).render_conditions(1, 2)
    first = SceneStage(scene.layout, rig=rig, seed=config.seed).render_conditions(1, 2)
    np.testing.assert_array_equal(again.depth_m, first.depth_m)
    np.testing.assert_array_equal(again.motion_px, first.motion_px)
