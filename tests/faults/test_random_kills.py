"""Whatever is killed, and whenever: the job's data set is the undisturbed one after it was run to its end."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scenegen.dataset import read_manifest
from scenegen.dataset.verify import verify_dataset
from tests.conftest import TINY_JOB, scenegen_command
from tests.e2e.test_main_job import content_of
from tests.faults.random_kills import kill_at_random
from tests.faults.tiers import asked_tier
from tests.object_store import S3Emulator

SEED = 5
LONGEST_JOB_S = 200.0
POLL_S = 0.02

Record = Callable[[str, object], None]


@pytest.mark.battery("F1 random kills of a small job")
def test_random_kills_of_writers_and_committers_lose_double_and_tear_nothing(
    tmp_path: Path, record_property: Record
) -> None:
    numbers = itertools.count()
    tally = kill_at_random(lambda: tmp_path / f"ds-{next(numbers)}", seed=SEED, num_kills=asked_tier().num_kills)
    assert tally.kills.total() >= asked_tier().num_kills and set(tally.kills) == {"writer", "committer"}
    record_property("seed", SEED)
    record_property("runs", tally.kills.total())


@pytest.mark.battery("F1 random kills of a small job on S3")
def test_random_kills_lose_double_and_tear_nothing_on_s3(
    s3: S3Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    numbers = itertools.count()
    tally = kill_at_random(
        lambda: s3.url(f"random-kills-{next(numbers)}"), seed=SEED, num_kills=asked_tier().num_store_kills
    )
    assert tally.kills.total() >= asked_tier().num_store_kills and set(tally.kills) == {"writer", "committer"}
    record_property("seed", SEED)
    record_property("runs", tally.kills.total())


@pytest.mark.battery("F1 random kills of the whole job")
def test_random_kills_of_the_whole_job_leave_a_job_that_can_be_resumed(
    whole_dataset: Path, tmp_path: Path, record_property: Record
) -> None:
    chance, num_kills = random.Random(SEED), 0
    for number in itertools.count():
        output = tmp_path / f"ds-{number}"
        while num_kills < asked_tier().num_job_kills:
            num_files = count_files(output) + chance.randint(0, count_files(whole_dataset))
            if not was_killed(output, when_it_has=num_files):
                break
            num_kills += 1
            if (output / "manifest.json").exists():
                assert verify_dataset(output, deep=False).damages == ()
        assert not was_killed(output, when_it_has=None)
        assert content_of(output) == content_of(whole_dataset)
        assert len(read_manifest(output).scenes) == len(list((output / "receipts").glob("*.json"))) == 2
        if num_kills >= asked_tier().num_job_kills:
            break
    record_property("seed", SEED)
    record_property("runs", num_kills)


def count_files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def was_killed(output: Path, *, when_it_has: int | None) -> bool:
    """Run the tiny job; kill it when its folder has so many files; return whether that was before its end."""
    job = subprocess.Popen(scenegen_command("generate", *TINY_JOB, f"output={output}"), stdout=subprocess.DEVNULL)
    deadline_s = time.monotonic() + LONGEST_JOB_S
    while job.poll() is None:
        assert time.monotonic() < deadline_s
        if when_it_has is not None and (output / "runs").exists() and count_files(output) >= when_it_has:
            job.kill()
            job.wait()
        time.sleep(POLL_S)
    assert job.returncode in (0, -signal.SIGKILL)
    return job.returncode != 0
