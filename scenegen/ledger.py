"""What a run leaves behind besides scenes: `runs/<run_id>/` with its configuration, environment, events, failures.

`events.jsonl` holds one event a line, in order, from which `scenegen status` tells how far a run is:

| event | values |
|---|---|
| `planned` | `scene_ids` to be made, `num_frames` and about `num_bytes` in all, `num_skipped` that were there |
| `started` | `scene_id`, `attempt` from 1 |
| `abandoned` | `scene_id`, `attempt`, `reason`; the scene is tried again |
| `chunk` | `num_frames` written by the run so far; at most one line in `PULSE_S`, and one in `ALIVE_S` without news |
| `committed` | `scene_id`, `num_frames`, `wall_s`, `cost`, and `warning` where there is one |
| `failed` | `scene_id`, `error`, `kind` |
| `finished` | `result`: `complete`, `failed`, `over_budget`, `interrupted` or `crashed` |
"""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import scenegen
from scenegen.config import GenerateConfig
from scenegen.errors import OutputError

RECORDED_PACKAGES = ("numpy", "numba", "torch", "zarr", "pillow", "av", "shapely", "ray")
PULSE_S = 5.0
ALIVE_S = 15.0
"""A run that says nothing for several times this long is dead."""


class RunLedger:
    """Appends one JSON line per event; every line is with the operating system before the call returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._num_frames = 0
        self._lock = threading.Lock()

    def append(self, name: str, **values: Any) -> None:
        """Record an event."""
        self._append("events.jsonl", {"event": name, **values})

    def append_failure(self, scene_id: str, *, error: str, kind: str, traceback: str) -> None:
        """Record a failed scene, in short as an event and in full among the failures."""
        self.append("failed", scene_id=scene_id, error=error, kind=kind)
        self._append("failures.jsonl", {"scene_id": scene_id, "error": error, "kind": kind, "traceback": traceback})

    def count_frames(self, num_frames: int) -> None:
        """Add to the frames that the next `chunk` event tells of; negative where work was lost."""
        self._num_frames += num_frames

    @contextmanager
    def pulse(self) -> Iterator[None]:
        """Write `chunk` events inside the block, from a thread of its own: a long paint call is no silence."""
        is_over = threading.Event()
        beating = threading.Thread(target=self._beat, args=(is_over,), name="ledger", daemon=True)
        beating.start()
        try:
            yield
        finally:
            is_over.set()
            beating.join()

    def _beat(self, is_over: threading.Event) -> None:
        num_written, written_s = 0, time.monotonic()
        while not is_over.wait(PULSE_S):
            num_frames = self._num_frames
            if num_frames != num_written or time.monotonic() - written_s >= ALIVE_S:
                self.append("chunk", num_frames=num_frames)
                num_written, written_s = num_frames, time.monotonic()

    def _append(self, file_name: str, values: dict[str, Any]) -> None:
        line = json.dumps({"time_utc": _now_utc(), **values})
        with self._lock, (self.folder / file_name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def open_ledger(dataset_dir: Path, config: GenerateConfig) -> RunLedger:
    """Create the folder of a new run; the first write into the data set, so it finds out whether one can.

    Raises:
        OutputError: the place cannot be written.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    folder = dataset_dir / "runs" / f"{stamp}Z-{os.getpid()}"
    try:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
        (folder / "environment.json").write_text(json.dumps(_describe_environment(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            "a folder that can be written",
            found=error.strerror or str(error),
            where=f"output={dataset_dir}",
            fix="choose another place with output=..., or free space there",
        ) from error
    return RunLedger(folder)


def read_events(run_folder: Path, file_name: str = "events.jsonl") -> list[dict[str, Any]]:
    """Return the events of a run, or its failures; a line that is still being written is left out."""
    path = run_folder / file_name
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("}\n")]


def _describe_environment() -> dict[str, Any]:
    return {
        "scenegen": scenegen.__version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "num_cpus": os.cpu_count(),
        "packages": {name: _version(name) for name in RECORDED_PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _now_utc() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
