from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scenegen.dataset import Dataset, Scene, fold_receipts, open_dataset
from scenegen.dataset.export import export_dataset
from tests.unit.dataset.export.export_scene import export_record, write_labelled
from tests.unit.dataset.export.info_files import LEGACY
from tests.unit.dataset.turning_scene import TRAIN_ID


@pytest.fixture(scope="session")
def labelled_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of other maps in other splits; tests must not change them."""
    folder = tmp_path_factory.mktemp("labelled")
    write_labelled(folder, export_record(scene_id="all-00c0ffee", split="train"))
    write_labelled(folder, export_record(scene_id="all-5ca1ab1e", split="val", shift_m=3.0))
    fold_receipts(folder)
    return folder


@pytest.fixture(scope="session")
def dataset(labelled_dataset: Path) -> Dataset:
    return open_dataset(labelled_dataset)


@pytest.fixture(scope="session")
def exported_as(labelled_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Exports the labelled scenes, once per format; tests must not change what comes out."""
    root = tmp_path_factory.mktemp("exports")

    def export(format: str) -> Path:
        if not (root / format).exists():
            export_dataset(labelled_dataset, format=format, out=root / format)
        return root / format

    return export


@pytest.fixture(scope="session")
def scene(turning: Path) -> Scene:
    """The first scene of `turning`, with which exported info files are compared."""
    return open_dataset(turning)[TRAIN_ID]


@pytest.fixture(scope="session")
def exports(turning: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`turning` in every format of info files; tests must not change what comes out."""
    root = tmp_path_factory.mktemp("infos")
    for name in (*LEGACY, "mmdet3d"):
        export_dataset(turning, format=name, out=root / name)
    return {name: root / name for name in (*LEGACY, "mmdet3d")}
