"""Occ3D, COCO, KITTI and videos, read back with the readers people use."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.dataset.export import export_dataset
from scenegen.dataset.export.keys import sample_token
from scenegen.dataset.read import Dataset
from scenegen.geometry.rigid import invert_rigid, transform_points
from tests.conftest import need_recorded

KEY_STEPS = [0, 6, 12, 18]


@pytest.fixture(scope="module")
def occ3d(exported_as: Callable[[str], Path]) -> Path:
    return exported_as("occ3d")


@pytest.fixture(scope="module")
def coco(exported_as: Callable[[str], Path]) -> Path:
    return exported_as("coco")


@pytest.fixture(scope="module")
def kitti(exported_as: Callable[[str], Path]) -> Path:
    return exported_as("kitti")


def test_occ3d_labels_are_the_voxels_of_the_key_frames(occ3d: Path, dataset: Dataset) -> None:
    for idx, scene in enumerate(dataset):
        for step in KEY_STEPS:
            token = sample_token(scene.scene_id, step)
            labels = np.load(occ3d / "gts" / f"scene-{2000 + idx}" / token / "labels.npz")
            assert sorted(labels) == ["mask_camera", "mask_lidar", "semantics"]
            occupancy = scene.occupancy(step)
            for name in labels:
                assert labels[name].dtype == np.uint8
                assert labels[name].shape == (200, 200, 16)
                assert (labels[name] == getattr(occupancy, name)).all()
            assert labels["semantics"].max() == 17
    assert len(list(occ3d.glob("gts/*/*/labels.npz"))) == 8


def test_occ3d_annotations_link_to_the_nuscenes_export(occ3d: Path, labelled_dataset: Path, tmp_path: Path) -> None:
    export_dataset(labelled_dataset, format="nuscenes", out=tmp_path / "out")
    tables = {
        name: {row["token"]: row for row in json.loads((tmp_path / f"out/v1.0-scenegen/{name}.json").read_text())}
        for name in ("sample", "sample_data", "scene", "ego_pose")
    }
    annotations = json.loads((occ3d / "annotations.json").read_text())
    assert (annotations["train_split"], annotations["val_split"]) == (["scene-2000"], ["scene-2001"])
    names = {row["name"]: row for row in tables["scene"].values()}
    for name, infos in annotations["scene_infos"].items():
        token = names[name]["first_sample_token"]
        before = "EOF"
        while token:
            info = infos[token]
            assert info["prev"] == before
            assert (occ3d / info["gt_path"]).is_file()
            assert int(info["timestamp"]) == tables["sample"][token]["timestamp"]
            assert len(info["camera_sensor"]) == 6
            for camera, sensor in info["camera_sensor"].items():
                assert tables["sample_data"][camera]["filename"] == sensor["img_path"]
                assert (tmp_path / "out" / sensor["img_path"]).is_file()
                assert tables["ego_pose"][camera]["translation"] == sensor["ego_pose"]["translation"]
            before, token = token, tables["sample"][token]["next"]
            assert info["next"] == (token or "EOF")
        assert len(infos) == 4


def test_occ3d_has_the_layout_of_the_real_thing(occ3d: Path, shared_data: Path) -> None:
    real = next(need_recorded(shared_data / "occ3d_nuscenes").rglob("labels.npz"))
    ours = next(occ3d.glob("gts/*/*/labels.npz"))
    theirs, mine = np.load(real), np.load(ours)
    assert {name: (theirs[name].shape, theirs[name].dtype) for name in theirs} == {
        name: (mine[name].shape, mine[name].dtype) for name in mine
    }
    real_root = shared_data / "occ3d_nuscenes"
    assert len(real.relative_to(real_root).parts) == len(ours.relative_to(occ3d).parts)


@pytest.mark.skipif(
    importlib.util.find_spec("pycocotools") is None,
    reason="pycocotools, which comes with nuscenes-devkit, is not installed: scenegen[nuscenes]",
)
def test_pycocotools_opens_the_boxes_and_scores_them_one(coco: Path, dataset: Dataset) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    reader = COCO(str(coco / "annotations" / "instances_train.json"))
    scene = dataset["all-00c0ffee"]
    assert len(reader.getImgIds()) == 19 * 6
    for picture in reader.loadImgs(reader.getImgIds()):
        with Image.open(coco / "images" / picture["file_name"]) as image:
            assert image.size == (picture["width"], picture["height"])
        seen = scene.boxes2d(picture["step"], picture["camera"])
        rows = reader.loadAnns(reader.getAnnIds(imgIds=picture["id"]))
        assert len(rows) == len(seen)
        boxes = scene.boxes(picture["step"])
        for row, box, corners in zip(rows, seen.box, seen.xyxy_px, strict=True):
            x, y, width, height = row["bbox"]
            assert [x, y, x + width, y + height] == corners.tolist()
            assert reader.loadCats(row["category_id"])[0]["name"] == boxes.category_names[boxes.category[box]]
            assert row["track_id"] == boxes.track_id[box]
    results = [
        {key: row[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1.0}
        for row in reader.dataset["annotations"]
    ]
    evaluation = COCOeval(reader, reader.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_kitti_labels_project_into_their_boxes(kitti: Path, dataset: Dataset) -> None:
    rows = list(csv.DictReader((kitti / "frames.csv").open()))
    assert len(rows) == 8
    assert {row["camera"] for row in rows} == {"CAM_FRONT"}
    for row in rows:
        scene, step = dataset[row["scene_id"]], int(row["step"])
        folder, number = kitti / row["split"], row["number"]
        with Image.open(folder / "image_2" / f"{number}.png") as image:
            assert (np.asarray(image) == scene.rgb("CAM_FRONT")[step]).all()
        seen, boxes = scene.boxes2d(step, "CAM_FRONT"), scene.boxes(step)
        lines = (folder / "label_2" / f"{number}.txt").read_text().splitlines()
        assert len(lines) == len(seen) > 0
        cam_from_world = invert_rigid(scene.ego2global[step] @ scene.cam2ego("CAM_FRONT"))
        for line, box, corners in zip(lines, seen.box, seen.xyxy_px, strict=True):
            values = [float(value) for value in line.split()[1:]]
            assert len(values) == 14
            assert values[3:7] == pytest.approx(corners, abs=1e-3)  # the visible pixels, not the projected box
            height, width, length = values[7:10]
            assert [length, width, height] == pytest.approx(boxes.size_lwh_m[box], abs=1e-4)
            center = np.array(values[10:13]) - [0.0, 0.5 * height, 0.0]
            assert center == pytest.approx(transform_points(cam_from_world, boxes.center_world_m[box]), abs=1e-3)


def _calibration(path: Path) -> dict[str, np.ndarray]:
    lines = [line.split(":") for line in path.read_text().splitlines() if line.strip()]
    return {name: np.array(values.split(), np.float64) for name, values in lines}


def test_kitti_lidar_lands_in_the_picture_where_the_agents_are(kitti: Path, dataset: Dataset) -> None:
    row = next(csv.DictReader((kitti / "frames.csv").open()))
    scene, step = dataset[row["scene_id"]], int(row["step"])
    folder = kitti / row["split"]
    calibration = _calibration(folder / "calib" / f"{row['number']}.txt")
    points = np.fromfile(folder / "velodyne" / f"{row['number']}.bin", np.float32).reshape(-1, 4)
    sweep = scene.lidar(step)
    assert len(points) == len(sweep)
    cam = points[:, :3] @ calibration["Tr_velo_to_cam"].reshape(3, 4)[:, :3].T
    cam += calibration["Tr_velo_to_cam"].reshape(3, 4)[:, 3]
    image = np.concatenate([cam, np.ones((len(cam), 1))], axis=1) @ calibration["P2"].reshape(3, 4).T
    seen = scene.boxes2d(step, "CAM_FRONT")
    for box, corners in zip(seen.box, seen.xyxy_px, strict=True):
        mine = image[(sweep.box == box) & (cam[:, 2] > 0.5)]
        uv = np.clip(mine[:, :2] / mine[:, 2:], 0.0, [40.0, 24.0])
        assert ((uv >= corners[:2] - 1.0) & (uv <= corners[2:] + 1.0)).all()


@pytest.mark.skipif(
    importlib.util.find_spec("nuscenes") is None, reason="nuscenes-devkit is not installed: scenegen[nuscenes]"
)
def test_the_devkits_kitti_reader_gives_our_boxes_back(kitti: Path, dataset: Dataset) -> None:
    from nuscenes.utils.kitti import KittiDB

    reader = KittiDB(root=str(kitti), splits=("train",))
    scene = dataset["all-00c0ffee"]
    assert len(reader.tokens) == 4
    compared = 0
    for token, step in zip(reader.tokens, KEY_STEPS, strict=True):
        boxes = scene.boxes(step)
        lidar_from_world = invert_rigid(scene.ego2global[step] @ scene.lidar2ego)
        for box in reader.get_boxes(token):
            row = int(np.flatnonzero(np.isclose(boxes.size_lwh_m[:, 0], box.wlh[1], atol=1e-3))[0])
            x, y, z = transform_points(lidar_from_world, boxes.center_world_m[row])
            assert box.center == pytest.approx([-y, x, z], abs=2e-3)  # the reader turns to nuScenes' LiDAR frame
            heading = 2.0 * np.arctan2(boxes.rotation_wxyz[row, 3], boxes.rotation_wxyz[row, 0])
            forward = box.orientation.rotation_matrix[:2, 0]
            assert forward == pytest.approx([-np.sin(heading), np.cos(heading)], abs=1e-3)
            compared += 1
    assert compared >= 4


def test_kitti_files_have_the_form_of_the_real_thing(kitti: Path, shared_data: Path) -> None:
    real = shared_data / "kitti_object" / "training"
    need_recorded(real)
    ours = kitti / "train"
    for folder in ("calib", "label_2", "image_2", "velodyne"):
        theirs = sorted((real / folder).iterdir())[0]
        assert (ours / folder / theirs.name).is_file()
    theirs, mine = (_calibration(path / "calib" / "000000.txt") for path in (real, ours))
    assert {name: value.size for name, value in theirs.items()} == {name: value.size for name, value in mine.items()}
    line = (real / "label_2" / "000000.txt").read_text().splitlines()[0]
    assert len(line.split()) == len((ours / "label_2" / "000000.txt").read_text().splitlines()[0].split())


def test_videos_hold_every_step_in_order(labelled_dataset: Path, dataset: Dataset, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    export_dataset(labelled_dataset, format="mp4", out=tmp_path / "out")
    for scene in dataset:
        folder = tmp_path / "out" / scene.scene_id
        names = sorted(path.name for path in folder.iterdir())
        assert names == sorted([*(f"{camera}.mp4" for camera in scene.cameras), "mosaic.mp4", "timestamps.csv"])
        with av.open(str(folder / "CAM_FRONT.mp4")) as video:
            assert video.streams.video[0].codec_context.name == "h264"
            frames = [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)]
        stored = scene.rgb("CAM_FRONT")[:]
        assert len(frames) == 19
        for step, (seconds, frame) in enumerate(frames):
            assert seconds == pytest.approx(scene.timestamps_us[step] / 1e6, abs=1e-4)
            assert np.abs(frame.astype(float) - stored[step]).mean() < 6.0
        rows = list(csv.DictReader((folder / "timestamps.csv").open()))
        assert [int(row["timestamp_us"]) for row in rows] == scene.timestamps_us.tolist()
        assert [int(row["step"]) for row in rows if row["is_key_frame"] == "1"] == KEY_STEPS
