"""Rigid transforms: round trips, preserved distances, one number by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scenegen.geometry.rigid import invert_rigid, planar_pose, planar_poses, transform_points

METRES = st.floats(-1e4, 1e4)
ANGLES = st.floats(-10.0, 10.0)
POINTS = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(3)), elements=METRES)


@st.composite
def rigid_poses(draw: st.DrawFn) -> np.ndarray:
    """A pose of any orientation: three turns about different axes, and a place."""
    pose = np.eye(4)
    for axes in ((0, 1), (1, 2), (0, 2)):
        angle = draw(ANGLES)
        turn = np.eye(4)
        turn[np.ix_(axes, axes)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        pose = pose @ turn
    pose[:3, 3] = [draw(METRES) for _ in range(3)]
    return pose


@given(rigid_poses(), POINTS)
def test_there_and_back_is_identity(world_from_ego: np.ndarray, points_ego_m: np.ndarray) -> None:
    points_world_m = transform_points(world_from_ego, points_ego_m)
    np.testing.assert_allclose(transform_points(invert_rigid(world_from_ego), points_world_m), points_ego_m, atol=1e-7)


@given(rigid_poses(), POINTS)
def test_distances_survive(world_from_ego: np.ndarray, points_ego_m: np.ndarray) -> None:
    moved_m = transform_points(world_from_ego, points_ego_m)
    before_m = np.linalg.norm(points_ego_m - points_ego_m[0], axis=1)
    np.testing.assert_allclose(np.linalg.norm(moved_m - moved_m[0], axis=1), before_m, atol=1e-7)


@given(rigid_poses(), rigid_poses(), POINTS)
def test_names_cancel(world_from_ego: np.ndarray, ego_from_cam: np.ndarray, points_cam_m: np.ndarray) -> None:
    at_once_m = transform_points(world_from_ego @ ego_from_cam, points_cam_m)
    step_by_step_m = transform_points(world_from_ego, transform_points(ego_from_cam, points_cam_m))
    np.testing.assert_allclose(at_once_m, step_by_step_m, atol=1e-7)


@given(st.lists(rigid_poses(), min_size=1, max_size=4))
def test_a_batch_inverts_like_its_members(poses: list[np.ndarray]) -> None:
    batch = invert_rigid(np.stack(poses))
    for inverse, pose in zip(batch, poses, strict=True):
        assert np.array_equal(inverse, invert_rigid(pose))
        np.testing.assert_allclose(inverse, np.linalg.inv(pose), atol=1e-7)


@given(METRES, METRES, METRES, ANGLES)
def test_planar_poses_are_planar_pose_for_each(x_m: float, y_m: float, z_m: float, heading_rad: float) -> None:
    one = planar_pose(x_m, y_m, heading_rad, z_m=z_m)
    (same,) = planar_poses(np.array([[x_m, y_m, z_m]]), np.array([heading_rad]))
    np.testing.assert_array_equal(one, same)
    np.testing.assert_allclose(one[:3, :3] @ one[:3, :3].T, np.eye(3), atol=1e-12)


def test_heading_turns_left() -> None:
    """Facing +y (a quarter turn left), one metre ahead is +y and one metre to the left is -x."""
    world_from_ego = planar_pose(10.0, 20.0, np.pi / 2, z_m=1.0)
    ahead_and_left = transform_points(world_from_ego, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    np.testing.assert_allclose(ahead_and_left, [[10.0, 21.0, 1.0], [9.0, 20.0, 1.0]], atol=1e-12)


def test_inputs_are_not_modified() -> None:
    pose, points_m = planar_pose(1.0, 2.0, 0.3), np.ones((2, 3))
    pose_before, points_before = pose.copy(), points_m.copy()
    invert_rigid(pose)
    transform_points(pose, points_m)
    np.testing.assert_array_equal(pose, pose_before)
    np.testing.assert_array_equal(points_m, points_before)


def test_a_point_in_a_batch_of_any_rank_moves_alike() -> None:
    pose = planar_pose(1.0, 2.0, 0.3)
    points_m = np.arange(24.0).reshape(2, 4, 3)
    moved_m = transform_points(pose, points_m)
    assert moved_m.shape == points_m.shape
    assert moved_m[1, 2] == pytest.approx(transform_points(pose, points_m[1, 2]))
