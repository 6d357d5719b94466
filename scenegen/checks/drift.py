"""Does quality fade with time? The same scores in bins of five seconds."""

from __future__ import annotations

BIN_S = 5.0


def bin_of_step(step: int, *, rate_hz: float) -> int:
    """Return the bin of a step.

    >>> bin_of_step(59, rate_hz=12.0), bin_of_step(60, rate_hz=12.0)
    (0, 1)
    """
    return int(step / rate_hz / BIN_S + 1e-9)


def relative_drift(last_over_first: float, control: float) -> float:
    """Return how much of the change between the first and the last bin is not in the control as well.

    The control is painted without history, so what it loses is due to harder content, not to drift.

    >>> relative_drift(0.9, 0.9)
    1.0
    """
    return last_over_first / control
