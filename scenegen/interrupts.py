"""Ctrl-C and SIGTERM: they wait until a write is finished, and a notice of shutdown leaves time to finish scenes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Deliver interrupts that arrive inside the block at its end.

    Only the main thread receives signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        held.append(number)

    previous = {number: signal.signal(number, remember) for number in HELD_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for signum in held:
            signal.raise_signal(signum)


class Drain:
    """Whether a job was told to come to an end: nothing new is started from then on."""

    def __init__(self) -> None:
        self.is_asked = False


@contextmanager
def drain_on_sigterm(grace_s: float) -> Iterator[Drain]:
    """Turn the first SIGTERM inside the block into a `Drain` that lasts `grace_s`, then into an interrupt.

    A cloud sends SIGTERM when it takes a spot machine back, some 30 to 120 s before. A second SIGTERM and Ctrl-C
    interrupt at once, and so does the first one where there is no grace. Outside the main thread nothing is asked.
    """
    drain = Drain()
    if threading.current_thread() is not threading.main_thread():
        yield drain
        return

    main_thread_id = threading.get_ident()
    timer = threading.Timer(grace_s, signal.pthread_kill, (main_thread_id, signal.SIGTERM))
    timer.daemon = True

    def begin(number: int, frame: FrameType | None) -> None:
        if drain.is_asked or grace_s <= 0.0:
            raise KeyboardInterrupt
        drain.is_asked = True
        timer.start()

    previous = signal.signal(signal.SIGTERM, begin)
    try:
        yield drain
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, previous)
