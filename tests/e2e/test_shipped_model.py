"""The shipped weights obey the layout, and only through their conditions. A short form of benchmarks.obedience."""

from __future__ import annotations

import pytest
import yaml

from benchmarks.obedience import Tally, score_scenes
from scenegen.config import RigConfig, parse_config
from scenegen.rig import build_rig
from scenegen.video.backbones.native import NativeBackbone
from scenegen.video.build import load_backbone
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.xdist_group("model")


@pytest.fixture(scope="module")
def tallies() -> dict[str, Tally]:
    rig = build_rig(parse_config(RigConfig, yaml.safe_load((REPOSITORY / "conf/rig/nuscenes6.yaml").read_text())))
    backbone = load_backbone("native", steps=2, weights=None)
    assert isinstance(backbone, NativeBackbone)
    return score_scenes(
        ["procedural:3", "crossing_pedestrian"], rig=rig, backbone=backbone, start_s=8.0, seconds=1.0, seed=0
    )


def test_the_judge_is_good_enough_to_judge(tallies: dict[str, Tally]) -> None:
    assert tallies["truth"].control.miou > 0.6


def test_painted_frames_show_the_layout(tallies: dict[str, Tally]) -> None:
    assert tallies["native"].control.miou > 0.75 * tallies["truth"].control.miou


def test_without_its_conditions_the_model_shows_nothing_of_the_layout(tallies: dict[str, Tally]) -> None:
    for mode in ("zeroed", "shuffled"):
        assert tallies[mode].control.miou < 0.35 * tallies["truth"].control.miou


def test_frames_are_not_blurred(tallies: dict[str, Tally]) -> None:
    sharpness = {mode: sum(tally.energy) / len(tally.energy) for mode, tally in tallies.items()}
    assert sharpness["native"] > 0.4 * sharpness["truth"]
