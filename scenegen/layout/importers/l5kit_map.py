"""The semantic map of the L5Kit data set, around the ego's way.

* A lane comes as two boundaries in a local frame (east, north, up at a place, turned by a bearing), centimetres; its
  centre line is their mean at equal shares of their lengths, its width the median distance between them there. It runs
  so that its left boundary is on the left.
* The drivable area is the surface of all lanes, gaps of up to a metre (painted lines are not part of it) closed.
* A divider that two lanes share is painted once; where its type changes along a boundary, so does the paint.
* The data set's `meta.json` says where its world is on Earth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import invert_rigid
from scenegen.layout.importers.earth import ecef_from_enu
from scenegen.layout.importers.l5kit_message import parse_map
from scenegen.layout.importers.protobuf_schema import require_few_fields
from scenegen.layout.importers.source_agents import OwnCar
from scenegen.layout.importers.source_tracks import open_ring, path_length_m, require_plausible
from scenegen.layout.importers.zarr2_table import read_json_object
from scenegen.layout.roads import flat
from scenegen.types import Area, Lane, LaneLine, RoadMap

LARGEST_MAP, MOST_ELEMENTS = 16 * 2**20, 100_000
NEAR_M, FAR_M = 150.0, 1_000.0
"""Elements within this distance of the ego's way are kept; beyond the second, a first point is not looked at closer."""
ORTHONORMAL = 1e-3
CENTERLINE_STEP_M = 2.0
CLOSED_M = 0.5
SAME_LINE_M = 0.6
SMALLEST_AREA_M2 = 1.0
LANE_KIND_OF_ACCESS = {3: "bus", 4: "bike"}
LINE_OF_DIVIDER = {
    2: ("solid", "yellow"),
    3: ("solid", "white"),
    4: ("dashed", "yellow"),
    5: ("dashed", "white"),
    6: ("double_solid", "yellow"),
    7: ("double_solid", "white"),
    8: ("solid", "yellow"),
    9: ("solid", "yellow"),
}
"""Divider types by their numbers; the last two are solid on one side. Kerbs and unknown ones are not painted."""
Points = Float64[np.ndarray, "N 2"]


@dataclass(frozen=True, kw_only=True)
class L5KitMap:
    """Roads near the ego's way, how many of each kind, and what is lost."""

    road_map: RoadMap
    counts: dict[str, int]
    lost: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """Boundaries of a lane in the file's order, its message, and whether that order is against its direction."""

    name: str
    message: Any
    left_m: Points
    right_m: Points
    is_against: bool


class _Frames:
    """Local frames of many elements in the world: points come out there, moved to the layout's origin."""

    def __init__(
        self,
        frames: Sequence[Any],
        world_from_ecef: Float64[np.ndarray, "4 4"],
        origin_m: Float64[np.ndarray, "2"],
        *,
        where: str,
    ) -> None:
        latitude_deg = np.array([frame.origin.lat_e7 * 1e-7 for frame in frames], np.float64)
        longitude_deg = np.array([frame.origin.lng_e7 * 1e-7 for frame in frames], np.float64)
        turn = np.radians(np.array([frame.bearing_degrees for frame in frames], np.float64))
        is_place = (np.abs(latitude_deg) <= 90.0) & (np.abs(longitude_deg) <= 180.0) & np.isfinite(turn)
        if not is_place.all():
            raise LayoutError(
                "frames at a latitude, a longitude and a bearing",
                found=f"{frames[int(np.argmin(is_place))]!s:.100}",
                where=where,
            )
        local = np.tile(np.eye(4), (len(frames), 1, 1))
        local[:, 0, 0] = local[:, 1, 1] = np.cos(turn)
        local[:, 0, 1], local[:, 1, 0] = np.sin(turn), -np.sin(turn)
        self._world_from_local = world_from_ecef @ ecef_from_enu(latitude_deg, longitude_deg) @ local
        self._origin_m = origin_m

    def points(self, idx: int, x_cm: Sequence[int], y_cm: Sequence[int], *, where: str) -> Points:
        """Sum up deltas and bring them into the world."""
        if len(x_cm) != len(y_cm):
            raise LayoutError("as many x as y", found=f"{len(x_cm)} and {len(y_cm)}", where=where)
        local_m = np.cumsum(np.array([x_cm, y_cm], np.float64), axis=1).T * 0.01
        require_plausible(local_m.reshape(-1, 2), name="coordinates", where=where)
        matrix = self._world_from_local[idx]
        return local_m @ matrix[:2, :2].T + matrix[:2, 3] - self._origin_m


