"""What every export promises: typed errors, one at a time, and nothing that looks complete unless it is."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import importlib.util
import io
import json
import multiprocessing
import os
import pkgutil
import re
import signal
import sys
import tarfile
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from scenegen.dataset import export, fold_receipts, open_scene_writer
from scenegen.dataset.export import FORMATS, SUMMARY_NAME, ExportJob, export_dataset, staged
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.read import open_dataset
from scenegen.errors import ConfigError, DatasetError, DependencyError, OutputError
from scenegen.types import Lens
from tests.unit.dataset.export.export_scene import export_chunks, export_record, write_labelled

OPTIONAL_PACKAGES = {"ply": "open3d", "mcap": "mcap"}
INSTALLED = sorted(
    name
    for name in FORMATS
    if name not in OPTIONAL_PACKAGES or importlib.util.find_spec(OPTIONAL_PACKAGES[name]) is not None
)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_unknown_format_is_a_config_error(labelled_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nuscenes.*'nuscene'"):
        export_dataset(labelled_dataset, format="nuscene", out=tmp_path / "out")
    assert leftovers(tmp_path) == []


def test_unknown_scene_is_a_dataset_error(labelled_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no-such-scene"):
        export_dataset(labelled_dataset, format="coco", out=tmp_path / "out", scene_ids=["no-such-scene"])
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("content", ["file", "folder"])
def test_what_is_there_is_not_touched(labelled_dataset: Path, tmp_path: Path, content: str) -> None:
    out = tmp_path / "out"
    if content == "folder":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    else:
        out.write_text("mine")
    with pytest.raises(OutputError, match="a new or empty folder"):
        export_dataset(labelled_dataset, format="coco", out=out)
    assert (out / "mine.txt" if content == "folder" else out).read_text() == "mine"
    assert leftovers(tmp_path) == ["out"]


def test_an_empty_folder_is_filled(labelled_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    summary = export_dataset(labelled_dataset, format="coco", out=tmp_path / "out")
    assert (summary.num_scenes, summary.num_steps) == (2, 38)
    recorded = json.loads((tmp_path / "out" / SUMMARY_NAME).read_text())
    entries = open_dataset(labelled_dataset).manifest.scenes
    assert recorded["scenes"] == {entry.scene_id: entry.content_sha256 for entry in entries}


def test_two_exports_to_one_folder_exclude_each_other(labelled_dataset: Path, tmp_path: Path) -> None:
    with staged(tmp_path / "out"), pytest.raises(OutputError, match="no other export"):
        export_dataset(labelled_dataset, format="coco", out=tmp_path / "out")
    assert leftovers(tmp_path) == ["out"]


@pytest.mark.parametrize("format", INSTALLED)
def test_progress_counts_every_step_once(labelled_dataset: Path, tmp_path: Path, format: str) -> None:
    seen: list[tuple[int, int]] = []
    export_dataset(
        labelled_dataset, format=format, out=tmp_path / "out", on_step=lambda done, total: seen.append((done, total))
    )
    assert seen == [(step, 38) for step in range(1, 39)]


def test_a_writer_that_fails_leaves_nothing(
    labelled_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(job: ExportJob) -> None:
        (job.folder / "half.txt").write_text("half")
        raise OSError(28, "No space left on device")

    _register(write, monkeypatch)
    with pytest.raises(OutputError, match="No space left"):
        export_dataset(labelled_dataset, format="broken", out=tmp_path / "out")
    assert leftovers(tmp_path) == []


def _register(write: object, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(f"{export.__name__}.broken")
    module.write = write  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(FORMATS, "broken", "broken")


def _export_and_hang(dataset: Path, out: Path, begun: Path) -> None:
    def hang(done: int, total: int) -> None:
        if done == 5:
            begun.touch()
            time.sleep(60)

    export_dataset(dataset, format="coco", out=out, on_step=hang)


def test_a_killed_export_leaves_nothing_at_its_target_and_can_be_repeated(
    labelled_dataset: Path, tmp_path: Path
) -> None:
    out, begun = tmp_path / "out", tmp_path / "begun"
    process = multiprocessing.get_context("spawn").Process(target=_export_and_hang, args=(labelled_dataset, out, begun))
    process.start()
    while not begun.exists():
        assert process.is_alive()
        time.sleep(0.05)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not out.exists()
    assert (tmp_path / ".out.export").is_dir()
    export_dataset(labelled_dataset, format="coco", out=out)
    assert (out / SUMMARY_NAME).exists()
    assert leftovers(tmp_path) == ["begun", "out"]


def test_the_same_data_set_gives_the_same_bytes(labelled_dataset: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_dataset(labelled_dataset, format="nuscenes", out=tmp_path / name)
    files = {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert len(files) > 200
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.parametrize(("codec", "suffix"), [("jpeg", ".jpg"), ("png", ".png"), ("jxl", ".png"), ("zstd", ".png")])
def test_picture_files_decode_to_the_stored_pixels(tmp_path: Path, codec: str, suffix: str) -> None:
    write_labelled(tmp_path, export_record(), image_codec=codec)
    fold_receipts(tmp_path)
    scene = open_dataset(tmp_path)["all-00c0ffee"]
    files = PictureFiles(scene, "CAM_FRONT")
    assert files.suffix == suffix
    for step in (0, 7, 8, 18):
        decoded = np.asarray(Image.open(io.BytesIO(files[step].content)))
        assert (decoded == scene.rgb("CAM_FRONT")[step]).all()


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    write_labelled(tmp_path, export_record())
    fold_receipts(tmp_path)
    shard = next((tmp_path / "scenes").glob("*/*/cameras/CAM_BACK/rgb/c.1.0.0.0"))
    content = bytearray(shard.read_bytes())
    content[30] ^= 0xFF
    shard.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match=r"other content in .*CAM_BACK/rgb/c\.1"):
        export_dataset(tmp_path, format="coco", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _with_lens(lens: Lens, tmp_path: Path) -> Path:
    """A data set whose CAM_BACK has another lens."""
    record = export_record()
    cameras = [
        dataclasses.replace(camera, lens=lens) if camera.name == "CAM_BACK" else camera for camera in record.rig.cameras
    ]
    write_labelled(tmp_path, dataclasses.replace(record, rig=dataclasses.replace(record.rig, cameras=tuple(cameras))))
    fold_receipts(tmp_path)
    return tmp_path


def test_lenses_that_a_format_has_no_words_for_are_refused(tmp_path: Path) -> None:
    dataset = _with_lens(Lens(model="fisheye", coefficients=(0.0, 0.0, 0.0, 0.0), max_angle_rad=1.2), tmp_path / "ds")
    infos = ("mmdet3d", "bevformer", "streampetr", "bevdet", "flashocc")
    for format in ("nuscenes", "occ3d", "kitti", "argoverse2", "rds_hq", *infos):
        with pytest.raises(DatasetError, match=r"CAM_BACK \(fisheye") as caught:
            export_dataset(dataset, format=format, out=tmp_path / format)
        assert re.search(r"Generate with (a pinhole|another) rig", str(caught.value)), format
        assert not (tmp_path / format).exists()
    assert export_dataset(dataset, format="coco", out=tmp_path / "coco").num_steps == 19


def test_rds_hq_writes_f_theta_lenses(tmp_path: Path) -> None:
    slope_px = float(export_record().rig.cameras[0].K[0, 0])
    lens = Lens(model="f_theta", coefficients=(0.0, slope_px, 1.0), max_angle_rad=1.0)
    dataset = _with_lens(lens, tmp_path / "ds")
    export_dataset(dataset, format="rds_hq", out=tmp_path / "out")
    with tarfile.open(next((tmp_path / "out" / "ftheta_intrinsic").iterdir())) as tar:
        (member,) = tar.getmembers()
        assert member.name.endswith(".ftheta_intrinsic.CAM_BACK.npy")
        file = tar.extractfile(member)
        assert file is not None
        values = np.load(io.BytesIO(file.read()))
    assert values.tolist() == [20.0, 12.0, 40.0, 24.0, 0.0, slope_px, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]


def test_scenes_without_labels_are_refused_and_say_what_to_do(tmp_path: Path) -> None:
    record = export_record()
    with open_scene_writer(tmp_path / "ds", record, num_steps_per_shard=8) as writer:
        for chunk in export_chunks(record):
            writer.append(dataclasses.replace(chunk, agent_pixels=None, lidar=None, occupancy_instance=None))
        writer.commit(scores={}, cost={})
    fold_receipts(tmp_path / "ds")
    for format, label in (
        ("nuscenes", "lidar2ego"),
        ("occ3d", "mask_lidar"),
        ("coco", "objects2d"),
        ("kitti", "lidar2ego"),
    ):
        with pytest.raises(DatasetError, match=rf"{label}.*Generate the data set again"):
            export_dataset(tmp_path / "ds", format=format, out=tmp_path / format)
        assert not (tmp_path / format).exists()


@pytest.mark.parametrize(("format", "package"), [("mp4", "av"), ("argoverse2", "pyarrow"), ("lerobot", "pyarrow")])
def test_a_missing_package_is_named(
    labelled_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=r"(?i)pip install 'scenegen\[generate\]'"):
        export_dataset(labelled_dataset, format=format, out=tmp_path / "out")
    assert leftovers(tmp_path) == []


MODULES = [module.name for module in pkgutil.walk_packages(export.__path__, f"{export.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
