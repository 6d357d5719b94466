"""The bytes of one shard in a single pass: what zarr-python's sharding codec would write, without its cost per chunk.

A shard of a step array is the encoded chunk of every step, one after the other, each with its crc32c, and an index at
the end: (offset, length) of every chunk as little-endian uint64, again with its crc32c; a chunk that is not there has
2^64 - 1 twice. Source: Zarr v3, sharding codec, index at the end. zarr-python makes the metadata, and reads the result.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd

from scenegen.dataset.jpeg_codec import ImageCodec

EncodeStep = Callable[[np.ndarray[Any, Any]], bytes]

_ABSENT = np.uint64(2**64 - 1)


def picture_encoder(codec: ImageCodec) -> EncodeStep:
    """Return what makes a chunk of one picture, H W 3."""
    return codec.encode_picture


def zstd_encoder(level: int) -> EncodeStep:
    """Return what makes a chunk of one step of numbers, in little-endian order as Zarr's codec `bytes` has it."""
    codec = Zstd(level=level)

    def encode(step: np.ndarray[Any, Any]) -> bytes:
        little = np.ascontiguousarray(step, dtype=step.dtype.newbyteorder("<"))
        return bytes(codec.encode(little))

    return encode


def shard_bytes(block: np.ndarray[Any, Any], encode: EncodeStep, *, steps_per_shard: int) -> bytes:
    """Encode consecutive steps, from the begin of a shard, as the file of that shard.

    Args:
        block: [T, ...], T up to `steps_per_shard`; fewer only in the last shard of an array.
        encode: makes the chunk of one step, without its checksum.
        steps_per_shard: length of the index.
    """
    index = np.full((steps_per_shard, 2), _ABSENT, "<u8")
    parts: list[bytes] = []
    offset = 0
    for row, step in zip(index, block, strict=False):
        content = encode(step)
        parts += (content, _checksum(content))
        row[:] = offset, len(content) + len(parts[-1])
        offset += int(row[1])
    table = index.tobytes()
    return b"".join((*parts, table, _checksum(table)))


def _checksum(content: bytes) -> bytes:
    return struct.pack("<I", google_crc32c.value(content))
