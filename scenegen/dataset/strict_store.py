"""A Zarr store that never lets a missing file read as zeros."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from zarr.abc.store import Store
from zarr.storage import WrapperStore

from scenegen.dataset.scene_files import SceneFiles
from scenegen.dataset.schema import CHUNK_SEPARATOR
from scenegen.dataset.storage.keys import join_key
from scenegen.errors import DatasetError

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


class StrictStore(WrapperStore[Store]):
    """A scene's files, read-only, in which every chunk that is asked for must exist.

    Plain Zarr takes an absent chunk for one full of the fill value. The writer stores every chunk, so absence
    is always damage.
    """

    def __init__(self, files: SceneFiles) -> None:
        store, self._prefix = files.storage.open_zarr(files.prefix)
        super().__init__(store)
        self._files = files

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StrictStore) and self._files == other._files

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Read a file, or part of it.

        Raises:
            DatasetError: a chunk is missing, or the key leaves the scene.
            StorageError: the object store cannot be reached, or refuses.
        """
        with self._files.storage.errors(self._files.key(key)):
            content = await self._store.get(self._inner(key), prototype, byte_range)
        if content is None and f"/c{CHUNK_SEPARATOR}" in key:
            raise DatasetError("every chunk of the array", found="no such file", where=self._files.where(key))
        return content

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Read parts of files, each as `get` does."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Say whether there is a file."""
        return await self._store.exists(self._inner(key))

    def list(self) -> AsyncIterator[str]:
        """Return all files."""
        return self.list_prefix("")

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Return all files whose names begin with `prefix`."""
        for name in sorted(self._files.sizes()):
            if name.startswith(prefix):
                yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Return the next part of the names in a folder."""
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        for part in sorted(
            {name[len(start) :].partition("/")[0] for name in self._files.sizes() if name.startswith(start)}
        ):
            yield part

    def _inner(self, key: str) -> str:
        return join_key(self._prefix, key)
