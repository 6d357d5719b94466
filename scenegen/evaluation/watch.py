"""Progress of an evaluation: a bar on a terminal, plain lines elsewhere, both with the time that is left."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from scenegen.orchestration.progress import PLAIN_EVERY_S, Speed, write_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class PlainWatcher:
    """One line every few seconds."""

    def __init__(self) -> None:
        self._speed = Speed()
        self._last_line_s = 0.0

    def plan(self, *, num_scenes: int, num_moments: int) -> None:
        """Say how much there is to do."""
        self._speed = Speed()
        self._speed.num_frames_total = num_moments
        write_line(f"{num_scenes} scenes to look at, {num_moments} moments")

    def moment_done(self, scene_id: str) -> None:
        """Say where the job is, every few seconds."""
        speed = self._speed
        speed.num_frames += 1
        if time.monotonic() - self._last_line_s < PLAIN_EVERY_S:
            return
        self._last_line_s = time.monotonic()
        write_line(
            f"{scene_id}: {speed.num_frames}/{speed.num_frames_total} moments, "
            f"{speed.frames_per_second():.1f}/s, ETA {speed.eta()}"
        )

    def close(self) -> None:
        """Nothing to clean up."""


class BarWatcher:
    """A live bar."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def plan(self, *, num_scenes: int, num_moments: int) -> None:
        """Open the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn(f"{num_scenes} scenes"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("moments  ETA"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.description}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=num_moments)
        self._progress.start()

    def moment_done(self, scene_id: str) -> None:
        """Move the bar."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=1, description=scene_id)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()


def open_watcher(*, is_plain: bool) -> PlainWatcher | BarWatcher:
    """Return a bar on a terminal, lines elsewhere or where asked for."""
    return PlainWatcher() if is_plain or not sys.stderr.isatty() else BarWatcher()
