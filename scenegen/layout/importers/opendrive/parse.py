"""From the elements of an OpenDRIVE file to its roads and junctions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scenegen.errors import LayoutError
from scenegen.layout.importers.opendrive.format import (
    Connection,
    Cubic,
    LaneSection,
    OdrLane,
    OpenDrive,
    PlanPiece,
    Road,
    RoadLink,
    RoadMark,
)
from scenegen.layout.importers.opendrive.parse_objects import parse_object, parse_signal
from scenegen.layout.importers.xml_file import XmlElement, read_xml

PLAN_NUMBERS = {
    "line": (),
    "arc": ("curvature",),
    "spiral": ("curvStart", "curvEnd"),
    "poly3": ("a", "b", "c", "d"),
    "paramPoly3": ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV"),
}
SPEED_UNITS = {"m/s": 1.0, "km/h": 1.0 / 3.6, "mph": 0.44704}
BOLD_M, USUAL_MARK_M = 0.25, 0.12
RAISED_M = 0.05
SHORTEST_M = 1e-6
SHARPEST_CURVATURE = 10.0
"""1/m: no road turns within ten centimetres."""
READ_TAGS = frozenset({
    "OpenDRIVE", "header", "road", "link", "predecessor", "successor", "type", "speed", "planView", "geometry",
    "line", "arc", "spiral", "poly3", "paramPoly3", "elevationProfile", "elevation", "lateralProfile", "lanes",
    "laneOffset", "laneSection", "left", "center", "right", "lane", "width", "border", "roadMark", "height",
    "objects", "object", "outlines", "outline", "cornerRoad", "cornerLocal", "repeat", "markings", "marking",
    "cornerReference", "signals", "signal", "junction", "connection", "laneLink", "surface",
})  # fmt: skip


def parse_opendrive(path: Path) -> OpenDrive:
    """Read an OpenDRIVE file of revision 1.

    Raises:
        LayoutError: malformed XML, a missing or impossible element or number; the message names file and element.
    """
    root = read_xml(path, root="OpenDRIVE")
    header = root.one("header")
    if header.integer("revMajor") != 1:
        header.fail("OpenDRIVE of revMajor 1", header.word("revMajor"))
    header.integer("revMinor")
    roads: dict[str, Road] = {}
    for element in root.all("road"):
        road = _road(element)
        if road.road_id in roads:
            element.fail("road ids used once", f"{road.road_id!r} again")
        roads[road.road_id] = road
    if not roads:
        root.fail("at least one <road>", "none")
    junctions: dict[str, tuple[Connection, ...]] = {}
    for element in root.all("junction"):
        junction_id = element.word("id")
        if junction_id in junctions:
            element.fail("junction ids used once", f"{junction_id!r} again")
        junctions[junction_id] = tuple(_connection(child) for child in element.all("connection"))
    unread = Counter(element.tag for element in root.below() if element.tag not in READ_TAGS)
    for element in root.below():
        if element.tag == "type" and element.parent is not None and element.parent.tag == "roadMark":
            unread["roadMark/type"] += 1
    return OpenDrive(roads=roads, junctions=junctions, unread=dict(sorted(unread.items())))


def _road(element: XmlElement) -> Road:
    length_m = element.number("length")
    if length_m <= SHORTEST_M:
        element.fail("a positive length", repr(element.word("length")))
    rule = element.word("rule", "RHT")
    if rule not in ("RHT", "LHT"):
        element.fail("rule RHT or LHT", repr(rule))
    profile, lanes = element.first("elevationProfile"), element.one("lanes")
    links = element.first("link")
    objects, signals = element.first("objects"), element.first("signals")
    sections = tuple(_section(child) for child in lanes.all("laneSection"))
    if not sections:
        lanes.fail("at least one <laneSection>", "none")
    _require_order(lanes.all("laneSection"), "s", limit=length_m)
    return Road(
        road_id=element.word("id"),
        junction_id=element.word("junction", "-1"),
        length_m=length_m,
        is_left_hand=rule == "LHT",
        predecessor=_road_link(links, "predecessor"),
        successor=_road_link(links, "successor"),
        plan=_plan(element.one("planView"), length_m),
        elevations=_cubics(profile.all("elevation") if profile else [], "s"),
        lane_offsets=_cubics(lanes.all("laneOffset"), "s"),
        sections=sections,
        speeds=tuple(
            (child.number("s"), child.word("type", "unknown"), _speed(child.first("speed")))
            for child in element.all("type")
        ),
        objects=tuple(parse_object(child) for child in objects.all("object")) if objects else (),
        signals=tuple(parse_signal(child) for child in signals.all("signal")) if signals else (),
        where=element.where,
    )


def _road_link(links: XmlElement | None, which: str) -> RoadLink | None:
    element = links.first(which) if links is not None else None
    if element is None:
        return None
    kind = element.word("elementType")
    if kind not in ("road", "junction"):
        element.fail("elementType road or junction", repr(kind))
    contact = element.word("contactPoint", "") if kind == "junction" else element.word("contactPoint")
    if kind == "road" and contact not in ("start", "end"):
        element.fail("contactPoint start or end", repr(contact))
    return RoadLink(
        is_junction=kind == "junction", element_id=element.word("elementId"), contact=contact, where=element.where
    )


def _plan(element: XmlElement, road_length_m: float) -> tuple[PlanPiece, ...]:
    pieces = []
    for geometry in element.all("geometry"):
        shapes = [child for child in geometry.children if child.tag != "userData"]
        if len(shapes) != 1 or shapes[0].tag not in PLAN_NUMBERS:
            found = ", ".join(f"<{shape.tag}>" for shape in shapes) or "nothing"
            geometry.fail(f"one of {', '.join(PLAN_NUMBERS)}", found)
        (shape,) = shapes
        length_m = geometry.number("length")
        if length_m < 0.0:
            geometry.fail("a length of at least 0", repr(geometry.word("length")))
        numbers = tuple(shape.number(name) for name in PLAN_NUMBERS[shape.tag])
        if shape.tag in ("arc", "spiral") and max(map(abs, numbers)) > SHARPEST_CURVATURE:
            shape.fail(f"curvatures of at most {SHARPEST_CURVATURE:g} per metre", str(numbers))
        p_range = shape.word("pRange", "normalized") if shape.tag == "paramPoly3" else ""
        if p_range not in ("", "arcLength", "normalized"):
            shape.fail("pRange arcLength or normalized", repr(p_range))
        if length_m <= SHORTEST_M:
            continue
        pieces.append(
            PlanPiece(
                kind=shape.tag,
                s_m=geometry.number("s"),
                x_m=geometry.number("x"),
                y_m=geometry.number("y"),
                heading_rad=geometry.number("hdg"),
                length_m=length_m,
                numbers=numbers,
                is_normalized=p_range == "normalized",
            )
        )
    _require_order(element.all("geometry"), "s", limit=road_length_m)
    if not pieces:
        element.fail("at least one <geometry> of positive length", "none")
    return tuple(pieces)


def _require_order(elements: Sequence[XmlElement], name: str, *, limit: float) -> None:
    """Check that positions do not go back, begin at 0 and end within the road."""
    before = 0.0
    for idx, element in enumerate(elements):
        at = element.number(name)
        if (idx == 0 and abs(at) > 1e-3) or at < before - 1e-6 or at > limit + 1.0:
            element.fail(f"{name} that begins at 0, does not go back and stays within {limit:g} m", f"{at:g}")
        before = at


def _cubics(elements: Sequence[XmlElement], name: str) -> tuple[Cubic, ...]:
    cubics = [
        Cubic(
            s_m=element.number(name),
            a=element.number("a"),
            b=element.number("b"),
            c=element.number("c"),
            d=element.number("d"),
        )
        for element in elements
    ]
    for idx in range(1, len(cubics)):
        if cubics[idx].s_m < cubics[idx - 1].s_m:
            elements[idx].fail(f"{name} that does not go back", f"{cubics[idx].s_m:g}")
    return tuple(cubics)


def _section(element: XmlElement) -> LaneSection:
    lanes: dict[int, OdrLane] = {}
    for side, sign in (("left", 1), ("center", 0), ("right", -1)):
        group = element.first(side)
        for child in group.all("lane") if group else []:
            lane = _lane(child)
            if (lane.lane_id > 0) - (lane.lane_id < 0) != sign or lane.lane_id in lanes:
                child.fail(f"a lane id of its own that fits <{side}>", str(lane.lane_id))
            lanes[lane.lane_id] = lane
    for sign in (1, -1):
        ids = sorted(sign * lane_id for lane_id in lanes if sign * lane_id > 0)
        if ids != list(range(1, len(ids) + 1)):
            element.fail("lane ids without gaps from the centre outwards", str([sign * n for n in ids]))
    return LaneSection(s_m=element.number("s"), lanes=lanes)


def _lane(element: XmlElement) -> OdrLane:
    lane_id = element.integer("id")
    link = element.first("link")
    widths = _cubics(element.all("width"), "sOffset")
    borders = _cubics(element.all("border"), "sOffset")
    if lane_id != 0 and not widths and not borders:
        element.fail("a <width> or a <border>", "neither")
    return OdrLane(
        lane_id=lane_id,
        kind=element.word("type", "none"),
        widths=widths,
        borders=() if widths else borders,
        marks=tuple(_mark(child) for child in element.all("roadMark")),
        speeds=tuple((child.number("sOffset"), _speed(child)) for child in element.all("speed")),
        predecessors=tuple(child.integer("id") for child in link.all("predecessor")) if link else (),
        successors=tuple(child.integer("id") for child in link.all("successor")) if link else (),
        is_raised=any(child.number("inner", 0.0) >= RAISED_M for child in element.all("height")),
        is_reversed=element.word("direction", "standard") == "reversed",
        where=element.where,
    )


def _mark(element: XmlElement) -> RoadMark:
    usual_m = BOLD_M if element.word("weight", "standard") == "bold" else USUAL_MARK_M
    width_m = element.number("width", usual_m)
    return RoadMark(
        s_offset_m=element.number("sOffset", 0.0),
        kind=element.word("type"),
        color=element.word("color", "standard"),
        width_m=width_m if width_m > 0.0 else usual_m,
    )


def _speed(element: XmlElement | None) -> float | None:
    """Return a limit in m/s; None where there is none."""
    if element is None or element.word("max") in ("no limit", "undefined"):
        return None
    unit = element.word("unit", "m/s")
    if unit not in SPEED_UNITS:
        element.fail(f"a unit out of {', '.join(SPEED_UNITS)}", repr(unit))
    limit_mps = element.number("max") * SPEED_UNITS[unit]
    if limit_mps < 0.0:
        element.fail("a limit of at least 0", repr(element.word("max")))
    return limit_mps or None


def _connection(element: XmlElement) -> Connection:
    contact = element.word("contactPoint", "start")
    if contact not in ("start", "end"):
        element.fail("contactPoint start or end", repr(contact))
    linked = element.attributes.get("connectingRoad") or element.attributes.get("linkedRoad")
    if linked is None:
        raise LayoutError("an attribute connectingRoad", found="none", where=element.where)
    return Connection(
        incoming_road=element.word("incomingRoad", ""),
        connecting_road=linked,
        contact=contact,
        lane_links=tuple((child.integer("from"), child.integer("to")) for child in element.all("laneLink")),
        where=element.where,
    )
