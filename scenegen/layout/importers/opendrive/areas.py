"""What the ground is made of: lanes by type become drivable, sidewalk, parking and grass areas.

A `border` narrower than `KERB_M` is the edge of what lies outside it: kerb of a sidewalk, else edge of the carriageway.
A wider one is a verge, which a layout calls grass, as it does a median. Raised shoulders are pavements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from scenegen.layout.importers.ground import GROUND_KINDS, unite_ground
from scenegen.layout.importers.opendrive.strips import Strip, StripKey

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

LANE_KIND_OF_TYPE = {
    "driving": "vehicle",
    "entry": "vehicle",
    "exit": "vehicle",
    "onRamp": "vehicle",
    "offRamp": "vehicle",
    "connectingRamp": "vehicle",
    "slipLane": "vehicle",
    "mwyEntry": "vehicle",
    "mwyExit": "vehicle",
    "bidirectional": "vehicle",
    "HOV": "vehicle",
    "taxi": "vehicle",
    "shared": "vehicle",
    "bus": "bus",
    "biking": "bike",
}
"""Lanes that are driven along. `width_m` of a layout's lane is the median."""
AREA_OF_TYPE = {
    **dict.fromkeys(LANE_KIND_OF_TYPE, "drivable"),
    "shoulder": "drivable",
    "stop": "drivable",
    "restricted": "drivable",
    "roadWorks": "drivable",
    "tram": "drivable",
    "parking": "parking",
    "sidewalk": "sidewalk",
    "walking": "sidewalk",
    "curb": "sidewalk",
    "median": "grass",
}
NOTHING = frozenset({"none", "border"})
KERB_M = 1.0


def ground_of(strips: Mapping[StripKey, Strip]) -> dict[str, BaseGeometry]:
    """Unite the lanes of each kind of area; what is drivable is taken from the others, parking from the rest."""
    import shapely

    outlines: dict[str, list[BaseGeometry]] = {kind: [] for kind in GROUND_KINDS}
    for strip in strips.values():
        kind = area_kind_of(strip, strips)
        if kind is not None and strip.width_m.max() > 1e-3:
            outlines[kind].append(shapely.Polygon(np.concatenate([strip.inner_m, strip.outer_m[::-1]])))
    return unite_ground(outlines)


def area_kind_of(strip: Strip, strips: Mapping[StripKey, Strip]) -> str | None:
    """Return the kind of area that a lane is, or None where it is left to the world."""
    kind = strip.lane.kind
    if kind == "shoulder" and strip.lane.is_raised:
        return "sidewalk"
    if kind != "border":
        return AREA_OF_TYPE.get(kind)
    if float(np.median(strip.width_m)) >= KERB_M:
        return "grass"
    road_id, section, lane_id = strip.key
    outside = strips.get((road_id, section, lane_id + (1 if lane_id > 0 else -1)))
    if outside is not None and area_kind_of(outside, strips) == "sidewalk":
        return "sidewalk"
    return "drivable"


def unknown_types(strips: Iterable[Strip]) -> dict[str, int]:
    """Count lanes of types that are neither driven along nor ground."""
    counts: dict[str, int] = {}
    for strip in strips:
        kind = strip.lane.kind
        if kind not in AREA_OF_TYPE and kind not in NOTHING:
            counts[f"lanes of type {kind!r}"] = counts.get(f"lanes of type {kind!r}", 0) + 1
    return counts
