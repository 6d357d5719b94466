"""Writing a scene: chunks stream into a staging folder, and the scene appears whole or not at all.

Protocol (DESIGN section 6): stage on a local disk, fsync, read back and hash; then `publish` brings the scene into the
data set. A crash at any point leaves either nothing a reader can see, or a committed scene. Memory holds one shard,
whatever the scene's length.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from jaxtyping import Float32

from scenegen.dataset.annotated2d import Annotated2d, annotated2d_columns
from scenegen.dataset.attributes import scene_attributes
from scenegen.dataset.columns import Column, header_columns, measured_columns, pointers, world_columns
from scenegen.dataset.durable import output_errors
from scenegen.dataset.optional_labels import (
    NO_POINTS,
    Expected,
    Rows,
    expected_arrays,
    object2d_columns,
    object2d_rows,
    parts_of,
    step_arrays,
    sweep_rows,
)
from scenegen.dataset.publish import placed_previews, publish_scene
from scenegen.dataset.receipt import FileEntry, Receipt, content_sha256, seal_files
from scenegen.dataset.schema import SCHEMA_VERSION
from scenegen.dataset.staging import Staging
from scenegen.dataset.step_buffer import StepArrays, StepBuffer
from scenegen.dataset.storage import Location, Storage, open_storage
from scenegen.dataset.store import SceneStore, check_codec_options
from scenegen.types import OCC3D_GRID, LidarLabels, SceneChunk, SceneRecord, WorldVoxels
from scenegen.types.layout_json import layout_sha256


class ChunkError(AssertionError):
    """A chunk that does not fit its scene: a bug in the caller, not in anybody's input."""


def open_scene_writer(
    location: Location,
    record: SceneRecord,
    *,
    image_codec: str = "jpeg",
    jpeg_quality: int = 95,
    num_steps_per_shard: int = 60,
) -> SceneWriter:
    """Start writing a scene; use as a context manager, which aborts on any error and when not committed.

    Args:
        location: root of the data set, a folder or a URL; a folder is created where missing.
        record: header of the scene.
        image_codec: `jpeg` (4:4:4), or lossless `png`, `jxl` or `zstd`.
        jpeg_quality: 1 to 100, for `jpeg`.
        num_steps_per_shard: steps per file. Chunks of this many steps are written without being held back.

    Raises:
        ConfigError: an option is out of range.
        DatasetError: the scene id is no safe file name.
        OutputError: the folder cannot be written.
        DependencyError: a URL, and obstore is not installed.
    """
    check_codec_options(image_codec=image_codec, jpeg_quality=jpeg_quality, num_steps_per_shard=num_steps_per_shard)
    storage = open_storage(location)
    with output_errors(storage.scratch):
        staging = Staging(storage, record.scene_id)
        try:
            store = SceneStore(
                staging.store,
                record,
                image_codec=image_codec,
                jpeg_quality=jpeg_quality,
                num_steps_per_shard=num_steps_per_shard,
            )
            for column in header_columns(record):
                store.write_column(column)
        except BaseException:
            staging.discard()
            raise
    buffer = StepBuffer(num_steps=record.layout.timeline.num_steps, num_steps_per_shard=num_steps_per_shard)
    return SceneWriter(storage, record, staging=staging, store=store, buffer=buffer)


