"""The MCAP export, read back by the reader of the package mcap."""

from __future__ import annotations

import base64
import dataclasses
import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from scenegen.dataset import fold_receipts, open_dataset
from scenegen.dataset.export import export_dataset
from scenegen.dataset.export.keys import absolute_stamps_us
from scenegen.dataset.export.mcap_file.calibration import describe_lens
from scenegen.dataset.picture_files import PictureFiles
from scenegen.errors import DependencyError
from scenegen.geometry.lens import project_points
from scenegen.types import Camera, CameraRig, Lens
from tests.unit.dataset.export.bare_scene import write_bare
from tests.unit.dataset.export.export_scene import NUM_STEPS, export_record, write_labelled
from tests.unit.dataset.tiny_scene import tiny_rig

SCENE_ID = "all-00c0ffee"
NUM_CAMERAS = 6
KEY_STEPS = [0, 6, 12, 18]
needs_mcap = pytest.mark.skipif(
    importlib.util.find_spec("mcap") is None, reason="mcap is not installed: scenegen[mcap]"
)

Message = tuple[int, dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def exported(exported_as: Callable[[str], Path]) -> Path:
    return exported_as("mcap")


def read_messages(path: Path) -> dict[str, list[Message]]:
    """Return (log time, message, schema) of every message by topic."""
    from mcap.reader import make_reader

    messages: dict[str, list[Message]] = {}
    with path.open("rb") as file:
        for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages():
            assert channel.message_encoding == "json" and schema.encoding == "jsonschema"
            assert message.log_time == message.publish_time
            row = (message.log_time, json.loads(message.data), json.loads(schema.data))
            messages.setdefault(channel.topic, []).append(row)
    return messages


@needs_mcap
def test_every_topic_has_its_messages_at_the_stamps_of_the_steps(exported: Path, labelled_dataset: Path) -> None:
    dataset = open_dataset(labelled_dataset)
    stamps_ns = 1000 * absolute_stamps_us(dataset, dataset[SCENE_ID])
    messages = read_messages(exported / f"{SCENE_ID}.mcap")
    steps = {"/tf", "/agents"} | {
        f"/camera/{camera}/{kind}" for camera in dataset[SCENE_ID].cameras for kind in ("image", "calibration", "boxes")
    }
    assert set(messages) == steps | {"/tf_static", "/map", "/lidar"}
    for topic in steps:
        assert [stamp for stamp, _, _ in messages[topic]] == stamps_ns.tolist()
    assert [stamp for stamp, _, _ in messages["/lidar"]] == stamps_ns[KEY_STEPS].tolist()
    assert len(messages["/map"]) == len(messages["/tf_static"]) == 1


@needs_mcap
def test_the_summary_counts_what_is_there_and_the_metadata_say_what_it_is(exported: Path) -> None:
    from mcap.reader import make_reader

    with (exported / f"{SCENE_ID}.mcap").open("rb") as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        (record,) = reader.iter_metadata()
    assert summary is not None and summary.statistics is not None
    expected = 2 + 2 * NUM_STEPS + 3 * NUM_CAMERAS * NUM_STEPS + len(KEY_STEPS)
    assert summary.statistics.message_count == expected
    assert Counter(schema.name for schema in summary.schemas.values()) == dict.fromkeys(
        [
            f"foxglove.{name}"
            for name in (
                "CameraCalibration",
                "CompressedImage",
                "FrameTransforms",
                "ImageAnnotations",
                "PointCloud",
                "SceneUpdate",
            )
        ],
        1,
    )
    assert record.name == "scenegen"
    assert record.metadata["scene_id"] == SCENE_ID
    assert record.metadata["model.licence"] == "Apache-2.0"
    assert record.metadata["prompt"] == "a quiet street"


@needs_mcap
def test_messages_fit_their_schemas(exported: Path) -> None:
    for rows in read_messages(exported / f"{SCENE_ID}.mcap").values():
        _, message, schema = rows[-1]
        jsonschema.Draft202012Validator(schema).validate(message)


@needs_mcap
def test_pictures_are_the_stored_files(exported: Path, labelled_dataset: Path) -> None:
    stored = PictureFiles(open_dataset(labelled_dataset)[SCENE_ID], "CAM_BACK")
    messages = read_messages(exported / f"{SCENE_ID}.mcap")["/camera/CAM_BACK/image"]
    for step in (0, 7, NUM_STEPS - 1):
        message = messages[step][1]
        assert (message["format"], message["frame_id"]) == ("jpeg", "CAM_BACK")
        assert base64.b64decode(message["data"]) == stored[step].content


@needs_mcap
def test_boxes_are_where_the_scene_has_them(exported: Path, labelled_dataset: Path) -> None:
    scene = open_dataset(labelled_dataset)[SCENE_ID]
    messages = read_messages(exported / f"{SCENE_ID}.mcap")["/agents"]
    for step, (stamp_ns, message, _) in enumerate(messages):
        boxes = scene.boxes(step)
        assert len(message["entities"]) == len(boxes)
        assert [deletion["type"] for deletion in message["deletions"]] == [1]
        for row, entity in enumerate(message["entities"]):
            (cube,) = entity["cubes"]
            assert entity["timestamp"] == {"sec": stamp_ns // 10**9, "nsec": stamp_ns % 10**9}
            assert [cube["pose"]["position"][axis] for axis in "xyz"] == boxes.center_world_m[row].tolist()
            assert [cube["pose"]["orientation"][part] for part in "wxyz"] == boxes.rotation_wxyz[row].tolist()
            assert [cube["size"][axis] for axis in "xyz"] == boxes.size_lwh_m[row].tolist()
            facts = {pair["key"]: pair["value"] for pair in entity["metadata"]}
            assert facts["num_lidar_pts"] == "8"
    names = [{entity["id"] for entity in message["entities"]} for _, message, _ in messages]
    assert "trailer-1" in names[9] and "trailer-1" not in names[10]


@needs_mcap
def test_points_move_into_their_boxes_by_the_transforms_of_the_file(exported: Path, labelled_dataset: Path) -> None:
    scene = open_dataset(labelled_dataset)[SCENE_ID]
    messages = read_messages(exported / f"{SCENE_ID}.mcap")
    static = {row["child_frame_id"]: row for row in messages["/tf_static"][0][1]["transforms"]}
    for cloud_idx, step in enumerate(KEY_STEPS):
        cloud = messages["/lidar"][cloud_idx][1]
        points = decode_points(cloud)
        sweep = scene.lidar(step)
        assert np.array_equal(points["instance"], sweep.instance)
        world_from_lidar = pose_of(messages["/tf"][step][1]["transforms"][0]) @ pose_of(static["lidar"])
        xyz = np.stack([points[axis] for axis in "xyz"], axis=1).astype(np.float64)
        world_m = xyz @ world_from_lidar[:3, :3].T + world_from_lidar[:3, 3]
        boxes = scene.boxes(step)
        for row in range(len(boxes)):
            inside = world_m[points["instance"] == 1 + boxes.track_id[row]]
            assert len(inside) == 8
            np.testing.assert_allclose(inside.mean(axis=0), boxes.center_world_m[row], atol=1e-4)


def decode_points(cloud: dict[str, Any]) -> np.ndarray[Any, Any]:
    types = {1: "<u1", 3: "<u2", 5: "<u4", 7: "<f4"}
    dtype = np.dtype(
        {
            "names": [field["name"] for field in cloud["fields"]],
            "formats": [types[field["type"]] for field in cloud["fields"]],
            "offsets": [field["offset"] for field in cloud["fields"]],
            "itemsize": cloud["point_stride"],
        }
    )
    return np.frombuffer(base64.b64decode(cloud["data"]), dtype)


def pose_of(transform: dict[str, Any]) -> np.ndarray[Any, Any]:
    from scipy.spatial.transform import Rotation

    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat([transform["rotation"][part] for part in "xyzw"]).as_matrix()
    pose[:3, 3] = [transform["translation"][axis] for axis in "xyz"]
    return pose


@needs_mcap
def test_a_scene_without_sweeps_and_2d_boxes_has_no_such_topics(tmp_path: Path) -> None:
    write_bare(tmp_path / "ds")
    export_dataset(tmp_path / "ds", format="mcap", out=tmp_path / "out")
    topics = set(read_messages(tmp_path / "out" / "tiny-00c0ffee.mcap"))
    assert "/agents" in topics and "/lidar" not in topics
    assert not any(topic.endswith("/boxes") for topic in topics)


@needs_mcap
def test_raw_pictures_become_png(tmp_path: Path) -> None:
    record = export_record()
    write_labelled(tmp_path / "ds", record, image_codec="zstd")
    fold_receipts(tmp_path / "ds")
    export_dataset(tmp_path / "ds", format="mcap", out=tmp_path / "out")
    image = read_messages(tmp_path / "out" / f"{SCENE_ID}.mcap")["/camera/CAM_FRONT/image"][0][1]
    assert image["format"] == "png"
    assert base64.b64decode(image["data"])[:4] == b"\x89PNG"


def test_without_the_package_the_error_says_what_to_install(
    labelled_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcap.writer", None)
    with pytest.raises(DependencyError, match=r"scenegen\[mcap\]"):
        export_dataset(labelled_dataset, format="mcap", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def project_as_ros(points_cam_m: np.ndarray[Any, Any], camera: Camera) -> np.ndarray[Any, Any]:
    """Project by what the calibration message says, in OpenCV's formulas."""
    lens = describe_lens(camera)
    plane = points_cam_m[:, :2] / points_cam_m[:, 2:]
    if lens.model == "kannala_brandt":
        radius = np.linalg.norm(plane, axis=1)
        angle = np.arctan(radius)
        k1, k2, k3, k4 = lens.coefficients
        bent = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8)
        plane = plane * (bent / radius)[:, None]
    else:
        k1, k2, p1, p2, k3 = lens.coefficients
        x, y = plane.T
        squared = x * x + y * y
        radial = 1 + k1 * squared + k2 * squared**2 + k3 * squared**3
        x, y = (
            x * radial + 2 * p1 * x * y + p2 * (squared + 2 * x * x),
            y * radial + p1 * (squared + 2 * y * y) + 2 * p2 * x * y,
        )
        plane = np.stack([x, y], axis=1)
    return plane * np.diag(lens.K)[:2] + lens.K[:2, 2]


@pytest.mark.parametrize(
    ("lens", "tolerance_px"),
    [
        (Lens(model="pinhole", coefficients=(), max_angle_rad=np.radians(88.0)), 1e-9),
        (Lens(model="brown_conrady", coefficients=(-0.1, 0.01, 0.001, -0.002), max_angle_rad=0.7), 1e-9),
        (Lens(model="fisheye", coefficients=(0.02, -0.01, 0.003, -0.0005), max_angle_rad=1.2), 1e-9),
        (Lens(model="f_theta", coefficients=(0.0, 30.0, 0.5, -1.0, 0.2), max_angle_rad=1.2), 0.05),
    ],
    ids=lambda value: getattr(value, "model", None),
)
def test_a_lens_projects_as_its_calibration_message_says(lens: Lens, tolerance_px: float) -> None:
    base = tiny_rig().cameras[0]
    focal_px = lens.coefficients[1] if lens.model == "f_theta" else base.K[0, 0]
    K = np.array([[focal_px, 0.0, 20.0], [0.0, focal_px, 12.0], [0.0, 0.0, 1.0]])
    camera = dataclasses.replace(base, K=K, lens=lens)
    CameraRig(name="one", cameras=(camera,))
    points = np.array([[0.3, 0.1, 2.0], [-1.0, 0.4, 2.0], [0.9, -0.9, 2.5]])
    found = project_as_ros(points, camera) - project_points(points, camera)
    assert np.abs(found).max() <= tolerance_px
    assert describe_lens(camera).largest_error_px <= tolerance_px
