"""One way to compile a numeric loop, typed so that the checker still sees the plain function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Compile `loop` to machine code on first use, single-threaded, and cache it on disk."""
    return cast(Loop, numba.njit(cache=True)(loop))
