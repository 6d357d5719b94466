"""Shared by all tests: where real data lies, and one small data set that was made without any interruption."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenegen.video.threads import let_waiting_threads_sleep
from tests.object_store import S3Emulator, s3_emulator

let_waiting_threads_sleep()

REPOSITORY = Path(__file__).parent.parent
TINY_JOB = (
    "layouts=[procedural:1-2]",
    "video=preview",
    "rig=front1",
    "rig.image.width_px=64",
    "rig.image.height_px=32",
    "duration_s=2",
    "num_steps_per_chunk=2",
    "progress=plain",
)
"""Two scenes of one small camera: about five seconds."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real logs; tests that need it say so when they skip."""
    return need_recorded(Path(os.environ.get("SCENEGEN_SHARED_DATA", REPOSITORY.parent / "shared" / "data")))


def need_recorded(path: Path) -> Path:
    """Return a file or folder of others' recordings; the test is skipped where it is not on this machine."""
    if not path.exists():
        pytest.skip(
            f"recordings of others stay out of the repository by their licences: none at {path} (SCENEGEN_SHARED_DATA)"
        )
    return path


@pytest.fixture(scope="session")
def whole_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny job, made in one go by the command line."""
    folder = tmp_path_factory.mktemp("whole") / "ds"
    finished = run_scenegen("generate", *TINY_JOB, f"output={folder}")
    assert finished.returncode == 0, finished.stderr
    return folder


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Emulator]:
    """An S3 emulator, one for all tests of a process."""
    with s3_emulator() as emulator:
        yield emulator


@pytest.fixture(params=["local", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a data set of a test lies: a new folder, or a new URL of either kind of object store."""
    if request.param == "local":
        return tmp_path / "ds"
    name = secrets.token_hex(6)
    return f"memory://{name}/ds" if request.param == "memory" else request.getfixturevalue("s3").url(name)


def run_scenegen(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own."""
    return subprocess.run(
        scenegen_command(*arguments), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def scenegen_command(*arguments: str) -> list[str]:
    """Return the command that calls `scenegen` with the interpreter of the tests."""
    return [sys.executable, "-c", "import sys; from scenegen.cli import main; sys.exit(main())", *arguments]
