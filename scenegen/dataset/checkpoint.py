"""Checkpoints of a scene that is being painted: one file per chunk, from which another writer goes on behind it.

A file holds the chunk as it was given to the writer, and what painting carries on to the next one, without loss. So
shards, half-filled buffers and the preview need not be saved: they are written again from the chunks, which costs a
few per cent of painting them. Files lie with the data set, in the staging area that no reader looks at:

    staging/checkpoints/<scene_id>/<attempt>-<start_step>

Each is put at once, begins with a line of JSON that names what it belongs to, the hash of its content and the hash of
the file before it, and goes on with safetensors in Zstandard. Reading stops at the first file that is not exactly the
next one.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from scenegen.dataset.chunk_arrays import Arrays, arrays_of_chunk, chunk_of_arrays
from scenegen.dataset.durable import canonical_json, output_errors, sha256_of_bytes, sha256_of_text
from scenegen.dataset.paths import check_scene_id, checkpoint_key
from scenegen.dataset.storage import Location, open_storage
from scenegen.types import SceneChunk, SceneRecord
from scenegen.types.layout_json import layout_sha256

FORMAT = 1
ZSTD_LEVEL = 1
DECISIVE_PACKAGES = ("numpy", "numba", "torch")
"""Other versions may round differently, and a scene is of one kind from end to end."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A painted chunk, and what its painters remember after it.

    Attributes:
        chunk: as the scene's writer was given it.
        state: by painter, arrays by name.
    """

    chunk: SceneChunk
    state: Mapping[str, Arrays]


class SceneCheckpoints:
    """The checkpoints of one painting of one scene, in the order of its chunks.

    Args:
        location: root of the data set.
        record: header of the scene; files of other weights, configurations or layouts are not taken.
        attempt: which painting of the scene.
    """

    def __init__(self, location: Location, record: SceneRecord, *, attempt: int) -> None:
        self._storage = open_storage(location)
        self._scene_id = record.scene_id
        self._attempt = attempt
        self._fingerprint = _fingerprint(record)
        self._previous = ""
        self.problem = ""
        """Why `read` stopped at a file that is there; empty where it took all of them."""

    def read(self) -> Iterator[Checkpoint]:
        """Yield what was saved, one chunk at a time, as far as it is sound and without gaps.

        Raises:
            StorageError: the object store cannot be reached, or refuses.
        """
        start_step = 0
        while True:
            key = self._key(start_step)
            try:
                content = self._storage.read(key)
            except FileNotFoundError:
                return
            try:
                checkpoint = self._parse(content, start_step=start_step)
            except _NotTheNextError as error:
                self.problem = f"{self._storage.where(key)}: {error}"
                return
            yield checkpoint
            start_step += len(checkpoint.chunk.occupancy)

    def append(self, checkpoint: Checkpoint) -> None:
        """Save the next chunk; it is there when the call returns.

        Raises:
            OutputError: the disk is full or cannot be written.
            StorageError: the object store cannot be reached, or refuses.
        """
        from numcodecs.zstd import Zstd
        from safetensors.numpy import save

        tensors = {f"chunk/{name}": values for name, values in arrays_of_chunk(checkpoint.chunk).items()}
        for painter, arrays in checkpoint.state.items():
            tensors |= {f"{painter}/{name}": values for name, values in arrays.items()}
        plain = save({name: np.asarray(values, order="C") for name, values in tensors.items()})
        payload = bytes(Zstd(level=ZSTD_LEVEL).encode(plain))
        header = self._header(checkpoint.chunk.start_step, payload_sha256=sha256_of_bytes(payload))
        key = self._key(checkpoint.chunk.start_step)
        with output_errors(self._storage.where(key)):
            self._storage.put(key, header.encode() + b"\n" + payload)
        self._previous = sha256_of_text(header)

    def _parse(self, content: bytes, *, start_step: int) -> Checkpoint:
        from numcodecs.zstd import Zstd
        from safetensors import SafetensorError
        from safetensors.numpy import load

        line, _, payload = content.partition(b"\n")
        header = self._header(start_step, payload_sha256=sha256_of_bytes(payload))
        if line != header.encode():
            raise _NotTheNextError(_difference(line, header))
        try:
            tensors = load(bytes(Zstd().decode(payload)))
            by_painter: dict[str, Arrays] = {}
            for name, values in tensors.items():
                painter, _, rest = name.partition("/")
                by_painter.setdefault(painter, {})[rest] = values
            chunk = chunk_of_arrays(by_painter.pop("chunk"), start_step=start_step)
        except (RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise _NotTheNextError(f"{type(error).__name__}: {error}") from error
        self._previous = sha256_of_text(header)
        return Checkpoint(chunk=chunk, state=by_painter)

    def _header(self, start_step: int, *, payload_sha256: str) -> str:
        return canonical_json(
            {
                "format": FORMAT,
                "fingerprint": self._fingerprint,
                "attempt": self._attempt,
                "start_step": start_step,
                "previous": self._previous,
                "payload_sha256": payload_sha256,
            }
        )

    def _key(self, start_step: int) -> str:
        return f"{checkpoint_key(self._scene_id)}/{self._attempt}-{start_step:06d}"


class _NotTheNextError(Exception):
    """A file that is not the checkpoint which belongs in its place."""


def delete_checkpoints(location: Location, scene_id: str) -> None:
    """Delete all checkpoints of a scene, of every painting.

    Raises:
        OutputError: they cannot be deleted.
        StorageError: the object store cannot be reached, or refuses.
    """
    storage = open_storage(location)
    prefix = checkpoint_key(check_scene_id(scene_id))
    with output_errors(storage.where(prefix)):
        storage.delete([file.key for file in storage.list_files(prefix)])


def _fingerprint(record: SceneRecord) -> str:
    """Hash everything that decides a scene's bytes, whole where the scene's id has eight digits of it."""
    return sha256_of_text(
        canonical_json(
            {
                "scene_id": record.scene_id,
                "seed": record.seed,
                "layout_sha256": layout_sha256(record.layout),
                "provenance": asdict(record.provenance),
                "machine": platform.machine(),
                "packages": {name: _version(name) for name in DECISIVE_PACKAGES},
            }
        )
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _difference(line: bytes, header: str) -> str:
    """Say in words what is wrong with the first line of a file."""
    wanted: dict[str, Any] = json.loads(header)
    try:
        found = json.loads(line)
        differing = [name for name in wanted if found.get(name) != wanted[name]]
    except (ValueError, AttributeError):
        return "its first line is damaged"
    reasons = {
        "format": "it is of another version of scenegen",
        "fingerprint": "it is of another scene, configuration, model, library or kind of machine",
        "previous": "it does not follow the checkpoint before it",
        "payload_sha256": "its content is damaged",
    }
    return next((text for name, text in reasons.items() if name in differing), "its first line is damaged")
