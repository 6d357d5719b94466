"""Argoverse 2, RDS-HQ and LeRobot: whole logs, clips and episodes."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.dataset.export.rds_hq import map_labels
from scenegen.dataset.read import Dataset
from scenegen.geometry.rigid import transform_points
from scenegen.layout.importers.argoverse2 import CATEGORY_OF_SOURCE, read_argoverse2
from scenegen.types import AgentCategory, Prop, RoadMap
from tests.conftest import need_recorded

pa = pytest.importorskip("pyarrow")
feather = pytest.importorskip("pyarrow.feather")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def argoverse2(exported_as: Callable[[str], Path]) -> Path:
    return exported_as("argoverse2")


@pytest.fixture(scope="module")
def rds_hq(exported_as: Callable[[str], Path]) -> Path:
    return exported_as("rds_hq")


@pytest.fixture(scope="module")
def lerobot(exported_as: Callable[[str], Path]) -> Path:
    return exported_as("lerobot")


def _logs(folder: Path) -> dict[str, Path]:
    return {
        row["scene_id"]: folder / row["split"] / row["log_id"] for row in csv.DictReader((folder / "logs.csv").open())
    }


def test_the_argoverse_importer_gives_the_layout_back(argoverse2: Path, dataset: Dataset) -> None:
    for scene_id, log in _logs(argoverse2).items():
        scene, layout = dataset[scene_id], read_argoverse2(log)
        origin = scene.ego2global[0, :3, 3] * [1.0, 1.0, 0.0]
        assert layout.ego.world_from_ego[:, :3, 3] == pytest.approx(scene.ego2global[:, :3, 3] - origin, abs=1e-9)
        assert layout.timeline.num_steps == scene.num_steps
        theirs = {tuple(np.round(agent.size_lwh_m, 6)): agent for agent in layout.agents}
        assert len(layout.agents) == len(scene.layout.agents) == 12
        for agent in scene.layout.agents:
            read = theirs[tuple(np.round(agent.size_lwh_m, 6))]
            assert (read.valid == agent.valid).all()
            at = agent.valid
            assert read.center_world_m[at, :2] == pytest.approx(agent.center_world_m[at, :2] - origin[:2], abs=1e-6)
            assert np.cos(read.heading_rad[at] - agent.heading_rad[at]) == pytest.approx(1.0)
            if agent.category is AgentCategory.CONSTRUCTION_VEHICLE:
                assert read.category is AgentCategory.TRUCK  # Argoverse has large vehicles only
            else:
                assert read.category is agent.category
        lanes = layout.road_map.lanes
        assert [lane.is_intersection for lane in lanes] == [False, True, False]
        assert [lane.width_m for lane in lanes] == pytest.approx([3.5] * 3)
        assert len(layout.road_map.areas_of("crossing")) == 1
        assert CATEGORY_OF_SOURCE["BICYCLIST"] is AgentCategory.BICYCLE


def test_argoverse_points_lie_in_the_boxes_that_count_them(argoverse2: Path, dataset: Dataset) -> None:
    for log in _logs(argoverse2).values():
        boxes = feather.read_table(log / "annotations.feather").to_pylist()
        sweeps = sorted((log / "sensors" / "lidar").iterdir())
        assert len(sweeps) == 4
        for path in sweeps:
            table = feather.read_table(path)
            points = np.stack([table[name].to_numpy() for name in "xyz"], axis=1)
            for box in (box for box in boxes if box["timestamp_ns"] == int(path.stem)):
                heading = 2.0 * np.arctan2(box["qz"], box["qw"])
                turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
                local = points - [box["tx_m"], box["ty_m"], box["tz_m"]]
                local[:, :2] = local[:, :2] @ turn
                half = 0.5 * np.array([box["length_m"], box["width_m"], box["height_m"]])
                assert (np.abs(local) <= half).all(axis=1).sum() == box["num_interior_pts"] == 8


def test_argoverse_files_have_the_columns_of_the_real_ones(argoverse2: Path, shared_data: Path) -> None:
    real = shared_data / "argoverse2" / "7fab2350-7eaf-3b7e-a39d-6937a4c1bede"
    need_recorded(real)
    log = next(iter(_logs(argoverse2).values()))
    names = (
        "annotations.feather",
        "city_SE3_egovehicle.feather",
        "calibration/egovehicle_SE3_sensor.feather",
        "calibration/intrinsics.feather",
    )
    for name in names:
        theirs, mine = (feather.read_table(folder / name).schema for folder in (real, log))
        assert mine.names == theirs.names, name
        assert [str(kind) for kind in mine.types] == [str(kind) for kind in theirs.types], name
    theirs = json.loads(next((real / "map").glob("log_map_archive_*.json")).read_text())
    mine = json.loads(next((log / "map").glob("log_map_archive_*.json")).read_text())
    assert {name: set(next(iter(part.values()))) for name, part in theirs.items()} == {
        name: set(next(iter(part.values()))) for name, part in mine.items()
    }


def _clips(folder: Path) -> dict[str, str]:
    return {row["scene_id"]: row["clip_id"] for row in csv.DictReader((folder / "clips.csv").open())}


def _sample(path: Path) -> dict[str, Any]:
    """Read a tar as webdataset groups and decodes it: the key ends at the first dot of a name."""
    sample: dict[str, Any] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, name = member.name.partition(".")
            assert key == path.stem
            file = tar.extractfile(member)
            assert file is not None
            content = file.read()
            if name.endswith(".npy"):
                sample[name] = np.load(io.BytesIO(content))
            else:
                sample[name] = json.loads(content) if name.endswith(".json") else content.decode()
    return sample


def test_rds_hq_poses_are_exact_on_steps_and_between_them_elsewhere(rds_hq: Path, dataset: Dataset) -> None:
    for scene_id, clip in _clips(rds_hq).items():
        scene = dataset[scene_id]
        vehicle = _sample(rds_hq / "vehicle_pose" / f"{clip}.tar")
        cameras = _sample(rds_hq / "pose" / f"{clip}.tar")
        assert len(vehicle) == 46  # 18 steps of 1/12 s are 1.5 s
        assert len(cameras) == 46 * 6
        for step in range(0, 19, 2):  # every second step falls on a frame
            pose = vehicle[f"{5 * step // 2:06d}.vehicle_pose.npy"]
            assert pose == pytest.approx(scene.ego2global[step], abs=1e-5)
        for idx in range(46):
            pose = vehicle[f"{idx:06d}.vehicle_pose.npy"]
            assert pose[0, 3] == pytest.approx(6.0 * idx / 30.0, abs=1e-4)
            assert cameras[f"{idx:06d}.pose.CAM_BACK.npy"] == pytest.approx(pose @ scene.cam2ego("CAM_BACK"))


def test_rds_hq_objects_and_intrinsics_have_the_toolkits_keys(rds_hq: Path, dataset: Dataset) -> None:
    for scene_id, clip in _clips(rds_hq).items():
        scene = dataset[scene_id]
        objects = _sample(rds_hq / "all_object_info" / f"{clip}.tar")
        assert sorted(objects) == [f"{idx:06d}.all_object_info.json" for idx in range(0, 46, 3)]
        first = objects["000000.all_object_info.json"]
        assert len(first) == 12
        for agent in scene.layout.agents:
            info = first[agent.agent_id]
            assert set(info) == {"object_to_world", "object_lwh", "object_is_moving", "object_type"}
            pose = np.array(info["object_to_world"])
            assert pose[:3, 3] == pytest.approx(agent.center_world_m[0])
            assert np.arctan2(pose[1, 0], pose[0, 0]) == pytest.approx(
                np.arctan2(np.sin(agent.heading_rad[0]), np.cos(agent.heading_rad[0]))
            )
            later = np.array(objects["000015.all_object_info.json"][agent.agent_id]["object_to_world"])
            assert later[:3, 3] == pytest.approx(agent.center_world_m[6])
        assert first["car-1"]["object_is_moving"] and not first["barrier-1"]["object_is_moving"]
        assert "trailer-1" not in objects["000045.all_object_info.json"]
        K = scene.cam2img("CAM_FRONT")
        stored = _sample(rds_hq / "pinhole_intrinsic" / f"{clip}.tar")["pinhole_intrinsic.CAM_FRONT.npy"]
        assert stored.tolist() == [K[0, 0], K[1, 1], K[0, 2], K[1, 2], 40.0, 24.0]


def test_rds_hq_map_is_found_by_its_vertices(rds_hq: Path, dataset: Dataset) -> None:
    settings = json.loads((rds_hq / "dataset_scenegen.json").read_text())
    clip = _clips(rds_hq)["all-00c0ffee"]
    counts = {"lanelines": 2, "road_boundaries": 2, "crosswalks": 1, "poles": 0, "lanes": 3}
    assert set(settings["MINIMAP_TYPES"]) < set(counts)
    for name, count in counts.items():
        sample = _sample(rds_hq / f"3d_{name}" / f"{clip}.tar")
        labels = sample[f"{name}.json"]["labels"]
        assert len(labels) == count
        for label in labels:
            (shape,) = label["labelData"]["shape3d"].values()
            assert np.array(shape["vertices"]).shape[1] == 3


def test_props_of_open_height_are_as_tall_in_rds_hq_as_in_the_world() -> None:
    kinds = ("street_lamp", "pole", "sign")
    props = tuple(Prop(kind=kind, position_world_m=np.array([2.0, 1.0])) for kind in kinds)
    labels = map_labels(RoadMap(lanes=(), lane_lines=(), areas=(), props=props))["poles"]["labels"]
    tops_m = [label["labelData"]["shape3d"]["polyline3d"]["vertices"][1] for label in labels]
    assert tops_m == [[2.0, 1.0, 7.0], [2.0, 1.0, 6.0]]


def test_lerobot_rows_and_videos_agree(lerobot: Path, dataset: Dataset) -> None:
    av = pytest.importorskip("av")
    info = json.loads((lerobot / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_episodes"], info["total_frames"]) == ("v3.0", 12, 2, 38)
    assert info["splits"] == {"train": "0:1", "val": "1:2"}
    episodes = parquet.read_table(lerobot / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [row["dataset_to_index"] for row in episodes] == [19, 38]
    for row, scene in zip(episodes, dataset, strict=True):
        place = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        rows = parquet.read_table(lerobot / info["data_path"].format(**place)).to_pylist()
        assert len(rows) == row["length"] == 19
        for step, values in enumerate(rows):
            assert set(values) == {name for name, kind in info["features"].items() if kind["dtype"] != "video"}
            assert values["timestamp"] == pytest.approx(step / 12.0)
            assert values["index"] == row["dataset_from_index"] + step
            assert values["observation.state"] == pytest.approx([6.0, 0.0, 0.0, 0.0], abs=1e-4)
            assert values["observation.pose"][:3] == pytest.approx(scene.ego2global[step, :3, 3], abs=1e-5)
            assert values["action"] == pytest.approx([0.0, 0.0], abs=1e-4)
        for camera in scene.cameras:
            key = f"observation.images.{camera}"
            where = {name: row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
            with av.open(str(lerobot / info["video_path"].format(video_key=key, **where))) as video:
                frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
            assert len(frames) == 19
            assert list(frames[0].shape) == info["features"][key]["shape"]
            stored = scene.rgb(camera)[:]
            assert np.abs(np.stack(frames).astype(float) - stored).mean() < 6.0
            assert row[f"videos/{key}/to_timestamp"] == pytest.approx(19 / 12)


def test_lerobot_statistics_are_those_of_the_data(lerobot: Path, dataset: Dataset) -> None:
    statistics = json.loads((lerobot / "meta" / "stats.json").read_text())
    x = np.concatenate([scene.ego2global[:, 0, 3] for scene in dataset])
    pose = statistics["observation.pose"]
    assert (pose["min"][0], pose["max"][0], pose["count"]) == (0.0, pytest.approx(9.0), [38])
    assert pose["mean"][0] == pytest.approx(x.mean(), abs=1e-5)
    assert pose["std"][0] == pytest.approx(x.std(), abs=1e-5)
    pixels = np.concatenate([scene.rgb("CAM_FRONT")[:] for scene in dataset]) / 255.0
    picture = statistics["observation.images.CAM_FRONT"]
    assert np.array(picture["mean"]).shape == (3, 1, 1)
    assert np.ravel(picture["mean"]) == pytest.approx(pixels.mean(axis=(0, 1, 2)))
    assert np.ravel(picture["std"]) == pytest.approx(pixels.std(axis=(0, 1, 2)))


def test_lerobot_tasks_are_looked_up_by_text(lerobot: Path) -> None:
    pandas = pytest.importorskip("pandas")
    tasks = pandas.read_parquet(lerobot / "meta" / "tasks.parquet")
    assert tasks.loc["a quiet street"].task_index == 0
    assert tasks.iloc[0].name == "a quiet street"


def test_argoverse_sweeps_are_in_the_ego_frame(argoverse2: Path, dataset: Dataset) -> None:
    log = _logs(argoverse2)["all-00c0ffee"]
    scene = dataset["all-00c0ffee"]
    table = feather.read_table(sorted((log / "sensors" / "lidar").iterdir())[1])
    points = np.stack([table[name].to_numpy() for name in "xyz"], axis=1)
    expected = transform_points(scene.lidar2ego, scene.lidar(6).points_lidar_m.astype(np.float64))
    assert points == pytest.approx(expected, abs=1e-5)
