"""Lanes as strips: the two edges of every lane of every section, sampled along the reference line."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.opendrive.format import LaneSection, OdrLane, OpenDrive, Road, evaluate
from scenegen.layout.importers.opendrive.plan_view import LinePoses, poses_along

SPACING_M = 1.0
MOST_SAMPLES = 200_000
"""Longer networks are sampled more coarsely."""
NEGATIVE_WIDTH_M = 0.05
"""Cubics that miss zero by less than this are rounding."""
WIDEST_M = 200.0

StripKey = tuple[str, int, int]
"""Road, index of the lane section, lane id."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """One lane of one section. Edges run along `s`; `inner_m` is the one nearer to the centre lane.

    Attributes:
        begin_m: where its section begins; `s_m` begins later where a large map was cut.
        runs_with_s: its traffic drives along `s`, else against it.
    """

    key: StripKey
    lane: OdrLane
    begin_m: float
    s_m: Float64[np.ndarray, " N"]
    inner_m: Float64[np.ndarray, "N 2"]
    outer_m: Float64[np.ndarray, "N 2"]
    width_m: Float64[np.ndarray, " N"]
    runs_with_s: bool
    in_junction: bool
    speed_limit_mps: float | None

    @property
    def centerline_m(self) -> Float64[np.ndarray, "N 2"]:
        """Middle of the lane in its driving direction."""
        middle_m = 0.5 * (self.inner_m + self.outer_m)
        return middle_m if self.runs_with_s else middle_m[::-1]

    @property
    def length_m(self) -> float:
        """Length of the section along the reference line."""
        return float(self.s_m[-1] - self.s_m[0])

    @property
    def name(self) -> str:
        """Road, section and lane: `12.0.-1`."""
        road_id, section, lane_id = self.key
        return f"{road_id}.{section}.{lane_id}"


@dataclass(frozen=True, kw_only=True, eq=False)
class SectionLines:
    """The samples of one section: reference line, and the line that the centre lane follows."""

    road: Road
    section: LaneSection
    s_m: Float64[np.ndarray, " N"]
    reference: LinePoses
    center_t_m: Float64[np.ndarray, " N"]


def build_strips(drive: OpenDrive) -> tuple[dict[StripKey, Strip], list[SectionLines]]:
    """Sample every lane of a file.

    Raises:
        LayoutError: a lane's width is negative or beyond `WIDEST_M`; the message names the lane.
    """
    strips: dict[StripKey, Strip] = {}
    lines = []
    spacing_m = max(SPACING_M, drive.length_m / MOST_SAMPLES)
    for road in drive.roads.values():
        for idx, section in enumerate(road.sections):
            end_m = road.sections[idx + 1].s_m if idx + 1 < len(road.sections) else road.length_m
            if end_m - section.s_m < 1e-4:
                continue
            sampled = _sample(road, section, end_m, spacing_m)
            lines.append(sampled)
            for strip in _strips_of(sampled, idx):
                strips[strip.key] = strip
    return strips, lines


def _sample(road: Road, section: LaneSection, end_m: float, spacing_m: float) -> SectionLines:
    """Choose the samples of a section: evenly, and wherever a polynomial or a mark begins."""
    begin_m = section.s_m
    breaks = [piece.s_m for piece in road.plan] + [cubic.s_m for cubic in road.lane_offsets]
    for lane in section.lanes.values():
        breaks += [begin_m + cubic.s_m for cubic in (*lane.widths, *lane.borders)]
        breaks += [begin_m + mark.s_offset_m for mark in lane.marks]
    even_m = np.linspace(begin_m, end_m, max(2, int(np.ceil((end_m - begin_m) / spacing_m)) + 1))
    inside = np.array([at for at in breaks if begin_m < at < end_m])
    s_m = np.unique(np.concatenate([even_m, inside]))
    s_m = s_m[np.concatenate([[True], np.diff(s_m) > 1e-6])]
    # At its end a section still has the offset it came with.
    center_t_m = evaluate(road.lane_offsets, np.minimum(s_m, end_m - 1e-6))
    return SectionLines(road=road, section=section, s_m=s_m, reference=poses_along(road, s_m), center_t_m=center_t_m)


def _strips_of(lines: SectionLines, section_idx: int) -> list[Strip]:
    road, found = lines.road, []
    for sign in (1, -1):
        inner_t_m = lines.center_t_m
        for lane_id in sorted((n for n in lines.section.lanes if sign * n > 0), key=abs):
            lane = lines.section.lanes[lane_id]
            outer_t_m = _outer_t(lane, lines, inner_t_m, sign)
            found.append(
                Strip(
                    key=(road.road_id, section_idx, lane_id),
                    lane=lane,
                    begin_m=lines.section.s_m,
                    s_m=lines.s_m,
                    inner_m=lines.reference.beside(inner_t_m),
                    outer_m=lines.reference.beside(outer_t_m),
                    width_m=np.abs(outer_t_m - inner_t_m),
                    runs_with_s=((lane_id < 0) != road.is_left_hand) != lane.is_reversed,
                    in_junction=road.junction_id != "-1",
                    speed_limit_mps=_limit_of(lane, road, float(lines.s_m[0])),
                )
            )
            inner_t_m = outer_t_m
    return found


def _outer_t(
    lane: OdrLane, lines: SectionLines, inner_t_m: Float64[np.ndarray, " N"], sign: int
) -> Float64[np.ndarray, " N"]:
    ds_m = lines.s_m - lines.section.s_m
    if lane.widths:
        width_m = evaluate(lane.widths, ds_m)
    else:
        width_m = sign * (lines.center_t_m + evaluate(lane.borders, ds_m) - inner_t_m)
    if width_m.min() < -NEGATIVE_WIDTH_M or width_m.max() > WIDEST_M:
        worst = int(np.argmin(width_m) if width_m.min() < -NEGATIVE_WIDTH_M else np.argmax(width_m))
        raise LayoutError(
            f"lane widths from 0 to {WIDEST_M:g} m",
            found=f"{width_m[worst]:.3g} m at s = {lines.s_m[worst]:.2f} m",
            where=lane.where,
        )
    return np.asarray(inner_t_m + sign * np.maximum(width_m, 0.0))


def _limit_of(lane: OdrLane, road: Road, s_m: float) -> float | None:
    """Return the limit where a section begins: the lane's own, else that of the road's type."""
    if lane.speeds:
        return lane.speeds[0][1]
    valid = [limit for begin_m, _, limit in road.speeds if begin_m <= s_m + 1e-6]
    return valid[-1] if valid else None


def cut_strip(strip: Strip, inside: Bool[np.ndarray, " N"]) -> Strip:
    """Shorten a lane to the span from its first to its last sample inside, one more at either end."""
    found = np.flatnonzero(inside)
    span = slice(max(int(found[0]) - 1, 0), int(found[-1]) + 2)
    return replace(
        strip,
        s_m=strip.s_m[span],
        inner_m=strip.inner_m[span],
        outer_m=strip.outer_m[span],
        width_m=strip.width_m[span],
    )


def cut_lines(lines: SectionLines, inside: Bool[np.ndarray, " N"]) -> SectionLines:
    """Shorten a section's lines like `cut_strip`."""
    found = np.flatnonzero(inside)
    span = slice(max(int(found[0]) - 1, 0), int(found[-1]) + 2)
    reference = LinePoses(lines.reference.position_m[span], lines.reference.heading_rad[span])
    return replace(lines, s_m=lines.s_m[span], reference=reference, center_t_m=lines.center_t_m[span])


def samples_between(s_m: Float64[np.ndarray, " N"], begin_m: float, end_m: float) -> Bool[np.ndarray, " N"]:
    """Say which samples lie between two positions, both included."""
    return (s_m >= begin_m - 1e-6) & (s_m <= end_m + 1e-6)
