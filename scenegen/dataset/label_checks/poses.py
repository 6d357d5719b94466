"""Checks of time, ego motion and cameras."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.dataset.label_checks.finding import Finding, SceneLabels
from scenegen.dataset.rotations import rotation_matrices, wrap_angle
from scenegen.types import Timeline

RIGID_TOLERANCE = 1e-6
POSITION_TOLERANCE_M = 1e-3
ANGLE_TOLERANCE_RAD = 1e-4
FLOAT32_SHARE = 1e-6


def check_timestamps(labels: SceneLabels) -> Iterator[Finding]:
    """Stamps rise, and step k has `round(k * 1e6 / rate_hz)` microseconds."""
    rate_hz = labels.scene.rate_hz
    expected_us = Timeline(rate_hz=rate_hz, num_steps=labels.scene.num_steps).timestamps_us()
    found_us = labels.scene.timestamps_us
    for step in np.flatnonzero(found_us != expected_us).tolist():
        yield Finding(
            array="time/timestamp_us",
            step=step,
            expected=f"{expected_us[step]} us, which is round(k * 1e6 / {rate_hz:g})",
            found=f"{found_us[step]} us",
        )


def check_key_frames(labels: SceneLabels) -> Iterator[Finding]:
    """Key frames are the steps at 2 Hz."""
    rate_hz = labels.scene.rate_hz
    expected = Timeline(rate_hz=rate_hz, num_steps=labels.scene.num_steps).is_key_frame()
    for step in np.flatnonzero(labels.scene.is_key_frame != expected).tolist():
        found = str(bool(labels.scene.is_key_frame[step]))
        yield Finding(array="time/is_key_frame", step=step, expected=str(bool(expected[step])), found=found)


def check_ego_poses(labels: SceneLabels) -> Iterator[Finding]:
    """Every ego pose is a rigid transform."""
    poses = labels.scene.ego2global
    for step in np.flatnonzero(~is_rigid(poses)).tolist():
        yield Finding(array="ego/ego2global", step=step, expected="a rigid transform", found=describe(poses[step]))


def check_sensor_poses(labels: SceneLabels) -> Iterator[Finding]:
    """Cameras and LiDAR sit rigidly on the vehicle."""
    scene = labels.scene
    paths = [f"cameras/{camera}/cam2ego" for camera in scene.cameras]
    if scene.has_array("lidar/lidar2ego"):
        paths.append("lidar/lidar2ego")
    for path in paths:
        pose = scene.array(path)[:]
        if pose.shape != (4, 4) or not is_rigid(pose[None])[0]:
            yield Finding(array=path, expected="a rigid transform", found=describe(pose))


def check_intrinsics(labels: SceneLabels) -> Iterator[Finding]:
    """The principal point lies in the image, focal lengths are positive, and array and rig attribute agree."""
    scene = labels.scene
    for camera in scene.rig.cameras:
        path = f"cameras/{camera.name}/cam2img"
        K = scene.cam2img(camera.name)
        width, height = camera.size_px
        if tuple(scene.rgb(camera.name).shape[1:3]) != (height, width):
            size = scene.rgb(camera.name).shape
            yield Finding(array=path, expected=f"{width} x {height} stored pixels", found=f"rgb of shape {size}")
        in_image = np.isfinite(K).all() and 0.0 <= K[0, 2] <= width and 0.0 <= K[1, 2] <= height
        if not in_image:
            expected = f"a principal point within {width} x {height} px"
            yield Finding(array=path, expected=expected, found=f"({K[0, 2]:g}, {K[1, 2]:g})")
        if not (K[0, 0] > 0.0 and K[1, 1] > 0.0 and np.array_equal(K[2], [0.0, 0.0, 1.0])):
            yield Finding(array=path, expected="positive focal lengths and a last row of 0 0 1", found=describe(K))
        if not np.array_equal(K, camera.K):
            yield Finding(array=path, expected="the matrix of attribute rig", found=describe(K))
        if not np.array_equal(scene.cam2ego(camera.name), camera.ego_from_cam):
            path = f"cameras/{camera.name}/cam2ego"
            yield Finding(
                array=path, expected="the matrix of attribute rig", found=describe(scene.cam2ego(camera.name))
            )


def check_can_bus(labels: SceneLabels) -> Iterator[Finding]:
    """Signals 0-2 are the position, 3-6 and 16 the rotation of `ego2global`, and 17 is 16 in degrees."""
    scene = labels.scene
    can_bus = scene.array("ego/can_bus")[:].astype(np.float64)
    poses = scene.ego2global
    position = poses[:, :3, 3]
    far = np.abs(can_bus[:, :3] - position) > POSITION_TOLERANCE_M + FLOAT32_SHARE * np.abs(position)
    yaw_rad = np.arctan2(poses[:, 1, 0], poses[:, 0, 0])
    expected_of_check = (
        (~np.isfinite(can_bus).all(axis=1), "18 finite signals"),
        (far.any(axis=1), "the position of ego2global in signals 0-2"),
        (_angle_between(can_bus[:, 3:7], poses) > ANGLE_TOLERANCE_RAD, "the rotation of ego2global in signals 3-6"),
        (_turn(can_bus[:, 16] - yaw_rad) > ANGLE_TOLERANCE_RAD, "the yaw of ego2global in signal 16"),
        (_turn(np.radians(can_bus[:, 17]) - can_bus[:, 16]) > ANGLE_TOLERANCE_RAD, "signal 16 in degrees in 17"),
    )
    for is_wrong, expected in expected_of_check:
        for step in np.flatnonzero(is_wrong).tolist():
            yield Finding(array="ego/can_bus", step=step, expected=expected, found=describe(can_bus[step]))


def is_rigid(poses: Float64[np.ndarray, "N 4 4"]) -> Bool[np.ndarray, " N"]:
    """Return which matrices are finite, orthonormal, of determinant 1, with a last row of 0 0 0 1.

    >>> mirror = np.diag([1.0, -1.0, 1.0, 1.0])
    >>> is_rigid(np.stack([np.eye(4), 2.0 * np.eye(4), mirror])).tolist()
    [True, False, False]
    """
    is_finite = np.isfinite(poses).all(axis=(1, 2))
    finite = np.where(is_finite[:, None, None], poses, 0.0)
    rotation = finite[:, :3, :3]
    off = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max(axis=(1, 2), initial=0.0)
    is_proper = np.abs(np.linalg.det(rotation) - 1.0) < RIGID_TOLERANCE
    return is_finite & (off < RIGID_TOLERANCE) & is_proper & (finite[:, 3] == [0.0, 0.0, 0.0, 1.0]).all(axis=1)


def describe(values: np.ndarray) -> str:
    """Return numbers on one line."""
    return np.array2string(values, precision=4, max_line_width=10_000, threshold=32).replace("\n", "")


def _turn(angle_rad: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Return angles without their full turns, as sizes in 0..pi; infinite for NaN."""
    return np.nan_to_num(np.abs(wrap_angle(angle_rad)), nan=np.inf)


def _angle_between(wxyz: Float64[np.ndarray, "N 4"], poses: Float64[np.ndarray, "N 4 4"]) -> Float64[np.ndarray, " N"]:
    """Return the angle between quaternions and the rotations of poses; infinite where either is none."""
    from scipy.spatial.transform import Rotation

    angle_rad = np.full(len(poses), np.inf)
    valid = is_rigid(poses) & (np.abs(np.linalg.norm(wxyz, axis=1) - 1.0) < ANGLE_TOLERANCE_RAD)
    if valid.any():
        turned = np.swapaxes(rotation_matrices(wxyz[valid]), 1, 2) @ poses[valid, :3, :3]
        angle_rad[valid] = Rotation.from_matrix(turned).magnitude()
    return angle_rad
