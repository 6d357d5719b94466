"""Creating the arrays of a scene store: codecs, shards, checksums, attributes. The only place that shapes bytes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.chunk_key_encodings import ChunkKeyEncodingLike

from scenegen.dataset.columns import Column
from scenegen.dataset.jpeg_codec import ImageCodec, JpegCodec, JxlCodec, PngCodec
from scenegen.dataset.schema import CHUNK_SEPARATOR, SPEC_OF_PATH, ArraySpec
from scenegen.dataset.shard_bytes import picture_encoder, shard_bytes, zstd_encoder
from scenegen.dataset.step_buffer import StepArrays
from scenegen.errors import ConfigError
from scenegen.types import OCC3D_GRID, SceneRecord

IMAGE_CODECS = ("jpeg", "png", "jxl", "zstd")
ZSTD_LEVEL = 3
ROWS_PER_CHUNK, ROWS_PER_SHARD = 2**14, 2**18
"""Of arrays that grow by rows: a sweep is two or three chunks, nine sweeps are a shard."""

_WRITE_CONFIG = {
    "array.write_empty_chunks": True,  # an absent chunk would read as zeros; here absence is always damage
    "json_indent": None,
    "codec_pipeline.path": "zarr.core.codec_pipeline.BatchedCodecPipeline",  # writes shards in a fixed order
}
_CHUNK_NAMES: ChunkKeyEncodingLike = {"name": "default", "separator": CHUNK_SEPARATOR}


class SceneStore:
    """An open, unfinished scene store. `step_arrays` are those written shard by shard, time first."""

    def __init__(
        self, root: Path, record: SceneRecord, *, image_codec: str, jpeg_quality: int, num_steps_per_shard: int
    ) -> None:
        self._record = record
        self._num_steps_per_shard = num_steps_per_shard
        self._picture_codec = _picture_codec(image_codec, jpeg_quality=jpeg_quality)
        self._root = root
        self._step_arrays: dict[str, zarr.Array[Any]] = {}
        self._row_arrays: dict[str, zarr.Array[Any]] = {}
        self._held_rows: dict[str, list[np.ndarray[Any, Any]]] = {}
        with zarr.config.set(_WRITE_CONFIG):
            self._group = zarr.create_group(store=root)

    def write_steps(self, start_step: int, block: StepArrays) -> None:
        """Write one whole shard of each array; `block` holds the same steps of them. Arrays are made at first."""
        with zarr.config.set(_WRITE_CONFIG):
            for path, values in block.items():
                if path not in self._step_arrays:
                    self._step_arrays[path] = self._create_step_array(path, values.shape[1:])
                self._write_shard(path, start_step // self._num_steps_per_shard, values)

    def _write_shard(self, path: str, shard_idx: int, values: np.ndarray[Any, Any]) -> None:
        codec = self._picture_codec if _is_picture(path) else None
        encode = zstd_encoder(ZSTD_LEVEL) if codec is None else picture_encoder(codec)
        values = values.astype(_spec_of(path).dtype, copy=False)
        name = CHUNK_SEPARATOR.join(["c", str(shard_idx), *["0"] * (values.ndim - 1)])
        content = shard_bytes(values, encode, steps_per_shard=self._num_steps_per_shard)
        (self._root / path / name).write_bytes(content)

    def append_rows(self, rows: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Add rows to arrays whose length is known at the end only; whole shards go to disk at once."""
        for path, values in rows.items():
            self._held_rows.setdefault(path, []).append(values.copy())
            held = sum(map(len, self._held_rows[path]))
            if held >= ROWS_PER_SHARD or path not in self._row_arrays:
                self._write_rows(path, num_rows=held // ROWS_PER_SHARD * ROWS_PER_SHARD)

    def write_column(self, column: Column) -> None:
        """Write one small array in a single chunk."""
        spec = _spec_of(column.path)
        values = np.ascontiguousarray(column.values, dtype=spec.dtype)
        with zarr.config.set(_WRITE_CONFIG):
            array = self._parent(column.path).create_array(
                name=column.path.rpartition("/")[2],
                shape=values.shape,
                dtype=values.dtype,
                chunks=tuple(max(1, length) for length in values.shape),
                chunk_key_encoding=_CHUNK_NAMES,
                dimension_names=list(spec.dims),
                attributes=_attributes_of(spec, column.attributes),
                **_zstd_codecs(),
            )
            if values.size:
                array[...] = values

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write the attributes of the root group, and collect all metadata beside them, which xarray opens from."""
        for path, held in self._held_rows.items():
            self._write_rows(path, num_rows=sum(map(len, held)))
        with zarr.config.set(_WRITE_CONFIG), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
            self._group.update_attributes(dict(attributes))
            zarr.consolidate_metadata(self._group.store)

    def _create_step_array(self, path: str, item_shape: tuple[int, ...]) -> zarr.Array[Any]:
        grid = {"origin_m": list(OCC3D_GRID.origin_m), "voxel_m": OCC3D_GRID.voxel_m}
        return self._create_sharded(
            path,
            shape=(self._record.layout.timeline.num_steps, *item_shape),
            chunks=(1, *item_shape),
            shards=(self._num_steps_per_shard, *item_shape),
            codecs=_picture_codecs(self._picture_codec) if _is_picture(path) else _zstd_codecs(),
            extra=grid if path.startswith("occupancy/") else {},
        )

    def _write_rows(self, path: str, *, num_rows: int) -> None:
        """Write the first rows that are held back, behind those on disk."""
        rows = np.concatenate(self._held_rows[path])
        self._held_rows[path] = [rows[num_rows:]]
        with zarr.config.set(_WRITE_CONFIG):
            if path not in self._row_arrays:
                item = rows.shape[1:]
                self._row_arrays[path] = self._create_sharded(
                    path,
                    shape=(0, *item),
                    chunks=(ROWS_PER_CHUNK, *item),
                    shards=(ROWS_PER_SHARD, *item),
                    codecs=_zstd_codecs(),
                    extra={},
                )
            array = self._row_arrays[path]
            start = array.shape[0]
            if num_rows:
                array.resize((start + num_rows, *rows.shape[1:]))
                array[start:] = rows[:num_rows]

    def _create_sharded(
        self,
        path: str,
        *,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        shards: tuple[int, ...],
        codecs: dict[str, Any],
        extra: dict[str, Any],
    ) -> zarr.Array[Any]:
        spec = _spec_of(path)
        return self._parent(path).create_array(
            name=path.rpartition("/")[2],
            shape=shape,
            dtype=spec.dtype,
            chunks=chunks,
            shards=shards,
            chunk_key_encoding=_CHUNK_NAMES,
            dimension_names=list(spec.dims),
            attributes=_attributes_of(spec, extra),
            **codecs,
        )

    def _parent(self, path: str) -> zarr.Group:
        return self._group.require_group(path.rpartition("/")[0])


def check_codec_options(*, image_codec: str, jpeg_quality: int, num_steps_per_shard: int) -> None:
    """Refuse options before any work.

    Raises:
        ConfigError: unknown codec, quality outside 1..100, shards of less than one step.
        DependencyError: `jxl`, and its package is not installed.
    """
    if image_codec not in IMAGE_CODECS:
        raise ConfigError(f"image_codec in {IMAGE_CODECS}", found=repr(image_codec), where="dataset.image_codec")
    if num_steps_per_shard < 1:
        raise ConfigError("at least one step", found=f"{num_steps_per_shard}", where="dataset.num_steps_per_shard")
    JpegCodec(quality=jpeg_quality)
    if image_codec == "jxl":
        JxlCodec().prepare()


def _is_picture(path: str) -> bool:
    return path.endswith("/rgb")


def _picture_codec(image_codec: str, *, jpeg_quality: int) -> ImageCodec | None:
    if image_codec == "jpeg":
        return JpegCodec(quality=jpeg_quality)
    lossless: dict[str, ImageCodec] = {"png": PngCodec(), "jxl": JxlCodec()}
    return lossless.get(image_codec)


def _picture_codecs(codec: ImageCodec | None) -> dict[str, Any]:
    return _zstd_codecs() if codec is None else {"serializer": codec, "compressors": [Crc32cCodec()]}


def _zstd_codecs() -> dict[str, Any]:
    return {"compressors": [ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()]}


def _spec_of(path: str) -> ArraySpec:
    parts = path.split("/")
    return SPEC_OF_PATH[f"cameras/<CAM>/{parts[2]}" if parts[0] == "cameras" else path]


def _attributes_of(spec: ArraySpec, extra: Mapping[str, Any]) -> dict[str, Any]:
    note = {"note": spec.note} if spec.note else {}
    return {"unit": spec.unit, "frame": spec.frame, **note, **extra}
