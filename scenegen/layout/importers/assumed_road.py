"""A road for recordings without a map: an ordinary one along the way that the ego drove.

What is assumed, and said in `AssumedRoad.lost`: the ego keeps to the middle of one lane; that lane and its neighbours
are equally wide all the way; the road goes straight on beyond both ends of the way; there are no junctions, side
roads and crossings. Vehicles that drive along the ego's way widen the road by whole lanes, up to four each
way, and where several stand along its edge it gets a strip to park on; how many vehicles still are beside it is
counted. A way driven backwards adds no road, but for what lies behind the first position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenegen.layout.importers.assumed_width import WIDENING, first_step, is_driving, is_standing, widen_section
from scenegen.layout.paths import make_path, smooth_curve
from scenegen.layout.roads import CrossSection, Ring, RoadPiece, assemble_road_map, flat
from scenegen.types import AgentTrack, EgoTrack, Lane, LaneLine, RoadMap

if TYPE_CHECKING:
    from shapely import LineString

SPACING_M = 3.0
"""Between the positions that the way is drawn through: what a standing or reversing ego adds is left out."""
LONGEST_STEP_M = 12.0
BEYOND_M, BEYOND_S = 150.0, 30.0
"""How far the road goes on beyond both ends, and for how long at the last speed ahead: layouts are extended."""
PIECE_POINTS = 30
"""Of the way, a metre apart; pieces of the surface overlap by one."""
OFF_ROAD_SHARE = 0.05
"""Of the steps at which a vehicle drives; one that is off the road for more counts as beside it."""
CITY_STREET = CrossSection(centre_marking="dashed", edge_marking=False)
"""One lane each way with sidewalks."""
MOTORWAY = CrossSection(lanes_forward=3, lanes_backward=0, sidewalk_m=0.0, lane_width_m=3.7)
"""One carriageway of three lanes."""


@dataclass(frozen=True, kw_only=True)
class AssumedRoad:
    """A road that nobody surveyed, and plain sentences that say so."""

    road_map: RoadMap
    section: CrossSection
    lost: tuple[str, ...]


def build_assumed_road(
    ego: EgoTrack, agents: Sequence[AgentTrack] = (), *, section: CrossSection, ego_lane: int = 1, rate_hz: float = 10.0
) -> AssumedRoad:
    """Draw a road along the ego's way.

    Args:
        ego: the track whose way becomes the middle of a lane.
        agents: vehicles among them widen the road where they drive or park along it.
        section: the least that the road has. Traffic keeps right.
        ego_lane: which forward lane the ego is in, 1 beside the line that divides the directions.
        rate_hz: of the tracks.
    """
    way_m = _way_of(ego)
    section, ego_lane = widen_section(section, ego_lane, way_m, agents)
    to_ego_m = section.divider_left_m - (ego_lane - 0.5) * section.lane_width_m
    road_map = assemble_road_map([_road_along(_with_ends(way_m, ego, rate_hz), section, shift_m=-to_ego_m)])
    lanes = f"{section.lanes_forward} + {section.lanes_backward} lanes of {section.lane_width_m:g} m"
    return AssumedRoad(
        road_map=road_map,
        section=section,
        lost=(
            f"all roads: the source has no map. Assumed is a road along the ego's way, {lanes}, the ego in the middle"
            f" of forward lane {ego_lane} from the left, straight on beyond both ends, without junctions",
            *_said_of(agents, road_map),
        ),
    )


def _way_of(ego: EgoTrack) -> Ring:
    """Pick positions that follow each other forwards; at least one."""
    ahead = np.stack([np.cos(ego.heading_rad), np.sin(ego.heading_rad)], axis=1)
    positions_m = ego.position_world_m[:, :2]
    way_m = [positions_m[0]]
    for position_m, direction in zip(positions_m[1:], ahead[1:], strict=True):
        if (position_m - way_m[-1]) @ direction >= SPACING_M:
            way_m.append(position_m)
        elif -LONGEST_STEP_M <= (position_m - way_m[0]) @ ahead[0] <= -SPACING_M:
            behind_m = position_m - way_m[0]
            if np.linalg.norm(behind_m) <= LONGEST_STEP_M:
                way_m.insert(0, position_m)
    if len(way_m) == 1:
        way_m.append(way_m[0] + SPACING_M * ahead[0])
    return smooth_curve(np.array(way_m))


def _with_ends(way_m: Ring, ego: EgoTrack, rate_hz: float) -> Ring:
    """Go straight on beyond both ends."""
    steps = max(1, round(rate_hz))
    recent_m = np.diff(ego.position_world_m[-1 - steps :, :2], axis=0)
    last_mps = float(np.linalg.norm(recent_m, axis=1).mean() * rate_hz) if len(recent_m) else 0.0
    chord = min(len(way_m) - 1, 6)
    begin, end = way_m[0] - way_m[chord], way_m[-1] - way_m[-1 - chord]
    before_m = way_m[0] + BEYOND_M * begin / np.linalg.norm(begin)
    after_m = way_m[-1] + max(BEYOND_M, BEYOND_S * last_mps) * end / np.linalg.norm(end)
    return make_path(np.concatenate([before_m[None], way_m, after_m[None]]), spacing_m=1.0).points_m


def _road_along(way_m: Ring, section: CrossSection, *, shift_m: float) -> RoadPiece:
    """Build lanes, lines and surface; `shift_m` is where the middle of the carriageway lies, to the left of the way."""
    from shapely import LineString

    way = LineString(way_m)
    half_m, divider_m = section.half_width_m, shift_m + section.divider_left_m
    kerb_left_m, kerb_right_m = shift_m + section.kerb_left_m, shift_m + section.kerb_right_m
    lanes = []
    for direction, count, name in ((1, section.lanes_forward, "f"), (-1, section.lanes_backward, "b")):
        for number in range(1, count + 1):
            left_m = divider_m - direction * (number - 0.5) * section.lane_width_m
            center_m = max(_offset(way, left_m), key=len)[::direction]
            lanes.append(
                Lane(
                    lane_id=f"assumed.{name}{number}",
                    centerline_world_m=flat(np.ascontiguousarray(center_m)),
                    width_m=section.lane_width_m,
                    speed_limit_mps=section.speed_limit_mps,
                )
            )
    return RoadPiece(
        lanes=tuple(lanes),
        lane_lines=_lines_along(way, section, shift_m=shift_m),
        drivable=_surface(way_m, shift_m + half_m, shift_m - half_m),
        parking=_surface(way_m, kerb_left_m, kerb_right_m) if kerb_left_m - kerb_right_m > 2.0 * half_m else (),
        paved=_surface(way_m, kerb_left_m + section.sidewalk_m, kerb_right_m - section.sidewalk_m)
        if section.sidewalk_m > 0.0
        else (),
    )


def _lines_along(way: LineString, section: CrossSection, *, shift_m: float) -> tuple[LaneLine, ...]:
    """Paint edges, dividers and the line between the directions, as `roads.road_lines` does."""
    half_m, divider_m, width_m = section.half_width_m, shift_m + section.divider_left_m, section.lane_width_m
    painted: list[tuple[float, str, str]] = []
    if section.edge_marking:
        painted += [(shift_m + half_m - 0.2, "solid", "white"), (shift_m - half_m + 0.2, "solid", "white")]
    painted += [(divider_m - number * width_m, "dashed", "white") for number in range(1, section.lanes_forward)]
    painted += [(divider_m + number * width_m, "dashed", "white") for number in range(1, section.lanes_backward)]
    if section.lanes_forward and section.lanes_backward and section.centre_marking != "none":
        kind = "double_solid" if section.centre_marking == "double" else section.centre_marking
        painted.append((divider_m, kind, "yellow"))
    return tuple(
        LaneLine(points_world_m=flat(part_m), kind=kind, color=color)
        for left_m, kind, color in painted
        for part_m in _offset(way, left_m)
    )


def _offset(way: LineString, left_m: float) -> list[Ring]:
    """Move a line sideways without the loops that a bend tighter than the offset would make; direction kept."""
    from shapely import get_parts, offset_curve

    if left_m == 0.0:
        return [np.array(way.coords)]
    return [np.array(part.coords) for part in get_parts(offset_curve(way, left_m)) if len(part.coords) >= 2]


def _surface(way_m: Ring, left_m: float, right_m: float) -> tuple[Ring, ...]:
    """Outline the band between two offsets, piece by piece, so that no outline has to cross itself or a hole."""
    from shapely import LineString, get_parts, union_all

    outlines = []
    for begin in range(0, len(way_m) - 1, PIECE_POINTS):
        piece = LineString(way_m[begin : begin + PIECE_POINTS + 2])
        sides = [piece.buffer(side_m, single_sided=True) for side_m in (left_m, right_m) if side_m != 0.0]
        outlines += [
            np.array(part.exterior.coords)[:-1] for part in get_parts(union_all(sides)) if part.geom_type == "Polygon"
        ]
    return tuple(outlines)


def _said_of(agents: Sequence[AgentTrack], road_map: RoadMap) -> tuple[str, ...]:
    """Count vehicles, and those of them that the road does not carry."""
    from shapely import Polygon, covers, points, prepare, union_all

    areas = (*road_map.areas_of("drivable"), *road_map.areas_of("parking"))
    road = union_all([Polygon(area.polygon_world_m, area.holes_world_m) for area in areas])
    prepare(road)
    counts = {"drive": [0, 0], "stand": [0, 0]}
    for agent in agents:
        steps, what = (first_step(agent), "stand") if is_standing(agent) else (is_driving(agent), "drive")
        if agent.category in WIDENING and steps.any():
            is_beside = ~covers(road, points(agent.center_world_m[steps, :2]))
            counts[what][0] += 1
            counts[what][1] += bool(is_beside.mean() > OFF_ROAD_SHARE)
    return tuple(
        f"{beside} of {known} vehicles that {what} are beside the assumed road" + (", at times" * (what == "drive"))
        for what, (known, beside) in counts.items()
        if beside
    )
