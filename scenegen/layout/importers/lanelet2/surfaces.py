"""Lanelets and areas of a Lanelet2 map, and which lanelet goes on into which.

Bounds are turned so that the left one lies to the left of the right one, as Lanelet2 does. A lanelet follows another
where both of its bounds begin at the nodes at which the other's end; those that are not one-way do so both ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.lanelet2.primitives import Primitives, Relation, Way, length_of, rings_of
from scenegen.layout.importers.lanelets import Lanelet, RouteKey
from scenegen.layout.importers.source_tracks import open_ring
from scenegen.types.layout import Area

SURFACE_OF_SUBTYPE: dict[str, tuple[str | None, str | None]] = {
    "road": ("drivable", "vehicle"),
    "highway": ("drivable", "vehicle"),
    "play_street": ("drivable", "vehicle"),
    "road_shoulder": ("drivable", None),
    "exit": ("drivable", "vehicle"),
    "emergency_lane": ("drivable", None),
    "bus_lane": ("drivable", "bus"),
    "bicycle_lane": ("drivable", "bike"),
    "crosswalk": ("crossing", None),
    "walkway": ("sidewalk", None),
    "shared_walkway": ("sidewalk", None),
    "stairs": ("sidewalk", None),
    "rail": ("drivable", None),
}
"""Ground and kind of lane."""
AREA_OF_SUBTYPE = {
    "parking": "parking",
    "freespace": "drivable",
    "exit": "drivable",
    "keepout": "drivable",
    "vegetation": "grass",
    "walkway": "sidewalk",
    "traffic_island": "sidewalk",
    "building": "building",
}
"""Traffic islands are raised; what may not be driven on (`keepout`) is painted road."""
USUALLY_BOTH_WAYS = frozenset({"crosswalk", "walkway", "shared_walkway", "stairs"})
BUILDING_HEIGHT_M = 9.0
EndNodes = tuple[str, str]
"""First or last nodes of the left and the right bound."""


def read_lanelets(
    primitives: Primitives,
    limits_mps: Mapping[str, float],
    own_limits_mps: Mapping[str, float],
    lost: Counter[str],
) -> tuple[dict[str, Lanelet], dict[RouteKey, tuple[RouteKey, ...]]]:
    """Return lanelets by id, and what follows each of them in either direction.

    Args:
        primitives: of the file.
        limits_mps: speed limits by regulatory element.
        own_limits_mps: speed limits by lanelet, of those that state one.
        lost: counts of what is left out.

    Raises:
        LayoutError: a lanelet has not exactly one left and one right bound, each a line, or there are none.
    """
    lanelets: dict[str, Lanelet] = {}
    begins: dict[EndNodes, list[RouteKey]] = {}
    ends: dict[RouteKey, EndNodes] = {}
    for name, relation in primitives.relations.items():
        if relation.kind != "lanelet":
            continue
        left, right = (_bound(relation, side) for side in ("left", "right"))
        (left_m, left_nodes), (right_m, right_nodes) = _aligned(left, right)
        refers = relation.relations.get("regulatory_element", ())
        limits = (
            [own_limits_mps[name]] if name in own_limits_mps else [limits_mps[r] for r in refers if r in limits_mps]
        )
        lanelet = _lanelet(relation, left_m, right_m, min(limits, default=None), lost)
        lanelets[name] = lanelet
        start, end = (left_nodes[0], right_nodes[0]), (left_nodes[-1], right_nodes[-1])
        begins.setdefault(start, []).append((name, False))
        ends[name, False] = end
        if lanelet.is_two_way:
            begins.setdefault(end[::-1], []).append((name, True))
            ends[name, True] = start[::-1]
    following = {key: tuple(other for other in begins.get(end, ()) if other[0] != key[0]) for key, end in ends.items()}
    return lanelets, following


def _bound(relation: Relation, side: str) -> Way:
    ways = relation.ways.get(side, ())
    if len(ways) != 1:
        relation.element.fail(f"one way as {side}", f"{len(ways)}")
    if len(ways[0].nodes) < 2 or not length_of(ways[0].points_m) > 1e-6:
        ways[0].element.fail("a line of at least two places", "a point")
    return ways[0]


def _aligned(
    left: Way, right: Way
) -> tuple[tuple[Float64[np.ndarray, "N 2"], tuple[str, ...]], tuple[Float64[np.ndarray, "M 2"], tuple[str, ...]]]:
    """Turn bounds so that the right one lies to the right of the left one, and the left one to the left of that."""
    left_m, left_nodes, right_m, right_nodes = left.points_m, left.nodes, right.points_m, right.nodes
    if _side_of(left_m, _middle(right_m)) > 0.0:
        left_m, left_nodes = left_m[::-1], left_nodes[::-1]
    if _side_of(right_m, _middle(left_m)) < 0.0:
        right_m, right_nodes = right_m[::-1], right_nodes[::-1]
    return (left_m, left_nodes), (right_m, right_nodes)


def _middle(line_m: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "2"]:
    return np.asarray(line_m[len(line_m) // 2] if len(line_m) > 2 else line_m.mean(axis=0))


def _side_of(line_m: Float64[np.ndarray, "N 2"], point_m: Float64[np.ndarray, "2"]) -> float:
    """Return on which side of a line's nearest piece a point lies: positive to the left."""
    way_m = np.diff(line_m, axis=0)
    from_m = point_m - line_m[:-1]
    share = np.clip((from_m * way_m).sum(axis=1) / np.maximum((way_m**2).sum(axis=1), 1e-12), 0.0, 1.0)
    apart_m = np.linalg.norm(from_m - share[:, None] * way_m, axis=1)
    idx = int(np.argmin(apart_m))
    return float(way_m[idx, 0] * from_m[idx, 1] - way_m[idx, 1] * from_m[idx, 0])


