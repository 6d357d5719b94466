"""Format `ply`, read back with Open3D."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from scenegen.dataset import open_dataset
from scenegen.dataset.export import export_dataset
from scenegen.dataset.export.pointcloud import CLASS_RGB, build_mesh
from scenegen.errors import DatasetError, DependencyError
from scenegen.types import OCC3D_GRID, Semantic


def test_points_and_voxels_come_back_with_open3d(shared_dataset: Path, tmp_path: Path) -> None:
    open3d = pytest.importorskip("open3d")
    done = []
    export_dataset(shared_dataset, format="ply", out=tmp_path / "ply", on_step=lambda step, total: done.append(step))
    (scene,) = open_dataset(shared_dataset)
    assert done == list(range(1, scene.num_steps + 1))
    folder = tmp_path / "ply" / scene.scene_id
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.ply"))
    assert files == ["lidar/000000.ply", "lidar/000006.ply", "occupancy/000000.ply", "occupancy/000006.ply"]
    cloud = open3d.t.io.read_point_cloud(str(folder / "lidar/000006.ply"))
    sweep, boxes = scene.lidar(6), scene.boxes(6)
    points_ego_m = sweep.points_lidar_m + scene.lidar2ego[:3, 3]
    np.testing.assert_allclose(cloud.point["positions"].numpy(), points_ego_m, atol=1e-5)
    assert np.array_equal(cloud.point["intensity"].numpy()[:, 0], sweep.intensity)
    assert np.array_equal(cloud.point["ring"].numpy()[:, 0], sweep.ring)
    assert np.array_equal(cloud.point["instance"].numpy()[:, 0], sweep.instance)
    colors = cloud.point["colors"].numpy()
    assert (colors[sweep.box == 0] == CLASS_RGB[Semantic.CAR]).all()
    assert (colors[sweep.box == 1] == CLASS_RGB[Semantic.PEDESTRIAN]).all()
    assert boxes.category_names[boxes.category[1]] == "pedestrian"
    mesh = open3d.io.read_triangle_mesh(str(folder / "occupancy/000006.ply"))
    expected = build_mesh(scene.occupancy(6).semantics)
    assert np.array_equal(np.asarray(mesh.triangles), expected.triangles)
    np.testing.assert_allclose(np.asarray(mesh.vertices), expected.vertices_ego_m, atol=1e-6)


def test_faces_look_outwards_and_only_where_there_is_air() -> None:
    semantics = np.full(OCC3D_GRID.shape, Semantic.FREE, np.uint8)
    semantics[50:53, 60:62, 4] = Semantic.BUS
    semantics[199, 0, 15] = Semantic.MANMADE  # in a corner of the grid
    mesh = build_mesh(semantics)
    # 3 x 2 x 1 voxels have 2 (6 + 3 + 2) = 22 outer faces, the other 6
    assert len(mesh.triangles) == 2 * (22 + 6)
    a, b, c = (mesh.vertices_ego_m[mesh.triangles[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    # the volume enclosed, by the divergence theorem, is that of seven voxels; its sign says that faces look outwards
    assert np.einsum("ij,ij->", a, normal) / 6.0 == pytest.approx(7 * 0.4**3)
    assert set(map(tuple, mesh.colors.tolist())) == {tuple(CLASS_RGB[kind].tolist()) for kind in (3, 15)}


def test_scenes_without_sweeps_are_refused_and_leave_nothing(bare_dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("open3d")
    with pytest.raises(DatasetError, match="lidar"):
        export_dataset(bare_dataset, format="ply", out=tmp_path / "ply")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_open3d_is_named(shared_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(DependencyError, match=r"scenegen\[open3d\]"):
        export_dataset(shared_dataset, format="ply", out=tmp_path / "ply")
    assert list(tmp_path.iterdir()) == []
