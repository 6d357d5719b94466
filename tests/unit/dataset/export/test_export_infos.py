"""Info files of mmdet3d's older offspring, read as training code reads them and compared with the scene itself."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.dataset.columns import can_bus_of
from scenegen.dataset.export import FORMATS, export_dataset
from scenegen.dataset.export.keys import sample_token, token_of
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DatasetError
from scenegen.geometry.rigid import invert_rigid, transform_points
from tests.unit.dataset.export.export_scene import POINTS_PER_AGENT
from tests.unit.dataset.export.info_files import (
    KEY_STEPS,
    LEGACY,
    as_set,
    corners_lwh,
    corners_wlh,
    file_of,
    legacy_infos,
    pose_of,
    project,
    true_corners,
)
from tests.unit.dataset.tiny_scene import bare_chunks, tiny_record
from tests.unit.dataset.turning_scene import TRAIN_ID, VAL_ID


@pytest.mark.parametrize("name", LEGACY)
def test_projected_boxes_of_legacy_files_are_those_of_the_scene(
    exports: dict[str, Path], scene: Scene, name: str
) -> None:
    corners_of = corners_wlh if name == "bevformer" else corners_lwh
    num_compared = 0
    for info, step in zip(legacy_infos(exports, name), KEY_STEPS, strict=True):
        boxes = scene.boxes(step)
        assert info["gt_boxes"].shape == (len(boxes), 7)
        for camera_name, cam in info["cams"].items():
            camera = next(camera for camera in scene.rig.cameras if camera.name == camera_name)
            lidar2cam = np.eye(4)  # as their get_data_info computes it
            lidar2cam[:3, :3] = cam["sensor2lidar_rotation"].T
            lidar2cam[:3, 3] = -cam["sensor2lidar_rotation"].T @ cam["sensor2lidar_translation"]
            cam_from_world = invert_rigid(scene.ego2global[step] @ camera.ego_from_cam)
            for box, row in enumerate(info["gt_boxes"]):
                ours = transform_points(cam_from_world, true_corners(scene, step, box))
                theirs = transform_points(lidar2cam, corners_of(row))
                assert np.allclose(as_set(theirs), as_set(ours), atol=1e-5)
                if ours[:, 2].min() > 0.5:
                    pixels = project(theirs, cam["cam_intrinsic"])
                    assert np.allclose(as_set(pixels), as_set(project(ours, camera.K)), atol=1e-3)
                    num_compared += 1
    assert num_compared > 40


@pytest.mark.parametrize("name", LEGACY)
def test_poses_of_legacy_files_lead_to_the_same_place_by_either_way(exports: dict[str, Path], name: str) -> None:
    for info in legacy_infos(exports, name):
        lidar2ego, ego2global = pose_of(info, "lidar2ego"), pose_of(info, "ego2global")
        assert np.allclose(lidar2ego[:3, 1], [1.0, 0.0, 0.0])  # nuScenes: the LiDAR's y axis points ahead
        for sensor in (*info["cams"].values(), *info["sweeps"]):
            sensor2lidar = np.eye(4)
            sensor2lidar[:3, :3] = sensor["sensor2lidar_rotation"]
            sensor2lidar[:3, 3] = sensor["sensor2lidar_translation"]
            by_ego = pose_of(sensor, "ego2global") @ pose_of(sensor, "sensor2ego")
            assert np.allclose(ego2global @ lidar2ego @ sensor2lidar, by_ego, atol=1e-9)


@pytest.mark.parametrize("name", LEGACY)
def test_legacy_files_link_key_frames_and_mark_where_a_scene_begins(exports: dict[str, Path], name: str) -> None:
    for split, scene_id in (("train", TRAIN_ID), ("val", VAL_ID)):
        infos = legacy_infos(exports, name, split)
        tokens = [sample_token(scene_id, step) for step in KEY_STEPS]
        assert [info["token"] for info in infos] == tokens
        assert [info["prev"] for info in infos] == ["", *tokens[:-1]]
        assert [info["next"] for info in infos] == [*tokens[1:], ""]
        assert [info["frame_idx"] for info in infos] == [0, 1, 2, 3]
        assert {info["scene_token"] for info in infos} == {token_of(scene_id, "scene")}
        assert [len(info["sweeps"]) for info in infos] == [0, 1, 1, 1]
        assert np.diff([info["timestamp"] for info in infos]).tolist() == [500_000] * 3
        assert list(infos[0]["cams"])[:3] == ["CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT"]


@pytest.mark.parametrize("name", LEGACY)
def test_labels_of_legacy_files_are_those_of_the_scene(exports: dict[str, Path], scene: Scene, name: str) -> None:
    for info, step in zip(legacy_infos(exports, name), KEY_STEPS, strict=True):
        boxes = scene.boxes(step)
        assert info["gt_names"].tolist() == [boxes.category_names[code] for code in boxes.category]
        assert info["num_lidar_pts"].tolist() == [POINTS_PER_AGENT] * len(boxes)
        assert info["valid_flag"].all()
        lidar2global = scene.ego2global[step, :3, :3] @ pose_of(info, "lidar2ego")[:3, :3]
        velocity = np.concatenate([info["gt_velocity"], np.zeros((len(boxes), 1))], axis=1) @ lidar2global.T
        assert np.allclose(velocity[:, :2], boxes.velocity_world_mps)


@pytest.mark.parametrize("name", LEGACY)
def test_pictures_are_the_stored_files_byte_for_byte(exports: dict[str, Path], scene: Scene, name: str) -> None:
    for info, step in zip(legacy_infos(exports, name), KEY_STEPS, strict=True):
        for camera, cam in info["cams"].items():
            file = file_of(exports[name], cam["data_path"])
            assert file.read_bytes() == PictureFiles(scene, camera)[step].content
            assert np.array_equal(np.asarray(Image.open(file)), scene.rgb(camera)[step])


@pytest.mark.parametrize("name", LEGACY)
def test_points_of_the_written_sweep_lie_in_the_boxes(exports: dict[str, Path], name: str) -> None:
    for info in legacy_infos(exports, name):
        points = np.fromfile(file_of(exports[name], info["lidar_path"]), np.float32).reshape(-1, 5)[:, :3]
        for row, count in zip(info["gt_boxes"], info["num_lidar_pts"], strict=True):
            length, width = (row[4], row[3]) if name == "bevformer" else (row[3], row[4])
            yaw = -row[6] - np.pi / 2 if name == "bevformer" else row[6]
            forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
            offset = points - row[:3]
            inside = (np.abs(offset[:, :2] @ forward) < length / 2) & (np.abs(offset[:, :2] @ left) < width / 2)
            assert (inside & (np.abs(offset[:, 2]) < row[5] / 2)).sum() == count


def test_bevformer_can_bus_shifts_its_memory_forward(exports: dict[str, Path], scene: Scene) -> None:
    """BEVFormer's own formula must give the ego's motion along the axes of the LiDAR frame: x right, y forward."""
    infos = legacy_infos(exports, "bevformer")
    for before, after in pairwise(infos):
        delta = after["can_bus"][:3] - before["can_bus"][:3]
        length = np.hypot(*delta[:2])
        bev_angle = np.degrees(after["can_bus"][-2]) - np.degrees(np.arctan2(delta[1], delta[0]))
        shift_y, shift_x = length * np.cos(np.radians(bev_angle)), length * np.sin(np.radians(bev_angle))
        moved = invert_rigid(pose_of(after, "ego2global") @ pose_of(after, "lidar2ego"))[:3, :3] @ delta
        assert np.allclose([shift_x, shift_y], moved[:2], atol=1e-4)
        assert shift_y > 2.0
    expected = can_bus_of(scene.layout.ego, scene.layout.timeline)[list(KEY_STEPS)]
    assert np.allclose([info["can_bus"][3:] for info in infos], expected[:, 3:])
    positions = [info["ego2global_translation"] for info in infos]
    assert np.allclose([info["can_bus"][:3] for info in infos], positions)


def test_streampetr_has_the_visible_boxes_of_every_camera(exports: dict[str, Path], scene: Scene) -> None:
    num_seen = 0
    for info, step in zip(legacy_infos(exports, "streampetr"), KEY_STEPS, strict=True):
        for view, camera in enumerate(info["cams"]):
            seen = scene.boxes2d(step, camera)
            boxes = scene.boxes(step)
            kept = [n for n, box in enumerate(seen.box) if boxes.category[box] < 10 and seen.depth_m[n] > 0]
            assert np.array_equal(info["bboxes2d"][view], seen.xyxy_px[kept])
            assert np.array_equal(info["centers2d"][view], seen.center_px[kept])
            assert np.array_equal(info["depths"][view], seen.depth_m[kept])
            assert info["labels2d"][view].dtype == np.int64
            assert len(info["visibilities"][view]) == len(info["bboxes3d_cams"][view]) == len(kept)
            num_seen += len(kept)
            pixels = project(info["bboxes3d_cams"][view][:, :3], info["cams"][camera]["cam_intrinsic"])
            assert np.allclose(pixels, info["centers2d"][view], atol=1e-2)
    assert num_seen > 20


@pytest.mark.parametrize("name", ["bevdet", "flashocc"])
def test_bevdet_boxes_are_in_the_ego_frame(exports: dict[str, Path], scene: Scene, name: str) -> None:
    order = ["car", "truck", "construction_vehicle", "bus", "trailer"]
    order += ["barrier", "motorcycle", "bicycle", "pedestrian", "traffic_cone"]
    for info, step in zip(legacy_infos(exports, name), KEY_STEPS, strict=True):
        boxes = scene.boxes(step)
        rows, labels = info["ann_infos"]
        names = [boxes.category_names[code] for code in boxes.category]
        assert [order[label] for label in labels] == [word for word in names if word in order]
        chosen = [n for n, word in enumerate(names) if word in order]
        for row, box in zip(rows, chosen, strict=True):
            world = transform_points(scene.ego2global[step], corners_lwh(row))
            assert np.allclose(as_set(world), as_set(true_corners(scene, step, box)), atol=1e-6)
            velocity = scene.ego2global[step, :2, :2] @ row[7:]
            assert np.allclose(velocity, boxes.velocity_world_mps[box])


def test_flashocc_labels_are_the_voxels(exports: dict[str, Path], scene: Scene) -> None:
    for info, step in zip(legacy_infos(exports, "flashocc"), KEY_STEPS, strict=True):
        labels = np.load(file_of(exports["flashocc"], info["occ_path"]) / "labels.npz")
        occupancy = scene.occupancy(step)
        assert np.array_equal(labels["semantics"], occupancy.semantics)
        assert np.array_equal(labels["mask_camera"], occupancy.mask_camera)
        assert np.array_equal(labels["mask_lidar"], occupancy.mask_lidar)
        assert "scene-" in info["occ_path"]  # by which FlashOCC's evaluation finds the name


@pytest.mark.parametrize("name", LEGACY)
def test_legacy_files_hold_what_data_set_classes_read_in_the_form_they_read_it(
    exports: dict[str, Path], name: str
) -> None:
    """The keys of `get_data_info` and `get_ann_info` in mmdet3d before 1.1, BEVFormer, StreamPETR and BEVDet."""
    for info in legacy_infos(exports, name):
        for key in ("token", "lidar_path", "prev", "next", "scene_token"):
            assert isinstance(info[key], str), key
        assert isinstance(info["timestamp"], int) and isinstance(info["frame_idx"], int)  # microseconds, not seconds
        assert isinstance(info["sweeps"], list)
        for pose in ("lidar2ego", "ego2global"):
            assert np.linalg.norm(info[f"{pose}_rotation"]) == pytest.approx(1.0)
            assert np.shape(info[f"{pose}_translation"]) == (3,)
        for camera in info["cams"].values():
            assert isinstance(camera["data_path"], str) and isinstance(camera["timestamp"], int)
            assert camera["cam_intrinsic"].shape == camera["sensor2lidar_rotation"].shape == (3, 3)
            assert camera["sensor2lidar_translation"].shape == (3,)
        count = len(info["gt_names"])
        assert info["gt_boxes"].shape == (count, 7) and info["gt_velocity"].shape == (count, 2)
        assert info["gt_names"].dtype.kind == "U" and info["valid_flag"].dtype == np.bool_  # indexed by masks
        assert np.array_equal(info["valid_flag"], info["num_lidar_pts"] > 0)
        assert np.isfinite(info["gt_velocity"]).all()


def test_bevformer_can_bus_is_an_array_that_its_loader_may_write_to(exports: dict[str, Path]) -> None:
    for info in legacy_infos(exports, "bevformer"):
        assert info["can_bus"].shape == (18,) and info["can_bus"].dtype == np.float64
        info["can_bus"][:3] = info["ego2global_translation"]  # as its `get_data_info`


def test_streampetr_2d_labels_of_a_camera_are_arrays_of_one_length(exports: dict[str, Path]) -> None:
    for info in legacy_infos(exports, "streampetr"):
        for idx in range(len(info["cams"])):
            count = len(info["labels2d"][idx])
            assert info["bboxes2d"][idx].shape == (count, 4) and info["centers2d"][idx].shape == (count, 2)
            assert info["depths"][idx].shape == (count,) and info["bboxes_ignore"][idx].shape == (0, 4)
            assert info["labels2d"][idx].dtype == np.int64 and info["bboxes2d"][idx].dtype == np.float32


@pytest.mark.parametrize("name", ["bevdet", "flashocc"])
def test_bevdet_annotations_are_a_pair_that_becomes_rows_of_nine_and_labels(
    exports: dict[str, Path], name: str
) -> None:
    for info in legacy_infos(exports, name):
        rows, labels = info["ann_infos"]
        assert np.array(rows).reshape(-1, 9).shape == (len(labels), 9)
        assert all(isinstance(label, int) and 0 <= label < 10 for label in labels)


def test_files_lie_over_those_of_the_nuscenes_export(turning: Path, exports: dict[str, Path], tmp_path: Path) -> None:
    export_dataset(turning, format="nuscenes", out=tmp_path / "nuscenes")
    for name in ("bevformer", "mmdet3d"):
        files = sorted(exports[name].glob("samples/*/*"))
        assert len(files) == 2 * len(KEY_STEPS) * 7  # of two scenes, six cameras and the LiDAR
        for file in files:
            assert file.read_bytes() == (tmp_path / "nuscenes" / file.relative_to(exports[name])).read_bytes()


def test_scenes_without_labels_and_formats_that_need_them(tmp_path: Path) -> None:
    from scenegen.dataset import fold_receipts, open_scene_writer

    record = tiny_record()
    with open_scene_writer(tmp_path / "bare", record) as writer:
        for chunk in bare_chunks(record):
            writer.append(chunk)
        writer.commit(scores={}, cost={})
    fold_receipts(tmp_path / "bare")
    for name in (*LEGACY, "mmdet3d"):
        assert name in FORMATS
        with pytest.raises(DatasetError, match="without it"):
            export_dataset(tmp_path / "bare", format=name, out=tmp_path / name)
        assert not (tmp_path / name).exists()
