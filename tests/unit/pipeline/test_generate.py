from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenegen.config import GenerateConfig
from scenegen.dataset import open_dataset
from scenegen.dataset.storage import open_storage
from scenegen.errors import LayoutError, OutputError, SceneFailedError
from scenegen.orchestration.ledger import FAILURES, list_runs, read_events
from scenegen.orchestration.planning import plan_scene
from scenegen.pipeline import SerialExecutor, generate
from scenegen.rig import build_rig
from scenegen.video.interface import SceneContext
from tests.unit.pipeline.conftest import STEPS, GreyBackbone, GreySession, SilentReporter, make_street

Install = Callable[[GreyBackbone], None]


def test_every_layout_becomes_a_scene_that_reads_back(config: GenerateConfig, use_streets: Install) -> None:
    use_streets(GreyBackbone())
    reporter = SilentReporter()
    report = generate(replace(config, layouts=("a", "b")), executor=SerialExecutor(), reporter=reporter)
    dataset = open_dataset(config.output)
    assert [outcome.scene_id for outcome in report.committed] == list(dataset.scene_ids)
    assert reporter.num_frames == 2 * STEPS
    scene = dataset[dataset.scene_ids[0]]
    assert scene.rgb("CAM_FRONT")[:].shape == (STEPS, 32, 64, 3)
    assert len(scene.boxes(STEPS - 1)) == 1
    assert (scene.occupancy(0).semantics == 7).any()
    assert (Path(config.output) / "previews" / f"{scene.scene_id}.mp4").stat().st_size > 0
    stages = {"world", "conditions", "occupancy", "lidar", "paint", "write"}
    assert set(report.committed[0].cost.seconds) == stages
    cost = scene.receipt.cost
    assert set(cost["cpu_seconds"]) == {*stages, "other_threads"} and cost["cpu_seconds"]["lidar"] > 0.0
    assert cost["gpu_seconds"] == {"paint": 0.0}


def test_the_same_call_again_does_nothing(config: GenerateConfig, use_streets: Install) -> None:
    use_streets(GreyBackbone())
    first = generate(replace(config, layouts=("a",)), executor=SerialExecutor(), reporter=SilentReporter())
    reporter = SilentReporter()
    again = generate(replace(config, layouts=("a", "a")), executor=SerialExecutor(), reporter=reporter)
    assert again.committed == () and again.skipped == (first.committed[0].scene_id,)
    assert (reporter.num_frames, reporter.num_skipped) == (0, 1)


def test_chunk_length_does_not_change_what_is_seen(config: GenerateConfig, use_streets: Install) -> None:
    use_streets(GreyBackbone())
    frames = []
    for num_steps in (1, 3, 100):
        chunked = replace(config, layouts=("a",), num_steps_per_chunk=num_steps)
        report = generate(chunked, executor=SerialExecutor(), reporter=SilentReporter())
        scene = open_dataset(config.output)[report.committed[0].scene_id]
        frames.append((scene.rgb("CAM_FRONT")[:], scene.array("occupancy/mask_camera")[:]))
    for rgb, mask in frames[1:]:
        np.testing.assert_array_equal(rgb, frames[0][0])
        np.testing.assert_array_equal(mask, frames[0][1])


def test_a_failed_scene_is_recorded_and_the_others_go_on(config: GenerateConfig, use_streets: Install) -> None:
    use_streets(GreyBackbone(fail_at_step=3, fail_on="b"))
    report = generate(replace(config, layouts=("a", "b", "c")), executor=SerialExecutor(), reporter=SilentReporter())
    assert len(report.committed) == 2 and len(report.failed) == 1
    assert report.failed[0].error == "RuntimeError: the model has burnt down"
    assert len(open_dataset(config.output)) == 2
    storage = open_storage(config.output)
    (run_id,) = list_runs(storage)
    events = [event["event"] for event in read_events(storage, run_id) if event["event"] != "chunk"]
    assert events == ["planned", *["started", "committed", "started", "failed", "started", "committed"], "finished"]
    (failure,) = read_events(storage, run_id, FAILURES)
    assert failure["scene_id"] == report.failed[0].scene_id
    assert "burnt down" in failure["traceback"]
    with pytest.raises(SceneFailedError, match="1 failed"):
        report.raise_on_failure()
    leftovers = [path for path in (Path(config.output) / "staging").iterdir() if path.is_dir()]
    assert leftovers == []


def test_running_out_of_memory_is_tried_again(
    config: GenerateConfig, use_streets: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = GreyBackbone()
    use_streets(backbone)
    sessions: list[str] = []

    def open_session(scene: SceneContext) -> GreySession:
        sessions.append(scene.scene_id)
        if len(sessions) == 1:
            raise MemoryError
        return GreySession(None)

    monkeypatch.setattr(backbone, "open_session", open_session)
    reporter = SilentReporter()
    report = generate(replace(config, layouts=("a",)), executor=SerialExecutor(), reporter=reporter)
    assert [outcome.num_attempts for outcome in report.committed] == [2]
    assert [attempt for _, attempt in reporter.starts] == [1, 2] and reporter.num_frames == STEPS


def test_no_scene_is_started_above_the_failure_budget(config: GenerateConfig, use_streets: Install) -> None:
    use_streets(GreyBackbone(fail_at_step=0))
    budget = replace(config, layouts=tuple("abcde"), run=replace(config.run, max_failures=1))
    report = generate(budget, executor=SerialExecutor(), reporter=SilentReporter())
    assert (len(report.failed), report.not_started) == (2, 3)


def test_a_bad_layout_is_found_before_any_work(
    config: GenerateConfig, use_streets: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_streets(GreyBackbone())

    def read(reference: str, **_: object) -> object:
        if reference == "bad":
            raise LayoutError("a layout", where="bad.yaml:3")
        return make_street(reference)

    monkeypatch.setattr("scenegen.layout.sources.read_layout", read)
    with pytest.raises(LayoutError):
        generate(replace(config, layouts=("a", "bad")), executor=SerialExecutor(), reporter=SilentReporter())
    assert not Path(config.output).exists()


def test_an_output_that_is_a_file_is_an_output_error(config: GenerateConfig, use_streets: Install) -> None:
    use_streets(GreyBackbone())
    Path(config.output).write_text("mine")
    with pytest.raises(OutputError, match="output="):
        generate(config, executor=SerialExecutor(), reporter=SilentReporter())
    assert Path(config.output).read_text() == "mine"


def test_a_scene_id_depends_on_everything_that_decides_bytes_and_nothing_else(config: GenerateConfig) -> None:
    rig = build_rig(config.rig)
    backbone = GreyBackbone()

    def name(config: GenerateConfig, layout_id: str = "a") -> str:
        return plan_scene(make_street(layout_id), reference="a", rig=rig, config=config, backbone=backbone).scene_id

    assert name(config).startswith("a-") and len(name(config)) == 10
    assert name(replace(config, output="x", layouts=("y",), run=replace(config.run, num_workers=4))) == name(config)
    other_weights = GreyBackbone()
    other_weights.weights_sha256 = "f" * 64
    different = {
        name(config),
        name(replace(config, seed=1)),
        name(replace(config, split="val")),
        name(replace(config, num_steps_per_chunk=4)),
        name(replace(config, dataset=replace(config.dataset, jpeg_quality=80))),
        plan_scene(make_street("a"), reference="a", rig=rig, config=config, backbone=other_weights).scene_id,
    }
    assert len(different) == 6