class SceneWriter:
    """Writes one scene. Made by `open_scene_writer`."""

    def __init__(
        self, storage: Storage, record: SceneRecord, *, staging: Staging, store: SceneStore, buffer: StepBuffer
    ) -> None:
        self._storage = storage
        self._record = record
        self._staging = staging
        self._store = store
        self._buffer = buffer
        self._num_appended = 0
        self._visible_fraction: list[np.ndarray[Any, Any]] = []
        self._visible_height_px: list[np.ndarray[Any, Any]] = []
        self._object2d_rows: list[Rows] = []
        self._num_lidar_pts: list[np.ndarray[Any, Any]] = []
        self._sweep_lengths: list[int] = []
        self._lidar2ego: np.ndarray[Any, Any] | None = None
        self._parts: frozenset[str] | None = None
        self._is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    @property
    def preview_dir(self) -> Path:
        """Folder for `<scene_id>.mp4` and `.jpg`; what lies here at `commit` becomes the scene's previews."""
        folder = self._staging.previews
        with output_errors(folder):
            folder.mkdir(exist_ok=True)
        return folder

    def write_world(self, voxels: WorldVoxels) -> None:
        """Store the sampled static world with the scene; not called where rules made it.

        Raises:
            OutputError: the disk is full or cannot be written.
        """
        with output_errors(self._staging.folder):
            for column in world_columns(voxels):
                self._store.write_column(column)

    def write_annotated2d(self, pictures: Sequence[Annotated2d]) -> None:
        """Store the 2-D boxes that annotators drew, by step, then camera; only real logs have them.

        Raises:
            OutputError: the disk is full or cannot be written.
        """
        with output_errors(self._staging.folder):
            for column in annotated2d_columns(pictures):
                self._store.write_column(column)

    def append(self, chunk: SceneChunk) -> None:
        """Write the next chunk. Chunks come in order and without gaps; their length is free.

        Raises:
            ChunkError: out of order, beyond the end, or of the wrong shape.
            OutputError: the disk is full or cannot be written.
        """
        self._check_chunk(chunk)
        arrays: StepArrays = {
            f"cameras/{camera.name}/rgb": chunk.rgb[view_idx, :, : camera.size_px[1], : camera.size_px[0]]
            for view_idx, camera in enumerate(self._record.rig.cameras)
        }
        arrays["occupancy/semantics"] = chunk.occupancy
        arrays["occupancy/mask_camera"] = chunk.mask_camera
        arrays |= step_arrays(chunk, self._record)
        with output_errors(self._staging.folder):
            self._append_sweeps(chunk.lidar)
            for start_step, block in self._buffer.push(arrays):
                self._store.write_steps(start_step, block)
        self._visible_fraction.append(np.array(chunk.visible_fraction, np.float32))
        self._visible_height_px.append(np.array(chunk.visible_height_px, np.float32))
        if chunk.agent_pixels is not None:
            self._object2d_rows.append(object2d_rows(chunk.agent_pixels, self._record, start_step=chunk.start_step))
        if chunk.lidar is not None:
            self._num_lidar_pts.append(chunk.lidar.num_points.copy())
        self._num_appended += len(chunk.occupancy)

    def commit(
        self, *, scores: dict[str, Any], cost: dict[str, Any], found_share: Float32[np.ndarray, " A"] | None = None
    ) -> Receipt:
        """Finish the scene: everything durable and hashed, then visible at once, then its receipt.

        A scene that is already committed is kept, and its receipt returned. One that a crash left without a
        receipt, or whose files no longer match it, is replaced.

        Args:
            scores: of the judges; become part of the scene's bytes.
            cost: seconds, memory and the like; stored in the receipt only.
            found_share: per agent of the layout, the share of its judged views in which the judge found it; NaN
                where none was judged. None where nothing was judged.

        Raises:
            ChunkError: steps are missing.
            OutputError: the disk is full or cannot be written.
            StorageError: the object store cannot be reached, or refuses.
        """
        self._check_complete()
        with output_errors(self._staging.folder):
            self._finish_store(scores, found_share)
            files = seal_files(self._staging.store)
            previews = seal_files(self.preview_dir)
            attempt = self._storage.new_attempt()
            staged = _build_receipt(
                self._record,
                files=files,
                previews=placed_previews(self._record.scene_id, previews, attempt=attempt),
                scores=scores,
                cost=cost,
                attempt=attempt,
            )
            committed = publish_scene(self._storage, self._staging, staged)
        self.abort()
        return committed

    def abort(self) -> None:
        """Throw away what is not committed. Harmless after `commit` and when called twice."""
        self._is_open = False
        self._staging.discard()

    def _finish_store(self, scores: dict[str, Any], found_share: Float32[np.ndarray, " A"] | None) -> None:
        layout = self._record.layout
        columns = measured_columns(
            layout,
            visible_fraction=np.concatenate(self._visible_fraction),
            visible_height_px=np.concatenate(self._visible_height_px),
            found_share=np.full(len(layout.agents), np.nan, np.float32) if found_share is None else found_share,
            num_lidar_pts=np.concatenate(self._num_lidar_pts) if self._num_lidar_pts else None,
        )
        if self._object2d_rows:
            columns += object2d_columns(self._object2d_rows)
        if self._lidar2ego is not None:
            columns.append(Column("lidar/lidar2ego", self._lidar2ego))
            columns.append(Column("lidar/ptr", pointers(self._sweep_lengths)))
        for column in columns:
            self._store.write_column(column)
        self._store.finish(scene_attributes(self._record, scores=scores))

    def _append_sweeps(self, lidar: LidarLabels | None) -> None:
        if lidar is None or lidar.sweeps is None:
            return
        self._lidar2ego = lidar.lidar2ego
        for sweep in lidar.sweeps:
            self._store.append_rows(NO_POINTS if sweep is None else sweep_rows(sweep))
            self._sweep_lengths.append(0 if sweep is None else len(sweep.ring))

    def _check_chunk(self, chunk: SceneChunk) -> None:
        if not self._is_open:
            raise ChunkError(f"scene {self._record.scene_id}: append after commit or abort")
        if chunk.start_step != self._num_appended:
            raise ChunkError(
                f"scene {self._record.scene_id}: expected the chunk from step {self._num_appended}, "
                f"got one from step {chunk.start_step}"
            )
        steps = len(chunk.occupancy)
        total = self._record.layout.timeline.num_steps
        if steps < 1 or chunk.start_step + steps > total:
            raise ChunkError(f"scene {self._record.scene_id}: {steps} steps from {chunk.start_step}, of {total} in all")
        width, height = self._record.rig.size_px
        num_views, num_agents = len(self._record.rig.cameras), len(self._record.layout.agents)
        num_px = (steps, num_agents)
        expected: Expected = {
            "rgb": (chunk.rgb, (num_views, steps, height, width, 3), np.uint8),
            "occupancy": (chunk.occupancy, (steps, *OCC3D_GRID.shape), np.uint8),
            "mask_camera": (chunk.mask_camera, (steps, *OCC3D_GRID.shape), np.uint8),
            "visible_fraction": (chunk.visible_fraction, num_px, np.float32),
            "visible_height_px": (chunk.visible_height_px, num_px, np.float32),
            **expected_arrays(chunk, self._record),
        }
        for name, (array, shape, dtype) in expected.items():
            if array.shape != shape or array.dtype != dtype:
                raise ChunkError(
                    f"scene {self._record.scene_id}: expected {name} {np.dtype(dtype)} {shape}, "
                    f"got {array.dtype} {array.shape}"
                )
        self._check_parts(chunk)

    def _check_parts(self, chunk: SceneChunk) -> None:
        """Refuse a chunk with other optional labels than those before it."""
        parts = parts_of(chunk)
        if self._parts is not None and parts != self._parts:
            raise ChunkError(
                f"scene {self._record.scene_id}: expected the labels {sorted(self._parts)} of the chunks before, "
                f"got {sorted(parts)}"
            )
        if chunk.lidar is not None and chunk.lidar.sweeps is not None:
            steps = len(chunk.occupancy)
            if len(chunk.lidar.sweeps) != steps:
                raise ChunkError(
                    f"scene {self._record.scene_id}: expected a sweep or None for each of {steps} steps, "
                    f"got {len(chunk.lidar.sweeps)}"
                )
        self._parts = parts

    def _check_complete(self) -> None:
        total = self._record.layout.timeline.num_steps
        if not self._is_open or self._num_appended != total:
            raise ChunkError(f"scene {self._record.scene_id}: commit after {self._num_appended} of {total} steps")


def _build_receipt(
    record: SceneRecord,
    *,
    files: dict[str, FileEntry],
    previews: dict[str, FileEntry],
    scores: dict[str, Any],
    cost: dict[str, Any],
    attempt: str,
) -> Receipt:
    provenance, timeline = record.provenance, record.layout.timeline
    return Receipt(
        schema_version=SCHEMA_VERSION,
        scene_id=record.scene_id,
        split=record.split,
        num_steps=int(timeline.num_steps),
        rate_hz=float(timeline.rate_hz),
        cameras=tuple(camera.name for camera in record.rig.cameras),
        size_px=(int(record.rig.size_px[0]), int(record.rig.size_px[1])),
        layout_sha256=layout_sha256(record.layout),
        config_sha256=provenance.config_sha256,
        code_version=provenance.code_version,
        model_id=provenance.model_id,
        model_licence=provenance.model_licence,
        weights_sha256=provenance.weights_sha256,
        source=record.layout.source,
        source_licence=provenance.source_licence,
        created_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        content_sha256=content_sha256(files),
        files=files,
        previews=previews,
        scores=dict(scores),
        cost=dict(cost),
        attempt=attempt,
    )
