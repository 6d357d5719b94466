"""What sampling steps and loops of the masked occupancy network buy, and what they cost.

    python -m benchmarks.occupancy_loops                      # S in 1, 2, 4, 8 x steps in 4, 8, 16, 32
    python -m benchmarks.occupancy_loops --quick --json -     # two settings, one layout: a test

Worlds of held-out layouts, sampled with one seed, read back as `generate` reads them, and held against worlds that
rules make of the same layouts: distances of `scenegen.evaluation.occupancy.fidelity`. The floor is another draw of
the rules. Cost: CPU-seconds of one thread for sampling alone, and FLOPs of the network by its formula.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from scenegen.checks.world_encoder import load_encoder
from scenegen.evaluation.occupancy.fidelity import measure_fidelity
from scenegen.layout.sources import read_layout
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.crops import Crops, crop_world, join_crops, sparse_steps
from scenegen.occupancy.latent_ar.frames import LayoutFrames, picture_layout
from scenegen.occupancy.masked.read_world import read_world
from scenegen.occupancy.model import load_occupancy_model
from scenegen.occupancy.voxels import voxelise_world
from scenegen.types import Layout

HELD_OUT = (
    "procedural:dense_city/4", "procedural:suburb/2", "procedural:rural/16", "procedural:highway/1",
    "procedural:industrial/4",
)  # fmt: skip
LOOPS, STEPS = (1, 2, 4, 8), (4, 8, 16, 32)
SPACING_M, MOST_CROPS = 20.0, 12
TRUE_SEED, FLOOR_SEED, SOURCE_SEED = 0, 2, 1


def tell(layout: Layout) -> LayoutFrames:
    draft = begin_world(layout, seed=TRUE_SEED).draft
    steps = sparse_steps(layout.ego.world_from_ego, spacing_m=SPACING_M, at_most=MOST_CROPS)
    return picture_layout(draft.site, steps=steps)


def rule_crops(layouts: Sequence[Layout], told: Sequence[LayoutFrames], *, seed: int) -> Crops:
    worlds = (build_world(layout, seed=seed) for layout in layouts)
    return join_crops([crop_world(voxelise_world(world), own) for world, own in zip(worlds, told, strict=True)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every setting, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", default=HELD_OUT)
    parser.add_argument("--weights", help="default: the shipped ones")
    parser.add_argument("--mixer", default="attention")
    parser.add_argument("--loops", type=int, nargs="+", default=LOOPS)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", help="file, or - for standard output")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.quick:
        options.layouts, options.loops, options.steps = options.layouts[:1], (1, 4), (4,)
    layouts = [read_layout(reference) for reference in options.layouts]
    told = [tell(layout) for layout in layouts]
    truth, floor = (rule_crops(layouts, told, seed=seed) for seed in (TRUE_SEED, FLOOR_SEED))
    encoder = load_encoder()
    rows: list[dict[str, Any]] = []
    for loops in options.loops:
        for steps in options.steps:
            model = load_occupancy_model(
                "masked", steps=steps, loops=loops, mixer=options.mixer, weights=options.weights
            )
            assert model is not None
            crops, seconds = [], 0.0
            for layout, own in zip(layouts, told, strict=True):
                began = time.process_time()
                voxels = model.sample(layout, seed=SOURCE_SEED)
                seconds += time.process_time() - began
                world = read_world(layout, seed=SOURCE_SEED, voxels=voxels)
                crops.append(crop_world(voxelise_world(world), own))
            found = measure_fidelity(join_crops(crops), held_out=truth, train=floor, encoder=encoder)
            rows.append(
                {
                    "loops": loops,
                    "steps": steps,
                    "cpu_s_per_world": seconds / len(layouts),
                    **{key: value for key, value in asdict(found.distances).items() if key != "by_component"},
                    "floor": {key: value for key, value in asdict(found.floor).items() if key != "by_component"},
                    "crops": found.num_crops,
                }
            )
            if options.json != "-":
                print(_line(rows[-1]), flush=True)
    text = json.dumps(rows, indent=1)
    if options.json == "-":
        print(text)
        return
    print(f"floor, another draw of the rules: {rows[-1]['floor']}, {rows[-1]['crops']} crops")
    if options.json:
        Path(options.json).write_text(text + "\n")


def _line(row: dict[str, Any]) -> str:
    return (
        f"| {row['loops']} | {row['steps']} | {row['cpu_s_per_world']:.1f} | {row['frechet']:.2f} "
        f"| {row['kernel']:.3f} | {row['histogram']:.4f} | {row['components']:.3f} |"
    )


if __name__ == "__main__":
    main()
