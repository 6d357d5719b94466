"""NumPy array files from elsewhere: numbers only, of a shape that is asked for, as large as their header says.

The header is checked against the size of the file before any memory is taken; object arrays, which are pickles, are
refused.
"""

from __future__ import annotations

import math
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.source_tracks import require_plausible

MOST_ROWS = 2_000_000
HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_table(path: Path, num_columns: int, *, num_rows: int | None = None) -> Float64[np.ndarray, "N C"]:
    """Read a table of finite numbers; an array of one dimension is a table of one column.

    Raises:
        LayoutError: no readable file, not an array of numbers, another shape, cut off, or with NaN or huge numbers;
            the message names the file.
    """
    where = str(path)
    if not path.is_file():
        raise LayoutError("a file", found="no such file" if not path.exists() else "something else", where=where)
    values = _numbers_in(path)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != num_columns or len(values) == 0:
        raise LayoutError(f"a table of {num_columns} columns", found=f"the shape {values.shape}", where=where)
    if num_rows is not None and len(values) != num_rows:
        raise LayoutError(f"{num_rows} rows", found=f"{len(values)}", where=where)
    require_plausible(values, name="numbers", where=where)
    return values


def read_stamps_s(path: Path, *, num_rows: int | None = None) -> Float64[np.ndarray, " N"]:
    """Read a column of times that increase.

    Raises:
        LayoutError: as `read_table`, or a time that is not later than the one before it.
    """
    stamps_s = read_table(path, 1, num_rows=num_rows)[:, 0]
    late = np.diff(stamps_s) <= 0.0
    if late.any():
        row = int(np.argmax(late)) + 1
        raise LayoutError("times that increase", found=f"{stamps_s[row]} at row {row}", where=str(path))
    return stamps_s


def _numbers_in(path: Path) -> Float64[np.ndarray, "..."]:
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            if version not in HEADERS:
                raise LayoutError("format version 1.0 or 2.0", found=f"{version}", where=str(path))
            shape, _, dtype = HEADERS[version](stream)
            if dtype.kind not in "fiu":
                raise LayoutError("an array of numbers", found=f"one of type {dtype}", where=str(path))
            stated, there = math.prod(shape) * dtype.itemsize, path.stat().st_size - stream.tell()
            if stated != there or math.prod(shape[:1]) > MOST_ROWS:
                found = f"{there} for the shape {shape}"
                raise LayoutError(f"{stated} bytes of numbers, at most {MOST_ROWS} rows", found=found, where=str(path))
            stream.seek(0)
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False), np.float64)
    except OSError as error:
        raise LayoutError("a readable file", found=error.strerror or str(error), where=str(path)) from error
    except (ValueError, EOFError, OverflowError, SyntaxError, TokenError, MemoryError, RecursionError) as error:
        raise LayoutError("a NumPy array file", found=f"{error}"[:120], where=str(path)) from error
