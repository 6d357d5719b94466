"""What a run leaves behind besides scenes: `runs/<run_id>/` with its configuration, environment, events, failures."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import scenegen
from scenegen.config import GenerateConfig
from scenegen.errors import OutputError

RECORDED_PACKAGES = ("numpy", "numba", "torch", "zarr", "pillow", "av", "shapely", "ray")


class RunLedger:
    """Appends one JSON line per event; every line is on disk before the call returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, name: str, **values: Any) -> None:
        """Record an event."""
        self._append("events.jsonl", {"event": name, **values})

    def append_failure(self, scene_id: str, *, error: str, traceback: str) -> None:
        """Record a failed scene."""
        self._append("failures.jsonl", {"scene_id": scene_id, "error": error, "traceback": traceback})

    def _append(self, file_name: str, values: dict[str, Any]) -> None:
        line = json.dumps({"time_utc": _now_utc(), **values})
        with (self.folder / file_name).open("a", encoding="utf-8") as file:
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
