r"""Where the time of a clip goes, and how it grows with time and views.

    python -m benchmarks.clip [--quick] [--json FILE]

Processor time of one thread, 112x200 pixels, the shipped model.

- `second30_vs_second3`: a step at the end of a 30 s drive over one at second 3, through the whole pipeline but storage
  (`scenegen.streaming`, one camera). At most 1.1.
- `six_views_vs_six_singles`: painting six views together over painting each by itself, from the same maps. At most 1.4.
- `decode_share`: what the full-resolution head, in which features become pixels, takes of painting. The network works
  on pixels and has no other decoder. At most 0.35.
- `bf16_vs_fp32`: painting with `video.precision=bf16` over that in single precision; pays where the processor
  multiplies bfloat16. `bf16_difference_levels` is the mean difference of their frames, of 255.
- `cpu_ms_per_frame`: painting, conditions, labels and encoding of one frame, as the job's own clocks count; at most 50.
  `cpu_ms_per_frame_lean` is the same with `video.size=lean`, in bfloat16 where the processor has it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.ablations.clips import read_rig
from benchmarks.distillation.clips import RIG_FILE
from benchmarks.figure import Figure, figure_of, parse_options, print_figures, ratios_of, take_turns
from scenegen.cli import main as scenegen
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.dataset import open_dataset
from scenegen.dataset.receipt import read_receipt
from scenegen.dataset.storage import open_storage
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.scene import SceneStage
from scenegen.streaming import stream
from scenegen.types import CameraRig, ConditionMaps
from scenegen.video.backbones.native import NativeBackbone, load_native
from scenegen.video.build import SHIPPED_WEIGHTS

LAYOUT = "crossing_pedestrian"
ROUNDS, QUICK_ROUNDS = 9, 2
DRIVE_S, WINDOW_S = 30.0, 3.0
RATE_HZ, QUICK_RATE_HZ = 4.0, 1.0
JOB_S, QUICK_JOB_S = 3.0, 0.5


class HeadClock:
    """Counts the processor time between a network's last features and its pixels."""

    def __init__(self, first: nn.Module, last: nn.Module) -> None:
        self.seconds = 0.0
        self._begun_s = 0.0
        first.register_forward_pre_hook(self._begin)
        last.register_forward_hook(self._end)

    def _begin(self, *_: object) -> None:
        self._begun_s = time.process_time()

    def _end(self, *_: object) -> None:
        self.seconds += time.process_time() - self._begun_s


def growth_over_time(rate_hz: float) -> Figure:
    """Compare steps at the end of a drive with those at second 3."""
    overrides = [
        f"layouts=[{LAYOUT}]", "rig=front1", f"duration_s={DRIVE_S}", f"rate_hz={rate_hz}", "num_steps_per_chunk=1",
    ]  # fmt: skip
    costs, begun_s = [], time.process_time()
    for _ in stream(compose_config(GenerateConfig, "generate", overrides)):
        costs.append(time.process_time() - begun_s)
        begun_s = time.process_time()
    window = round(WINDOW_S * rate_hz)
    early = costs[round(1.5 * rate_hz) : round(1.5 * rate_hz) + window]
    return figure_of([late / float(np.median(early)) for late in costs[-window:]], most=1.1)


def paint(backbone: NativeBackbone, stage: SceneStage, maps: ConditionMaps) -> np.ndarray:
    """Paint maps as a scene's first chunk."""
    return backbone.open_session(stage.context).paint(maps, start_step=0)


def painting(rig: CameraRig, *, rounds: int) -> dict[str, Figure]:
    """Let ways to paint the same step take turns."""
    layout = extend_layout(read_layout(LAYOUT), duration_s=1.0, rate_hz=12.0)
    stage = SceneStage(layout, rig=rig, seed=0)
    whole = stage.render_conditions(0, 1)
    singles = [
        SceneStage(layout, rig=CameraRig(name="one", cameras=(camera,)), seed=0).render_conditions(0, 1)
        for camera in rig.cameras
    ]
    full = load_native(weights=SHIPPED_WEIGHTS)
    half = load_native(weights=SHIPPED_WEIGHTS, precision="bf16")
    clock = HeadClock(full.network.from_patches, full.network.head_out)
    seconds = take_turns(
        {
            "fp32": partial(paint, full, stage, whole),
            "bf16": partial(paint, half, stage, whole),
            "singles": lambda: [paint(full, stage, maps) for maps in singles],
        },
        rounds=rounds,
    )
    shares = []
    for _ in range(rounds):
        clock.seconds = 0.0
        begun_s = time.process_time()
        frames = paint(full, stage, whole)
        shares.append(clock.seconds / (time.process_time() - begun_s))
    difference = np.abs(paint(half, stage, whole).astype(float) - frames).mean()
    return {
        "six_views_vs_six_singles": figure_of(ratios_of(seconds, "fp32", "singles"), most=1.4),
        "decode_share": figure_of(shares, most=0.35),
        "bf16_vs_fp32": figure_of(ratios_of(seconds, "bf16", "fp32")),
        "bf16_difference_levels": figure_of([float(difference)]),
    }


def multiplies_bf16() -> bool:
    """Say whether this processor multiplies bfloat16."""
    return "avx512_bf16" in Path("/proc/cpuinfo").read_text() if sys.platform.startswith("linux") else False


def whole_job(folder: Path, duration_s: float, *changes: str) -> Figure:
    """Make a data set, and return what a frame of it cost; prints the cost by stage."""
    overrides = [
        f"layouts=[{LAYOUT}]", f"duration_s={duration_s}", "run.threads_per_scene=1", "progress=plain", *changes,
    ]  # fmt: skip
    if scenegen(["generate", *overrides, f"output={folder}"]) != 0:
        raise RuntimeError("the job failed")
    (scene,) = open_dataset(folder)
    receipt = read_receipt(open_storage(folder), scene.scene_id)
    num_frames = receipt.num_steps * len(receipt.cameras)
    stages: dict[str, float] = receipt.cost["cpu_seconds"]
    per_frame = {stage: 1e3 * seconds / num_frames for stage, seconds in stages.items() if stage != "world"}
    by_stage = ", ".join(f"{stage} {cost:.1f}" for stage, cost in per_frame.items())
    print(f"{' '.join(changes) or 'default'}: {by_stage} CPU-ms a frame", file=sys.stderr)
    return figure_of([sum(per_frame.values())], most=50.0)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; exit code 1 where a bound is missed."""
    options = parse_options("clip", __doc__, arguments)
    torch.set_num_threads(1)
    figures = painting(read_rig(RIG_FILE), rounds=QUICK_ROUNDS if options.quick else ROUNDS)
    figures["second30_vs_second3"] = growth_over_time(QUICK_RATE_HZ if options.quick else RATE_HZ)
    job_s = QUICK_JOB_S if options.quick else JOB_S
    lean = ["video.size=lean", f"video.precision={'bf16' if multiplies_bf16() else 'fp32'}"]
    with tempfile.TemporaryDirectory() as folder:
        figures["cpu_ms_per_frame"] = whole_job(Path(folder) / "tiny", job_s)
        figures["cpu_ms_per_frame_lean"] = whole_job(Path(folder) / "lean", job_s, *lean)
    return print_figures(figures, options.json)


if __name__ == "__main__":
    sys.exit(main())
