"""Change along tracks and agreement between cameras, on a wall and a floor that a camera moves along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenegen.checks.overlap import find_overlap, overlap_difference
from scenegen.checks.temporal import follow_surfaces, measure_change
from scenegen.geometry.lens import pixel_rays
from scenegen.types import STATIC_INSTANCE_OFFSET, Camera, CameraRig, ConditionMaps, Material, Semantic

WIDTH, HEIGHT, DEPTH_M, FOCAL_PX = 64, 32, 10.0, 40.0
STEP_M = 0.5
"""The cameras move right by this much per step: the wall moves left by two pixels."""
BASELINE_M = 2.0


def camera(name: str, x_m: float) -> Camera:
    pose = np.eye(4)
    pose[0, 3] = x_m
    K = np.array([[FOCAL_PX, 0.0, WIDTH / 2], [0.0, FOCAL_PX, HEIGHT / 2], [0.0, 0.0, 1.0]])
    return Camera(name=name, K=K, ego_from_cam=pose, size_px=(WIDTH, HEIGHT))


RIG = CameraRig(name="pair", cameras=(camera("A", 0.0), camera("B", BASELINE_M)))


def wall() -> ConditionMaps:
    """Three steps of a wall at z = DEPTH_M, facing two cameras that move along x."""
    shape = (2, 3, HEIGHT, WIDTH)
    rays = np.stack([pixel_rays(c) for c in RIG.cameras])
    poses = np.tile(np.eye(4), (2, 3, 1, 1))
    poses[:, :, 0, 3] = np.array([[0.0], [BASELINE_M]]) + STEP_M * np.arange(3)
    plane = DEPTH_M * np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1)
    points = plane[:, None] + poses[:, :, None, None, :3, 3]
    motion = np.zeros((*shape, 2), np.float32)
    motion[..., 0] = FOCAL_PX * STEP_M / DEPTH_M
    motion[:, 0] = np.nan
    normal = np.zeros((*shape, 3), np.float32)
    normal[..., 2] = -1.0
    return ConditionMaps(
        semantic=np.full(shape, Semantic.MANMADE, np.uint8),
        material=np.full(shape, Material.WALL, np.uint8),
        instance=np.full(shape, STATIC_INSTANCE_OFFSET + 1, np.uint16),
        depth_m=np.full(shape, DEPTH_M, np.float32),
        normal_world=normal,
        canonical=np.zeros((*shape, 3), np.float32),
        point_world_m=points.astype(np.float32),
        motion_px=motion,
        sun_visible=np.ones(shape, np.bool_),
        unoccluded_px=np.zeros((2, 3, 0), np.int32),
        world_from_cam=poses,
        K=np.stack([c.K for c in RIG.cameras]),
        ray_cam=rays,
        focal_px=np.full((2, HEIGHT, WIDTH), FOCAL_PX),
    )


def painted(maps: ConditionMaps) -> np.ndarray:
    """Paint the wall with stripes that stick to it."""
    stripes = 100.0 + 40.0 * np.sin(maps.point_world_m[..., 0] * 2.0)
    return np.repeat(stripes[..., None], 3, axis=-1).astype(np.uint8)


def per_pixel(total: float, count: int) -> float:
    return total / count


def test_paint_that_sticks_hardly_changes() -> None:
    maps = wall()
    change = measure_change(painted(maps), follow_surfaces(maps, is_seen=maps.is_seen))
    assert per_pixel(change.warp_sum, change.num_warp) < 1.0
    assert per_pixel(change.flicker_sum, change.num_flicker) < 1.0


def test_paint_that_stays_with_the_picture_slides_over_the_wall() -> None:
    maps = wall()
    stuck = np.repeat(painted(maps)[:, :1], 3, axis=1)
    change = measure_change(stuck, follow_surfaces(maps, is_seen=maps.is_seen))
    assert per_pixel(change.warp_sum, change.num_warp) > 5.0


def test_steady_change_is_no_flicker_and_a_flash_is() -> None:
    maps = wall()
    track = follow_surfaces(maps, is_seen=maps.is_seen)
    levels = np.full((2, 3, HEIGHT, WIDTH, 3), 100, np.uint8)
    fading = levels + np.array([0, 10, 20], np.uint8)[:, None, None, None]
    flash = levels + np.array([0, 10, 0], np.uint8)[:, None, None, None]
    for rgb, warp, flicker in ((fading, 10.0, 0.0), (flash, 10.0, 10.0)):
        change = measure_change(rgb, track)
        assert per_pixel(change.warp_sum, change.num_warp) == pytest.approx(warp)
        assert per_pixel(change.flicker_sum, change.num_flicker) == pytest.approx(flicker)


def test_what_was_not_in_the_picture_is_not_followed() -> None:
    maps = wall()
    track = follow_surfaces(maps, is_seen=maps.is_seen)
    # Two columns enter the picture at each step.
    assert track.now.column.max() == WIDTH - 1 - 2
    assert track.before.uv_px[track.is_long].max() <= WIDTH - 2
    assert len(track.now.row) == 2 * HEIGHT * (WIDTH - 2) and track.is_long.sum() == 2 * HEIGHT * (WIDTH - 4)


def test_another_thing_in_its_place_is_not_the_same_surface() -> None:
    maps = wall()
    instance = maps.instance.copy()
    instance[:, 1, :, : WIDTH // 2] += 1
    other = replace(maps, instance=instance)
    half = len(follow_surfaces(other, is_seen=maps.is_seen).now.row)
    assert 0 < half < 0.6 * len(follow_surfaces(maps, is_seen=maps.is_seen).now.row)


def test_the_same_wall_farther_away_is_not_the_same_place() -> None:
    maps = wall()
    points = maps.point_world_m.copy()
    points[:, 1, ..., 2] += 1.0
    moved = replace(maps, point_world_m=points)
    assert len(follow_surfaces(moved, is_seen=maps.is_seen).now.row) == 0


def test_cameras_see_the_wall_alike_where_they_overlap() -> None:
    maps = wall()
    overlap = find_overlap(maps, step=2, rig=RIG, is_seen=maps.is_seen)
    shift_px = FOCAL_PX * BASELINE_M / DEPTH_M
    assert len(overlap.here.row) == HEIGHT * (WIDTH - shift_px)
    assert set(overlap.here.view) == {0} and set(overlap.there.view) == {1}
    assert (overlap.here.column - overlap.there.column == shift_px).all()
    rgb = painted(maps)
    total, count = overlap_difference(rgb, overlap)
    assert total / count < 1.0
    total, count = overlap_difference(rgb + np.array([0, 25], np.uint8)[:, None, None, None, None], overlap)
    assert total / count == pytest.approx(25.0, abs=1.0)


def test_pixels_outside_the_image_take_no_part() -> None:
    maps = wall()
    is_seen = maps.is_seen.copy()
    is_seen[1] = False
    assert len(find_overlap(maps, step=2, rig=RIG, is_seen=is_seen).here.row) == 0
    assert set(follow_surfaces(maps, is_seen=is_seen).now.view) == {0}
