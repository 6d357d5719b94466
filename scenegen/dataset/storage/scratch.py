"""A local folder that belongs to one user alone, for scenes on their way to an object store."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from scenegen.errors import OutputError


def private_scratch() -> Path:
    """Return the folder, made where missing.

    Raises:
        OutputError: something of another user has its name, or others may write to it.
    """
    folder = Path(tempfile.gettempdir()) / f"scenegen-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise OutputError(
            "a temporary folder that can be written",
            found=error.strerror or str(error),
            where=str(folder),
            fix="name another with the environment variable TMPDIR",
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise OutputError(
            "a folder of this user alone",
            found="one that others can write, or a link",
            where=str(folder),
            fix="remove it, or name another temporary folder with the environment variable TMPDIR",
        )
    return folder
