"""The renderer in torch on a device beside the compiled one on a core: rows of `benchmarks.renderer` where a GPU is.

    python -m benchmarks.render_device [cuda|cpu]

Elapsed time of the compiled renderer over that of the device, six cameras of 224x400 pixels in a built scene with all
its solids: class and depth, and all maps. Labels are compared before.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.figure import Figure, figure_of, print_figures
from benchmarks.plain_things import clear_day
from benchmarks.render_cases import RATE_HZ, SIZE_PX, sized_rig
from scenegen.conditions.build import ConditionRenderer
from scenegen.errors import SceneGenError
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.occupancy.agents import build_agent_shapes
from scenegen.occupancy.build import build_world
from scenegen.types import CameraRig, ConditionMaps, ShapeSet, World

LEAST_SAME = 0.9999
ROUNDS = 9


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One step of a drive, with all its solids."""

    world: World
    rig: CameraRig
    shapes: tuple[ShapeSet, ShapeSet]
    world_from_ego: np.ndarray
    num_agents: int

    def open_renderer(self, device: str | None) -> ConditionRenderer:
        """Return the compiled renderer, or that of a device, with the sun up."""
        lighting = clear_day((0.4, 0.3, 0.85))
        return ConditionRenderer(self.world, rig=self.rig, lighting=lighting, num_agents=self.num_agents, device=device)

    def render(self, renderer: ConditionRenderer) -> ConditionMaps:
        """Render all maps."""
        return renderer.render(
            self.shapes[1:],
            previous_shapes=self.shapes[0],
            world_from_ego=self.world_from_ego[1:],
            previous_world_from_ego=self.world_from_ego[0],
        )


def driven_moment(name: str = "crossing_pedestrian", *, size_px: tuple[int, int] = SIZE_PX) -> Moment:
    """Return the middle of four seconds' drive, seen by the cameras of nuScenes."""
    layout = extend_layout(read_layout(f"library:{name}"), duration_s=4.0, rate_hz=RATE_HZ)
    step = len(layout.ego.world_from_ego) // 2
    return Moment(
        world=build_world(layout, seed=0),
        rig=sized_rig(size_px),
        shapes=(build_agent_shapes(layout, step=step - 1), build_agent_shapes(layout, step=step)),
        world_from_ego=layout.ego.world_from_ego[step - 1 : step + 1],
        num_agents=len(layout.agents),
    )


def measure_device(moment: Moment, *, device: str, rounds: int) -> dict[str, Figure]:
    """Let the compiled renderer and that of a device take turns; ratios of elapsed time, compiled over device.

    Raises:
        SceneGenError: they see different things.
    """
    compiled, there = moment.open_renderer(None), moment.open_renderer(device)
    ours, theirs = moment.render(there), moment.render(compiled)
    share = float(np.mean((ours.semantic == theirs.semantic) & (ours.instance == theirs.instance)))
    if share < LEAST_SAME:
        raise SceneGenError(
            f"the same labels from both renderers on a share of {LEAST_SAME} of the pixels",
            found=f"{share:.6f}",
            where=f"device={device}",
        )
    pose = moment.world_from_ego[1:]
    works: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "gpu_vs_compiled": (
            lambda: compiled.render_semantic_depth(moment.shapes[1:], world_from_ego=pose),
            lambda: there.render_semantic_depth(moment.shapes[1:], world_from_ego=pose),
        ),
        "gpu_vs_compiled_all_maps": (lambda: moment.render(compiled), lambda: moment.render(there)),
    }
    return {name: figure_of([_elapsed(a) / _elapsed(b) for _ in range(rounds)]) for name, (a, b) in works.items()}


def _elapsed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes; maps are in host memory at its end, so the device is done too."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main(arguments: list[str]) -> int:
    torch.set_num_threads(1)
    device = arguments[0] if arguments else "cuda"
    return print_figures(measure_device(driven_moment(), device=device, rounds=ROUNDS), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
