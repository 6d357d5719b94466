"""Few sampling steps against many, in turns within one run: `python -m benchmarks.sampler [--quick] [--json FILE]`.

Each round takes another clip (`benchmarks.distillation.clips`) and paints it in 50 steps of the shipped teacher and in
4 steps: of the shipped student, or of the teacher where no student is shipped. Speed is processor time from condition
maps to frames; control is the judge's mean IoU over everything painted, its range that of leaving one round out.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import process_time

import torch

from benchmarks.distillation.clips import ClipKey, build_pair_clip, overlapping_pair, paint, plan_clips
from benchmarks.figure import Figure
from scenegen.checks.classes import judge_labels
from scenegen.checks.control import ControlScore
from scenegen.checks.judge_targets import rig_rays_ego
from scenegen.evaluation.figures import ratio
from scenegen.evaluation.judging import LearnedJudge
from scenegen.layout.sources import expand_references
from scenegen.video.backbones.native import NativeBackbone, load_native
from scenegen.video.build import SHIPPED_STUDENT, SHIPPED_WEIGHTS

MANY, FEW = 50, 4
LEAST_SPEED, LEAST_CONTROL = 8.0, 0.98
ROUNDS, QUICK_ROUNDS = 12, 3
LAYOUTS = ("library:*",)


@dataclass(kw_only=True)
class Painted:
    """What one sampler did in each round."""

    seconds: list[float] = field(default_factory=list)
    control: list[ControlScore] = field(default_factory=list)

    def miou_without(self, round_idx: int | None) -> float:
        """Mean IoU over all rounds but one."""
        whole = ControlScore()
        for index, score in enumerate(self.control):
            if index != round_idx:
                whole.join(score)
        return whole.miou


def open_few() -> NativeBackbone:
    """Return the shipped student in FEW steps, or the teacher in as few."""
    if SHIPPED_STUDENT.is_file():
        return load_native(weights=SHIPPED_STUDENT, role="student", steps=FEW)
    return load_native(weights=SHIPPED_WEIGHTS, steps=FEW)


def run_rounds(keys: list[ClipKey], backbones: dict[int, NativeBackbone], *, num_steps: int) -> dict[int, Painted]:
    """Paint the first steps of each clip with every sampler, the order of the samplers turned round by round."""
    judge, rig = LearnedJudge(), overlapping_pair()
    rays = rig_rays_ego(rig)
    painted = {steps: Painted() for steps in backbones}
    warm = build_pair_clip(keys[0], rig)
    for backbone in backbones.values():
        if backbone.sampler.steps == FEW:
            paint(backbone, warm, maps=warm.maps.cut_steps(0, 1))
    for index, key in enumerate(keys):
        clip = warm if key == warm.key else build_pair_clip(key, rig)
        maps = clip.maps.cut_steps(0, num_steps)
        order = list(backbones.items())[:: 1 if index % 2 == 0 else -1]
        for steps, backbone in order:
            begun_s = process_time()
            frames = paint(backbone, clip, maps=maps)
            painted[steps].seconds.append(process_time() - begun_s)
            score = ControlScore()
            for step in range(num_steps):
                labels = judge_labels(maps.semantic[:, step], maps.material[:, step])
                score.add(judge.verdict(frames[:, step], ray_ego=rays).labels, labels)
            painted[steps].control.append(score)
    return painted


def figures_of(painted: dict[int, Painted]) -> dict[str, Figure]:
    """Return speed and control of few steps over many."""
    few, many = painted[FEW], painted[MANY]
    speeds = [slow / fast for slow, fast in zip(many.seconds, few.seconds, strict=True)]
    left_out = [ratio(few.miou_without(k), many.miou_without(k)) for k in range(len(speeds))] if len(speeds) > 1 else []
    control = ratio(few.miou_without(None), many.miou_without(None))
    return {
        f"speed_{FEW}_vs_{MANY}": _figure(median(speeds), speeds, floor=LEAST_SPEED),
        f"control_{FEW}_vs_{MANY}": _figure(control, [control, *left_out], floor=LEAST_CONTROL),
    }


def _figure(value: float, spread: list[float], *, floor: float) -> Figure:
    return Figure(
        ratio=round(value, 4),
        min=round(min(spread), 4),
        max=round(max(spread), 4),
        floor=floor,
        holds=value >= floor,
    )


def main() -> int:
    """Run and print; exit code 1 where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds of one step, in a minute")
    parser.add_argument("--json", metavar="FILE", help="- prints the figures alone, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rounds, num_steps = (QUICK_ROUNDS, 1) if arguments.quick else (ROUNDS, 3)
    few = open_few()
    backbones = {FEW: few, MANY: load_native(weights=SHIPPED_WEIGHTS, steps=MANY)}
    keys = plan_clips(expand_references(list(LAYOUTS)), seeds=(0,), count=rounds)
    figures = figures_of(run_rounds(keys, backbones, num_steps=num_steps))
    sys.stderr.write(f"{FEW} steps: {few.sampling}\n")
    text = json.dumps({name: asdict(figure) for name, figure in figures.items()}, indent=1)
    if arguments.json == "-":
        print(text)
    else:
        for name, figure in figures.items():
            print(f"{name}: {figure.ratio} ({figure.min} to {figure.max}), floor {figure.floor}: {figure.holds}")
        if arguments.json is not None:
            Path(arguments.json).write_text(text)
    return 0 if all(figure.holds for figure in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
