from __future__ import annotations

import signal
import time

import pytest

from scenegen.interrupts import drain_on_sigterm, hold_interrupts


def test_the_first_sigterm_asks_and_the_second_interrupts() -> None:
    with pytest.raises(KeyboardInterrupt), drain_on_sigterm(60.0) as drain:
        signal.raise_signal(signal.SIGTERM)
        assert drain.is_asked
        signal.raise_signal(signal.SIGTERM)


def test_the_grace_ends_in_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), drain_on_sigterm(0.05) as drain:
        signal.raise_signal(signal.SIGTERM)
        while True:
            assert drain.is_asked
            time.sleep(0.01)


def test_without_grace_the_first_sigterm_interrupts() -> None:
    with pytest.raises(KeyboardInterrupt), drain_on_sigterm(0.0):
        signal.raise_signal(signal.SIGTERM)


def test_a_notice_inside_a_write_is_taken_at_its_end() -> None:
    with drain_on_sigterm(60.0) as drain:
        with hold_interrupts():
            signal.raise_signal(signal.SIGTERM)
            assert not drain.is_asked
        assert drain.is_asked


def test_the_handler_is_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with drain_on_sigterm(1.0):
        pass
    assert signal.getsignal(signal.SIGTERM) is before
