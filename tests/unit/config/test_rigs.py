"""The rigs that ship, rigs from a user's file, and what a rig file may not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from scenegen.cli.compose import compose_config, config_folder
from scenegen.config import CameraConfig, GenerateConfig, ImageSizeConfig, LensConfig, RigConfig, parse_config
from scenegen.errors import CameraError, ConfigError
from scenegen.geometry.lens import pixel_rays
from scenegen.rig import build_rig
from scenegen.types import CameraRig

NUM_CAMERAS = {
    "nuscenes6": 6,
    "front1": 1,
    "av2_ring7": 7,
    "hyperion7": 7,
    "kitti2": 2,
    "surround_fisheye4": 4,
}


def shipped(name: str) -> CameraRig:
    values = yaml.safe_load((config_folder() / "rig" / f"{name}.yaml").read_text())
    return build_rig(parse_config(RigConfig, values))


def test_every_rig_file_is_listed_here() -> None:
    assert {path.stem for path in (config_folder() / "rig").glob("*.yaml")} == set(NUM_CAMERAS)


@pytest.mark.parametrize("name", NUM_CAMERAS)
def test_a_shipped_rig_stands_on_a_car_and_sees(name: str) -> None:
    rig = shipped(name)
    assert rig.name == name and len(rig.cameras) == NUM_CAMERAS[name]
    for camera in rig.cameras:
        x_m, y_m, z_m = camera.ego_from_cam[:3, 3]
        assert -1.2 < x_m < 4.0 and abs(y_m) < 1.2 and 0.5 < z_m < 2.0, camera.name
        assert camera.ego_from_cam[2, 1] < -0.5, camera.name  # image down is down
        share = np.isfinite(pixel_rays(camera)[..., 0]).mean()
        assert share == 1.0 if camera.lens.model != "fisheye" else 0.7 < share < 0.9


@pytest.mark.parametrize(
    ("name", "yaws_deg"),
    [
        ("av2_ring7", (0, 45, -45, 99, -99, 153, -153)),
        ("hyperion7", (0, 0, 65, -65, 148, -148, 180)),
        ("kitti2", (0, 0)),
        ("surround_fisheye4", (0, 90, 180, -90)),
    ],
)
def test_cameras_look_where_their_names_say(name: str, yaws_deg: tuple[float, ...]) -> None:
    for camera, expected in zip(shipped(name).cameras, yaws_deg, strict=True):
        yaw = np.degrees(np.arctan2(camera.ego_from_cam[1, 2], camera.ego_from_cam[0, 2]))
        assert abs((yaw - expected + 180.0) % 360.0 - 180.0) < 1.0, camera.name


def test_fields_of_view_of_hyperion7_are_those_in_the_names() -> None:
    for camera in shipped("hyperion7").cameras:
        rays = pixel_rays(camera)[56]
        angle = np.degrees(np.arctan(rays[-1, 0]) - np.arctan(rays[0, 0]))
        assert angle == pytest.approx(float(camera.name.rpartition("_")[2].removesuffix("fov")), abs=1.0)


def test_the_front_camera_of_av2_stands_upright() -> None:
    rig = shipped("av2_ring7")
    assert [camera.size_px for camera in rig.cameras] == [(152, 200)] + [(200, 144)] * 6
    assert rig.size_px == (200, 200)


def own_rig(folder: Path, **changes: object) -> Path:
    values = yaml.safe_load((config_folder() / "rig" / "surround_fisheye4.yaml").read_text())
    path = folder / "my rig.yaml"
    path.write_text(yaml.safe_dump({**values, "name": "mine", **changes}))
    return path


def test_a_rig_file_is_taken_by_its_path_and_can_be_overridden(tmp_path: Path) -> None:
    path = own_rig(tmp_path)
    size = ["rig.image.width_px=80", "rig.image.height_px=64"]
    rig = build_rig(compose_config(GenerateConfig, "generate", [f"rig={path}", *size]).rig)
    assert rig.name == "mine"
    assert {camera.size_px for camera in rig.cameras} == {(80, 64)}


def test_a_rig_of_a_folder_and_a_rig_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    (tmp_path / "rig").mkdir()
    own_rig(tmp_path).rename(tmp_path / "rig" / "mine.yaml")
    assert compose_config(GenerateConfig, "generate", ["rig=mine"], search=tmp_path).rig.name == "mine"
    assert compose_config(GenerateConfig, "generate", [f"rig={own_rig(tmp_path)}"], search=tmp_path).rig.name == "mine"


@pytest.mark.parametrize(("content", "words"), [("[1, 2]", "keys of a rig"), ("a: [", "YAML"), ("name: x", "rig")])
def test_a_bad_rig_file_is_a_config_error(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=words):
        compose_config(GenerateConfig, "generate", [f"rig={path}"])


def test_a_missing_rig_file_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"nowhere/mine\.yaml"):
        compose_config(GenerateConfig, "generate", ["rig=nowhere/mine.yaml"])


SIZE = ImageSizeConfig(width_px=200, height_px=112)
FISHEYE = CameraConfig(
    name="FISHEYE",
    translation_m=(1.5, 0.0, 1.6),
    rotation_wxyz=(0.5, -0.5, 0.5, -0.5),
    K=((400.0, 0.0, 800.0), (0.0, 400.0, 450.0), (0.0, 0.0, 1.0)),
    lens=LensConfig(model="fisheye", coefficients=(0.01, 0.0, 0.0, 0.0)),
)


def rig_of(*cameras: CameraConfig, image: ImageSizeConfig = SIZE) -> RigConfig:
    return RigConfig(
        name="odd", source_image=ImageSizeConfig(width_px=1600, height_px=900), image=image, cameras=cameras
    )


@pytest.mark.parametrize(
    ("rig", "words"),
    [
        (rig_of(), "at least one camera"),
        (rig_of(FISHEYE, FISHEYE), "unique camera names"),
        (rig_of(*(replace(FISHEYE, name=f"F{i}") for i in range(13))), "at most 12 cameras, found 13"),
        (
            rig_of(FISHEYE, image=ImageSizeConfig(width_px=200, height_px=110)),
            "multiples of 8.*found 200 x 110.*is 112",
        ),
        (rig_of(FISHEYE, image=ImageSizeConfig(width_px=204, height_px=112)), "multiples of 8.*found 204 x 112"),
        (rig_of(replace(FISHEYE, image=ImageSizeConfig(width_px=100, height_px=60))), "at most 56 at width 100"),
        (
            rig_of(replace(FISHEYE, lens=LensConfig(model="fisheye", coefficients=(-0.5, 0.0, 0.0, 0.0)))),
            "'FISHEYE': lens: .*fold back",
        ),
        (
            rig_of(replace(FISHEYE, lens=LensConfig(model="fish", coefficients=()))),
            "'FISHEYE': lens: expected a lens in pinhole",
        ),
        (
            rig_of(replace(FISHEYE, lens=LensConfig(model="f_theta", coefficients=(0.0, 300.0)))),
            "focal lengths 37.5, which are c1",
        ),
        (
            rig_of(replace(FISHEYE, lens=LensConfig(model="fisheye", coefficients=(0.0,) * 4, max_angle_deg=100.0))),
            "at most 88 degrees",
        ),
    ],
)
def test_an_unusable_rig_is_a_camera_error(rig: RigConfig, words: str) -> None:
    with pytest.raises(CameraError, match=words):
        build_rig(rig)


def test_an_f_theta_polynomial_scales_with_the_image() -> None:
    lens = LensConfig(model="f_theta", coefficients=(0.0, 400.0, 8.0, -16.0), max_angle_deg=80.0)
    camera = build_rig(rig_of(replace(FISHEYE, lens=lens))).cameras[0]
    assert camera.lens.coefficients == (0.0, 50.0, 1.0, -2.0)
    assert camera.K[0, 0] == 50.0


def test_cameras_have_their_own_sizes() -> None:
    small = replace(
        FISHEYE,
        name="SMALL",
        source_image=ImageSizeConfig(width_px=800, height_px=450),
        image=ImageSizeConfig(width_px=96, height_px=48),
    )
    rig = build_rig(rig_of(FISHEYE, small))
    assert [camera.size_px for camera in rig.cameras] == [(200, 112), (96, 48)]
    assert rig.cameras[1].K[0, 0] == pytest.approx(48.0)
    assert rig.size_px == (200, 112)
