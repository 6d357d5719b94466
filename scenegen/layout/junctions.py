"""Junctions: arms that meet, the connecting lanes between them, crossings and stop lines. Roundabouts.

Arms are named by where they leave to (`east`, `north`, `west`, `south` before the junction is turned). Lane ids:
`<id>.<arm>.in1` towards the middle, `<id>.<arm>.out1` away from it, numbered from the dividing line, and
`<id>.<arm>1_to_<arm>1` for the connections.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from scenegen.layout.paths import bezier, make_path, strip_polygon
from scenegen.layout.roads import (
    CROSSING_DEPTH_M,
    CrossSection,
    RoadFrame,
    RoadPiece,
    crossing_area,
    flat,
    road_lanes,
    road_lines,
)
from scenegen.types.layout import Area, Lane, LaneLine, Prop

ARM_HEADING_RAD = {"east": 0.0, "north": 0.5 * np.pi, "west": np.pi, "south": 1.5 * np.pi}
CROSSING_SETBACK_M = 1.0
STOP_SETBACK_M = CROSSING_SETBACK_M + CROSSING_DEPTH_M + 1.0
"""From the edge of the junction to the stop line."""
ENTRY_ANGLE_RAD = 0.62
"""Along a roundabout, between an arm's axis and where its lanes join the ring."""


class _Arm:
    """One arm: its outward centre line and lanes, all in the world frame."""

    def __init__(
        self,
        name: str,
        junction_id: str,
        center_m: Float64[np.ndarray, "2"],
        heading_rad: float,
        start_m: float,
        length_m: float,
        section: CrossSection,
    ) -> None:
        direction = np.array([np.cos(heading_rad), np.sin(heading_rad)])
        line_m = center_m + np.array([[start_m], [start_m + length_m]]) * direction
        self.name, self.heading_rad, self.section = name, heading_rad, section
        self.center_m, self.direction = center_m, direction
        self.road_id = f"{junction_id}.{name}"
        self.frame = RoadFrame(road_id=self.road_id, path=make_path(line_m), section=section)
        self.lanes = road_lanes(self.road_id, line_m, section, forward="out", backward="in")
        painted_m = line_m + np.array([[STOP_SETBACK_M], [0.0]]) * direction
        self.lines = road_lines(painted_m, section)
        self.from_center_m = np.stack([center_m, line_m[1]])

    def outgoing(self) -> list[Lane]:
        return [lane for lane in self.lanes if ".out" in lane.lane_id]

    def incoming(self) -> list[Lane]:
        return [lane for lane in self.lanes if ".in" in lane.lane_id]

    def stop_line(self) -> LaneLine:
        section, at_m = self.section, STOP_SETBACK_M
        sample = self.frame.path.at(np.array([at_m]))
        normal = np.array([-self.direction[1], self.direction[0]])
        ends_m = (
            sample.position_m[0] + np.array([[section.half_width_m - 0.2], [section.divider_left_m + 0.1]]) * normal
        )
        return LaneLine(points_world_m=flat(ends_m), width_m=0.35)

    def crossing(self) -> Area:
        return crossing_area(self.frame, CROSSING_SETBACK_M + 0.5 * CROSSING_DEPTH_M)


def build_junction(
    junction_id: str,
    *,
    arms: Mapping[str, CrossSection],
    center_m: tuple[float, float] = (0.0, 0.0),
    heading_rad: float = 0.0,
    arm_length_m: float | Mapping[str, float] = 100.0,
    corner_radius_m: float = 6.0,
    crossings: tuple[str, ...] = (),
) -> RoadPiece:
    """Build a junction of two to four arms. In a section, `forward` lanes lead away from the middle."""
    center = np.asarray(center_m, np.float64)
    widest_m = max(max(section.kerb_left_m, -section.kerb_right_m) for section in arms.values())
    edge_m = widest_m + corner_radius_m
    built = [
        _Arm(
            name,
            junction_id,
            center,
            ARM_HEADING_RAD[name] + heading_rad,
            edge_m,
            _length_of(arm_length_m, name),
            section,
        )
        for name, section in arms.items()
    ]
    connections = [
        lane
        for source in built
        for target in built
        if source is not target
        for lane in _connect(junction_id, source, target)
    ]
    return _piece(built, connections, corner_radius_m=corner_radius_m, crossings=crossings)


def build_roundabout(
    junction_id: str,
    *,
    arms: Mapping[str, CrossSection],
    center_m: tuple[float, float] = (0.0, 0.0),
    heading_rad: float = 0.0,
    arm_length_m: float | Mapping[str, float] = 100.0,
    ring_radius_m: float = 14.0,
    ring_width_m: float = 6.0,
    crossings: tuple[str, ...] = (),
) -> RoadPiece:
    """Build a one-lane roundabout; `ring_radius_m` is the radius of the ring's centre line."""
    center = np.asarray(center_m, np.float64)
    edge_m = ring_radius_m + 0.5 * ring_width_m + 6.0
    built = [
        _Arm(
            name,
            junction_id,
            center,
            ARM_HEADING_RAD[name] + heading_rad,
            edge_m,
            _length_of(arm_length_m, name),
            section,
        )
        for name, section in arms.items()
    ]
    connections = [
        _through_ring(junction_id, source, target, ring_radius_m)
        for source in built
        for target in built
        if source is not target
    ]
    piece = _piece(built, connections, corner_radius_m=5.0, crossings=crossings)
    circle = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
    unit = np.stack([np.cos(circle), np.sin(circle)], axis=1)
    inner_m, outer_m = ring_radius_m - 0.5 * ring_width_m, ring_radius_m + 0.5 * ring_width_m
    closed = np.concatenate([unit, unit[:1]])
    island = center + inner_m * unit
    trees = tuple(
        Prop(kind="tree", position_world_m=center + 0.55 * inner_m * np.array([np.cos(a), np.sin(a)]))
        for a in np.linspace(0.3, 0.3 + 2.0 * np.pi, 4, endpoint=False)
    )
    sidewalk_m = max(section.sidewalk_m for section in arms.values())
    return RoadPiece(
        lanes=piece.lanes,
        lane_lines=(*piece.lane_lines, LaneLine(points_world_m=flat(center + (inner_m + 0.25) * closed))),
        drivable=(*piece.drivable, center + outer_m * unit),
        parking=piece.parking,
        paved=(*piece.paved, center + (outer_m + sidewalk_m) * unit),
        cut=(island,),
        areas=(*piece.areas, Area(kind="grass", polygon_world_m=island)),
        props=trees,
        frames=piece.frames,
        corner_radius_m=piece.corner_radius_m,
    )


