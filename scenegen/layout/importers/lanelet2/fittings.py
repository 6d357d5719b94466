"""What lies and stands along a Lanelet2 map: painted lines by the types of ways, signs and lights, speed limits.

Widths of thin and thick lines are those of German roads (0.12 and 0.25 m). Where a line has a solid and a dashed
stroke, it is solid. Kerbs and borders are no paint; markings without a layout's word for them are lost.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np

from scenegen.layout.importers.lanelet2.primitives import Primitives, Way, length_of
from scenegen.layout.importers.line_joining import join_lines
from scenegen.layout.roads import flat
from scenegen.types.layout import LaneLine, Prop

WIDTH_OF_TYPE_M = {
    "line_thin": 0.12,
    "line_thick": 0.25,
    "pedestrian_marking": 0.12,
    "bike_marking": 0.12,
    "stop_line": 0.4,
}
KIND_OF_SUBTYPE = {
    "solid": "solid",
    "dashed": "dashed",
    "solid_solid": "double_solid",
    "solid_dashed": "solid",
    "dashed_solid": "solid",
    "dashed_dashed": "dashed",
}
KIND_OF_TYPE = {"pedestrian_marking": "dashed", "bike_marking": "dashed"}
NOT_PAINTED = frozenset({"", "virtual", "curbstone", "road_border"})
PROP_OF_TYPE = {"traffic_light": "traffic_light", "traffic_sign": "sign"}
KMH_PER_MPS = 3.6
SPEED_SIGN = re.compile(r"de274(?:-(\d{2,3}))?|de274[._]1(?:-(\d{2,3}))?")
"""German signs: maximum speed, and a zone of 30 km/h unless it says 20."""
ZONE_KMH = 30.0
SPEED_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(km/h|kmh|mph|m/s)?\s*", re.IGNORECASE)
PER_MPS = {"": KMH_PER_MPS, "km/h": KMH_PER_MPS, "kmh": KMH_PER_MPS, "mph": 2.2369363, "m/s": 1.0}


def lane_lines_of(primitives: Primitives, lost: Counter[str]) -> list[LaneLine]:
    """Return the painted lines."""
    painted = []
    for way in primitives.ways.values():
        kind_of_way, subtype = way.tags.get("type", ""), way.tags.get("subtype", "")
        if kind_of_way in NOT_PAINTED or kind_of_way in PROP_OF_TYPE:
            continue
        if kind_of_way not in WIDTH_OF_TYPE_M or len(way.nodes) < 2 or length_of(way.points_m) < 1e-6:
            lost[f"ways of type {kind_of_way!r}"] += 1
            continue
        kind = KIND_OF_TYPE.get(kind_of_way) or KIND_OF_SUBTYPE.get(subtype, "solid")
        if kind_of_way in ("line_thin", "line_thick") and subtype not in ("solid", "dashed", "solid_solid"):
            lost[f"lines of subtype {subtype or 'none'!r} that became {kind}"] += 1
        color = "yellow" if way.tags.get("color") == "yellow" else "white"
        points = flat(way.points_m)
        painted.append(LaneLine(points_world_m=points, kind=kind, color=color, width_m=WIDTH_OF_TYPE_M[kind_of_way]))
    return join_lines(painted)


def props_of(primitives: Primitives) -> list[Prop]:
    """Return lights and signs, which are ways from left to right as their traffic sees them, or points."""
    stop_of: dict[str, Way] = {}
    for relation in primitives.relations.values():
        if relation.kind == "regulatory_element" and relation.subtype == "traffic_light":
            for light in relation.ways.get("refers", ()):
                for line in relation.ways.get("ref_line", ())[:1]:
                    stop_of[light.way_id] = line
    props = []
    for way in primitives.ways.values():
        kind = PROP_OF_TYPE.get(way.tags.get("type", ""))
        if kind is None:
            continue
        place_m = way.points_m.mean(axis=0)
        across_m = way.points_m[-1] - way.points_m[0]
        facing_m = np.array([across_m[1], -across_m[0]])
        if way.way_id in stop_of:
            facing_m = stop_of[way.way_id].points_m.mean(axis=0) - place_m
        heading_rad = float(np.arctan2(facing_m[1], facing_m[0]))
        props.append(Prop(kind=kind, position_world_m=place_m, heading_rad=heading_rad))
    return props


def speed_limits_mps(primitives: Primitives, lost: Counter[str]) -> dict[str, float]:
    """Return the limits that regulatory elements state, by their ids; rules of right of way are lost."""
    limits: dict[str, float] = {}
    for name, relation in primitives.relations.items():
        if relation.kind != "regulatory_element":
            continue
        if relation.subtype != "speed_limit":
            if relation.subtype != "traffic_light":
                lost[f"regulatory elements of subtype {relation.subtype!r}"] += 1
            continue
        signs = [way.tags for way in relation.ways.get("refers", ())]
        words = [relation.tags.get("sign_type", ""), *(tags.get("subtype", "") for tags in signs)]
        found = [limit for word in words if (limit := limit_of(word)) is not None]
        if found:
            limits[name] = found[0]
        else:
            lost["speed limits whose sign says no speed"] += 1
    return limits


def limit_of(word: str) -> float | None:
    """Return the speed that a sign type or a text states, in m/s.

    >>> [round(limit_of(word) * 3.6) for word in ("de274-60", "de274_1", "de274.1-20", "45 km/h", "60")]
    [60, 30, 20, 45, 60]
    >>> limit_of("de205") is None
    True
    """
    sign = SPEED_SIGN.fullmatch(word)
    if sign is not None:
        stated = sign[1] or sign[2]
        if stated is None and "1" not in word[5:]:
            return None
        return (float(stated) if stated else ZONE_KMH) / KMH_PER_MPS
    text = SPEED_TEXT.fullmatch(word)
    if text is None or float(text[1]) <= 0.0:
        return None
    return float(text[1]) / PER_MPS[(text[2] or "").lower()]


def tagged_limits_mps(primitives: Primitives) -> Mapping[str, float]:
    """Return the limits that lanelets state themselves (`speed_limit`, km/h where there is no unit), by lanelet.

    Raises:
        LayoutError: a limit is not a positive speed.
    """
    limits = {}
    for name, relation in primitives.relations.items():
        if relation.kind == "lanelet" and "speed_limit" in relation.tags:
            limit_mps = limit_of(relation.tags["speed_limit"])
            if limit_mps is None:
                relation.element.fail("a positive speed_limit", repr(relation.tags["speed_limit"]))
            limits[name] = limit_mps
    return limits
