"""Data sets in local folders: atomic renames, fsync, one lock."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from scenegen.dataset.durable import (
    HASH_BLOCK_BYTES,
    exclusive_lock,
    fsync_folder,
    sha256_of_bytes,
    write_atomically,
)
from scenegen.dataset.storage.interface import Listed, Versioned
from scenegen.dataset.storage.keys import check_key
from scenegen.errors import DatasetError

if TYPE_CHECKING:
    from zarr.abc.store import Store

LOCK_KEY = "staging/commit.lock"
REPLACED_FOLDER = "replaced.zarr"


class LocalStorage:
    """A folder. What lies below it is read without following links that lead out of it."""

    num_parallel = 1
    read_ahead_bytes = 0
    replace_interval_s = 0.0
    clears_scratch = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root_text = str(root)
        self._turn = threading.RLock()
        self._lock_depth = 0

    def __reduce__(self) -> tuple[type[LocalStorage], tuple[Path]]:
        return LocalStorage, (self.root,)

    @property
    def location(self) -> str:
        """The folder."""
        return self._root_text

    @property
    def scratch(self) -> Path:
        """The folder itself: a rename needs the same file system."""
        return self.root

    def new_attempt(self) -> str:
        """Return no name: the lock keeps writers apart."""
        return ""

    def where(self, key: str) -> str:
        """Return the file's path."""
        return str(self.path(key))

    def path(self, key: str) -> Path:
        """Return the path of a key."""
        return self.root / check_key(key)

    def read(self, key: str) -> bytes:
        """Return a whole file."""
        return self.path(key).read_bytes()

    def read_with_version(self, key: str) -> Versioned:
        """Return a whole file and the hash of it, which is its version."""
        content = self.read(key)
        return Versioned(content=content, version=sha256_of_bytes(content))

    def read_range(self, key: str, start: int, num_bytes: int) -> bytes:
        """Return part of a file. No file is kept open, so that readers may cross a fork."""
        file = os.open(f"{self._root_text}/{check_key(key)}", os.O_RDONLY)
        try:
            return os.pread(file, num_bytes, start)
        finally:
            os.close(file)

    def read_blocks(self, key: str) -> Iterator[bytes]:
        """Return a file block by block."""
        with self.path(key).open("rb") as file:
            while block := file.read(HASH_BLOCK_BYTES):
                yield block

    def size(self, key: str) -> int | None:
        """Return a regular file's size."""
        try:
            status = self.path(key).stat()
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def list_files(self, prefix: str) -> Iterator[Listed]:
        """Return all files below a folder, sorted.

        Raises:
            DatasetError: a link leads out of the data set.
        """
        folder = self.path(prefix) if prefix else self.root
        found = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
        for file in sorted(found):
            if file.is_symlink() and not file.resolve().is_relative_to(self.root.resolve()):
                raise DatasetError("files inside the data set", found="a link out of it", where=str(file))
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                status = file.stat()
                yield Listed(
                    key=file.relative_to(self.root).as_posix(),
                    num_bytes=status.st_size,
                    modified_s=status.st_mtime,
                    version=f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}",
                )

    def put(self, key: str, content: bytes) -> None:
        """Create or replace a file, durably."""
        write_atomically(self.path(key), content)

    def put_if(self, key: str, content: bytes, *, expected: str | None) -> bool:
        """Replace a file under the lock, if it is still the expected one."""
        with self.locked():
            try:
                found = self.read_with_version(key).version
            except FileNotFoundError:
                found = None
            if found != expected:
                return False
            self.put(key, content)
        return True

    def place_file(self, file: Path, key: str) -> None:
        """Rename a durable file into the data set."""
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
        fsync_folder(target.parent)

    def place_folder(self, folder: Path, prefix: str, names: Collection[str]) -> None:
        """Rename a durable folder into the data set; what is in its place goes beside the staged folder."""
        target = self.path(prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(folder.with_name(REPLACED_FOLDER))
        folder.rename(target)
        fsync_folder(target.parent)
        fsync_folder(target.parent.parent)

    def append_line(self, key: str, line: str) -> None:
        """Add a line to a file."""
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def read_lines(self, key: str) -> list[str]:
        """Return the lines of a log: one file, or a folder of pieces that was copied from an object store."""
        path = self.path(key)
        pieces = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
        return [line for piece in pieces for line in piece.read_text(encoding="utf-8").splitlines()]

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files, and the folders that become empty."""
        for key in keys:
            path = self.path(key)
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if self.root in (folder, folder.parent):
                    break
                try:
                    folder.rmdir()
                except OSError:  # not empty
                    break

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of renames and of the manifest; the same thread may take it again."""
        with self._turn:
            outer = nullcontext() if self._lock_depth else exclusive_lock(self.path(LOCK_KEY))
            with outer:
                self._lock_depth += 1
                try:
                    yield
                finally:
                    self._lock_depth -= 1

    def errors(self, key: str) -> AbstractContextManager[None]:
        """Leave errors as they are: the operating system's are known everywhere."""
        return nullcontext()

    def open_zarr(self, prefix: str) -> tuple[Store, str]:
        """Return a read-only Zarr store of one folder."""
        from zarr.storage import LocalStore

        return LocalStore(self.path(prefix), read_only=True), ""
