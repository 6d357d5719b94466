"""Progress of a job: a live bar on a terminal, plain lines elsewhere. Everything goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scenegen.orchestration.attempt import SceneOutcome
from scenegen.orchestration.planning import PlannedScene

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_EVERY_S = 5.0


class Speed:
    """Frames per second and the time that is left, from frames done so far in this run."""

    def __init__(self, num_frames_total: int = 0) -> None:
        self.num_frames = 0
        self.num_frames_total = num_frames_total
        self._started_s = time.monotonic()

    def frames_per_second(self) -> float:
        """Return the mean speed since the start."""
        return self.num_frames / max(time.monotonic() - self._started_s, 1e-9)

    def eta(self) -> str:
        """Return the remaining time, or a dash before the first frame."""
        if self.num_frames <= 0:
            return "-"
        return clock_text((self.num_frames_total - self.num_frames) / self.frames_per_second())


class Tally:
    """How far a job is: scenes by what became of them, and the speed of frames."""

    def __init__(self, scenes: Sequence[PlannedScene] = ()) -> None:
        self.num_scenes = len(scenes)
        self.num_committed = 0
        self.num_failed = 0
        self.running: set[str] = set()
        self._frames_of_scene = {scene.scene_id: scene.num_frames for scene in scenes}
        self.speed = Speed(sum(self._frames_of_scene.values()))

    def settle(self, outcome: SceneOutcome) -> None:
        """Move a scene from the running to the committed or the failed ones, whose frames will not come."""
        self.running.discard(outcome.scene_id)
        if outcome.error:
            self.num_failed += 1
            self.speed.num_frames_total -= self._frames_of_scene[outcome.scene_id]
        else:
            self.num_committed += 1

    def scenes(self) -> str:
        """Say where the scenes are."""
        failed = f", {self.num_failed} failed" if self.num_failed else ""
        return f"{self.num_committed}/{self.num_scenes} committed, {len(self.running)} running{failed}"


class PlainReporter:
    """One line per scene, and one every few seconds while scenes are being made."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._last_line_s = 0.0

    def plan(self, scenes: Sequence[PlannedScene], *, num_skipped: int, num_bytes: int) -> None:
        """Say how much there is to do."""
        self._tally = Tally(scenes)
        write_line(describe_plan(scenes, num_skipped=num_skipped, num_bytes=num_bytes))

    def started(self, scene_id: str, *, attempt: int) -> None:
        """Count a running scene."""
        self._tally.running.add(scene_id)

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        """Say where the job is, every few seconds."""
        tally, speed = self._tally, self._tally.speed
        speed.num_frames += num_frames
        if time.monotonic() - self._last_line_s < PLAIN_EVERY_S:
            return
        self._last_line_s = time.monotonic()
        write_line(
            f"{tally.scenes()}, {speed.num_frames}/{speed.num_frames_total} frames, "
            f"{speed.frames_per_second():.1f} frames/s, ETA {speed.eta()}, last {scene_id}"
        )

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        """Say that a scene will be tried again."""
        self._tally.running.discard(scene_id)
        write_line(describe_abandoned(scene_id, attempt=attempt, reason=reason))

    def scene_done(self, outcome: SceneOutcome) -> None:
        """Say what became of a scene."""
        self._tally.settle(outcome)
        write_line(describe_outcome(outcome))

    def close(self) -> None:
        """Nothing to clean up."""


class RichReporter:
    """A live bar: scenes by what became of them, frames, speed, time left."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def plan(self, scenes: Sequence[PlannedScene], *, num_skipped: int, num_bytes: int) -> None:
        """Open the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._tally = Tally(scenes)
        self._progress = Progress(
            TextColumn("{task.fields[scenes]}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} frames  {task.fields[speed]} frames/s  ETA {task.fields[eta]}"),
            TextColumn("[dim]{task.description}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", **self._fields())
        self._progress.start()
        self._print(describe_plan(scenes, num_skipped=num_skipped, num_bytes=num_bytes))

    def started(self, scene_id: str, *, attempt: int) -> None:
        """Count a running scene."""
        self._tally.running.add(scene_id)
        self._show(description=scene_id)

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        """Move the bar."""
        self._tally.speed.num_frames += num_frames
        self._show(description=scene_id)

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        """Print above the bar that a scene will be tried again."""
        self._tally.running.discard(scene_id)
        self._print(describe_abandoned(scene_id, attempt=attempt, reason=reason))

    def scene_done(self, outcome: SceneOutcome) -> None:
        """Print what became of a scene above the bar."""
        self._tally.settle(outcome)
        self._print(describe_outcome(outcome))

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()

    def _print(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False)
        self._show()

    def _show(self, **changes: Any) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, **changes, **self._fields())

    def _fields(self) -> dict[str, Any]:
        speed = self._tally.speed
        return {
            "completed": speed.num_frames,
            "total": speed.num_frames_total,
            "scenes": self._tally.scenes(),
            "speed": f"{speed.frames_per_second():.1f}",
            "eta": speed.eta(),
        }


def open_reporter(name: str) -> PlainReporter | RichReporter:
    """Choose by name; `auto` is a bar on a terminal and lines elsewhere."""
    if name == "rich" or (name == "auto" and sys.stderr.isatty()):
        return RichReporter()
    return PlainReporter()


def clock_text(seconds: float) -> str:
    """Write a duration as h:mm:ss, or m:ss below an hour.

    >>> clock_text(75.4), clock_text(7265.0)
    ('1:15', '2:01:05')
    """
    minutes, whole_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole_s:02d}" if hours else f"{minutes}:{whole_s:02d}"


def describe_plan(scenes: Sequence[PlannedScene], *, num_skipped: int, num_bytes: int) -> str:
    """Say in one line how much there is to do."""
    num_layouts = len({scene.layout_id for scene in scenes})
    skipped = f"; {num_skipped} already committed" if num_skipped else ""
    return (
        f"{len(scenes)} scenes of {num_layouts} layouts to make, {sum(scene.num_frames for scene in scenes)} frames, "
        f"about {num_bytes / 1e6:.0f} MB{skipped}"
    )


def describe_abandoned(scene_id: str, *, attempt: int, reason: str) -> str:
    """Say in one line that a scene will be tried again."""
    return f"{scene_id}: attempt {attempt} came to nothing, trying again: {reason}"


def describe_outcome(outcome: SceneOutcome) -> str:
    """Say in one line what became of a scene."""
    if outcome.error:
        return f"{outcome.scene_id}: failed after {outcome.wall_s:.1f} s: {outcome.error}"
    return f"{outcome.scene_id}: committed in {outcome.wall_s:.1f} s"


def write_line(text: str) -> None:
    """Write one line to stderr at once."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
