"""True frames score 1 everywhere, and every way to spoil them moves the figure that is there to see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from scenegen.checks.control import ControlScore
from scenegen.errors import DatasetError
from scenegen.evaluation.evaluate import Evaluation
from scenegen.evaluation.page import write_page
from scenegen.evaluation.report import build_report
from scenegen.evaluation.targets import TARGETS, describe_rows, table_rows
from scenegen.types import STATIC_INSTANCE_OFFSET, Material
from tests.unit.evaluation.conftest import SEED, Street

Report = dict[str, Any]
Judged = Callable[..., Report]
RATIOS = (
    ("control", "miou_ratio"),
    ("control", "agent_recall_ratio"),
    ("control", "pedestrian_recall_ratio"),
    ("temporal", "warp_error_ratio"),
    ("temporal", "flicker_ratio"),
    ("temporal", "identity_ratio"),
    ("views", "overlap_error_ratio"),
    ("fidelity", "sharpness_ratio"),
)
KEYS = {
    "control": (
        "miou_ratio",
        "agent_recall_ratio",
        "invented_rate",
        "position_error_m",
        "velocity_error_mps",
        "lane_error_px",
    ),
    "temporal": ("warp_error_ratio", "flicker_ratio", "identity_ratio"),
    "views": ("overlap_error_ratio",),
    "drift": ("bins", "last_over_first"),
    "fidelity": ("sharpness_ratio", "fvd", "fid"),
    "leak": ("zeroed_ratio", "shuffled_ratio"),
}


@pytest.fixture(scope="module")
def true_report(stored: Path, evaluate: Callable[..., Evaluation]) -> Report:
    return build_report(evaluate(stored))


def test_true_frames_score_one_everywhere(true_report: Report) -> None:
    for group, name in RATIOS:
        assert true_report[group][name] == pytest.approx(1.0, abs=1e-6), name
    assert true_report["fidelity"]["fid"] == pytest.approx(0.0, abs=1e-2)
    assert true_report["control"]["invented_rate"] == 0.0


def test_the_judge_that_knows_everything_places_everyone(true_report: Report) -> None:
    control = true_report["control"]
    assert control["counts"]["pedestrians"] > 0
    assert control["position_error_m"]["pedestrians"]["p95"] < 0.01
    assert control["velocity_error_mps"]["pedestrians"]["p95"] < 0.05
    assert control["velocity_error_mps"]["over_s"] == [0.5]
    assert control["lane_error_px"] == 0.0
    assert true_report["judge"]["counts"] is True


def test_every_key_is_there_and_what_is_missing_says_why(true_report: Report) -> None:
    for group, names in KEYS.items():
        assert set(names) <= set(true_report[group])
    assert "diversity" in true_report
    for name in ("leak.zeroed_ratio", "leak.shuffled_ratio", "drift.last_over_first", "diversity"):
        assert true_report["notes"][name]
    assert true_report["leak"]["zeroed_ratio"] is None
    assert "nothing was learned" in true_report["notes"]["leak.zeroed_ratio"]
    assert json.loads(json.dumps(true_report, allow_nan=False)) == true_report


def test_bins_carry_all_scores(true_report: Report) -> None:
    (only,) = true_report["drift"]["bins"]
    assert (only["start_s"], only["stop_s"]) == (0.0, 5.0)
    for group, name in RATIOS:
        assert only[group][name] == pytest.approx(1.0, abs=1e-6)


def test_one_seed_and_one_block_are_warned_about(true_report: Report) -> None:
    assert true_report["seeds"] == [SEED]
    text = " ".join(true_report["warnings"])
    assert "seed" in text and "block" in text and "weak judge" not in text


def test_blur_is_seen_as_blur_and_not_as_calm(street: Street, report_on: Judged) -> None:
    blurred = ndimage.uniform_filter(street.truth, size=(1, 1, 3, 3, 1))
    report = report_on(blurred)
    assert report["fidelity"]["sharpness_ratio"] < 0.5
    assert report["temporal"]["warp_error_ratio"] < 0.95
    assert any("blur, not merit" in text for text in report["warnings"])
    assert report["fidelity"]["fid"] > 1.0


def test_frames_of_another_camera_do_not_obey_and_do_not_agree(street: Street, report_on: Judged) -> None:
    report = report_on(street.truth[::-1])
    assert report["control"]["miou_ratio"] < 0.6
    assert report["views"]["overlap_error_ratio"] > 1.2


def test_steps_in_the_wrong_order_flicker(street: Street, report_on: Judged) -> None:
    swapped = street.truth.reshape(2, -1, 2, *street.truth.shape[2:])[:, :, ::-1].reshape(street.truth.shape)
    report = report_on(swapped)
    assert report["temporal"]["warp_error_ratio"] > 1.2
    assert report["temporal"]["flicker_ratio"] > 1.2


def test_fresh_noise_flickers(street: Street, report_on: Judged) -> None:
    noise = np.random.default_rng(0).normal(0.0, 8.0, street.truth.shape)
    report = report_on(np.clip(street.truth + noise, 0, 255).astype(np.uint8))
    assert report["temporal"]["flicker_ratio"] > 1.5
    assert report["views"]["overlap_error_ratio"] > 1.02
    assert report["fidelity"]["sharpness_ratio"] > 1.1


def test_people_painted_out_are_missed(street: Street, report_on: Judged) -> None:
    frames = street.truth.copy()
    instance = street.labels.conditions.instance
    frames[(instance > 0) & (instance < STATIC_INSTANCE_OFFSET)] = (255, 0, 255)
    report = report_on(frames)
    assert report["control"]["agent_recall_ratio"] < 0.2
    assert report["control"]["miou_ratio"] < 0.95


def test_a_car_that_changes_its_colour_is_noticed(street: Street, report_on: Judged) -> None:
    frames = street.truth.copy()
    is_body = street.labels.conditions.material == Material.BODY
    is_body[:, ::3] = False
    frames[is_body] = 255 - frames[is_body]
    report = report_on(frames)
    assert report["control"]["counts"]["sightings_of_cars"] > 0
    assert report["temporal"]["identity_ratio"] < 0.95


def test_one_tint_over_a_car_for_the_whole_scene_is_its_colour(street: Street, report_on: Judged) -> None:
    frames = street.truth.copy()
    is_body = street.labels.conditions.material == Material.BODY
    frames[is_body] = np.clip(frames[is_body].astype(int) + np.array([0, 12, 0]), 0, 255)
    assert report_on(frames)["temporal"]["identity_ratio"] == pytest.approx(1.0)


def test_a_reference_takes_the_place_of_the_preview(
    street: Street,
    stored: Path,
    evaluate: Callable[..., Evaluation],
    write_frames: Callable[..., Path],
    tmp_path: Path,
) -> None:
    blurred = ndimage.uniform_filter(street.truth, size=(1, 1, 3, 3, 1))
    reference = write_frames(tmp_path / "blurred", blurred)
    report = build_report(evaluate(stored, reference_dir=reference))
    assert report["fidelity"]["sharpness_ratio"] > 2.0
    assert report["reference"] == str(reference)


def test_a_reference_without_the_scene_is_refused(
    street: Street,
    stored: Path,
    evaluate: Callable[..., Evaluation],
    write_frames: Callable[..., Path],
    tmp_path: Path,
) -> None:
    other = write_frames(tmp_path / "other", street.truth, seed=SEED + 1)
    with pytest.raises(DatasetError, match="same layout, seed and rig"):
        evaluate(stored, reference_dir=other)


def test_a_weak_judge_is_warned_about(street: Street, report_on: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ControlScore, "miou", property(lambda score: 0.6))
    report = report_on(street.truth)
    assert report["judge"]["counts"] is False
    assert any(text.startswith("weak judge") for text in report["warnings"])


def test_the_table_and_the_page_hold_the_figures(
    street: Street, look_at: Callable[..., Evaluation], true_report: Report
) -> None:
    text = describe_rows(table_rows(true_report))
    assert all(name in text for name in TARGETS)
    frames = street.truth.copy()
    frames[1, 5:] = 90
    page = write_page(true_report, look_at(frames).worst)
    assert page.count("<img ") == 3 * 2 and "data:image/jpeg;base64," in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert page.index("CAM_FRONT_RIGHT") < page.rindex("step")


def test_worst_frames_are_the_spoilt_ones(street: Street, look_at: Callable[..., Evaluation]) -> None:
    frames = street.truth.copy()
    frames[1, 8] = 90
    worst = look_at(frames).worst
    assert (worst[0].camera, worst[0].step) == (street.rig.cameras[1].name, 8)
    assert worst[0].score < 0.5 and worst[1].score == pytest.approx(1.0)
