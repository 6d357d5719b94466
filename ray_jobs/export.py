"""Exports on a cluster: `python -m ray_jobs.export DATASET --format mp4 --out DIR --workers 8`, as `scenegen export`.

Formats that keep scenes apart are written one task a scene and then put together; the result is the serial one, file by
file. The others number things across scenes, so one task writes them whole.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ray_jobs.arguments import split_workers
from ray_jobs.cluster import is_on_cluster, open_ray
from ray_jobs.tasks import map_on_ray
from scenegen.cli.command_line import main as run_command_line
from scenegen.dataset import open_dataset
from scenegen.dataset.durable import output_errors
from scenegen.dataset.export import (
    FORMATS,
    ExportSummary,
    choose_scenes,
    export_dataset,
    staged,
    summarise_export,
    write_summary,
)
from scenegen.dataset.storage import absolute_location
from scenegen.errors import ConfigError

SCENE_BY_SCENE = frozenset({"mcap", "mp4", "ply"})
"""Formats whose export of several scenes is the exports of each, side by side."""


def export_on_ray(
    dataset: str,
    *,
    format: str,
    out: Path,
    scene_ids: Sequence[str] = (),
    on_step: Callable[[int, int], None] = lambda done, total: None,
    num_workers: int,
) -> ExportSummary:
    """Write a data set in another format; see `scenegen.dataset.export.export_dataset` for the arguments and errors.

    Raises:
        ConfigError: on a cluster, paths that are not absolute.
    """
    if format not in FORMATS:
        raise ConfigError(f"one of {', '.join(sorted(FORMATS))}", found=repr(format), where="--format")
    if is_on_cluster() and not out.is_absolute():
        raise ConfigError("an absolute folder that every node of the cluster sees", found=str(out), where="--out")
    dataset = absolute_location(dataset)  # a task's working folder is another one
    source, target = open_dataset(dataset), out.absolute()
    chosen = choose_scenes(source, scene_ids)
    with open_ray(num_cpus=num_workers):
        if format not in SCENE_BY_SCENE:
            whole = [(dataset, format, str(target), chosen)]
            return next(iter(map_on_ray(export_scenes, whole, num_workers=1)))
        with output_errors(target), staged(target) as folder:
            parts = folder / ".parts"
            parts.mkdir()
            arguments = [(dataset, format, str(parts / scene_id), (scene_id,)) for scene_id in chosen]
            for num_done, _ in enumerate(map_on_ray(export_scenes, arguments, num_workers=num_workers), start=1):
                on_step(num_done, len(chosen))
            for scene_id in chosen:
                _move_up(parts / scene_id, folder)
            shutil.rmtree(parts)
            write_summary(folder, source, format=format, scene_ids=chosen)
    return summarise_export(target, source, format=format, scene_ids=chosen)


def export_scenes(dataset: str, format: str, out: str, scene_ids: tuple[str, ...]) -> ExportSummary:
    """Export some scenes to a folder of their own, in a task; what an attempt that was lost has left goes."""
    shutil.rmtree(out, ignore_errors=True)
    return export_dataset(dataset, format=format, out=out, scene_ids=scene_ids)


def _move_up(part: Path, folder: Path) -> None:
    for path in sorted(part.iterdir()):
        target = folder / path.name
        if not target.exists():
            path.replace(target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `scenegen export` over Ray tasks."""
    num_workers, rest = split_workers(sys.argv[1:] if arguments is None else arguments)
    return run_command_line(["export", *rest], exporter=partial(export_on_ray, num_workers=num_workers))


if __name__ == "__main__":
    sys.exit(main())
