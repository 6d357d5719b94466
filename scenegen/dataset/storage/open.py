"""From what a user types to a storage: a folder, or the URL of an object store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from scenegen.dataset.storage.interface import Storage
from scenegen.dataset.storage.keys import check_key
from scenegen.dataset.storage.local import LocalStorage
from scenegen.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from scenegen.dataset.storage.object_store import ObjectStorage

Location: TypeAlias = Path | str
"""A folder, or a URL such as s3://bucket/prefix."""

SCHEMES = ("s3", "gs", "az", "memory")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FLATTENED_URL = re.compile(rf"({'|'.join(SCHEMES)}):/[^/]")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def is_url(location: Location) -> bool:
    """Say whether a text names an object store rather than a folder.

    >>> is_url("s3://bucket/ds"), is_url("out/ds")
    (True, False)
    """
    return isinstance(location, str) and _URL.match(location) is not None


def absolute_location(location: Location) -> str:
    """Return a location that means the same in a process with another working folder."""
    return str(location) if is_url(location) else str(Path(location).resolve())


def open_storage(location: Location) -> Storage:
    """Open the place of a data set. Nothing is read, and nothing created.

    Raises:
        ConfigError: the URL has an unknown scheme, no bucket, or parts that do not belong there.
        DependencyError: the URL needs obstore, which is not installed.
    """
    if is_url(location):
        return _open_url(str(location))
    if _FLATTENED_URL.match(str(location)):
        raise ConfigError(
            "the URL of an object store as a text",
            found=f"the path {location}",
            fix="leave out Path(), which drops a /",
        )
    return LocalStorage(Path(location))


def _open_url(url: str) -> ObjectStorage:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ConfigError(
            f"a folder, or a URL that begins with {', '.join(f'{scheme}://' for scheme in SCHEMES)}",
            found=f"{parts.scheme}://",
            where="data set",
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"{parts.scheme}://bucket/prefix and nothing else",
            found="credentials, a query or a fragment in it",
            where="data set",
            fix="give credentials in the environment (docs/storage.md)",
        )
    prefix = parts.path.strip("/")
    if not _BUCKET.fullmatch(parts.netloc):
        raise ConfigError(f"{parts.scheme}://bucket/prefix", found=repr(url), where="data set")
    try:
        prefix = prefix and check_key(prefix)
    except DatasetError as error:
        raise ConfigError(f"a prefix without '..' and '//' in {url}", found=error.found, where="data set") from error
    from scenegen.dataset.storage.object_store import ObjectStorage

    return ObjectStorage(scheme=parts.scheme, bucket=parts.netloc, prefix=prefix)
