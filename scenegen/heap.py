"""When glibc gives freed memory back to the system: not between two layers, and all of it between two chunks.

A layer's features are tens of megabytes. glibc by itself takes each such block from the kernel anew and gives it back
when it is freed, so that every page is cleared and mapped again in every layer: a seventh of painting's processor time.
What is kept lies in pieces that the next chunk's arrays often do not fit, so it goes back when a chunk is done.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 256 << 20
"""Blocks up to this many bytes are kept; larger ones are data, not features."""
MOST_KEPT = 512 << 20
"""Free bytes at the end of the heap beyond which some are given back."""


def give_back_memory() -> None:
    """Return free pages of the C heap, in some ten milliseconds; where the C library is another one, do nothing."""
    trim = _find("malloc_trim")
    if trim is not None:
        trim(0)


def keep_freed_memory() -> bool:
    """Let the allocator reuse large blocks; returns False where there is no glibc, or it refuses.

    Holds for the process, from now on. No result depends on it.
    """
    mallopt = _find("mallopt") if sys.platform.startswith("linux") else None
    return mallopt is not None and bool(
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
    )


@functools.cache
def _find(name: str) -> Any:
    """Return a function of the C library; None where it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None)
