from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenegen.cli.compose import compose_config
from scenegen.config import CameraConfig, GenerateConfig, ImageSizeConfig, RigConfig
from scenegen.errors import CameraError
from scenegen.rig import build_rig

FRONT = CameraConfig(
    name="FRONT",
    translation_m=(1.5, 0.0, 1.6),
    rotation_wxyz=(0.5, -0.5, 0.5, -0.5),
    K=((1000.0, 0.0, 800.0), (0.0, 1000.0, 450.0), (0.0, 0.0, 1.0)),
)


def rig_of(camera: CameraConfig, *, width_px: int = 200, height_px: int = 112) -> RigConfig:
    return RigConfig(
        name="test",
        source_image=ImageSizeConfig(width_px=1600, height_px=900),
        image=ImageSizeConfig(width_px=width_px, height_px=height_px),
        cameras=(camera,),
    )


def test_intrinsics_are_those_of_the_stored_pixels() -> None:
    camera = build_rig(rig_of(FRONT)).cameras[0]
    assert camera.size_px == (200, 112)
    np.testing.assert_allclose(camera.K, [[125.0, 0.0, 100.0], [0.0, 125.0, 56.25], [0.0, 0.0, 1.0]])


def test_a_point_lands_on_the_same_place_of_the_scaled_image() -> None:
    point_cam = np.array([0.3, -0.2, 7.0])
    source = np.array(FRONT.K) @ point_cam
    stored = build_rig(rig_of(FRONT)).cameras[0].K @ point_cam
    np.testing.assert_allclose(stored[:2] / stored[2], source[:2] / source[2] / 8.0)


def test_forward_camera_looks_along_ego_x() -> None:
    pose = build_rig(rig_of(FRONT)).cameras[0].ego_from_cam
    np.testing.assert_allclose(pose[:3, :3] @ [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3] @ [0.0, 1.0, 0.0], [0.0, 0.0, -1.0], atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], [1.5, 0.0, 1.6])


def test_nuscenes6_cameras_look_where_their_names_say() -> None:
    rig = build_rig(compose_config(GenerateConfig, "generate", []).rig)
    yaw_deg = {c.name: np.degrees(np.arctan2(*c.ego_from_cam[[1, 0], 2])) for c in rig.cameras}
    expected = {
        "CAM_FRONT": 0.0,
        "CAM_FRONT_RIGHT": -56.0,
        "CAM_BACK_RIGHT": -110.0,
        "CAM_BACK": 180.0,
        "CAM_BACK_LEFT": 110.0,
        "CAM_FRONT_LEFT": 56.0,
    }
    assert list(yaw_deg) == list(expected)
    for name, degrees in expected.items():
        assert abs((yaw_deg[name] - degrees + 180.0) % 360.0 - 180.0) < 3.0, name
    for camera in rig.cameras:
        np.testing.assert_allclose(camera.ego_from_cam[:3, :3] @ camera.ego_from_cam[:3, :3].T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        (replace(FRONT, K=((0.0, 0.0, 0.0), (0.0, 1000.0, 450.0), (0.0, 0.0, 1.0))), "invertible"),
        (replace(FRONT, K=((1000.0, 0.0, 800.0), (0.0, 1000.0, 450.0), (0.0, 0.0, 0.0))), "last row"),
        (replace(FRONT, rotation_wxyz=(0.0, 0.0, 0.0, 0.0)), "unit quaternion"),
        (replace(FRONT, rotation_wxyz=(2.0, 0.0, 0.0, 0.0)), "unit quaternion"),
    ],
)
def test_an_unusable_calibration_is_a_camera_error(camera: CameraConfig, message: str) -> None:
    with pytest.raises(CameraError, match=message) as caught:
        build_rig(rig_of(camera))
    assert "FRONT" in str(caught.value)


def test_an_image_taller_than_the_scaled_source_is_refused() -> None:
    with pytest.raises(CameraError, match=r"image\.height_px"):
        build_rig(rig_of(FRONT, height_px=113))
