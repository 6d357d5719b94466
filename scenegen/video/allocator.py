"""Keep freed memory in the process while frames are painted.

A layer's features are tens of megabytes. glibc takes each such block from the kernel anew and gives it back when it is
freed, so that every page is cleared and mapped again in every layer: a seventh of painting's processor time.
"""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 256 << 20
"""Blocks up to this many bytes are kept; larger ones are data, not features."""
MOST_KEPT = 512 << 20
"""Free bytes at the end of the heap beyond which some are given back."""


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to reuse large blocks; returns False where there is no glibc, or it refuses.

    Holds for the process, from now on. No result depends on it.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, MOST_KEPT))
