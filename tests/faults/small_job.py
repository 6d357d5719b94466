"""A job of small scenes as processes that can be killed at any moment: a writer of scenes, and a committer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from scenegen.dataset import committed_scene_ids, fold_receipts
from scenegen.dataset.storage import is_url
from tests.faults.small_scene import write_small

SCENE_IDS = tuple(f"small-{number}" for number in range(6))
COMMITTER_PAUSE_S = 0.005
STORE_COMMITTER_PAUSE_S = 0.2
"""On an object store, whose emulator would do nothing else."""

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])  # so that a process costs milliseconds


def write_missing(location: Path | str, first_scene: int = 0) -> None:
    """Write every scene that is not committed, beginning anywhere in their circle."""
    for scene_id in (*SCENE_IDS[first_scene:], *SCENE_IDS[:first_scene]):
        if not committed_scene_ids(location, among=[scene_id]):
            write_small(location, scene_id)


def commit_until_all_are_listed(location: Path | str) -> None:
    """Fold receipts again and again, as the driver of a job does."""
    pause_s = STORE_COMMITTER_PAUSE_S if is_url(location) else COMMITTER_PAUSE_S
    while len(fold_receipts(location).scenes) < len(SCENE_IDS):
        time.sleep(pause_s)


ROLES: dict[str, Callable[..., None]] = {"writer": write_missing, "committer": commit_until_all_are_listed}


def start_process(role: str, location: Path | str, **options: int) -> BaseProcess:
    """Start a writer or a committer, with the options that its function takes."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    process = _CONTEXT.Process(target=_play, args=(role, location, environment), kwargs=options, daemon=True)
    process.start()
    return process


def _play(role: str, location: Path | str, environment: dict[str, str], **options: int) -> None:
    os.environ.update(environment)  # the fork server has that of the first test
    os.fsync = lambda descriptor: None  # type: ignore[assignment]  # the machine stays up when a process is killed
    ROLES[role](location, **options)
