"""The benchmark of few-step students on a tiny data set."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch

from benchmarks import rtdmd
from scenegen.video.backbones.native import save_network
from scenegen.video.network import SIZES, VideoNetwork


def test_a_student_that_is_its_teacher_differs_in_nothing(
    whole_dataset: Path, windows_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtdmd, "NUM_DRAWS", 20)
    torch.manual_seed(0)
    teacher = VideoNetwork(SIZES["nano"])
    torch.nn.init.normal_(teacher.head_out.weight, std=0.3)
    save_network(teacher, tmp_path / "teacher.safetensors", notes={})
    results = rtdmd.run(
        argparse.Namespace(
            data=whole_dataset,
            windows=windows_folder,
            teacher=tmp_path / "teacher.safetensors",
            student=[f"same={tmp_path / 'teacher.safetensors'}"],
            teacher_steps=[2, 4],
            steps=[4],
            clips=3,
            diversity_clips=1,
            seed=0,
            bf16=False,
        )
    )
    arms = results["arms"]
    assert arms["same_4"]["figures"] == arms["teacher_cps_4"]["figures"]
    assert arms["teacher_euler_4"]["minus_teacher_euler_4"]["layout"] == (0.0, 0.0, 0.0)
    assert arms["teacher_euler_4"]["figures"]["diversity"] == 1.0
    difference, low, high = arms["same_4"]["minus_teacher_euler_2"]["change_levels"]
    assert low <= difference <= high
    assert difference != 0.0
    assert results["truth"]["sharpness"] == pytest.approx(1.0)
    assert results["truth"]["error_levels"] == 0.0
