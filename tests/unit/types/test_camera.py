"""Cameras that could not take a picture cannot be made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scenegen.errors import CameraError
from scenegen.types import Camera, CameraRig, Lens

GOOD_K = np.array([[100.0, 0.0, 50.0], [0.0, 100.0, 40.0], [0.0, 0.0, 1.0]])


def camera(**changes: Any) -> Camera:
    given: dict[str, Any] = {"name": "CAM_FRONT", "K": GOOD_K, "ego_from_cam": np.eye(4), "size_px": (100, 80)}
    return Camera(**given | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"K": np.zeros((3, 3))}, ("'CAM_FRONT'", "invertible")),
        ({"K": np.diag([100.0, 0.0, 1.0])}, ("'CAM_FRONT'", "invertible")),
        ({"K": GOOD_K * np.nan}, ("'CAM_FRONT'", "invertible")),
        ({"ego_from_cam": np.diag([2.0, 2.0, 2.0, 1.0])}, ("'CAM_FRONT'", "rigid")),
        ({"ego_from_cam": np.eye(4) * np.nan}, ("'CAM_FRONT'", "rigid")),
        ({"size_px": (0, 80)}, ("'CAM_FRONT'", "positive image size")),
    ],
)
def test_an_unusable_camera_is_refused_by_name(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(CameraError) as caught:
        camera(**changes)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("cameras", "words"),
    [
        ((), "at least one camera"),
        ((camera(), camera()), "unique camera names"),
        (tuple(camera(name=f"CAM_{i}") for i in range(13)), "at most 12 cameras, found 13"),
    ],
)
def test_an_unusable_rig_is_refused_by_name(cameras: tuple[Camera, ...], words: str) -> None:
    with pytest.raises(CameraError, match=f"'odd'.*{words}"):
        CameraRig(name="odd", cameras=cameras)


def test_a_rig_has_the_size_that_holds_any_of_its_views() -> None:
    assert CameraRig(name="two", cameras=(camera(), camera(name="CAM_BACK"))).size_px == (100, 80)
    assert CameraRig(name="two", cameras=(camera(), camera(name="CAM_BACK", size_px=(40, 96)))).size_px == (100, 96)


def test_twelve_cameras_are_a_rig() -> None:
    assert len(CameraRig(name="many", cameras=tuple(camera(name=f"CAM_{i}") for i in range(12))).cameras) == 12


def test_an_f_theta_camera_has_the_focal_length_of_its_polynomial() -> None:
    lens = Lens(model="f_theta", coefficients=(0.0, 90.0, 1.0), max_angle_rad=1.0)
    with pytest.raises(CameraError, match=r"'CAM_FRONT'.*focal lengths 90"):
        camera(lens=lens)
