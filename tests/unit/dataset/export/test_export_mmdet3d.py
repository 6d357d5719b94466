"""Info files of mmdet3d 1.1 and later, compared with the scene itself and with a real file."""

from __future__ import annotations

import io
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.dataset.export.camera_boxes import turn_around_y
from scenegen.dataset.stored_scene import Scene
from scenegen.geometry.rigid import invert_rigid, transform_points
from tests.conftest import need_recorded
from tests.unit.dataset.export.info_files import (
    KEY_STEPS,
    SIGNS,
    as_set,
    corners_lwh,
    file_of,
    load,
    true_corners,
)


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
    need_recorded(file)
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
    need_recorded(file)
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
