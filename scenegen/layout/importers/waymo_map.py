"""The map of a Waymo scenario.

* A lane is a centre line. Its width is the distance to its left and right boundaries, each the median over points for
  which the file names one; where it names none, or both together are no plausible width, it is the median of the
  scenario's lanes of that kind, or `NOMINAL_WIDTH_M`. Lanes that interpolate between two others lie in intersections.
* The drivable area is not in the file: it is all lanes at their widths, out to a road edge where one bounds them, and
  driveways; gaps of up to two metres between them are closed, and of up to five metres to an outer road edge, where
  cars park.
* Stop signs face the lane that they are for. What has too few points for a line or an area is left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.source_tracks import PLAUSIBLE_WIDTH_M, open_ring, require_plausible
from scenegen.layout.importers.waymo_message import FEATURE_KINDS
from scenegen.layout.roads import flat
from scenegen.types import Area, Lane, LaneLine, Prop, RoadMap

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

FREEWAY, BIKE_LANE = 1, 3
NOMINAL_WIDTH_M = {"vehicle": 3.5, "bike": 1.5}
MOST_BESIDE_M = 8.0
"""A boundary that lies further from the centre line belongs to another lane."""
SAMPLES = 20
"""Points of a lane at which the distance to one boundary is measured, at most."""
MOST_FEATURES, MOST_POINTS, MOST_BOUNDARIES = 20_000, 1_000_000, 50
"""Of a scenario, of all its features, of one side of a lane."""
CLOSED_M, EDGE_CLOSED_M = 1.0, 2.5
"""Half the widest gap that is closed between lanes, and between lanes and an outer road edge."""
OUTER_EDGE = 1
"""Type of a road edge that has no traffic on its other side."""
SMALLEST_AREA_M2 = 1.0
MPS_OF_MPH = 0.44704
LINE_OF_TYPE = {
    1: ("dashed", "white"),
    2: ("solid", "white"),
    3: ("double_solid", "white"),
    4: ("dashed", "yellow"),
    5: ("dashed", "yellow"),
    6: ("solid", "yellow"),
    7: ("double_solid", "yellow"),
    8: ("solid", "yellow"),
}
"""Road line types by their numbers; 8, for passing from one side, is a solid line."""
Points = Float64[np.ndarray, "N 2"]


@dataclass(frozen=True, kw_only=True)
class WaymoMap:
    """The map in the world, what the file has by its own words, and what was left out."""

    road_map: RoadMap
    counts: dict[str, int]
    lost: tuple[str, ...]


@dataclass(kw_only=True)
class _Features:
    """Features by their ids, geometry in the world; `left_out` counts those without any."""

    lanes: dict[int, tuple[Any, Points]] = field(default_factory=dict)
    lines: dict[int, tuple[int, Points]] = field(default_factory=dict)
    edges: dict[int, Points] = field(default_factory=dict)
    outer_edges: list[Points] = field(default_factory=list)
    areas: dict[str, list[Points]] = field(default_factory=lambda: {"crosswalk": [], "driveway": []})
    signs: list[tuple[Any, Points]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    num_points: int = 0


def read_waymo_map(scenario: Any, *, origin_source_m: Float64[np.ndarray, "2"], where: str) -> WaymoMap:
    """Build the map, moved to the world's origin.

    Raises:
        LayoutError: a coordinate is NaN or not on Earth, or an id is there twice; the feature is named.
    """
    features = _collect(scenario.map_features, origin_source_m, where=where)
    sides_m = {name: _sides_of(lane, points_m, features) for name, (lane, points_m) in features.lanes.items()}
    lanes, surfaces = _lanes_of(features, sides_m)
    drivable = _drivable(surfaces, features)
    unknown = sum(kind not in LINE_OF_TYPE for kind, _ in features.lines.values())
    lost = [f"{count} features of kind {kind} without enough points" for kind, count in features.left_out.items()]
    if unknown:
        lost.append(f"{unknown} road lines of unknown type")
    if features.counts["speed_bump"]:
        lost.append(f"{features.counts['speed_bump']} speed bumps")
    return WaymoMap(
        road_map=RoadMap(
            lanes=lanes,
            lane_lines=tuple(
                LaneLine(points_world_m=flat(points_m), kind=LINE_OF_TYPE[kind][0], color=LINE_OF_TYPE[kind][1])
                for kind, points_m in features.lines.values()
                if kind in LINE_OF_TYPE
            ),
            areas=(
                *drivable,
                *(Area(kind="crossing", polygon_world_m=ring_m) for ring_m in features.areas["crosswalk"]),
            ),
            props=tuple(_sign(sign, place_m, features) for sign, place_m in features.signs),
        ),
        counts={kind: features.counts[kind] for kind in FEATURE_KINDS},
        lost=tuple(lost),
    )


def _collect(map_features: Sequence[Any], origin_m: Float64[np.ndarray, "2"], *, where: str) -> _Features:
    if len(map_features) > MOST_FEATURES:
        raise LayoutError(f"at most {MOST_FEATURES:,} map features", found=f"{len(map_features):,}", where=where)
    features = _Features()
    seen: set[int] = set()
    for idx, feature in enumerate(map_features):
        at = f"{where}: map_features[{idx}], id {feature.id}"
        if feature.id in seen:
            raise LayoutError("unique ids of map features", found=f"{feature.id} twice", where=at)
        seen.add(feature.id)
        kind = next((name for name in FEATURE_KINDS if feature.HasField(name)), None)
        if kind is None:
            features.left_out["none that is known"] += 1
            continue
        features.counts[kind] += 1
        _add(features, kind, feature.id, getattr(feature, kind), origin_m, where=at)
    return features


def _add(
    features: _Features, kind: str, name: int, content: Any, origin_m: Float64[np.ndarray, "2"], *, where: str
) -> None:
    if kind == "stop_sign":
        features.signs.append((content, _points([content.position], origin_m, where=where)))
        return
    is_area = kind in ("crosswalk", "driveway", "speed_bump")
    points_m = _points(content.polygon if is_area else content.polyline, origin_m, where=where)
    points_m = open_ring(points_m) if is_area else _without_repeats(points_m)
    features.num_points += len(points_m)
    if features.num_points > MOST_POINTS:
        raise LayoutError(f"a map of at most {MOST_POINTS:,} points", found="more", where=where)
    if len(points_m) < (3 if is_area else 2):
        features.left_out[kind] += 1
    elif kind == "lane":
        features.lanes[name] = (content, points_m)
    elif kind == "road_line":
        features.lines[name] = (content.type, points_m)
    elif kind == "road_edge":
        features.edges[name] = points_m
        if content.type == OUTER_EDGE:
            features.outer_edges.append(points_m)
    elif kind in features.areas:
        features.areas[kind].append(points_m)


def _points(points: Sequence[Any], origin_m: Float64[np.ndarray, "2"], *, where: str) -> Points:
    points_m = np.array([(point.x, point.y) for point in points], np.float64).reshape(-1, 2)
    require_plausible(points_m, name="coordinates", where=where)
    return points_m - origin_m


def _without_repeats(points_m: Points) -> Points:
    """Drop points that repeat the one before."""
    moved = np.linalg.norm(np.diff(points_m, axis=0), axis=1) > 1e-6
    return points_m[np.concatenate([[True], moved])] if len(points_m) else points_m


def _sides_of(lane: Any, points_m: Points, features: _Features) -> tuple[float | None, float | None]:
    """Measure the distance to the left and to the right boundary; None where the file names none nearby."""
    from shapely import LineString, distance, points

    sides: list[float | None] = []
    for boundaries in (lane.left_boundaries, lane.right_boundaries):
        found = []
        for boundary in boundaries[:MOST_BOUNDARIES]:
            name = boundary.boundary_feature_id
            line_m = features.lines[name][1] if name in features.lines else features.edges.get(name)
            beside_m = points_m[max(0, boundary.lane_start_index) : max(0, boundary.lane_end_index + 1)]
            if line_m is not None and len(beside_m):
                sampled = np.linspace(0, len(beside_m) - 1, min(len(beside_m), SAMPLES)).astype(np.int64)
                found.append(distance(points(beside_m[sampled]), LineString(line_m)))
        distances_m = np.concatenate([np.zeros(0), *found])
        distances_m = distances_m[distances_m <= MOST_BESIDE_M]
        sides.append(float(np.median(distances_m)) if len(distances_m) else None)
    return sides[0], sides[1]


def _lanes_of(
    features: _Features, sides_m: dict[int, tuple[float | None, float | None]]
) -> tuple[tuple[Lane, ...], list[BaseGeometry]]:
    """Build lanes, and the surface that each one covers."""
    kind_of = {name: "bike" if lane.type == BIKE_LANE else "vehicle" for name, (lane, _) in features.lanes.items()}
    least_m, most_m = PLAUSIBLE_WIDTH_M
    measured_m: dict[int, float] = {}
    for name, (left_m, right_m) in sides_m.items():
        if left_m is not None and right_m is not None and least_m <= left_m + right_m <= most_m:
            measured_m[name] = left_m + right_m
    typical_m = dict(NOMINAL_WIDTH_M)
    for kind in typical_m:
        alike_m = [width_m for name, width_m in measured_m.items() if kind_of[name] == kind]
        typical_m[kind] = float(np.median(alike_m)) if alike_m else typical_m[kind]
    lanes, surfaces = [], []
    for name, (lane, points_m) in features.lanes.items():
        kind = kind_of[name]
        width_m = measured_m.get(name, typical_m[kind])
        limit_mps = lane.speed_limit_mph * MPS_OF_MPH
        lanes.append(
            Lane(
                lane_id=str(name),
                centerline_world_m=flat(points_m),
                width_m=width_m,
                kind=kind,
                is_intersection=lane.interpolating,
                speed_limit_mps=limit_mps if 0.0 < limit_mps < 70.0 else None,
            )
        )
        left_m, right_m = sides_m[name]
        surfaces.append(_surface(points_m, max(left_m or 0.0, width_m / 2.0), max(right_m or 0.0, width_m / 2.0)))
    return tuple(lanes), surfaces


def _surface(points_m: Points, left_m: float, right_m: float) -> BaseGeometry:
    from shapely import LineString, union_all

    line = LineString(points_m)
    return union_all([line.buffer(left_m, single_sided=True), line.buffer(-right_m, single_sided=True)])


def _drivable(surfaces: list[BaseGeometry], features: _Features) -> list[Area]:
    """Unite surfaces and driveways, gaps closed, slivers left out."""
    from shapely import Polygon, get_coordinates, get_parts, make_valid, simplify, union_all

    driveways = [make_valid(Polygon(ring_m)) for ring_m in features.areas["driveway"]]
    lanes = union_all([*surfaces, *driveways]).buffer(CLOSED_M).buffer(-CLOSED_M)
    road = simplify(union_all([lanes, *_beside_edges(lanes, features.outer_edges)]), 0.02)
    return [
        Area(
            kind="drivable",
            polygon_world_m=open_ring(get_coordinates(part.exterior)),
            holes_world_m=tuple(open_ring(get_coordinates(hole)) for hole in part.interiors),
        )
        for part in get_parts(road)
        if part.geom_type == "Polygon" and part.area >= SMALLEST_AREA_M2
    ]


def _beside_edges(lanes: BaseGeometry, edges_m: list[Points]) -> list[BaseGeometry]:
    """Return what lies between lanes and outer road edges nearby, and touches both."""
    from shapely import LineString, get_parts, union_all

    if not edges_m:
        return []
    edges = union_all([LineString(points_m) for points_m in edges_m])
    reached = union_all([lanes, edges.buffer(0.05)]).buffer(EDGE_CLOSED_M).buffer(-EDGE_CLOSED_M)
    between = (reached - lanes).buffer(-0.1).buffer(0.15)
    touched = edges.buffer(0.1)
    return [part for part in get_parts(between) if part.intersects(touched) and part.intersects(lanes)]


def _sign(sign: Any, place_m: Points, features: _Features) -> Prop:
    """Turn a stop sign against the nearest of the lanes that it is for; without one, it faces south."""
    best: tuple[float, float] | None = None
    for name in sign.lane:
        if name not in features.lanes:
            continue
        points_m = features.lanes[name][1]
        idx = min(int(np.argmin(np.linalg.norm(points_m - place_m, axis=1))), len(points_m) - 2)
        way_m = points_m[idx + 1] - points_m[idx]
        distance_m = float(np.linalg.norm(points_m[idx] - place_m))
        if best is None or distance_m < best[0]:
            best = (distance_m, float(np.arctan2(-way_m[1], -way_m[0])))
    return Prop(kind="sign", position_world_m=place_m[0], heading_rad=-np.pi / 2 if best is None else best[1])
