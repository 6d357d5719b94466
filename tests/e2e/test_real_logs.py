"""Recorded scenes become data sets by one command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scenegen.dataset import open_dataset
from tests.conftest import REPOSITORY, run_scenegen

LOGS = {
    "av2": "argoverse2/adcf7d18-0510-35b0-a2fa-b4cea13a6d76",
    "scenarionet": "nuscenes_mini/scenes/sd_nuscenes_v1.0-mini_scene-0061.pkl",
}


@pytest.mark.parametrize("source", LOGS)
def test_a_recorded_scene_becomes_a_data_set(source: str, shared_data: Path, tmp_path: Path) -> None:
    reference = f"{source}:{shared_data / LOGS[source]}"
    finished = run_scenegen(
        "generate",
        f"layouts=['{reference}']",
        "video=preview",
        "rig=front1",
        "rig.image.width_px=64",
        "rig.image.height_px=32",
        "duration_s=0.5",
        f"output={tmp_path}",
    )
    assert finished.returncode == 0, finished.stderr
    (scene,) = open_dataset(tmp_path)
    assert scene.num_steps == 6
    assert len(scene.boxes(0)) > 10
    assert "NC" in scene.attrs["source"]["licence"]
    assert scene.rgb("CAM_FRONT")[0].std() > 10.0


def test_the_birds_eye_example_learns_on_one_log_and_is_scored_on_the_other(shared_data: Path, tmp_path: Path) -> None:
    references = ",".join(f"'{source}:{shared_data / log}'" for source, log in LOGS.items())
    finished = run_scenegen(
        "generate",
        f"layouts=[{references}]",
        "video=preview",
        "rig=nuscenes6",
        "rig.image.width_px=64",
        "rig.image.height_px=32",
        "rate_hz=2",
        "duration_s=0.5",
        "dataset.lidar=none",
        f"output={tmp_path / 'logs'}",
    )
    assert finished.returncode == 0, finished.stderr
    command = ["examples/train_bev.py", tmp_path / "logs", "--steps", "2", "--image-size", "32", "64"]
    figures = tmp_path / "bev.json"
    run = subprocess.run(
        [sys.executable, *command, "--json", figures], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    scores = json.loads(figures.read_text(encoding="utf-8"))["scores"]
    assert "1 moments to learn from, 1 held out" in run.stdout
    # both maps have roads about the ego, and a map of everything is right somewhere
    assert scores["drivable"]["constant_iou"] > 0.1
    assert scores["vehicle"]["constant_iou"] > 0.0
