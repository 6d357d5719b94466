"""Nodes, ways and relations of an OSM file, references checked, places in local metres.

The frame has x to the east and y to the north; its origin is the middle of the map, or that of `local_x` and `local_y`
where all nodes have these tags (Autoware).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.earth import local_from_degrees
from scenegen.layout.importers.xml_file import XmlElement

OSM_VERSION = "0.6"
WIDEST_DEG = 1.0
"""Of a map, in latitude and longitude around its median: about a hundred kilometres."""
KINDS = ("lanelet", "multipolygon", "regulatory_element")


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """A line string: its nodes in order, with their places."""

    way_id: str
    nodes: tuple[str, ...]
    points_m: Float64[np.ndarray, "N 2"]
    tags: dict[str, str]
    element: XmlElement


@dataclass(frozen=True, kw_only=True, eq=False)
class Relation:
    """A lanelet, area or regulatory element: members by role, ways and relations apart."""

    relation_id: str
    kind: str
    subtype: str
    tags: dict[str, str]
    ways: dict[str, tuple[Way, ...]]
    relations: dict[str, tuple[str, ...]]
    element: XmlElement


@dataclass(frozen=True, kw_only=True, eq=False)
class Primitives:
    """A whole file; `others` counts what is deleted in it and relations of types that Lanelet2 does not know."""

    ways: dict[str, Way]
    relations: dict[str, Relation]
    counts: dict[str, int]
    others: Counter[str]


def read_primitives(root: XmlElement) -> Primitives:
    """Read an OSM file.

    Raises:
        LayoutError: another version, an id missing or used twice, references in vain, or places that are not on
            Earth or not of one region.
    """
    if root.word("version") != OSM_VERSION:
        root.fail(f"OSM of version {OSM_VERSION}", repr(root.word("version")))
    nodes, ways, relations = (_by_id(root, tag) for tag in ("node", "way", "relation"))
    place_m = _places(root, nodes)
    read_ways = {name: _way(name, element, place_m) for name, element in ways.items()}
    known: dict[str, Relation] = {}
    others: Counter[str] = Counter()
    for name, element in relations.items():
        tags = tags_of(element)
        kind = tags.get("type", "")
        if kind in KINDS:
            known[name] = _relation(name, element, tags, read_ways, relations)
        else:
            others[f"relations of type {kind!r}"] += 1
    return Primitives(
        ways=read_ways,
        relations=known,
        counts={f"{tag}s": len(root.all(tag)) for tag in ("node", "way", "relation")},
        others=others + Counter({f"deleted {tag}s": _deleted(root, tag) for tag in ("node", "way", "relation")}),
    )


def tags_of(element: XmlElement) -> dict[str, str]:
    """Return the tags of a primitive."""
    return {tag.word("k"): tag.word("v") for tag in element.all("tag")}


def _deleted(root: XmlElement, tag: str) -> int:
    return sum(element.attributes.get("action") == "delete" for element in root.all(tag))


def _by_id(root: XmlElement, tag: str) -> dict[str, XmlElement]:
    found: dict[str, XmlElement] = {}
    for element in root.all(tag):
        if element.attributes.get("action") == "delete":
            continue
        name = element.word("id")
        if name in found:
            element.fail("an id that is used once", repr(name))
        found[name] = element
    if not found:
        root.fail(f"at least one <{tag}>", "none")
    return found


def _places(root: XmlElement, nodes: dict[str, XmlElement]) -> dict[str, Float64[np.ndarray, "2"]]:
    local_m = [_local_of(element) for element in nodes.values()]
    if all(place_m is not None for place_m in local_m):
        return {name: np.array(place_m) for name, place_m in zip(nodes, local_m, strict=True)}
    degrees = np.array([_degrees_of(element) for element in nodes.values()])
    far = np.abs(degrees - np.median(degrees, axis=0)).max(axis=1) > WIDEST_DEG
    if far.any():
        element = list(nodes.values())[int(np.argmax(far))]
        found = f"{degrees[int(np.argmax(far))].tolist()}"
        element.fail(f"a place within {WIDEST_DEG:g} degree of the others", found)
    points_m = local_from_degrees(degrees[:, 0], degrees[:, 1])
    return dict(zip(nodes, points_m, strict=True))


def _local_of(element: XmlElement) -> tuple[float, float] | None:
    places = {tag.word("k"): tag for tag in element.all("tag") if tag.word("k") in ("local_x", "local_y")}
    if len(places) < 2:
        return None
    return places["local_x"].number("v"), places["local_y"].number("v")


def _degrees_of(element: XmlElement) -> tuple[float, float]:
    latitude, longitude = element.number("lat"), element.number("lon")
    if abs(latitude) > 85.0 or abs(longitude) > 180.0:
        element.fail("a latitude of at most 85 and a longitude of at most 180 degrees", f"{latitude:g}, {longitude:g}")
    return latitude, longitude


def _way(name: str, element: XmlElement, place_m: dict[str, Float64[np.ndarray, "2"]]) -> Way:
    nodes = []
    for reference in element.all("nd"):
        node = reference.word("ref")
        if node not in place_m:
            reference.fail("a node of the file", repr(node))
        nodes.append(node)
    if not nodes:
        element.fail("at least one <nd>", "none")
    return Way(
        way_id=name,
        nodes=tuple(nodes),
        points_m=np.stack([place_m[node] for node in nodes]),
        tags=tags_of(element),
        element=element,
    )


def _relation(
    name: str, element: XmlElement, tags: dict[str, str], ways: dict[str, Way], relations: dict[str, XmlElement]
) -> Relation:
    way_members: dict[str, list[Way]] = {}
    relation_members: dict[str, list[str]] = {}
    for member in element.all("member"):
        kind, role, reference = member.word("type"), member.word("role", ""), member.word("ref")
        if kind == "way":
            if reference not in ways:
                member.fail("a way of the file", repr(reference))
            way_members.setdefault(role, []).append(ways[reference])
        elif kind == "relation":
            if reference not in relations or reference == name:
                member.fail("another relation of the file", repr(reference))
            relation_members.setdefault(role, []).append(reference)
    return Relation(
        relation_id=name,
        kind=tags["type"],
        subtype=tags.get("subtype", ""),
        tags=tags,
        ways={role: tuple(found) for role, found in way_members.items()},
        relations={role: tuple(found) for role, found in relation_members.items()},
        element=element,
    )


def rings_of(relation: Relation, role: str) -> list[Float64[np.ndarray, "N 2"]]:
    """Chain the ways of a role to closed rings, first corner not repeated; ways may run either way.

    Raises:
        LayoutError: the ways do not close.
    """
    ways = relation.ways.get(role, ())
    touching: dict[str, list[int]] = {}
    for place, way in enumerate(ways):
        for node in {way.nodes[0], way.nodes[-1]}:
            touching.setdefault(node, []).append(place)
    taken: set[int] = set()
    rings = []
    for start, way in enumerate(ways):
        if start in taken:
            continue
        taken.add(start)
        pieces, last = [way.points_m], way.nodes[-1]
        is_closed = len(way.nodes) > 1 and last == way.nodes[0]
        while not is_closed:
            free = [idx for idx in touching[last] if idx not in taken][:1]
            if not free:
                relation.element.fail(f"{role} ways that close to a ring", f"an end at node {last!r}")
            idx = free[0]
            taken.add(idx)
            forwards = ways[idx].nodes[0] == last
            pieces.append(ways[idx].points_m[1:] if forwards else ways[idx].points_m[-2::-1])
            last = ways[idx].nodes[-1 if forwards else 0]
            is_closed = last == way.nodes[0]
        ring_m = np.concatenate(pieces)[:-1]
        if len(ring_m) < 3:
            relation.element.fail(f"{role} rings of at least three corners", f"{len(ring_m)}")
        rings.append(ring_m)
    return rings


def length_of(points_m: Sequence[Float64[np.ndarray, "2"]] | Float64[np.ndarray, "N 2"]) -> float:
    """Return the extent of a line."""
    return float(np.ptp(np.asarray(points_m), axis=0).max())
