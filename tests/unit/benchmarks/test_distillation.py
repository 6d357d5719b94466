"""The comparison of few sampling steps with many: its clips, its cache, its intervals, and the two figures in short."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import sampler
from benchmarks.distillation.clips import (
    ClipKey,
    PaintedClips,
    PairClip,
    build_pair_clip,
    overlapping_pair,
    paint,
    paint_truth,
    plan_clips,
)
from benchmarks.distillation.painters import Comparing, open_painter
from benchmarks.distillation.report import diversity_of, gate_of, table_of
from benchmarks.distillation.scores import NAMES, ClipScore, compare, score_clip
from benchmarks.sampler import Painted, figures_of, run_rounds
from scenegen.checks.control import ControlScore
from scenegen.diffusion.sampler import Sampler
from scenegen.evaluation.judging import LearnedJudge
from scenegen.video.backbones.native import NativeBackbone
from scenegen.video.network import SIZES, VideoNetwork

KEY = ClipKey(reference="library:crossing_pedestrian", seed=0, start_step=36)


def nano(*, steps: int) -> NativeBackbone:
    torch.manual_seed(0)
    network = VideoNetwork(SIZES["nano"]).eval().requires_grad_(False)
    torch.nn.init.normal_(network.head_out.weight, std=0.1)
    return NativeBackbone(network, size_name="nano", sampler=Sampler(steps=steps), weights_sha256="0" * 64)


@pytest.fixture(scope="module")
def clip() -> PairClip:
    return build_pair_clip(KEY, overlapping_pair())


def test_the_two_views_see_the_same_things(clip: PairClip) -> None:
    assert clip.rig.size_px == (96, 112)
    assert len(clip.overlap.here.view) > 200
    assert clip.track.is_long.mean() > 0.5


def test_clips_go_over_all_layouts_before_a_second_moment() -> None:
    keys = plan_clips(["a", "b"], seeds=(0, 1), count=6)
    assert [(key.reference, key.seed) for key in keys[:4]] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert len({key.start_step for key in keys[:4]}) == 1 and keys[4].start_step != keys[0].start_step
    assert len(plan_clips(["a", "b"], seeds=(0, 1), count=100)) == 12


def test_painted_clips_are_painted_once(clip: PairClip, tmp_path: Path) -> None:
    one, other = PaintedClips(tmp_path, nano(steps=1)), PaintedClips(tmp_path, nano(steps=2))
    one.add(clip)
    assert one.has(KEY) and not one.has(replace(KEY, attempt=1)) and not other.has(KEY)
    np.testing.assert_array_equal(one.read(KEY), paint(nano(steps=1), clip))
    assert one.read_seconds(KEY) > 0.0


def test_the_truth_is_judged_better_than_a_network_that_learned_nothing(clip: PairClip, tmp_path: Path) -> None:
    judge = LearnedJudge()
    truth = score_clip(judge, clip, paint_truth(clip))
    comparing = Comparing(tmp_path, overlapping_pair())
    comparing._built = clip
    painter = open_painter("nano", nano(steps=1), tmp_path)
    own = comparing.score(painter, KEY)
    assert comparing.score(painter, KEY) == own and comparing.score_truth(KEY) == truth
    control = [ControlScore(confusion=np.array(score.confusion)).miou for score in (own, truth)]
    assert control[0] < 0.6 < control[1]
    levels, features = diversity_of(comparing, painter, [(KEY, replace(KEY, attempt=1))])
    assert levels > 0.0 and features > 0.0


def make_score(layout: str, *, right: int, change: float) -> ClipScore:
    confusion = np.zeros_like(ControlScore().confusion)
    confusion[0, 0], confusion[0, 1], confusion[1, 1] = right, 1000 - right, 1000
    generator = np.random.default_rng(len(layout))
    return ClipScore(
        layout=layout,
        confusion=confusion.tolist(),
        asked=[2, 4],
        found=[1, 3],
        reported=5,
        invented=1,
        position_error_m=[[1.0], [0.5, 0.7]],
        energy=100.0,
        warp=(change, 10),
        flicker=(change, 10),
        overlap=(change, 10),
        features=generator.normal(size=(8, 3)).tolist(),
    )


def test_paired_intervals_tell_a_shift_from_layouts_that_differ() -> None:
    names = ["a" * (k + 1) for k in range(12)]
    hard = np.linspace(500, 950, len(names)).astype(int)
    teacher = [make_score(name, right=int(r), change=5.0) for name, r in zip(names, hard, strict=True)]
    same = [
        make_score(name, right=int(r) + (-1) ** k, change=5.0)
        for k, (name, r) in enumerate(zip(names, hard, strict=True))
    ]
    worse = [make_score(name, right=int(r * 0.9), change=6.0) for name, r in zip(names, hard, strict=True)]
    of_same, of_worse = compare(same, teacher, teacher), compare(worse, teacher, teacher)
    assert set(of_same) == set(NAMES)
    assert of_same["control mIoU"].verdict("control mIoU", 0.02) == "within"
    assert of_worse["control mIoU"].verdict("control mIoU", 0.02) == "worse" and of_worse["control mIoU"].high < -0.02
    assert of_worse["warp"].difference == pytest.approx(0.2)
    assert "worse: control mIoU, warp" in gate_of(of_worse)
    table = table_of({"teacher": of_same, "student": of_worse}, {"student": 0.5}, "teacher")
    assert len(table.splitlines()) == 4 and "+20.0 % (+20.0..+20.0)" in table


def count_forwards_as_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the benchmark's clock go by one second with every call of the network."""
    forward, num_calls = VideoNetwork.forward, [0]

    def counted(*arguments: Any, **options: Any) -> Any:
        num_calls[0] += 1
        return forward(*arguments, **options)

    monkeypatch.setattr(VideoNetwork, "forward", counted)
    monkeypatch.setattr(sampler, "process_time", lambda: float(num_calls[0]))


def test_speed_and_control_come_from_the_same_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "FEW", 1)
    monkeypatch.setattr(sampler, "MANY", 6)
    count_forwards_as_seconds(monkeypatch)
    figures = figures_of(run_rounds([KEY], {1: nano(steps=1), 6: nano(steps=6)}, num_steps=1))
    speed, control = figures["speed_1_vs_6"], figures["control_1_vs_6"]
    assert speed.ratio == 6.0 and speed.holds == (speed.ratio >= sampler.LEAST_SPEED)
    assert control.floor == sampler.LEAST_CONTROL
    blind = Painted(seconds=[1.0, 1.0], control=[ControlScore(), ControlScore()])
    seeing = Painted(seconds=[9.0, 10.0], control=[ControlScore(), ControlScore()])
    for painted, right in ((blind, 400), (seeing, 800)):
        for score in painted.control:
            score.confusion[0, 0], score.confusion[0, 1] = right, 1000 - right
    found = figures_of({1: blind, 6: seeing})
    assert found["speed_1_vs_6"].ratio == 9.5 and found["speed_1_vs_6"].min == 9.0 and found["speed_1_vs_6"].holds
    assert found["control_1_vs_6"].ratio == 0.5 and not found["control_1_vs_6"].holds
