"""What the figures should be, and the rows of the printed table and of the HTML report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Target:
    """A range that a figure should lie in."""

    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        if self.at_least is None:
            return f"<= {self.at_most:g}"
        return f">= {self.at_least:g}" if self.at_most is None else f"{self.at_least:g} to {self.at_most:g}"

    def is_met(self, value: float) -> bool:
        """Whether a figure lies in the range."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


TARGETS: dict[str, Target | None] = {
    "control.miou_ratio": Target(at_least=0.95),
    "control.agent_recall_ratio": Target(at_least=0.95),
    "control.pedestrian_recall_ratio": None,
    "control.vehicle_recall_ratio": None,
    "control.invented_rate": Target(at_most=0.02),
    "control.position_error_m.pedestrians.p50": None,
    "control.position_error_m.pedestrians.p95": None,
    "control.position_error_m.pedestrians.p50_excess": Target(at_most=0.3),
    "control.position_error_m.vehicles.p50": None,
    "control.position_error_m.vehicles.p95": None,
    "control.velocity_error_mps.pedestrians.p50": None,
    "control.velocity_error_mps.pedestrians.p95": None,
    "control.velocity_error_mps.pedestrians.p50_excess": Target(at_most=0.2),
    "control.velocity_error_mps.vehicles.p50": None,
    "control.velocity_error_mps.vehicles.p95": None,
    "control.lane_error_px": None,
    "temporal.warp_error_ratio": Target(at_most=1.2),
    "temporal.flicker_ratio": Target(at_most=1.2),
    "temporal.identity_ratio": Target(at_least=0.95),
    "views.overlap_error_ratio": Target(at_most=1.2),
    "drift.last_over_first": None,
    "drift.last_over_first_relative": Target(at_least=0.95),
    "fidelity.sharpness_ratio": Target(at_least=0.8, at_most=1.2),
    "fidelity.fid": None,
    "fidelity.fid_crossed": None,
    "fidelity.fvd": None,
    "fidelity.fvd_crossed": None,
    "diversity": None,
    "leak.zeroed_ratio": Target(at_most=0.2),
    "leak.shuffled_ratio": Target(at_most=0.2),
}
"""The figures of the table, in order, with what is wanted of them."""

TRUTH_OF = {
    "control.miou_ratio": "control.miou_truth",
    "control.agent_recall_ratio": "control.agent_recall_truth",
    "control.pedestrian_recall_ratio": "control.pedestrian_recall_truth",
    "control.vehicle_recall_ratio": "control.vehicle_recall_truth",
    "temporal.warp_error_ratio": "temporal.warp_error_truth",
    "temporal.flicker_ratio": "temporal.flicker_truth",
    "views.overlap_error_ratio": "views.overlap_error_truth",
    "drift.last_over_first_relative": "drift.last_over_first_no_history",
    "leak.shuffled_ratio": "leak.shuffled_chance",
    "fidelity.sharpness_ratio": "fidelity.sharpness_truth",
    "fidelity.fid": "fidelity.fid_floor",
    "fidelity.fid_crossed": "fidelity.fid_floor",
    "fidelity.fvd": "fidelity.fvd_floor",
    "fidelity.fvd_crossed": "fidelity.fvd_floor",
}
"""Where the figure on ground truth stands that belongs beside a figure; `<name>_truth` where it is not named here."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    value: float | None
    truth: float | None
    interval: tuple[float, float] | None
    target: Target | None
    note: str

    @property
    def verdict(self) -> str:
        """`met` or `missed`; empty where nothing is wanted or known."""
        if self.target is None or self.value is None:
            return ""
        return "met" if self.target.is_met(self.value) else "missed"


def table_rows(report: dict[str, Any]) -> list[Row]:
    """Collect the table of a report."""
    return [
        Row(
            name=name,
            value=find_value(report, name),
            truth=find_value(report, TRUTH_OF.get(name, f"{name}_truth")),
            interval=report["intervals"].get(name),
            target=target,
            note=report["notes"].get(name, ""),
        )
        for name, target in TARGETS.items()
    ]


def find_value(report: dict[str, Any], name: str) -> float | None:
    """Return the number under a dotted name; None where there is none."""
    level: Any = report
    for key in name.split("."):
        if not isinstance(level, dict) or key not in level:
            return None
        level = level[key]
    return level if isinstance(level, (int, float)) else None


def describe_rows(rows: list[Row]) -> str:
    """Lay the table out as text."""
    header = ("figure", "value", "95 %", "on truth", "wanted", "")
    cells = [
        (row.name, number(row.value), spread(row.interval), number(row.truth), str(row.target or ""), row.verdict)
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [header, *cells]) for column in range(len(header))]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in [header, *cells]
    )
    return "\n".join(line.rstrip() for line in lines) + "\n"


def number(value: float | None) -> str:
    """Write a number shortly; a dash for none.

    >>> number(0.98765), number(None)
    ('0.988', '-')
    """
    return "-" if value is None else f"{value:.3g}"


def spread(interval: tuple[float, float] | None) -> str:
    """Write an interval shortly."""
    return "" if interval is None else f"{number(interval[0])} .. {number(interval[1])}"
