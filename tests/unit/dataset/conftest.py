from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scenegen.dataset import Receipt, fold_receipts, open_scene_writer
from scenegen.types import SceneChunk, SceneRecord, WorldVoxels
from tests.unit.dataset.tiny_scene import bare_chunks, full_chunks, tiny_chunks, tiny_record, tiny_world
from tests.unit.dataset.turning_scene import write_turning_dataset


def write_chunks(
    dataset_dir: Path,
    record: SceneRecord,
    chunks: Sequence[SceneChunk],
    *,
    world: WorldVoxels | None = None,
    **options: Any,
) -> Receipt:
    with open_scene_writer(dataset_dir, record, **{"num_steps_per_shard": 4, **options}) as writer:
        if world is not None:
            writer.write_world(world)
        for chunk in chunks:
            writer.append(chunk)
        return writer.commit(scores={"control": 0.9}, cost={"seconds": {"paint": 1.0}})


def write_scene(dataset_dir: Path, record: SceneRecord, *, chunk_steps: int = 3, **options: Any) -> Receipt:
    return write_chunks(dataset_dir, record, tiny_chunks(record, chunk_steps=chunk_steps), **options)


def write_full_dataset(folder: Path) -> None:
    """Write one scene with every label that can be stored."""
    write_chunks(folder, tiny_record(), full_chunks(tiny_record()), world=tiny_world())
    fold_receipts(folder)


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts() -> Iterator[None]:
    """Do not wait for the disk in tests: they kill processes, not machines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def write() -> Callable[..., Receipt]:
    return write_scene


@pytest.fixture(scope="session")
def shared_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One committed scene; tests must not change it."""
    folder = tmp_path_factory.mktemp("dataset")
    write_scene(folder, tiny_record())
    fold_receipts(folder)
    return folder


@pytest.fixture(scope="session")
def full_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scene with the labels of every pixel."""
    folder = tmp_path_factory.mktemp("full")
    write_full_dataset(folder)
    return folder


@pytest.fixture(scope="session")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labelled scenes whose ego turns."""
    folder = tmp_path_factory.mktemp("turning")
    write_turning_dataset(folder)
    return folder


@pytest.fixture(scope="session")
def bare_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One committed scene without the labels that a scene may do without."""
    folder = tmp_path_factory.mktemp("bare")
    record = tiny_record(num_steps=3)
    write_chunks(folder, record, bare_chunks(record))
    fold_receipts(folder)
    return folder
