"""Malformed recordings: each a typed error that names file and element, quickly, and nothing is written."""

from __future__ import annotations

import os
import pickle
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scenegen.config import ImportLogConfig, parse_config
from scenegen.errors import SceneGenError
from scenegen.logs.import_log import import_logs
from scenegen.logs.prepare import prepare_log
from scenegen.logs.sources import read_logs
from tests.unit.logs.dgp_scene import write_dgp_scene
from tests.unit.logs.small_sources import write_keyframe, write_kitti

CAR = "Car 0.00 0 0.0 100 30 140 60 1.5 1.8 4.2 0.0 1.65 15.0 -1.57"
Damage = Callable[[Path], None]


@pytest.fixture(scope="module", autouse=True)
def imports_done(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import and compile what reading a log needs, so that it counts against none of the malformed ones."""
    folder = write_dgp_scene(tmp_path_factory.mktemp("whole") / "street", num_steps=1)
    for log in read_logs(f"dgp:{folder}"):
        prepare_log(log, config_of("dgp:street", Path("nowhere")))


@pytest.fixture(autouse=True)
def usual_picture_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other packages lift Pillow's limit for the whole process: nuscenes-devkit does when it reads map masks."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_478_485)


def scene_json(change: Callable[[dict[str, Any]], None], *, name: str = "scene") -> Damage:
    def write(folder: Path) -> None:
        write_dgp_scene(folder, change={name: change})

    return write


def file_of(name: str, change: Callable[[Path], None]) -> Damage:
    def write(folder: Path) -> None:
        write_dgp_scene(folder)
        change(folder / name)

    return write


def cut(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def bomb_png(path: Path) -> None:
    """A picture of 100,000 x 100,000 pixels in a few kilobytes."""
    side = 100_000

    def part(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content)
        return len(content).to_bytes(4, "big") + kind + content + crc.to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes(side // 10))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", rows) + part(b"IEND", b""))


def set_datum(index: int, *keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        place = document["data"][index]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


def calibrated(index: int, kind: str, **values: Any) -> Damage:
    return scene_json(lambda document: document["intrinsics" if kind == "K" else "extrinsics"][index].update(values),
                      name="calibration")  # fmt: skip


def boxed(change: Callable[[dict[str, Any]], None]) -> Damage:
    return scene_json(lambda document: change(document["annotations"][0]), name="boxes-0")


DGP_CASES: dict[str, tuple[Damage, str]] = {
    "no scene file": (lambda folder: folder.mkdir(), "scene_"),
    "truncated scene file": (file_of("scene_test.json", cut), "complete JSON"),
    "no samples": (scene_json(lambda document: document.update(samples=[])), "at least one sample"),
    "unknown datum": (
        scene_json(lambda document: document["samples"][0]["datum_keys"].append("nowhere")),
        "the key of a datum",
    ),
    "missing picture": (file_of("rgb/CAM_A/1.jpg", Path.unlink), "an existing file"),
    "picture of the wrong size": (
        file_of("rgb/CAM_A/1.jpg", lambda path: Image.new("RGB", (80, 48)).save(path)),
        "160 x 96 pixels",
    ),
    "truncated picture": (file_of("rgb/CAM_B/2.jpg", cut), "a complete picture"),
    "picture is text": (file_of("rgb/CAM_B/2.jpg", lambda path: path.write_text("hello")), "a JPEG or PNG picture"),
    "decompression bomb": (file_of("rgb/CAM_A/0.jpg", bomb_png), "could be decompression bomb"),
    "picture outside the folder": (
        scene_json(set_datum(1, "datum", "image", "filename", value="../../../../etc/hostname")),
        "which leads out of it",
    ),
    "picture by a link that leads out": (
        file_of("rgb/CAM_A/0.jpg", lambda path: (path.unlink(), path.symlink_to("/etc/hostname"))[1]),
        "which leads out of it",
    ),
    "name with a zero byte": (
        scene_json(set_datum(1, "datum", "image", "filename", value="rgb/\0.jpg")),
        "a file name",
    ),
    "truncated cloud": (file_of("point_cloud/LIDAR/1.npz", cut), "a complete .npz file"),
    "cloud of objects": (
        file_of("point_cloud/LIDAR/1.npz", lambda path: np.savez(path, data=np.array([print], object))),
        "a complete .npz file",
    ),
    "cloud with NaN": (
        file_of("point_cloud/LIDAR/1.npz", lambda path: np.savez(path, data=np.full((500, 4), np.nan))),
        "finite points",
    ),
    "cloud of three columns": (
        file_of("point_cloud/LIDAR/1.npz", lambda path: np.savez(path, data=np.zeros((500, 3)))),
        "rows of x, y, z, intensity",
    ),
    "cloud without ground": (
        file_of("point_cloud/LIDAR/1.npz", lambda path: np.savez(path, data=np.ones((500, 4)) * [9, 9, 3, 0.1])),
        "of a plane",
    ),
    "quaternion that is none": (
        scene_json(lambda document: document["data"][1]["datum"]["image"]["pose"]["rotation"].update(qw=2.0)),
        "a unit quaternion",
    ),
    "box quaternion that is none": (
        boxed(lambda row: row["box"]["pose"]["rotation"].update(qw=0.0, qz=0.0)),
        "a unit quaternion",
    ),
    "box without a size": (boxed(lambda row: row["box"].update(width=0.0)), "a number from"),
    "box at NaN": (boxed(lambda row: row["box"]["pose"]["translation"].update(x=float("nan"))), "a number from"),
    "box of no class": (boxed(lambda row: row.update(class_id=99)), "a class of the ontology"),
    "instance twice": (
        scene_json(lambda document: document["annotations"].append(document["annotations"][0]), name="boxes-0"),
        "one box per instance",
    ),
    "focal length zero": (calibrated(1, "K", fx=0.0), "a number from"),
    "principal point beyond": (calibrated(1, "K", cx=500.0), "a principal point within 160 x 96"),
    "camera turned by the calibration": (
        calibrated(1, "pose", rotation={"qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0}),
        "poses of one camera",
    ),
    "sensor without a calibration": (
        scene_json(lambda document: document["names"].__setitem__(2, "CAM_X"), name="calibration"),
        "a calibration of 'CAM_B'",
    ),
    "stamps that fall": (
        scene_json(set_datum(6, "id", "timestamp", value="2019-01-01T00:00:00.000000Z")),
        "a stamp after",
    ),
    "no time": (scene_json(set_datum(3, "id", "timestamp", value="noon")), "a time stamp"),
    "scale beyond the picture": (lambda folder: write_dgp_scene(folder) and None, "a width of at most 160"),
}


@pytest.mark.parametrize("name", DGP_CASES)
def test_malformed_dgp_scene(name: str, tmp_path: Path) -> None:
    write, expected = DGP_CASES[name]
    write(tmp_path / "street")
    width_px = 800 if name == "scale beyond the picture" else None
    _refused(f"dgp:{tmp_path / 'street'}", tmp_path / "ds", expected, width_px=width_px)


class RunsCode:
    """What a hostile pickle holds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.path}",))


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    root = write_keyframe(tmp_path / "nus")
    (root / "keyframe_scene-9999_info.pkl").write_bytes(pickle.dumps(RunsCode(tmp_path / "ran"), protocol=2))
    _refused(f"nuscenes_keyframe:{root}", tmp_path / "ds", "plain containers and numpy arrays")
    assert not (tmp_path / "ran").exists()


