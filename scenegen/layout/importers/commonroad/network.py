"""The lanelets of a CommonRoad file, what is painted along them, and which goes on into which."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.commonroad.values import points_of
from scenegen.layout.importers.lanelets import LARGEST_GAP_M, Lanelet
from scenegen.layout.importers.line_joining import join_lines
from scenegen.layout.importers.xml_file import XmlElement
from scenegen.layout.roads import flat
from scenegen.types.layout import LaneLine

LANE_OF_TYPE: dict[str, tuple[str | None, str | None]] = {
    **dict.fromkeys(
        ("urban", "interstate", "country", "highway", "driveWay", "mainCarriageWay", "accessRamp", "exitRamp",
         "intersection", "unknown"),
        ("drivable", "vehicle"),
    ),
    "busLane": ("drivable", "bus"),
    "bicycleLane": ("drivable", "bike"),
    "shoulder": ("drivable", None),
    "border": ("grass", None),
    "parking": ("parking", None),
    "sidewalk": ("sidewalk", None),
    "crosswalk": ("crossing", None),
}  # fmt: skip
"""Kind of ground and of lane. Of several types the first that is not plain road decides."""
PLAIN = frozenset({"vehicle"})
WALKERS = frozenset({"pedestrian"})
RIDERS = frozenset({"bicycle", "pedestrian"})
LINE_OF_MARKING = {
    "solid": ("solid", 0.15),
    "dashed": ("dashed", 0.15),
    "broad_solid": ("solid", 0.3),
    "broad_dashed": ("dashed", 0.3),
    "solid_solid": ("double_solid", 0.15),
    "solid_dashed": ("solid", 0.15),
    "dashed_solid": ("solid", 0.15),
    "dashed_dashed": ("dashed", 0.15),
}
NOT_PAINTED = frozenset({"no_marking", "unknown", "curb", "lowered_curb"})
SAME_LINE_M = 0.35
"""Neighbours each have the line between them; lines as near as this are one."""
STOP_LINE_M = 0.4
LINK_TAGS = ("predecessor", "successor", "adjacentLeft", "adjacentRight")


@dataclass(frozen=True, kw_only=True)
class Network:
    """Lanelets by id, links between them, and painted lines, frame of the file.

    Attributes:
        following: lanelets that go on from each lanelet.
        beside: neighbours to the left and right in the same direction.
        elements: where each lanelet is in the file.
    """

    lanelets: dict[str, Lanelet]
    following: dict[str, tuple[str, ...]]
    beside: dict[str, tuple[str, ...]]
    elements: dict[str, XmlElement]
    lines: tuple[LaneLine, ...]
    types: Counter[str]
    lost: Counter[str]


def read_network(root: XmlElement, limits_mps: dict[str, float], crossing: set[str]) -> Network:
    """Read all lanelets.

    Args:
        root: of the file.
        limits_mps: speed limits by traffic signs, by lanelet.
        crossing: lanelets of intersections.

    Raises:
        LayoutError: an id is missing, twice or referred to in vain, or a bound has no line.
    """
    elements: dict[str, XmlElement] = {}
    for element in root.all("lanelet"):
        name = element.word("id")
        if name in elements:
            element.fail("an id that is used once", repr(name))
        elements[name] = element
    if not elements:
        root.fail("at least one <lanelet>", "none")
    types: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    lanelets = {
        name: _lanelet(element, name, limits_mps.get(name), name in crossing, types)
        for name, element in elements.items()
    }
    following, beside = _links(elements, lanelets, lost)
    return Network(
        lanelets=lanelets,
        following=following,
        beside=beside,
        elements=elements,
        lines=tuple(join_lines(_lines(elements, lanelets, lost))),
        types=types,
        lost=lost,
    )


def _lanelet(
    element: XmlElement, name: str, limit_mps: float | None, is_intersection: bool, types: Counter[str]
) -> Lanelet:
    left_m = points_of(element.one("leftBound"), at_least=2)
    right_m = points_of(element.one("rightBound"), at_least=2)
    if len(left_m) != len(right_m):
        element.fail("bounds of the same number of points", f"{len(left_m)} and {len(right_m)}")
    kinds = []
    for kind in element.all("laneletType"):
        word = kind.text_word()
        if word not in LANE_OF_TYPE:
            kind.fail(f"a type out of {', '.join(LANE_OF_TYPE)}", repr(word))
        kinds.append(word)
        types[word] += 1
    ground, lane_kind = next(
        (LANE_OF_TYPE[word] for word in kinds if LANE_OF_TYPE[word][1] not in PLAIN), ("drivable", "vehicle")
    )
    users = {user.text_word() for tag in ("userOneWay", "userBidirectional") for user in element.all(tag)}
    if users and lane_kind == "vehicle" and users <= RIDERS:
        ground, lane_kind = ("sidewalk", None) if users <= WALKERS else ("drivable", "bike")
    stated = element.first("speedLimit")
    if stated is not None:
        limit_mps = stated.text_number()
    if limit_mps is not None and limit_mps <= 0.0:
        (stated or element).fail("a positive speed limit", f"{limit_mps:g}")
    return Lanelet(
        lanelet_id=name,
        left_m=left_m,
        right_m=right_m,
        ground=ground,
        lane_kind=lane_kind,
        limit_mps=limit_mps,
        is_intersection=is_intersection or "intersection" in kinds,
        is_two_way=False,
        where=element.where,
    )


def _links(
    elements: dict[str, XmlElement], lanelets: dict[str, Lanelet], lost: Counter[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Read successors and predecessors, from both sides, and neighbours in the same direction."""
    following: dict[str, dict[str, None]] = {name: {} for name in elements}
    beside: dict[str, list[str]] = {name: [] for name in elements}
    for name, element in elements.items():
        for link in element.children:
            if link.tag not in LINK_TAGS:
                continue
            other = link.word("ref")
            if other not in elements or other == name:
                link.fail("another lanelet of the file", repr(other))
            if link.tag in ("adjacentLeft", "adjacentRight"):
                if link.word("drivingDir") == "same":
                    beside[name].append(other)
                continue
            before, after = (name, other) if link.tag == "successor" else (other, name)
            gap_m = np.linalg.norm(lanelets[before].centerline_m[-1] - lanelets[after].centerline_m[0])
            if float(gap_m) > LARGEST_GAP_M:
                lost[f"lanelet links between lanelets that are more than {LARGEST_GAP_M:g} m apart"] += 1
            else:
                following[before][after] = None
    return (
        {name: tuple(others) for name, others in following.items()},
        {name: tuple(others) for name, others in beside.items()},
    )


