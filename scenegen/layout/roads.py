"""Roads by centre line and cross section: lanes, painted lines and the outlines of what is paved.

Traffic keeps right. Lanes are numbered from the line that divides the directions: `<road>.f1` runs with the
centre line, `<road>.b1` against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from scenegen.layout.paths import Path, make_path, offset_polyline, strip_polygon
from scenegen.types.layout import Area, Lane, LaneLine, Prop, RoadMap

CROSSING_DEPTH_M = 3.5
STOP_LINE_M = 0.35
Ring = Float64[np.ndarray, "N 2"]


@dataclass(frozen=True, kw_only=True)
class CrossSection:
    """What a road is made of, from side to side; left and right as seen along the centre line.

    Attributes:
        centre_marking: `double`, `solid`, `dashed` (all yellow) or `none`; only where both directions exist.
        edge_marking: whether white edge lines are painted.
    """

    lanes_forward: int = 1
    lanes_backward: int = 1
    lane_width_m: float = 3.5
    sidewalk_m: float = 2.5
    parking_left_m: float = 0.0
    parking_right_m: float = 0.0
    centre_marking: str = "double"
    edge_marking: bool = True
    speed_limit_mps: float | None = None

    @property
    def half_width_m(self) -> float:
        """Half of the carriageway, parking not counted."""
        return 0.5 * (self.lanes_forward + self.lanes_backward) * self.lane_width_m

    @property
    def divider_left_m(self) -> float:
        """Sideways offset of the line between the directions."""
        return self.lanes_forward * self.lane_width_m - self.half_width_m

    @property
    def kerb_left_m(self) -> float:
        """Sideways offset of the left kerb, parking included."""
        return self.half_width_m + self.parking_left_m

    @property
    def kerb_right_m(self) -> float:
        """Sideways offset of the right kerb (negative), parking included."""
        return -self.half_width_m - self.parking_right_m


@dataclass(frozen=True, kw_only=True)
class RoadFrame:
    """A road as something to place things along: its centre path and cross section."""

    road_id: str
    path: Path
    section: CrossSection


@dataclass(frozen=True, kw_only=True)
class RoadPiece:
    """What one road or junction adds to the map. Outlines of several pieces are united before painting.

    Attributes:
        drivable, parking: outlines on the road surface.
        paved: outlines of road and sidewalk together; what is paved but not road becomes sidewalk.
        cut: outlines removed from the drivable surface (a roundabout's island).
    """

    lanes: tuple[Lane, ...] = ()
    lane_lines: tuple[LaneLine, ...] = ()
    drivable: tuple[Ring, ...] = ()
    parking: tuple[Ring, ...] = ()
    paved: tuple[Ring, ...] = ()
    cut: tuple[Ring, ...] = ()
    areas: tuple[Area, ...] = ()
    props: tuple[Prop, ...] = ()
    frames: tuple[RoadFrame, ...] = ()
    corner_radius_m: float = field(default=0.0)


def flat(points_m: Ring) -> Float64[np.ndarray, "N 3"]:
    """Lift ground-plane points to z = 0."""
    return np.column_stack([points_m, np.zeros(len(points_m))])


def build_road(road_id: str, centerline_m: Ring, *, section: CrossSection) -> RoadPiece:
    """Build a road along a centre line (the middle of the carriageway)."""
    path = make_path(centerline_m, spacing_m=2.0)
    line_m = path.points_m
    left_m, right_m = section.half_width_m, -section.half_width_m
    parking = []
    if section.parking_left_m > 0.0:
        parking.append(strip_polygon(line_m, section.kerb_left_m, left_m))
    if section.parking_right_m > 0.0:
        parking.append(strip_polygon(line_m, right_m, section.kerb_right_m))
    paved = strip_polygon(line_m, section.kerb_left_m + section.sidewalk_m, section.kerb_right_m - section.sidewalk_m)
    return RoadPiece(
        lanes=road_lanes(road_id, line_m, section, forward="f", backward="b"),
        lane_lines=road_lines(line_m, section),
        drivable=(strip_polygon(line_m, left_m, right_m),),
        parking=tuple(parking),
        paved=(paved,) if section.sidewalk_m > 0.0 else (),
        frames=(RoadFrame(road_id=road_id, path=make_path(centerline_m), section=section),),
    )


def road_lanes(road_id: str, line_m: Ring, section: CrossSection, *, forward: str, backward: str) -> tuple[Lane, ...]:
    """Return the lanes of a road, forward ones first, each from the divider outwards."""
    lanes = []
    for direction, count, name in ((1, section.lanes_forward, forward), (-1, section.lanes_backward, backward)):
        for number in range(1, count + 1):
            left_m = section.divider_left_m - direction * (number - 0.5) * section.lane_width_m
            center_m = offset_polyline(line_m, left_m)[::direction]
            lanes.append(
                Lane(
                    lane_id=f"{road_id}.{name}{number}",
                    centerline_world_m=flat(np.ascontiguousarray(center_m)),
                    width_m=section.lane_width_m,
                    speed_limit_mps=section.speed_limit_mps,
                )
            )
    return tuple(lanes)


def road_lines(line_m: Ring, section: CrossSection) -> tuple[LaneLine, ...]:
    """Return the painted lines along a road: edges, dividers between lanes, and the centre."""
    lines = []
    if section.edge_marking:
        for left_m in (section.half_width_m - 0.2, 0.2 - section.half_width_m):
            lines.append(LaneLine(points_world_m=flat(offset_polyline(line_m, left_m))))
    for number in range(1, section.lanes_forward):
        left_m = section.divider_left_m - number * section.lane_width_m
        lines.append(LaneLine(points_world_m=flat(offset_polyline(line_m, left_m)), kind="dashed"))
    for number in range(1, section.lanes_backward):
        left_m = section.divider_left_m + number * section.lane_width_m
        lines.append(LaneLine(points_world_m=flat(offset_polyline(line_m, left_m)), kind="dashed"))
    if section.lanes_forward and section.lanes_backward and section.centre_marking != "none":
        kind = "double_solid" if section.centre_marking == "double" else section.centre_marking
        center_m = offset_polyline(line_m, section.divider_left_m)
        lines.append(LaneLine(points_world_m=flat(center_m), kind=kind, color="yellow"))
    return tuple(lines)


def crossing_area(frame: RoadFrame, at_m: float, *, depth_m: float = CROSSING_DEPTH_M) -> Area:
    """Return a zebra crossing over the carriageway and its parking, centred `at_m` along the road."""
    s_m = np.array([at_m - 0.5 * depth_m, at_m + 0.5 * depth_m])
    line_m = frame.path.at(s_m).position_m
    return Area(
        kind="crossing",
        polygon_world_m=strip_polygon(line_m, frame.section.kerb_left_m, frame.section.kerb_right_m),
    )


def stop_lines(frame: RoadFrame, at_m: float, *, clear_m: float) -> tuple[LaneLine, ...]:
    """Return the stop lines `clear_m` before and after a place, across the lanes that approach it."""
    section, lines = frame.section, []
    for s_m, left_m, right_m in (
        (at_m - clear_m, section.divider_left_m, -section.half_width_m),
        (at_m + clear_m, section.half_width_m, section.divider_left_m),
    ):
        if left_m - right_m < 0.5 or not 0.0 < s_m < frame.path.length_m:
            continue
        at = frame.path.at(np.array([s_m]))
        normal = np.array([-np.sin(at.heading_rad[0]), np.cos(at.heading_rad[0])])
        ends_m = at.position_m[0] + np.array([[left_m - 0.2], [right_m + 0.2]]) * normal
        lines.append(LaneLine(points_world_m=flat(ends_m), width_m=STOP_LINE_M))
    return tuple(lines)


def assemble_road_map(
    pieces: Sequence[RoadPiece], *, areas: Sequence[Area] = (), props: Sequence[Prop] = ()
) -> RoadMap:
    """Unite the outlines of all pieces into areas that do not overlap, and collect the rest."""
    from shapely import Polygon, union_all
    from shapely.geometry.base import BaseGeometry

    def united(outlines: Sequence[Ring], radius_m: float) -> BaseGeometry:
        shape = union_all([Polygon(outline).buffer(0.0) for outline in outlines])
        return shape.buffer(radius_m).buffer(-radius_m) if radius_m > 0.0 else shape

    drivable = union_all([united(piece.drivable, piece.corner_radius_m) for piece in pieces])
    cut = union_all([Polygon(ring) for piece in pieces for ring in piece.cut])
    parking = union_all([Polygon(ring).buffer(0.0) for piece in pieces for ring in piece.parking]) - drivable
    paved = union_all([united(piece.paved, max(piece.corner_radius_m - 2.0, 0.0)) for piece in pieces if piece.paved])
    sidewalk = paved - drivable.buffer(0.01) - parking.buffer(0.01)
    painted = [*_areas_of(drivable - cut, "drivable"), *_areas_of(parking, "parking"), *_areas_of(sidewalk, "sidewalk")]
    return RoadMap(
        lanes=tuple(lane for piece in pieces for lane in piece.lanes),
        lane_lines=tuple(line for piece in pieces for line in piece.lane_lines),
        areas=(*painted, *(area for piece in pieces for area in piece.areas), *areas),
        props=(*(prop for piece in pieces for prop in piece.props), *props),
        num_roads=sum(len(piece.frames) for piece in pieces),
    )


def _areas_of(shape: object, kind: str) -> list[Area]:
    """Split a shapely geometry into areas, dropping slivers under half a square metre."""
    from shapely import get_parts, simplify

    areas = []
    for part in get_parts(simplify(shape, 0.02)):
        if part.geom_type != "Polygon" or part.area < 0.5:
            continue
        holes = tuple(np.array(ring.coords)[:-1, :2] for ring in part.interiors if ring.length > 1.0)
        outline_m = np.array(part.exterior.coords)[:-1, :2]
        areas.append(Area(kind=kind, polygon_world_m=outline_m, holes_world_m=holes))
    return areas