def item(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda document: change(document["data_list"][0])


KEYFRAME_CASES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no token": (lambda row: row.pop("token"), "a key 'token'"),
    "pose that scales": (lambda row: row.update(ego2global=(2.0 * np.eye(4)).tolist()), "a rigid 4x4"),
    "pose that mirrors": (lambda row: row.update(ego2global=np.diag([1.0, -1.0, 1.0, 1.0]).tolist()), "a rigid 4x4"),
    "picture elsewhere": (
        lambda row: row["images"]["CAM_LEFT"].update(img_path="../../../etc/passwd"),
        "leads out of it",
    ),
    "box of six numbers": (lambda row: row["instances"][0].update(bbox_3d=[0.0] * 6), "7 numbers"),
    "class nobody knows": (lambda row: row["instances"][0].update(bbox_label_3d=5), "a class of metainfo"),
    "huge place": (lambda row: row["instances"][0]["bbox_3d"].__setitem__(0, 1e12), "a number from"),
    "no cameras": (lambda row: row.update(images={}), "pictures"),
}


@pytest.mark.parametrize("name", KEYFRAME_CASES)
def test_malformed_key_frame(name: str, tmp_path: Path) -> None:
    change, expected = KEYFRAME_CASES[name]
    root = write_keyframe(tmp_path / "nus", change=item(change))
    _refused(f"nuscenes_keyframe:{root}", tmp_path / "ds", expected)


