"""Files that survive a crash: atomic replacement, fsync of whole trees, checksums, one lock per data set."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from scenegen.errors import OutputError

HASH_BLOCK_BYTES = 1 << 20
OWNER_LOCK = "owner.lock"

_FIX_OF_ERRNO = {
    errno.ENOSPC: "free some space and run the same command again: committed scenes are kept",
    errno.EDQUOT: "free some of your quota and run the same command again: committed scenes are kept",
    errno.EACCES: "choose an output folder that you may write",
    errno.EPERM: "choose an output folder that you may write",
    errno.EROFS: "choose an output folder on a file system that can be written",
    errno.ENOTDIR: "choose an output path that is a folder",
    errno.EEXIST: "choose an output path that is a folder",
}


@contextlib.contextmanager
def output_errors(where: Path | str) -> Iterator[None]:
    """Turn operating system errors of the enclosed writing into one typed error.

    Raises:
        OutputError: the disk is full, the folder may not be written, or any other OSError.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            "an output place that can be written",
            found=error.strerror or str(error),
            where=str(error.filename or where),
            fix=_FIX_OF_ERRNO.get(error.errno or 0, "check the output folder and run the same command again"),
        ) from error


def canonical_json(data: Mapping[str, Any]) -> str:
    """Write JSON that depends on the data alone: sorted keys, no NaN.

    >>> canonical_json({"b": 1, "a": [1.5, None]})
    '{"a":[1.5,null],"b":1}'
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of_text(text: str) -> str:
    """Return the hex SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    """Return the hex SHA-256 of a content."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that every reader, and every crash, sees the old or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with staged.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make renames and new names inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Make a closed file's content durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(root: Path) -> None:
    """Make every file and folder below `root`, and `root` itself, durable."""
    for folder, _, file_names in os.walk(root, topdown=False):
        for name in file_names:
            fsync_file(Path(folder, name))
        fsync_folder(Path(folder))


@contextlib.contextmanager
def exclusive_lock(lock_path: Path) -> Iterator[None]:
    """Hold an advisory lock; the operating system lets go of it when the process dies."""
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with lock_path.open("a") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def try_to_own(folder: Path) -> TextIO | None:
    """Mark a folder as in use by this process; None where another living process has done so.

    The mark ends when the returned file is closed or the process dies, however it dies.
    """
    file = (folder / OWNER_LOCK).open("a")
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
