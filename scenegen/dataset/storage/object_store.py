"""Data sets in object stores, through obstore: atomic puts, conditional puts, no locks and no renames."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenegen.dataset.storage.interface import Listed, Versioned
from scenegen.dataset.storage.keys import join_key
from scenegen.dataset.storage.obstore_client import check_fork, import_obstore, open_client, storage_errors
from scenegen.dataset.storage.scratch import private_scratch

if TYPE_CHECKING:
    from zarr.abc.store import Store

BLOCK_BYTES = 8 << 20
MAX_DELETED_AT_ONCE = 1000


class ObjectStorage:
    """Objects below `scheme://bucket/prefix`. Pickles as its URL; every process connects by its own environment."""

    num_parallel = 16
    read_ahead_bytes = 4 << 20
    replace_interval_s = 10.0
    clears_scratch = True

    def __init__(self, *, scheme: str, bucket: str, prefix: str) -> None:
        self._scheme, self._bucket, self._prefix = scheme, bucket, prefix
        self._obstore = import_obstore()
        self._client: Any = open_client(scheme, bucket)

    def __reduce__(self) -> tuple[Callable[..., ObjectStorage], tuple[str, str, str]]:
        return _reopen, (self._scheme, self._bucket, self._prefix)

    @property
    def location(self) -> str:
        """The URL."""
        return f"{self._scheme}://{self._bucket}" + (f"/{self._prefix}" if self._prefix else "")

    @property
    def scratch(self) -> Path:
        """A folder of this user alone, below the temporary folder of the system (TMPDIR)."""
        return private_scratch()

    def new_attempt(self) -> str:
        """Return a random name: nobody ever writes to a place that somebody else may be filling or clearing."""
        return secrets.token_hex(8)

    def where(self, key: str) -> str:
        """Return the object's URL."""
        return f"{self.location}/{key}"

    def errors(self, key: str) -> AbstractContextManager[None]:
        """Turn obstore's errors into `StorageError`; absent objects stay `FileNotFoundError`."""
        check_fork()
        return storage_errors(self.where(key))

    def read(self, key: str) -> bytes:
        """Return a whole object."""
        return self.read_with_version(key).content

    def read_with_version(self, key: str) -> Versioned:
        """Return a whole object and its entity tag."""
        with self.errors(key):
            result = self._obstore.get(self._client, self._path(key))
            return Versioned(content=bytes(result.bytes()), version=result.meta["e_tag"])

    def read_range(self, key: str, start: int, num_bytes: int) -> bytes:
        """Return part of an object, in one request."""
        with self.errors(key):
            return bytes(self._obstore.get_range(self._client, self._path(key), start=start, length=num_bytes))

    def read_blocks(self, key: str) -> Iterator[bytes]:
        """Return an object block by block."""
        with self.errors(key):
            for block in self._obstore.get(self._client, self._path(key)).stream(min_chunk_size=BLOCK_BYTES):
                yield bytes(block)

    def size(self, key: str) -> int | None:
        """Return an object's size."""
        try:
            with self.errors(key):
                return int(self._obstore.head(self._client, self._path(key))["size"])
        except FileNotFoundError:
            return None

    def list_files(self, prefix: str) -> Iterator[Listed]:
        """Return all objects below a prefix, sorted."""
        inside = len(self._prefix) + 1 if self._prefix else 0
        with self.errors(prefix):
            found = self._obstore.list(self._client, self._path(prefix) if prefix else self._prefix or None).collect()
        for item in sorted(found, key=lambda item: item["path"]):
            yield Listed(
                key=item["path"][inside:],
                num_bytes=item["size"],
                modified_s=item["last_modified"].timestamp(),
                version=item["e_tag"],
            )

    def put(self, key: str, content: bytes) -> None:
        """Create or replace an object."""
        with self.errors(key):
            self._obstore.put(self._client, self._path(key), content)

    def put_if(self, key: str, content: bytes, *, expected: str | None) -> bool:
        """Put under a condition that the store checks.

        A request that was repeated after a lost answer may fail on its own success, so a refusal counts only when the
        object holds something else.
        """
        refusals = (self._obstore.exceptions.AlreadyExistsError, self._obstore.exceptions.PreconditionError)
        mode: Any = "create" if expected is None else {"e_tag": expected}
        with self.errors(key):
            try:
                self._obstore.put(self._client, self._path(key), content, mode=mode)
            except refusals:
                return self._holds(key, content)
            except FileNotFoundError:
                if expected is None:
                    raise
                return False  # what was to be replaced is gone
        return True

    def place_file(self, file: Path, key: str) -> None:
        """Upload a file, in parts where it is large; it appears when all of it is there."""
        with self.errors(key):
            self._obstore.put(self._client, self._path(key), file)

    def place_folder(self, folder: Path, prefix: str, names: Collection[str]) -> None:
        """Upload the files named. A failure leaves some behind, where nobody looks."""
        with ThreadPoolExecutor(self.num_parallel) as pool:
            uploads = [pool.submit(self.place_file, folder / name, f"{prefix}/{name}") for name in names]
            try:
                for upload in uploads:
                    upload.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def append_line(self, key: str, line: str) -> None:
        """Write one line as an object of its own: `<key>/<time>-<random>`, so that names sort by time."""
        self.put(f"{key}/{time.time_ns():020d}-{secrets.token_hex(4)}", (line + "\n").encode())

    def read_lines(self, key: str) -> list[str]:
        """Return the lines in the order of their names."""
        return [line for piece in self.list_files(key) for line in self.read(piece.key).decode().splitlines()]

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, many at once."""
        paths = [self._path(key) for key in keys]
        for start in range(0, len(paths), MAX_DELETED_AT_ONCE):
            batch = paths[start : start + MAX_DELETED_AT_ONCE]
            with self.errors(f"{batch[0]} and {len(batch) - 1} more"):
                self._obstore.delete(self._client, batch)

    def locked(self) -> AbstractContextManager[None]:
        """Lock nothing: object stores have no locks."""
        return nullcontext()

    def open_zarr(self, prefix: str) -> tuple[Store, str]:
        """Return Zarr's own store over the same connection, and the path of `prefix` in it."""
        from zarr.storage import ObjectStore

        return ObjectStore(self._client, read_only=True), self._path(prefix)

    def _path(self, key: str) -> str:
        return join_key(self._prefix, key)

    def _holds(self, key: str, content: bytes) -> bool:
        try:
            return self.read(key) == content
        except FileNotFoundError:
            return False


def _reopen(scheme: str, bucket: str, prefix: str) -> ObjectStorage:
    return ObjectStorage(scheme=scheme, bucket=bucket, prefix=prefix)
