"""How the cost of condition maps grows: with rays, with cameras, with the length of the world.

    python -m benchmarks.scaling [--quick] [--json FILE]

Class and depth of the synthetic street of `benchmarks.renderer`, by upright cameras and, under names that begin with
`tilted_`, by tilted ones; sizes take turns in one process. A figure is the median over rounds of a ratio of processor
time.

- `rays_linear`: cost per ray of images of four times the pixels, over that of the small ones. At most 1.1.
- `cameras_linear`: cost per camera of six cameras, over that of one. At most 1.1.
- `steps_linear`: cost per step of eight steps in a call, over that of one. At most 1.1.
- `world_500m_vs_100m`: a frame in a street of 500 m, over one in a street of 100 m, both packed. At most 1.2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.figure import Figure, figure_of, parse_options, print_figures, take_turns
from benchmarks.render_cases import SIZE_PX, View, level_rig, street, tilted_rig
from scenegen.types import CameraRig, ShapeSet, World

ROUNDS, QUICK_ROUNDS = 21, 11
STEPS = 8
MOST_PER_UNIT, MOST_PER_WORLD = 1.1, 1.2
SMALL_PX = (SIZE_PX[0] // 2, SIZE_PX[1] // 2)


def rig_of(attitude: str, size_px: tuple[int, int] = SIZE_PX) -> CameraRig:
    """Return the six cameras in an attitude."""
    return level_rig(size_px) if attitude == "upright" else tilted_rig(size_px)


def renders(world: World, rig: CameraRig, *, steps: int = 1, times: int = 1) -> Callable[[], object]:
    """Return what renders some steps from the street's middle, some times over, its renderer made before."""
    ego = np.eye(4)
    ego[:3, 3] = [0.0, 0.35, 0.4]
    poses = np.tile(ego, (steps, 1, 1))
    poses[:, 0, 3] += 0.1 * np.arange(steps)
    renderer = View(world=world, rig=rig, world_from_ego=ego).open_renderer()
    shapes = [ShapeSet.empty()] * steps
    maps = renderer.render_semantic_depth(shapes, world_from_ego=poses)

    def work() -> None:
        for _ in range(times):
            renderer.render_semantic_depth(shapes, world_from_ego=poses, out=maps)

    return work


def measure(attitude: str, *, rounds: int) -> dict[str, Figure]:
    """Let all sizes take turns; repeat the small ones, so that all run about as long."""
    rig, short, long = rig_of(attitude), street(100.0), street(500.0)
    works = {
        "whole": renders(short, rig),
        "small": renders(short, rig_of(attitude, SMALL_PX), times=4),
        "steps": renders(short, rig, steps=STEPS),
        "long": renders(long, rig),
    }
    for index, camera in enumerate(rig.cameras):
        works[f"camera{index}"] = renders(short, replace(rig, cameras=(camera,)))
    seconds = take_turns(works, rounds=rounds)
    whole = np.array(seconds["whole"])
    singles = np.sum([seconds[f"camera{index}"] for index in range(len(rig.cameras))], axis=0)
    return {
        "rays_linear": figure_of((whole / seconds["small"]).tolist(), most=MOST_PER_UNIT),
        "cameras_linear": figure_of((whole / singles).tolist(), most=MOST_PER_UNIT),
        "steps_linear": figure_of((np.array(seconds["steps"]) / (STEPS * whole)).tolist(), most=MOST_PER_UNIT),
        "world_500m_vs_100m": figure_of((np.array(seconds["long"]) / whole).tolist(), most=MOST_PER_WORLD),
    }


def main(arguments: list[str] | None = None) -> int:
    options = parse_options("scaling", __doc__, arguments)
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    figures: dict[str, Figure] = {}
    for prefix, attitude in (("", "upright"), ("tilted_", "tilted")):
        figures |= {prefix + name: figure for name, figure in measure(attitude, rounds=rounds).items()}
    return print_figures(figures, options.json)


if __name__ == "__main__":
    sys.exit(main())
