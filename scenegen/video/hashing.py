"""An integer hash for compiled kernels: the same cell of the world gets the same number for ever.

It stands apart from the preview shader, so that what the learned backbone reads imports nothing of the shader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile for one thread, without the GIL. No `nnan`/`ninf`: depth is infinite where there is sky."""
    options = {
        "nogil": True,
        "cache": True,
        "error_model": "numpy",
        "fastmath": {"contract", "afn", "reassoc", "arcp", "nsz"},
    }
    return cast(F, numba.njit(**options)(function))


_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xC2B2AE3D27D4EB4F)
_C = np.uint64(0x165667B19E3779F9)
_D = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(31)
_TOP = np.uint64(40)
_UNIT = 1.0 / 16777216.0


@compiled
def hash_unit(i: int, j: int, k: int) -> float:
    """Hash three integers to [0, 1). Source: multiply-xorshift mixing as in MurmurHash3's finalizer."""
    h = np.uint64(i) * _A + np.uint64(j) * _B + np.uint64(k) * _C
    h ^= h >> _SHIFT
    h *= _D
    h ^= h >> _SHIFT
    h *= _A
    return np.float64(h >> _TOP) * _UNIT
