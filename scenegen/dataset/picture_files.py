"""The stored pictures of a camera as files, byte for byte as the encoder wrote them: nothing is decoded or encoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import zarr
from jaxtyping import UInt8, UInt64

from scenegen.dataset.jpeg_codec import ImageCodec, PngCodec
from scenegen.dataset.schema import CHUNK_SEPARATOR
from scenegen.dataset.storage.read_ahead import ReadAhead
from scenegen.dataset.stored_array import StoredArray
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DatasetError

CRC_BYTES = 4
INDEX_ENTRY_BYTES = 16
SUFFIX_OF_FORMAT = {"JPEG": ".jpg", "PNG": ".png"}
"""Formats that every program reads; what is stored otherwise comes out as PNG."""


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """One picture: the content of a JPEG or PNG file."""

    content: bytes
    suffix: str


class PictureFiles:
    """The pictures of one camera, by step.

    Pictures stored as JPEG or PNG come out as stored; JPEG XL and raw pixels (codec `zstd`) as PNG, without loss.

    No file is kept open, so that the pictures of a local data set may cross a fork. From object stores, pictures that
    are read in order come several at once.

    Raises:
        DatasetError: no such camera.
    """

    def __init__(self, scene: Scene, camera: str) -> None:
        self._scene = scene
        self._path = f"cameras/{camera}/rgb"
        self._pixels: StoredArray = scene.rgb(camera)
        self._array: zarr.Array[Any] = self._pixels.zarr_array
        codec = self._pixels.image_codec
        self._codec: ImageCodec | None = codec
        self._is_file = codec is not None and codec.pillow_format in SUFFIX_OF_FORMAT
        self.suffix = SUFFIX_OF_FORMAT[codec.pillow_format if codec is not None and self._is_file else "PNG"]
        self._num_steps = len(self._pixels)
        self._size_hw: tuple[int, int] = (self._pixels.shape[1], self._pixels.shape[2])
        self._steps_per_shard = int((self._array.shards or (1,))[0])
        self._index_of_shard: dict[int, UInt64[np.ndarray, "S 2"]] = {}
        self._file_of_shard: dict[int, ReadAhead] = {}

    def __len__(self) -> int:
        return self._num_steps

    def __getitem__(self, step: int) -> PictureFile:
        """Read the picture of one step.

        Raises:
            DatasetError: a file is missing or damaged.
            StorageError: the object store cannot be reached, or refuses.
        """
        self._check_step(step)
        content = self._stored(step) if self._is_file else PngCodec().encode_picture(self.pixels(step))
        return PictureFile(content=content, suffix=self.suffix)

    def pixels(self, step: int) -> UInt8[np.ndarray, "H W 3"]:
        """Decode the picture of one step, at the cost of decoding it: one read, and nothing of Zarr's machinery.

        Raises:
            DatasetError: no such step, or a file is missing or damaged.
        """
        self._check_step(step)
        if self._codec is None:
            return np.asarray(self._pixels[step])
        content = self._stored(step)
        try:
            return self._codec.decode_picture(content, size_hw=self.size_hw)
        except DatasetError as error:
            raise self._scene.damage_error(self._path, str(error)) from error

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns of the pictures."""
        return self._size_hw

    def _check_step(self, step: int) -> None:
        if not 0 <= step < len(self):
            raise DatasetError(
                f"a step in 0..{len(self) - 1}", found=f"{step}", where=f"scene {self._scene.scene_id}, {self._path}"
            )

    def _stored(self, step: int) -> bytes:
        try:
            return self._encoded(step)
        except (OSError, ValueError, struct.error) as error:
            raise self._scene.damage_error(self._path, str(error)) from error

    def _encoded(self, step: int) -> bytes:
        shard_idx, within = divmod(step, self._steps_per_shard)
        if shard_idx not in self._index_of_shard:
            self._open_shard(shard_idx)
        offset, num_bytes = (int(value) for value in self._index_of_shard[shard_idx][within])
        content = self._file_of_shard[shard_idx].read(offset, num_bytes)
        return _checked(content, where=f"picture of step {step}")

    def _open_shard(self, shard_idx: int) -> None:
        """Read where pictures lie in a shard (offset, length). Source: Zarr v3, sharding codec, index at the end."""
        name = f"{self._path}/{CHUNK_SEPARATOR.join(['c', str(shard_idx), '0', '0', '0'])}"
        shard_bytes = self._scene.receipt.files[name].num_bytes
        index_bytes = self._steps_per_shard * INDEX_ENTRY_BYTES + CRC_BYTES
        files = self._scene.files
        file = ReadAhead(files.storage, files.key(name), num_bytes=shard_bytes)
        content = _checked(file.read(shard_bytes - index_bytes, index_bytes), where="index of the shard")
        self._file_of_shard[shard_idx] = file
        self._index_of_shard[shard_idx] = np.frombuffer(content, "<u8").reshape(-1, 2)


def _checked(content: bytes, *, where: str) -> bytes:
    """Return the content without the checksum at its end, which must fit."""
    body = content[:-CRC_BYTES]
    (stored,) = struct.unpack("<I", content[-CRC_BYTES:])
    if google_crc32c.value(body) != stored:
        raise ValueError(f"wrong checksum of the {where}")
    return body
