"""The main job through the command line, small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import zarr

from scenegen.dataset import DatasetPaths, open_dataset, read_manifest
from scenegen.types import Layout
from tests.conftest import TINY_JOB, run_scenegen


def content_of(folder: Path) -> dict[str, str]:
    return {scene.scene_id: scene.content_sha256 for scene in read_manifest(folder).scenes}


def test_the_data_set_opens_with_our_reader(whole_dataset: Path) -> None:
    dataset = open_dataset(whole_dataset)
    assert len(dataset) == 2
    for scene in dataset:
        assert scene.num_steps == 24 and scene.cameras == ("CAM_FRONT",)
        frames = scene.rgb("CAM_FRONT")[:]
        assert frames.shape == (24, 32, 64, 3) and frames.std() > 10.0
        assert scene.occupancy(23).semantics.shape == (200, 200, 16)
        assert 0 < scene.occupancy(23).mask_camera.mean() < 1
        assert isinstance(scene.layout, Layout)
        assert scene.attrs["synthetic"] is True


def test_the_data_set_opens_with_plain_zarr(whole_dataset: Path) -> None:
    paths = DatasetPaths(whole_dataset)
    for scene_id in open_dataset(whole_dataset).scene_ids:
        group = zarr.open_group(paths.scene(scene_id), mode="r")
        assert group["cameras/CAM_FRONT/rgb"][3].shape == (32, 64, 3)
        assert group["objects/frame_ptr"].shape == (25,)


def test_every_scene_has_previews_and_the_job_says_where(whole_dataset: Path) -> None:
    again = run_scenegen("generate", *TINY_JOB, f"output={whole_dataset}")
    assert again.returncode == 0
    assert "2 were there already" in again.stdout and "open_dataset" in again.stdout
    for scene_id in open_dataset(whole_dataset).scene_ids:
        for suffix in (".mp4", ".jpg"):
            path = whole_dataset / "previews" / f"{scene_id}{suffix}"
            assert path.stat().st_size > 1000
        assert f"{scene_id}.mp4" in again.stdout


def test_the_printed_lines_load_the_data_set(whole_dataset: Path) -> None:
    again = run_scenegen("generate", *TINY_JOB, f"output={whole_dataset}")
    _, _, lines = again.stdout.partition("load it:\n")
    values: dict[str, object] = {}
    exec("\n".join(line.strip() for line in lines.splitlines()), values)
    assert np.asarray(values["frames"]).shape == (12, 32, 64, 3)


def test_the_same_seed_gives_the_same_bytes(whole_dataset: Path, tmp_path: Path) -> None:
    again = run_scenegen("generate", *TINY_JOB, f"output={tmp_path / 'again'}")
    assert again.returncode == 0, again.stderr
    assert content_of(tmp_path / "again") == content_of(whole_dataset)
    for path in sorted((whole_dataset / "previews").iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / "previews" / path.name).read_bytes()


def test_another_seed_gives_another_scene_of_the_same_layout(whole_dataset: Path, tmp_path: Path) -> None:
    other = run_scenegen(
        "generate", *TINY_JOB, "layouts=[procedural:1]", "duration_s=0.5", "seed=1", f"output={tmp_path / 'other'}"
    )
    assert other.returncode == 0, other.stderr
    assert not set(content_of(tmp_path / "other")) & set(content_of(whole_dataset))


def test_verify_status_and_inspect_agree(whole_dataset: Path) -> None:
    verified = run_scenegen("verify", str(whole_dataset), "--deep")
    assert verified.returncode == 0, verified.stderr
    status = json.loads(run_scenegen("status", str(whole_dataset), "--json").stdout)
    assert (status["num_committed"], status["num_damaged"], status["num_not_started"]) == (2, 0, 0)
    assert status["runs"][0]["state"] == "complete"
    scene_id = open_dataset(whole_dataset).scene_ids[0]
    inspected = run_scenegen("inspect", str(whole_dataset), scene_id, "--json")
    assert inspected.returncode == 0 and scene_id in inspected.stdout
