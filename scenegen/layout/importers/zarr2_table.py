"""Rows of one-dimensional structured arrays in a Zarr version 2 folder.

Written by hand, because zarr 3.1 refuses data types whose fields have shapes ("No Zarr data type found that matches").
It reads what L5Kit writes and no more: one dimension, no filters, blosc or no compression, fields of numbers and
text. Objects (pickles) are refused, and so are chunks that would unpack to anything but their own size.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scenegen.errors import LayoutError
from scenegen.layout.importers.record import Record

LARGEST_METADATA = 2**20
LARGEST_CHUNK = 64 * 2**20
MOST_ROWS = 4_000_000
"""Read at once."""
BLOSC_HEAD = struct.Struct("<4B3I")
"""Versions, flags and type size; then bytes unpacked, of a block, packed."""
_FIELD_TYPE = re.compile(r"[<|=][iufb][1248]|<U[1-9]\d{0,2}")
Fields = Mapping[str, tuple[str, tuple[int, ...]]]
"""Field: kinds of its type that are accepted, and its shape."""


class Zarr2Table:
    """One array of a store; rows are read chunk by chunk.

    Raises:
        LayoutError: it is missing, damaged, of another kind, or lacks a field.
    """

    def __init__(self, folder: Path, fields: Fields) -> None:
        self.where = str(folder)
        metadata = read_json_object(folder / ".zarray")
        if metadata.number("zarr_format") != 2.0:
            raise LayoutError("zarr_format 2", found=f"{metadata.number('zarr_format'):g}", where=metadata.where)
        self._folder = folder
        self._dtype = _dtype_of(metadata, fields)
        self.num_rows, self._rows_of_chunk = _shape_of(metadata, self._dtype.itemsize)
        self._is_packed = _is_packed(metadata)

    def rows(self, begin: int, end: int) -> np.ndarray:
        """Return the rows from `begin` up to `end`.

        Raises:
            LayoutError: rows that the array has not, or a chunk that is missing or damaged.
        """
        if not 0 <= begin <= end <= self.num_rows or end - begin > MOST_ROWS:
            raise LayoutError(
                f"rows within 0 to {self.num_rows}, at most {MOST_ROWS:,}", found=f"{begin} to {end}", where=self.where
            )
        rows = np.empty(end - begin, self._dtype)
        for chunk in range(begin // self._rows_of_chunk, -(-end // self._rows_of_chunk)):
            first = chunk * self._rows_of_chunk
            low, high = max(begin, first), min(end, first + self._rows_of_chunk)
            rows[low - begin : high - begin] = self._chunk(chunk)[low - first : high - first]
        return rows

    def _chunk(self, chunk: int) -> np.ndarray:
        path = self._folder / str(chunk)
        size = self._rows_of_chunk * self._dtype.itemsize
        try:
            if path.stat().st_size > size + 2**16:
                raise LayoutError(f"a chunk of at most {size:,} bytes", found="a larger file", where=str(path))
            content = path.read_bytes()
        except OSError as error:
            raise LayoutError("a chunk", found=error.strerror or str(error), where=str(path)) from error
        if self._is_packed:
            content = _unpack(content, size, where=str(path))
        if len(content) != size:
            raise LayoutError(f"a chunk of {size:,} bytes", found=f"{len(content):,}", where=str(path))
        return np.frombuffer(content, self._dtype)


def read_json_object(path: Path) -> Record:
    """Read a small JSON object.

    Raises:
        LayoutError: it is missing, too large, or no such thing.
    """
    try:
        if path.stat().st_size > LARGEST_METADATA:
            raise LayoutError(f"at most {LARGEST_METADATA:,} bytes", found="more", where=str(path))
        return Record(json.loads(path.read_text(encoding="utf-8")), where=str(path))
    except (OSError, ValueError, RecursionError) as error:
        raise LayoutError("a JSON object", found=f"{error!s:.80}", where=str(path)) from error


def _dtype_of(metadata: Record, fields: Fields) -> np.dtype:
    """Build the type of a row from the metadata; every field that is wanted must be there, as it is wanted."""
    where = f"{metadata.where}: dtype"
    described = []
    for entry in metadata.sequence("dtype"):
        if (
            not isinstance(entry, list)
            or not 2 <= len(entry) <= 3
            or not all(isinstance(word, str) for word in entry[:2])
        ):
            raise LayoutError("a list of [field, type] or [field, type, shape]", found=f"{entry!r:.60}", where=where)
        name, kind, shape = entry[0], entry[1], entry[2] if len(entry) == 3 else []
        if not _FIELD_TYPE.fullmatch(kind):
            raise LayoutError(
                "fields of little-endian numbers or text", found=f"{name!r:.40} of type {kind!r:.40}", where=where
            )
        if not isinstance(shape, list) or not all(isinstance(n, int) and 0 < n <= 64 for n in shape) or len(shape) > 3:
            raise LayoutError("a small shape", found=f"{name!r:.40} of shape {shape!r:.60}", where=where)
        described.append((name, kind, tuple(shape)))
    names = [name for name, _, _ in described]
    if len(set(names)) != len(names) or "" in names:
        raise LayoutError("different names of fields", found=str(names[:40]), where=where)
    for name, (kinds, shape) in fields.items():
        found = next(((kind, known) for known_name, kind, known in described if known_name == name), None)
        if found is None:
            raise LayoutError(f"a field {name!r}", found=str(names[:40]), where=where)
        if found[0][1] not in kinds or found[1] != shape:
            raise LayoutError(f"{name!r} of kind {kinds} and shape {shape}", found=f"{found}", where=where)
    return np.dtype(described)


def _shape_of(metadata: Record, row_bytes: int) -> tuple[int, int]:
    """Return the numbers of rows of the array and of a chunk."""
    numbers = []
    for key in ("shape", "chunks"):
        values = metadata.sequence(key)
        if len(values) != 1 or not isinstance(values[0], int) or isinstance(values[0], bool) or values[0] < 0:
            raise LayoutError("one dimension", found=f"{values!r:.60}", where=f"{metadata.where}: {key}")
        numbers.append(values[0])
    if not 0 < numbers[1] * row_bytes <= LARGEST_CHUNK:
        raise LayoutError(
            f"chunks of 1 to {LARGEST_CHUNK:,} bytes",
            found=f"{numbers[1]} rows of {row_bytes} bytes",
            where=f"{metadata.where}: chunks",
        )
    return numbers[0], numbers[1]


def _is_packed(metadata: Record) -> bool:
    """Return whether chunks are packed, by blosc; nothing else is read."""
    if metadata.has("filters") and metadata.sequence("filters"):
        raise LayoutError("no filters", found="some", where=f"{metadata.where}: filters")
    if metadata.text("order", default="C") not in ("C", "F"):  # in one dimension they are the same
        raise LayoutError("order C", found=metadata.text("order"), where=metadata.where)
    if not metadata.has("compressor"):
        return False
    metadata.child("compressor").choice("id", ("blosc",))
    return True


def _unpack(content: bytes, size: int, *, where: str) -> bytes:
    """Unpack a blosc buffer that says it holds `size` bytes."""
    from numcodecs.blosc import decompress

    if len(content) < BLOSC_HEAD.size:
        raise LayoutError(f"a blosc chunk of at least {BLOSC_HEAD.size} bytes", found=f"{len(content)}", where=where)
    *_, unpacked, block, packed = BLOSC_HEAD.unpack_from(content)
    if unpacked != size or packed != len(content) or block > max(unpacked, 1):
        raise LayoutError(
            f"a blosc chunk that unpacks to {size:,} bytes and has {len(content):,}",
            found=f"{unpacked:,} and {packed:,}",
            where=where,
        )
    try:
        return bytes(decompress(content))
    except (RuntimeError, ValueError) as error:
        raise LayoutError("a sound blosc chunk", found=str(error), where=where) from error
