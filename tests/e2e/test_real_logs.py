"""Recorded scenes become data sets by one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenegen.dataset import open_dataset
from tests.conftest import run_scenegen

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
