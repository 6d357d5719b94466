"""A layout's map as an OpenDRIVE 1.7 file.

Why our own writer: `scenariogeneration` brings a C++ extension that is compiled on installation and a schema library,
for what is here a list of straight pieces.

Every lane becomes a road of one lane: the reference line is the lane's centre line, straight from point to point, and a
lane offset of half a width makes lane -1 lie around it. So centre lines come back to the centimetre by which they are
thinned. Lanes that follow each other are linked; where several do, lanes of intersections become the connecting roads
of junctions, others meet in direct junctions. A painted line that runs along a lane's edge becomes its road mark.
Crossings, parking and buildings are objects of the nearest road; props are objects and signals.

Lost: agents and ego, painted lines that follow no lane's edge, sidewalks, grass and drivable areas beyond the lanes,
holes of areas, weather.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.exporters.lane_links import LaneLinks, link_by_ends
from scenegen.types.layout import Area, Lane, LaneLine, Layout, Prop

TYPE_OF_KIND = {"vehicle": "driving", "bus": "bus", "bike": "biking", "walk": "sidewalk"}
MARK_OF_KIND = {"solid": "solid", "dashed": "broken", "double_solid": "solid solid"}
OBJECT_OF_AREA = {"crossing": "crosswalk", "parking": "parkingSpace", "building": "building"}
OBJECT_OF_PROP = {"tree": "tree", "pole": "pole", "street_lamp": "streetLamp"}
NAME_OF_PROP = {"hedge": "hedge", "bollard": "guide-post"}
THINNED_BY_M = 0.01
ALONG_EDGE_M = 0.4
"""A painted line within this of a lane's edge, on average, is its mark."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Road:
    """A lane as a road: its thinned centre line and the headings and lengths of its pieces."""

    road_id: str
    lane: Lane
    points_m: Float64[np.ndarray, "N 2"]
    heading_rad: Float64[np.ndarray, " M"]
    length_m: Float64[np.ndarray, " M"]


def layout_to_opendrive(layout: Layout) -> str:
    """Return the text of an OpenDRIVE file; the frame is the layout's world.

    Raises:
        LayoutError: the layout has no lanes.
    """
    roads = [
        road for idx, lane in enumerate(layout.road_map.lanes) if (road := _road_of(str(idx + 1), lane)) is not None
    ]
    if not roads:
        raise LayoutError("a layout with lanes", found="none", where=layout.layout_id)
    links = link_by_ends([road.lane for road in roads])
    root = ElementTree.Element("OpenDRIVE")
    ElementTree.SubElement(root, "header", revMajor="1", revMinor="7", name=layout.layout_id, vendor="scenegen")
    elements = [_road_element(root, roads, idx, links, layout.road_map.lane_lines) for idx in range(len(roads))]
    _add_objects(elements, roads, layout.road_map.areas, layout.road_map.props)
    _add_junctions(root, roads, links)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _road_of(road_id: str, lane: Lane) -> _Road | None:
    """Thin a lane's centre line; None where it is no line."""
    import shapely

    line = shapely.simplify(shapely.LineString(lane.centerline_world_m[:, :2]), THINNED_BY_M)
    points_m = shapely.get_coordinates(line)
    step_m = np.diff(points_m, axis=0)
    length_m = np.linalg.norm(step_m, axis=1)
    points_m = points_m[np.concatenate([[True], length_m > 1e-4])]
    if len(points_m) < 2:
        return None
    step_m = np.diff(points_m, axis=0)
    return _Road(
        road_id=road_id,
        lane=lane,
        points_m=points_m,
        heading_rad=np.arctan2(step_m[:, 1], step_m[:, 0]),
        length_m=np.linalg.norm(step_m, axis=1),
    )


def _number(value: float) -> str:
    return repr(round(float(value), 9))


def _road_element(
    root: ElementTree.Element, roads: Sequence[_Road], idx: int, links: LaneLinks, lines: Sequence[LaneLine]
) -> ElementTree.Element:
    road = roads[idx]
    junction = links.junction_through(idx)
    element = ElementTree.SubElement(
        root,
        "road",
        name=road.lane.lane_id,
        id=road.road_id,
        length=_number(road.length_m.sum()),
        junction="-1" if junction is None else _junction_id(junction),
        rule="RHT",
    )
    _add_links(element, roads, idx, links)
    if road.lane.speed_limit_mps is not None:
        kind = ElementTree.SubElement(element, "type", s="0", type="town")
        ElementTree.SubElement(kind, "speed", max=_number(road.lane.speed_limit_mps), unit="m/s")
    plan = ElementTree.SubElement(element, "planView")
    s_m = np.concatenate([[0.0], np.cumsum(road.length_m)])
    for k, (x_m, y_m) in enumerate(road.points_m[:-1]):
        piece = ElementTree.SubElement(
            plan, "geometry", s=_number(s_m[k]), x=_number(x_m), y=_number(y_m), hdg=_number(road.heading_rad[k]),
            length=_number(road.length_m[k]),
        )  # fmt: skip
        ElementTree.SubElement(piece, "line")
    _add_lanes(element, road, idx, links, lines)
    return element


