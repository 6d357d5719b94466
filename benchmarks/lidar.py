"""What a sweep of the simulated LiDAR costs, beside Open3D casting the same rays; and points per second.

    python -m benchmarks.lidar [--quick] [--json FILE]

The world is one of four seconds' drive built by scenegen (voxels of 0.4 m, ground cells of 0.1 m), the sensor the
default one, `exact32`: 32 beams, 1080 azimuths. Each round sweeps from several steps of the drive. In one process the
ways take turns, A B B A; a figure is the median over rounds of a ratio of processor time. Open3D has one thread, and
its mesh of visible faces, its tree and its rays (single precision, in the world) are made before: only `cast_rays` is
timed. Ours aims its beams within the time, and knows for every beam what it met and at which angle.

- `lidar_vs_open3d`: `cast_rays` over ours, voxels and a flat ground, which is what both see. At least 2.
- `kerbs_vs_open3d`: the same `cast_rays` over ours with the ground's kerbs, which the mesh lacks. Shown.
- `million_points_per_s`: points of whole sweeps in a second of processor time, with solids, agents, intensity,
  drop-out and the points of each box counted; `million_beams_per_s` counts what was fired. Shown; and the same with
  range noise, azimuth after azimuth, by the sensors `hdl32e` and `hdl64e`.

Before anything is timed, ranges are compared: all but `MOST_OTHERS` of the beams agree within `NEAR_M`. The others
graze an edge, which Open3D, in single precision, may miss.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from jaxtyping import Float32, Float64

from benchmarks.ablations.clips import read_rig
from benchmarks.figure import Figure, figure_of, parse_options, print_figures, ratios_of, take_turns
from benchmarks.render_baselines import import_open3d, visible_faces
from scenegen.conditions.lidar import LidarScanner, agent_boxes
from scenegen.conditions.lidar_static import cast_static, measure_gaps
from scenegen.conditions.packing import pack_world
from scenegen.conditions.static_kernel import SURFACE_NONE
from scenegen.conditions.turn import turn_motion
from scenegen.config import parse_config
from scenegen.errors import SceneGenError
from scenegen.geometry.rigid import invert_rigid
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.occupancy.agents import build_agent_shapes
from scenegen.scene import SceneStage
from scenegen.types import LidarModel, ShapeSet, World

LAYOUT, DURATION_S, RATE_HZ = "library:school_zone", 4.0, 12.0
RIG_FILE = Path("conf/rig/nuscenes6.yaml")
STEPS = (0, 12, 24, 36)
SENSOR_FOLDER = Path("conf/lidar")
SENSORS = ("hdl32e", "hdl64e")
ROUNDS, QUICK_ROUNDS = 45, 25
NEAR_M, MOST_OTHERS = 0.002, 1e-3


class StaticSweeps:
    """Our sweeps of what stands: voxels and ground, packed once."""

    def __init__(self, world: World, model: LidarModel) -> None:
        self._world = pack_world(world)
        self._gaps = measure_gaps(self._world)
        self._model, self._directions = model, model.directions()
        shape = (model.num_azimuths, model.num_beams)
        self._hits = (np.empty(shape), np.empty(shape, np.uint8), np.zeros((*shape, 2), np.int64), np.empty(shape))

    def cast(self, world_from_lidar: Float64[np.ndarray, "4 4"]) -> None:
        """Find the range of every beam, what it meets, where, and at which angle."""
        lidar = (world_from_lidar, invert_rigid(world_from_lidar), self._model.packed(), self._directions)
        cast_static(self._world, self._gaps, lidar, self._model.max_range_m, *self._hits)

    def range_m(self) -> Float64[np.ndarray, "K R"]:
        """Return the ranges of the last cast, inf for none within reach."""
        return np.where(self._hits[1] == SURFACE_NONE, np.inf, self._hits[0])


class MeshSweeps:
    """The same sweeps by Open3D: a mesh of the visible faces and a flat ground, its tree built here."""

    def __init__(self, world: World) -> None:
        open3d = import_open3d()
        corners, _ = visible_faces(world)
        first = np.arange(0, len(corners), 4, dtype=np.uint32)[:, None]
        triangles = (first + np.array([[0, 1, 2, 0, 2, 3]], np.uint32)).reshape(-1, 3)
        self._tensor = open3d.core.Tensor
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(self._tensor(corners), self._tensor(triangles))
        self.cast(np.array([[0.0, 0.0, 1.0, 0.0, 0.0, -1.0]], np.float32))

    def cast(self, rays: Float32[np.ndarray, "N 6"]) -> Float32[np.ndarray, " N"]:
        """Return the range along rays of unit length, inf for none."""
        hits = self._scene.cast_rays(self._tensor(rays), nthreads=1)
        range_m: Float32[np.ndarray, " N"] = hits["t_hit"].numpy()
        return range_m


def rays_of(world_from_lidar: Float64[np.ndarray, "4 4"], model: LidarModel) -> Float32[np.ndarray, "N 6"]:
    """Return the beams of a sweep as Open3D wants them, in firing order."""
    directions = model.directions().reshape(-1, 3) @ world_from_lidar[:3, :3].T
    return np.concatenate([np.broadcast_to(world_from_lidar[:3, 3], directions.shape), directions], axis=1).astype(
        np.float32
    )


def check_ranges(ours: Float64[np.ndarray, "K R"], theirs: Float32[np.ndarray, " N"], *, max_range_m: float) -> None:
    """Compare the ranges of a sweep.

    Raises:
        SceneGenError: they see different things.
    """
    expected = np.where(theirs < max_range_m, theirs, np.inf)
    is_near = np.isclose(ours.ravel(), expected, rtol=0.0, atol=NEAR_M) | (np.abs(theirs - max_range_m) < NEAR_M)
    if np.mean(~is_near) > MOST_OTHERS or not np.isfinite(expected).mean() > 0.3:
        raise SceneGenError(
            f"the ranges of Open3D within {NEAR_M} m, but for {MOST_OTHERS:g} of the beams",
            found=f"{np.mean(~is_near):.2g} others among {np.isfinite(expected).mean():.0%} that return",
            where=f"a sweep in {LAYOUT}",
        )


def measure_cast(world: World, poses: list[Float64[np.ndarray, "4 4"]], *, rounds: int) -> dict[str, Figure]:
    """Let both cast the beams of some sweeps to voxels and ground."""
    model = LidarModel()
    flat = replace(world, shapes=ShapeSet.empty(), kerb_height_m=0.0)
    on_flat, on_kerbs, mesh = StaticSweeps(flat, model), StaticSweeps(world, model), MeshSweeps(flat)
    rays = [rays_of(pose, model) for pose in poses]
    for pose, packed in zip(poses, rays, strict=True):
        on_flat.cast(pose)
        check_ranges(on_flat.range_m(), mesh.cast(packed), max_range_m=model.max_range_m)
    seconds = take_turns(
        {
            "open3d": lambda: [mesh.cast(packed) for packed in rays],
            "flat": lambda: [on_flat.cast(pose) for pose in poses],
            "kerbs": lambda: [on_kerbs.cast(pose) for pose in poses],
        },
        rounds=rounds,
    )
    for name, costs in seconds.items():
        print(f"{name:8} {1e3 * float(np.median(costs)) / len(poses):8.2f} CPU-ms a sweep", file=sys.stderr)
    return {
        "lidar_vs_open3d": figure_of(ratios_of(seconds, "open3d", "flat"), least=2.0),
        "kerbs_vs_open3d": figure_of(ratios_of(seconds, "open3d", "kerbs")),
    }


def measure_scans(stage: SceneStage, model: LidarModel, steps: tuple[int, ...], *, rounds: int) -> dict[str, Figure]:
    """Make whole sweeps."""
    layout = stage.layout
    scanner = LidarScanner(stage.world, model=model, seed=0, scene_id=layout.layout_id)
    scans = [
        partial(
            scanner.scan,
            build_agent_shapes(layout, step=step),
            boxes=agent_boxes(layout, step=step),
            world_from_ego=layout.ego.world_from_ego[step],
            conditions=stage.render_conditions(step, step + 1),
            step=step,
            motion=turn_motion(layout, step=step) if model.is_rolling else None,
        )
        for step in steps
    ]
    num_points = sum(len(scan().sweep.ring) for scan in scans)
    num_beams = len(steps) * model.num_azimuths * model.num_beams
    costs = take_turns({"scan": lambda: [scan() for scan in scans]}, rounds=rounds)["scan"]
    print(f"{'scan':8} {1e3 * float(np.median(costs)) / len(steps):8.2f} CPU-ms a sweep", file=sys.stderr)
    return {
        f"million_{name}_per_s": figure_of([1e-6 * count / cost for cost in costs])
        for name, count in (("points", num_points), ("beams", num_beams))
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; exit code 1 where a bound is missed."""
    options = parse_options("lidar", __doc__, arguments)
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    layout = extend_layout(read_layout(LAYOUT), duration_s=DURATION_S, rate_hz=RATE_HZ)
    stage = SceneStage(layout, rig=read_rig(RIG_FILE), seed=0)
    poses = [layout.ego.world_from_ego[step] @ stage.lidar2ego for step in STEPS]
    figures = measure_cast(stage.world, poses, rounds=rounds)
    figures |= measure_scans(stage, LidarModel(), STEPS, rounds=rounds)
    for name in SENSORS:
        sensor = parse_config(LidarModel, yaml.safe_load((SENSOR_FOLDER / f"{name}.yaml").read_text()))
        found = measure_scans(stage, sensor, STEPS, rounds=rounds)
        figures |= {f"{name}_{figure}": value for figure, value in found.items()}
    return print_figures(figures, options.json)


if __name__ == "__main__":
    sys.exit(main())
