"""Rendered instances of a small recording lie at the boxes that its annotators drew."""

from __future__ import annotations

from pathlib import Path

from benchmarks.annotation_agreement import measure
from scenegen.cli import main
from tests.unit.logs.dgp_scene import write_dgp_scene


def test_a_recording_agrees_with_its_annotators_and_not_with_its_other_camera(tmp_path: Path) -> None:
    write_dgp_scene(tmp_path / "street", num_steps=1)
    assert main(["import-log", f"dgp:{tmp_path / 'street'}", f"output={tmp_path / 'ds'}"]) == 0
    found = measure(tmp_path / "ds")
    assert found.boxes == 2
    assert found.median > 0.85 and found.cuboid > 0.95
    assert found.turned < 0.3
