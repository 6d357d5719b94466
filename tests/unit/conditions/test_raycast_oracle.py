"""The compiled ray caster against the obvious one: more than a million rays, no label may differ."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.conditions.build import ConditionRenderer
from scenegen.types import ConditionMaps, ShapeSet
from tests.unit.conditions.oracle import cast_rays
from tests.unit.conditions.random_worlds import noon, random_rig, random_shapes, random_world

SIZE_PX = (150, 96)
NUM_CAMERAS = 6
NUM_WORLDS = 12  # 12 worlds x 6 cameras x 14,400 pixels = 1,036,800 rays
NUM_AGENTS = 8


def pixel_rays(maps: ConditionMaps, view: int) -> tuple[np.ndarray, np.ndarray]:
    width, height = SIZE_PX
    v, u = np.mgrid[0:height, 0:width] + 0.5
    pose, K = maps.world_from_cam[view, 0], maps.K[view]
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], axis=-1).reshape(-1, 3)
    return np.tile(pose[:3, 3], (len(rays), 1)), rays @ pose[:3, :3].T


@pytest.mark.parametrize("seed", range(NUM_WORLDS))
def test_every_label_equals_the_oracle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    agents = random_shapes(rng, count=NUM_AGENTS, first_instance=1)
    rig = random_rig(rng, num_cameras=NUM_CAMERAS, size_px=SIZE_PX)
    renderer = ConditionRenderer(world, rig=rig, lighting=noon(), num_agents=NUM_AGENTS)
    maps = renderer.render([agents], previous_shapes=None, world_from_ego=np.eye(4)[None], previous_world_from_ego=None)
    mismatches = 0
    for view in range(NUM_CAMERAS):
        origins, directions = pixel_rays(maps, view)
        truth = cast_rays(world, agents, origins, directions)
        semantic, instance = maps.semantic[view, 0].ravel(), maps.instance[view, 0].ravel()
        material = maps.material[view, 0].ravel()
        wrong = (semantic != truth.semantic) | (instance != truth.instance)
        wrong |= (truth.ground_material >= 0) & (material != truth.ground_material)
        mismatches += int(wrong.sum())
        depth = maps.depth_m[view, 0].ravel()
        np.testing.assert_array_equal(np.isinf(depth), np.isinf(truth.depth_m))
        seen = np.isfinite(depth)
        np.testing.assert_allclose(depth[seen], truth.depth_m[seen], rtol=1e-5)
    assert mismatches == 0


def test_oracle_sees_a_hand_placed_box() -> None:
    rng = np.random.default_rng(0)
    world = random_world(rng)
    world.semantics[...] = 17
    box = random_shapes(rng, count=1, first_instance=3)
    box = ShapeSet(**{**{n: getattr(box, n) for n in ShapeSet.__dataclass_fields__}, "kind": np.zeros(1, np.uint8)})
    box.world_from_shape[0] = np.eye(4)
    box.world_from_shape[0, :3, 3] = [10.0, 0.0, 30.0]
    box.half_extent_m[0] = [1.0, 1.0, 1.0]
    hits = cast_rays(world, box, np.array([[0.0, 0.0, 30.0]]), np.array([[1.0, 0.0, 0.0]]))
    assert hits.depth_m[0] == pytest.approx(9.0)
    assert hits.instance[0] == 3
