"""Painted lines of an OpenDRIVE file.

A layout has solid, dashed and double solid lines, white or yellow. Where a mark has two strokes of which one is solid,
it is solid; two broken ones are dashed; Botts' dots are dashed; colours other than yellow and orange are white. Lengths
of dashes are the layout's own. Kerbs, grass and edges that are no paint are left to the areas.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.line_joining import join_lines
from scenegen.layout.importers.opendrive.format import RoadMark
from scenegen.layout.importers.opendrive.strips import SectionLines, Strip, samples_between
from scenegen.types.layout import LaneLine

LINE_KIND_OF_MARK = {
    "solid": "solid",
    "broken": "dashed",
    "solid solid": "double_solid",
    "solid broken": "solid",
    "broken solid": "solid",
    "broken broken": "dashed",
    "botts dots": "dashed",
    "custom": "solid",
}
NOT_PAINTED = frozenset({"none", "curb", "grass", "edge"})
YELLOWISH = frozenset({"yellow", "orange"})
PLAIN_COLORS = frozenset({"standard", "white", "yellow"})


def lane_lines_of(lines: Iterable[SectionLines], strips: Iterable[Strip]) -> tuple[list[LaneLine], dict[str, int]]:
    """Return the painted lines in the file's frame, z = 0, and how many marks lost something, by what they lost."""
    borders: list[tuple[tuple[RoadMark, ...], float, Float64[np.ndarray, " N"], Float64[np.ndarray, "N 2"]]] = []
    for section in lines:
        center = section.section.lanes.get(0)
        if center is not None and center.marks:
            borders.append(
                (center.marks, section.section.s_m, section.s_m, section.reference.beside(section.center_t_m))
            )
    borders += [(strip.lane.marks, strip.begin_m, strip.s_m, strip.outer_m) for strip in strips if strip.lane.marks]
    painted: list[LaneLine] = []
    lost: dict[str, int] = {}
    for marks, section_m, s_m, points_m in borders:
        for idx, mark in enumerate(marks):
            if mark.kind in NOT_PAINTED:
                continue
            kind = LINE_KIND_OF_MARK.get(mark.kind)
            if kind is None:
                lost[f"road marks of type {mark.kind!r}"] = lost.get(f"road marks of type {mark.kind!r}", 0) + 1
                continue
            if mark.kind not in ("solid", "broken", "solid solid"):
                what = f"road marks {mark.kind!r} that became {kind}"
                lost[what] = lost.get(what, 0) + 1
            if mark.color not in PLAIN_COLORS:
                what = f"road marks in {mark.color}"
                lost[what] = lost.get(what, 0) + 1
            begin_m = section_m + mark.s_offset_m
            end_m = section_m + marks[idx + 1].s_offset_m if idx + 1 < len(marks) else float(s_m[-1])
            inside = samples_between(s_m, begin_m, end_m)
            if inside.sum() >= 2:
                color = "yellow" if mark.color in YELLOWISH else "white"
                piece_m = points_m[inside]
                painted.append(LaneLine(points_world_m=_flat(piece_m), kind=kind, color=color, width_m=mark.width_m))
    return join_lines(painted), lost


def _flat(points_m: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "N 3"]:
    return np.column_stack([points_m, np.zeros(len(points_m))])
