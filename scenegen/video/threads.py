"""How many threads the arithmetic of one scene uses. Bytes may depend on it, so it is set, never guessed."""

from __future__ import annotations

import sys


def pin_threads(num_threads: int) -> None:
    """Let torch split one operation over exactly `num_threads` threads, from the calling thread on.

    Call it when the backbone is loaded: one that has not imported torch leaves nothing to pin.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(num_threads)
