"""The report as one HTML file, with nothing loaded from elsewhere: table, warnings, drift, the worst frames."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

from scenegen.checks.classes import JudgeClass
from scenegen.evaluation.targets import Row, find_value, number, spread, table_rows
from scenegen.evaluation.worst import LABEL_RGB, WorstFrame

DRIFT_LINES = (
    ("control.miou_ratio", "#1f5fbf"),
    ("control.agent_recall_ratio", "#c0392b"),
    ("temporal.warp_error_ratio", "#2e8b57"),
    ("temporal.flicker_ratio", "#b8860b"),
    ("views.overlap_error_ratio", "#7d3c98"),
    ("fidelity.sharpness_ratio", "#444444"),
)
PLOT_PX = (760, 260)
MARGIN_PX = 40
PLOT_TOP = 1.6
"""Ratios above this are drawn at the upper edge."""

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1080px; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; } td, th { padding: .2em .8em .2em 0; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.missed td { color: #b00020; } tr.met td:last-child { color: #1b7f3b; }
.warning { background: #fff3cd; padding: .5em .8em; margin: .3em 0; }
.frames img { width: 32%; image-rendering: pixelated; } .frames p { margin: 1em 0 .2em; }
.key span { display: inline-block; padding: 0 .5em; margin: .1em; } small { color: #666; }
"""


def write_page(report: dict[str, Any], worst: Sequence[WorstFrame]) -> str:
    """Return the HTML of a report."""
    judge = report["judge"]
    warnings = "".join(f'<p class="warning">{escape(text)}</p>' for text in report["warnings"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>scenegen eval</title><style>{STYLE}</style>'
        f"<h1>{escape(report['dataset'])}</h1>"
        f"<p>{len(report['scenes'])} scenes, seeds {escape(str(report['seeds']))}, painted by "
        f"{escape(', '.join(report['models']))}; {report['num_moments']} moments judged, "
        f"every {report['every']} steps. Ground truth: {escape(report['reference'])}. "
        f"Judge: {escape(judge['name'])}, mIoU {number(judge['miou'])} and pedestrian recall "
        f"{number(judge['pedestrian_recall'])} on ground truth "
        f"({'counts' if judge['counts'] else 'does not count'}).<br><small>sha256 of its weights: "
        f"{escape(judge['weights_sha256'])}</small></p>{warnings}"
        f"<h2>Figures</h2>{_table(table_rows(report))}"
        f"<h2>Over time</h2>{_drift_plot(report['drift']['bins'])}"
        f"<h2>Worst frames</h2><p>Lowest mean intersection over union against that of the true frame; at most one per "
        f"camera and five seconds. Left to right: generated, true, what the judge sees in the generated frame.</p>"
        f"{_label_key()}{''.join(map(_frame, worst))}</html>\n"
    )


def _table(rows: Sequence[Row]) -> str:
    lines = [
        "<table><tr><th>figure<th>value<th>95 %<th>on truth<th>wanted<th></tr>",
        *(
            f'<tr class="{row.verdict}"><td>{escape(row.name)}<td class="number">{number(row.value)}'
            f'<td>{spread(row.interval)}<td class="number">{number(row.truth)}<td>{escape(str(row.target or ""))}'
            f"<td>{escape(row.note or row.verdict)}</tr>"
            for row in rows
        ),
        "</table>",
    ]
    return "".join(lines)


def _drift_plot(bins: Sequence[dict[str, Any]]) -> str:
    width, height = PLOT_PX
    stop_s = max(part["stop_s"] for part in bins)

    def place(time_s: float, value: float) -> str:
        x = MARGIN_PX + time_s / stop_s * (width - 2 * MARGIN_PX)
        y = height - MARGIN_PX - min(value, PLOT_TOP) / PLOT_TOP * (height - 2 * MARGIN_PX)
        return f"{x:.1f},{y:.1f}"

    parts = [f'<svg viewBox="0 0 {width} {height}" width="{width}" xmlns="http://www.w3.org/2000/svg">']
    for value in (0.0, 0.5, 1.0, 1.5):
        left, right = place(0.0, value), place(stop_s, value)
        parts.append(f'<polyline points="{left} {right}" stroke="#ccc" fill="none"/>')
        parts.append(f'<text x="8" y="{left.split(",")[1]}" font-size="12">{value:g}</text>')
    for part in bins:
        x = place(part["start_s"], 0.0).split(",")[0]
        parts.append(f'<text x="{x}" y="{height - 16}" font-size="12">{part["start_s"]:g} s</text>')
    key = []
    for name, color in DRIFT_LINES:
        values = [((part["start_s"] + part["stop_s"]) / 2, find_value(part, name)) for part in bins]
        points = [place(time_s, value) for time_s, value in values if value is not None]
        parts.append(f'<polyline points="{" ".join(points)}" stroke="{color}" stroke-width="2" fill="none"/>')
        parts += [f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="3" fill="{color}"/>' for p in points]
        key.append(f'<span style="color:{color}">&#9679; {escape(name)}</span>')
    return "".join(parts) + f'</svg><p class="key">{"".join(key)}</p><p>Ratios to truth: 1 is as good as truth.</p>'


def _label_key() -> str:
    swatches = []
    for kind in JudgeClass:
        red, green, blue = LABEL_RGB[kind]
        text = "#000" if red + green + blue > 380 else "#fff"
        style = f"background:rgb({red},{green},{blue});color:{text}"
        swatches.append(f'<span style="{style}">{kind.name.lower().replace("_", " ")}</span>')
    return f'<p class="key">{"".join(swatches)}</p>'


def _frame(frame: WorstFrame) -> str:
    images = " ".join(
        f'<img alt="{name}" src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}">'
        for name, picture in zip(("generated", "true", "judged"), frame.pictures, strict=True)
    )
    return (
        f'<div class="frames"><p>{frame.score:.2f}: {escape(frame.scene_id)}, {escape(frame.camera)}, '
        f"step {frame.step}</p>{images}</div>"
    )
