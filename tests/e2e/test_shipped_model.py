"""The shipped weights obey the layout, and only through their conditions: `scenegen eval` of what they paint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_scenegen

JOB = ("layouts=[procedural:3,school_zone]", "duration_s=1", "progress=plain")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("model")
    painted = run_scenegen("generate", *JOB, f"output={folder / 'ds'}")
    assert painted.returncode == 0, painted.stderr
    scores = folder / "scores.json"
    judged = run_scenegen("eval", str(folder / "ds"), "--json", str(scores), "--plain")
    assert judged.returncode == 0, judged.stderr
    values: dict[str, Any] = json.loads(Path(scores).read_text())
    return values


def test_the_judge_is_good_enough_to_judge(report: dict[str, Any]) -> None:
    assert report["judge"]["miou"] > 0.7


def test_painted_frames_show_the_layout(report: dict[str, Any]) -> None:
    assert report["control"]["miou_ratio"] > 0.75


def test_without_its_conditions_the_model_shows_nothing_of_the_layout(report: dict[str, Any]) -> None:
    assert report["leak"]["zeroed_ratio"] < 0.35
    assert report["leak"]["shuffled_ratio"] < 0.35


def test_frames_are_not_blurred(report: dict[str, Any]) -> None:
    assert report["fidelity"]["sharpness_ratio"] > 0.4
