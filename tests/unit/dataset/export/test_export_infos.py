"""Info files of the mmdet3d family, read as training code reads them and compared with the scene itself."""

from __future__ import annotations

import io
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scenegen.dataset import open_dataset
from scenegen.dataset.columns import can_bus_of
from scenegen.dataset.export import FORMATS, export_dataset
from scenegen.dataset.export.camera_boxes import turn_around_y
from scenegen.dataset.export.keys import sample_token, token_of
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.wireframe import box_corners_world_m
from scenegen.errors import DatasetError
from scenegen.geometry.rigid import invert_rigid, transform_points
from tests.unit.dataset.export.export_scene import POINTS_PER_AGENT
from tests.unit.dataset.tiny_scene import bare_chunks, tiny_record
from tests.unit.dataset.turning_scene import TRAIN_ID, VAL_ID

KEY_STEPS = (0, 6, 12, 18)
LEGACY = {
    "bevformer": "nuscenes_infos_temporal_{}.pkl",
    "streampetr": "nuscenes2d_temporal_infos_{}.pkl",
    "bevdet": "bevdetv2-nuscenes_infos_{}.pkl",
    "flashocc": "bevdetv2-nuscenes_infos_{}.pkl",
}
SIGNS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


class PlainUnpickler(pickle.Unpickler):
    """Knows numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}
        assert (module, name) in allowed, f"{module}.{name} in the pickle"
        return super().find_class(module, name)


def load(path: Path) -> Any:
    return PlainUnpickler(io.BytesIO(path.read_bytes())).load()


@pytest.fixture(scope="module")
def scene(turning: Path) -> Scene:
    return open_dataset(turning)[TRAIN_ID]


@pytest.fixture(scope="module")
def exports(turning: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("infos")
    for name in (*LEGACY, "mmdet3d"):
        export_dataset(turning, format=name, out=root / name)
    return {name: root / name for name in (*LEGACY, "mmdet3d")}


def legacy_infos(exports: dict[str, Path], name: str, split: str = "train") -> list[dict[str, Any]]:
    content = load(exports[name] / LEGACY[name].format(split))
    assert content["metadata"] == {"version": "v1.0-scenegen"}
    return sorted(content["infos"], key=lambda info: info["timestamp"])  # as mmdet3d does


def pose_of(info: dict[str, Any], name: str) -> np.ndarray:
    """Rebuild a pose from its quaternion as the devkit does."""
    w, x, y, z = info[f"{name}_rotation"]
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = info[f"{name}_translation"]
    return pose


def corners_lwh(row: np.ndarray) -> np.ndarray:
    """Corners of x, y, z (middle), l, w, h, yaw as mmdet3d 1.0 turns them: counter-clockwise."""
    cos, sin = np.cos(row[6]), np.sin(row[6])
    return (SIGNS * row[3:6]) @ np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]).T + row[:3]


def corners_wlh(row: np.ndarray) -> np.ndarray:
    """Corners of x, y, z (middle), w, l, h, yaw as mmdet3d 0.17 turns them: w along x, l along y, clockwise."""
    cos, sin = np.cos(row[6]), np.sin(row[6])
    return (SIGNS * row[3:6]) @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]).T + row[:3]


def true_corners(scene: Scene, step: int, box: int) -> np.ndarray:
    boxes = scene.boxes(step)
    w, _, _, z = boxes.rotation_wxyz[box]
    return box_corners_world_m(boxes.center_world_m[box], boxes.size_lwh_m[box], heading_rad=2.0 * np.arctan2(z, w))


def as_set(points: np.ndarray) -> np.ndarray:
    rounded = np.round(points, 6) + 0.0
    return rounded[np.lexsort(rounded.T)]


def project(points_cam: np.ndarray, K: np.ndarray) -> np.ndarray:
    homogeneous = points_cam @ K.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


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


def file_of(folder: Path, data_path: str) -> Path:
    assert data_path.startswith("./data/nuscenes/")
    return folder / data_path.removeprefix("./data/nuscenes/")


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


@pytest.fixture(scope="module")
def v2(exports: dict[str, Path]) -> dict[str, Any]:
    content: dict[str, Any] = load(exports["mmdet3d"] / "nuscenes_infos_train.pkl")
    return content


def test_mmdet3d_boxes_project_as_those_of_the_scene(v2: dict[str, Any], scene: Scene) -> None:
    assert [info["sample_idx"] for info in v2["data_list"]] == [0, 1, 2, 3]
    for info, step in zip(v2["data_list"], KEY_STEPS, strict=True):
        for name, image in info["images"].items():
            camera = next(camera for camera in scene.rig.cameras if camera.name == name)
            assert np.allclose(image["cam2img"], camera.K)
            cam_from_world = invert_rigid(scene.ego2global[step] @ camera.ego_from_cam)
            for box, instance in enumerate(info["instances"]):
                theirs = transform_points(np.array(image["lidar2cam"]), corners_lwh(np.array(instance["bbox_3d"])))
                ours = transform_points(cam_from_world, true_corners(scene, step, box))
                assert np.allclose(as_set(theirs), as_set(ours), atol=1e-6)


def test_mmdet3d_sweeps_lead_from_one_lidar_to_the_other(
    v2: dict[str, Any], exports: dict[str, Path], scene: Scene
) -> None:
    for before, info in pairwise(v2["data_list"]):
        (sweep,) = info["lidar_sweeps"]
        assert file_of(exports["mmdet3d"], sweep["lidar_points"]["lidar_path"]).is_file()
        path = exports["mmdet3d"] / "samples" / "LIDAR_TOP" / before["lidar_points"]["lidar_path"]
        points = np.fromfile(path, np.float32).reshape(-1, 5)[:, :3].astype(np.float64)
        by_world = invert_rigid(np.array(info["ego2global"]) @ info["lidar_points"]["lidar2ego"]) @ (
            np.array(before["ego2global"]) @ before["lidar_points"]["lidar2ego"]
        )
        lidar2sensor = np.array(sweep["lidar_points"]["lidar2sensor"])
        undone = (points - lidar2sensor[:3, 3]) @ lidar2sensor[:3, :3]
        assert np.allclose(undone, transform_points(by_world, points), atol=1e-9)


def test_mmdet3d_camera_instances_turn_around_the_axis_that_points_down(v2: dict[str, Any], scene: Scene) -> None:
    categories = {index: name for name, index in v2["metainfo"]["categories"].items() if index >= 0}
    num_compared = 0
    for info, step in zip(v2["data_list"], KEY_STEPS, strict=True):
        boxes = scene.boxes(step)
        names = [boxes.category_names[code] for code in boxes.category]
        for name, instances in info["cam_instances"].items():
            camera = next(camera for camera in scene.rig.cameras if camera.name == name)
            cam_from_world = invert_rigid(scene.ego2global[step] @ camera.ego_from_cam)
            for instance in instances:
                box = names.index(categories[instance["bbox_label"]])  # one agent of every category
                x, y, z, length, height, width, turn = instance["bbox_3d"]
                cos, sin = np.cos(turn), np.sin(turn)
                around_y = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
                corners = (SIGNS * [length, height, width]) @ around_y.T + [x, y, z]
                ours = transform_points(cam_from_world, true_corners(scene, step, box))
                assert np.allclose(as_set(corners), as_set(ours), atol=1e-6)
                assert np.isclose(instance["depth"], z, atol=1e-4)
                assert instance["attr_label"] == {"traffic_cone": 8, "barrier": 8}.get(
                    names[box], instance["attr_label"]
                )
                num_compared += 1
    assert num_compared > 20


def test_mmdet3d_files_have_the_keys_of_the_real_ones(v2: dict[str, Any], shared_data: Path) -> None:
    file = shared_data / "nuscenes_mini" / "keyframe_scene-0061_info.pkl"
    if not file.is_file():
        pytest.skip(f"no real info file at {file}")
    real = RealUnpickler(io.BytesIO(file.read_bytes())).load()
    ours, theirs = v2["data_list"][1], real["data_list"][0]
    assert set(real["metainfo"]) <= set(v2["metainfo"])
    classes = {name: index for name, index in v2["metainfo"]["categories"].items() if index >= 0}
    assert classes == real["metainfo"]["categories"]
    assert set(theirs) <= set(ours)
    assert set(theirs["images"]["CAM_FRONT"]) <= set(ours["images"]["CAM_FRONT"])
    assert set(theirs["lidar_points"]) <= set(ours["lidar_points"])
    assert set(theirs["instances"][0]) <= set(ours["instances"][0])
    seen = next(instances[0] for instances in ours["cam_instances"].values() if instances)
    assert set(theirs["cam_instances"]["CAM_FRONT"][0]) <= set(seen)


def test_turns_in_camera_frames_are_those_of_a_real_file(shared_data: Path) -> None:
    """Boxes of the LiDAR frame, taken to the camera by our formula, must be those that mmdet3d's converter wrote."""
    file = shared_data / "nuscenes_mini" / "keyframe_scene-0061_info.pkl"
    if not file.is_file():
        pytest.skip(f"no real info file at {file}")
    info = RealUnpickler(io.BytesIO(file.read_bytes())).load()["data_list"][0]
    lidar2cam = np.array(info["images"]["CAM_FRONT"]["lidar2cam"])
    rows = np.array([instance["bbox_3d"] for instance in info["instances"]])
    centers = transform_points(lidar2cam, rows[:, :3])
    heading = np.stack([np.cos(rows[:, 6]), np.sin(rows[:, 6]), np.zeros(len(rows))], axis=1) @ lidar2cam[:3, :3].T
    turns = turn_around_y(heading)
    for instance in info["cam_instances"]["CAM_FRONT"]:
        row = np.array(instance["bbox_3d"])
        box = int(np.argmin(np.linalg.norm(centers - row[:3], axis=1)))
        assert np.linalg.norm(centers[box] - row[:3]) < 0.6  # the sensors of a real key frame are not simultaneous
        assert np.allclose(rows[box, 3:6][[0, 2, 1]], row[3:6])
        assert abs(np.angle(np.exp(1j * (turns[box] - row[6])))) < 0.05


