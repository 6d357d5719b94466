"""What a layout fixes: rule-made worlds have all of it, clamping restores it, damage is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenegen.errors import WorldError
from scenegen.layout.sources import library_names, read_layout
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.channels import CHANNELS, layout_channels, turn_channels, turn_columns
from scenegen.occupancy.fixed import FixedVoxels, fixed_voxels
from scenegen.occupancy.voxels import WorldVoxels, voxelise_world
from scenegen.types import Semantic


def survey(reference: str) -> tuple[FixedVoxels, WorldVoxels]:
    layout = read_layout(reference)
    return fixed_voxels(begin_world(layout, seed=0).draft), voxelise_world(build_world(layout, seed=0))


@pytest.mark.parametrize("reference", [*library_names(), "procedural:3", "procedural:11"])
def test_rule_made_worlds_have_everything_that_is_fixed(reference: str) -> None:
    fixed, voxels = survey(reference)
    assert fixed.obedience(voxels) == 1.0
    assert fixed.is_column_fixed.mean() > 0.02
    assert not fixed.is_ground_fixed.all()


def test_clamping_noise_restores_what_is_fixed_and_leaves_the_rest() -> None:
    fixed, voxels = survey("procedural:3")
    generator = np.random.default_rng(0)
    noise = replace(
        voxels,
        solid=generator.integers(0, 3, voxels.solid.shape).astype(np.uint8),
        ground=generator.integers(0, 2, voxels.ground.shape).astype(np.uint8),
    )
    assert fixed.obedience(noise) < 0.5
    clamped = fixed.clamp(noise)
    assert fixed.obedience(clamped) == 1.0
    is_fixed = fixed.is_solid_fixed()
    assert (clamped.solid == noise.solid)[~is_fixed].all()
    assert (clamped.ground == noise.ground)[~fixed.is_ground_fixed].all()


def test_a_single_wrong_voxel_is_counted() -> None:
    fixed, voxels = survey("procedural:3")
    i, j, k = np.argwhere(fixed.is_solid_fixed())[0]
    solid = voxels.solid.copy()
    solid[i, j, k] = (solid[i, j, k] + 1) % 3
    assert fixed.obedience(replace(voxels, solid=solid)) < 1.0


def test_voxels_of_another_grid_are_refused() -> None:
    fixed, voxels = survey("procedural:3")
    with pytest.raises(WorldError, match="voxels of grid"):
        fixed.clamp(replace(voxels, origin_world_m=(0.0, 0.0)))


def test_channels_do_not_know_where_agents_pass() -> None:
    layout = read_layout("crossing_pedestrian")
    empty = replace(layout, agents=())
    with_agents, without = (
        layout_channels(draft.site, fixed_voxels(draft))
        for draft in (begin_world(some, seed=0).draft for some in (layout, empty))
    )
    assert np.array_equal(with_agents, without)


def test_directions_turn_with_the_map() -> None:
    draft = begin_world(read_layout("crossing_pedestrian"), seed=0).draft
    channels = layout_channels(draft.site, fixed_voxels(draft))
    four = channels
    for _ in range(4):
        four = turn_channels(four, quarter_turns=1, mirrored=False)
    assert np.array_equal(four, channels)
    assert np.array_equal(
        turn_channels(turn_channels(channels, quarter_turns=0, mirrored=True), quarter_turns=0, mirrored=True), channels
    )
    # a step along the direction away from the road leads farther away, before and after
    for turned in (channels, turn_channels(channels, quarter_turns=1, mirrored=True)):
        near = turned[..., CHANNELS.index("near_road")]
        away = turned[..., [CHANNELS.index("from_road_x"), CHANNELS.index("from_road_y")]]
        slope = np.stack(np.gradient(near), axis=-1)
        assert ((away * slope).sum(axis=-1) > 1e-6).mean() < 0.01
    assert turn_columns(channels, quarter_turns=1, mirrored=False).shape[:2] == channels.shape[1::-1]


def test_finer_voxels_are_the_same_world() -> None:
    layout = read_layout("crossing_pedestrian")
    draft = begin_world(layout, seed=0).draft
    world = build_world(layout, seed=0)
    coarse, fine = voxelise_world(world), voxelise_world(world, parts=2)
    assert fine.voxel_m == 0.2
    assert fine.solid.shape == tuple(2 * size for size in coarse.solid.shape)
    own = world.semantics != Semantic.FREE
    np.testing.assert_array_equal(fine.solid[::2, 1::2, ::2][own], coarse.solid[own])
    assert abs((fine.solid != 0).mean() / (coarse.solid != 0).mean() - 1.0) < 0.05
    fixed = fixed_voxels(draft, parts=2)
    assert fixed.obedience(fixed.clamp(fine)) == 1.0
    assert fixed.obedience(fine) > 0.999
