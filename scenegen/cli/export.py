"""The verb that exports a data set to other formats."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

EXPORT_EXAMPLES = """examples:
  scenegen export out/ds --format nuscenes --out out/nuscenes
  scenegen export out/ds --format coco --out out/coco --scenes crossing_pedestrian-1a2b3c4d

What each format holds and which reader opens it: docs/exports.md.
"""


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `export`."""
    parser = verbs.add_parser(
        "export",
        parents=[common],
        help="write a data set in another format",
        description="write a data set in another format",
        epilog=EXPORT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", help="a folder or a URL")
    parser.add_argument(
        "--format", required=True, metavar="FORMAT", help="nuscenes, occ3d, coco, ...; a wrong one lists them"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--scenes", nargs="+", default=(), metavar="SCENE", help="scene ids; all by default")
    parser.set_defaults(verb=run_export)


def run_export(options: argparse.Namespace) -> None:
    """Export and say where it is."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from scenegen.dataset.export import export_dataset

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"export to {options.format}", total=None)
        summary = (options.exporter or export_dataset)(
            options.dataset,
            format=options.format,
            out=options.out,
            scene_ids=options.scenes,
            on_step=lambda done, total: progress.update(task, completed=done, total=total),
        )
    sys.stdout.write(
        f"{summary.num_scenes} scenes, {summary.num_steps} steps: {summary.num_files} files, "
        f"{summary.num_bytes / 1e6:.1f} MB in {summary.folder}\n"
    )
