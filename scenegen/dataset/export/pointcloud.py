"""Format `ply`: the LiDAR sweep and the occupancy of every key frame as files that any 3-D viewer opens.

```
<out>/<scene_id>/lidar/000006.ply        points of step 6, with intensity, ring and instance
<out>/<scene_id>/occupancy/000006.ply    the outer faces of all voxels that are not free, coloured by class
```

Both are in the ego frame (x forward, y left, z up, metres), so that they lie over each other. Points of agents have the
colour of their class, others their intensity as grey. Written by Open3D; `open3d draw FILE.ply` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32, UInt8

from scenegen.dataset.export import ExportJob
from scenegen.dataset.labels import Boxes, LidarSweep
from scenegen.dataset.palette import semantic_palette
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DependencyError
from scenegen.geometry.rigid import transform_points
from scenegen.types import OCC3D_GRID, SEMANTIC_OF_CATEGORY, AgentCategory, Semantic

CLASS_RGB: UInt8[np.ndarray, "K 3"] = semantic_palette(
    {
        Semantic.OTHERS: (150, 150, 150),
        Semantic.DRIVEABLE_SURFACE: (90, 94, 102),
        Semantic.SIDEWALK: (170, 160, 150),
        Semantic.VEGETATION: (0, 130, 40),
    }
)
"""Ground and plants in colours nearer to their own, against which agents stand out."""
FACES = (
    ((1, 0, 0), ((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1))),
    ((-1, 0, 0), ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0))),
    ((0, 1, 0), ((0, 1, 0), (0, 1, 1), (1, 1, 1), (1, 1, 0))),
    ((0, -1, 0), ((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1))),
    ((0, 0, 1), ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))),
    ((0, 0, -1), ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0))),
)
"""The neighbour beyond each face of a voxel, and the face's corners, counter-clockwise from outside."""


@dataclass(frozen=True, kw_only=True)
class VoxelMesh:
    """Triangles of coloured faces; corners are not shared, so that colours do not run."""

    vertices_ego_m: Float64[np.ndarray, "P 3"]
    triangles: Int32[np.ndarray, "N 3"]
    colors: UInt8[np.ndarray, "P 3"]


def write(job: ExportJob) -> None:
    """Write sweep and occupancy of every key frame.

    Raises:
        DatasetError: a scene stores no sweeps.
        DependencyError: Open3D is not installed.
    """
    open3d = _import_open3d()
    for scene in job.scenes():
        for name in ("lidar", "occupancy"):
            (job.folder / scene.scene_id / name).mkdir(parents=True)
        for step in range(scene.num_steps):
            if scene.is_key_frame[step]:
                folder, file = job.folder / scene.scene_id, f"{step:06d}.ply"
                _write_points(open3d, folder / "lidar" / file, scene, step)
                _write_mesh(open3d, folder / "occupancy" / file, build_mesh(scene.occupancy(step).semantics))
            job.step_done()


def build_mesh(semantics: UInt8[np.ndarray, "X Y Z"]) -> VoxelMesh:
    """Collect the faces between a voxel that is not free and one that is, or the end of the grid; frame ego.

    >>> one = np.full(OCC3D_GRID.shape, Semantic.FREE, np.uint8)
    >>> one[100, 100, 3] = Semantic.CAR
    >>> mesh = build_mesh(one)
    >>> len(mesh.triangles), mesh.vertices_ego_m.min(axis=0).round(6).tolist()
    (12, [0.0, 0.0, 0.2])
    """
    solid = np.pad(semantics != Semantic.FREE, 1)
    corners, colors = [np.zeros((0, 3))], [np.zeros((0, 3), np.uint8)]
    for beyond, face in FACES:
        free_there = ~np.roll(solid, np.negative(beyond), axis=(0, 1, 2))
        voxels = np.argwhere((solid & free_there)[1:-1, 1:-1, 1:-1])
        corners.append((voxels[:, None] + np.array(face)).reshape(-1, 3).astype(np.float64))
        colors.append(np.repeat(CLASS_RGB[semantics[tuple(voxels.T)]], 4, axis=0))
    vertices = np.concatenate(corners) * OCC3D_GRID.voxel_m + OCC3D_GRID.origin_m
    first = 4 * np.arange(len(vertices) // 4, dtype=np.int32)[:, None, None]
    triangles = first + np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return VoxelMesh(
        vertices_ego_m=vertices, triangles=triangles.reshape(-1, 3), colors=np.concatenate(colors).astype(np.uint8)
    )


def point_colors(sweep: LidarSweep, boxes: Boxes) -> UInt8[np.ndarray, "P 3"]:
    """Return the class colour of points on agents, and grey by intensity elsewhere."""
    grey = np.round(255.0 * sweep.intensity).astype(np.uint8)
    colors = np.repeat(grey[:, None], 3, axis=1)
    of_category = CLASS_RGB[[int(SEMANTIC_OF_CATEGORY[category]) for category in AgentCategory]]
    on_agent = sweep.box >= 0
    colors[on_agent] = of_category[boxes.category[sweep.box[on_agent]]]
    return colors


def _write_points(open3d: Any, file: Path, scene: Scene, step: int) -> None:
    sweep = scene.lidar(step)
    cloud = open3d.t.geometry.PointCloud()
    points_ego_m = transform_points(scene.lidar2ego, sweep.points_lidar_m.astype(np.float64)).astype(np.float32)
    columns = {
        "positions": points_ego_m,
        "colors": point_colors(sweep, scene.boxes(step)),
        "intensity": sweep.intensity[:, None],
        "ring": sweep.ring[:, None],
        "instance": sweep.instance[:, None],
    }
    for name, values in columns.items():
        native = values.astype(values.dtype.name)  # Open3D refuses types that name their byte order
        cloud.point[name] = open3d.core.Tensor(np.ascontiguousarray(native))
    _check_written(open3d.t.io.write_point_cloud(str(file), cloud), file)


def _write_mesh(open3d: Any, file: Path, mesh: VoxelMesh) -> None:
    made = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(mesh.vertices_ego_m), open3d.utility.Vector3iVector(mesh.triangles)
    )
    made.vertex_colors = open3d.utility.Vector3dVector(mesh.colors / 255.0)
    _check_written(open3d.io.write_triangle_mesh(str(file), made), file)


def _check_written(is_written: bool, file: Path) -> None:
    """Turn Open3D's silent refusal into the error that a full disk raises elsewhere."""
    if not is_written:
        raise OSError(f"Open3D could not write {file}")


def _import_open3d() -> Any:
    try:
        import open3d
    except (ImportError, OSError) as error:  # OSError: a system library that it needs is missing
        raise DependencyError(
            "the package open3d for format ply", found=str(error), fix="pip install scenegen[open3d]"
        ) from error
    return open3d
