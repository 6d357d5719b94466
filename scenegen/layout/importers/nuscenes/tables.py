"""The thirteen tables of a nuScenes version folder, checked row by row while the devkit loads them.

The devkit trusts its files: a missing token is a KeyError without a name there. Its two loading steps are overridden
here so that each table is read once, with the typed errors of every importer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.errors import DependencyError, LayoutError
from scenegen.layout.importers.source_tracks import require_plausible

Row = dict[str, Any]

KEYS: Mapping[str, tuple[str, ...]] = {
    "category": ("name",),
    "attribute": ("name",),
    "visibility": (),
    "instance": ("category_token",),
    "sensor": ("channel", "modality"),
    "calibrated_sensor": ("sensor_token",),
    "ego_pose": ("timestamp", "rotation", "translation"),
    "log": ("location",),
    "scene": ("name", "log_token", "first_sample_token", "nbr_samples"),
    "sample": ("timestamp", "prev", "next", "scene_token"),
    "sample_data": ("sample_token", "ego_pose_token", "calibrated_sensor_token", "timestamp", "is_key_frame"),
    "sample_annotation": (
        *("sample_token", "instance_token", "attribute_tokens", "prev", "next"),
        *("translation", "size", "rotation"),
    ),
    "map": ("filename", "log_tokens"),
}
"""What is read of each table, besides `token`."""

FOREIGN: Mapping[str, Mapping[str, str]] = {
    "instance": {"category_token": "category"},
    "calibrated_sensor": {"sensor_token": "sensor"},
    "scene": {"log_token": "log", "first_sample_token": "sample"},
    "sample": {"scene_token": "scene"},
    "sample_data": {
        "sample_token": "sample",
        "ego_pose_token": "ego_pose",
        "calibrated_sensor_token": "calibrated_sensor",
    },
    "sample_annotation": {"sample_token": "sample", "instance_token": "instance"},
}
"""Keys that must name a row of another table."""


def find_version(path: Path) -> Path:
    """Return the version folder that a root or a version folder means.

    Raises:
        LayoutError: no version folder, or several.
    """
    if (path / "scene.json").is_file():
        return path
    versions = sorted(file.parent for file in path.glob("*/scene.json"))
    if len(versions) != 1:
        found = ", ".join(version.name for version in versions) or "none"
        raise LayoutError(
            "one version folder with nuScenes tables (scene.json and others)",
            found=found,
            where=str(path),
            fix="name it: nuscenes:ROOT/VERSION/SCENE" if versions else "",
        )
    return versions[0]


def scene_names(path: Path) -> list[str]:
    """Return the names of all scenes of a root or version folder, in the order of the table.

    Raises:
        LayoutError: no version folder, or a damaged table.
    """
    version = find_version(path)
    return [str(row["name"]) for row in read_table(version / "scene.json", KEYS["scene"])]


def read_table(file: Path, keys: Iterable[str]) -> list[Row]:
    """Read a table and check that every row has a token of its own and these keys.

    Raises:
        LayoutError: missing, truncated, no list of rows, or a row without a key; the message names the row.
    """
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise LayoutError("a complete JSON table", found=error.msg, where=f"{file}:{error.lineno}") from error
    except FileNotFoundError as error:
        raise LayoutError("a nuScenes table", found="no such file", where=str(file)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise LayoutError("a readable JSON table", found=f"{type(error).__name__}: {error}", where=str(file)) from error
    if not isinstance(rows, list):
        raise LayoutError("a list of rows", found=type(rows).__name__, where=str(file))
    tokens: set[str] = set()
    for idx, row in enumerate(rows):
        where = f"{file}: row {idx}"
        token = row.get("token") if isinstance(row, dict) else None
        if not isinstance(token, str) or not token:
            raise LayoutError("a row with a token", found=f"{row!r:.60}", where=where)
        if token in tokens:
            raise LayoutError("a token of its own", found=f"{token!r} a second time", where=where)
        tokens.add(token)
        for key in keys:
            if key not in row:
                raise LayoutError(f"a key {key!r}", found=f"only {', '.join(row)}", where=f"{file}: {token!r}")
            if key.endswith("token") and not isinstance(row[key], str):
                raise LayoutError("a token", found=f"{row[key]!r:.60}", where=f"{file}: {token!r}.{key}")
    return rows


def open_tables(version: Path) -> Any:
    """Return the devkit's `NuScenes` over checked tables; the last one is kept in memory while its files are the same.

    Raises:
        LayoutError: a table is missing or damaged, or a token names nothing.
        DependencyError: nuscenes-devkit is not installed.
    """
    files = sorted(version.glob("*.json"))
    return _open(str(version), tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files))


@lru_cache(maxsize=1)
def _open(version: str, _state: tuple[tuple[str, int, int], ...]) -> Any:
    try:
        from nuscenes.nuscenes import NuScenes
    except ImportError as error:
        raise DependencyError(
            "nuscenes-devkit, to read nuScenes tables", found=str(error), fix="install scenegen[nuscenes]"
        ) from error

    class CheckedNuScenes(NuScenes):  # type: ignore[misc]
        """The devkit's database with checks before each of its loading steps."""

        def __load_table__(self, table_name: str) -> list[Row]:
            return read_table(Path(self.table_root) / f"{table_name}.json", KEYS.get(table_name, ()))

        def __make_reverse_index__(self, verbose: bool) -> None:
            check_references({name: getattr(self, name) for name in KEYS}, Path(self.table_root))
            super().__make_reverse_index__(verbose)

    folder = Path(version)
    try:
        return CheckedNuScenes(version=folder.name, dataroot=str(folder.parent), verbose=False)
    except (AssertionError, LookupError, TypeError, ValueError, AttributeError, OSError) as error:
        raise LayoutError(
            "tables that nuscenes-devkit loads", found=f"{type(error).__name__}: {error}", where=version
        ) from error