def _add_links(element: ElementTree.Element, roads: Sequence[_Road], idx: int, links: LaneLinks) -> None:
    holder = ElementTree.SubElement(element, "link")
    for tag, contact, junction, others in (
        ("predecessor", "end", links.junction_at_begin(idx), links.leading[idx]),
        ("successor", "start", links.junction_at_end(idx), links.following[idx]),
    ):
        if junction is not None:
            ElementTree.SubElement(holder, tag, elementType="junction", elementId=_junction_id(junction))
        elif others:
            ElementTree.SubElement(
                holder, tag, elementType="road", elementId=roads[others[0]].road_id, contactPoint=contact
            )


def _junction_id(number: int) -> str:
    return f"j{number + 1}"


def _add_lanes(
    element: ElementTree.Element, road: _Road, idx: int, links: LaneLinks, lines: Sequence[LaneLine]
) -> None:
    """Add the lane section: the centre lane at the left edge, lane -1 from there to the right edge."""
    half_m = 0.5 * road.lane.width_m
    lanes = ElementTree.SubElement(element, "lanes")
    ElementTree.SubElement(lanes, "laneOffset", s="0", a=_number(half_m), b="0", c="0", d="0")
    section = ElementTree.SubElement(lanes, "laneSection", s="0")
    center = ElementTree.SubElement(
        ElementTree.SubElement(section, "center"), "lane", id="0", type="none", level="false"
    )
    _add_mark(center, _line_along(road, half_m, lines))
    kind = TYPE_OF_KIND[road.lane.kind]
    lane = ElementTree.SubElement(ElementTree.SubElement(section, "right"), "lane", id="-1", type=kind, level="false")
    link = ElementTree.SubElement(lane, "link")
    if links.leading[idx] and links.junction_at_begin(idx) is None:
        ElementTree.SubElement(link, "predecessor", id="-1")
    if links.following[idx] and links.junction_at_end(idx) is None:
        ElementTree.SubElement(link, "successor", id="-1")
    ElementTree.SubElement(lane, "width", sOffset="0", a=_number(road.lane.width_m), b="0", c="0", d="0")
    _add_mark(lane, _line_along(road, -half_m, lines))


def _add_mark(lane: ElementTree.Element, line: LaneLine | None) -> None:
    if line is None:
        ElementTree.SubElement(lane, "roadMark", sOffset="0", type="none")
        return
    ElementTree.SubElement(
        lane, "roadMark", sOffset="0", type=MARK_OF_KIND[line.kind], weight="standard", color=line.color,
        width=_number(line.width_m), laneChange="both",
    )  # fmt: skip


def _line_along(road: _Road, left_m: float, lines: Sequence[LaneLine]) -> LaneLine | None:
    """Return the painted line that runs along an edge of a lane, the nearest one."""
    import shapely

    middle_m = 0.5 * (road.points_m[1:] + road.points_m[:-1])
    normal = np.stack([-np.sin(road.heading_rad), np.cos(road.heading_rad)], axis=1)
    edge = shapely.points(middle_m + left_m * normal)
    best: tuple[float, LaneLine | None] = (ALONG_EDGE_M, None)
    low_m, high_m = road.points_m.min(axis=0) - 5.0, road.points_m.max(axis=0) + 5.0
    for line in lines:
        points_m = line.points_world_m[:, :2]
        if (points_m.max(axis=0) < low_m).any() or (points_m.min(axis=0) > high_m).any():
            continue
        away_m = float(shapely.distance(edge, shapely.LineString(points_m)).mean())
        if away_m < best[0]:
            best = (away_m, line)
    return best[1]


