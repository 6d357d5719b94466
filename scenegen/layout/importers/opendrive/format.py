"""What an OpenDRIVE file says, as read: numbers checked, nothing evaluated yet.

Frame: the file's own, metres and radians. `s` runs along a road's reference line, `t` to the left of it. Lanes left of
the reference line have positive ids, those right of it negative ones. Source: ASAM OpenDRIVE 1.4 to 1.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, kw_only=True)
class Cubic:
    """`a + b ds + c ds^2 + d ds^3` from `s_m` on, until the next one of its list begins."""

    s_m: float
    a: float
    b: float
    c: float
    d: float


def evaluate(cubics: Sequence[Cubic], s_m: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Evaluate a piecewise cubic; zero before the first piece and where there is none.

    >>> evaluate([Cubic(s_m=0.0, a=1.0, b=0.5, c=0.0, d=0.0)], np.array([0.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    if not cubics:
        return np.zeros(len(s_m))
    begin_m = np.array([cubic.s_m for cubic in cubics])
    idx = np.searchsorted(begin_m, s_m + 1e-9, side="right") - 1
    a, b, c, d = (np.array([getattr(cubic, name) for cubic in cubics])[np.maximum(idx, 0)] for name in "abcd")
    ds = s_m - begin_m[np.maximum(idx, 0)]
    return np.where(idx < 0, 0.0, a + ds * (b + ds * (c + ds * d)))


@dataclass(frozen=True, kw_only=True)
class PlanPiece:
    """One geometry of a plan view.

    Attributes:
        kind: line, arc, spiral, poly3 or paramPoly3.
        numbers: of an arc its curvature, of a spiral those of begin and end, of poly3 a b c d, of paramPoly3 aU to dU
            and aV to dV.
        is_normalized: paramPoly3 only: its parameter runs to 1, not to the length.
    """

    kind: str
    s_m: float
    x_m: float
    y_m: float
    heading_rad: float
    length_m: float
    numbers: tuple[float, ...] = ()
    is_normalized: bool = False


@dataclass(frozen=True, kw_only=True)
class RoadMark:
    """What is painted along a lane's outer border from `s_offset_m` of the section on."""

    s_offset_m: float
    kind: str
    color: str
    width_m: float


@dataclass(frozen=True, kw_only=True)
class OdrLane:
    """One `<lane>`. `widths` or `borders` have offsets from the section's begin; speeds are (offset, m/s or None)."""

    lane_id: int
    kind: str
    widths: tuple[Cubic, ...]
    borders: tuple[Cubic, ...]
    marks: tuple[RoadMark, ...]
    speeds: tuple[tuple[float, float | None], ...]
    predecessors: tuple[int, ...]
    successors: tuple[int, ...]
    is_raised: bool
    is_reversed: bool
    where: str


@dataclass(frozen=True, kw_only=True)
class LaneSection:
    """Lanes from `s_m` to the next section, by id."""

    s_m: float
    lanes: dict[int, OdrLane]


@dataclass(frozen=True, kw_only=True)
class RoadLink:
    """What a road's begin or end is linked to: a road (with the end that it meets) or a junction."""

    is_junction: bool
    element_id: str
    contact: str
    where: str


@dataclass(frozen=True, kw_only=True)
class Corner:
    """A corner of an outline: in the object's frame (`is_local`: u, v) or along the road (s, t)."""

    corner_id: str
    is_local: bool
    first_m: float
    second_m: float
    height_m: float


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A row of an object. `distance_m` 0 is one continuous body."""

    s_m: float
    length_m: float
    distance_m: float
    t_start_m: float
    t_end_m: float
    height_m: float


@dataclass(frozen=True, kw_only=True)
class RoadObject:
    """One `<object>`; zero where the file gives no size. A marking is (width, corner ids)."""

    object_id: str
    kind: str
    name: str
    s_m: float
    t_m: float
    heading_rad: float
    length_m: float
    width_m: float
    height_m: float
    outlines: tuple[tuple[Corner, ...], ...]
    repeats: tuple[Repeat, ...]
    markings: tuple[tuple[float, tuple[str, ...]], ...]
    where: str


@dataclass(frozen=True, kw_only=True)
class RoadSignal:
    """One `<signal>`. `orientation` is `+` (it shows to who drives along `s`), `-` (against it) or `none` (both)."""

    signal_id: str
    kind: str
    name: str
    is_dynamic: bool
    s_m: float
    t_m: float
    z_offset_m: float
    heading_offset_rad: float
    orientation: str
    height_m: float
    width_m: float
    value: float


@dataclass(frozen=True, kw_only=True)
class Road:
    """One `<road>`, its lists in the order of `s`."""

    road_id: str
    junction_id: str
    length_m: float
    is_left_hand: bool
    predecessor: RoadLink | None
    successor: RoadLink | None
    plan: tuple[PlanPiece, ...]
    elevations: tuple[Cubic, ...]
    lane_offsets: tuple[Cubic, ...]
    sections: tuple[LaneSection, ...]
    speeds: tuple[tuple[float, str, float | None], ...]
    objects: tuple[RoadObject, ...]
    signals: tuple[RoadSignal, ...]
    where: str


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A way through a junction: from the incoming road over a connecting road, lane by lane."""

    incoming_road: str
    connecting_road: str
    contact: str
    lane_links: tuple[tuple[int, int], ...]
    where: str


@dataclass(frozen=True, kw_only=True)
class OpenDrive:
    """A whole file."""

    roads: dict[str, Road]
    junctions: dict[str, tuple[Connection, ...]]
    unread: dict[str, int]

    def counts(self) -> dict[str, int]:
        """Count what the file has; `lanes` are all `<lane>` elements, centre lanes included."""
        lanes = [lane for road in self.roads.values() for section in road.sections for lane in section.lanes.values()]
        counts = {
            "roads": len(self.roads),
            "junctions": len(self.junctions),
            "lanes": len(lanes),
            "driving_lanes": sum(lane.kind == "driving" for lane in lanes),
            "objects": sum(len(road.objects) for road in self.roads.values()),
            "signals": sum(len(road.signals) for road in self.roads.values()),
        }
        for road in self.roads.values():
            for piece in road.plan:
                counts[piece.kind] = counts.get(piece.kind, 0) + 1
        return counts

    @property
    def length_m(self) -> float:
        """Length of all roads together, as the file states it."""
        return sum(road.length_m for road in self.roads.values())
