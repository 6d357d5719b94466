"""Certification with a judge that reads classes off grey values, and a model whose paintings differ by attempt."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenegen import certification
from scenegen.checks.classes import JudgeClass, judge_labels
from scenegen.checks.judge import Verdict
from scenegen.checks.judge_targets import FoundAgents
from scenegen.cli.compose import compose_config
from scenegen.cli.report import write_report
from scenegen.config import GenerateConfig
from scenegen.dataset import Scene, open_dataset
from scenegen.errors import ConfigError, SceneFailedError
from scenegen.orchestration.planning import plan_scene
from scenegen.pipeline import JobReport, SerialExecutor, generate
from scenegen.rig import build_rig
from scenegen.types import ConditionMaps
from scenegen.video.interface import SceneContext
from tests.unit.pipeline.conftest import STEPS, SilentReporter, make_street

GREY = 20
"""Levels of grey per class; what is left below it may flicker."""
FLICKER_OF_TRUTH = 2


class LabelSession:
    """Paints classes as grey, shaking by some levels from step to step; columns beyond a share stay sky."""

    def __init__(self, *, share: float, shake: int, spoil_from_step: int | None) -> None:
        self._share = share
        self._shake = shake
        self._spoil_from_step = spoil_from_step

    def paint(self, conditions: ConditionMaps, *, start_step: int) -> np.ndarray:
        labels = judge_labels(conditions.semantic, conditions.material) * np.uint8(GREY)
        for offset in range(labels.shape[1]):
            step = start_step + offset
            is_spoilt = self._spoil_from_step is None or step >= self._spoil_from_step
            if is_spoilt:
                labels[:, offset, :, round(self._share * labels.shape[3]) :] = 0
            labels[:, offset] += np.uint8(self._shake * (step % 2))
        return np.repeat(labels[..., None], 3, axis=-1)


class LabelBackbone:
    """Attempt k paints the first `shares[k]` of the columns and shakes by `shakes[k]` levels."""

    model_id = "labels"
    weights_sha256 = ""
    licence = "CC0-1.0"
    sampling = None

    def __init__(
        self,
        *,
        shares: tuple[float, ...] = (1.0,),
        shakes: tuple[int, ...] = (FLICKER_OF_TRUTH,),
        spoil_from_step: int | None = None,
    ) -> None:
        self._shares = shares
        self._shakes = shakes
        self._spoil_from_step = spoil_from_step

    def open_session(self, scene: SceneContext) -> LabelSession:
        return LabelSession(
            share=self._shares[min(scene.attempt, len(self._shares) - 1)],
            shake=self._shakes[min(scene.attempt, len(self._shakes) - 1)],
            spoil_from_step=self._spoil_from_step,
        )


def read_greys(frames: np.ndarray, *, ray_ego: np.ndarray) -> Verdict:
    """Judge: the class is the grey value, and the pixels of people, taken together, are one person."""
    assert frames.shape == ray_ego.shape
    labels = (frames[..., 0] // GREY).astype(np.uint8)
    agents = []
    for image in labels:
        rows, columns = np.nonzero(image == JudgeClass.PEDESTRIAN)
        num = 1 if len(rows) else 0
        center = np.array([[columns.mean() + 0.5, rows.mean() + 0.5]]) if num else np.zeros((0, 2))
        agents.append(
            FoundAgents(
                kind=np.full(num, JudgeClass.PEDESTRIAN, np.uint8),
                center_px=center.astype(np.float32),
                range_m=np.ones(num, np.float32),
                score=np.ones(num, np.float32),
            )
        )
    return Verdict(labels=labels, range_m=np.ones(labels.shape, np.float32), agents=tuple(agents))


Run = Callable[..., JobReport]


@pytest.fixture
def config(tmp_path: Path) -> GenerateConfig:
    overrides = ["video=preview", "rig=front1", "rig.image.width_px=128", "rig.image.height_px=72", "duration_s=1"]
    composed = compose_config(GenerateConfig, "generate", overrides)
    quality = replace(composed.quality, min_control=0.9)
    dataset = replace(composed.dataset, image_codec="png")
    return replace(composed, output=str(tmp_path / "ds"), num_steps_per_chunk=4, quality=quality, dataset=dataset)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the job on a hand-made street with a painter, ground truth and judge of this file."""

    def install_and_run(
        config: GenerateConfig, painter: LabelBackbone, *, reporter: SilentReporter | None = None
    ) -> JobReport:
        monkeypatch.setattr("scenegen.layout.sources.expand_references", list)
        monkeypatch.setattr("scenegen.layout.sources.read_layout", make_street)
        monkeypatch.setattr("scenegen.layout.extend.extend_layout", lambda layout, **kwargs: layout)
        monkeypatch.setattr("scenegen.pipeline.open_backbone", lambda config: painter)
        monkeypatch.setattr("scenegen.video.build.load_backbone", lambda *a, **k: LabelBackbone())
        monkeypatch.setattr(certification, "open_judging", lambda: read_greys)
        monkeypatch.setattr(certification, "judge_sha256", lambda: "e" * 64)
        return generate(config, executor=SerialExecutor(), reporter=reporter or SilentReporter())

    return install_and_run


