"""The renderer's benchmark at a size that says nothing about speed: all engines see the same."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.render_baselines import import_open3d, march, visible_faces, walk_voxels
from benchmarks.render_cases import View, level_rig, street, tilted_rig
from benchmarks.render_device import driven_moment, measure_device
from scenegen.errors import ConfigError, SceneGenError
from scenegen.types import Semantic, ShapeSet


def views() -> list[View]:
    ego = np.eye(4)
    ego[:3, 3] = [0.0, 0.35, 0.4]
    world = street(24.0)
    return [View(world=world, rig=rig((40, 24)), world_from_ego=ego) for rig in (level_rig, tilted_rig)]


def test_baselines_see_what_the_renderer_sees() -> None:
    for view in views():
        maps = view.open_renderer().render_semantic_depth([ShapeSet.empty()], world_from_ego=view.world_from_ego[None])
        semantic, depth_m = maps.semantic.ravel(), maps.depth_m.ravel()
        walked, walked_m = walk_voxels(view.world, *view.rays())
        np.testing.assert_array_equal(walked, semantic)
        np.testing.assert_allclose(walked_m, depth_m, rtol=1e-5)
        marched, _ = march(view.world, *view.rays())
        assert 0.8 < np.mean(marched == semantic) < 1.0


def test_a_lone_voxel_has_six_faces_and_the_ground_one() -> None:
    world = views()[0].world
    world.semantics[...] = Semantic.FREE
    world.semantics[3, 4, 5] = Semantic.CAR
    corners, classes = visible_faces(world)
    assert len(classes) == 7 and (classes[:6] == Semantic.CAR).all()
    voxel = corners[:24] - np.array(world.grid.origin_m, np.float32)
    np.testing.assert_allclose(voxel.min(axis=0), [1.2, 1.6, 2.0], rtol=1e-5)
    np.testing.assert_allclose(voxel.max(axis=0), [1.6, 2.0, 2.4], rtol=1e-5)


def test_without_open3d_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(ConfigError, match=r"scenegen\[open3d\]"):
        import_open3d()


def test_the_rows_of_a_gpu_by_the_same_code_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = driven_moment(size_px=(40, 24))
    figures = measure_device(moment, device="cpu", rounds=1)
    assert set(figures) == {"gpu_vs_compiled", "gpu_vs_compiled_all_maps"}
    assert all(figure.floor is None and figure.ratio > 0.0 for figure in figures.values())
    monkeypatch.setattr("benchmarks.render_device.LEAST_SAME", 1.1)
    with pytest.raises(SceneGenError, match="device=cpu"):
        measure_device(moment, device="cpu", rounds=1)
