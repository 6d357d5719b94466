"""Freed memory goes back to the system: glibc keeps it, in pieces that the next chunk's arrays often do not fit."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back_memory() -> None:
    """Return free pages of the C heap, in some ten milliseconds; where the C library is another one, do nothing."""
    trim = _find_trim()
    if trim is not None:
        trim(0)


@functools.cache
def _find_trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
