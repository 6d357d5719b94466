from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scenegen.dataset import fold_receipts, open_dataset, open_xarray
from scenegen.errors import DatasetError, DependencyError
from tests.unit.dataset.tiny_scene import tiny_record


def test_a_tree_has_the_arrays_of_the_scene_with_names_and_units(shared_dataset: Path) -> None:
    pytest.importorskip("xarray")
    tree = open_xarray(shared_dataset, "tiny-00c0ffee")
    scene = open_dataset(shared_dataset)["tiny-00c0ffee"]
    rgb = tree["cameras/CAM_FRONT/rgb"]
    assert rgb.dims == ("time", "y", "x", "rgb")
    assert np.array_equal(rgb[2].to_numpy(), scene.rgb("CAM_FRONT")[2])
    assert tree["ego/ego2global"].attrs["unit"] == "m"
    assert np.array_equal(tree["occupancy/semantics"][3].to_numpy(), scene.occupancy(3).semantics)


def test_pictures_are_read_when_they_are_looked_at(tmp_path: Path, write: Callable[..., object]) -> None:
    """A shard that vanishes after opening fails where it is read, and only there."""
    pytest.importorskip("xarray")
    write(tmp_path, tiny_record())
    fold_receipts(tmp_path)
    tree = open_xarray(tmp_path, "tiny-00c0ffee")
    next(tmp_path.glob("scenes/*/*/cameras/CAM_BACK/rgb/c.0.0.0.0")).unlink()
    assert tree["cameras/CAM_FRONT/rgb"][0].to_numpy().any()
    with pytest.raises(DatasetError, match="no such file"):
        tree["cameras/CAM_BACK/rgb"][0].to_numpy()
    with pytest.raises(DatasetError, match=r"c\.0\.0\.0\.0|no such file"):
        open_xarray(tmp_path, "tiny-00c0ffee")


def test_an_unknown_scene_and_a_missing_package_are_typed_errors(
    shared_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatasetError, match="one of 1 scenes"):
        open_xarray(shared_dataset, "other")
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(DependencyError, match="xarray"):
        open_xarray(shared_dataset, "tiny-00c0ffee")
