"""The scene store as others rely on it (DESIGN section 6): paths, types, dimensions, plain zarr and xarray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import zarr

from scenegen.dataset.attributes_schema import scene_attributes_schema, scene_schema_text
from scenegen.dataset.schema import (
    ANNOTATED2D_ARRAYS,
    ARRAYS,
    CAMERA_FIELD,
    LIDAR_TIMES,
)
from tests.unit.dataset.tiny_scene import tiny_chunk, tiny_record

REPOSITORY = Path(__file__).parents[2]

CONTRACT = {
    "time/timestamp_us": ("int64", ("time",)),
    "time/is_key_frame": ("bool", ("time",)),
    "cameras/<CAM>/rgb": ("uint8", ("time", "y", "x", "rgb")),
    "cameras/<CAM>/cam2img": ("float64", ("i", "j")),
    "cameras/<CAM>/cam2ego": ("float64", ("i4", "j4")),
    "ego/ego2global": ("float64", ("time", "i4", "j4")),
    "ego/velocity": ("float32", ("time", "xy")),
    "ego/can_bus": ("float32", ("time", "signal")),
    "objects/frame_ptr": ("int64", ("step_boundary",)),
    "objects/center": ("float64", ("box", "xyz")),
    "objects/size_lwh": ("float64", ("box", "lwh")),
    "objects/rotation_wxyz": ("float64", ("box", "wxyz")),
    "objects/velocity": ("float64", ("box", "xy")),
    "objects/track_id": ("int32", ("box",)),
    "objects/category": ("uint8", ("box",)),
    "objects/attribute": ("uint8", ("box",)),
    "objects/visibility": ("uint8", ("box",)),
    "objects/num_lidar_pts": ("int32", ("box",)),
    "objects2d/ptr": ("int64", ("view_boundary",)),
    "objects2d/box": ("int64", ("box2d",)),
    "objects2d/xyxy": ("float32", ("box2d", "xyxy")),
    "objects2d/visible_fraction": ("float32", ("box2d",)),
    "cameras/<CAM>/depth": ("uint16", ("time", "y", "x")),
    "cameras/<CAM>/semantic": ("uint8", ("time", "y", "x")),
    "cameras/<CAM>/instance": ("uint16", ("time", "y", "x")),
    "cameras/<CAM>/optical_flow": ("float16", ("time", "y", "x", "uv")),
    "occupancy/mask_lidar": ("uint8", ("time", "x", "y", "z")),
    "occupancy/instance": ("uint16", ("time", "x", "y", "z")),
    "lidar/points": ("float32", ("point", "xyz")),
    "lidar/ptr": ("int64", ("step_boundary",)),
    "occupancy/semantics": ("uint8", ("time", "x", "y", "z")),
    "occupancy/mask_camera": ("uint8", ("time", "x", "y", "z")),
    "map/lanes/points": ("float64", ("lane_point", "xyz")),
    "map/lane_lines/points": ("float64", ("line_point", "xyz")),
    "map/areas/points": ("float64", ("corner", "xy")),
}


@pytest.fixture(scope="module")
def scene_dir(dataset_dir: Path) -> Path:
    (folder,) = dataset_dir.glob("scenes/*/*.zarr")
    return folder


def paths_of(path: str) -> list[str]:
    return [path.replace(CAMERA_FIELD, camera.name) for camera in tiny_record().rig.cameras]


def test_folders_of_a_data_set(dataset_dir: Path, scene_dir: Path) -> None:
    import hashlib

    scene_id = tiny_record().scene_id
    assert scene_dir.name == f"{scene_id}.zarr"
    assert scene_dir.parent.name == hashlib.sha256(scene_id.encode()).hexdigest()[:2]
    visible = {path.name for path in dataset_dir.iterdir()}
    assert visible == {"README.md", "manifest.json", "receipts", "scenes", "staging"}
    assert (dataset_dir / "receipts" / f"{scene_id}.json").is_file()


@pytest.mark.parametrize("path", CONTRACT)
def test_array_of_the_contract(scene_dir: Path, path: str) -> None:
    root = zarr.open(str(scene_dir), mode="r")
    dtype, dims = CONTRACT[path]
    for actual in sorted(set(paths_of(path))):
        array = root[actual]
        assert (str(array.dtype), array.metadata.dimension_names) == (dtype, dims)


def test_every_array_has_dimensions_a_unit_and_a_frame_and_is_in_the_table(scene_dir: Path) -> None:
    root = zarr.open(str(scene_dir), mode="r")
    arrays = {name: node for name, node in root.members(max_depth=None) if isinstance(node, zarr.Array)}
    assert set(arrays) == {
        actual
        for spec in ARRAYS
        if spec.path not in (*ANNOTATED2D_ARRAYS, LIDAR_TIMES)
        for actual in paths_of(spec.path)
    }
    for name, array in arrays.items():
        assert array.metadata.dimension_names is not None, name
        assert {"unit", "frame"} <= set(array.attrs), name
        assert '"crc32c"' in json.dumps(array.metadata.to_dict()["codecs"], default=str), name


def test_plain_zarr_returns_the_numbers(scene_dir: Path) -> None:
    root = zarr.open(str(scene_dir), mode="r")
    chunk = tiny_chunk(tiny_record(), start_step=0, num_steps=7)
    assert np.array_equal(root["occupancy/semantics"][:], chunk.occupancy)
    assert np.abs(root["cameras/CAM_BACK/rgb"][3].astype(int) - chunk.rgb[3, 3]).max() <= 8
    assert root["time/timestamp_us"][:4].tolist() == [0, 83333, 166667, 250000]


def test_zarr_finds_the_codec_by_entry_point_without_our_reader(scene_dir: Path) -> None:
    script = (
        "import sys, zarr\n"
        "assert not any(name.startswith('scenegen') for name in sys.modules)\n"
        "print(zarr.open(sys.argv[1], mode='r')['cameras/CAM_FRONT/rgb'][0].shape)"
    )
    from importlib.metadata import entry_points

    if not entry_points(group="zarr.codecs", name="scenegen.jpeg"):
        pytest.skip("scenegen is not installed here, so it has no entry points; `make setup` installs it")
    result = subprocess.run([sys.executable, "-c", script, str(scene_dir)], capture_output=True, text=True)
    assert result.stdout.strip() == "(24, 40, 3)", result.stderr


def test_xarray_opens_a_scene_without_a_warning(scene_dir: Path) -> None:
    xarray = pytest.importorskip("xarray")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = xarray.open_datatree(str(scene_dir), engine="zarr")
        occupancy = xarray.open_zarr(str(scene_dir), group="occupancy", consolidated=False)
    assert tree["cameras/CAM_FRONT"]["rgb"].dims == ("time", "y", "x", "rgb")
    assert tree["ego"]["ego2global"].shape == (7, 4, 4)
    assert occupancy["semantics"].shape == (7, 200, 200, 16)


def test_attributes_follow_their_schema(scene_dir: Path) -> None:
    attributes = dict(zarr.open(str(scene_dir), mode="r").attrs)
    jsonschema.Draft202012Validator(scene_attributes_schema()).validate(attributes)
    assert attributes["synthetic"] is True
    assert attributes["prompt"] == "a quiet street"


def test_scene_schema_in_the_repository_is_up_to_date() -> None:
    stored = (REPOSITORY / "datasets" / "scene.schema.json").read_text()
    assert stored == scene_schema_text(), scene_schema_text.__doc__


def test_format_reference_names_every_array() -> None:
    reference = (REPOSITORY / "datasets" / "README.md").read_text()
    for spec in ARRAYS:
        assert spec.path in reference, spec.path


def test_reading_needs_neither_torch_nor_ray_nor_hydra(dataset_dir: Path) -> None:
    script = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in BLOCKED:
            raise ImportError(f'{name} is blocked')
BLOCKED = {'torch', 'ray', 'hydra', 'omegaconf', 'numba', 'av', 'shapely', 'pydantic', 'rich'}
sys.meta_path.insert(0, Blocker())
from scenegen.dataset import open_dataset
from scenegen.dataset.verify import verify_dataset
scene = next(iter(open_dataset(sys.argv[1])))
scene.rgb('CAM_FRONT')[0:2], scene.boxes(0), scene.occupancy(0), scene.layout, scene.rig
scene.boxes2d(0, 'CAM_FRONT'), scene.lidar(0), scene.depth('CAM_BACK')[1], scene.occupancy(0).flow_mps
scene.bev_raster(0)
verify_dataset(sys.argv[1], deep=True).raise_on_damage()
print(sorted(BLOCKED & {name.split('.')[0] for name in sys.modules}))
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        [sys.executable, "-c", script, str(dataset_dir)], capture_output=True, text=True, env=environment
    )
    assert result.stdout.strip() == "[]", result.stderr
