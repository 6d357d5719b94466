"""Ego frames of a rule-made world: they hold what the layout fixes, and say what the world says."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.layout.sources import read_layout
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.fixed import FixedVoxels, fixed_voxels
from scenegen.occupancy.latent_ar.codes import GROUND_GROUPS, Group, Surface, group_semantics
from scenegen.occupancy.latent_ar.frames import (
    GROUND_LEVEL,
    NOT_FIXED,
    LayoutFrames,
    cut_fixed,
    cut_frames,
    frame_steps,
    picture_layout,
)
from scenegen.occupancy.voxels import WorldVoxels, voxelise_world
from scenegen.types import Semantic

Scene = tuple[WorldVoxels, FixedVoxels, LayoutFrames]


@pytest.fixture(scope="module", params=["crossing_pedestrian", "procedural:2"])
def scene(request: pytest.FixtureRequest) -> Scene:
    layout = read_layout(request.param)
    draft = begin_world(layout, seed=0).draft
    told = picture_layout(draft.site, steps=frame_steps(layout)[:20:6])
    return voxelise_world(build_world(layout, seed=0)), fixed_voxels(draft), told


def test_frames_of_rule_made_worlds_hold_all_that_is_fixed(scene: Scene) -> None:
    voxels, fixed, told = scene
    frames, asked = cut_frames(voxels, told), cut_fixed(fixed, told)
    is_fixed = asked != NOT_FIXED
    assert 0.02 < is_fixed.mean() < 0.5
    assert np.array_equal(frames[is_fixed], asked[is_fixed])
    assert {Group.DRIVEABLE, Group.SIDEWALK, Group.VEHICLE} <= set(np.unique(asked[is_fixed]))


def test_every_column_has_a_ground_or_something_on_it(scene: Scene) -> None:
    voxels, _, told = scene
    frames = cut_frames(voxels, told)
    assert (frames[..., GROUND_LEVEL] != Group.FREE).all()
    assert (frames[..., :GROUND_LEVEL] == Group.FREE).all()
    assert not np.isin(frames[..., GROUND_LEVEL + 1 :], GROUND_GROUPS).any()


def test_the_layout_picture_holds_nothing_that_the_rules_decide(scene: Scene) -> None:
    _, _, told = scene
    assert set(np.unique(told.surface)) <= set(Surface) - {Surface.UNSAID}
    assert (told.surface == Surface.OPEN).mean() > 0.2


def test_every_class_has_a_group() -> None:
    groups = group_semantics(np.arange(18, dtype=np.uint8))
    assert groups[Semantic.FREE] == Group.FREE
    assert (groups[:17] != Group.FREE).all()
    assert groups[[Semantic.CAR, Semantic.TRAILER]].tolist() == [Group.VEHICLE] * 2
