"""The report as Markdown tables, for documents: all figures, and the scores of every five seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scenegen.evaluation.targets import Row, find_value, number, spread, table_rows

BIN_COLUMNS = (
    ("mIoU ratio", "control.miou_ratio"),
    ("the same without history", "no_history.control.miou_ratio"),
    ("agents found", "control.agent_recall_ratio"),
    ("invented", "control.invented_rate"),
    ("warp", "temporal.warp_error_ratio"),
    ("flicker", "temporal.flicker_ratio"),
    ("identity", "temporal.identity_ratio"),
    ("overlap", "views.overlap_error_ratio"),
    ("sharpness", "fidelity.sharpness_ratio"),
)


def write_tables(report: dict[str, Any]) -> str:
    """Return the table of figures and that of the bins."""
    rows = table_rows(report)
    figures = [
        (f"`{row.name}`", number(row.value), spread(row.interval), number(row.truth), _wanted(row)) for row in rows
    ]
    bins = [
        (f"{part['start_s']:g}", *(number(find_value(part, name)) for _, name in BIN_COLUMNS))
        for part in report["drift"]["bins"]
    ]
    return (
        _table(("figure", "value", "95 %", "on truth", "wanted"), figures)
        + "\n"
        + _table(("from (s)", *(title for title, _ in BIN_COLUMNS)), bins)
    )


def _wanted(row: Row) -> str:
    if not row.verdict:
        return ""
    return f"{row.target}: {row.verdict if row.verdict == 'met' else f'**{row.verdict}**'}"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
