"""The thirteen tables of nuScenes v1.0, written row by row: memory does not grow with the number of scenes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from scenegen.dataset.export.keys import token_of
from scenegen.dataset.export.nuscenes.taxonomy import ATTRIBUTE_NOTES, CATEGORY_NOTES, VISIBILITY_LEVELS

TABLES = (
    "attribute",
    "calibrated_sensor",
    "category",
    "ego_pose",
    "instance",
    "log",
    "map",
    "sample",
    "sample_annotation",
    "sample_data",
    "scene",
    "sensor",
    "visibility",
)


class Tables:
    """The open tables. Made by `open_tables`."""

    def __init__(self, files: Mapping[str, TextIO]) -> None:
        self._files = files
        self._num_rows = dict.fromkeys(files, 0)

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Append a row."""
        self._files[table].write(",\n" if self._num_rows[table] else "\n")
        self._files[table].write(json.dumps(row, allow_nan=False))
        self._num_rows[table] += 1


@contextmanager
def open_tables(folder: Path) -> Iterator[Tables]:
    """Give the thirteen tables in a new folder, with what is the same in every export already in them."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / f"{name}.json").open("w", encoding="utf-8")) for name in TABLES}
        for file in files.values():
            file.write("[")
        tables = Tables(files)
        _add_vocabulary(tables)
        yield tables
        for file in files.values():
            file.write("\n]\n")


def _add_vocabulary(tables: Tables) -> None:
    for idx, (name, note) in enumerate(CATEGORY_NOTES.items()):
        tables.add(
            "category", {"token": token_of("category", name), "name": name, "description": note, "index": idx + 1}
        )
    for name, note in ATTRIBUTE_NOTES.items():
        tables.add("attribute", {"token": token_of("attribute", name), "name": name, "description": note})
    for token, (low, high) in VISIBILITY_LEVELS.items():
        note = f"visibility of whole object is between {low} and {high}%"
        tables.add("visibility", {"token": token, "level": f"v{low}-{high}", "description": note})
