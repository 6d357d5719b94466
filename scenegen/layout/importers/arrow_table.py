"""Columns of feather and parquet files as checked numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.errors import DependencyError, LayoutError
from scenegen.layout.importers.source_tracks import require_plausible

if TYPE_CHECKING:
    import pyarrow

MOST_ROWS, MOST_BYTES = 200_000, 64 * 2**20
"""Of a parquet file; a motion-forecasting scenario has some ten thousand rows."""


class ArrowTable:
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

    def nanoseconds(self, name: str) -> Int64[np.ndarray, " N"]:
        """Return a column of times since some epoch; whole, or floating-point as some writers leave them.

        Raises:
            LayoutError: the column holds anything else, NaN, or times no clock shows.
        """
        values = self._columns[name]
        if values.dtype.kind == "f":
            bad = ~((values >= 0.0) & (values < 2.0**62))
            if bad.any():
                row = int(np.argmax(bad))
                raise LayoutError(
                    f"nanoseconds in column {name}", found=f"{values[row]} at row {row}", where=self.where
                )
            return np.round(values).astype(np.int64)
        return self.integers(name)

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


def read_feather(path: Path, columns: Sequence[str]) -> ArrowTable:
    """Read named columns of a feather file.

    Raises:
        LayoutError: the file is missing, truncated, empty, or lacks a column.
        DependencyError: pyarrow is not installed.
    """

    def read() -> pyarrow.Table:
        from pyarrow import feather

        return feather.read_table(path, memory_map=False)

    return _read_columns(path, columns, read, kind="feather")


def read_parquet(path: Path, columns: Sequence[str]) -> ArrowTable:
    """Read named columns of a parquet file of at most `MOST_ROWS` rows and `MOST_BYTES` unpacked.

    Raises:
        LayoutError: the file is missing, truncated, empty, too large, or lacks a column.
        DependencyError: pyarrow is not installed.
    """

    def read() -> pyarrow.Table:
        from pyarrow import parquet

        with parquet.ParquetFile(path, memory_map=False) as file:
            rows = file.metadata.num_rows
            unpacked = sum(file.metadata.row_group(idx).total_byte_size for idx in range(file.metadata.num_row_groups))
            if not (0 <= rows <= MOST_ROWS and 0 <= unpacked <= MOST_BYTES):
                raise LayoutError(
                    f"at most {MOST_ROWS:,} rows and {MOST_BYTES:,} bytes unpacked",
                    found=f"{rows:,} rows, {unpacked:,} bytes",
                    where=str(path),
                )
            return file.read(columns=[name for name in columns if name in file.schema_arrow.names])

    return _read_columns(path, columns, read, kind="parquet")


def _read_columns(path: Path, columns: Sequence[str], read: Callable[[], pyarrow.Table], *, kind: str) -> ArrowTable:
    try:
        import pyarrow
    except ImportError as error:
        raise DependencyError(
            f"pyarrow, to read {kind} files", found=str(error), fix="install scenegen[generate]"
        ) from error
    if not path.is_file():
        raise LayoutError(f"a {kind} file", found="no such file", where=str(path))
    try:
        table = read()
        missing = [name for name in columns if name not in table.column_names]
        if missing:
            raise LayoutError(f"columns {list(columns)}", found=f"no {', '.join(missing)}", where=str(path))
        arrays = {name: table.column(name).to_numpy() for name in columns}
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise LayoutError(f"a complete {kind} file", found=str(error), where=str(path), fix="fetch it again") from error
    if table.num_rows == 0:
        raise LayoutError("at least one row", found="an empty table", where=str(path))
    return ArrowTable(arrays, where=str(path))
