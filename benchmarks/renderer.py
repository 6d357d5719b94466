"""What class and depth of six cameras of 224x400 pixels cost, beside what people would use instead.

    python -m benchmarks.renderer [--quick] [--json FILE]

Two worlds: a synthetic street of 200x200x16 voxels, and one of four seconds' drive built by scenegen (459x376x64
voxels), of which all engines see voxels and a flat ground. Two attitudes: cameras upright, and each pitched and rolled
by up to 25 degrees. In one process the engines take turns; a figure is the median over rounds of a ratio of processor
time, theirs over ours. Names that begin with `built_` are of the second world.

A frame is the first of a new world. Ours packs its voxels to bits and measures how far its ground is from kerbs;
Open3D's builds the mesh of its visible faces and its tree. The baselines' rays are made before, ours within the time.

- `cpu_vs_open3d`: mesh, tree and cast of Open3D's RaycastingScene, cameras upright. At least 12.
- `cpu_vs_open3d_any_pose`: the same, cameras tilted. At least 6.
- `cpu_vs_numba_dda`: a walk from voxel to voxel per ray, compiled by numba; it needs no preparation. At least 6.
- `cpu_vs_torch_marching`: classes sampled every 0.2 m up to 56 m with `grid_sample`; every 97th ray, cost per ray. At
  least 300.
- `again_vs_open3d`, `again_vs_open3d_any_pose`: the second frame of the same world, ours and theirs the cast alone.
- `gpu_vs_compiled`, `gpu_vs_compiled_all_maps`: elapsed time of the compiled renderer over that of the one in torch on
  a GPU, with all solids (`benchmarks.render_device`). Where there is no GPU the rows are left out, and stderr says so.

Before anything is timed, labels are compared: with the walk per voxel every one has to be equal, with Open3D, which
computes in single precision, all but one in a thousand. Marching misses what is thinner than a step: not compared.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.figure import Figure, figure_of, parse_options, print_figures, take_turns
from benchmarks.render_baselines import MeshScene, march, walk_voxels
from benchmarks.render_cases import View, built_views, street_views
from benchmarks.render_device import driven_moment, measure_device
from scenegen.conditions.build import SemanticDepth
from scenegen.errors import SceneGenError
from scenegen.types import ShapeSet

ROUNDS, QUICK_ROUNDS = 15, 9
RAYS_PER_MARCHED = 97
MOST_MISMATCHES = 1e-3
FLOORS = {
    "cpu_vs_open3d": 12.0,
    "cpu_vs_open3d_any_pose": 6.0,
    "cpu_vs_numba_dda": 6.0,
    "cpu_vs_torch_marching": 300.0,
    "again_vs_open3d": None,
    "again_vs_open3d_any_pose": None,
}


class Engines:
    """Ours and the baselines on one world, seen by upright and by tilted cameras."""

    def __init__(self, upright: View, tilted: View) -> None:
        self.world = upright.world
        self._views = {"upright": upright, "tilted": tilted}
        self._ours = {name: view.open_renderer() for name, view in self._views.items()}
        self._rays = {name: view.packed_rays() for name, view in self._views.items()}
        self._lines = upright.rays()
        self._maps: SemanticDepth | None = None
        self._mesh = MeshScene(self.world)
        self._mesh.cast(self._rays["upright"])

    def render(self, attitude: str) -> SemanticDepth:
        """Render with ours."""
        pose = self._views[attitude].world_from_ego[None]
        self._maps = self._ours[attitude].render_semantic_depth([ShapeSet.empty()], world_from_ego=pose, out=self._maps)
        return self._maps

    def works(self) -> dict[str, Callable[[], object]]:
        """Return what takes turns."""
        works: dict[str, Callable[[], object]] = {
            "numba": lambda: walk_voxels(self.world, *self._lines),
            "torch": lambda: march(self.world, *(lines[::RAYS_PER_MARCHED] for lines in self._lines)),
        }
        for attitude in self._views:
            works |= self._works_of(attitude)
        return works

    def _works_of(self, attitude: str) -> dict[str, Callable[[], object]]:
        def ours() -> None:
            self._ours[attitude].look_into(self.world)
            self.render(attitude)

        rays = self._rays[attitude]
        return {
            f"ours_{attitude}": ours,
            f"again_{attitude}": lambda: self.render(attitude),
            f"open3d_{attitude}": lambda: MeshScene(self.world).cast(rays),
            f"cast_{attitude}": lambda: self._mesh.cast(rays),
        }

    def check_labels(self) -> None:
        """Compare the labels of all engines.

        Raises:
            SceneGenError: they see different things.
        """
        for attitude, view in self._views.items():
            ours = self.render(attitude)
            semantic, depth_m = ours.semantic.ravel(), ours.depth_m.ravel()
            walked, walked_m = walk_voxels(self.world, *view.rays())
            meshed, _ = self._mesh.cast(self._rays[attitude])
            shares = {"numba": float(np.mean(walked != semantic)), "open3d": float(np.mean(meshed != semantic))}
            hit = np.isfinite(depth_m) & np.isfinite(walked_m)
            is_near = np.allclose(walked_m[hit], depth_m[hit], rtol=1e-5)
            if shares["numba"] > 0.0 or shares["open3d"] > MOST_MISMATCHES or not is_near:
                raise SceneGenError(
                    f"the same labels from all engines, Open3D's but for {MOST_MISMATCHES:g}",
                    found=f"other labels {shares}, depth {'as' if is_near else 'not as'} that of the walk",
                    where=f"the {attitude} cameras in a world of {self.world.grid.shape} voxels",
                )


def measure(engines: Engines, *, rounds: int) -> dict[str, Figure]:
    """Let the engines take turns on one world."""
    seconds = take_turns(engines.works(), rounds=rounds)
    for name, costs in seconds.items():
        print(f"{name:16} {1e3 * float(np.median(costs)):8.1f} CPU-ms", file=sys.stderr)

    def ratios(theirs: str, ours: str, times: int = 1) -> list[float]:
        return [times * a / b for a, b in zip(seconds[theirs], seconds[ours], strict=True)]

    measured = {
        "cpu_vs_open3d": ratios("open3d_upright", "ours_upright"),
        "cpu_vs_open3d_any_pose": ratios("open3d_tilted", "ours_tilted"),
        "cpu_vs_numba_dda": ratios("numba", "ours_upright"),
        "cpu_vs_torch_marching": ratios("torch", "ours_upright", RAYS_PER_MARCHED),
        "again_vs_open3d": ratios("cast_upright", "again_upright"),
        "again_vs_open3d_any_pose": ratios("cast_tilted", "again_tilted"),
    }
    return {name: figure_of(values, least=FLOORS[name]) for name, values in measured.items()}


def main(arguments: list[str] | None = None) -> int:
    options = parse_options("renderer", __doc__, arguments)
    torch.set_num_threads(1)
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    figures: dict[str, Figure] = {}
    for prefix, views in (("", street_views()), ("built_", built_views())):
        engines = Engines(*views)
        engines.check_labels()
        figures |= {prefix + name: figure for name, figure in measure(engines, rounds=rounds).items()}
    if torch.cuda.is_available():
        figures |= measure_device(driven_moment(), device="cuda", rounds=rounds)
    else:
        print("gpu_vs_compiled, gpu_vs_compiled_all_maps: skipped, no CUDA device", file=sys.stderr)
    return print_figures(figures, options.json)


if __name__ == "__main__":
    sys.exit(main())
