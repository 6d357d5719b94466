"""Compare a student in few steps with its teacher in many, clip by clip, and with the teacher in as few steps.

    python -m benchmarks.distillation --cache out/distillation --paint-only     # the teacher's clips: slow, resumable
    python -m benchmarks.distillation --cache out/distillation                  # the tables, of the clips there
    python -m benchmarks.distillation --cache out/distillation --picture docs/distillation/side_by_side.jpg

Clips and scores are kept in the cache. Same seed, conditions and starting noise for all painters. Without weights of a
student (shipped, or `--student FILE`) its rows are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks.distillation.clips import LAYOUTS, ClipKey, overlapping_pair, plan_clips
from benchmarks.distillation.painters import Comparing, Painter, open_painter
from benchmarks.distillation.picture import draw_side_by_side
from benchmarks.distillation.report import LEAST_DIVERSITY, MARGIN, compare_all, diversity_of, gate_of, table_of
from scenegen.layout.sources import expand_references
from scenegen.video.backbones.native import load_native
from scenegen.video.build import SHIPPED_STUDENT, SHIPPED_WEIGHTS

TEACHER_STEPS = 50
FEW_STEPS = (4, 1, 2, 8)


def main() -> int:
    """Paint, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder of clips and scores")
    parser.add_argument("--student", type=Path, help="weights; the shipped ones if there are any")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--drawn-twice", type=int, default=12, help="clips with a second draw, for diversity")
    parser.add_argument("--shuffled", type=int, default=40, help="clips of the negative control")
    parser.add_argument("--layouts", nargs="+", default=list(LAYOUTS))
    parser.add_argument("--steps", nargs="+", type=int, default=list(FEW_STEPS), help="of student and undistilled")
    parser.add_argument("--paint-only", action="store_true", help="paint the teacher's missing clips and stop")
    parser.add_argument("--picture", type=Path, help="write teacher and student side by side and stop")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    teacher = open_painter(
        f"teacher, {TEACHER_STEPS} steps", load_native(weights=SHIPPED_WEIGHTS, steps=TEACHER_STEPS), arguments.cache
    )
    comparing = Comparing(arguments.cache, overlapping_pair())
    references = expand_references(arguments.layouts)
    keys = plan_clips(references, seeds=tuple(arguments.seeds), count=arguments.clips)
    twice = [(key, replace(key, attempt=1)) for key in keys[: arguments.drawn_twice]]
    if arguments.paint_only:
        paint_all(comparing, teacher, [*(other for _, other in twice), *keys])
        return 0
    keys = [key for key in keys if teacher.clips.has(key)]
    twice = [(key, other) for key, other in twice if teacher.clips.has(key) and teacher.clips.has(other)]
    painters = [teacher, *few_step_painters(arguments.student, tuple(arguments.steps), arguments.cache)]
    if arguments.picture is not None:
        draw_side_by_side(comparing, painters[:2], keys, arguments.picture)
        return 0
    compared, seconds = compare_all(comparing, painters, keys, num_shuffled=arguments.shuffled)
    num_layouts = len({key.reference for key in keys})
    print(f"{len(keys)} clips of {num_layouts} layouts, seeds {arguments.seeds}\n")
    print(table_of(compared, seconds, teacher.name))
    print(f"\nWithin {MARGIN:.0%} of the teacher, or better, or worse, by the whole interval:\n")
    for painter in painters[1:]:
        print(f"- {painter.name}: {gate_of(compared[painter.name])}")
    diverse = {painter.name: diversity_of(comparing, painter, twice) for painter in painters} if twice else {}
    if diverse:
        print(
            f"\nTwo draws of {len(twice)} clips, over the teacher's difference (wanted: {LEAST_DIVERSITY} or more):\n"
        )
    for name, (levels, features) in diverse.items():
        of_levels, of_features = diverse[teacher.name]
        pixels = f"{levels / of_levels:.3f} in pixels ({levels:.2f} levels)"
        print(f"- {name}: {pixels}, {features / of_features:.3f} in features")
    if arguments.json is not None:
        report = {name: {figure: asdict(c) for figure, c in own.items()} for name, own in compared.items()}
        arguments.json.write_text(json.dumps({"clips": len(keys), "compared": report, "diversity": diverse}, indent=1))
    return 0


def few_step_painters(student: Path | None, steps: tuple[int, ...], cache: Path) -> list[Painter]:
    """Return the student in few steps, where there is one, and the teacher in as few."""
    weights = student or (SHIPPED_STUDENT if SHIPPED_STUDENT.is_file() else None)
    painters = []
    if weights is None:
        sys.stderr.write("no weights of a student: its rows are left out\n")
    else:
        for count in steps:
            backbone = load_native(weights=weights, role="student", steps=count)
            name = f"student, {count} {backbone.sampler.name.upper()} step{'s' if count > 1 else ''}"
            painters.append(open_painter(name, backbone, cache))
    for count in steps:
        backbone = load_native(weights=SHIPPED_WEIGHTS, steps=count)
        painters.append(open_painter(f"teacher, {count} step{'s' if count > 1 else ''}", backbone, cache))
    return painters


def paint_all(comparing: Comparing, painter: Painter, keys: list[ClipKey]) -> None:
    """Paint and score what is missing."""
    for number, key in enumerate(keys, start=1):
        comparing.score(painter, key)
        sys.stderr.write(f"{number}/{len(keys)} {key.reference} seed {key.seed} from step {key.start_step}\n")


if __name__ == "__main__":
    sys.exit(main())