def with_quality(config: GenerateConfig, **changes: object) -> GenerateConfig:
    return replace(config, quality=replace(config.quality, **changes))  # type: ignore[arg-type]


def only_scene(config: GenerateConfig) -> Scene:
    dataset = open_dataset(config.output)
    (scene_id,) = dataset.scene_ids
    return dataset[scene_id]


def test_without_bars_nothing_is_judged(config: GenerateConfig, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenegen.painting._open_inspection", lambda *a: pytest.fail("judged"))
    run(with_quality(config, min_control=None), LabelBackbone(shares=(0.3,)))
    scene = only_scene(config)
    assert scene.attrs["scores"] == {} and scene.receipt.scores == {}
    assert np.isnan(scene.boxes(0).found_share).all()


def test_a_scene_that_passes_is_painted_once_and_says_so(config: GenerateConfig, run: Run) -> None:
    run(config, LabelBackbone())
    scene = only_scene(config)
    scores = scene.attrs["scores"]
    assert (scores["status"], scores["attempt"], scores["num_attempts"]) == ("passed", 0, 1)
    assert scores["control"] == 1.0 and scores["flicker"] == 1.0 and scores["num_judged_views"] == 2
    assert scene.receipt.scores == scores
    assert scene.boxes(3).found_share.tolist() == [1.0]


def test_a_scene_under_the_bar_is_painted_again_with_the_same_labels(config: GenerateConfig, run: Run) -> None:
    reporter = SilentReporter()
    run(config, LabelBackbone(shares=(0.3, 1.0)), reporter=reporter)
    scene = only_scene(config)
    assert (scene.attrs["scores"]["status"], scene.attrs["scores"]["attempt"]) == ("passed", 1)
    assert reporter.num_frames == STEPS  # the second painting is not counted again
    plain = replace(with_quality(config, min_control=None), output=config.output + "_plain")
    run(plain, LabelBackbone(shares=(1.0,)))
    other = only_scene(plain)
    np.testing.assert_array_equal(scene.rgb("CAM_FRONT")[:], other.rgb("CAM_FRONT")[:])
    for step in range(STEPS):
        np.testing.assert_array_equal(scene.occupancy(step).semantics, other.occupancy(step).semantics)
        np.testing.assert_array_equal(scene.boxes(step).center_world_m, other.boxes(step).center_world_m)


def test_a_scene_that_stays_under_the_bar_fails_and_leaves_nothing(config: GenerateConfig, run: Run) -> None:
    report = run(config, LabelBackbone(shares=(0.3,)))
    assert not report.committed and not open_dataset(config.output).scene_ids
    (failed,) = report.failed
    assert "control" in failed.error and "best of 2 paintings" in failed.error and "keep_failed" in failed.error
    with pytest.raises(SceneFailedError) as caught:
        report.raise_on_failure()
    assert caught.value.exit_code == 3
    assert not list((Path(config.output) / "staging").glob("*/"))
    (failures,) = Path(config.output).glob("runs/*/failures.jsonl")
    assert json.loads(failures.read_text())["scene_id"] == failed.scene_id


def test_the_best_painting_is_kept_when_asked_and_marked(config: GenerateConfig, run: Run) -> None:
    asked = with_quality(config, keep_failed=True, max_attempts=3)
    report = run(asked, LabelBackbone(shares=(0.3, 0.6, 0.45)))
    scores = only_scene(asked).attrs["scores"]
    assert (scores["status"], scores["attempt"], scores["num_attempts"]) == ("failed", 1, 3)
    assert scores["missed"] and scores["control"] < 0.9
    text = io.StringIO()
    write_report(report, text)
    assert f"under the bar: {only_scene(asked).scene_id}: control" in text.getvalue()
    (events,) = Path(asked.output).glob("runs/*/events.jsonl")
    assert "best of 3 paintings" in events.read_text()


def test_the_worst_stretch_counts(config: GenerateConfig, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certification, "BLOCK_S", 4 / 12)
    asked = with_quality(config, keep_failed=True)
    run(asked, LabelBackbone(shares=(0.3,), spoil_from_step=4))
    scores = only_scene(asked).attrs["scores"]
    assert scores["control_of_block"][0] == 1.0 and scores["control_of_block"][1] < 0.9
    assert scores["control"] == scores["control_of_block"][1] and scores["status"] == "failed"


def test_flicker_has_a_bar_of_its_own(config: GenerateConfig, run: Run) -> None:
    asked = with_quality(config, min_control=None, max_flicker=1.5)
    report = run(asked, LabelBackbone(shakes=(3 * FLICKER_OF_TRUTH, FLICKER_OF_TRUTH)))
    assert len(report.committed) == 1
    scores = only_scene(asked).attrs["scores"]
    assert (scores["attempt"], scores["flicker"]) == (1, 1.0)
    restless = replace(asked, output=asked.output + "_restless")
    (failed,) = run(restless, LabelBackbone(shakes=(3 * FLICKER_OF_TRUTH,))).failed
    assert "flicker 2." in failed.error and "above 1.5" in failed.error  # labels change, too, at silhouettes


def test_agents_that_the_painting_lacks_have_a_low_share(config: GenerateConfig, run: Run) -> None:
    asked = with_quality(config, keep_failed=True)
    run(asked, LabelBackbone(shares=(0.0,)))
    assert only_scene(asked).boxes(0).found_share.tolist() == [0.0]


def test_bytes_depend_on_neither_order_nor_company(config: GenerateConfig, run: Run) -> None:
    painter = LabelBackbone(shares=(0.3, 1.0))
    pair, alone = replace(config, layouts=("a", "b")), replace(config, layouts=("b",), output=config.output + "_alone")
    run(pair, painter)
    run(alone, painter)
    shared = {scene.scene_id: scene.receipt.content_sha256 for scene in open_dataset(pair.output)}
    scene = only_scene(alone)
    assert shared[scene.scene_id] == scene.receipt.content_sha256


def test_bars_and_judge_name_a_scene_only_where_they_are_asked(
    config: GenerateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, layout = build_rig(config.rig), make_street("a")

    def name(config: GenerateConfig, judge: str = "e") -> str:
        monkeypatch.setattr("scenegen.orchestration.planning._judge_sha256", lambda: judge)
        return plan_scene(layout, reference="procedural:1", rig=rig, config=config, backbone=LabelBackbone()).scene_id

    off = with_quality(config, min_control=None)
    assert name(off) == name(off, judge="f") == name(replace(off, quality=replace(off.quality, max_attempts=9)))
    assert len({name(off), name(config), name(config, judge="f"), name(with_quality(config, min_control=0.8))}) == 4


def test_flicker_needs_chunks_in_which_it_can_be_seen(config: GenerateConfig) -> None:
    with pytest.raises(ConfigError, match="num_steps_per_chunk"):
        replace(config, num_steps_per_chunk=2, quality=replace(config.quality, max_flicker=1.2))


def test_bars_below_zero_are_refused() -> None:
    with pytest.raises(ConfigError, match="min_control"):
        compose_config(GenerateConfig, "generate", ["quality=certified", "quality.min_control=-1"])
