"""From road, area and prop specs of the YAML format to a road map."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.junctions import build_junction, build_roundabout
from scenegen.layout.paths import place, smooth_curve, strip_polygon
from scenegen.layout.procedural_roads import centre_line
from scenegen.layout.roads import (
    CrossSection,
    RoadFrame,
    RoadPiece,
    assemble_road_map,
    build_road,
    crossing_area,
    stop_lines,
)
from scenegen.layout.yaml_format import (
    AreaSpec,
    BoxSpec,
    CenterlineRoadSpec,
    JunctionSpec,
    LaneLineSpec,
    LaneSpec,
    LayoutSpec,
    PropSpec,
    RoadSpec,
    RoundaboutSpec,
    SectionSpec,
    TemplateRoadSpec,
)
from scenegen.layout.yaml_lines import KeyPath, MarkedYaml
from scenegen.types.layout import Area, Lane, LaneLine, Prop, RoadMap

Named = TypeVar("Named")
MOST_IN_ROW = 50_000
LONGEST_ROAD_M = 50_000.0
SECTION_KEYS = frozenset(SectionSpec.model_fields)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The static part of a scene that is being read, by name."""

    road_map: RoadMap
    frames: Mapping[str, RoadFrame]
    lanes: Mapping[str, Lane]
    marked: MarkedYaml

    def frame(self, road_id: str, *, key: KeyPath) -> RoadFrame:
        """Return a road by id. Raises LayoutError with the line that names an unknown one."""
        return _named(self.frames, road_id, "road", key=key, marked=self.marked)

    def lane(self, lane_id: str, *, key: KeyPath) -> Lane:
        """Return a lane by id. Raises LayoutError with the line that names an unknown one."""
        return _named(self.lanes, lane_id, "lane", key=key, marked=self.marked)


def _named(table: Mapping[str, Named], name: str, what: str, *, key: KeyPath, marked: MarkedYaml) -> Named:
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    known = ", ".join(sorted(table)) or "none"
    raise LayoutError(
        f"the id of a {what}", found=repr(name), where=marked.where(key), fix=f"{hint}known {what}s: {known}"
    )


def build_ground(spec: LayoutSpec, marked: MarkedYaml) -> Ground:
    """Build roads, areas, lines and props of a file.

    Raises:
        LayoutError: an id is used twice or is not known; an item says too little or too much.
    """
    pieces, road_ids = [], set()
    for idx, road in enumerate(spec.roads):
        if road.id in road_ids:
            where = marked.where(("roads", idx, "id"))
            raise LayoutError("road ids used once", found=f"{road.id!r} again", where=where)
        road_ids.add(road.id)
        try:
            pieces.append(build_piece(road))
        except LayoutError as error:
            where = marked.where(("roads", idx))
            raise LayoutError(error.expected, found=error.found, where=where, fix=error.fix) from error
    frames = {frame.road_id: frame for piece in pieces for frame in piece.frames}
    lanes = {lane.lane_id: lane for piece in pieces for lane in piece.lanes}
    explicit = []
    for idx, lane_spec in enumerate(spec.lanes):
        if lane_spec.id in lanes:
            raise LayoutError(
                "lane ids used once", found=f"{lane_spec.id!r} again", where=marked.where(("lanes", idx, "id"))
            )
        lanes[lane_spec.id] = _lane(lane_spec)
        explicit.append(lanes[lane_spec.id])
    ground = Ground(road_map=RoadMap(), frames=frames, lanes=lanes, marked=marked)
    crosswalks, painted = _crosswalks(spec, ground)
    sidewalks = [
        Area(kind="sidewalk", polygon_world_m=strip_polygon(_line(s.centerline), 0.5 * s.width_m, -0.5 * s.width_m))
        for s in spec.sidewalks
    ]
    areas = [_area(area, marked.where(("areas", idx))) for idx, area in enumerate(spec.areas)]
    props = [prop for idx, item in enumerate(spec.props) for prop in _props(item, ground, ("props", idx))]
    built = assemble_road_map(pieces, areas=[*crosswalks, *sidewalks, *areas], props=props)
    lines = (*built.lane_lines, *painted, *(_lane_line(line) for line in spec.lane_lines))
    num_roads = built.num_roads if spec.num_roads is None else spec.num_roads
    road_map = replace(built, lanes=(*built.lanes, *explicit), lane_lines=lines, num_roads=num_roads)
    return replace(ground, road_map=road_map)


