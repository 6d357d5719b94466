"""The stored pictures of a camera as files, byte for byte as the encoder wrote them: nothing is decoded or encoded."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import zarr
from jaxtyping import UInt8, UInt64

from scenegen.dataset.jpeg_codec import ImageCodec, PngCodec
from scenegen.dataset.schema import CHUNK_SEPARATOR
from scenegen.dataset.stored_array import StoredArray
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DatasetError

CRC_BYTES = 4
INDEX_ENTRY_BYTES = 16
SUFFIX_OF_FORMAT = {"JPEG": ".jpg", "PNG": ".png"}


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """One picture: the content of a JPEG or PNG file."""

    content: bytes
    suffix: str


class PictureFiles:
    """The pictures of one camera, by step.

    Pictures stored with an image codec come out as stored; raw pixels (codec `zstd`) as PNG, which loses nothing.

    No file is kept open, so that the pictures may cross a fork.

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
        self.suffix = SUFFIX_OF_FORMAT[(codec or PngCodec()).pillow_format]
        self._num_steps = len(self._pixels)
        self._size_hw: tuple[int, int] = (self._pixels.shape[1], self._pixels.shape[2])
        self._steps_per_shard = int((self._array.shards or (1,))[0])
        self._folder = str(scene.folder / self._path)
        self._index_of_shard: dict[int, UInt64[np.ndarray, "S 2"]] = {}

    def __len__(self) -> int:
        return self._num_steps

    def __getitem__(self, step: int) -> PictureFile:
        """Read the picture of one step.

        Raises:
            DatasetError: a file is missing or damaged.
        """
        self._check_step(step)
        if self._codec is None:
            return PictureFile(content=PngCodec().encode_picture(self._pixels[step]), suffix=self.suffix)
        try:
            return PictureFile(content=self._encoded(step), suffix=self.suffix)
        except (OSError, ValueError, struct.error) as error:
            raise self._scene.damage_error(self._path, str(error)) from error

    def pixels(self, step: int) -> UInt8[np.ndarray, "H W 3"]:
        """Decode the picture of one step, at the cost of decoding it: one read, and nothing of Zarr's machinery.

        Raises:
            DatasetError: no such step, or a file is missing or damaged.
        """
        self._check_step(step)
        if self._codec is None:
            return np.asarray(self._pixels[step])
        content = self[step].content
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

    def _encoded(self, step: int) -> bytes:
        shard_idx, within = divmod(step, self._steps_per_shard)
        file = os.open(self._shard_file(shard_idx), os.O_RDONLY)
        try:
            if shard_idx not in self._index_of_shard:
                self._index_of_shard[shard_idx] = _read_index(file, self._steps_per_shard)
            offset, num_bytes = (int(value) for value in self._index_of_shard[shard_idx][within])
            content = os.pread(file, num_bytes, offset)
        finally:
            os.close(file)
        return _checked(content, where=f"picture of step {step}")

    def _shard_file(self, shard_idx: int) -> str:
        return f"{self._folder}/{CHUNK_SEPARATOR.join(['c', str(shard_idx), '0', '0', '0'])}"


def _read_index(file: int, steps_per_shard: int) -> UInt64[np.ndarray, "S 2"]:
    """Read where each picture lies in a shard (offset, length). Source: Zarr v3, sharding codec, index at the end."""
    num_bytes = steps_per_shard * INDEX_ENTRY_BYTES + CRC_BYTES
    start = os.fstat(file).st_size - num_bytes
    if start < 0:
        raise ValueError("the shard is shorter than its index")
    content = _checked(os.pread(file, num_bytes, start), where="index of the shard")
    return np.frombuffer(content, "<u8").reshape(-1, 2)


def _checked(content: bytes, *, where: str) -> bytes:
    """Return the content without the checksum at its end, which must fit."""
    body = content[:-CRC_BYTES]
    (stored,) = struct.unpack("<I", content[-CRC_BYTES:])
    if google_crc32c.value(body) != stored:
        raise ValueError(f"wrong checksum of the {where}")
    return body
