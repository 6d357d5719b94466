"""What a run leaves behind besides scenes: `runs/<run_id>/` with its configuration, environment, events, failures.

`events.jsonl` holds one event a line, in order, from which `scenegen status` tells how far a run is:

| event | values |
|---|---|
| `planned` | `scene_ids` to be made, `num_frames` and about `num_bytes` in all, `num_skipped` that were there |
| `started` | `scene_id`, `attempt` from 1 |
| `abandoned` | `scene_id`, `attempt`, `reason`; the scene is tried again |
| `resumed` | `scene_id`, `painting` from 0, `start_step` first painted anew, `problem` of a checkpoint not taken |
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
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

import scenegen
from scenegen.config import GenerateConfig
from scenegen.errors import OutputError

if TYPE_CHECKING:
    from scenegen.dataset.storage import Location, Storage

EVENTS, FAILURES = "events.jsonl", "failures.jsonl"
RECORDED_PACKAGES = ("numpy", "numba", "torch", "zarr", "pillow", "av", "shapely", "ray")
PULSE_S = 5.0
ALIVE_S = 15.0
"""A run on a local disk that says nothing for several times this long is dead."""


class RunLedger:
    """Records one JSON line per event; every line is in the data set before the call returns."""

    def __init__(self, storage: Storage, run_key: str) -> None:
        self._storage = storage
        self.run_key = run_key
        self._num_frames = 0
        self._lock = threading.Lock()

    def append(self, name: str, **values: Any) -> None:
        """Record an event."""
        self._append(EVENTS, {"event": name, **values})

    def append_failure(self, scene_id: str, *, error: str, kind: str, traceback: str) -> None:
        """Record a failed scene, in short as an event and in full among the failures."""
        self.append("failed", scene_id=scene_id, error=error, kind=kind)
        self._append(FAILURES, {"scene_id": scene_id, "error": error, "kind": kind, "traceback": traceback})

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
        while not is_over.wait(pulse_s(self._storage)):
            num_frames = self._num_frames
            if num_frames != num_written or time.monotonic() - written_s >= alive_s(self._storage):
                self.append("chunk", num_frames=num_frames)
                num_written, written_s = num_frames, time.monotonic()

    def _append(self, log: str, values: dict[str, Any]) -> None:
        line = json.dumps({"time_utc": _now_utc(), **values})
        with self._lock:
            self._storage.append_line(f"{self.run_key}/{log}", line)


def pulse_s(storage: Storage) -> float:
    """Return the least time between two signs of life; where each is an object of its own, they are rare."""
    return max(PULSE_S, 6.0 * storage.replace_interval_s)


def alive_s(storage: Storage) -> float:
    """Return after how long without news a run says that it lives."""
    return max(ALIVE_S, pulse_s(storage))


def open_ledger(location: Location, config: GenerateConfig) -> RunLedger:
    """Begin the record of a new run; the first write into the data set, so it finds out whether one can.

    Raises:
        OutputError: the folder cannot be written.
        StorageError: the object store cannot be reached, or refuses.
    """
    from scenegen.dataset.paths import run_key
    from scenegen.dataset.storage import open_storage

    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    storage, key = open_storage(location), run_key(f"{stamp}Z-{os.getpid()}")
    try:
        storage.put(f"{key}/config.json", _json(asdict(config)))
        storage.put(f"{key}/environment.json", _json(_describe_environment()))
    except OSError as error:
        raise OutputError(
            "a place that can be written",
            found=error.strerror or str(error),
            where=f"output={location}",
            fix="choose another place with output=..., or free space there",
        ) from error
    return RunLedger(storage, key)


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()


def list_runs(storage: Storage) -> list[str]:
    """Return the ids of all runs, in the order in which they began."""
    from scenegen.dataset.paths import RUNS

    return sorted({file.key.split("/")[1] for file in storage.list_files(RUNS)})


def read_events(storage: Storage, run_id: str, log: str = EVENTS) -> list[dict[str, Any]]:
    """Return the events of a run, or its failures; a line that is still being written is left out."""
    from scenegen.dataset.paths import run_key

    events = []
    for line in storage.read_lines(f"{run_key(run_id)}/{log}"):
        with suppress(ValueError):
            events.append(json.loads(line))
    return events


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
