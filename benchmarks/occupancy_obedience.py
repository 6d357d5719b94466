"""Do worlds hold everything that their layouts fix, for every source of layouts?

    python -m benchmarks.occupancy_obedience                            # library and 200 procedural layouts
    python -m benchmarks.occupancy_obedience --logs av2:DIR scenarionet:FILE --json -
    python -m benchmarks.occupancy_obedience --source rules

Every world is built as `generate` builds it: sampled, clamped, read back as things; then turned into voxels again and
held against the layout (`occupancy.fixed`). `seconds` are of one thread, sampling and reading.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from scenegen.layout.sources import expand_references, library_names, read_layout
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.fixed import fixed_voxels
from scenegen.occupancy.masked.read_world import read_world
from scenegen.occupancy.model import load_occupancy_model
from scenegen.occupancy.voxels import voxelise_world
from scenegen.types import Layout, World

STYLES = ("dense_city", "suburb", "rural", "highway", "industrial")


def build(layout: Layout, options: argparse.Namespace) -> World:
    model = load_occupancy_model(options.source, steps=options.steps if options.source == "masked" else 8)
    if model is None:
        return build_world(layout, seed=options.seed)
    return read_world(layout, seed=options.seed, voxels=model.sample(layout, seed=options.seed))


def measure(references: Sequence[str], options: argparse.Namespace) -> dict[str, float | int]:
    """Return figures over the worlds of some layouts."""
    obedience, seconds, columns = [], [], 0
    for number, reference in enumerate(references, 1):
        layout = read_layout(reference)
        began = time.process_time()
        world = build(layout, options)
        seconds.append(time.process_time() - began)
        obedience.append(fixed_voxels(begin_world(layout, seed=options.seed).draft).obedience(voxelise_world(world)))
        columns += world.grid.shape[0] * world.grid.shape[1]
        if number % 20 == 0:
            print(f"{number} of {len(references)}", file=sys.stderr, flush=True)
    return {
        "layouts": len(references),
        "least": float(np.min(obedience)),
        "wholly_obedient": int(np.sum(np.array(obedience) == 1.0)),
        "seconds_per_world": float(np.mean(seconds)),
        "seconds_per_hectare": float(np.sum(seconds) / (columns * 0.4**2 / 1e4)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=("masked", "rules"), default="masked")
    parser.add_argument("--per-style", type=int, default=40, help="procedural layouts of each style")
    parser.add_argument("--first", type=int, default=20001, help="seed of the first; no model is trained on these")
    parser.add_argument("--logs", nargs="*", default=[], help="references of recorded layouts")
    parser.add_argument("--steps", type=int, default=2, help="sampling steps: obedience does not depend on them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two layouts of each kind")
    parser.add_argument("--json", help="file, or - for standard output")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    per_style = 1 if options.quick else options.per_style
    kinds = {
        "library": list(library_names())[: 2 if options.quick else None],
        "procedural": expand_references(
            [f"procedural:{style}/{options.first}-{options.first + per_style - 1}" for style in STYLES]
        ),
        "recorded": list(options.logs),
    }
    rows = {kind: measure(references, options) for kind, references in kinds.items() if references}
    text = json.dumps({options.source: rows}, indent=1)
    if options.json == "-":
        print(text)
        return
    print("| layouts | worlds | least obedience | wholly obedient | CPU-s a world | CPU-s a hectare |")
    print("|---|---|---|---|---|---|")
    for kind, row in rows.items():
        print(
            f"| {kind} | {row['layouts']} | {row['least']:.6f} | {row['wholly_obedient']} "
            f"| {row['seconds_per_world']:.1f} | {row['seconds_per_hectare']:.2f} |"
        )
    if options.json:
        Path(options.json).write_text(text + "\n")


if __name__ == "__main__":
    main()
