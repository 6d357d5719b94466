"""Exports: a data set in the files that other people's code opens. One module a format, looked up in `FORMATS`.

A writer fills an empty folder and knows nothing of commits: `export_dataset` gives it a staging folder beside the
target, holds a lock, and renames the folder when the writer is done, so what stands at the target is complete.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import scenegen
from scenegen.dataset.durable import fsync_tree, output_errors
from scenegen.dataset.read import Dataset, open_dataset
from scenegen.dataset.storage import Location
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import ConfigError, DatasetError, OutputError

FORMATS: dict[str, str] = {
    "argoverse2": "argoverse2",
    "bevdet": "bevdet",
    "bevformer": "bevformer",
    "coco": "coco",
    "flashocc": "flashocc",
    "html": "html",
    "kitti": "kitti",
    "lerobot": "lerobot",
    "mcap": "mcap_file",
    "mmdet3d": "mmdet3d",
    "mp4": "mp4",
    "nuscenes": "nuscenes",
    "occ3d": "occ3d",
    "ply": "pointcloud",
    "rds_hq": "rds_hq",
    "streampetr": "streampetr",
    "world_scenario": "world_scenario",
}
"""Module under this package that holds each format's `write`."""
SUMMARY_NAME = "scenegen_export.json"
"""File in an export that says what it was made from."""


@dataclass(frozen=True, kw_only=True)
class ExportJob:
    """What a writer is given.

    Attributes:
        dataset: what is exported.
        scene_ids: the scenes asked for, sorted.
        folder: an empty folder to fill.
        step_done: call it after each step of a scene, for progress.
    """

    dataset: Dataset
    scene_ids: tuple[str, ...]
    folder: Path
    step_done: Callable[[], None]

    def scenes(self) -> Iterator[Scene]:
        """Open the scenes one by one, in order."""
        return (self.dataset[scene_id] for scene_id in self.scene_ids)


class Writer(Protocol):
    """The function `write` of a format's module."""

    def __call__(self, job: ExportJob) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ExportSummary:
    """What was exported where."""

    format: str
    folder: Path
    num_scenes: int
    num_steps: int
    num_files: int
    num_bytes: int


def export_dataset(
    dataset: Location,
    *,
    format: str,
    out: Path | str,
    scene_ids: Sequence[str] = (),
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> ExportSummary:
    """Write a data set in another format to a new folder.

    Args:
        dataset: root of the data set, a folder or a URL.
        format: one of `FORMATS`.
        out: the folder to make; it must not exist or be empty.
        scene_ids: which scenes; all by default.
        on_step: called with the steps done and the steps in all.

    Raises:
        ConfigError: the format is unknown.
        DatasetError: no such data set or scene, or damage in it.
        DependencyError: the format needs a package that is not installed.
        OutputError: the folder holds something, another export writes to it, or the disk is full.
    """
    if format not in FORMATS:
        raise ConfigError(f"one of {', '.join(sorted(FORMATS))}", found=repr(format), where="--format")
    source, target = open_dataset(dataset), Path(out).absolute()
    chosen = choose_scenes(source, scene_ids)
    total = sum(entry.num_steps for entry in source.manifest.scenes if entry.scene_id in chosen)
    done = 0

    def step_done() -> None:
        nonlocal done
        done += 1
        on_step(done, total)

    write: Writer = import_module(f"{__name__}.{FORMATS[format]}").write
    with output_errors(target), staged(target) as folder:
        write(ExportJob(dataset=source, scene_ids=chosen, folder=folder, step_done=step_done))
        write_summary(folder, source, format=format, scene_ids=chosen)
    return summarise_export(target, source, format=format, scene_ids=chosen)


def write_summary(folder: Path, dataset: Dataset, *, format: str, scene_ids: Sequence[str]) -> None:
    """Write into an export what it was made from."""
    contents = {entry.scene_id: entry.content_sha256 for entry in dataset.manifest.scenes}
    summary = {
        "format": format,
        "scenegen_version": scenegen.__version__,
        "scenes": {scene_id: contents[scene_id] for scene_id in scene_ids},
    }
    (folder / SUMMARY_NAME).write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")


def summarise_export(folder: Path, dataset: Dataset, *, format: str, scene_ids: Sequence[str]) -> ExportSummary:
    """Say what lies in a finished export."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return ExportSummary(
        format=format,
        folder=folder,
        num_scenes=len(scene_ids),
        num_steps=sum(entry.num_steps for entry in dataset.manifest.scenes if entry.scene_id in scene_ids),
        num_files=len(sizes),
        num_bytes=sum(sizes),
    )


def choose_scenes(dataset: Dataset, scene_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the scenes asked for, sorted; all where none is named.

    Raises:
        DatasetError: one is not in the data set, or the data set is empty.
    """
    missing = sorted(set(scene_ids) - set(dataset.scene_ids))
    if missing:
        raise DatasetError(f"scenes among the {len(dataset)} of the data set", found=", ".join(missing))
    chosen = tuple(sorted(scene_ids or dataset.scene_ids))
    if not chosen:
        raise DatasetError("at least one scene", found="none", where=dataset.storage.location)
    return chosen


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Give a folder that becomes `target` when the block ends well, and is deleted otherwise.

    Raises:
        OutputError: `target` holds something, or another process is writing to it.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(
            "a new or empty folder", found="something there", where=str(target), fix="name another folder"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name}.export")
    lock = target.with_name(f".{target.name}.export.lock")
    with lock.open("a") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError("no other export to this folder", found="one is running", where=str(target)) from None
        shutil.rmtree(staging, ignore_errors=True)  # of an export that was killed
        staging.mkdir()
        try:
            yield staging
            fsync_tree(staging)
            if target.exists():
                target.rmdir()
            staging.replace(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            lock.unlink(missing_ok=True)
