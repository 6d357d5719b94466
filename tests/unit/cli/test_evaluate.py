"""The verb `eval` from arguments to files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.checks.classes import JudgeClass
from scenegen.checks.judge import Verdict
from scenegen.checks.judge_targets import FoundAgents
from scenegen.cli.command_line import main


class ThresholdJudge:
    """Bright is sky, the rest is road; it finds nobody."""

    name = "threshold"
    weights_sha256 = "0" * 64

    def verdict(self, frames: np.ndarray, *, ray_ego: np.ndarray) -> Verdict:
        nobody = FoundAgents(
            kind=np.zeros(0, np.uint8),
            center_px=np.zeros((0, 2), np.float32),
            range_m=np.zeros(0, np.float32),
            score=np.zeros(0, np.float32),
        )
        labels = np.where(frames.mean(axis=-1) > 140, JudgeClass.SKY, JudgeClass.ROAD).astype(np.uint8)
        return Verdict(labels=labels, range_m=np.ones_like(labels, np.float32), agents=(nobody,) * len(frames))

    def features(self, frames: np.ndarray, *, ray_ego: np.ndarray) -> np.ndarray:
        return frames.reshape(len(frames), -1, 3).mean(axis=1, dtype=np.float32)


@pytest.fixture
def evaluated(
    whole_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[str, dict[str, Any], str]:
    monkeypatch.setattr("scenegen.evaluation.judging.LearnedJudge", ThresholdJudge)
    outputs = ["--json", str(tmp_path / "scores.json"), "--html", str(tmp_path / "scores.html")]
    outputs += ["--markdown", str(tmp_path / "scores.md")]
    code = main(["eval", str(whole_dataset), *outputs, "--plain", "--every", "12"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert "ETA" in captured.err
    return captured.out, json.loads((tmp_path / "scores.json").read_text()), (tmp_path / "scores.html").read_text()


def test_eval_writes_a_table_json_and_a_page(evaluated: tuple[str, dict[str, Any], str], tmp_path: Path) -> None:
    out, report, page = evaluated
    tables = (tmp_path / "scores.md").read_text()
    assert "| `control.miou_ratio` | 1 |" in tables and ">= 0.95: met |" in tables
    assert tables.count("| from (s) |") == 1 and "\n| 0 | 1 |" in tables
    assert "control.miou_ratio" in out and "warning: weak judge" in out
    assert len(report["scenes"]) == 2 and report["num_moments"] == 4
    # Painted by the preview and stored as JPEG: so is the truth, and nothing is left to tell them apart.
    assert report["control"]["miou_ratio"] == 1.0 == report["temporal"]["warp_error_ratio"]
    assert report["fidelity"]["sharpness_ratio"] == 1.0
    assert report["diversity"] == 1.0 and report["diversity_of"] == "other layout"
    assert report["intervals"]["control.miou_ratio"] == [1.0, 1.0]
    assert page.startswith("<!doctype html>") and "threshold" in page


@pytest.mark.parametrize(
    "arguments",
    [
        ("eval", "nowhere"),
        ("eval", "nowhere", "--every", "0"),
        ("eval", "nowhere", "--scenes", "0"),
        ("eval", "nowhere", "--json", "no_such_folder/scores.json"),
        ("eval", "nowhere", "--weights", "none.safetensors"),
    ],
)
def test_bad_input_is_exit_2_and_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scenegen.evaluation.judging.LearnedJudge", ThresholdJudge)
    code = main(list(arguments))
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err.startswith("scenegen: ") and captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_judge_is_exit_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scenegen.checks.judge.SHIPPED_JUDGE", tmp_path / "judge.safetensors")
    assert main(["eval", str(tmp_path)]) == 2
    assert "judge" in capsys.readouterr().err


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    text = capsys.readouterr().out
    for flag in ("--reference", "--json", "--html", "--weights", "--every", "--scenes"):
        assert flag in text


def test_parsing_arguments_imports_nothing_heavy() -> None:
    heavy = "('torch', 'zarr', 'numpy')"
    program = f"import sys; import scenegen.cli.evaluate; print(*[m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