class RealUnpickler(pickle.Unpickler):
    """Knows what the README of the real data says the file needs."""

    def find_class(self, module: str, name: str) -> Any:
        assert module.split(".")[0] in ("numpy", "_codecs"), f"{module}.{name}"
        assert name in ("ndarray", "dtype", "_reconstruct", "scalar", "encode"), f"{module}.{name}"
        return super().find_class(module, name)


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


def test_mmdet3d_instances_have_one_set_of_keys_and_labels_that_its_mapping_knows(v2: dict[str, Any]) -> None:
    """`parse_ann_info` takes the keys of the first instance, and maps labels -1 to 9."""
    for info in v2["data_list"]:
        assert isinstance(info["timestamp"], float) and isinstance(info["sample_idx"], int)  # seconds, not microseconds
        assert isinstance(info["lidar_points"]["num_pts_feats"], int)
        for image in info["images"].values():
            assert np.shape(image["cam2img"]) == (3, 3) and np.shape(image["lidar2cam"]) == (4, 4)
        for instances in (info["instances"], *info["cam_instances"].values()):
            for instance in instances:
                assert instance.keys() == instances[0].keys()
                assert instance["bbox_label_3d"] == instance["bbox_label"] in range(-1, 10)
                assert np.shape(instance["bbox_3d"]) == (7,) and np.shape(instance["velocity"]) == (2,)


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
