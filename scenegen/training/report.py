"""Progress of a training run: a live bar on a terminal, log lines elsewhere, and `log.jsonl` in any case."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger(__name__)

LINE_EVERY_STEPS = 50


class TrainingReport:
    """Speed, remaining time and mean losses of a run.

    Args:
        path: `log.jsonl`, to which a record is added every LINE_EVERY_STEPS steps.
        first: steps done by earlier runs.
        progress: `auto`, `rich` or `plain`.
    """

    def __init__(self, path: Path, *, first: int, progress: str) -> None:
        self._path = path
        self._first = first
        self._began_s = time.monotonic()
        self._losses: list[dict[str, float]] = []
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if progress == "rich" or (progress == "auto" and sys.stderr.isatty()):
            self._open_bar()

    def step_done(self, done: int, losses: dict[str, float], *, total: int) -> None:
        """Count a step of `total`; every so often, say how it goes."""
        self._losses.append(losses)
        rate = (done - self._first) / max(time.monotonic() - self._began_s, 1e-9)
        left_s = round((total - done) / rate)
        if self._bar is not None and self._task is not None:
            text = "  ".join(f"{name} {value:.4f}" for name, value in mean_of(self._losses[-20:]).items())
            eta = f"{left_s // 3600}:{left_s // 60 % 60:02d}:{left_s % 60:02d}"
            self._bar.update(self._task, completed=done, total=total, rate=f"{rate:.2f}", eta=eta, losses=text)
        if done % LINE_EVERY_STEPS == 0:
            self._write_record({"step": done, "steps_per_s": round(rate, 3), "eta_s": left_s})

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()

    def _write_record(self, speed: dict[str, float]) -> None:
        record = speed | {name: round(value, 5) for name, value in mean_of(self._losses).items()}
        self._losses.clear()
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if self._bar is None:
            log.info("%s", "  ".join(f"{name} {value}" for name, value in record.items()))

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps  {task.fields[rate]} steps/s  ETA {task.fields[eta]}"),
            TextColumn("[dim]{task.fields[losses]}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("", total=None, completed=self._first, rate="-", eta="-", losses="")
        self._bar.start()


def mean_of(losses: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of every loss over the steps that have it, sorted by name."""
    names = sorted({name for entry in losses for name in entry})
    return {name: float(np.mean([entry[name] for entry in losses if name in entry])) for name in names}