def _lanelet(
    relation: Relation,
    left_m: Float64[np.ndarray, "N 2"],
    right_m: Float64[np.ndarray, "M 2"],
    limit_mps: float | None,
    lost: Counter[str],
) -> Lanelet:
    tags, subtype = relation.tags, relation.subtype
    ground, lane_kind = SURFACE_OF_SUBTYPE.get(subtype, (None, None))
    if subtype not in SURFACE_OF_SUBTYPE:
        lost[f"lanelets of subtype {subtype!r}"] += 1
    elif subtype == "rail":
        lost["rails of lanelets of subtype 'rail', which are road"] += 1
    if lane_kind == "vehicle" and _says(tags, "participant:vehicle", "no"):
        ground, lane_kind = ("drivable", "bike") if _says(tags, "participant:bicycle", "yes") else ("sidewalk", None)
    one_way = tags.get("one_way", "no" if subtype in USUALLY_BOTH_WAYS else "yes")
    return Lanelet(
        lanelet_id=relation.relation_id,
        left_m=left_m,
        right_m=right_m,
        ground=ground,
        lane_kind=lane_kind,
        limit_mps=limit_mps,
        is_intersection="turn_direction" in tags,
        is_two_way=one_way in ("no", "false") and lane_kind is not None,
        where=relation.element.where,
    )


def _says(tags: Mapping[str, str], key: str, value: str) -> bool:
    return tags.get(key) == value


def read_areas(primitives: Primitives, lost: Counter[str]) -> list[Area]:
    """Return the areas of the map; those that are ground are cut to each other later.

    Raises:
        LayoutError: an area's ways do not close, or it has no outer ring.
    """
    areas = []
    for relation in primitives.relations.values():
        if relation.kind != "multipolygon":
            continue
        kind = AREA_OF_SUBTYPE.get(relation.subtype)
        outer = rings_of(relation, "outer")
        if not outer:
            relation.element.fail("at least one outer way", "none")
        if kind is None:
            lost[f"areas of subtype {relation.subtype!r}"] += 1
            continue
        inner = tuple(open_ring(ring_m) for ring_m in rings_of(relation, "inner"))
        height_m = BUILDING_HEIGHT_M if kind == "building" else 0.0
        areas += [
            Area(kind=kind, polygon_world_m=open_ring(ring_m), holes_world_m=inner, height_m=height_m)
            for ring_m in outer
        ]
    return areas
