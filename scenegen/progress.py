"""Progress of a job: a live bar on a terminal, plain lines elsewhere. Everything goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from scenegen.types import SceneRecord

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_EVERY_S = 5.0


class Outcome(Protocol):
    """The part of a scene's outcome that is shown."""

    @property
    def scene_id(self) -> str: ...

    @property
    def error(self) -> str: ...

    @property
    def wall_s(self) -> float: ...


class Speed:
    """Frames per second and the time that is left, from frames done so far in this run."""

    def __init__(self) -> None:
        self.num_frames = 0
        self.num_frames_total = 0
        self._started_s = time.monotonic()

    def frames_per_second(self) -> float:
        """Return the mean speed since the start."""
        return self.num_frames / max(time.monotonic() - self._started_s, 1e-9)

    def eta(self) -> str:
        """Return the remaining time as m:ss, or a dash before the first frame."""
        if self.num_frames == 0:
            return "-"
        left_s = int((self.num_frames_total - self.num_frames) / self.frames_per_second())
        return f"{left_s // 60}:{left_s % 60:02d}"


class PlainReporter:
    """One line per scene, and one every few seconds while a scene is being made."""

    def __init__(self) -> None:
        self._speed = Speed()
        self._num_scenes = 0
        self._num_done = 0
        self._last_line_s = 0.0

    def plan(self, records: Sequence[SceneRecord], *, num_skipped: int) -> None:
        """Say how much there is to do."""
        self._num_scenes = len(records)
        self._speed = Speed()
        self._speed.num_frames_total = sum(count_frames(record) for record in records)
        skipped = f", {num_skipped} already committed" if num_skipped else ""
        write_line(f"{len(records)} scenes to make, {self._speed.num_frames_total} frames{skipped}")

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        """Say where the job is, every few seconds."""
        self._speed.num_frames += num_frames
        if time.monotonic() - self._last_line_s < PLAIN_EVERY_S:
            return
        self._last_line_s = time.monotonic()
        speed = self._speed
        write_line(
            f"scene {min(self._num_done + 1, self._num_scenes)}/{self._num_scenes} {scene_id}: "
            f"{speed.num_frames}/{speed.num_frames_total} frames, "
            f"{speed.frames_per_second():.1f} frames/s, ETA {speed.eta()}"
        )

    def scene_done(self, outcome: Outcome) -> None:
        """Say what became of a scene."""
        self._num_done += 1
        write_line(describe_outcome(outcome))

    def close(self) -> None:
        """Nothing to clean up."""


class RichReporter:
    """A live bar: scenes, frames, speed, time left."""

    def __init__(self) -> None:
        self._speed = Speed()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._num_scenes = 0
        self._num_done = 0

    def plan(self, records: Sequence[SceneRecord], *, num_skipped: int) -> None:
        """Open the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._num_scenes = len(records)
        self._speed = Speed()
        self._speed.num_frames_total = sum(count_frames(record) for record in records)
        self._progress = Progress(
            TextColumn("{task.fields[scenes]}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} frames  {task.fields[speed]} frames/s  ETA {task.fields[eta]}"),
            TextColumn("[dim]{task.description}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(
            f"{num_skipped} already committed" if num_skipped else "",
            total=self._speed.num_frames_total,
            **self._fields(),
        )
        self._progress.start()

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        """Move the bar."""
        self._speed.num_frames += num_frames
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=num_frames, description=scene_id, **self._fields())

    def scene_done(self, outcome: Outcome) -> None:
        """Print what became of a scene above the bar."""
        self._num_done += 1
        if self._progress is not None and self._task is not None:
            self._progress.console.print(describe_outcome(outcome), markup=False, highlight=False)
            self._progress.update(self._task, **self._fields())

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()

    def _fields(self) -> dict[str, Any]:
        return {
            "scenes": f"scene {min(self._num_done + 1, self._num_scenes)}/{self._num_scenes}",
            "speed": f"{self._speed.frames_per_second():.1f}",
            "eta": self._speed.eta(),
        }


def open_reporter(name: str) -> PlainReporter | RichReporter:
    """Choose by name; `auto` is a bar on a terminal and lines elsewhere."""
    if name == "rich" or (name == "auto" and sys.stderr.isatty()):
        return RichReporter()
    return PlainReporter()


def count_frames(record: SceneRecord) -> int:
    """Count the images of a scene: steps times cameras."""
    return record.layout.timeline.num_steps * len(record.rig.cameras)


def describe_outcome(outcome: Outcome) -> str:
    """Say in one line what became of a scene."""
    if outcome.error:
        return f"{outcome.scene_id}: failed after {outcome.wall_s:.1f} s: {outcome.error}"
    return f"{outcome.scene_id}: committed in {outcome.wall_s:.1f} s"


def write_line(text: str) -> None:
    """Write one line to stderr at once."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
