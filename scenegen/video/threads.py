"""How many threads the arithmetic of one scene uses (bytes may depend on it, so it is set), and how they wait."""

from __future__ import annotations

import os
import sys


def let_waiting_threads_sleep() -> None:
    """Have OpenMP's threads sleep while they wait for work, unless OMP_WAIT_POLICY says otherwise.

    By default they spin, and where more threads than processors want to run (labels beside painting, several scenes,
    other jobs on the machine), a thread that spins takes the processor from the one that it waits for. Call it
    before torch is imported; later it does nothing. No result depends on it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pin_threads(num_threads: int) -> None:
    """Let torch split one operation over exactly `num_threads` threads, from the calling thread on.

    Call it when the backbone is loaded: one that has not imported torch leaves nothing to pin.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(num_threads)
