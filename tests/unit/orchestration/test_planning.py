from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from ray_jobs.executor import RayExecutor
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.errors import LayoutError
from scenegen.orchestration.planning import PlannedScene, plan_scenes
from scenegen.types import Sampling
from scenegen.types.layout_json import layout_sha256
from tests.unit.pipeline.conftest import GreyBackbone

REPOSITORY = Path(__file__).parents[3]
JOB = ("video=preview", "rig=front1", "duration_s=4", "layouts=[procedural:3]", "prompt=a foggy night")


def compose(*overrides: str) -> GenerateConfig:
    return compose_config(GenerateConfig, "generate", [*JOB, *overrides])


def plan_one(*overrides: str) -> PlannedScene:
    (scene,) = plan_scenes(compose(*overrides), GreyBackbone())
    return scene


def test_a_plan_travels_light_and_reads_the_header_that_it_names() -> None:
    scene = pickle.loads(pickle.dumps(plan_one()))
    header = scene.read_header(compose())
    assert (header.scene_id, header.seed, header.split) == (scene.scene_id, scene.seed, scene.split)
    assert layout_sha256(header.layout) == scene.layout_sha256
    assert (header.layout.environment.weather, header.layout.environment.time_of_day) == ("fog", "night")
    assert header.layout.timeline.num_steps == scene.num_steps == scene.num_frames == 48
    assert len(pickle.dumps(scene)) < 5_000 < 50_000 < len(pickle.dumps(header))


def test_a_layout_in_a_file_travels_with_its_plan(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((REPOSITORY / "layouts" / "library" / "crossing_pedestrian.yaml").read_text())
    scene = plan_one(f"layouts=[{mine}]")
    mine.unlink()
    header = scene.read_header(compose())
    assert layout_sha256(header.layout) == scene.layout_sha256


def test_ids_agree_between_one_process_ray_and_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def ids(config: GenerateConfig) -> set[str]:
        return {scene.scene_id for scene in plan_scenes(config, GreyBackbone())}

    alone = {name for seed in (0, 1) for name in ids(compose("run=serial", f"seed={seed}"))}
    assert len(alone) == 2
    for run in ("serial", "ray", "ray_local"):
        swept = RayExecutor().prepare(compose(f"run={run}", "run.num_workers=4", "sweep.seed=[1,0]"))
        assert ids(swept) == alone


def test_another_layout_than_the_planned_one_is_refused() -> None:
    scene = replace(plan_one(), reference="procedural:4")
    with pytest.raises(LayoutError, match=r"procedural:4.*same version of scenegen"):
        scene.read_header(compose())


def test_how_frames_are_sampled_is_part_of_the_id() -> None:
    def name(**sampling: str | float) -> str:
        backbone = GreyBackbone()
        backbone.sampling = Sampling(model="teacher", sampler="euler", steps=2, eta=None, **sampling)  # type: ignore[arg-type]
        (scene,) = plan_scenes(compose(), backbone)
        return scene.scene_id

    assert name() == name(temperature=None)  # type: ignore[arg-type]
    assert len({name(), name(temperature=0.3), name(temperature=0.2), name(precision="bf16")}) == 4