def check_references(tables: Mapping[str, list[Row]], folder: Path) -> None:
    """Check that tokens name rows, that no table is empty that the devkit needs, and that map rasters exist.

    Raises:
        LayoutError: naming file, row and key.
    """
    tokens = {name: {row["token"] for row in rows} for name, rows in tables.items()}
    if not tables["map"]:
        raise LayoutError("at least one row", found="an empty table", where=str(folder / "map.json"))
    for name, keys in FOREIGN.items():
        for row in tables[name]:
            for key, target in keys.items():
                if row[key] not in tokens[target]:
                    where = f"{folder / name}.json: {row['token']!r}.{key}"
                    raise LayoutError(f"a token of {target}.json", found=repr(row[key]), where=where)
    located = {token for row in tables["map"] for token in _texts(row, "log_tokens", folder / "map.json")}
    for row in tables["log"]:
        if row["token"] not in located:
            found = f"log {row['token']!r} in none"
            raise LayoutError("every log in the log_tokens of a map", found=found, where=str(folder / "map.json"))


def _texts(row: Row, key: str, file: Path) -> list[str]:
    values = row[key]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise LayoutError("a list of tokens", found=f"{values!r:.60}", where=f"{file}: {row['token']!r}.{key}")
    return values


def numbers_of(rows: list[Row], key: str, count: int, *, file: Path) -> Float64[np.ndarray, "N C"]:
    """Return the vectors under a key of many rows.

    Raises:
        LayoutError: one of them is of another length, no number, NaN, or beyond any coordinate; it is named.
    """
    table = np.empty((len(rows), count))
    for idx, row in enumerate(rows):
        where = f"{file}: {row['token']!r}.{key}"
        values = row[key]
        if not isinstance(values, list) or len(values) != count or not all(_is_number(value) for value in values):
            raise LayoutError(f"{count} numbers", found=f"{values!r:.60}", where=where)
        try:
            table[idx] = values
        except OverflowError as error:
            raise LayoutError(f"{count} numbers", found=str(error), where=where) from error
        require_plausible(table[idx : idx + 1], name=key, where=where)
    return table


def stamps_of(rows: list[Row], *, file: Path) -> Float64[np.ndarray, " N"]:
    """Return the time stamps of rows in seconds, to a microsecond, counted from the first row's.

    Raises:
        LayoutError: one of them is no whole number of microseconds of this era.
    """
    for row in rows:
        stamp = row["timestamp"]
        if not _is_number(stamp) or stamp != stamp or not 0 <= stamp < 2**62 or stamp != int(stamp):
            where = f"{file}: {row['token']!r}.timestamp"
            raise LayoutError("a whole number of microseconds", found=f"{stamp!r:.60}", where=where)
    return np.array([int(row["timestamp"]) - int(rows[0]["timestamp"]) for row in rows], np.float64) * 1e-6


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
