"""Occ3D labels: what they say about boxes, and the world made from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from scenegen.config import RigConfig, parse_config
from scenegen.errors import RecordingError
from scenegen.geometry.rigid import planar_pose
from scenegen.layout.importers.scenarionet import read_scenarionet
from scenegen.layout.sources import read_layout
from scenegen.logs.occ3d import Occ3dLabel, build_occ3d_world, check_axes, compare_with_boxes, read_occ3d
from scenegen.occupancy.build import begin_world
from scenegen.rig import build_rig
from scenegen.scene import SceneStage
from scenegen.training.excerpts import cut_excerpt
from scenegen.types import CameraRig, Layout, OpenGround, Semantic, SolidClass
from tests.conftest import REPOSITORY, need_recorded

LABEL = "gts/scene-1077/29796060110c4163b07f06eff4af0753/labels.npz"
RECORD = "scenes/sd_nuscenes_v1.0-mini_scene-1077.pkl"
STEP = 135
"""Key frame 27 in the 10 Hz record."""


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> tuple[Occ3dLabel, Layout]:
    label = read_occ3d(need_recorded(shared_data / "occ3d_nuscenes" / LABEL))
    return label, read_scenarionet(need_recorded(shared_data / "nuscenes_mini" / RECORD))


def turned(label: Occ3dLabel, how: str) -> Occ3dLabel:
    def turn(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray({"mirrored": array[:, ::-1], "swapped": array.swapaxes(0, 1)}[how])

    return Occ3dLabel(
        semantics=turn(label.semantics), mask_lidar=turn(label.mask_lidar), mask_camera=turn(label.mask_camera)
    )


def test_the_recorded_label_lies_at_the_boxes(recorded: tuple[Occ3dLabel, Layout]) -> None:
    label, layout = recorded
    counts = np.bincount(label.semantics.ravel(), minlength=18)
    assert counts[[0, 1, 3, 4, 6, 11, 17]].tolist() == [169, 82, 974, 1749, 83, 8433, 600908]
    found = compare_with_boxes(label, layout, step=STEP)
    assert (found.num_right, found.num_boxes) == (7, 7)
    assert found.inside_share == pytest.approx(0.72, abs=0.005)
    check_axes(label, layout, step=STEP, where="label")


@pytest.mark.parametrize(("how", "most"), [("mirrored", 0.08), ("swapped", 0.01)])
def test_a_turned_label_fails(recorded: tuple[Occ3dLabel, Layout], how: str, most: float) -> None:
    label, layout = recorded
    found = compare_with_boxes(turned(label, how), layout, step=STEP)
    assert found.inside_share < most and found.num_right < 3
    with pytest.raises(RecordingError, match="movable voxels within"):
        check_axes(turned(label, how), layout, step=STEP, where="label")


def test_the_recorded_label_makes_a_world_without_its_cars(recorded: tuple[Occ3dLabel, Layout]) -> None:
    label, layout = recorded
    assert label.ground_m == pytest.approx(-0.8)
    layout = _one_step(layout, STEP)
    grid = begin_world(layout, seed=0).draft.site.grid
    world = build_occ3d_world([label], layout, grid=grid)
    for solid, semantic in ((SolidClass.VEGETATION, Semantic.VEGETATION), (SolidClass.MANMADE, Semantic.MANMADE)):
        stored = (label.semantics == semantic).sum()
        assert (world.voxels.solid == solid).sum() == pytest.approx(stored, rel=0.15)
    stage = SceneStage(layout, rig=_rig(), seed=0, world_voxels=world.voxels)
    seen = np.unique(stage.render_conditions(0, 1).semantic)
    assert {Semantic.CAR, Semantic.DRIVEABLE_SURFACE, Semantic.VEGETATION, Semantic.MANMADE} <= set(seen.tolist())


def test_what_stands_beside_the_road_is_where_the_label_has_it() -> None:
    layout = replace(_one_step(read_layout("crossing_pedestrian"), 0), agents=())
    facing_x = planar_pose(*layout.ego.position_world_m[0, :2], 0.0)
    layout = replace(layout, ego=replace(layout.ego, world_from_ego=facing_x[None]))
    semantics = np.full((200, 200, 16), Semantic.FREE, np.uint8)
    semantics[:, :, 2] = Semantic.TERRAIN
    semantics[:, 85:115, 2] = Semantic.DRIVEABLE_SURFACE
    semantics[130:135, 140, 2:10] = Semantic.MANMADE  # 12.2 to 14.2 m ahead, 16.2 m to the left, 3.2 m high
    mask = np.ones_like(semantics)
    grid = begin_world(layout, seed=0).draft.site.grid
    label = Occ3dLabel(semantics=semantics, mask_lidar=mask, mask_camera=mask)
    world = build_occ3d_world([label], layout, grid=grid)
    index = np.argwhere(world.voxels.solid == SolidClass.MANMADE)
    x, y = layout.ego.position_world_m[0, :2]
    low_m = np.array(grid.origin_m) + 0.4 * index.min(axis=0) - [x, y, 0.0]
    high_m = np.array(grid.origin_m) + 0.4 * (index.max(axis=0) + 1) - [x, y, 0.0]
    assert np.abs(low_m - [12.0, 16.0, 0.0]).max() < 0.45
    assert np.abs(high_m - [14.0, 16.4, 3.2]).max() < 0.45
    assert world.is_drivable.sum() == pytest.approx(200 * 30, rel=0.02)
    assert world.voxels.ground[world.is_drivable].min() == OpenGround.PAVED


@pytest.mark.parametrize("damage", ["truncated", "shape", "class", "no ground", "missing array", "objects"])
def test_a_damaged_label_is_refused(damage: str, tmp_path: Path) -> None:
    arrays = {name: np.full((200, 200, 16), 11, np.uint8) for name in ("semantics", "mask_lidar", "mask_camera")}
    if damage == "shape":
        arrays["semantics"] = arrays["semantics"][:100]
    if damage == "class":
        arrays["semantics"][0, 0, 0] = 18
    if damage == "no ground":
        arrays["semantics"][:] = Semantic.FREE
    if damage == "missing array":
        del arrays["mask_lidar"]
    if damage == "objects":
        arrays["semantics"] = np.array([print], object)
    file = tmp_path / "labels.npz"
    np.savez_compressed(file, **arrays)
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(RecordingError, match=r"labels\.npz"):
        read_occ3d(file)


def _one_step(layout: Layout, step: int) -> Layout:
    return replace(cut_excerpt(layout, start_step=step, num_steps=1), layout_id="one-step")


def _rig() -> CameraRig:
    return build_rig(parse_config(RigConfig, yaml.safe_load((REPOSITORY / "conf/rig/nuscenes6.yaml").read_text())))