def build_piece(road: RoadSpec) -> RoadPiece:
    """Build one road or junction.

    Raises:
        LayoutError: a line without length, or a bend that does not fit.
    """
    section = cross_section(road)
    if isinstance(road, CenterlineRoadSpec):
        return build_road(road.id, smooth_curve(_bounded(_line(road.centerline))), section=section)
    at_m, heading_rad = (road.position[0], road.position[1]), float(np.deg2rad(road.heading_deg))
    if isinstance(road, TemplateRoadSpec):
        angle_rad = float(np.deg2rad(road.angle_deg))
        bend_m = road.radius_m * abs(angle_rad)
        if road.template != "straight" and not 0.1 < bend_m <= road.length_m:
            raise LayoutError(
                "a bend (radius_m times angle) that fits into length_m",
                found=f"{bend_m:.1f} m in {road.length_m:g} m",
                fix="change radius_m, angle_deg or length_m",
            )
        line_m = centre_line(road.template, road.length_m, radius_m=road.radius_m, angle_rad=angle_rad)
        return build_road(road.id, place(line_m, at_m=at_m, heading_rad=heading_rad), section=section)
    arms = _arms(road, section)
    _check_arms(road, arms)
    if isinstance(road, RoundaboutSpec):
        return build_roundabout(
            road.id, arms=arms, center_m=at_m, heading_rad=heading_rad, arm_length_m=_arm_lengths(road, arms),
            ring_radius_m=road.ring_radius_m, ring_width_m=road.ring_width_m, crossings=tuple(road.crossings),
        )  # fmt: skip
    return build_junction(
        road.id, arms=arms, center_m=at_m, heading_rad=heading_rad, arm_length_m=_arm_lengths(road, arms),
        corner_radius_m=road.corner_radius_m, crossings=tuple(road.crossings),
    )  # fmt: skip


def _bounded(line_m: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "N 2"]:
    """Refuse a centre line that is longer than any town."""
    length_m = float(np.linalg.norm(np.diff(line_m, axis=0), axis=1).sum())
    if length_m > LONGEST_ROAD_M:
        raise LayoutError(f"a centre line of at most {LONGEST_ROAD_M:g} m", found=f"{length_m:g} m")
    return line_m


def cross_section(spec: SectionSpec) -> CrossSection:
    """Turn the keys of a road into a cross section."""
    each_way = 1 if spec.lanes is None else spec.lanes
    return CrossSection(
        lanes_forward=each_way if spec.lanes_forward is None else spec.lanes_forward,
        lanes_backward=each_way if spec.lanes_backward is None else spec.lanes_backward,
        lane_width_m=spec.lane_width_m,
        sidewalk_m=spec.sidewalk_m,
        parking_left_m=spec.parking_left_m,
        parking_right_m=spec.parking_right_m,
        centre_marking=spec.marking,
        edge_marking=spec.edge_marking,
        speed_limit_mps=spec.speed_limit_mps,
    )


def _arms(road: JunctionSpec | RoundaboutSpec, section: CrossSection) -> dict[str, CrossSection]:
    """Return the cross section of every arm: the junction's own, with what the arm says of itself."""
    if road.arms is None:
        names = ["east", "north", "west"] if road.template == "t_junction" else ["east", "north", "west", "south"]
        return dict.fromkeys(names, section)
    if isinstance(road.arms, list):
        return {str(name): section for name in road.arms}
    common = {key: getattr(road, key) for key in road.model_fields_set & SECTION_KEYS}
    arms = {}
    for name, own in road.arms.items():
        said = {key: getattr(own, key) for key in own.model_fields_set} if own is not None else {}
        arms[str(name)] = cross_section(SectionSpec(**{**common, **said}))
    return arms


def _check_arms(road: JunctionSpec | RoundaboutSpec, arms: Mapping[str, CrossSection]) -> None:
    if len(arms) < 2:
        raise LayoutError("two arms or more", found=f"{len(arms)}")
    for crossed in road.crossings:
        if crossed not in arms:
            raise LayoutError(f"crossings over the arms {', '.join(arms)}", found=repr(crossed))
    for name, section in arms.items():
        if isinstance(road, RoundaboutSpec) and not (section.lanes_forward and section.lanes_backward):
            raise LayoutError("lanes in both directions on every arm of a roundabout", found=f"one way on {name!r}")


