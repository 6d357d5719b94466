"""Unpickle records of plain containers and numpy arrays, and nothing else.

A pickle is a program. This reader resolves only the four numpy names that an array or a numpy scalar needs, and a
function of its own where old protocols turn text into bytes, so that a foreign file cannot name, and therefore cannot
call, anything else.
"""

from __future__ import annotations

import pickle
from pathlib import Path

from scenegen.errors import LayoutError

ALLOWED_GLOBALS = frozenset(
    {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
    }
)
"""(module, name) pairs a record may refer to; `numpy._core` is what numpy 2 writes for `numpy.core`."""


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """Stand in for `_codecs.encode`, by which old protocols write bytes: no other codec is known."""
    if encoding != "latin1":
        raise LayoutError("bytes written as latin1", found=f"{encoding!r:.40}")
    return text.encode("latin1")


class _RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that knows only `ALLOWED_GLOBALS`."""

    def find_class(self, module: str, name: str) -> object:
        """Return an allowed global, or refuse."""
        if (module, name) == ("_codecs", "encode"):
            return _latin1_bytes
        if (module, name) not in ALLOWED_GLOBALS:
            raise LayoutError(
                "a record of plain containers and numpy arrays",
                found=f"a pickle that asks for {module}.{name}",
                fix="do not open this file with an ordinary unpickler: it may run code",
            )
        return super().find_class(module, name)


def read_restricted_pickle(path: Path) -> object:
    """Read a pickle that holds only plain Python containers, strings, numbers and numpy arrays.

    Raises:
        LayoutError: the file is missing, damaged, or refers to any other global.
    """
    try:
        with path.open("rb") as file:
            return _RestrictedUnpickler(file).load()
    except LayoutError as error:
        raise LayoutError(error.expected, found=error.found, where=str(path), fix=error.fix) from None
    except OSError as error:
        raise LayoutError("a readable record", found=error.strerror or str(error), where=str(path)) from error
    except Exception as error:  # a damaged pickle program can fail in any way at all
        raise LayoutError(
            "a complete pickle of plain containers and numpy arrays",
            found=f"{type(error).__name__}: {error}",
            where=str(path),
            fix="fetch or export the record again",
        ) from error
