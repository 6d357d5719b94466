"""At which scale generated frames differ from the truth: `python -m benchmarks.residual [--layouts ...]`.

One frame of each camera, painted without history and with independent noise; its difference from the ground-truth frame
is split by `diffusion.scoring.haar_pyramid`. The fine scales are texture; what lies above 8 px is colour over areas.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.ablations.clips import PixelSampler, Use, build_clip, read_rig, roll_out
from scenegen.diffusion.scoring import haar_pyramid
from scenegen.layout.sources import expand_references
from scenegen.types import Semantic
from scenegen.video.backbones.native import load_network
from scenegen.video.build import SHIPPED_WEIGHTS

STEP = 3


def energy_by_scale(difference: Float[Tensor, "B C H W"]) -> list[float]:
    """Return the shares of the squared sum at 2, 4, 8 and more pixels. Sums to 1 where sizes are multiples of 8."""
    bands = haar_pyramid(difference)
    energy = [float(band.square().sum()) * 4**scale for scale, band in enumerate(bands[:-1])]
    energy.append(float(bands[-1].square().sum()) * 4 ** len(energy))
    total = float(difference.square().sum())
    return [part / total for part in energy]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", default=["crossing_pedestrian", "procedural:3", "procedural:2101"])
    parser.add_argument("--rig", type=Path, default=Path("conf/rig/nuscenes6.yaml"))
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network, _ = load_network(arguments.weights)
    print("| layout | where | root mean square, levels | 2 px | 4 px | 8 px | above |\n|---|---|---|---|---|---|---|")
    for reference in expand_references(arguments.layouts):
        clip = build_clip(
            reference, rig=read_rig(arguments.rig), start_s=8.0, num_steps=STEP + 1, judged_every=STEP, seed=0
        )
        painted = roll_out(clip, PixelSampler(network=network), Use(history="none", memory=False, anchored=False))
        change = clip.truth[:, STEP].astype("float32") - painted[:, STEP]
        difference = torch.from_numpy(change).permute(0, 3, 1, 2)
        is_sky = torch.from_numpy(clip.maps.semantic[:, STEP] == Semantic.FREE)[:, None]
        for where, mask in (("all", torch.ones_like(is_sky)), ("sky", is_sky), ("the rest", ~is_sky)):
            part = difference * mask
            rms = float((part.square().sum() / (3 * mask.sum())).sqrt())
            shares = " | ".join(f"{share:.2f}" for share in energy_by_scale(part))
            print(f"| `{reference}` | {where} | {rms:.1f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
