"""obstore as this package uses it: credentials from the environment, bounded retries, typed errors, no forks."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

from scenegen.errors import ConfigError, DependencyError, StorageError

if TYPE_CHECKING:
    from obstore.store import RetryConfig

RETRIES: RetryConfig = {"max_retries": 8, "retry_timeout": timedelta(seconds=90)}
"""Of throttled, failed and dropped requests, with growing pauses."""
MAX_DETAIL_CHARACTERS = 300

_FIX_OF_ERROR = {
    "PermissionDeniedError": "let these credentials read, list and write below the prefix",
    "UnauthenticatedError": "give credentials in the environment, as docs/storage.md says",
}
_memory_of_name: dict[str, Any] = {}
_process_in_use: int | None = None


def import_obstore() -> ModuleType:
    """Return the package.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        import obstore
        import obstore.store
    except ImportError as error:
        raise DependencyError(
            "obstore, which reads and writes object stores", found=str(error), fix="pip install 'scenegen[cloud]'"
        ) from error
    return obstore


def open_client(scheme: str, bucket: str) -> Any:
    """Return obstore's client of a bucket, by the environment variables of the store's own tools.

    `memory://NAME` is one and the same store within a process.

    Raises:
        ConfigError: the environment says something that obstore does not understand.
    """
    from obstore.exceptions import BaseError
    from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

    try:
        if scheme == "memory":
            return _memory_of_name.setdefault(bucket, MemoryStore())
        if scheme == "gs":
            return GCSStore(bucket, retry_config=RETRIES)
        if scheme == "az":
            return AzureStore(bucket, retry_config=RETRIES)
        checksum = os.environ.get("AWS_CHECKSUM_ALGORITHM", "sha256")
        return S3Store(bucket, retry_config=RETRIES, config={"checksum_algorithm": checksum})
    except (BaseError, ValueError) as error:
        raise ConfigError(
            f"the environment to describe {scheme}://{bucket}",
            found=_detail_of(error),
            fix="see docs/storage.md for the variables",
        ) from error


def check_fork() -> None:
    """Refuse to use obstore in a forked process, where its threads are missing and a request would wait for ever.

    Raises:
        StorageError: obstore was in use before the fork.
    """
    global _process_in_use
    if _process_in_use is None:
        _process_in_use = os.getpid()
    if _process_in_use != os.getpid():
        raise StorageError(
            "a process of its own for each reader of an object store",
            found="a forked one",
            fix="start loader workers by forkserver or spawn",
        )


@contextlib.contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Turn obstore's errors into one typed error without secrets; absent objects stay `FileNotFoundError`.

    Raises:
        StorageError: the store cannot be reached, refuses, keeps throttling, or has no such bucket.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StorageError("a bucket", found="none of that name", where=where, fix="create it first") from error
        raise FileNotFoundError(2, "no such object", where) from None
    except BaseError as error:
        raise StorageError(
            "an object store that answers",
            found=_detail_of(error),
            where=where,
            fix=_FIX_OF_ERROR.get(type(error).__name__, "check network and credentials, and run the command again"),
        ) from None


def _detail_of(error: Exception) -> str:
    """Return the first line of an error, without the queries of URLs, which may hold signatures."""
    text = str(error).partition("\nDebug source")[0]
    return " ".join(re.sub(r"\?\S*", "?...", text).split())[:MAX_DETAIL_CHARACTERS]
