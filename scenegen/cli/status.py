"""The verb `status`: how far a data set is, also while a job in another process works on it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from scenegen.cli.look import DATASET_HELP

if TYPE_CHECKING:
    from rich.console import Console

    from scenegen.orchestration.status import DatasetStatus

MAX_LISTED = 10
PIPE_WIDTH = 160
"""Columns where nobody says how many there are."""


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `status`."""
    parser = verbs.add_parser(
        "status", parents=[common], help="what is committed, running, failed and not started; rate and time left"
    )
    parser.add_argument("dataset", metavar="DATASET", help=DATASET_HELP)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(verb=run_status)


def run_status(options: argparse.Namespace) -> None:
    """Print how far a data set is."""
    from rich.console import Console

    from scenegen.orchestration.status import read_status

    status = read_status(options.dataset)
    if options.json:
        sys.stdout.write(json.dumps(status.as_dict(), indent=2, allow_nan=False) + "\n")
        return
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    _print_status(status, Console(file=sys.stdout, highlight=False, soft_wrap=True, width=width))


def _print_status(status: DatasetStatus, console: Console) -> None:
    from scenegen.orchestration.progress import clock_text

    console.print(_scenes_table(status))
    console.print(f"{status.num_images} images, {status.num_bytes / 1e6:.1f} MB in {status.dataset}", markup=False)
    if status.frames_per_s is not None:
        eta = "-" if status.eta_s is None else clock_text(status.eta_s)
        console.print(
            f"{status.frames_per_s:.1f} frames/s, {status.scenes_per_hour or 0.0:.1f} scenes/h, ETA {eta}", markup=False
        )
    if status.cost:
        console.print(_cost_table(status))
    if status.runs:
        console.print(_runs_table(status))
    for heading, scenes in (("running", dict.fromkeys(status.running, "")), ("failed", status.failed)):
        for scene_id, text in list(scenes.items())[:MAX_LISTED]:
            console.print(f"{heading}: {scene_id}{': ' + text if text else ''}", markup=False)
        if len(scenes) > MAX_LISTED:
            console.print(f"{heading}: ... and {len(scenes) - MAX_LISTED} more")
    for scene_id in status.damaged[:MAX_LISTED]:
        console.print(f"damaged: {scene_id}", markup=False)


def _scenes_table(status: DatasetStatus) -> Any:
    from rich.table import Table

    counts = {
        "committed": len(status.committed),
        "running": len(status.running),
        "failed": len(status.failed),
        "not started": len(status.not_started),
        "damaged": len(status.damaged),
    }
    table = Table(title="scenes", title_justify="left")
    for name in counts:
        table.add_column(name, justify="right")
    table.add_row(*map(str, counts.values()))
    return table


def _cost_table(status: DatasetStatus) -> Any:
    from rich.table import Table

    stages = dict.fromkeys(stage for of_unit in status.cost.values() for stage in of_unit)
    table = Table(title="cost of committed scenes, seconds", title_justify="left")
    table.add_column("by")
    for stage in [*stages, "sum"]:
        table.add_column(stage.replace("_", " "), justify="right")
    for unit, of_unit in status.cost.items():
        values = [of_unit.get(stage, 0.0) for stage in stages]
        table.add_row(unit.replace("_", " "), *(f"{seconds:.1f}" for seconds in [*values, sum(values)]))
    return table


def _runs_table(status: DatasetStatus) -> Any:
    from rich.table import Table

    from scenegen.orchestration.progress import clock_text

    table = Table(title=f"last runs of {len(status.runs)}", title_justify="left")
    for name in ("run", "state", "planned", "committed", "failed", "retries", "frames/s", "ETA"):
        table.add_column(name, justify="left" if name in ("run", "state") else "right")
    for run in status.runs[-MAX_LISTED:]:
        counts = (run.num_planned, run.num_committed, run.num_failed, run.num_retries)
        rate = "-" if run.frames_per_s is None else f"{run.frames_per_s:.1f}"
        table.add_row(
            run.run_id, run.state, *map(str, counts), rate, "-" if run.eta_s is None else clock_text(run.eta_s)
        )
    return table
