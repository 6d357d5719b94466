"""A devkit root with pictures, sweeps and Occ3D labels, written by the test, as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scenegen.cli import main
from scenegen.dataset import open_dataset
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import SceneGenError
from scenegen.geometry.rigid import invert_rigid
from scenegen.layout.importers.nuscenes.log import read_nuscenes_logs
from scenegen.types import Semantic
from tests.unit.layout.importers.nuscenes_tables import EGO_MPS, STAMPS_US, Tables, small_tables, write_tables
from tests.unit.logs.small_sources import ground_points

pytest.importorskip("nuscenes", reason="the extra nuscenes is not installed")

SIZE_PX = (96, 64)
CAMERA_LATE_US = 40_000


def tables_with_sensors() -> Tables:
    """The small tables with a camera that exposes 40 ms after the sweep, from 40 ms farther on."""
    tables = small_tables()
    tables["sensor"] = [
        {"token": "lidar", "channel": "LIDAR_TOP", "modality": "lidar"},
        {"token": "camera", "channel": "CAM_FRONT", "modality": "camera"},
    ]
    tables["calibrated_sensor"] = [
        {"token": "lidar", "sensor_token": "lidar", "camera_intrinsic": [],
         "translation": [0.9, 0.0, 1.8], "rotation": [0.5**0.5, 0.0, 0.0, -(0.5**0.5)]},
        {"token": "camera", "sensor_token": "camera", "translation": [1.5, 0.0, 1.5],
         "rotation": [0.5, -0.5, 0.5, -0.5],
         "camera_intrinsic": [[60.0, 0.0, 48.0], [0.0, 60.0, 32.0], [0.0, 0.0, 1.0]]},
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    for idx, row in enumerate(tables["sample_data"]):
        rows.append({**row, "calibrated_sensor_token": "lidar", "filename": f"samples/LIDAR_TOP/{idx}.pcd.bin"})
        pose = dict(tables["ego_pose"][idx])
        x, y, z = pose["translation"]
        pose |= {"token": f"late-{idx}", "timestamp": row["timestamp"] + CAMERA_LATE_US}
        pose["translation"] = [x, y + EGO_MPS * CAMERA_LATE_US * 1e-6, z]
        tables["ego_pose"].append(pose)
        rows.append({
            **row, "token": f"picture-{idx}", "calibrated_sensor_token": "camera", "ego_pose_token": pose["token"],
            "timestamp": pose["timestamp"], "filename": f"samples/CAM_FRONT/{idx}.jpg",
            "width": SIZE_PX[0], "height": SIZE_PX[1],
        })  # fmt: skip
    tables["sample_data"] = rows
    return tables


def write_root(root: Path, tables: Tables, *, with_labels: bool = False) -> Path:
    """Write tables, tiny pictures, sweeps and, if asked, labels that have the car where the boxes have it."""
    write_tables(root, tables)
    for folder in ("LIDAR_TOP", "CAM_FRONT"):
        (root / "samples" / folder).mkdir(parents=True)
    x, y, z = ground_points(1.8).T
    rows = np.column_stack([-y, x, z, np.full(len(x), 20.0), np.zeros(len(x))]).astype("<f4")
    for idx in range(len(STAMPS_US)):
        (root / f"samples/LIDAR_TOP/{idx}.pcd.bin").write_bytes(rows.tobytes())
        Image.new("RGB", SIZE_PX, (30 * idx, 80, 90)).save(root / f"samples/CAM_FRONT/{idx}.jpg")
        if with_labels:
            semantics = np.full((200, 200, 16), Semantic.FREE, np.uint8)
            semantics[:, :, 2] = Semantic.DRIVEABLE_SURFACE
            semantics[147:153, 98:102, 3:6] = Semantic.CAR
            semantics[100:180, 150, 2:12] = Semantic.VEGETATION
            file = root / f"gts/scene-0001/sample-{idx}/labels.npz"
            file.parent.mkdir(parents=True)
            ones = np.ones_like(semantics)
            np.savez_compressed(file, semantics=semantics, mask_lidar=ones, mask_camera=ones)
    return root


def test_a_scene_with_pictures_sweeps_and_labels(tmp_path: Path) -> None:
    root = write_root(tmp_path / "nus", tables_with_sensors(), with_labels=True)
    assert main(["import-log", f"nuscenes:{root}/v1.0-mini/scene-0001", f"output={tmp_path / 'ds'}"]) == 0
    dataset = open_dataset(tmp_path / "ds")
    scene = dataset[dataset.scene_ids[0]]
    recording = scene.recording
    assert recording is not None and recording.world == "occ3d"
    assert recording.stamps_us == STAMPS_US
    assert recording.camera_stamps_us["CAM_FRONT"] == tuple(stamp + CAMERA_LATE_US for stamp in STAMPS_US)
    assert scene.rate_hz == 2.0 and scene.num_steps == 5
    assert "occupancy/semantics" not in recording.derived
    assert scene.occupancy(3).semantics[150, 100, 4] == Semantic.CAR
    assert scene.rgb("CAM_FRONT")[2].mean(axis=(0, 1)) == pytest.approx([60, 80, 90], abs=3)
    boxes = scene.boxes(0)
    names = [scene.layout.agents[track].agent_id for track in boxes.track_id]
    assert boxes.num_lidar_pts[names.index("car")] == 5
    car = boxes.center_world_m[names.index("car")]
    # 20 m ahead of an ego at the origin that drives along y; 1 m high over the ego's own height
    assert car == pytest.approx([0.0, 20.0, 1.0], abs=0.02)
    assert boxes.velocity_world_mps[names.index("car")] == pytest.approx([0.0, EGO_MPS], abs=0.2)
    # the camera sits where it was when it exposed: 6 m/s for 40 ms before its place on the car
    assert scene.cam2ego("CAM_FRONT")[:3, 3] == pytest.approx([1.5 + 0.24, 0.0, 1.5], abs=1e-6)
    assert verify_dataset(tmp_path / "ds", deep=True).damages == ()


def test_a_scene_without_labels_takes_its_sweeps(tmp_path: Path) -> None:
    root = write_root(tmp_path / "nus", tables_with_sensors())
    (log,) = read_nuscenes_logs(root)
    assert log.counts == {"samples": 5, "pictures": 5, "sweeps": 5, "annotations": 15, "Occ3D labels": 0}
    assert not log.has_occupancy
    sweep = log.steps[0].sweep
    assert sweep is not None
    assert sweep.ego_from_lidar == pytest.approx(
        np.array([[1.0, 0.0, 0.0, 0.9], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.8], [0.0, 0.0, 0.0, 1.0]])
    )
    image = log.steps[1].images["CAM_FRONT"]
    ahead_m = (invert_rigid(log.steps[1].source_from_ego) @ image.source_from_cam)[:3, 3]
    assert ahead_m == pytest.approx([1.74, 0.0, 1.5])


DAMAGE = {
    "picture elsewhere": ("sample_data", "picture-1", {"filename": "../../secret.jpg"}, "leads out of it"),
    "picture missing": ("sample_data", "picture-1", {"filename": "samples/CAM_FRONT/9.jpg"}, "an existing file"),
    "no intrinsics": ("calibrated_sensor", "camera", {"camera_intrinsic": []}, "a 3x3 matrix"),
    "mirrored intrinsics": (
        "calibrated_sensor", "camera",
        {"camera_intrinsic": [[-60.0, 0.0, 48.0], [0.0, 60.0, 32.0], [0.0, 0.0, 1.0]]}, "a pinhole",
    ),
    "camera pose that is none": (
        "calibrated_sensor", "camera", {"rotation": [1.0, 1.0, 0.0, 0.0]}, "a unit quaternion",
    ),
    "ego pose that is none": ("ego_pose", "late-2", {"rotation": [0.0, 0.0, 0.0, 0.0]}, "a unit quaternion"),
    "a picture of no size": ("sample_data", "picture-0", {"width": 0}, "a width and a height"),
    "a sample without its picture": ("sample_data", "picture-3", {"is_key_frame": False}, "a key frame of CAM_FRONT"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_malformed_roots(name: str, tmp_path: Path) -> None:
    table, token, change, expected = DAMAGE[name]
    tables = tables_with_sensors()
    next(row for row in tables[table] if row["token"] == token).update(change)
    root = write_root(tmp_path / "nus", tables)
    with pytest.raises(SceneGenError) as caught:
        read_nuscenes_logs(root)
    assert expected in str(caught.value)
    assert caught.value.where


def test_a_label_of_other_axes_is_refused_and_nothing_written(tmp_path: Path) -> None:
    tables = tables_with_sensors()
    for idx in range(3):  # three more cars in a row to the left, which make enough to tell
        for row in [row for row in tables["sample_annotation"] if row["instance_token"] == "car"]:
            x, y, z = row["translation"]
            other = {**row, "token": f"{row['token']}-{idx}", "instance_token": f"car-{idx}"}
            other["translation"] = [x - 5.0 * (idx + 1), y, z]
            other["prev"] = f"{row['prev']}-{idx}" if row["prev"] else ""
            other["next"] = f"{row['next']}-{idx}" if row["next"] else ""
            tables["sample_annotation"].append(other)
        tables["instance"].append({"token": f"car-{idx}", "category_token": "vehicle.car"})
    root = write_root(tmp_path / "nus", tables, with_labels=True)
    for idx in range(5):
        file = root / f"gts/scene-0001/sample-{idx}/labels.npz"
        with np.load(file) as stored:
            arrays = {name: np.ascontiguousarray(stored[name].swapaxes(0, 1)) for name in stored}
        np.savez_compressed(file, **arrays)
    assert main(["import-log", f"nuscenes:{root}", f"output={tmp_path / 'ds'}"]) == 2
    assert not (tmp_path / "ds").exists()
