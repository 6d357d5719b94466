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
from scenegen.dataset.jpeg_codec import JpegCodec, PngCodec
from scenegen.dataset.schema import CHUNK_SEPARATOR, SPEC_OF_PATH, ArraySpec
from scenegen.dataset.step_buffer import StepArrays
from scenegen.errors import ConfigError
from scenegen.types import OCC3D_GRID, SceneRecord

IMAGE_CODECS = ("jpeg", "png", "zstd")
ZSTD_LEVEL = 3

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
        with zarr.config.set(_WRITE_CONFIG):
            self._group = zarr.create_group(store=root)
            picture = _picture_codecs(image_codec, jpeg_quality=jpeg_quality)
            self._step_arrays: dict[str, zarr.Array[Any]] = {}
            for camera in record.rig.cameras:
                width, height = camera.size_px
                spec = SPEC_OF_PATH["cameras/<CAM>/rgb"]
                path, item = spec.for_camera(camera.name), (height, width, 3)
                self._step_arrays[path] = self._create_sharded(path, spec, item, num_steps_per_shard, picture, {})
            grid = {"origin_m": list(OCC3D_GRID.origin_m), "voxel_m": OCC3D_GRID.voxel_m}
            for path in ("occupancy/semantics", "occupancy/mask_camera"):
                self._step_arrays[path] = self._create_sharded(
                    path, SPEC_OF_PATH[path], OCC3D_GRID.shape, num_steps_per_shard, _zstd_codecs(), grid
                )

    def write_steps(self, start_step: int, block: StepArrays) -> None:
        """Write whole shards; `block` holds the same steps of every step array."""
        with zarr.config.set(_WRITE_CONFIG):
            for path, values in block.items():
                self._step_arrays[path][start_step : start_step + len(values)] = values

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
        with zarr.config.set(_WRITE_CONFIG), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
            self._group.update_attributes(dict(attributes))
            zarr.consolidate_metadata(self._group.store)

    def _create_sharded(
        self,
        path: str,
        spec: ArraySpec,
        item_shape: tuple[int, ...],
        num_steps_per_shard: int,
        codecs: dict[str, Any],
        extra: dict[str, Any],
    ) -> zarr.Array[Any]:
        return self._parent(path).create_array(
            name=path.rpartition("/")[2],
            shape=(self._record.layout.timeline.num_steps, *item_shape),
            dtype=spec.dtype,
            chunks=(1, *item_shape),
            shards=(num_steps_per_shard, *item_shape),
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
    """
    if image_codec not in IMAGE_CODECS:
        raise ConfigError(f"image_codec in {IMAGE_CODECS}", found=repr(image_codec), where="dataset.image_codec")
    if num_steps_per_shard < 1:
        raise ConfigError("at least one step", found=f"{num_steps_per_shard}", where="dataset.num_steps_per_shard")
    JpegCodec(quality=jpeg_quality)


def _picture_codecs(image_codec: str, *, jpeg_quality: int) -> dict[str, Any]:
    if image_codec == "jpeg":
        return {"serializer": JpegCodec(quality=jpeg_quality), "compressors": [Crc32cCodec()]}
    if image_codec == "png":
        return {"serializer": PngCodec(), "compressors": [Crc32cCodec()]}
    return _zstd_codecs()


def _zstd_codecs() -> dict[str, Any]:
    return {"compressors": [ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()]}


def _spec_of(path: str) -> ArraySpec:
    parts = path.split("/")
    return SPEC_OF_PATH[f"cameras/<CAM>/{parts[2]}" if parts[0] == "cameras" else path]


def _attributes_of(spec: ArraySpec, extra: Mapping[str, Any]) -> dict[str, Any]:
    note = {"note": spec.note} if spec.note else {}
    return {"unit": spec.unit, "frame": spec.frame, **note, **extra}
