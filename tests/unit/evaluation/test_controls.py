"""What the model is asked for without history: leak and drift, with models that are made up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.checks.classes import JudgeClass
from scenegen.dataset.storage import open_storage
from scenegen.errors import WeightsError
from scenegen.evaluation.evaluate import Evaluation
from scenegen.evaluation.intervals import bootstrap
from scenegen.evaluation.leak import donor_maps
from scenegen.evaluation.model import FoundModel, ModelFinder, recorded_sampling_steps
from scenegen.evaluation.moments import plan_moments
from scenegen.evaluation.report import build_report, drift_bins, drift_figures
from scenegen.evaluation.tally import Block, empty_block
from scenegen.types import ConditionMaps
from scenegen.video.backbones.preview import PreviewBackbone
from scenegen.video.build import SHIPPED_WEIGHTS
from scenegen.video.interface import SceneContext
from tests.unit.evaluation.conftest import Street

Looking = Callable[[np.ndarray], Evaluation]


class LeakyBackbone:
    """Knows the true frames by heart and needs no conditions."""

    model_id, weights_sha256, licence = "leaky", "1" * 64, "CC0-1.0"
    sampling = None

    def __init__(self, truth: np.ndarray) -> None:
        self._truth = truth

    def open_session(self, scene: SceneContext) -> LeakyBackbone:
        return self

    def paint(self, conditions: ConditionMaps, *, start_step: int) -> np.ndarray:
        return self._truth[:, start_step : start_step + conditions.material.shape[1]]


def report_with(backbone: Any, look_at: Looking, frames: np.ndarray) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelFinder, "find", lambda finder, model: FoundModel(backbone=backbone))
        return build_report(look_at(frames))


def test_a_model_that_needs_its_conditions_paints_nothing_without_them(street: Street, look_at: Looking) -> None:
    report = report_with(PreviewBackbone(), look_at, street.truth)
    assert report["leak"]["zeroed_ratio"] < 0.2
    assert report["leak"]["shuffled_ratio"] < report["leak"]["shuffled_chance"] + 0.05
    assert report["drift"]["bins"][0]["no_history"]["control"]["miou_ratio"] == pytest.approx(1.0)
    assert not any("no leak test" in text for text in report["warnings"])


def test_a_model_that_knows_the_truth_is_found_out(street: Street, look_at: Looking) -> None:
    report = report_with(LeakyBackbone(street.truth), look_at, street.truth)
    assert report["leak"]["zeroed_ratio"] == pytest.approx(1.0)
    assert report["leak"]["shuffled_ratio"] == pytest.approx(1.0)
    assert report["leak"]["shuffled_chance"] < 0.6  # one scene only: another camera of the same street


def test_conditions_are_borrowed_from_another_scene_with_such_a_rig() -> None:
    class Stand:
        def __init__(self, name: str, num_cameras: int) -> None:
            self.rig = type("Rig", (), {"cameras": (0,) * num_cameras, "size_px": (8, 8)})()
            self.layout = type("L", (), {"timeline": type("T", (), {"num_steps": 10})()})()
            self.stage = type("S", (), {"render_conditions": lambda _, start, stop: (name, start, stop)})()

    here, there, wide = (Stand(name, cameras) for name, cameras in (("here", 2), ("there", 2), ("wide", 6)))
    assert donor_maps(here, there) == ("there", 5, 6)  # type: ignore[arg-type]
    assert donor_maps(here, wide) == ("here", 5, 6)  # type: ignore[arg-type]
    assert donor_maps(here, None) == ("here", 5, 6)  # type: ignore[arg-type]


def block_of(share_right: float, *, without_history: float) -> Block:
    """A block in which the judge reads so many of a thousand pixels of road and sky right."""
    block = empty_block()
    truth = np.repeat(np.array([JudgeClass.ROAD, JudgeClass.SKY], np.uint8), 500)
    for painter, share in (("generated", share_right), ("no_history", without_history), ("truth", 1.0)):
        judged = truth.copy()
        judged[: round(1000 * (1 - share))] = JudgeClass.CAR
        block[painter].control.add(judged, truth)
        block[painter].energy.add(50.0, 1)
    return block


def looked_at(blocks: dict[int, Block]) -> Any:
    finding = type("F", (), {"blocks": blocks, "features": {}, "moment_bins": np.zeros(0, int)})()
    return type("L", (), {"finding": finding})()


def test_drift_is_what_the_control_does_not_lose_as_well() -> None:
    fading = looked_at({0: block_of(1.0, without_history=1.0), 1: block_of(0.8, without_history=1.0)})
    harder = looked_at({0: block_of(1.0, without_history=1.0), 1: block_of(0.8, without_history=0.8)})
    assert drift_figures([fading])["drift.last_over_first_relative"] < 0.95
    assert drift_figures([harder])["drift.last_over_first_relative"] == pytest.approx(1.0)
    assert drift_figures([harder])["drift.last_over_first"] < 0.95


def test_short_scenes_say_nothing_of_drift() -> None:
    short = looked_at({0: block_of(1.0, without_history=1.0)})
    assert all(np.isnan(value) for value in drift_figures([short]).values())


def test_bins_pool_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenegen.evaluation.report.fid_of_bin", lambda scenes, index: float("nan"))
    scenes = [looked_at({0: block_of(1.0, without_history=1.0), 1: block_of(0.5, without_history=0.5)})] * 2
    first, second = drift_bins(scenes)
    assert first["control"]["miou_ratio"] == 1.0 > second["control"]["miou_ratio"]
    assert (second["start_s"], second["stop_s"]) == (5.0, 10.0)


def test_intervals_hold_the_figure_and_shrink_with_blocks() -> None:
    def mean(chosen: Any) -> dict[str, float]:
        return {"mean": float(np.mean(chosen)), "never": float("nan")}

    few, many = np.linspace(0.0, 1.0, 5).tolist(), np.linspace(0.0, 1.0, 200).tolist()
    (low, high), (low_many, high_many) = bootstrap(few, mean)["mean"], bootstrap(many, mean)["mean"]
    assert low < 0.5 < high and low < low_many < 0.5 < high_many < high
    assert "never" not in bootstrap(few, mean)
    assert bootstrap(few[:1], mean) == {}


def test_short_scenes_are_looked_at_too() -> None:
    assert [(m.step, m.num_steps) for m in plan_moments(1, rate_hz=12.0, every=6)] == [(0, 1)]
    assert [(m.step, m.num_steps) for m in plan_moments(4, rate_hz=12.0, every=6)] == [(3, 3)]
    assert [m.step for m in plan_moments(12, rate_hz=12.0, every=6) if m.is_long] == [11]


def test_thirty_seconds_need_fifteen_long_windows() -> None:
    moments = plan_moments(360, rate_hz=12.0, every=6)
    assert len(moments) == 60 and sum(m.is_long for m in moments) == 15


def test_a_model_is_found_by_the_hash_of_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[dict[str, Any]] = []
    monkeypatch.setattr("scenegen.evaluation.model.load_backbone", lambda name, **options: loaded.append(options))
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"video": {"name": "native", "steps": 3}}))
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(b"weights")
    finder = ModelFinder(open_storage(tmp_path), weights=weights)
    own = {"model_id": "native-tiny", "weights_sha256": "9f72a2b6e3a1ad2dc0d4a2b7b3b2b6b3"}
    with pytest.raises(WeightsError, match="--weights"):
        finder.find(own)
    finder.find(own | {"weights_sha256": hashlib.sha256(b"weights").hexdigest()})
    finder.find(own | {"weights_sha256": hashlib.sha256(SHIPPED_WEIGHTS.read_bytes()).hexdigest()})
    assert [options["weights"] for options in loaded] == [str(weights), str(SHIPPED_WEIGHTS)]
    assert all(options["history"] is False and options["steps"] == 3 for options in loaded)
    sampling = {"model": "student", "sampler": "cps", "steps": 4, "eta": 0.8}
    shipped = own | {"weights_sha256": hashlib.sha256(SHIPPED_WEIGHTS.read_bytes()).hexdigest()}
    finder.find(shipped | {"sampling": sampling})
    finder.find(shipped | {"sampling": sampling | {"steps": 2}})
    assert [{key: options[key] for key in sampling} for options in loaded[2:]] == [sampling, sampling | {"steps": 2}]
    with pytest.raises(WeightsError, match="a weight file"):
        ModelFinder(open_storage(tmp_path), weights=tmp_path / "none.safetensors")


def test_what_cannot_be_loaded_has_a_reason(tmp_path: Path) -> None:
    finder = ModelFinder(open_storage(tmp_path), weights=None)
    unknown = finder.find({"model_id": "native-tiny", "weights_sha256": "f" * 64})
    assert unknown.backbone is None and "--weights FILE" in unknown.reason
    assert recorded_sampling_steps(open_storage(tmp_path)) is None
