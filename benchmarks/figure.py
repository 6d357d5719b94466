"""One line of a benchmark's report and JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The median of a ratio over rounds, its range, and the bound that it is held against (None: shown only)."""

    ratio: float
    min: float
    max: float
    floor: float | None
    holds: bool
