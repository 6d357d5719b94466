"""Insides of Ray actors that make no scene but note in a file what they were given, and where."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from ray_jobs.nodes import this_node_id
from scenegen.orchestration.attempt import SceneOutcome

STEP_S = 0.1


class NotingWorker:
    """Works `scene_s` on a scene, with progress; begins and ends go to a file."""

    def __init__(self, notes: Path, scene_s: float) -> None:
        self._notes = notes
        self._scene_s = scene_s
        self._progress = ("", 0, 0)

    def ready(self) -> str:
        return this_node_id()

    def make(self, record: Any) -> SceneOutcome:
        self.note("begun", record.scene_id)
        for num_frames in range(1, round(self._scene_s / STEP_S) + 1):
            self._progress = (record.scene_id, num_frames, num_frames)
            time.sleep(STEP_S)
        self.note("ended", record.scene_id)
        return SceneOutcome(scene_id=record.scene_id, num_frames=1)

    def progress(self) -> tuple[str, int, int]:
        return self._progress

    def note(self, what: str, scene_id: str) -> None:
        """Add a line; short ones are written in one piece."""
        line = json.dumps({"what": what, "scene": scene_id, "node": this_node_id(), "s": time.time()})
        with self._notes.open("a") as file:
            file.write(line + "\n")


class HangingWorker(NotingWorker):
    """Whoever is the first to be given a scene in `hangs` never ends it: it sleeps, or its process is stopped."""

    def __init__(self, notes: Path, scene_s: float, hangs: dict[str, str]) -> None:
        super().__init__(notes, scene_s)
        self._hangs = hangs

    def make(self, record: Any) -> SceneOutcome:
        scene_id = record.scene_id
        is_first = all(note["scene"] != scene_id for note in read_notes(self._notes))
        if is_first and scene_id in self._hangs:
            self.note("hangs", scene_id)
            if self._hangs[scene_id] == "stopped":
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(3600.0)
        return super().make(record)


def read_notes(notes: Path) -> list[dict[str, Any]]:
    """Return what was noted so far."""
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
