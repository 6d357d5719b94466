r"""Peak memory of a worker while it makes a scene, in units of one chunk.

    python -m benchmarks.memory [--quick] [--json FILE]

Every round is a process of its own, which makes scenes of six cameras in chunks of twelve steps as an actor does:

1. It loads the model and makes a scene of three steps, so that every library is loaded, compiled and warm.
2. It begins a scene that is longer than a shard. Once the world is built, freed memory is given back and the resident
   size is the baseline: interpreter, imports, weights, what libraries hold, and this scene's layout and world.
3. It makes the rest of the scene. The kernel's peak of the resident size (VmHWM, counted anew from the baseline),
   minus the baseline, divided by the bytes of one chunk in flight, is the figure.

The bytes of a chunk are those of its arrays before any compression: condition maps, labels and painted frames of twelve
steps. While one chunk is painted the next one is prepared, so 2.0 is what the two of them take; the bound is 2.5.

- `rss_vs_chunk`: `video=preview`, whose painter needs next to nothing, so this is the pipeline's own memory;
- `checkpoint_rss_vs_chunk`: the same with `run.checkpoint=true`;
- `native_rss_vs_chunk`: `video=native`, with the activations of the network; for comparison, without a bound.

The last two are left out with `--quick`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.figure import Figure

BOUND = 2.5
VARIANTS = {
    "rss_vs_chunk": ("video=preview",),
    "checkpoint_rss_vs_chunk": ("video=preview", "run.checkpoint=true"),
    "native_rss_vs_chunk": ("video=native",),
}
QUICK_VARIANTS = ("rss_vs_chunk",)
UNBOUND = ("native_rss_vs_chunk",)
ROUNDS, QUICK_ROUNDS = 3, 1
WARM_S, SCENE_S = 0.25, 5.5
"""Lengths of the two scenes: 3 steps, and 66, of which a shard takes 60."""
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Bytes of one round.

    Attributes:
        model: resident when the model was loaded and nothing else done.
        baseline: resident when everything was warm and the scene's world built.
        peak: largest resident size of the scene.
        chunk: arrays of one chunk in flight.
    """

    model: int
    baseline: int
    peak: int
    chunk: int

    @property
    def ratio(self) -> float:
        """Growth over the baseline, in chunks."""
        return (self.peak - self.baseline) / self.chunk


def measure_in_this_process(*overrides: str) -> Measured:
    """Make both scenes, and watch the second."""
    from scenegen.cli.compose import compose_config
    from scenegen.config import GenerateConfig
    from scenegen.orchestration.planning import plan_scenes
    from scenegen.painting import generate_scene, open_backbone

    with tempfile.TemporaryDirectory() as folder:
        options = ["layouts=[crossing_pedestrian]", f"output={folder}/ds", *overrides]
        config = compose_config(GenerateConfig, "generate", [*options, f"duration_s={SCENE_S}"])
        backbone = open_backbone(config)
        model = resident_bytes()
        warm_config = compose_config(GenerateConfig, "generate", [*options, f"duration_s={WARM_S}"])
        for scene in plan_scenes(warm_config, backbone):
            record = scene.read_header(warm_config)
            generate_scene(record, config=warm_config, backbone=backbone, on_chunk=lambda *progress: None)
        (scene,) = plan_scenes(config, backbone)
        record = scene.read_header(config)
        with watched_scene() as seen:
            generate_scene(record, config=config, backbone=backbone, on_chunk=lambda *progress: None)
        return Measured(model=model, baseline=seen["baseline"], peak=resident_bytes("VmHWM"), chunk=seen["chunk"])


@contextmanager
def watched_scene() -> Iterator[dict[str, int]]:
    """Note the baseline when a world is built, and the size of the largest chunk."""
    from scenegen import painting
    from scenegen.heap import give_back_memory

    build_stage, to_store = painting.SceneStage, painting.finish_chunk
    seen: dict[str, int] = {"chunk": 0}

    def build(*arguments: Any, **options: Any) -> Any:
        stage = build_stage(*arguments, **options)
        give_back_memory()
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
        seen["baseline"] = resident_bytes()
        return stage

    def weigh(labels: Any, rgb: np.ndarray, config: Any) -> Any:
        seen["chunk"] = max(seen["chunk"], num_bytes(labels) + rgb.nbytes)
        return to_store(labels, rgb, config)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(painting, "SceneStage", build))
        stack.enter_context(mock.patch.object(painting, "finish_chunk", weigh))
        yield seen


def resident_bytes(name: str = "VmRSS") -> int:
    """Return the resident size of this process, or its peak (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


def num_bytes(value: Any) -> int:
    """Add up the arrays in dataclasses and tuples."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if is_dataclass(value):
        return sum(num_bytes(getattr(value, item.name)) for item in fields(value))
    return sum(map(num_bytes, value)) if isinstance(value, tuple) else 0


def measure_in_a_new_process(variant: str) -> Measured:
    """Run one round."""
    command = [sys.executable, "-m", "benchmarks.memory", "--round", variant]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(finished.stdout.splitlines()[-1]))


def report(rounds: dict[str, list[Measured]], figures: dict[str, Figure]) -> str:
    """Return the table."""
    lines = [f"{'MiB, median':26} {'model':>6} {'base':>6} {'peak':>6} {'chunk':>6} {'ratio':>6} {'bound':>6}"]
    for name, figure in figures.items():
        sizes = [median(getattr(one, key) for one in rounds[name]) for key in ("model", "baseline", "peak", "chunk")]
        bound = "" if figure.floor is None else f"{figure.floor:.2f}"
        verdict = "" if figure.floor is None else "holds" if figure.holds else "FAILS"
        columns = " ".join(f"{size / MIB:6.0f}" for size in sizes)
        lines.append(f"{name:26} {columns} {figure.ratio:6.2f} {bound:>6} {verdict}")
    return "\n".join(lines)


def figure_of(name: str, measured: list[Measured]) -> Figure:
    """Sum up the rounds."""
    ratios = [round(one.ratio, 3) for one in measured]
    bound = None if name in UNBOUND else BOUND
    ratio = median(ratios)
    return Figure(ratio=ratio, min=min(ratios), max=max(ratios), floor=bound, holds=bound is None or ratio <= bound)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of the first figure: within a minute")
    parser.add_argument("--json", metavar="FILE", help="write the figures; - is standard output")
    parser.add_argument("--round", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.round:
        print(json.dumps(vars(measure_in_this_process(*VARIANTS[options.round]))))
        return 0
    names = QUICK_VARIANTS if options.quick else tuple(VARIANTS)
    num_rounds = QUICK_ROUNDS if options.quick else ROUNDS
    rounds = {name: [measure_in_a_new_process(name) for _ in range(num_rounds)] for name in names}
    figures = {name: figure_of(name, measured) for name, measured in rounds.items()}
    document = json.dumps({name: vars(figure) for name, figure in figures.items()}, indent=2)
    if options.json == "-":
        print(document)
        print(report(rounds, figures), file=sys.stderr)
    else:
        print(report(rounds, figures))
        if options.json:
            Path(options.json).write_text(document + "\n")
    return 0 if all(figure.holds for figure in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
