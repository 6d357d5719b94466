"""Certification through the command line, with the shipped judge and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scenegen.dataset import open_dataset
from tests.conftest import run_scenegen

JOB = (
    "layouts=[crossing_pedestrian]",
    "rig=front1",
    "duration_s=1",
    "run.threads_per_scene=1",
    "quality=certified",
    "progress=plain",
)


def test_ground_truth_is_as_good_as_itself(tmp_path: Path) -> None:
    made = run_scenegen("generate", *JOB, "video=preview", f"output={tmp_path}")
    assert made.returncode == 0, made.stderr
    (scene,) = open_dataset(tmp_path)
    scores = scene.attrs["scores"]
    assert (scores["status"], scores["control"], scores["flicker"], scores["num_attempts"]) == ("passed", 1.0, 1.0, 1)
    assert "judge" in made.stdout
    share = scene.boxes(0).found_share
    assert np.isfinite(share).any() and np.nanmean(share) > 0.5


def test_a_bar_that_nothing_reaches_fails_the_scene_or_marks_it(tmp_path: Path) -> None:
    too_high = ("quality.min_control=1.5", "quality.max_attempts=1", "quality.max_flicker=null", f"output={tmp_path}")
    failed = run_scenegen("generate", *JOB, *too_high)
    assert failed.returncode == 3
    assert "below 1.5 in the best of 1 paintings" in failed.stdout and "keep_failed" in failed.stderr
    assert not open_dataset(tmp_path).scene_ids
    kept = run_scenegen("generate", *JOB, *too_high, "quality.keep_failed=true")
    assert kept.returncode == 0, kept.stderr
    assert "under the bar: crossing_pedestrian" in kept.stdout
    (scene,) = open_dataset(tmp_path)
    assert scene.attrs["scores"]["status"] == "failed" and 0.5 < scene.attrs["scores"]["control"] < 1.5
    assert scene.receipt.scores == scene.attrs["scores"]
