"""A job that is interrupted anywhere leaves only whole scenes, and the same command finishes it, byte for byte."""

from __future__ import annotations

import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scenegen.dataset import read_manifest
from scenegen.orchestration.status import read_status
from tests.conftest import TINY_JOB, run_scenegen, scenegen_command
from tests.e2e.test_main_job import content_of

pytestmark = pytest.mark.battery("F1 kills and signals at named moments")

SLOW_SCENE_S = 120.0


def start_and_signal(output: Path, number: int, *options: str, when: Callable[[Path], bool]) -> tuple[int, str]:
    """Start the tiny job, signal it as soon as `when(output)` holds, and return exit code and stderr."""
    command = scenegen_command("generate", *TINY_JOB, f"output={output}", *options)
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + SLOW_SCENE_S
    while not when(output):
        assert job.poll() is None, "the job ended before it could be interrupted"
        assert time.monotonic() < deadline_s
        time.sleep(0.002)
    job.send_signal(number)
    _, stderr = job.communicate(timeout=60)
    return job.returncode, stderr


def is_inside_first_scene(output: Path) -> bool:
    return any(output.glob("staging/*/scene.zarr/cameras"))


def is_inside_second_scene(output: Path) -> bool:
    return any(output.glob("receipts/*.json")) and any(output.glob("staging/*/scene.zarr/cameras"))


def visible_scenes(output: Path) -> int:
    return len(read_manifest(output).scenes) if (output / "manifest.json").exists() else 0


@pytest.mark.parametrize(("when", "num_visible"), [(is_inside_first_scene, 0), (is_inside_second_scene, 1)])
def test_kill_9_leaves_whole_scenes_and_a_resumable_job(
    whole_dataset: Path, tmp_path: Path, when: Callable[[Path], bool], num_visible: int
) -> None:
    output = tmp_path / "ds"
    code, _ = start_and_signal(output, signal.SIGKILL, when=when)
    assert code == -signal.SIGKILL
    assert visible_scenes(output) <= num_visible
    if visible_scenes(output):
        assert run_scenegen("verify", str(output), "--deep").returncode == 0
    resumed = run_scenegen("generate", *TINY_JOB, f"output={output}")
    assert resumed.returncode == 0, resumed.stderr
    assert content_of(output) == content_of(whole_dataset)
    assert len(read_manifest(output).scenes) == len(list((output / "receipts").glob("*.json"))) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_exits_130_cleans_up_and_says_how_to_go_on(
    whole_dataset: Path, tmp_path: Path, number: int
) -> None:
    output = tmp_path / "ds"
    code, stderr = start_and_signal(output, number, when=is_inside_second_scene)
    assert code == 130
    assert "Traceback" not in stderr
    assert f"scenegen generate {TINY_JOB[0]}" in stderr.splitlines()[-1]
    assert [path for path in (output / "staging").iterdir() if path.is_dir()] == []
    resumed = run_scenegen("generate", *TINY_JOB, f"output={output}")
    assert resumed.returncode == 0, resumed.stderr
    assert "1 were there already" in resumed.stdout
    assert content_of(output) == content_of(whole_dataset)


def test_a_notice_of_shutdown_lets_the_running_scene_finish_and_starts_no_other(tmp_path: Path) -> None:
    output = tmp_path / "ds"
    code, stderr = start_and_signal(output, signal.SIGTERM, f"run.drain_s={SLOW_SCENE_S}", when=is_inside_first_scene)
    assert code == 130, stderr
    assert visible_scenes(output) == 1
    status = read_status(output)
    assert (len(status.committed), len(status.not_started)) == (1, 1)
    assert status.runs[0].state == "interrupted"


def test_a_full_disk_fails_the_scene_and_a_later_run_finishes(whole_dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "ds"
    # A limit on the size of one file behaves like a disk that is full in the middle of a shard.
    limited = subprocess.run(
        scenegen_command("generate", *TINY_JOB, f"output={output}"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert limited.returncode == 3, limited.stderr
    assert "Traceback" not in limited.stderr
    assert visible_scenes(output) == 0
    resumed = run_scenegen("generate", *TINY_JOB, f"output={output}")
    assert resumed.returncode == 0, resumed.stderr
    assert content_of(output) == content_of(whole_dataset)


def test_an_output_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused = run_scenegen("generate", *TINY_JOB, f"output={tmp_path / 'file' / 'ds'}")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1 and "output=" in refused.stderr
    assert refused.stdout == ""
