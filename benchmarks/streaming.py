"""What a long stream costs and how it holds: `python -m benchmarks.streaming [--duration 120] [--json FILE]`.

One drive is streamed step by step (`scenegen.streaming`). Cost is processor time per step, near second 3 and at the
end, and resident memory; control is the judge's mean IoU in the first and in the last five seconds, each as a share of
the same judge's on ground-truth frames of the same steps, so that a harder view at the end is no fault of the model's.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from benchmarks.figure import Figure
from scenegen.checks.classes import judge_labels
from scenegen.checks.control import ControlScore
from scenegen.checks.judge_targets import rig_rays_ego
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.evaluation.judging import LearnedJudge
from scenegen.scene import SceneStage
from scenegen.streaming import StreamedStep, stream
from scenegen.video.build import load_backbone

WARM_S = 1.0
SPAN_S = 3.0
"""Cost is the median over the steps of so many seconds: those around second 3, and the last."""
BIN_S = 5.0
JUDGED_HZ = 4.0
"""Steps that are judged in a bin: so many a second at most."""
MOST_COST, LEAST_CONTROL, MOST_MEMORY = 1.1, 0.95, 1.05
HEADER = (
    "| layout | seed | first frame, s | CPU per step at second 3, s | at the end | MB at 10 s | halfway | at the end "
    "| control, first 5 s | last 5 s |"
)


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """One streamed drive.

    Attributes:
        first_s: wall time to the first frame: planning, world and first chunk.
        cpu_s: processor time of every step.
        resident_mb: resident memory after every step.
        control: of the first and the last bin, share of the truth's mean IoU.
    """

    layout: str
    seed: int
    first_s: float
    cpu_s: list[float]
    resident_mb: list[float]
    control: tuple[float, float]


class BinJudge:
    """Judges steps of one bin, and ground truth of the same steps."""

    def __init__(self, judge: LearnedJudge) -> None:
        self._judge = judge
        self._own, self._true = ControlScore(), ControlScore()

    def look(self, moment: StreamedStep, stage: SceneStage) -> None:
        """Judge one step."""
        maps = stage.render_conditions(moment.step, moment.step + 1)
        truth = load_backbone("preview", weights=None).open_session(stage.context)
        rays = rig_rays_ego(moment.record.rig)
        labels = judge_labels(maps.semantic[:, 0], maps.material[:, 0])
        for score, frames in (
            (self._own, moment.chunk.rgb[:, 0]),
            (self._true, truth.paint(maps, start_step=moment.step)[:, 0]),
        ):
            score.add(self._judge.verdict(frames, ray_ego=rays).labels, labels)

    @property
    def share(self) -> float:
        """Mean IoU over that of the truth."""
        return self._own.miou / self._true.miou


def stream_drive(config: GenerateConfig) -> Streamed:
    """Stream the one scene of a job and watch."""
    judge = LearnedJudge()
    bins = (BinJudge(judge), BinJudge(judge))
    begun_s = perf_counter()
    cpu_s, resident_mb, first_s = [], [], 0.0
    stage: SceneStage | None = None
    cpu_before_s = process_time()
    for moment in stream(config):
        cpu_s.append(process_time() - cpu_before_s)
        resident_mb.append(_resident_mb())
        if stage is None:
            first_s = perf_counter() - begun_s
            stage = SceneStage(moment.record.layout, rig=moment.record.rig, seed=moment.record.seed)
        at_s, end_s = moment.step / config.rate_hz, config.duration_s
        bin_idx = 0 if at_s < BIN_S else 1 if at_s >= end_s - BIN_S else None
        if bin_idx is not None and moment.step % max(1, round(config.rate_hz / JUDGED_HZ)) == 0:
            bins[bin_idx].look(moment, stage)
        cpu_before_s = process_time()
    return Streamed(
        layout=config.layouts[0],
        seed=config.seed,
        first_s=first_s,
        cpu_s=cpu_s,
        resident_mb=resident_mb,
        control=(bins[0].share, bins[1].share),
    )


def summarise(runs: list[Streamed], *, rate_hz: float) -> dict[str, Figure]:
    """Return the figures over all drives."""
    span = round(SPAN_S * rate_hz)
    warm = round(WARM_S * rate_hz)
    cost = [median(run.cpu_s[-span:]) / median(run.cpu_s[warm : warm + span]) for run in runs]
    control = [run.control[1] / run.control[0] for run in runs]
    memory = [run.resident_mb[-1] / run.resident_mb[len(run.resident_mb) // 2] for run in runs]
    return {
        "cost_last_vs_second_3": _figure(cost, bound=MOST_COST, is_most=True),
        "control_last_vs_first": _figure(control, bound=LEAST_CONTROL, is_most=False),
        "memory_last_vs_halfway": _figure(memory, bound=MOST_MEMORY, is_most=True),
    }


def _figure(ratios: list[float], *, bound: float, is_most: bool) -> Figure:
    middle = median(ratios)
    return Figure(
        ratio=round(middle, 4),
        min=round(min(ratios), 4),
        max=round(max(ratios), 4),
        floor=bound,
        holds=middle <= bound if is_most else middle >= bound,
    )


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def main() -> int:
    """Stream, print a table, and say whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=int, default=120, help="seconds")
    parser.add_argument("--layouts", nargs="+", default=["7"], help="seeds of procedural layouts")
    parser.add_argument("--rate", type=float, default=12.0, help="steps per second")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rig", type=Path, default=Path("benchmarks/pair.yaml"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("overrides", nargs="*", help="further overrides, such as video.model=student")
    arguments = parser.parse_args()
    runs = []
    print(f"{HEADER}\n|{'---|' * HEADER.count(' | ')}---|")
    for number, seed in ((number, seed) for number in arguments.layouts for seed in arguments.seeds):
        reference = f"procedural:{arguments.duration}s/{number}"
        config = compose_config(
            GenerateConfig,
            "generate",
            [f"layouts=[{reference}]", f"seed={seed}", f"duration_s={arguments.duration}", f"rig={arguments.rig}",
             f"rate_hz={arguments.rate}", "num_steps_per_chunk=1", "stream=true", *arguments.overrides],
        )  # fmt: skip
        run = stream_drive(config)
        runs.append(run)
        span, warm, at_10_s = round(SPAN_S * config.rate_hz), round(WARM_S * config.rate_hz), round(10 * config.rate_hz)
        print(
            f"| `{reference}` | {seed} | {run.first_s:.1f} | {median(run.cpu_s[warm : warm + span]):.3f} | "
            f"{median(run.cpu_s[-span:]):.3f} | {run.resident_mb[min(at_10_s, len(run.resident_mb) - 1)]:.0f} | "
            f"{run.resident_mb[len(run.resident_mb) // 2]:.0f} | {run.resident_mb[-1]:.0f} | "
            f"{run.control[0]:.3f} | {run.control[1]:.3f} |",
            flush=True,
        )
    figures = summarise(runs, rate_hz=arguments.rate)
    for name, figure in figures.items():
        print(f"{name}: {figure.ratio} ({figure.min} to {figure.max}), bound {figure.floor}: {figure.holds}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({name: asdict(figure) for name, figure in figures.items()}, indent=1))
    return 0 if all(figure.holds for figure in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
