"""What a run leaves behind besides scenes: `runs/<run_id>/` with its configuration, environment, events, failures."""

from __future__ import annotations

import json
import os
import platform
import sys
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


class RunLedger:
    """Records one JSON line per event; every line is in the data set before the call returns."""

    def __init__(self, storage: Storage, run_key: str) -> None:
        self._storage = storage
        self.run_key = run_key

    def append(self, name: str, **values: Any) -> None:
        """Record an event."""
        self._append(EVENTS, {"event": name, **values})

    def append_failure(self, scene_id: str, *, error: str, traceback: str) -> None:
        """Record a failed scene."""
        self._append(FAILURES, {"scene_id": scene_id, "error": error, "traceback": traceback})

    def _append(self, log: str, values: dict[str, Any]) -> None:
        self._storage.append_line(f"{self.run_key}/{log}", json.dumps({"time_utc": _now_utc(), **values}))


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
