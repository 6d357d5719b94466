"""Columns of Arrow feather files as checked numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.errors import DependencyError, LayoutError
from scenegen.layout.importers.source_tracks import require_plausible


class FeatherTable:
    """Named columns of equal length, at least one row; each accessor checks what it returns."""

    def __init__(self, columns: dict[str, np.ndarray], *, where: str) -> None:
        self._columns = columns
        self.where = where

    def text(self, name: str) -> np.ndarray:
        """Return a column of non-empty strings.

        Raises:
            LayoutError: a cell is empty or not text.
        """
        values = self._columns[name]
        bad = [row for row, value in enumerate(values) if not isinstance(value, str) or not value]
        if bad:
            raise LayoutError(f"text in column {name}", found=f"{values[bad[0]]!r} at row {bad[0]}", where=self.where)
        return values.astype(str)

    def integers(self, name: str) -> Int64[np.ndarray, " N"]:
        """Return a column of whole numbers.

        Raises:
            LayoutError: the column holds anything else, or empty cells.
        """
        values = self._columns[name]
        if values.dtype.kind not in "iu":
            raise LayoutError(f"whole numbers in column {name}", found=str(values.dtype), where=self.where)
        return values.astype(np.int64)

    def numbers(self, names: Sequence[str]) -> Float64[np.ndarray, "N C"]:
        """Return columns of finite numbers side by side.

        Raises:
            LayoutError: a column holds anything else, or an empty cell.
        """
        for name in names:
            values = self._columns[name]
            if values.dtype.kind not in "fiu":
                raise LayoutError(f"numbers in column {name}", found=str(values.dtype), where=self.where)
            require_plausible(values, name=f"column {name}", where=self.where)
        return np.stack([self._columns[name].astype(np.float64) for name in names], axis=1)


def read_feather(path: Path, columns: Sequence[str]) -> FeatherTable:
    """Read named columns of a feather file.

    Raises:
        LayoutError: the file is missing, truncated, empty, or lacks a column.
        DependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import feather
    except ImportError as error:
        raise DependencyError(
            "pyarrow, to read feather files", found=str(error), fix="install scenegen[generate]"
        ) from error
    if not path.is_file():
        raise LayoutError("a feather file", found="no such file", where=str(path))
    try:
        table = feather.read_table(path, memory_map=False)
        missing = [name for name in columns if name not in table.column_names]
        if missing:
            raise LayoutError(f"columns {list(columns)}", found=f"no {', '.join(missing)}", where=str(path))
        arrays = {name: table.column(name).to_numpy() for name in columns}
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise LayoutError("a complete feather file", found=str(error), where=str(path), fix="fetch it again") from error
    if table.num_rows == 0:
        raise LayoutError("at least one row", found="an empty table", where=str(path))
    return FeatherTable(arrays, where=str(path))
