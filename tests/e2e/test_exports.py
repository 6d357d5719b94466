"""Generated scenes through every exporter, by the command line; the labels agree with the rendered world."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from scenegen.dataset import open_dataset
from scenegen.dataset.export import FORMATS, SUMMARY_NAME
from tests.conftest import run_scenegen
from tests.unit.dataset.export.devkit_scores import score_detection

NUSCENES_VERSION = "v1.0-scenegen"
OPTIONAL_PACKAGES = {"ply": "open3d", "mcap": "mcap"}
INSTALLED = sorted(
    name
    for name in FORMATS
    if name not in OPTIONAL_PACKAGES or importlib.util.find_spec(OPTIONAL_PACKAGES[name]) is not None
)


@pytest.mark.parametrize("format", INSTALLED)
def test_every_format_exports_by_the_command_line(whole_dataset: Path, tmp_path: Path, format: str) -> None:
    finished = run_scenegen("export", str(whole_dataset), "--format", format, "--out", str(tmp_path / "out"))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("2 scenes, 48 steps: ")
    recorded = json.loads((tmp_path / "out" / SUMMARY_NAME).read_text())
    assert set(recorded["scenes"]) == set(open_dataset(whole_dataset).scene_ids)


def test_wrong_orders_are_one_line_and_exit_code_2(whole_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for extra, words in (
        (("--format", "nuscene", "--out", str(tmp_path / "out")), "expected one of argoverse2"),
        (("--format", "coco", "--out", str(tmp_path / "full")), "expected a new or empty folder"),
        (("--format", "coco", "--out", str(tmp_path / "out"), "--scenes", "nobody"), "nobody"),
    ):
        finished = run_scenegen("export", str(whole_dataset), *extra)
        assert finished.returncode == 2
        assert words in finished.stderr and "Traceback" not in finished.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("nuscenes") is None, reason="nuscenes-devkit is not installed: scenegen[nuscenes]"
)
def test_exported_boxes_and_points_agree_with_the_rendered_world(whole_dataset: Path, tmp_path: Path) -> None:
    from nuscenes import NuScenes
    from nuscenes.utils.data_classes import LidarPointCloud
    from nuscenes.utils.geometry_utils import BoxVisibility, points_in_box

    finished = run_scenegen("export", str(whole_dataset), "--format", "nuscenes", "--out", str(tmp_path / "out"))
    assert finished.returncode == 0, finished.stderr
    devkit = NuScenes(version=NUSCENES_VERSION, dataroot=str(tmp_path / "out"), verbose=False)
    assert len(devkit.sample) == 8
    for sample in devkit.sample:
        path, boxes, _ = devkit.get_sample_data(sample["data"]["LIDAR_TOP"], box_vis_level=BoxVisibility.NONE)
        points = LidarPointCloud.from_file(path).points[:3].astype(np.float64)
        assert points.shape[1] > 1000
        for box in boxes:
            row = devkit.get("sample_annotation", box.token)
            inside = int(points_in_box(box, points, wlh_factor=1.0 + 1e-4).sum())
            assert abs(inside - row["num_lidar_pts"]) <= 1  # the file has float32, which may move a point over a face
            if row["visibility_token"] != "1":
                assert row["num_lidar_pts"] > 0
    scores = score_detection(devkit, tmp_path)
    present = [name for name, score in scores.mean_dist_aps.items() if score > 0.0]
    assert "car" in present
    for name in present:
        assert scores.mean_dist_aps[name] == pytest.approx(1.0, abs=1e-9)
        for error in ("trans_err", "scale_err", "vel_err"):
            assert scores.get_label_tp(name, error) == pytest.approx(0.0, abs=1e-9)
