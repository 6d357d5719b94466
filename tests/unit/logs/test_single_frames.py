"""KITTI object frames and nuScenes key frames as data sets, and the counts of the recorded ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scenegen.cli import main
from scenegen.dataset import open_dataset
from scenegen.dataset.verify import verify_dataset
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.layout.importers.kitti_object import read_kitti_logs
from scenegen.layout.importers.nuscenes_keyframe import read_keyframe_logs
from scenegen.types.recorded_log import RecordedLog
from tests.conftest import need_recorded
from tests.unit.logs.small_sources import write_keyframe, write_kitti

CAR = "Car 0.00 0 0.0 100 30 140 60 1.5 1.8 4.2 0.0 1.65 15.0 -1.57"
CYCLIST = "Cyclist 0.00 0 0.0 10 30 40 60 1.7 0.6 1.8 -6.0 1.65 12.0 0.0"
DONT_CARE = "DontCare -1 -1 -10 503 169 590 190 -1 -1 -1 -1000 -1000 -1000 -10"


def test_every_kitti_frame_is_a_scene_with_its_labels(tmp_path: Path) -> None:
    root = write_kitti(tmp_path / "kitti", {"000003": [CAR, CYCLIST, DONT_CARE], "000004": [CAR]})
    assert main(["import-log", f"kitti:{root}", f"output={tmp_path / 'ds'}"]) == 0
    dataset = open_dataset(tmp_path / "ds")
    assert [scene_id.rpartition("-")[0] for scene_id in dataset.scene_ids] == ["kitti-000003", "kitti-000004"]
    scene = dataset[dataset.scene_ids[0]]
    boxes = scene.boxes(0)
    assert [boxes.category_names[code] for code in boxes.category] == ["car", "bicycle"]
    # 15 m before the camera, which sits 0.27 m before the Velodyne, 0.76 m before the axle; 0.06 m to its right
    assert boxes.center_world_m[0] == pytest.approx([15.0 + 0.27 + 0.76, 0.0, 0.75], abs=0.02)
    assert boxes.attribute[1] == "cycle.with_rider"
    assert scene.annotated2d(0, "CAM_LEFT").word == ("Car", "Cyclist", "DontCare")
    assert scene.annotated2d(0, "CAM_LEFT").track_id.tolist() == [0, 1, -1]
    assert scene.attrs["source"]["licence"].startswith("CC BY-NC-SA 3.0")
    assert verify_dataset(tmp_path / "ds", deep=True).damages == ()


def test_one_kitti_frame_by_name(tmp_path: Path) -> None:
    root = write_kitti(tmp_path, {"000003": [CAR], "000004": [CAR]})
    assert [log.log_id for log in read_kitti_logs(root / "000004")] == ["kitti-000004"]


def test_a_key_frame_with_velocity_sweep_and_boxes_of_no_class(tmp_path: Path) -> None:
    write_keyframe(tmp_path / "nus")
    arguments = [f"nuscenes_keyframe:{tmp_path / 'nus'}", f"output={tmp_path / 'ds'}", "width_px=160"]
    assert main(["import-log", *arguments]) == 0
    dataset = open_dataset(tmp_path / "ds")
    scene = dataset[dataset.scene_ids[0]]
    boxes = scene.boxes(0)
    assert [boxes.category_names[code] for code in boxes.category] == ["car", "other"]
    assert boxes.center_world_m[0] == pytest.approx([12.0, 0.0, 0.8], abs=0.02)
    assert boxes.velocity_world_mps.round(6).tolist() == [[3.0, 0.0], [0.0, 0.0]]
    assert boxes.num_lidar_pts.tolist() == [7, 0]
    sweep = scene.lidar(0)
    assert sweep.ring.max() == 31
    wall_m = sweep.points_lidar_m[sweep.points_lidar_m[:, 2] > -1.7]
    assert np.abs(wall_m[:, 1] - 15.0).max() < 1e-4  # left is +y in frame `lidar`
    assert verify_dataset(tmp_path / "ds", deep=True).damages == ()


def _centers_in_pictures(log: RecordedLog) -> dict[str, int]:
    step = log.steps[0]
    centers_m = np.stack([box.ego_from_box[:3, 3] for box in step.boxes])
    found = {}
    for camera in log.cameras:
        cam_from_ego = invert_rigid(step.images[camera.name].source_from_cam) @ step.source_from_ego
        in_cam_m = transform_points(cam_from_ego, centers_m)
        uv_px = (in_cam_m @ camera.K.T)[:, :2] / in_cam_m[:, 2:]
        is_inside = (in_cam_m[:, 2] > 0) & (uv_px >= 0).all(axis=1) & (uv_px < camera.size_px).all(axis=1)
        found[camera.name] = int(is_inside.sum())
    return found


def test_recorded_kitti_frames_have_the_labels_of_their_readme(shared_data: Path) -> None:
    logs = read_kitti_logs(need_recorded(shared_data / "kitti_object"))
    words = [[box.source_category for box in log.steps[0].boxes] for log in logs]
    assert words == [["Pedestrian"], ["Truck", "Car", "Cyclist"], ["Misc", "Car"]]
    assert [log.cameras[0].size_px for log in logs] == [(1224, 370), (1242, 375), (1242, 375)]
    assert logs[1].counts["DontCare"] == 4
    assert [_centers_in_pictures(log)["CAM_LEFT"] for log in logs] == [1, 3, 2]


def test_the_recorded_key_frame_has_the_counts_of_its_readme(shared_data: Path) -> None:
    (log,) = read_keyframe_logs(need_recorded(shared_data / "nuscenes_mini" / "keyframe_scene-0061_info.pkl"))
    assert len(log.steps[0].boxes) == 69
    expected = {"CAM_FRONT": 47, "CAM_BACK": 10, "CAM_BACK_LEFT": 2, "CAM_FRONT_RIGHT": 16, "CAM_FRONT_LEFT": 1}
    assert _centers_in_pictures(log) == {**expected, "CAM_BACK_RIGHT": 4}
    own = {name: len(image.boxes2d or ()) for name, image in log.steps[0].images.items()}
    listed = {"CAM_FRONT": 47, "CAM_BACK": 10, "CAM_BACK_LEFT": 2, "CAM_FRONT_RIGHT": 18, "CAM_FRONT_LEFT": 2}
    assert own == {**listed, "CAM_BACK_RIGHT": 5}
    assert all(box.track_id for image in log.steps[0].images.values() for box in image.boxes2d or ())


def test_the_recorded_key_frame_has_the_calibration_of_the_tables(shared_data: Path) -> None:
    folder = need_recorded(shared_data / "nuscenes_mini")
    (log,) = read_keyframe_logs(folder)
    tables = {
        name: {row["token"]: row for row in json.loads((folder / f"v1.0-onesample/{name}.json").read_text())}
        for name in ("sample_data", "calibrated_sensor", "sensor")
    }
    for row in tables["sample_data"].values():
        calibrated = tables["calibrated_sensor"][row["calibrated_sensor_token"]]
        name = tables["sensor"][calibrated["sensor_token"]]["channel"]
        camera = next((camera for camera in log.cameras if camera.name == name), None)
        if camera is not None:
            assert np.allclose(camera.K, calibrated["camera_intrinsic"])
            assert np.allclose(camera.ego_from_cam[:3, 3], calibrated["translation"], atol=1e-5)
            assert log.steps[0].images[name].path.name == Path(row["filename"]).name
            assert log.steps[0].images[name].stamp_us == row["timestamp"]
