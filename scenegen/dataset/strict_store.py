"""A Zarr store that never lets a missing file read as zeros."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zarr.storage import LocalStore

from scenegen.dataset.schema import CHUNK_SEPARATOR
from scenegen.errors import DatasetError

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


class StrictStore(LocalStore):
    """Read-only folder in which every chunk that is asked for must exist.

    Plain Zarr takes an absent chunk for one full of the fill value. The writer stores every chunk, so absence
    is always damage.
    """

    def __init__(self, root: Path | str, *, read_only: bool = True) -> None:
        super().__init__(root, read_only=True)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a file, or part of it.

        Raises:
            DatasetError: a chunk is missing.
        """
        content = await super().get(key, prototype, byte_range)
        if content is None and f"/c{CHUNK_SEPARATOR}" in key:
            raise DatasetError("every chunk of the array", found="no such file", where=str(self.root / key))
        return content