def _lines(elements: dict[str, XmlElement], lanelets: dict[str, Lanelet], lost: Counter[str]) -> list[LaneLine]:
    """Paint the bounds that have a marking, shared ones once, and stop lines."""
    painted: list[LaneLine] = []
    for name, element in elements.items():
        lanelet = lanelets[name]
        for bound, points_m in (("leftBound", lanelet.left_m), ("rightBound", lanelet.right_m)):
            marking = element.one(bound).first("lineMarking")
            word = marking.text_word() if marking is not None else "no_marking"
            if word in NOT_PAINTED:
                continue
            if marking is not None and word not in LINE_OF_MARKING:
                marking.fail(f"a marking out of {', '.join(LINE_OF_MARKING)}", repr(word))
            kind, width_m = LINE_OF_MARKING[word]
            painted.append(LaneLine(points_world_m=flat(points_m), kind=kind, width_m=width_m))
        stop = element.first("stopLine")
        if stop is not None:
            ends_m = np.stack([lanelet.left_m[-1], lanelet.right_m[-1]])
            if stop.all("point"):
                ends_m = points_of(stop, at_least=2)
            painted.append(LaneLine(points_world_m=flat(ends_m), width_m=STOP_LINE_M))
    return _once(painted)


def _once(painted: list[LaneLine]) -> list[LaneLine]:
    """Leave out lines that lie on an earlier one; of a solid and a dashed one the solid one stays."""
    import shapely

    order = sorted(range(len(painted)), key=lambda idx: (painted[idx].kind == "dashed", idx))
    shapes = [shapely.LineString(painted[idx].points_world_m[:, :2]) for idx in range(len(painted))]
    tree = shapely.STRtree(shapes)
    dropped: set[int] = set()
    done: set[int] = set()
    for idx in order:
        if idx in dropped:
            continue
        done.add(idx)
        for other in tree.query(shapes[idx].buffer(SAME_LINE_M), predicate="contains").tolist():
            if other not in done and other != idx and _runs_along(painted[idx], painted[other]):
                dropped.add(other)
    return [line for idx, line in enumerate(painted) if idx not in dropped]


def _runs_along(line: LaneLine, other: LaneLine) -> bool:
    return _reach_m(other.points_world_m) > 2.0 * SAME_LINE_M and line.width_m < STOP_LINE_M > other.width_m


def _reach_m(points_m: Float64[np.ndarray, "N 3"]) -> float:
    return float(np.ptp(points_m, axis=0).max())
