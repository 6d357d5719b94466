r"""Generated worlds side by side: do they obey, do they flicker, and how near do they come to held-out worlds?

    python -m benchmarks.occupancy_fidelity                                # rules, and masked where its weights are
    python -m benchmarks.occupancy_fidelity --latent-ar out/latent_ar/occupancy_latent_ar.safetensors --json -
    python -m benchmarks.occupancy_fidelity --quick                        # two short drives: a test

Held-out worlds are rule-made, of layouts that no model was trained on (`is_held_out` of the training worlds). Rows:

    rules           the same rules with another seed: how near another draw of the true distribution comes
    rules_unstyled  the rules when they are not told the style: `occupancy=rules` for a layout that names none
    masked          `occupancy=masked`: the world that a job builds of what the model sampled
    latent_ar       the latent flow-matching reference (`scenegen train recipe=occupancy_latent_ar`), rolled out
    latent_ar_coded frames of the rules' worlds, coded and decoded by the reference's autoencoder: its ceiling

The floor is training worlds against held-out ones. Every set has as many crops. Distances at the height of ego frames
(5.6 m) compare all sources; those up to the highest voxel only sources that make worlds.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from scenegen.checks.world_encoder import WEIGHTS, encoder_sha256, load_encoder
from scenegen.evaluation.occupancy.side_by_side import (
    DriveTask,
    SourceFigures,
    figures_of,
    measure_frames,
    measure_worlds,
    plan_drive,
    rule_world,
)
from scenegen.layout.sources import expand_references, read_layout
from scenegen.occupancy.crops import Crops, crop_world, join_crops
from scenegen.occupancy.latent_ar.frames import LayoutFrames, cut_frames
from scenegen.occupancy.voxels import WorldVoxels, voxelise_world
from scenegen.types import Layout, RandomKey

HELD_OUT = (
    "procedural:dense_city/4", "procedural:dense_city/7", "procedural:suburb/2", "procedural:suburb/4",
    "procedural:rural/16", "procedural:rural/25", "procedural:highway/1", "procedural:highway/8",
    "procedural:industrial/4", "procedural:industrial/7",
)  # fmt: skip
TRAIN = (
    "procedural:dense_city/8-9", "procedural:suburb/8-9", "procedural:rural/1-2", "procedural:highway/2-3",
    "procedural:industrial/20-21",
)  # fmt: skip
SOURCES = ("rules", "rules_unstyled", "masked", "latent_ar_coded", "latent_ar")
SPACING_M, MOST_CROPS = 20.0, 12
TRUE_SEED, SOURCE_SEED = 0, 1


def without_style(layout: Layout) -> Layout:
    """Return a layout that leaves its kind of place open."""
    return replace(layout, environment=replace(layout.environment, style=None))


def masked_source(options: argparse.Namespace):
    from scenegen.occupancy.masked.build import load_masked
    from scenegen.occupancy.masked.read_world import read_world

    model = load_masked(
        weights=options.masked, mixer=options.mixer, steps=options.steps, loops=options.loops, tolerance=None
    )

    def generate(layout: Layout, seed: int) -> WorldVoxels:
        return voxelise_world(read_world(layout, seed=seed, voxels=model.sample(layout, seed=seed)))

    return generate


def latent_ar_source(options: argparse.Namespace):
    from scenegen.occupancy.latent_ar.rollout import SamplerOptions, roll_out
    from scenegen.occupancy.latent_ar.weights import load_model

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(options.latent_ar, device=device)
    how = SamplerOptions(num_levels=options.levels, guidance=options.guidance, precision=options.precision)

    def generate(layout: Layout, told: LayoutFrames, seed: int) -> np.ndarray:
        return roll_out(model, told, key=RandomKey(seed, layout.layout_id, "world/latent_ar"), options=how)

    return generate


def coded_source(options: argparse.Namespace):
    from scenegen.occupancy.latent_ar.weights import load_model

    autoencoder = load_model(options.latent_ar).autoencoder

    @torch.no_grad()
    def generate(layout: Layout, told: LayoutFrames, seed: int) -> np.ndarray:
        frames = cut_frames(rule_world(layout, seed), told)
        coded = [autoencoder.decode(autoencoder.encode(torch.from_numpy(frame[None]))) for frame in frames]
        return torch.cat(coded).numpy()

    return generate


def true_crops(tasks: Sequence[DriveTask]) -> Crops:
    """Cut crops out of the true worlds."""
    parts = [crop_world(rule_world(task.layout, TRUE_SEED), task.told.take(task.crop_steps)) for task in tasks]
    return join_crops(parts)


def read_layouts(references: Sequence[str], *, most: int | None) -> list[Layout]:
    return [read_layout(reference) for reference in expand_references(references)][:most]


def plan(layouts: Sequence[Layout], *, seed: int, num_steps: int | None) -> list[DriveTask]:
    """Survey layouts as worlds of a seed have them: the seed widens sidewalks where a layout has none."""
    return [
        plan_drive(layout, seed=seed, spacing_m=SPACING_M, most_crops=MOST_CROPS, num_steps=num_steps)
        for layout in layouts
    ]


def measure_source(
    name: str, options: argparse.Namespace, layouts: Sequence[Layout], *, num_steps: int | None
) -> SourceFigures:
    """Ask a source for every drive."""
    if name == "rules_unstyled":
        layouts = [without_style(layout) for layout in layouts]
    tasks = plan(layouts, seed=SOURCE_SEED, num_steps=num_steps)
    if name in ("latent_ar", "latent_ar_coded"):
        frames = latent_ar_source(options) if name == "latent_ar" else coded_source(options)
        return measure_frames(name, frames, tasks, seed=SOURCE_SEED)
    worlds = masked_source(options) if name == "masked" else rule_world
    return measure_worlds(name, worlds, tasks, seed=SOURCE_SEED)


def print_tables(rows: dict[str, dict[str, Any]], *, out: TextIO) -> None:
    """Print Markdown tables."""
    heads = ("source", "accuracy", "mIoU", "IoU", "consistency", "throughout", "through frames")
    print(_head(heads), file=out)
    for name, row in rows.items():
        obedience, stays = row["obedience"], row["static_consistency"]
        through = row.get("static_consistency_of_frames", {}).get("occupied")
        text = "" if through is None else f"{through:.4f}"
        print(
            f"| {name} | {obedience['accuracy']:.4f} | {obedience['miou']:.4f} | {obedience['iou']:.4f} "
            f"| {stays['occupied']:.4f} | {stays['throughout']:.4f} | {text} |",
            file=out,
        )
    for height in ("fidelity.frame", "fidelity.whole"):
        print(
            f"\n{height}\n{_head(('source', 'Frechet', 'kernel', 'histogram, bits', 'components', 'crops'))}", file=out
        )
        having = {name: row[height] for name, row in rows.items() if height in row}
        for name, own in having.items():
            print(_fidelity_line(name, own["distances"], own["num_crops"]), file=out)
        for own in list(having.values())[-1:]:
            print(_fidelity_line("floor: train", own["floor"], own["num_crops"]), file=out)


def _head(heads: Sequence[str]) -> str:
    return f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}"


def _fidelity_line(name: str, own: dict[str, float], crops: int) -> str:
    return (
        f"| {name} | {own['frechet']:.2f} | {own['kernel']:.3f} | {own['histogram']:.4f} "
        f"| {own['components']:.3f} | {crops} |"
    )


def without_nan(value: Any) -> Any:
    """Return a JSON value with null for what could not be measured."""
    if isinstance(value, dict):
        return {key: without_nan(own) for key, own in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", nargs="+", default=HELD_OUT, help="layouts that sources are asked for")
    parser.add_argument("--train", nargs="+", default=TRAIN, help="layouts of the floor")
    parser.add_argument("--sources", nargs="+", choices=SOURCES)
    parser.add_argument("--masked", type=Path, default=WEIGHTS.with_name("occupancy_masked.safetensors"))
    parser.add_argument("--mixer", default="attention")
    parser.add_argument("--steps", type=int, default=16, help="of the masked model")
    parser.add_argument("--loops", type=int, default=1, help="of the masked model")
    parser.add_argument("--latent-ar", type=Path, help="weights of the reference")
    parser.add_argument("--levels", type=int, default=10, help="Euler steps of the reference")
    parser.add_argument("--guidance", type=float, default=1.0, help="of the reference")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16", help="of the reference's products")
    parser.add_argument("--encoder", type=Path, default=WEIGHTS, help="frozen encoder of worlds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--num-steps", type=int, help="key frames of every drive, at 2 Hz; all unless given")
    parser.add_argument("--quick", action="store_true", help="two drives of six steps: a test")
    parser.add_argument("--json", help="file, or - for standard output, where the tables then do not go")
    options = parser.parse_args(arguments)
    if options.sources is None:
        options.sources = ["rules", "rules_unstyled"]
        options.sources += ["masked"] if options.masked.is_file() else []
        options.sources += ["latent_ar_coded", "latent_ar"] if options.latent_ar else []
    if {"latent_ar", "latent_ar_coded"} & set(options.sources) and options.latent_ar is None:
        parser.error("--latent-ar names the weights of the reference")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print tables, write JSON."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    most, num_steps = (2, 6) if options.quick else (None, options.num_steps)
    layouts = read_layouts(options.held_out, most=most)
    held_out = true_crops(plan(layouts, seed=TRUE_SEED, num_steps=num_steps))
    train = true_crops(plan(read_layouts(options.train, most=most), seed=TRUE_SEED, num_steps=num_steps))
    encoder = load_encoder(options.encoder)
    rows: dict[str, dict[str, Any]] = {}
    for name in options.sources:
        began = time.monotonic()
        figures = measure_source(name, options, layouts, num_steps=num_steps)
        seconds = time.monotonic() - began
        rows[name] = {**figures_of(figures, held_out=held_out, train=train, encoder=encoder), "seconds": seconds}
        print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
        print_tables({name: rows[name]}, out=sys.stderr)
        result = {"encoder_sha256": encoder_sha256(options.encoder), "drives": len(layouts), "sources": rows}
        text = json.dumps(without_nan(result), indent=1, allow_nan=False)
        if options.json and options.json != "-":
            Path(options.json).write_text(text + "\n")
    if options.json == "-":
        print(text)
    else:
        print_tables(rows, out=sys.stdout)


if __name__ == "__main__":
    main()
