"""The main job with `occupancy=masked`: a data set whose worlds were sampled, whole and renderable again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenegen.dataset import open_dataset
from scenegen.dataset.verify import verify_dataset
from scenegen.occupancy.build import begin_world
from scenegen.occupancy.fixed import fixed_voxels
from scenegen.occupancy.voxels import voxelise_world
from scenegen.rerender import open_rendered
from scenegen.scene import stored_stage
from tests.conftest import run_scenegen

SMALL = (
    "layouts=[procedural:industrial/20003]", "occupancy=masked", "occupancy.steps=2", "video=preview", "rig=front1",
    "rig.image.width_px=64", "rig.image.height_px=32", "duration_s=0.5", "rate_hz=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same job twice, with labels stored and with labels rendered on read."""
    base = tmp_path_factory.mktemp("generated")
    for name in ("stored", "rendered"):
        finished = run_scenegen("generate", *SMALL, f"dataset.labels={name}", f"output={base / name}")
        assert finished.returncode == 0, finished.stderr
    return [base / "stored", base / "rendered"]


def test_the_sampled_world_is_stored_and_obeys(folders: list[Path]) -> None:
    (scene,) = open_dataset(folders[0])
    assert scene.world_voxels is not None
    assert scene.attrs["occupancy_model"]["model_id"] == "masked-attention"
    stage = stored_stage(scene)
    fixed = fixed_voxels(begin_world(scene.layout, seed=0).draft)
    assert fixed.obedience(voxelise_world(stage.world)) == 1.0
    verify_dataset(folders[0], deep=True).raise_on_damage()


def test_labels_rendered_on_read_are_those_that_were_stored(folders: list[Path]) -> None:
    (stored,), (rendered,) = open_dataset(folders[0]), open_rendered(folders[1])
    for step in range(stored.num_steps):
        for name in ("depth", "semantic", "instance"):
            own, other = (getattr(scene, name)("CAM_FRONT")[step] for scene in (stored, rendered))
            assert np.array_equal(own, other), (name, step)


def test_worlds_by_rules_are_others_and_are_not_stored(folders: list[Path], tmp_path: Path) -> None:
    finished = run_scenegen("generate", *SMALL, "occupancy=rules", f"output={tmp_path}")
    assert finished.returncode == 0, finished.stderr
    (ruled,), (sampled,) = open_dataset(tmp_path), open_dataset(folders[0])
    assert ruled.world_voxels is None
    assert "occupancy_model" not in ruled.attrs
    assert not np.array_equal(ruled.occupancy(0).semantics, sampled.occupancy(0).semantics)
