from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scenegen.cli.compose import compose_config
from scenegen.config import SPLITS, GenerateConfig, SplitSharesConfig, split_of_layout
from scenegen.dataset import open_dataset
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import ConfigError, LayoutError
from scenegen.orchestration.planning import PlannedScene, plan_scenes
from scenegen.pipeline import SerialExecutor, generate
from scenegen.types import Environment
from tests.unit.pipeline.conftest import GreyBackbone, SilentReporter, make_street

GRID = ("sweep.weather=[clear,rain]", "sweep.rig=[front1,kitti2]", "sweep.seed=[0,1]")


@pytest.fixture(autouse=True)
def streets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenegen.layout.sources.expand_references", list)
    monkeypatch.setattr("scenegen.layout.sources.read_layout", make_street)
    monkeypatch.setattr("scenegen.layout.extend.extend_layout", lambda layout, **kwargs: layout)


def compose(*overrides: str) -> GenerateConfig:
    return compose_config(GenerateConfig, "generate", ["video=preview", "layouts=[a,b,c]", *overrides])


def plan(*overrides: str) -> list[PlannedScene]:
    return plan_scenes(compose(*overrides), GreyBackbone())


def environment_of(scene: PlannedScene) -> Environment:
    return scene.read_header(compose()).layout.environment


def test_a_grid_is_every_layout_at_every_point() -> None:
    records = plan(*GRID)
    assert len({record.scene_id for record in records}) == len(records) == 3 * 2 * 2 * 2
    points = {(r.layout_id, environment_of(r).weather, r.rig.name, r.seed) for r in records}
    assert len(points) == len(records)


def test_a_swept_scene_has_the_id_it_has_alone() -> None:
    ids = {record.scene_id for record in plan(*GRID)}
    (alone,) = plan("layouts=[b]", "prompt=rain", "rig=kitti2", "seed=1")
    assert alone.scene_id in ids


def test_ids_and_splits_do_not_depend_on_the_order() -> None:
    forth = plan(*GRID, "split=auto")
    back = plan(
        "layouts=[c,b,a]", "split=auto", "sweep.seed=[1,0]", "sweep.rig=[kitti2,front1]", "sweep.weather=[rain,clear]"
    )
    assert {(r.scene_id, r.split) for r in forth} == {(r.scene_id, r.split) for r in back}


def test_no_layout_is_in_two_splits() -> None:
    names = ",".join(f"street{number}" for number in range(30))
    shares = "split_shares={train:0.4,val:0.3,test:0.3}"
    records = plan(f"layouts=[{names}]", "split=auto", shares, "sweep.seed=[0,1]", "sweep.weather=[clear,fog,night]")
    splits_of_layout: dict[str, set[str]] = {}
    for record in records:
        splits_of_layout.setdefault(record.layout_id, set()).add(record.split)
    assert {len(splits) for splits in splits_of_layout.values()} == {1}
    assert {record.split for record in records} == set(SPLITS)


def test_shares_are_kept_on_average_and_a_share_of_zero_gets_nothing() -> None:
    shares = SplitSharesConfig(train=0.7, val=0.3, test=0.0)
    found = [split_of_layout(f"procedural_{seed}", shares) for seed in range(2000)]
    assert found.count("train") / 2000 == pytest.approx(0.7, abs=0.03)
    assert "test" not in found


def test_weather_and_time_of_day_are_joined() -> None:
    records = plan("layouts=[a]", "sweep.weather=[rain,fog]", "sweep.time_of_day=[day,night]")
    looks = {(environment_of(r).weather, environment_of(r).time_of_day) for r in records}
    assert looks == {("rain", "day"), ("rain", "night"), ("fog", "day"), ("fog", "night")}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("sweep.seed=[]",), "at least one value"),
        (("sweep.seed=[1,1]",), "every value once"),
        (("sweep.rig=[front1,front1]",), "every value once"),
        (("sweep.seed=[-1]",), "seeds of zero or more"),
        (("seed=3", "sweep.seed=[0,1]"), "either seed or sweep.seed"),
        (("rig=front1", "sweep.rig=[kitti2]"), "either rig or sweep.rig"),
        (("prompt=fog", "sweep.weather=[rain]"), "either a prompt or a sweep"),
        (("sweep.rig=[no_such_rig]",), "rig in"),
        (("sweep.wether=[rain]",), "Did you mean 'sweep.weather'"),
        (("split=auto", "split_shares.val=0.5"), "add up to 1"),
        (("split=sometimes",), "split in"),
    ],
)
def test_an_empty_or_contradictory_grid_is_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        compose(*overrides)


@pytest.mark.parametrize("overrides", [("sweep.weather=[hail]",), ("sweep.weather=[night]", "sweep.time_of_day=[day]")])
def test_words_without_a_meaning_or_with_two_are_refused(overrides: tuple[str, ...]) -> None:
    with pytest.raises(LayoutError, match="prompt"):
        plan(*overrides)


def test_a_data_set_of_two_rigs_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenegen.pipeline.open_backbone", lambda config: GreyBackbone())
    config = compose("layouts=[a]", "sweep.rig=[front1,kitti2]", f"output={tmp_path / 'ds'}")
    generate(config, executor=SerialExecutor(), reporter=SilentReporter()).raise_on_failure()
    scenes = list(open_dataset(tmp_path / "ds"))
    assert sorted(len(scene.cameras) for scene in scenes) == [1, 2]
    for scene in scenes:
        width_px, height_px = scene.rig.cameras[0].size_px
        assert scene.rgb(scene.cameras[0])[0].shape == (height_px, width_px, 3)
    assert verify_dataset(tmp_path / "ds", deep=False).damages == ()


def test_the_sweep_decides_no_bytes() -> None:
    config = compose()
    other = replace(config, split_shares=SplitSharesConfig(train=1.0, val=0.0, test=0.0), sweep=compose(*GRID).sweep)
    assert other.content_sha256() == config.content_sha256()
