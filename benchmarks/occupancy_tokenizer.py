"""What the occupancy tokenizer gives back of worlds that it was not trained on.

    python -m scenegen.training.world_cache --layouts procedural:suburb/1-80 ... --output out/worlds
    python -m benchmarks.occupancy_tokenizer --worlds out/worlds

The worlds are those of the cache that are held out by layout. Found voxels are clamped to what the layout fixes, as
generation does.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from scenegen.occupancy.tokenizer.score import Reconstruction, count_everything, count_open
from scenegen.occupancy.tokenizer.tokenizer import OccupancyTokenizer, load_tokenizer
from scenegen.occupancy.tokenizer.weights import SHIPPED
from scenegen.training.world_cache import WorldExcerpt, open_world_cache


def measure(tokenizer: OccupancyTokenizer, world: WorldExcerpt) -> dict[str, Reconstruction]:
    """Return the counts of one world, over everything and over what is open."""
    codes = tokenizer.encode(world.voxels, world.fixed, world.channels)
    found = world.fixed.clamp(tokenizer.decode(codes, world.channels, world.fixed))
    return {"all": count_everything(world.voxels, found), "open": count_open(world.voxels, found, world.fixed)}


def describe(counts: Reconstruction) -> dict[str, float]:
    """Return scores in percent."""
    scores = {"mIoU": counts.miou, "IoU": counts.iou, **counts.by_class()}
    return {name: round(100 * value, 2) for name, value in scores.items()}


def main() -> None:
    """Print scores by style, and of all worlds together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--at-most", type=int, help="worlds to measure; default: all that are held out")
    parser.add_argument("--train", action="store_true", help="measure worlds that are learned from instead")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tokenizer = load_tokenizer(options.weights)
    cache = open_world_cache(options.worlds)
    worlds = (cache.train if options.train else cache.held_out)[: options.at_most]
    empty = Reconstruction(solid=np.zeros((3, 3), np.int64), ground=np.zeros((2, 2), np.int64))
    sums: dict[tuple[str, str], Reconstruction] = defaultdict(lambda: empty)
    began = time.process_time()
    for world in worlds:
        for part, counts in measure(tokenizer, world.whole()).items():
            for style in (world.record.style or "mixed", "together"):
                sums[style, part] += counts
    seconds = time.process_time() - began
    result = {f"{style}, {part}": describe(counts) for (style, part), counts in sorted(sums.items())}
    for name, scores in result.items():
        print(f"{name:20s}", "  ".join(f"{key} {value:6.2f}" for key, value in scores.items()))
    print(f"{len(worlds)} worlds, {seconds / max(len(worlds), 1):.2f} s of processor each; tokenizer {tokenizer.hash}")
    if options.json is not None:
        options.json.write_text(json.dumps({"tokenizer": tokenizer.hash, "scores": result}, indent=1))


if __name__ == "__main__":
    main()
