"""How long a GPU was held by a piece of work: zero where nothing runs on one."""

from __future__ import annotations

import sys
from collections.abc import Callable


def start_gpu_clock() -> Callable[[], float]:
    """Start a clock on the current CUDA stream; the returned function stops it and returns seconds.

    Work that was queued in between is waited for and counted. Where no CUDA context exists at the start the answer is
    0.0, and torch is not imported.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return lambda: 0.0
    start = torch.cuda.Event(enable_timing=True)
    stop = torch.cuda.Event(enable_timing=True)
    start.record()

    def seconds() -> float:
        stop.record()
        stop.synchronize()
        return float(start.elapsed_time(stop)) / 1000.0

    return seconds
