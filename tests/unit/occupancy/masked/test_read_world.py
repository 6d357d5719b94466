"""Voxels read back as a world: the voxels of a rule-made world give its buildings back, and obey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenegen.layout.sources import read_layout
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.fixed import fixed_voxels
from scenegen.occupancy.masked.read_world import read_world
from scenegen.occupancy.masked.things import find_trees, is_wall, split_buildings, without_specks
from scenegen.occupancy.voxels import SolidClass, voxelise_world
from scenegen.types import Material, Semantic


@pytest.mark.parametrize("reference", ["crossing_pedestrian", "parked_cars_residential", "procedural:3"])
def test_a_rule_made_world_comes_back(reference: str) -> None:
    layout = read_layout(reference)
    world = build_world(layout, seed=0)
    voxels = voxelise_world(world)
    read = read_world(layout, seed=0, voxels=voxels)
    again = voxelise_world(read)
    assert fixed_voxels(begin_world(layout, seed=0).draft).obedience(again) == 1.0
    assert np.array_equal(again.ground, voxels.ground)
    assert np.array_equal(again.solid == SolidClass.MANMADE, voxels.solid == SolidClass.MANMADE)
    leaves = [some.solid == SolidClass.VEGETATION for some in (again, voxels)]
    assert (leaves[0] & leaves[1]).sum() / (leaves[0] | leaves[1]).sum() > 0.75
    buildings = [int((some.statics.material == Material.FACADE).sum()) for some in (world, read)]
    assert abs(buildings[1] - buildings[0]) <= 0.05 * buildings[0]


def test_noise_gives_a_world_that_obeys_and_is_whole() -> None:
    layout = read_layout("procedural:3")
    voxels = voxelise_world(build_world(layout, seed=0))
    generator = np.random.default_rng(0)
    blocks = generator.integers(0, 3, (*(n // 8 + 1 for n in voxels.solid.shape[:2]), 8)).repeat(8, 0).repeat(8, 1)
    noise = blocks.repeat(8, 2)[: voxels.solid.shape[0], : voxels.solid.shape[1]].astype(np.uint8)
    world = read_world(layout, seed=0, voxels=replace(voxels, solid=noise))
    assert fixed_voxels(begin_world(layout, seed=0).draft).obedience(voxelise_world(world)) == 1.0
    stands = (world.semantics != Semantic.FREE).any(axis=2)
    assert (world.column_instance[stands] > 0).all()
    assert world.column_instance.max() < len(world.statics.material)


def test_the_same_voxels_give_the_same_bytes() -> None:
    layout = read_layout("procedural:3")
    voxels = voxelise_world(build_world(layout, seed=0))
    first, second = (read_world(layout, seed=0, voxels=voxels) for _ in range(2))
    assert first.semantics.tobytes() == second.semantics.tobytes()
    assert first.statics.appearance.primary_rgb.tobytes() == second.statics.appearance.primary_rgb.tobytes()
    assert first.shapes.world_from_shape.tobytes() == second.shapes.world_from_shape.tobytes()


def test_a_row_of_houses_is_divided_and_a_pitched_roof_is_not() -> None:
    top = np.zeros((80, 40), np.int64)
    top[2:22, 5:25] = 20
    top[4:20, 7:23] = 18  # a parapet
    top[22:42, 5:25] = 27  # the next house
    top[50:70, 5:25] = 12 + np.minimum(np.arange(20), np.arange(20)[::-1])[None]  # a pitched roof
    labels = split_buildings(top)
    assert labels.max() == 3
    assert len({labels[3, 6], labels[10, 15], labels[30, 10], labels[55, 6], labels[60, 15]}) == 3


def test_specks_are_left_out_and_walls_are_not() -> None:
    voxels = np.zeros((30, 20, 8), bool)
    voxels[2:4, 2:4, 0:6] = True  # a pillar of 0.8 m
    voxels[10:17, 5, 0:3] = True  # a wall of 2.8 m
    kept = without_specks(voxels)
    assert not kept[:6].any()
    assert (kept[8:] == voxels[8:]).all()


def test_walls_are_low_and_thin() -> None:
    line = np.zeros((20, 10), bool)
    line[2:18, 4] = True
    assert is_wall(line, levels=5)
    assert not is_wall(line, levels=12)
    assert not is_wall(np.ones((8, 8), bool), levels=5)


def test_canopies_that_touch_are_two_trees() -> None:
    x, y = np.meshgrid(np.arange(40), np.arange(20), indexing="ij")
    mask = ((x - 10) ** 2 + (y - 9) ** 2 <= 49) | ((x - 25) ** 2 + (y - 9) ** 2 <= 64)
    trees = find_trees(np.where(mask, 6, 0), np.where(mask, 15, 0))
    assert [round(tree.middle[0]) for tree in trees] == [26, 10] or [round(t.middle[0]) for t in trees] == [25, 10]
    assert all((tree.low, tree.high) == (6, 15) for tree in trees)
