"""What one more scene costs a storage in writes: its own files, its previews, and at most three calls beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scenegen.config import GenerateConfig
from scenegen.dataset import open_dataset
from scenegen.dataset.storage import LocalStorage
from scenegen.dataset.storage.object_store import ObjectStorage
from scenegen.pipeline import SerialExecutor, generate
from tests.object_store import S3Emulator
from tests.unit.pipeline.conftest import GreyBackbone, SilentReporter

Install = Callable[[GreyBackbone], None]
WRITES = ("put", "put_if", "place_file", "place_folder", "append_line", "delete")
MAX_WRITES = 3


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every writing call on a storage with its key, calls inside calls left out; what is written by the clock waits."""
    monkeypatch.setattr("scenegen.orchestration.ledger.PULSE_S", 3600.0)
    monkeypatch.setattr("scenegen.dataset.fold.MANIFEST_INTERVAL_S", 3600.0)
    keys: list[str] = []
    depth = 0

    def count(original: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal depth
            if not depth:
                keys.append(f"{name} {arguments[1] if name.startswith('place') else arguments[0]}")
            depth += 1
            try:
                return original(self, *arguments, **options)
            finally:
                depth -= 1

        return call

    for kind in (LocalStorage, ObjectStorage):
        for name in WRITES:
            monkeypatch.setattr(kind, name, count(getattr(kind, name), name))
    return keys


def writes_of_job(config: GenerateConfig, place: Path | str, num_scenes: int, written: list[str]) -> Counter[str]:
    """Run a job; return its writing calls by the folder of their key."""
    written.clear()
    job = replace(config, output=str(place), layouts=tuple("abcdef"[:num_scenes]))
    generate(job, executor=SerialExecutor(), reporter=SilentReporter()).raise_on_failure()
    return Counter(call.split(" ", 1)[1].split("/")[0] for call in written)


@pytest.mark.parametrize("place", ["local", "memory"], indirect=True)
def test_one_more_scene_is_its_files_and_at_most_three_writes(
    place: Path | str, config: GenerateConfig, use_streets: Install, written: list[str]
) -> None:
    use_streets(GreyBackbone())
    few = writes_of_job(config, f"{place}-few", 1, written)
    many = writes_of_job(config, f"{place}-many", 4, written)
    per_scene = {folder: (many[folder] - few[folder]) / 3 for folder in many}
    assert (per_scene.pop("scenes"), per_scene.pop("previews")) == (1.0, 2.0)
    assert sum(per_scene.values()) <= MAX_WRITES
    # The receipt; one event each for its start and its end. The manifest and the card have a rate of their own.
    assert per_scene == {"receipts": 1.0, "runs": 2.0, "manifest.json": 0.0, "README.md": 0.0}


def test_an_object_store_gets_no_other_request_to_write(
    s3: S3Emulator, config: GenerateConfig, use_streets: Install, written: list[str]
) -> None:
    use_streets(GreyBackbone())
    num_puts = []
    for num_scenes in (1, 4):
        before = s3.faults.num_requests.copy()
        writes_of_job(config, s3.url(f"writes-{num_scenes}"), num_scenes, written)
        num_puts.append(s3.faults.num_requests["PUT"] - before.get("PUT", 0))
        assert s3.faults.num_requests.get("POST", 0) == before.get("POST", 0)
    dataset = open_dataset(s3.url("writes-1"))
    receipt = dataset[dataset.scene_ids[0]].receipt
    assert num_puts[1] - num_puts[0] == 3 * (len(receipt.files) + len(receipt.previews) + MAX_WRITES)
