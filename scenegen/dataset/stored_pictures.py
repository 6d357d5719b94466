"""The pictures of a camera as the files they are stored as: exact bytes, and decoding with nothing in between.

A shard of pictures ends with a table of (offset, length) per picture, 16 bytes each, and a crc32c; each picture is one
JPEG or PNG file followed by its own crc32c. Reading a picture this way is one read of the shard, where the general
path through Zarr costs as much as decoding a small picture.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from jaxtyping import UInt8, UInt64

from scenegen.dataset.jpeg_codec import ImageCodec, JpegCodec
from scenegen.dataset.read import Scene
from scenegen.errors import DatasetError

CRC_BYTES = 4
ENTRY_BYTES = 16
"""Offset and length of a picture, each a little-endian uint64."""


class StoredPictures:
    """The pictures of one camera of one scene. Opens a file per read and keeps none, so it may cross a fork."""

    def __init__(self, scene: Scene, camera: str) -> None:
        self._scene = scene
        self._path = f"cameras/{camera}/rgb"
        self._array = scene.rgb(camera)
        self._codec = image_codec_of(self._array.metadata)
        self._num_steps_per_shard = int(self._array.metadata.chunk_grid.chunk_shape[0])
        self._tables: dict[int, UInt64[np.ndarray, "N 2"]] = {}

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns of the stored pictures."""
        return self._array.shape[1], self._array.shape[2]

    @property
    def is_jpeg(self) -> bool:
        """Whether `file_bytes` gives JPEG files."""
        return isinstance(self._codec, JpegCodec)

    def file_bytes(self, step: int) -> bytes:
        """Return the picture of a step as the JPEG or PNG file that the shard holds.

        Raises:
            DatasetError: no such step, the shard is missing or damaged, or pictures are stored as raw pixels.
        """
        if self._codec is None:
            raise DatasetError("pictures stored as JPEG or PNG", found="raw pixels", where=self._where)
        if not 0 <= step < len(self._array):
            raise DatasetError(f"a step in 0..{len(self._array) - 1}", found=f"{step}", where=self._where)
        shard, place = divmod(step, self._num_steps_per_shard)
        try:
            return self._read(shard, place)
        except (OSError, ValueError) as error:
            raise self._scene.damage_error(self._path, str(error)) from error

    def pixels(self, step: int) -> UInt8[np.ndarray, "H W 3"]:
        """Return the picture of a step, sRGB.

        Raises:
            DatasetError: no such step, or the shard is missing or damaged.
        """
        if self._codec is None:
            return np.asarray(self._array[step])
        content = self.file_bytes(step)
        try:
            return self._codec.decode_picture(content, size_hw=self.size_hw)
        except DatasetError as error:
            raise self._scene.damage_error(self._path, str(error)) from error

    @property
    def _where(self) -> str:
        return f"scene {self._scene.scene_id}, array {self._path}"

    def _read(self, shard: int, place: int) -> bytes:
        file = os.open(self._shard_file(shard), os.O_RDONLY)
        try:
            if shard not in self._tables:
                self._tables[shard] = self._read_table(file)
            offset, length = (int(number) for number in self._tables[shard][place])
            content = os.pread(file, length, offset)
        finally:
            os.close(file)
        if len(content) != length:
            raise ValueError(f"shard {shard} ends within the picture")
        return _checked(content)

    def _read_table(self, file: int) -> UInt64[np.ndarray, "N 2"]:
        length = self._num_steps_per_shard * ENTRY_BYTES + CRC_BYTES
        size = os.fstat(file).st_size
        if size < length:
            raise ValueError(f"{size} bytes are too few for a table of {length}")
        table = _checked(os.pread(file, length, size - length))
        return np.frombuffer(table, "<u8").reshape(-1, 2).astype(np.uint64)

    def _shard_file(self, shard: int) -> Path:
        key = self._array.metadata.encode_chunk_key((shard, 0, 0, 0))
        return self._scene.folder / self._path / key


def image_codec_of(metadata: Any) -> ImageCodec | None:
    """Return the codec of an array of pictures, or None where it stores raw pixels."""
    pipeline = [inner for outer in metadata.codecs for inner in getattr(outer, "codecs", (outer,))]
    return next((codec for codec in pipeline if isinstance(codec, ImageCodec)), None)


def _checked(content: bytes) -> bytes:
    """Return what precedes the crc32c at the end, which must match."""
    body, recorded = content[:-CRC_BYTES], content[-CRC_BYTES:]
    if google_crc32c.value(body) != int.from_bytes(recorded, "little"):
        raise ValueError("the checksum does not match")
    return body
