from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenegen.dataset import fold_receipts, open_scene_writer
from scenegen.types import SceneRecord
from tests.unit.dataset.export.export_scene import export_chunks, export_record


def write_labelled(dataset_dir: Path, record: SceneRecord, *, image_codec: str = "jpeg") -> None:
    with open_scene_writer(dataset_dir, record, num_steps_per_shard=8, image_codec=image_codec) as writer:
        for chunk in export_chunks(record):
            writer.append(chunk)
        writer.commit(scores={}, cost={})


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts() -> Iterator[None]:
    """Do not wait for the disk in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def labelled_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of other maps in other splits; tests must not change them."""
    folder = tmp_path_factory.mktemp("labelled")
    write_labelled(folder, export_record(scene_id="all-00c0ffee", split="train"))
    write_labelled(folder, export_record(scene_id="all-5ca1ab1e", split="val", shift_m=3.0))
    fold_receipts(folder)
    return folder
