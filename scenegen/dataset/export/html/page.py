"""Pieces of a page: templates, tables, data for scripts. Everything from outside is escaped."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from importlib.resources import files
from typing import Any

PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """Labels of one category.

    Attributes:
        tracks: agents.
        boxes: 3-D boxes over all steps.
        seen: of these, with a visible pixel in some camera.
        boxes2d: 2-D boxes over all steps and cameras.
        lidar_points: points inside boxes, over all steps.
    """

    tracks: int = 0
    boxes: int = 0
    seen: int = 0
    boxes2d: int = 0
    lidar_points: int = 0

    def __add__(self, other: LabelCounts) -> LabelCounts:
        return LabelCounts(
            tracks=self.tracks + other.tracks,
            boxes=self.boxes + other.boxes,
            seen=self.seen + other.seen,
            boxes2d=self.boxes2d + other.boxes2d,
            lidar_points=self.lidar_points + other.lidar_points,
        )

    @staticmethod
    def as_table(counts: Mapping[str, LabelCounts]) -> str:
        """Return the table of the categories that occur."""
        header = ("category", "tracks", "boxes", "seen", "2-D boxes", "LiDAR points")
        rows = [(name, *astuple(count)) for name, count in counts.items() if count.tracks]
        return table(header, rows) if rows else "<p>no agents</p>"


def resource(name: str) -> str:
    """Read a file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def fill(template: str, **parts: str) -> str:
    """Put parts into a template's `{{name}}`. Parts are HTML already, and what they contain is not looked at.

    >>> fill("<p>{{a}}</p>", a="{{b}}")
    '<p>{{b}}</p>'
    """
    return PLACE.sub(lambda match: parts[match.group(1)], template)


def table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """Return an HTML table; columns of numbers, as the first row shows them, go to the right."""
    listed = list(rows)
    is_number = [_is_number(value) for value in listed[0]] if listed else [False] * len(header)
    kinds = ["number" if on_right else "text" for on_right in is_number]
    head = "".join(f'<th class="{kind}">{html.escape(title)}</th>' for title, kind in zip(header, kinds, strict=True))
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in listed)
    head_row = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    return f"<table>{head_row}<tbody>{body}</tbody></table>"


def json_for_script(data: Any) -> str:
    r"""Return JSON that cannot end the script element it stands in.

    >>> print(json_for_script({"a": "</script>"}))
    {"a":"\u003c/script>"}
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _cell(value: Any) -> str:
    if not _is_number(value):
        return f"<td>{html.escape(str(value))}</td>"
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f'<td class="number">{value:.4g}</td>'


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
