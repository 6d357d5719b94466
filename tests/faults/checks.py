"""What must hold of a data set while writers die, and after they have been run to the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scenegen.dataset import open_dataset, read_manifest
from scenegen.dataset.collect_garbage import collect_garbage, find_garbage
from scenegen.dataset.storage import open_storage
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import DatasetError


def assert_nothing_or_whole(location: Path | str) -> None:
    """See what a reader sees: no data set, or one in which everything listed is sound."""
    try:
        dataset = open_dataset(location)
    except DatasetError as error:
        assert "no such" in str(error).lower()
        return
    assert verify_dataset(location, deep=False).damages == ()
    for scene in dataset:
        assert scene.rgb("CAM_FRONT")[:].any()


def assert_finished(location: Path | str, undisturbed: Mapping[str, str]) -> None:
    """See that nothing is lost, doubled or unlisted, and that garbage collection leaves just that.

    Args:
        location: root of the data set.
        undisturbed: scene -> content hash, of a job without any fault.
    """
    assert {entry.scene_id: entry.content_sha256 for entry in read_manifest(location).scenes} == undisturbed
    collect_garbage(location, grace_s=-1.0)
    assert find_garbage(location, grace_s=-1.0) == []
    assert_nothing_or_whole(location)
    expected = {"manifest.json", "README.md"}
    for scene in open_dataset(location):
        receipt = scene.receipt
        expected |= {f"{receipt.scene_key}/{name}" for name in receipt.files} | set(receipt.previews)
        expected.add(f"receipts/{scene.scene_id}.json")
    assert expected == {file.key for file in open_storage(location).list_files("") if _is_of_data_set(file.key)}


def _is_of_data_set(key: str) -> bool:
    return not key.startswith(("staging/", "runs/"))
