"""What a data set asks of the place it lies in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from zarr.abc.store import Store


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One stored file.

    Attributes:
        key: below the storage's root.
        num_bytes: its size.
        modified_s: when it was written, seconds since 1970 by the storage's own clock.
        version: changes whenever the file does.
    """

    key: str
    num_bytes: int
    modified_s: float
    version: str


@dataclass(frozen=True, kw_only=True)
class Versioned:
    """A file's content, and the version that `put_if` compares."""

    content: bytes
    version: str


class Storage(Protocol):
    """Files by key below one root. Every write is atomic: a reader sees the old file or the new one, whole.

    All methods raise `DatasetError` for a key that leaves the root. Absent keys are `FileNotFoundError`; what else goes
    wrong is `OSError` on local disks and `StorageError` on object stores.
    """

    @property
    def location(self) -> str:
        """The root as the user named it: a folder or a URL."""
        ...

    @property
    def num_parallel(self) -> int:
        """Requests worth having in flight: one where waiting is no cost."""
        ...

    @property
    def read_ahead_bytes(self) -> int:
        """What a consecutive range read fetches at once; zero where another read costs nothing."""
        ...

    @property
    def replace_interval_s(self) -> float:
        """Least time between two replacements of the same key that the storage takes well."""
        ...

    @property
    def scratch(self) -> Path:
        """A local folder for unfinished scenes, from which `place_folder` is cheapest."""
        ...

    @property
    def clears_scratch(self) -> bool:
        """Whether the scratch folder is private, so that whatever a dead process left there may be deleted."""
        ...

    def new_attempt(self) -> str:
        """Return a name under which one writer's files lie apart from all others'; empty where locks do that."""
        ...

    def where(self, key: str) -> str:
        """Return a key's full path or URL, for messages."""
        ...

    def read(self, key: str) -> bytes:
        """Return a whole file."""
        ...

    def read_with_version(self, key: str) -> Versioned:
        """Return a whole file and its version."""
        ...

    def read_range(self, key: str, start: int, num_bytes: int) -> bytes:
        """Return part of a file; fewer bytes where it ends earlier."""
        ...

    def read_blocks(self, key: str) -> Iterator[bytes]:
        """Return a file block by block, so that memory does not grow with its size."""
        ...

    def size(self, key: str) -> int | None:
        """Return a file's size; None where there is none."""
        ...

    def list_files(self, prefix: str) -> Iterator[Listed]:
        """Return all files below a folder-like prefix, or below the root where it is empty, sorted by key."""
        ...

    def put(self, key: str, content: bytes) -> None:
        """Create or replace a file."""
        ...

    def put_if(self, key: str, content: bytes, *, expected: str | None) -> bool:
        """Replace a file that has the expected version, or create one that must not exist (None).

        Returns:
            Whether the file now holds the content; false when somebody else was faster.
        """
        ...

    def place_file(self, file: Path, key: str) -> None:
        """Move or copy a finished local file in. The local file may be gone afterwards."""
        ...

    def place_folder(self, folder: Path, prefix: str, names: Collection[str]) -> None:
        """Move or copy a finished local folder in, with the files named. It may be gone afterwards.

        On a local disk all files appear at once; elsewhere one by one, so nobody may look before all are there.
        """
        ...

    def append_line(self, key: str, line: str) -> None:
        """Add a line to a log, durable when the call returns."""
        ...

    def read_lines(self, key: str) -> list[str]:
        """Return the lines of a log; none where there is no log."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files; absent ones are passed over."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Keep other committers waiting, where there are locks.

        Object stores have none: there, `new_attempt` and `put_if` keep writers apart.
        """
        ...

    def errors(self, key: str) -> AbstractContextManager[None]:
        """Turn errors of the storage's own library into `StorageError`, for code that calls that library itself."""
        ...

    def open_zarr(self, prefix: str) -> tuple[Store, str]:
        """Return a read-only Zarr store, and the path in it at which `prefix` lies."""
        ...
