"""Keys: relative paths with slashes that cannot leave the root they are relative to."""

from __future__ import annotations

from scenegen.errors import DatasetError


def check_key(key: str) -> str:
    r"""Return a key that stays below its root.

    >>> check_key("scenes/c8/a.zarr/zarr.json")
    'scenes/c8/a.zarr/zarr.json'

    Raises:
        DatasetError: it is empty or absolute, or has an empty part, `.`, `..`, a backslash or a control character.
    """
    if not key or "\\" in key or not key.isprintable() or any(part in ("", ".", "..") for part in key.split("/")):
        raise DatasetError("a relative key without '..' and backslashes", found=repr(key), where="storage key")
    return key


def join_key(prefix: str, key: str) -> str:
    """Return a checked key below a prefix, which may be empty."""
    return f"{prefix}/{check_key(key)}" if prefix else check_key(key)
