"""Shards written in one pass are those of zarr-python, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from scenegen.dataset.jpeg_codec import ImageCodec, JpegCodec, JxlCodec, PngCodec
from scenegen.dataset.shard_bytes import picture_encoder, shard_bytes, zstd_encoder

STEPS_PER_SHARD = 4


def written_by_zarr(folder: Path, values: np.ndarray, codecs: dict[str, Any]) -> list[bytes]:
    config = {"array.write_empty_chunks": True, "codec_pipeline.path": "zarr.core.codec_pipeline.BatchedCodecPipeline"}
    with zarr.config.set(config):
        array = zarr.create_array(
            folder / "a.zarr",
            shape=values.shape,
            dtype=values.dtype,
            chunks=(1, *values.shape[1:]),
            shards=(STEPS_PER_SHARD, *values.shape[1:]),
            chunk_key_encoding={"name": "default", "separator": "."},
            **codecs,
        )
        for start in range(0, len(values), STEPS_PER_SHARD):
            array[start : start + STEPS_PER_SHARD] = values[start : start + STEPS_PER_SHARD]
    return [path.read_bytes() for path in sorted((folder / "a.zarr").glob("c.*"))]


def written_in_one_pass(values: np.ndarray, encode: Any) -> list[bytes]:
    starts = range(0, len(values), STEPS_PER_SHARD)
    return [
        shard_bytes(values[start : start + STEPS_PER_SHARD], encode, steps_per_shard=STEPS_PER_SHARD)
        for start in starts
    ]


@pytest.mark.parametrize("num_steps", [4, 6, 1], ids=["whole", "short at the end", "less than one"])
@pytest.mark.parametrize("codec", [JpegCodec(quality=90), PngCodec(), JxlCodec()], ids=["jpeg", "png", "jxl"])
def test_pictures(tmp_path: Path, codec: ImageCodec, num_steps: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (num_steps, 16, 24, 3), np.uint8)
    frames[0] = 0  # a picture of nothing but fill values is stored all the same
    by_zarr = written_by_zarr(tmp_path, frames, {"serializer": codec, "compressors": [Crc32cCodec()]})
    assert written_in_one_pass(frames, picture_encoder(codec)) == by_zarr


@pytest.mark.parametrize("dtype", ["uint8", "bool", "uint16", "int32", "float32", "float16", "int64"])
@pytest.mark.parametrize("item", [(5, 6), (3,), ()], ids=str)
def test_numbers(tmp_path: Path, dtype: str, item: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 2, (6, *item)).astype(dtype)
    values[2] = 0
    by_zarr = written_by_zarr(tmp_path, values, {"compressors": [ZstdCodec(level=3), Crc32cCodec()]})
    assert written_in_one_pass(values, zstd_encoder(3)) == by_zarr


def test_views_are_written_as_what_they_show(tmp_path: Path) -> None:
    values = np.arange(4 * 6 * 8, dtype=np.int32).reshape(4, 6, 8)[:, ::2, 1:5]
    by_zarr = written_by_zarr(tmp_path, values, {"compressors": [ZstdCodec(level=3), Crc32cCodec()]})
    assert written_in_one_pass(values, zstd_encoder(3)) == by_zarr
