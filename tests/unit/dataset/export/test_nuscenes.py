"""The nuScenes export, read back by the stock devkit."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.dataset.detection_boxes import LIDAR_FROM_NUSCENES
from scenegen.dataset.export import export_dataset
from scenegen.dataset.export.nuscenes.sheet import build_sheet
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.read import Dataset
from tests.unit.dataset.export.devkit_scores import score_detection, score_tracking

VERSION = "v1.0-scenegen"
KEY_STEPS = [0, 6, 12, 18]
TABLES = {
    "attribute": {},
    "calibrated_sensor": {"sensor_token": "sensor"},
    "category": {},
    "ego_pose": {},
    "instance": {
        "category_token": "category",
        "first_annotation_token": "sample_annotation",
        "last_annotation_token": "sample_annotation",
    },
    "log": {},
    "map": {},
    "sample": {"scene_token": "scene", "prev": "sample", "next": "sample"},
    "sample_annotation": {
        "sample_token": "sample",
        "instance_token": "instance",
        "visibility_token": "visibility",
        "prev": "sample_annotation",
        "next": "sample_annotation",
    },
    "sample_data": {
        "sample_token": "sample",
        "ego_pose_token": "ego_pose",
        "calibrated_sensor_token": "calibrated_sensor",
        "prev": "sample_data",
        "next": "sample_data",
    },
    "scene": {"log_token": "log", "first_sample_token": "sample", "last_sample_token": "sample"},
    "sensor": {},
    "visibility": {},
}
needs_devkit = pytest.mark.skipif(
    importlib.util.find_spec("nuscenes") is None, reason="nuscenes-devkit is not installed: scenegen[nuscenes]"
)
needs_motmetrics = pytest.mark.skipif(
    importlib.util.find_spec("motmetrics") is None,
    reason="motmetrics, which TrackingEval imports, is not installed: scenegen[dev]",
)


@pytest.fixture(scope="module")
def exported(exported_as: Callable[[str], Path]) -> Path:
    return exported_as("nuscenes")


@pytest.fixture(scope="module")
def devkit(exported: Path) -> Any:
    from nuscenes import NuScenes

    return NuScenes(version=VERSION, dataroot=str(exported), verbose=False)


@pytest.fixture
def agg() -> Iterator[None]:
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    yield
    plt.close("all")


def tables(exported: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: json.loads((exported / VERSION / f"{name}.json").read_text()) for name in TABLES}


def test_every_foreign_key_resolves_and_every_file_exists(exported: Path) -> None:
    rows = tables(exported)
    tokens = {name: {row["token"] for row in table} for name, table in rows.items()}
    for name, keys in TABLES.items():
        assert len(tokens[name]) == len(rows[name]) > 0, name
        for row in rows[name]:
            for key, target in keys.items():
                if not (key in ("prev", "next") and row[key] == ""):
                    assert row[key] in tokens[target], (name, key)
    for row in rows["sample_annotation"]:
        assert set(row["attribute_tokens"]) <= tokens["attribute"]
    for row in rows["map"]:
        assert set(row["log_tokens"]) == tokens["log"]
    for row in rows["sample_data"] + rows["map"]:
        assert (exported / row["filename"]).is_file()


def test_chains_are_complete_and_in_order(exported: Path) -> None:
    rows = tables(exported)
    by_token = {row["token"]: row for name in TABLES for row in rows[name] if name != "ego_pose"}
    for name, group in (("sample", "scene_token"), ("sample_annotation", "instance_token"), ("sample_data", None)):
        starts = [row for row in rows[name] if row["prev"] == ""]
        seen = 0
        for row in starts:
            while True:
                seen += 1
                if row["next"] == "":
                    break
                following = by_token[row["next"]]
                assert following["prev"] == row["token"]
                if group:
                    assert following[group] == row[group]
                if "timestamp" in row:
                    assert following["timestamp"] > row["timestamp"]
                row = following
        assert seen == len(rows[name])
    for instance in rows["instance"]:
        own = [row for row in rows["sample_annotation"] if row["instance_token"] == instance["token"]]
        assert len(own) == instance["nbr_annotations"]


def test_key_frames_are_samples_and_the_steps_between_are_sweeps(exported: Path) -> None:
    rows = tables(exported)
    sensor_of = {row["token"]: row["sensor_token"] for row in rows["calibrated_sensor"]}
    channel_of = {row["token"]: row["channel"] for row in rows["sensor"]}
    channels: dict[str, list[bool]] = {}
    for row in rows["sample_data"]:
        channel = channel_of[sensor_of[row["calibrated_sensor_token"]]]
        channels.setdefault(channel, []).append(row["is_key_frame"])
        assert row["filename"].startswith("samples/" if row["is_key_frame"] else "sweeps/")
    assert len(channels) == 7
    for channel, is_key in channels.items():
        assert sum(is_key) == 2 * len(KEY_STEPS)
        assert len(is_key) == (2 * 4 if channel == "LIDAR_TOP" else 2 * 19)
    stamps = {row["token"]: row["timestamp"] for row in rows["sample"]}
    for row in rows["sample_data"]:
        assert 0 <= stamps[row["sample_token"]] - row["timestamp"] < 500_000
        assert row["is_key_frame"] == (stamps[row["sample_token"]] == row["timestamp"])


def test_pictures_are_the_stored_bytes(exported: Path, dataset: Dataset) -> None:
    scene = dataset[dataset.scene_ids[0]]
    stored = PictureFiles(scene, "CAM_BACK")
    files = sorted((exported / "samples" / "CAM_BACK").glob(f"{scene.scene_id}*"))
    assert [file.read_bytes() for file in files] == [stored[step].content for step in KEY_STEPS]
    assert files[0].suffix == ".jpg"


def test_tokens_are_stable_across_runs_and_selections(
    exported: Path, labelled_dataset: Path, dataset: Dataset, tmp_path: Path
) -> None:
    export_dataset(labelled_dataset, format="nuscenes", out=tmp_path / "again", scene_ids=[dataset.scene_ids[1]])
    all_tokens = {name: {row["token"] for row in table} for name, table in tables(exported).items()}
    for name, table in tables(tmp_path / "again").items():
        if name != "map":
            assert {row["token"] for row in table} <= all_tokens[name], name
    names = {row["name"] for row in tables(tmp_path / "again")["scene"]}
    assert names == {"scene-2001"}


def test_scenes_of_one_map_share_a_tile_and_tiles_do_not_meet(dataset: Dataset) -> None:
    first, second = dataset
    alone = build_sheet([first, first])
    assert len(list(alone.tiles())) == 1
    sheet = build_sheet([first, second])
    one, two = sheet.tiles()
    assert (sheet.shift_m(first.scene_id) == one.shift_m).all() and (
        sheet.shift_m(second.scene_id) == two.shift_m
    ).all()
    apart = (one.corner_m + one.size_m <= two.corner_m) | (two.corner_m + two.size_m <= one.corner_m)
    assert apart.any()
    assert (sheet.size_m == np.maximum(one.corner_m + one.size_m, two.corner_m + two.size_m)).all()
    assert (np.round(sheet.shift_m(second.scene_id)) == sheet.shift_m(second.scene_id)).all()


@needs_devkit
def test_devkit_boxes_are_ours_on_the_map(devkit: Any, dataset: Dataset) -> None:
    sheet = build_sheet(iter(dataset))
    for record in devkit.scene:
        scene_id = record["description"].split(":")[0]
        scene, shift_m = dataset[scene_id], sheet.shift_m(scene_id)
        token = record["first_sample_token"]
        for step in KEY_STEPS:
            sample = devkit.get("sample", token)
            boxes = scene.boxes(step)
            found = [devkit.get_box(annotation) for annotation in sample["anns"]]
            assert len(found) == len(boxes)
            order = np.argsort([box.center[0] for box in found])
            expected = np.argsort(boxes.center_world_m[:, 0] + shift_m[0])
            for mine, theirs in zip(expected, order, strict=True):
                box = found[theirs]
                assert np.allclose(box.center, boxes.center_world_m[mine] + [*shift_m, 0.0], atol=1e-9)
                assert np.allclose(box.wlh, boxes.size_lwh_m[mine][[1, 0, 2]])
                assert np.allclose(np.abs(box.orientation.elements @ boxes.rotation_wxyz[mine]), 1.0)
            token = sample["next"]
        assert token == ""


@needs_devkit
def test_boxes_project_to_where_the_labels_see_them(devkit: Any, dataset: Dataset) -> None:
    from nuscenes.utils.geometry_utils import BoxVisibility, view_points

    scene = dataset["all-00c0ffee"]
    record = next(row for row in devkit.scene if row["description"].startswith(scene.scene_id))
    data = devkit.get("sample", record["first_sample_token"])["data"]
    compared = 0
    for camera in scene.cameras:
        _, found, K = devkit.get_sample_data(data[camera], box_vis_level=BoxVisibility.NONE)
        centers = {tuple(np.round(box.wlh, 6)): box.center for box in found}
        seen, boxes = scene.boxes2d(0, camera), scene.boxes(0)
        for row, box in enumerate(seen.box):
            center = centers[tuple(np.round(boxes.size_lwh_m[box][[1, 0, 2]], 6))]
            if center[2] < 0.5:
                continue
            uv = view_points(center[:, None], K, normalize=True)[:2, 0]
            assert np.allclose(uv, seen.center_px[row], atol=1e-3)
            assert center[2] == pytest.approx(float(seen.depth_m[row]), abs=1e-4)
            compared += 1
    assert compared >= 10


@needs_devkit
def test_lidar_points_lie_in_the_boxes_that_count_them(devkit: Any, dataset: Dataset) -> None:
    from nuscenes.utils.data_classes import LidarPointCloud
    from nuscenes.utils.geometry_utils import BoxVisibility, points_in_box

    for sample in devkit.sample:
        path, found, _ = devkit.get_sample_data(sample["data"]["LIDAR_TOP"], box_vis_level=BoxVisibility.NONE)
        cloud = LidarPointCloud.from_file(path)
        assert cloud.points[3].max() == pytest.approx(255.0)
        for box in found:
            counted = devkit.get("sample_annotation", box.token)["num_lidar_pts"]
            assert points_in_box(box, cloud.points[:3]).sum() == counted == 8
    raw = np.fromfile(path, np.float32).reshape(-1, 5)
    assert raw[0, :3] == pytest.approx([0.0, 5.0, -1.84], abs=1e-6)  # ahead is y
    assert (LIDAR_FROM_NUSCENES[:3, :3] @ raw[0, :3]) == pytest.approx([5.0, 0.0, -1.84], abs=1e-6)


@needs_devkit
def test_velocity_is_the_finite_difference_of_centers(devkit: Any, dataset: Dataset) -> None:
    for record in devkit.scene:
        scene = dataset[record["description"].split(":")[0]]
        boxes = scene.boxes(0)
        sample = devkit.get("sample", record["first_sample_token"])
        found = {devkit.get_box(token).token: devkit.box_velocity(token)[:2] for token in sample["anns"]}
        by_size = {tuple(np.round(devkit.get("sample_annotation", key)["size"], 6)): v for key, v in found.items()}
        for row in range(len(boxes)):
            velocity = by_size[tuple(np.round(boxes.size_lwh_m[row][[1, 0, 2]], 6))]
            assert np.abs(velocity - boxes.velocity_world_mps[row]).max() < 1e-3


@needs_devkit
def test_attributes_fit_their_category(devkit: Any) -> None:
    from nuscenes.eval.detection.utils import category_to_detection_name, detection_name_to_rel_attributes

    for row in devkit.sample_annotation:
        detection = category_to_detection_name(row["category_name"])
        names = [devkit.get("attribute", token)["name"] for token in row["attribute_tokens"]]
        allowed = [] if detection is None else detection_name_to_rel_attributes(detection)
        assert set(names) <= set(allowed)
        assert len(names) == (1 if allowed else 0)


@needs_devkit
def test_devkit_renders_a_sample(devkit: Any, agg: None, tmp_path: Path) -> None:
    devkit.render_sample(devkit.sample[0]["token"], out_path=str(tmp_path / "sample.png"), verbose=False)
    assert (tmp_path / "sample.png").stat().st_size > 10_000


@needs_devkit
def test_map_mask_is_white_on_the_road(devkit: Any, dataset: Dataset) -> None:
    mask = devkit.map[0]["mask"]
    sheet = build_sheet(iter(dataset))
    for scene in dataset:
        shift = sheet.shift_m(scene.scene_id)
        road_y = 0.0 if scene.scene_id == "all-00c0ffee" else 3.0
        places = (
            np.array([[5.0, road_y + 1.0], [45.0, road_y + 3.5], [5.0, road_y + 14.0], [5.0, road_y - 9.0]]) + shift
        )
        assert mask.is_on_mask(places[:, 0], places[:, 1]).tolist() == [True, False, True, False]
        ego_px = np.stack(mask.to_pixel_coords(*(scene.ego2global[:, :2, 3] + shift).T))
        height, width = mask.mask().shape
        assert ego_px.min() > 600 and (ego_px.max(axis=1) < [width - 600, height - 600]).all()  # 60 m all around


@needs_devkit
def test_map_expansion_opens_and_knows_the_lanes(exported: Path, dataset: Dataset, agg: None) -> None:
    from nuscenes.map_expansion.map_api import NuScenesMap

    the_map = NuScenesMap(dataroot=str(exported), map_name="boston-seaport")
    sheet = build_sheet(iter(dataset))
    shift = sheet.shift_m("all-00c0ffee")
    x, y = (-20.0 + shift[0], -1.75 + shift[1])
    layers = the_map.layers_on_point(x, y)
    assert layers["drivable_area"] and layers["road_segment"] and layers["lane"]
    assert the_map.layers_on_point(45.0 + shift[0], 3.5 + shift[1])["drivable_area"] == ""
    assert the_map.layers_on_point(11.0 + shift[0], 0.0 + shift[1])["ped_crossing"]
    assert the_map.layers_on_point(65.0 + shift[0], 7.5 + shift[1])["carpark_area"]
    assert the_map.layers_on_point(0.0 + shift[0], 14.0 + shift[1])["walkway"]
    lane = the_map.get_closest_lane(x, y, radius=2)
    assert lane == layers["lane"]
    following = the_map.get_outgoing_lane_ids(lane)
    assert len(following) == 1
    assert the_map.get("lane_connector", following[0])["polygon_token"]
    assert the_map.get_incoming_lane_ids(following[0]) == [lane]
    poses = np.array(the_map.discretize_lanes([lane], 0.5)[lane])
    assert np.allclose(poses[:, 1], y, atol=1e-6)
    assert poses[:, 0].min() == pytest.approx(-40.0 + shift[0])
    assert poses[:, 0].max() == pytest.approx(shift[0], abs=1e-6)
    mask = the_map.get_map_mask((x, y, 20.0, 20.0), 0.0, ["drivable_area", "lane_divider"], (40, 40))
    assert mask[0].mean() > 0.5
    assert mask[1].any()
    assert {len(the_map.road_divider), len(the_map.lane_divider)} == {2}
    the_map.render_layers(["road_divider", "lane_divider"], figsize=1)  # polygons: descartes 1.1.0 needs shapely 1


@needs_devkit
def test_can_bus_opens(exported: Path, devkit: Any, dataset: Dataset) -> None:
    from nuscenes.can_bus.can_bus_api import NuScenesCanBus

    reader = NuScenesCanBus(dataroot=str(exported))
    for record in devkit.scene:
        poses = reader.get_messages(record["name"], "pose")
        assert len(poses) == 19
        assert list(poses[0]) == ["accel", "orientation", "pos", "rotation_rate", "utime", "vel"]
        sample = devkit.get("sample", record["first_sample_token"])
        ego = devkit.get("ego_pose", devkit.get("sample_data", sample["data"]["LIDAR_TOP"])["ego_pose_token"])
        assert poses[0]["pos"] == ego["translation"]
        assert poses[0]["utime"] == sample["timestamp"]
        assert poses[3]["vel"] == pytest.approx([6.0, 0.0, 0.0])
        route, driven = reader.get_pose_and_route(record["name"])
        assert route.shape == driven.shape == (19, 2)


@needs_devkit
def test_our_own_labels_score_one_in_detection(devkit: Any, tmp_path: Path) -> None:
    metrics = score_detection(devkit, tmp_path)
    assert metrics.mean_ap == pytest.approx(1.0, abs=1e-9)
    assert metrics.nd_score == pytest.approx(1.0, abs=1e-6)


@needs_devkit
@needs_motmetrics
def test_our_own_labels_score_one_in_tracking(exported: Path, devkit: Any, tmp_path: Path) -> None:
    metrics = score_tracking(devkit, exported, tmp_path)
    assert metrics.compute_metric("amota") == pytest.approx(1.0, abs=1e-6)
    assert metrics.compute_metric("ids") == 0