def _arm_lengths(road: JunctionSpec | RoundaboutSpec, arms: Mapping[str, CrossSection]) -> dict[str, float]:
    given = road.arm_length_m
    if isinstance(given, dict):
        return {name: given.get(name, 100.0) for name in arms}  # type: ignore[call-overload]
    return dict.fromkeys(arms, given)


def _crosswalks(spec: LayoutSpec, ground: Ground) -> tuple[list[Area], list[LaneLine]]:
    areas: list[Area] = []
    lines: list[LaneLine] = []
    for idx, item in enumerate(spec.crosswalks):
        key: KeyPath = ("crosswalks", idx)
        if item.polygon is not None and item.road is None:
            areas.append(Area(kind="crossing", polygon_world_m=_line(item.polygon)))
        elif item.road is not None and item.at_m is not None and item.polygon is None:
            frame = ground.frame(item.road, key=(*key, "road"))
            areas.append(crossing_area(frame, item.at_m, depth_m=item.depth_m))
            if item.stop_lines:
                lines += stop_lines(frame, item.at_m, clear_m=0.5 * item.depth_m + 1.2)
        else:
            raise LayoutError("either `road` and `at_m`, or `polygon`", where=ground.marked.where(key))
    return areas, lines


def _area(spec: AreaSpec, where: str) -> Area:
    if (spec.polygon is None) == (spec.box is None):
        raise LayoutError("either `polygon` or `box`", found="both" if spec.box else "neither", where=where)
    if spec.kind == "building" and spec.height_m <= 0.0:
        raise LayoutError("a positive height_m for a building", found=f"{spec.height_m:g}", where=where)
    outline_m = _rectangle(spec.box) if spec.box is not None else _line(spec.polygon or [])
    holes = tuple(_line(hole) for hole in spec.holes)
    return Area(kind=spec.kind, polygon_world_m=outline_m, holes_world_m=holes, height_m=spec.height_m)


def _rectangle(box: BoxSpec) -> Float64[np.ndarray, "4 2"]:
    corners_m = 0.5 * np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]) * np.array(box.size)
    return place(corners_m, at_m=(box.center[0], box.center[1]), heading_rad=float(np.deg2rad(box.heading_deg)))


def _props(spec: PropSpec, ground: Ground, key: KeyPath) -> list[Prop]:
    if (spec.position is None) == (spec.row is None):
        raise LayoutError("either `position` or `row`", where=ground.marked.where(key))
    heading_rad = float(np.deg2rad(spec.heading_deg)) if spec.heading_rad is None else spec.heading_rad
    if spec.position is not None:
        return [
            Prop(
                kind=spec.kind,
                position_world_m=np.array(spec.position, np.float64),
                heading_rad=heading_rad,
                height_m=spec.height_m,
            )
        ]
    row = spec.row
    assert row is not None
    frame = ground.frame(row.road, key=(*key, "row", "road"))
    if (row.to_m - row.from_m) / row.every_m > MOST_IN_ROW:
        found = f"{(row.to_m - row.from_m) / row.every_m:.0f}"
        raise LayoutError(f"a row of at most {MOST_IN_ROW}", found=found, where=ground.marked.where(key))
    at = frame.path.at(np.arange(row.from_m, row.to_m + 1e-9, row.every_m))
    normal = np.stack([-np.sin(at.heading_rad), np.cos(at.heading_rad)], axis=1)
    return [
        Prop(kind=spec.kind, position_world_m=position, heading_rad=heading_rad + float(turn), height_m=spec.height_m)
        for position, turn in zip(at.position_m + row.left_m * normal, at.heading_rad, strict=True)
    ]


def _lane(spec: LaneSpec) -> Lane:
    return Lane(
        lane_id=spec.id,
        centerline_world_m=_line_3d(spec.centerline),
        width_m=spec.width_m,
        kind=spec.kind,
        is_intersection=spec.is_intersection,
        speed_limit_mps=spec.speed_limit_mps,
    )


def _lane_line(spec: LaneLineSpec) -> LaneLine:
    return LaneLine(points_world_m=_line_3d(spec.points), kind=spec.kind, color=spec.color, width_m=spec.width_m)


def _line(points: list[list[float]]) -> Float64[np.ndarray, "N 2"]:
    return np.array(points, np.float64).reshape(-1, 2)


def _line_3d(points: list[list[float]]) -> Float64[np.ndarray, "N 3"]:
    return np.array([[*point, 0.0][:3] for point in points], np.float64)
