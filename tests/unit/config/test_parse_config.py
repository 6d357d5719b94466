from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scenegen.cli.compose import compose_config, compose_dict, config_folder
from scenegen.config import GenerateConfig, ImageSizeConfig, TrainConfig, known_keys, parse_config
from scenegen.errors import ConfigError
from scenegen.types import LidarModel


def compose(*overrides: str) -> GenerateConfig:
    return compose_config(GenerateConfig, "generate", overrides)


def test_defaults_compose_to_a_checked_config() -> None:
    config = compose()
    assert config.layouts == ("crossing_pedestrian",)
    assert (config.duration_s, config.rate_hz, config.run.name, config.video.name) == (30.0, 12.0, "serial", "native")
    assert config.rig.cameras[0].name == "CAM_FRONT"
    assert len(config.rig.cameras) == 6


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("sed=1", "'seed'"),
        ("video.step=4", "'video.steps'"),
        ("+video.extra=4", "video.extra"),
        ("seed=abc", "'seed'"),
        ("seed=1.5", "'seed'"),
        ("seed=true", "'seed'"),
        ("duration_s=fast", "'duration_s'"),
        ("duration_s=.nan", "duration_s"),
        ("duration_s=0", "duration_s"),
        ("rate_hz=-12", "rate_hz"),
        ("layouts=foo", "'layouts'"),
        ("layouts=[]", "layout"),
        ("layouts=[1]", "'layouts[0]'"),
        ("output=???", "'output'"),
        ("split=training", "'train'"),
        ("rig=nuscenes5", "'nuscenes6'"),
        ("video=wan", "video"),
        ("run.num_workers=0", "num_workers"),
        ("dataset.jpeg_quality=101", "jpeg_quality"),
        ("rig.image=64", "rig.image"),
        ("lidar=hdl128", "'hdl32e'"),
        ("lidar.range_noise_m=-0.02", "lidar"),
        ("lidar.num_beams=1", "lidar"),
        ("rig.cameras=[{name: A}]", "rig.cameras[0]"),
        ("output=a=b=c", "output=a=b=c"),
        ("seed", "seed"),
        ("video._target_=os.system", "_target_"),
        ("+video._target_=os.system", "_target_"),
        ("~seed", "'seed'"),
    ],
)
def test_a_bad_override_is_one_line_that_names_the_key(override: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(override)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_target_hidden_in_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="_target_"):
        compose("video={name: preview, steps: 1, weights: null, history: true, _target_: os.system}")


def test_a_required_value_without_a_default_is_named() -> None:
    with pytest.raises(ConfigError, match="'data'"):
        compose_config(TrainConfig, "train", ["recipe=video"])
    with pytest.raises(ConfigError, match="'recipe'"):
        compose_config(TrainConfig, "train", [])


def test_parse_config_reports_a_missing_key() -> None:
    with pytest.raises(ConfigError, match="height_px"):
        parse_config(ImageSizeConfig, {"width_px": 3})


def test_every_yaml_key_is_a_field_and_every_field_has_a_yaml_value() -> None:
    values = compose_dict("generate", [], known=[])
    assert set(values) == {key for key in known_keys(GenerateConfig) if "." not in key}


def test_every_choice_of_every_group_composes() -> None:
    for group in ("rig", "lidar", "traffic", "occupancy", "conditions", "video", "dataset", "quality", "run"):
        for path in sorted((config_folder() / group).glob("*.yaml")):
            compose(f"{group}={path.stem}")
    for path in sorted((config_folder() / "recipe").glob("*.yaml")):
        compose_config(TrainConfig, "train", [f"recipe={path.stem}", "data=x"])


def test_sensors_by_name_and_by_number() -> None:
    exact, noisy, dense = (compose(f"lidar={name}").lidar for name in ("exact32", "hdl32e", "hdl64e"))
    assert compose().lidar == exact == LidarModel()
    assert noisy == replace(exact, range_noise_m=0.02, is_rolling=True)
    assert (dense.num_beams, dense.num_azimuths * 10 * 64) == (64, 1_333_120)
    assert compose("lidar=hdl64e", "lidar.range_noise_m=0").lidar == replace(dense, range_noise_m=0.0)


def test_a_group_of_the_users_own_is_found(tmp_path: Path) -> None:
    (tmp_path / "rig").mkdir()
    (tmp_path / "rig" / "mine.yaml").write_text((config_folder() / "rig" / "front1.yaml").read_text())
    config = compose_config(GenerateConfig, "generate", ["rig=mine"], search=tmp_path)
    assert config.rig.name == "front1"


def test_content_hash_ignores_place_and_workers_only() -> None:
    config = compose("video=preview")
    same = replace(
        config,
        output="elsewhere",
        layouts=("other",),
        progress="plain",
        run=replace(config.run, name="ray", num_workers=9, max_failures=1),
    )
    assert same.content_sha256() == config.content_sha256()
    for changed in (
        replace(config, duration_s=29.0),
        replace(config, num_steps_per_chunk=6),
        replace(config, run=replace(config.run, threads_per_scene=1)),
        replace(config, dataset=replace(config.dataset, jpeg_quality=90)),
        replace(config, rig=compose("rig=front1").rig),
        replace(config, conditions=compose("conditions=torch").conditions),
    ):
        assert changed.content_sha256() != config.content_sha256()
