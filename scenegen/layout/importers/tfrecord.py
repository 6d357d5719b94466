"""Records of a TFRecord file, by number, with their checksums checked; TensorFlow is not needed for that.

A record is its length (8 bytes, little-endian), a checksum of that (4), the content, and a checksum of the content (4).
Checksums are CRC-32C, rotated right by 15 bits and moved by a constant.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from scenegen.errors import LayoutError

MASK = 0xA282EAD8
LARGEST_RECORD = 8 * 2**20
"""A scenario has about a megabyte. Messages unpack to some twenty times their bytes at most, 200 MB."""


def read_record(path: Path, number: int | None) -> bytes:
    """Return the content of one record; without a number, of the only one.

    Raises:
        LayoutError: no such file or record, several without a number, a truncated file, a wrong checksum or length.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read_record(file, size, number, where=str(path))
    except OSError as error:
        raise LayoutError("a readable TFRecord file", found=error.strerror or str(error), where=str(path)) from error


def _read_record(file: BinaryIO, size: int, number: int | None, *, where: str) -> bytes:
    count = 0
    while file.tell() < size:
        at = f"{where}: record {count}"
        length = _read_length(file, size - file.tell(), where=at)
        if count == (number or 0):
            content = file.read(length)
            _check(content, file.read(4), what="content", where=at)
            if number is None and file.tell() < size:
                others = 1 + _count_others(file, size, where=where)
                raise LayoutError(
                    "one record, or a number",
                    found=f"{others} records",
                    where=where,
                    fix=f"say {Path(where).name}/0 to /{others - 1}",
                )
            return content
        file.seek(length + 4, 1)
        count += 1
    wanted = "at least one record" if number is None else f"a record {number}"
    raise LayoutError(wanted, found=f"{count} records, numbered from 0" if count else "none", where=where)


def _count_others(file: BinaryIO, size: int, *, where: str) -> int:
    count = 0
    while file.tell() < size:
        file.seek(_read_length(file, size - file.tell(), where=f"{where}: record {count + 1}") + 4, 1)
        count += 1
    return count


def _read_length(file: BinaryIO, left: int, *, where: str) -> int:
    """Read and check a record's length."""
    head = file.read(12)
    if len(head) < 12:
        raise LayoutError("a record of at least 16 bytes", found=f"{left} bytes at the end", where=where)
    _check(head[:8], head[8:], what="length", where=where)
    (length,) = struct.unpack("<Q", head[:8])
    if length > left - 16:
        raise LayoutError(f"a record of {length:,} bytes", found=f"{left - 12:,} until the end", where=where)
    if length > LARGEST_RECORD:
        raise LayoutError(f"a record of at most {LARGEST_RECORD:,} bytes", found=f"{length:,}", where=where)
    return int(length)


def _check(content: bytes, stored: bytes, *, what: str, where: str) -> None:
    from google_crc32c import value

    crc = int(value(content))
    expected = (((crc >> 15) | (crc << 17)) + MASK) & 0xFFFFFFFF
    (found,) = struct.unpack("<I", stored)
    if found != expected:
        raise LayoutError(
            f"a {what} with checksum {expected:08x}", found=f"{found:08x}", where=where, fix="fetch the file again"
        )
