"""Measures of generated worlds: exact where they must be, and falling where worlds get worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenegen.evaluation.occupancy.components import (
    class_histogram,
    component_distances,
    histogram_distance,
    measure_components,
)
from scenegen.evaluation.occupancy.consistency import frames_in_world, static_consistency, world_in_view
from scenegen.evaluation.occupancy.obedience import frame_obedience
from scenegen.layout.sources import read_layout
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.crops import FRAME_LEVELS, Crops, crop_frames, crop_world, sparse_steps
from scenegen.occupancy.latent_ar.codes import Group
from scenegen.occupancy.latent_ar.frames import (
    NOT_FIXED,
    LayoutFrames,
    cut_frames,
    frame_steps,
    picture_layout,
)
from scenegen.occupancy.raster import RasterFrame
from scenegen.occupancy.voxels import SolidClass, WorldVoxels, columns_of, voxelise_world
from scenegen.types import OCC3D_GRID


@pytest.fixture(scope="module")
def drive() -> tuple[WorldVoxels, LayoutFrames]:
    layout = read_layout("procedural:5")
    told = picture_layout(begin_world(layout, seed=0).draft.site, steps=frame_steps(layout)[:24:3])
    return voxelise_world(build_world(layout, seed=0)), told


def test_a_static_world_is_wholly_consistent(drive: tuple[WorldVoxels, LayoutFrames]) -> None:
    found = static_consistency(world_in_view(*drive))
    assert (found.occupied, found.all, found.throughout) == (1.0, 1.0, 1.0)
    assert found.num_compared > 100_000


def test_its_ego_frames_lose_only_edges_and_flicker_loses_more(drive: tuple[WorldVoxels, LayoutFrames]) -> None:
    voxels, told = drive
    frames = cut_frames(voxels, told)
    warped = static_consistency(frames_in_world(frames, told, columns_of(voxels)))
    assert 0.97 < warped.occupied < 1.0
    flickering = frames.copy()
    hit = np.random.default_rng(0).random(frames.shape) < 0.05
    flickering[hit & (frames == Group.MANMADE)] = Group.FREE
    worse = static_consistency(frames_in_world(flickering, told, columns_of(voxels)))
    assert worse.occupied < warped.occupied - 0.02
    assert worse.throughout < warped.throughout - 0.05


def test_consistency_of_one_flicker_is_counted_by_hand() -> None:
    columns = RasterFrame(origin_m=(-0.8, -0.8), cell_m=0.4, shape=(4, 4))
    frames = np.zeros((2, *OCC3D_GRID.shape), np.uint8)
    frames[:, 98:102, 98:102, 2] = Group.TERRAIN
    frames[1, 98, 98, 2] = Group.SIDEWALK  # one of 16 columns changes
    frames[1, 99, 99, 2] = Group.VEHICLE  # an agent hides another one
    told = LayoutFrames(
        surface=np.zeros((2, *OCC3D_GRID.shape[:2]), np.uint8),
        agents=np.zeros((2, *OCC3D_GRID.shape), np.uint8),
        world_from_ego=np.tile(np.eye(4), (2, 1, 1)),
    )
    found = static_consistency(frames_in_world(frames, told, columns))
    assert found.occupied == pytest.approx(14 / 15)
    assert found.all == pytest.approx(1 - 1 / (16 * FRAME_LEVELS - 1))
    assert found.throughout == pytest.approx(14 / 15)
    assert found.num_compared == 15


def test_obedience_is_counted_by_class() -> None:
    fixed = np.full((1, 4, 4, 2), NOT_FIXED, np.uint8)
    fixed[0, :2, :, 0] = Group.DRIVEABLE
    fixed[0, 2:, :, 0] = Group.SIDEWALK
    fixed[0, :, :, 1] = Group.FREE
    frames = np.where(fixed == NOT_FIXED, 0, fixed).astype(np.uint8)
    assert frame_obedience(frames, fixed).accuracy == frame_obedience(frames, fixed).miou == 1.0
    frames[0, 0, :, 0] = Group.SIDEWALK  # half of the road
    frames[0, 3, 3, 1] = Group.VEGETATION  # something over the walk
    found = frame_obedience(frames, fixed)
    assert found.accuracy == pytest.approx(27 / 32)
    assert found.by_class == {"driveable": pytest.approx(4 / 8), "sidewalk": pytest.approx(8 / 12)}
    assert found.iou == pytest.approx(16 / 17)


def test_crops_of_frames_and_of_their_world_are_the_same(drive: tuple[WorldVoxels, LayoutFrames]) -> None:
    voxels, told = drive
    own = crop_world(voxels, told).up_to(FRAME_LEVELS)
    without_agents = replace(told, agents=np.zeros_like(told.agents))
    framed = crop_frames(cut_frames(voxels, without_agents), without_agents)
    assert np.array_equal(own.solid, framed.solid)
    assert np.array_equal(own.ground, framed.ground)


def test_sparse_steps_are_apart() -> None:
    poses = np.tile(np.eye(4), (10, 1, 1))
    poses[:, 0, 3] = [0, 1, 2, 3, 10, 11, 12, 30, 31, 32]
    assert sparse_steps(poses, spacing_m=9.0) == [0, 4, 7]
    assert sparse_steps(poses, spacing_m=9.0, at_most=2) == [0, 4]


def blocks(*boxes: tuple[int, int, int, int, int], kind: int = SolidClass.MANMADE) -> Crops:
    """Make one crop with boxes (x, y, length, width, height)."""
    solid = np.zeros((1, 32, 32, 16), np.uint8)
    for x, y, length, width, height in boxes:
        solid[0, x : x + length, y : y + width, :height] = kind
    return Crops(solid=solid, ground=np.zeros((1, 32, 32), np.uint8))


def test_components_are_measured() -> None:
    table = measure_components(blocks((0, 0, 4, 4, 8), (10, 10, 2, 2, 4), (20, 20, 1, 1, 1)), SolidClass.MANMADE)
    assert sorted(table.values["log2_volume"]) == [4.0, 7.0]
    assert sorted(table.values["height"]) == [4.0, 8.0]
    assert sorted(table.values["log2_footprint"]) == [2.0, 4.0]
    assert table.values["fill"].tolist() == [1.0, 1.0]
    assert table.values["count"].tolist() == [2.0]
    assert table.values["specks"].tolist() == [1.0]


def test_equal_worlds_have_no_distance_and_flat_ones_some() -> None:
    trees = blocks((24, 24, 2, 2, 6), kind=SolidClass.VEGETATION)
    houses = blocks((0, 0, 4, 4, 8), (10, 10, 4, 4, 8))
    towers = blocks((0, 0, 4, 4, 16), (10, 10, 4, 4, 16))
    truth, other = (Crops(solid=a.solid + trees.solid, ground=a.ground) for a in (houses, towers))
    assert component_distances(truth, truth)["mean"] == 0.0
    assert histogram_distance(truth, truth) == 0.0
    far = component_distances(other, truth)
    assert far["manmade.height"] == pytest.approx(8 / 0.1)
    assert far["manmade.log2_footprint"] == far["vegetation.height"] == 0.0
    assert 0.0 < histogram_distance(other, truth) < 1.0
    assert class_histogram(truth).sum() == pytest.approx(1.0)