def test_a_sweep_of_odd_length_is_refused(tmp_path: Path) -> None:
    root = write_keyframe(tmp_path / "nus")
    sweep = root / "samples" / "LIDAR_TOP" / "sweep.pcd.bin"
    sweep.write_bytes(sweep.read_bytes() + b"\0\0")
    _refused(f"nuscenes_keyframe:{root}", tmp_path / "ds", "rows of 5 float32")


KITTI_CASES: dict[str, tuple[dict[str, list[str]], dict[str, str], str]] = {
    "label of ten columns": ({"000001": [" ".join(CAR.split()[:10])]}, {}, "15 columns"),
    "label with a word": ({"000001": [CAR.replace("1.65", "low")]}, {}, "a number"),
    "box of no height": ({"000001": [CAR.replace("1.5 1.8 4.2", "0 1.8 4.2")]}, {}, "a positive height"),
    "2-D box that is none": ({"000001": [CAR.replace("100 30 140 60", "140 30 100 60")]}, {}, "left, top, right"),
    "P2 of nine numbers": ({"000001": [CAR]}, {"P2": "1 0 0 0 1 0 0 0 1"}, "12 numbers"),
    "P2 without a focal length": ({"000001": [CAR]}, {"P2": "0 0 9 0 0 0 9 0 0 0 1 0"}, "a pinhole"),
    "R0 that is no rotation": ({"000001": [CAR]}, {"R0_rect": "1 1 0 0 1 0 0 0 1"}, "a rotation"),
    "the second frame is damaged": ({"000001": [CAR], "000002": ["Car 0"]}, {}, "15 columns"),
}


@pytest.mark.parametrize("name", KITTI_CASES)
def test_malformed_kitti_frame(name: str, tmp_path: Path) -> None:
    labels, calib, expected = KITTI_CASES[name]
    root = write_kitti(tmp_path / "kitti", labels, **calib)
    _refused(f"kitti:{root}", tmp_path / "ds", expected)


def test_pictures_of_the_second_scene_are_read_before_the_first_is_written(tmp_path: Path) -> None:
    root = write_kitti(tmp_path / "kitti", {"000001": [CAR], "000002": [CAR]})
    cut(root / "training" / "image_2" / "000002.png")
    _refused(f"kitti:{root}", tmp_path / "ds", "a complete picture")


def test_an_unknown_source_is_refused(tmp_path: Path) -> None:
    _refused("waymo_open:x", tmp_path / "ds", "a source out of")
    _refused("dgp", tmp_path / "ds", "a source out of")


def config_of(source: str, output: Path, *, width_px: int | None = None) -> ImportLogConfig:
    return parse_config(
        ImportLogConfig,
        {
            "source": source, "output": str(output), "width_px": width_px, "world": "auto", "occ3d": None,
            "split": "train", "seed": 0,
            "dataset": {"image_codec": "jpeg", "jpeg_quality": 95, "labels": "rendered", "lidar": "key_frames"},
        },
    )  # fmt: skip


def _refused(source: str, output: Path, expected: str, *, width_px: int | None = None) -> None:
    config = config_of(source, output, width_px=width_px)
    began_s = time.process_time()
    with pytest.raises(SceneGenError) as caught:
        import_logs(config)
    assert expected in str(caught.value)
    assert caught.value.where or caught.value.fix
    assert caught.value.exit_code == 2
    assert time.process_time() - began_s < 2.0
    assert not output.exists()
