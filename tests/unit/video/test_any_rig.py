"""Backbones paint rigs of bent lenses and different sizes; what no lens shows makes no edge and stays black."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenegen.conditions.build import ConditionRenderer
from scenegen.diffusion.sampler import Sampler
from scenegen.scene import ChunkLabels
from scenegen.types import AppearanceTable, ConditionMaps, Material, ShapeSet, StaticTable
from scenegen.video.backbones.native import NativeBackbone
from scenegen.video.backbones.preview import PreviewBackbone
from scenegen.video.interface import SceneContext
from scenegen.video.network import SIZES, VideoNetwork
from scenegen.video.planes import build_planes, join_appearance, surface_maps
from tests.unit.conditions.random_worlds import noon, random_world
from tests.unit.conditions.test_lenses import bent_rig


@pytest.fixture(scope="module")
def scene() -> tuple[ConditionMaps, SceneContext]:
    rng = np.random.default_rng(5)
    world = random_world(rng)
    rig = bent_rig(rng)
    renderer = ConditionRenderer(world, rig=rig, lighting=noon(), num_agents=0)
    poses = np.tile(np.eye(4), (2, 1, 1))
    maps = renderer.render(
        [ShapeSet.empty()] * 2, previous_shapes=None, world_from_ego=poses, previous_world_from_ego=None
    )
    rows = 5 + len(world.shapes)
    looks = AppearanceTable(
        primary_rgb=np.full((rows, 3), 0.4, np.float32),
        secondary_rgb=np.full((rows, 3), 0.3, np.float32),
        pattern=np.ones((rows, 4), np.float32),
    )
    statics = StaticTable(
        material=np.resize(world.statics.material, rows),
        world_from_thing=np.tile(np.eye(4), (rows, 1, 1)),
        size_lwh_m=np.ones((rows, 3)),
        appearance=looks,
    )
    none = AppearanceTable(
        primary_rgb=np.zeros((0, 3), np.float32),
        secondary_rgb=np.zeros((0, 3), np.float32),
        pattern=np.zeros((0, 4), np.float32),
    )
    context = SceneContext(scene_id="any", seed=1, rate_hz=12.0, statics=statics, agents=none, lighting=noon())
    return maps, context


def test_planes_continue_beyond_what_a_lens_shows(scene: tuple[ConditionMaps, SceneContext]) -> None:
    maps, context = scene
    assert 0.3 < maps.is_seen.mean() < 0.95
    table = torch.from_numpy(join_appearance(context.agents, context.statics, salt=1))
    surfaces = surface_maps(maps, step=0, appearance=table, num_agents=0, lighting=context.lighting)
    assert torch.isfinite(build_planes(surfaces)).all()
    small = maps.is_seen[3]
    assert not small[:, 104:].any() and not small[80:].any()
    row = int(np.flatnonzero(small[:, 103])[0])
    assert (surfaces.material[3, row, 104:120] == surfaces.material[3, row, 103]).all()
    assert torch.allclose(surfaces.ray_world.norm(dim=-1), torch.ones(()), atol=1e-5)
    seen = torch.from_numpy(maps.is_seen)
    np.testing.assert_array_equal(surfaces.material[seen].numpy(), maps.material[:, 0][maps.is_seen])


def test_frames_are_black_where_nothing_is_seen_and_nowhere_else(scene: tuple[ConditionMaps, SceneContext]) -> None:
    maps, context = scene
    torch.manual_seed(0)
    network = VideoNetwork(SIZES["nano"]).eval().requires_grad_(False)
    for backbone in (
        PreviewBackbone(),
        NativeBackbone(network, size_name="nano", sampler=Sampler(steps=1), weights_sha256=""),
    ):
        frames = backbone.open_session(context).paint(maps, start_step=0)
        labels = ChunkLabels(
            start_step=0,
            conditions=maps,
            occupancy=np.zeros((2, 1, 1, 1), np.uint8),
            mask_camera=np.zeros((2, 1, 1, 1), np.uint8),
            visible_fraction=np.zeros((2, 0), np.float32),
            visible_height_px=np.zeros((2, 0), np.float32),
        )
        rgb = labels.with_frames(frames).rgb
        assert rgb.dtype == np.uint8
        for view, is_seen in enumerate(maps.is_seen):
            assert (rgb[view][:, ~is_seen] == 0).all()
            np.testing.assert_array_equal(rgb[view][:, is_seen], frames[view][:, is_seen])


def test_edges_of_an_image_are_as_bright_as_its_inside(scene: tuple[ConditionMaps, SceneContext]) -> None:
    """The preview softens borders between things; the border of the image is none."""
    maps, context = scene
    frames = PreviewBackbone().open_session(context).paint(maps, start_step=0).astype(int)
    small = maps.is_seen[3] & (maps.material[3, 0] == Material.SKY)
    rows = np.flatnonzero(small[:, 101:104].all(axis=1))
    assert len(rows) > 0  # the world of the fixture is the same every time
    inside, border = frames[3, 0, rows, 102], frames[3, 0, rows, 103]
    assert np.abs(inside - border).mean() < 6.0