def _length_of(arm_length_m: float | Mapping[str, float], name: str) -> float:
    return arm_length_m[name] if isinstance(arm_length_m, Mapping) else arm_length_m


def _piece(
    built: list[_Arm], connections: list[Lane], *, corner_radius_m: float, crossings: tuple[str, ...]
) -> RoadPiece:
    """Collect lanes, lines and outlines of arms and their connections."""
    drivable, parking, paved, lines, areas = [], [], [], [], []
    for arm in built:
        section, line_m = arm.section, arm.frame.path.points_m[[0, -1]]
        drivable.append(strip_polygon(arm.from_center_m, section.half_width_m, -section.half_width_m))
        paved.append(
            strip_polygon(
                arm.from_center_m, section.kerb_left_m + section.sidewalk_m, section.kerb_right_m - section.sidewalk_m
            )
        )
        bay_m = line_m + np.array([[STOP_SETBACK_M + 4.0], [0.0]]) * arm.direction
        if section.parking_left_m > 0.0:
            parking.append(strip_polygon(bay_m, section.kerb_left_m, section.half_width_m))
        if section.parking_right_m > 0.0:
            parking.append(strip_polygon(bay_m, -section.half_width_m, section.kerb_right_m))
        lines += [*arm.lines, arm.stop_line()]
        if arm.name in crossings:
            areas.append(arm.crossing())
    return RoadPiece(
        lanes=(*(lane for arm in built for lane in arm.lanes), *connections),
        lane_lines=tuple(lines),
        drivable=tuple(drivable),
        parking=tuple(parking),
        paved=tuple(paved),
        areas=tuple(areas),
        frames=tuple(arm.frame for arm in built),
        corner_radius_m=corner_radius_m,
    )


def _turn_rad(source: _Arm, target: _Arm) -> float:
    """Angle of the manoeuvre from one arm to another: 0 straight on, positive left, in (-pi, pi]."""
    change = target.heading_rad - (source.heading_rad + np.pi)
    return float(np.arctan2(np.sin(change), np.cos(change)))


def _connect(junction_id: str, source: _Arm, target: _Arm) -> list[Lane]:
    """Return the lanes from one arm to another: straight lane to lane, left turns inside, right turns outside."""
    incoming, outgoing = source.incoming(), target.outgoing()
    if not incoming or not outgoing:
        return []
    turn_rad = _turn_rad(source, target)
    if abs(turn_rad) < 0.6:
        pairs = [(k, k) for k in range(min(len(incoming), len(outgoing)))]
    elif turn_rad > 0.0:
        pairs = [(0, 0)]
    else:
        pairs = [(len(incoming) - 1, len(outgoing) - 1)]
    lanes = []
    for from_idx, to_idx in pairs:
        curve_m = bezier(
            incoming[from_idx].centerline_world_m[-1, :2],
            source.heading_rad + np.pi,
            outgoing[to_idx].centerline_world_m[0, :2],
            target.heading_rad,
        )
        lanes.append(
            Lane(
                lane_id=f"{junction_id}.{source.name}{from_idx + 1}_to_{target.name}{to_idx + 1}",
                centerline_world_m=flat(curve_m),
                width_m=incoming[from_idx].width_m,
                is_intersection=True,
            )
        )
    return lanes


def _through_ring(junction_id: str, source: _Arm, target: _Arm, radius_m: float) -> Lane:
    """Return the lane that enters the ring from one arm and leaves it (counter-clockwise) into another."""
    first_rad = source.heading_rad + ENTRY_ANGLE_RAD
    sweep_rad = (target.heading_rad - source.heading_rad) % (2.0 * np.pi) - 2.0 * ENTRY_ANGLE_RAD
    around = first_rad + np.linspace(0.0, sweep_rad, max(3, int(sweep_rad * radius_m)))
    ring_m = source.center_m + radius_m * np.stack([np.cos(around), np.sin(around)], axis=1)
    entry_m = bezier(
        source.incoming()[-1].centerline_world_m[-1, :2], source.heading_rad + np.pi, ring_m[0], first_rad + 0.5 * np.pi
    )
    exit_m = bezier(
        ring_m[-1], around[-1] + 0.5 * np.pi, target.outgoing()[-1].centerline_world_m[0, :2], target.heading_rad
    )
    return Lane(
        lane_id=f"{junction_id}.{source.name}1_to_{target.name}1",
        centerline_world_m=flat(np.concatenate([entry_m[:-1], ring_m, exit_m[1:]])),
        width_m=source.section.lane_width_m,
        is_intersection=True,
    )
