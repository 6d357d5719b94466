"""What the occupancy tokenizer gives back of worlds that it was not trained on.

    python -m scenegen.training.world_cache --layouts procedural:suburb/1-80 ... --output out/worlds
    python -m benchmarks.occupancy_tokenizer --worlds out/worlds

The worlds are those of the cache that are held out by layout, unless `--part` says otherwise.
Found voxels are clamped to what the layout fixes, as
generation does.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from jaxtyping import Int32, Int64

from scenegen.occupancy.tokenizer.planes import is_coded
from scenegen.occupancy.tokenizer.score import Reconstruction, count_everything, count_open
from scenegen.occupancy.tokenizer.tokenizer import OccupancyTokenizer, load_tokenizer
from scenegen.occupancy.tokenizer.weights import SHIPPED
from scenegen.training.world_cache import WorldExcerpt, open_world_cache


def measure(
    tokenizer: OccupancyTokenizer, world: WorldExcerpt, codes: Int32[np.ndarray, "x y"]
) -> dict[str, Reconstruction]:
    """Return the counts of one world, over everything and over what is open."""
    found = world.fixed.clamp(tokenizer.decode(codes, world.channels, world.fixed))
    return {"all": count_everything(world.voxels, found), "open": count_open(world.voxels, found, world.fixed)}


def describe_usage(uses: Int64[np.ndarray, " V"]) -> str:
    """Return how many codes occur, their perplexity, and the share of the most frequent two."""
    share = np.sort(uses / uses.sum())[::-1]
    occurring = share[share > 0]
    perplexity = float(np.exp(-(occurring * np.log(occurring)).sum()))
    return f"{len(occurring)} of {len(uses)} codes, perplexity {perplexity:.1f}, two are {share[:2].sum():.1%} of all"


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
    parser.add_argument("--part", choices=("held_out", "train", "all"), default="held_out", help="of the stored worlds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tokenizer = load_tokenizer(options.weights)
    cache = open_world_cache(options.worlds)
    parts = {"held_out": cache.held_out, "train": cache.train, "all": (*cache.train, *cache.held_out)}
    worlds = parts[options.part][: options.at_most]
    uses = np.zeros(tokenizer.num_codes, np.int64)
    empty = Reconstruction(solid=np.zeros((3, 3), np.int64), ground=np.zeros((2, 2), np.int64))
    sums: dict[tuple[str, str], Reconstruction] = defaultdict(lambda: empty)
    began = time.process_time()
    for world in worlds:
        excerpt = world.whole()
        codes = tokenizer.encode(excerpt.voxels, excerpt.fixed, excerpt.channels)
        coded = is_coded(excerpt.fixed, patch=tokenizer.patch)
        uses += np.bincount(codes[coded], minlength=tokenizer.num_codes)
        for part, counts in measure(tokenizer, excerpt, codes).items():
            for style in (world.record.style or "mixed", "together"):
                sums[style, part] += counts
    seconds = time.process_time() - began
    result = {f"{style}, {part}": describe(counts) for (style, part), counts in sorted(sums.items())}
    for name, scores in result.items():
        print(f"{name:20s}", "  ".join(f"{key} {value:6.2f}" for key, value in scores.items()))
    print(describe_usage(uses))
    print(f"{len(worlds)} worlds, {seconds / max(len(worlds), 1):.2f} s of processor each; tokenizer {tokenizer.hash}")
    if options.json is not None:
        options.json.write_text(json.dumps({"tokenizer": tokenizer.hash, "scores": result}, indent=1))


if __name__ == "__main__":
    main()
