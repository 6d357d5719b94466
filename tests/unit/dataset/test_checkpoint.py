"""Checkpoints come back as they were saved, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenegen.dataset.checkpoint import Checkpoint, SceneCheckpoints, delete_checkpoints
from scenegen.dataset.paths import CHECKPOINTS
from scenegen.dataset.storage import open_storage
from scenegen.types import SceneRecord
from tests.unit.dataset.tiny_scene import bare_chunks, tiny_chunk, tiny_record

STEPS = (0, 3, 6)


def tiny_checkpoints(record: SceneRecord) -> list[Checkpoint]:
    chunks = [tiny_chunk(record, start_step=start, num_steps=stop - start) for start, stop in pairwise((*STEPS, 7))]
    return [
        Checkpoint(
            chunk=chunk, state={"session": {"memory": np.full((2, 3), chunk.start_step, np.float32)}, "none": {}}
        )
        for chunk in chunks
    ]


@pytest.fixture
def saved(place: Path | str) -> Path | str:
    record = tiny_record()
    log = SceneCheckpoints(place, record, attempt=0)
    for checkpoint in tiny_checkpoints(record):
        log.append(checkpoint)
    return place


def read(place: Path | str, record: SceneRecord | None = None, *, attempt: int = 0) -> tuple[list[Checkpoint], str]:
    log = SceneCheckpoints(place, record or tiny_record(), attempt=attempt)
    return list(log.read()), log.problem


def assert_equal(found: Any, expected: Any) -> None:
    if is_dataclass(expected):
        assert type(found) is type(expected)
        for item in fields(expected):
            assert_equal(getattr(found, item.name), getattr(expected, item.name))
    elif isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


def test_chunks_and_states_come_back_as_they_were(saved: Path | str) -> None:
    found, problem = read(saved)
    assert problem == ""
    for one, other in zip(found, tiny_checkpoints(tiny_record()), strict=True):
        assert_equal(one.chunk, other.chunk)
        assert set(one.state) == {"session"}
        np.testing.assert_array_equal(one.state["session"]["memory"], other.state["session"]["memory"])


def test_labels_that_a_scene_does_without_stay_away() -> None:
    record, place = tiny_record(), "memory://bare-checkpoints/ds"
    log = SceneCheckpoints(place, record, attempt=0)
    chunks = bare_chunks(record)
    full = tiny_chunk(record, start_step=len(chunks[0].occupancy), num_steps=2)
    assert full.lidar is not None
    unswept = replace(full, dense=None, lidar=replace(full.lidar, sweeps=None))
    for chunk in (chunks[0], unswept):
        log.append(Checkpoint(chunk=chunk, state={}))
    found, _ = read(place, record)
    for item, chunk in zip(found, (chunks[0], unswept), strict=True):
        assert_equal(item.chunk, chunk)


def flip(content: bytes, place: float) -> bytes:
    index = int(place * (len(content) - 1))
    return content[:index] + bytes([content[index] ^ 4]) + content[index + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[: len(content) // 2],
    "grown": lambda content: content + b"\0",
    "empty": lambda content: b"",
    "a bit of the content": lambda content: flip(content, 0.7),
    "the last bit": lambda content: flip(content, 1.0),
    "a bit of the first line": lambda content: flip(content, 0.0),
    "a list": lambda content: b"[]\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("index", range(len(STEPS)))
def test_reading_stops_at_damage_and_says_where(saved: Path | str, damage: str, index: int) -> None:
    storage = open_storage(saved)
    key = [file.key for file in storage.list_files(CHECKPOINTS)][index]
    storage.put(key, DAMAGES[damage](storage.read(key)))
    found, problem = read(saved)
    assert [item.chunk.start_step for item in found] == list(STEPS[:index])
    assert key in problem


def test_files_do_not_stand_in_for_each_other(saved: Path | str) -> None:
    storage = open_storage(saved)
    first, second, third = (file.key for file in storage.list_files(CHECKPOINTS))
    contents = {key: storage.read(key) for key in (first, second, third)}
    storage.put(second, contents[third])
    assert len(read(saved)[0]) == 1
    storage.put(second, contents[second])
    SceneCheckpoints(saved, tiny_record(), attempt=0).append(
        replace(item := tiny_checkpoints(tiny_record())[0], state={"session": {"memory": np.zeros(1)}})
    )
    assert item.chunk.start_step == 0
    found, problem = read(saved)
    assert len(found) == 1 and "does not follow" in problem


def test_other_weights_configurations_and_paintings_have_nothing_in_common(saved: Path | str) -> None:
    record = tiny_record()
    for name, value in {"weights_sha256": "f" * 64, "config_sha256": "1" * 64, "code_version": "9"}.items():
        other = replace(record, provenance=replace(record.provenance, **{name: value}))
        found, problem = read(saved, other)
        assert found == [] and "another scene, configuration, model" in problem
    assert read(saved, replace(record, seed=record.seed + 1))[0] == []
    assert read(saved, attempt=1) == ([], "")
    assert read(saved, replace(record, scene_id="tiny-0badc0de")) == ([], "")


def test_a_writer_goes_on_behind_what_was_read(saved: Path | str) -> None:
    record = tiny_record()
    storage = open_storage(saved)
    last = [file.key for file in storage.list_files(CHECKPOINTS)][-1]
    content = storage.read(last)
    storage.delete([last])
    log = SceneCheckpoints(saved, record, attempt=0)
    assert len(list(log.read())) == 2 and log.problem == ""
    log.append(tiny_checkpoints(record)[2])
    assert storage.read(last) == content
    delete_checkpoints(saved, record.scene_id)
    assert list(storage.list_files(CHECKPOINTS)) == []