def read_world_from_ecef(path: Path) -> Float64[np.ndarray, "4 4"]:
    """Read where the data set's world is on Earth, from its `meta.json`.

    Raises:
        LayoutError: there is no such matrix, or it is no rigid transform.
    """
    ecef_from_world = read_json_object(path).numbers("world_to_ecef", (4, 4))
    off = np.abs(ecef_from_world[:3, :3] @ ecef_from_world[:3, :3].T - np.eye(3)).max()
    is_rigid = off < ORTHONORMAL and np.linalg.det(ecef_from_world[:3, :3]) > 0.0
    if not is_rigid or np.abs(ecef_from_world[3] - [0.0, 0.0, 0.0, 1.0]).max() > ORTHONORMAL:
        raise LayoutError("a rigid transform", found=f"one that is {off:.3g} off", where=f"{path}: world_to_ecef")
    return invert_rigid(ecef_from_world)


def read_l5kit_map(path: Path, *, world_from_ecef: Float64[np.ndarray, "4 4"], own: OwnCar) -> L5KitMap:
    """Read `semantic_map.pb` around the ego's way.

    Raises:
        LayoutError: the file is damaged, too large, or no such map; the element is named.
        DependencyError: protobuf or pyproj is not installed.
    """
    if path.stat().st_size > LARGEST_MAP:
        raise LayoutError(f"a map of at most {LARGEST_MAP:,} bytes", found=f"{path.stat().st_size:,}", where=str(path))
    packed = path.read_bytes()
    require_few_fields(packed, MOST_ELEMENTS, expected="a MapFragment message", where=str(path))
    fragment = parse_map(packed, where=str(path))
    counts: Counter[str] = Counter()
    lane_elements, crossing_elements, limits, junctions = [], [], {}, set()
    for element in fragment.elements:
        content = element.element
        if content.HasField("lane"):
            lane_elements.append(element)
        elif content.HasField("segment"):
            limits[element.id.id] = content.segment.speed_limit_meters_per_second
        elif content.HasField("junction"):
            junctions.add(element.id.id)
        elif content.traffic_control_element.HasField("pedestrian_crosswalk"):
            crossing_elements.append(element)
        elif content.HasField("traffic_control_element"):
            counts["other traffic control elements"] += 1
    near = _Near(own)
    sides = _lanes_nearby(lane_elements, world_from_ecef, own, near, where=str(path))
    crossings_m = _crossings_nearby(crossing_elements, world_from_ecef, own, near, where=str(path))
    lanes = tuple(_lane_of(lane, limits, junctions) for lane in sides)
    return L5KitMap(
        road_map=RoadMap(
            lanes=lanes,
            lane_lines=_lines_of(sides),
            areas=(
                *_drivable(sides),
                *(Area(kind="crossing", polygon_world_m=ring_m) for ring_m in crossings_m),
            ),
        ),
        counts={"map lanes nearby": len(lanes), "map crossings nearby": len(crossings_m)},
        lost=(f"of the map: {counts['other traffic control elements']} lights, signs, stop lines and humps",),
    )


class _Near:
    """Is a point near the ego's way?"""

    def __init__(self, own: OwnCar) -> None:
        from scipy.spatial import cKDTree

        self._tree = cKDTree(own.ego.position_world_m[:, :2])

    def within(self, points_m: Points, distance_m: float) -> bool:
        return bool((self._tree.query(points_m)[0] <= distance_m).any())


def _lanes_nearby(
    elements: Sequence[Any], world_from_ecef: Float64[np.ndarray, "4 4"], own: OwnCar, near: _Near, *, where: str
) -> list[_Sides]:
    geo_frames = [element.element.lane.geo_frame for element in elements]
    frames = _Frames(geo_frames, world_from_ecef, own.origin_source_m, where=f"{where}: lanes")
    found = []
    for idx, element in enumerate(elements):
        lane = element.element.lane
        name = element.id.id.decode(errors="replace")
        at = f"{where}: lane {name!r:.40}"
        sides = []
        for boundary in (lane.left_boundary, lane.right_boundary):
            x_cm, y_cm = boundary.vertex_deltas_x_cm, boundary.vertex_deltas_y_cm
            if len(x_cm) < 2 or not near.within(frames.points(idx, x_cm[:1], y_cm[:1], where=at), FAR_M):
                break
            sides.append(frames.points(idx, x_cm, y_cm, where=at))
        if len(sides) == 2 and near.within(np.concatenate(sides), NEAR_M) and min(map(path_length_m, sides)) > 0.0:
            left_m, right_m = sides
            is_against = _is_against(left_m, right_m)
            found.append(_Sides(name=name, message=lane, left_m=left_m, right_m=right_m, is_against=is_against))
    return found


def _is_against(left_m: Points, right_m: Points) -> bool:
    """Tell whether boundaries run against the lane: then the left one is on the right."""
    way_m = (left_m[-1] + right_m[-1]) / 2.0 - (left_m[0] + right_m[0]) / 2.0
    across_m = (left_m[0] + left_m[-1]) / 2.0 - (right_m[0] + right_m[-1]) / 2.0
    return bool(way_m[0] * across_m[1] - way_m[1] * across_m[0] < 0.0)


