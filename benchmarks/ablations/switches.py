"""Ingredients switched off at use, on the shipped weights: `python -m benchmarks.ablations.switches --output DIR`.

Every row is a JSON file in the output folder; rows that are there are not made again. `report` makes the table.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.ablations.clips import Clip, PixelSampler, Use, build_clip, read_rig, roll_out
from benchmarks.ablations.scores import score_clip
from scenegen.checks.judge import Judge, load_judge
from scenegen.layout.sources import expand_references
from scenegen.video.backbones.native import load_network
from scenegen.video.build import SHIPPED_WEIGHTS

ROWS: dict[str, Use] = {
    "full": Use(),
    "no_history": Use(history="none", memory=False),
    "independent_noise": Use(anchored=False),
    "no_partners": Use(partners=False),
    "no_memory": Use(memory=False),
    "no_body": Use(body=False),
    "keep_1.0": Use(keep=1.0),
    "temperature_1.0": Use(temperature=1.0),
    "temperature_0.0": Use(temperature=0.0),
    "steps_1": Use(steps=1),
    "steps_4": Use(steps=4),
    "steps_8": Use(steps=8),
    "true_history": Use(history="true"),
    "no_history_independent_noise": Use(history="none", memory=False, anchored=False),
}


def make_row(name: str, use: Use, clips: list[Clip], *, weights: Path, judge: Judge) -> dict[str, object]:
    """Roll all clips out and score them; `truth` scores the ground-truth frames instead."""
    began, units = time.monotonic(), []
    network, sha256 = load_network(weights)
    if not use.body:
        for parameter in network.from_patches.parameters():
            torch.nn.init.zeros_(parameter)
    for clip in clips:
        frames = clip.truth if name == "truth" else roll_out(clip, PixelSampler(network=network), use)
        units += score_clip(judge, clip, frames)
    return {"row": name, "seconds": time.monotonic() - began, "weights_sha256": sha256, "units": units}


def main() -> None:
    """Make the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--layouts", nargs="+", default=["crossing_pedestrian", "procedural:3"])
    parser.add_argument("--start-s", type=float, default=8.0)
    parser.add_argument("--num-steps", type=int, default=96)
    parser.add_argument("--judged-every", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rig", type=Path, default=Path("conf/rig/nuscenes6.yaml"))
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--rows", nargs="+", default=list(ROWS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    clips = [
        build_clip(
            reference,
            rig=read_rig(arguments.rig),
            start_s=arguments.start_s,
            num_steps=arguments.num_steps,
            judged_every=arguments.judged_every,
            seed=arguments.seed,
        )
        for reference in expand_references(arguments.layouts)
    ]
    judge = load_judge()
    for name in ["truth", *arguments.rows]:
        path = arguments.output / f"{name}.json"
        if path.is_file():
            continue
        row = make_row(name, ROWS.get(name, Use()), clips, weights=arguments.weights, judge=judge)
        path.write_text(json.dumps(row | {"num_steps": arguments.num_steps, "seed": arguments.seed}))
        print(f"{name}: {row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