def _add_objects(
    elements: Sequence[ElementTree.Element], roads: Sequence[_Road], areas: Sequence[Area], props: Sequence[Prop]
) -> None:
    """Hang areas and props on the roads that are nearest to them."""
    owner = np.repeat(np.arange(len(roads)), [len(road.points_m) for road in roads])
    points_m = np.concatenate([road.points_m for road in roads])

    def nearest(place_m: Float64[np.ndarray, "2"]) -> int:
        return int(owner[np.argmin(((points_m - place_m) ** 2).sum(axis=1))])

    number = 0
    for area in areas:
        if area.kind in OBJECT_OF_AREA:
            idx = nearest(area.polygon_world_m.mean(axis=0))
            _add_outline(_child(elements[idx], "objects"), roads[idx], area, str(number))
            number += 1
    for prop in props:
        idx = nearest(prop.position_world_m)
        _add_prop(elements[idx], roads[idx], prop, str(number))
        number += 1


def _child(element: ElementTree.Element, tag: str) -> ElementTree.Element:
    found = element.find(tag)
    return ElementTree.SubElement(element, tag) if found is None else found


def _add_outline(holder: ElementTree.Element, road: _Road, area: Area, object_id: str) -> None:
    """Add an area by corners in a frame at the road's begin that is parallel to the world."""
    item = ElementTree.SubElement(
        holder, "object", id=object_id, type=OBJECT_OF_AREA[area.kind], s="0", t="0", zOffset="0",
        hdg=_number(-road.heading_rad[0]), height=_number(area.height_m),
    )  # fmt: skip
    outline = ElementTree.SubElement(ElementTree.SubElement(item, "outlines"), "outline", id="0", closed="true")
    for k, (u_m, v_m) in enumerate(area.polygon_world_m - road.points_m[0]):
        ElementTree.SubElement(
            outline, "cornerLocal", id=str(k), u=_number(u_m), v=_number(v_m), z="0", height=_number(area.height_m)
        )


def _add_prop(element: ElementTree.Element, road: _Road, prop: Prop, object_id: str) -> None:
    """Add a prop at its place along and beside a road, as an object or a signal."""
    s_m, t_m, along_rad = _beside(road, prop.position_world_m)
    turn_rad = prop.heading_rad - along_rad
    words = {
        "id": object_id,
        "s": _number(s_m),
        "t": _number(t_m),
        "zOffset": "0",
        "height": _number(prop.height_m or 0.0),
    }
    if prop.kind in ("traffic_light", "sign"):
        is_light = prop.kind == "traffic_light"
        words |= {"type": "1000001" if is_light else "0", "subtype": "-1", "dynamic": "yes" if is_light else "no"}
        words |= {"orientation": "-", "hOffset": _number(turn_rad), "country": "OpenDRIVE"}
        ElementTree.SubElement(_child(element, "signals"), "signal", words)
        return
    words |= {"type": OBJECT_OF_PROP.get(prop.kind, "vegetation" if prop.kind == "hedge" else "obstacle")}
    words |= {"name": NAME_OF_PROP.get(prop.kind, prop.kind), "hdg": _number(turn_rad)}
    ElementTree.SubElement(_child(element, "objects"), "object", words)


def _beside(road: _Road, place_m: Float64[np.ndarray, "2"]) -> tuple[float, float, float]:
    """Return s and t of a place, and the heading of the piece that it is beside; beyond the ends, straight on."""
    begin_m, direction = road.points_m[:-1], np.stack([np.cos(road.heading_rad), np.sin(road.heading_rad)], axis=1)
    along_m = ((place_m - begin_m) * direction).sum(axis=1)
    low_m = np.where(np.arange(len(along_m)) == 0, -np.inf, 0.0)
    high_m = np.where(np.arange(len(along_m)) == len(along_m) - 1, np.inf, road.length_m)
    inside_m = np.clip(along_m, low_m, high_m)
    away_m = np.linalg.norm(place_m - begin_m - inside_m[:, None] * direction, axis=1)
    k = int(np.argmin(away_m))
    offset_m = place_m - begin_m[k] - inside_m[k] * direction[k]
    t_m = float(offset_m @ np.array([-direction[k, 1], direction[k, 0]]))
    return float(road.length_m[:k].sum() + inside_m[k]), t_m, float(road.heading_rad[k])


def _add_junctions(root: ElementTree.Element, roads: Sequence[_Road], links: LaneLinks) -> None:
    for number, junction in enumerate(links.junctions):
        element = ElementTree.SubElement(root, "junction", id=_junction_id(number), name="")
        if junction.is_direct:
            element.set("type", "direct")
        for k, (before, after) in enumerate(junction.pairs):
            to = "linkedRoad" if junction.is_direct else "connectingRoad"
            connection = ElementTree.SubElement(
                element, "connection", {"id": str(k), "incomingRoad": roads[before].road_id, to: roads[after].road_id,
                                        "contactPoint": "start"},
            )  # fmt: skip
            ElementTree.SubElement(connection, "laneLink", {"from": "-1", "to": "-1"})
