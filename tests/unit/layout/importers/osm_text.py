"""Small Lanelet2 maps as text, for tests to bend: nodes on a grid of ten metres, ways, lanelets."""

from __future__ import annotations

from collections.abc import Iterable

METRES_PER_DEGREE = 111_195.0
"""Of latitude on a sphere; the tests only need it to a per cent."""


def node(name: str, x_m: float, y_m: float, *, tags: str = "") -> str:
    """A node near the equator, where a degree is as long in either direction."""
    return f'<node id="{name}" lat="{y_m / METRES_PER_DEGREE!r}" lon="{x_m / METRES_PER_DEGREE!r}">{tags}</node>'


def tags(**pairs: str) -> str:
    return "".join(f'<tag k="{key}" v="{value}"/>' for key, value in pairs.items())


def way(name: str, nodes: Iterable[str], **pairs: str) -> str:
    return f'<way id="{name}">{"".join(f"<nd ref={chr(34)}{n}{chr(34)}/>" for n in nodes)}{tags(**pairs)}</way>'


def member(kind: str, reference: str, role: str) -> str:
    return f'<member type="{kind}" ref="{reference}" role="{role}"/>'


def relation(name: str, members: str, kind: str, subtype: str, **pairs: str) -> str:
    return f'<relation id="{name}">{members}{tags(type=kind, subtype=subtype, **pairs)}</relation>'


def lanelet(name: str, left: str, right: str, *, subtype: str = "road", more: str = "", **pairs: str) -> str:
    members = member("way", left, "left") + member("way", right, "right") + more
    return relation(name, members, "lanelet", subtype, **pairs)


NODES = "".join(node(f"{column}{row}", 40.0 * column, 4.0 * row) for column in range(4) for row in range(4))
"""`CR`: 40 C metres east, 4 R metres north."""
WAYS = "".join(
    way(f"{begin}{end}{row}", (f"{begin}{row}", f"{end}{row}"), type="line_thin", subtype="dashed")
    for begin, end in ((0, 1), (1, 2), (2, 3))
    for row in range(4)
)
"""`BER`: from column B to column E along row R."""
LANES = lanelet("10", "011", "010") + lanelet("11", "121", "120") + lanelet("12", "231", "230")
"""Three lanelets to the east, one after the other, 4 m wide, between rows 0 and 1."""


def osm(*parts: str, nodes: str = NODES, ways: str = WAYS, version: str = "0.6") -> str:
    return f'<?xml version="1.0"?><osm version="{version}">{nodes}{ways}{"".join(parts or (LANES,))}</osm>'