def _lane_of(sides: _Sides, limits: dict[bytes, float], junctions: set[bytes]) -> Lane:
    longest_m = max(path_length_m(sides.left_m), path_length_m(sides.right_m))
    count = max(2, len(sides.left_m), len(sides.right_m), int(np.ceil(longest_m / CENTERLINE_STEP_M)) + 1)
    left_m, right_m = (_resample(points_m, count) for points_m in (sides.left_m, sides.right_m))
    parent = sides.message.parent_segment_or_junction.id
    limit_mps = limits.get(parent, 0.0)
    return Lane(
        lane_id=sides.name,
        centerline_world_m=flat(np.ascontiguousarray(((left_m + right_m) / 2.0)[:: -1 if sides.is_against else 1])),
        width_m=float(np.median(np.linalg.norm(left_m - right_m, axis=1))),
        kind=LANE_KIND_OF_ACCESS.get(sides.message.access_restriction.type, "vehicle"),
        is_intersection=parent in junctions,
        speed_limit_mps=float(limit_mps) if 0.0 < limit_mps < 70.0 else None,
    )


def _resample(points_m: Points, count: int) -> Points:
    """Place points at equal distances along a polyline."""
    along_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_m, axis=0), axis=1))])
    wanted_m = np.linspace(0.0, along_m[-1], count)
    return np.column_stack([np.interp(wanted_m, along_m, points_m[:, axis]) for axis in (0, 1)])


def _lines_of(lanes: Sequence[_Sides]) -> tuple[LaneLine, ...]:
    """Paint dividers, each once."""
    import shapely

    lines: list[LaneLine] = []
    painted: list[Any] = []
    for lane in lanes:
        left, right = lane.message.left_boundary, lane.message.right_boundary
        for points_m, boundary in ((lane.left_m, left), (lane.right_m, right)):
            for piece_m, divider in _pieces(points_m, boundary):
                if divider not in LINE_OF_DIVIDER:
                    continue
                line = shapely.LineString(piece_m)
                if painted and shapely.covers(np.array(painted), line).any():
                    continue
                painted.append(line.buffer(SAME_LINE_M))
                kind, color = LINE_OF_DIVIDER[divider]
                lines.append(LaneLine(points_world_m=flat(piece_m), kind=kind, color=color))
    return tuple(lines)


def _pieces(points_m: Points, boundary: Any) -> list[tuple[Points, int]]:
    """Cut a boundary where its type changes; distances count from its first point in the file's order."""
    types = list(boundary.divider_type)
    changes_m = [change * 0.01 for change in boundary.type_change_point_cm]
    length_m = path_length_m(points_m)
    if len(types) != len(changes_m) + 1 or not all(0.0 < change < length_m for change in changes_m):
        return [(points_m, types[0])] if types else []
    along_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_m, axis=0), axis=1))])
    ends_m = [0.0, *sorted(changes_m), length_m]
    pieces = []
    for kind, begin_m, end_m in zip(types, ends_m, ends_m[1:], strict=False):
        inner = along_m[(along_m > begin_m) & (along_m < end_m)]
        at_m = np.array([begin_m, *inner, end_m])
        pieces.append((np.column_stack([np.interp(at_m, along_m, points_m[:, axis]) for axis in (0, 1)]), kind))
    return pieces


def _crossings_nearby(
    elements: Sequence[Any], world_from_ecef: Float64[np.ndarray, "4 4"], own: OwnCar, near: _Near, *, where: str
) -> list[Points]:
    contents = [element.element.traffic_control_element for element in elements]
    geo_frames = [content.geo_frame for content in contents]
    frames = _Frames(geo_frames, world_from_ecef, own.origin_source_m, where=f"{where}: crosswalks")
    rings_m = []
    for idx, (element, content) in enumerate(zip(elements, contents, strict=True)):
        at = f"{where}: crosswalk {element.id.id.decode(errors='replace')!r:.40}"
        ring_m = open_ring(frames.points(idx, content.points_x_deltas_cm, content.points_y_deltas_cm, where=at))
        if len(ring_m) >= 3 and near.within(ring_m, NEAR_M):
            rings_m.append(ring_m)
    return rings_m


def _drivable(lanes: Sequence[_Sides]) -> list[Area]:
    import shapely

    rings = [shapely.make_valid(shapely.Polygon(np.concatenate([lane.left_m, lane.right_m[::-1]]))) for lane in lanes]
    closed = shapely.simplify(shapely.union_all(rings).buffer(CLOSED_M).buffer(-CLOSED_M), 0.02)
    return [
        Area(
            kind="drivable",
            polygon_world_m=open_ring(shapely.get_coordinates(part.exterior)),
            holes_world_m=tuple(open_ring(shapely.get_coordinates(hole)) for hole in part.interiors),
        )
        for part in shapely.get_parts(closed)
        if part.geom_type == "Polygon" and part.area >= SMALLEST_AREA_M2
    ]
