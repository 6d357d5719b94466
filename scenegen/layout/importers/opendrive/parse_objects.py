"""Objects and signals of an OpenDRIVE file."""

from __future__ import annotations

from scenegen.layout.importers.opendrive.format import Corner, Repeat, RoadObject, RoadSignal
from scenegen.layout.importers.xml_file import XmlElement


def parse_object(element: XmlElement) -> RoadObject:
    """Read one `<object>`. Outlines stand in `<outlines>`, before revision 1.5 in the object itself."""
    group = element.first("outlines") or element
    markings = element.first("markings")
    for name in ("length", "width", "height", "radius"):
        if element.number(name, 0.0) < 0.0:
            element.fail(f"a {name} of at least 0", repr(element.word(name)))
    diameter_m = 2.0 * element.number("radius", 0.0)
    return RoadObject(
        object_id=element.word("id", ""),
        kind=element.word("type", "none"),
        name=element.word("name", ""),
        s_m=element.number("s"),
        t_m=element.number("t"),
        heading_rad=element.number("hdg", 0.0),
        length_m=element.number("length", diameter_m),
        width_m=element.number("width", diameter_m),
        height_m=element.number("height", 0.0),
        outlines=tuple(tuple(_corners(outline)) for outline in group.all("outline")),
        repeats=tuple(_repeat(child) for child in element.all("repeat")),
        markings=tuple(
            (child.number("width", 0.1), tuple(corner.word("id") for corner in child.all("cornerReference")))
            for child in (markings.all("marking") if markings else [])
        ),
        where=element.where,
    )


def _corners(outline: XmlElement) -> list[Corner]:
    corners = []
    for idx, child in enumerate(outline.children):
        if child.tag not in ("cornerLocal", "cornerRoad"):
            continue
        is_local = child.tag == "cornerLocal"
        corners.append(
            Corner(
                corner_id=child.word("id", str(idx)),
                is_local=is_local,
                first_m=child.number("u" if is_local else "s"),
                second_m=child.number("v" if is_local else "t"),
                height_m=child.number("height", 0.0),
            )
        )
    return corners


def _repeat(element: XmlElement) -> Repeat:
    repeat = Repeat(
        s_m=element.number("s"),
        length_m=element.number("length"),
        distance_m=element.number("distance"),
        t_start_m=element.number("tStart", 0.0),
        t_end_m=element.number("tEnd", element.number("tStart", 0.0)),
        height_m=element.number("heightStart", 0.0),
    )
    if repeat.length_m < 0.0 or repeat.distance_m < 0.0:
        element.fail("length and distance of at least 0", f"{repeat.length_m:g} and {repeat.distance_m:g}")
    return repeat


def parse_signal(element: XmlElement) -> RoadSignal:
    """Read one `<signal>`."""
    return RoadSignal(
        signal_id=element.word("id"),
        kind=element.word("type", ""),
        name=element.word("name", ""),
        is_dynamic=element.word("dynamic", "no") == "yes",
        s_m=element.number("s"),
        t_m=element.number("t"),
        z_offset_m=element.number("zOffset", 0.0),
        heading_offset_rad=element.number("hOffset", 0.0),
        orientation=element.word("orientation", "none"),
        height_m=element.number("height", 0.0),
        width_m=element.number("width", 0.0),
        value=element.number("value", 0.0) if _is_number(element.word("value", "0")) else 0.0,
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
