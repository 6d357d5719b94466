"""Props where they may stand: beside the carriageway, one of a kind on a spot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scenegen.types.layout import Prop

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

SAME_SPOT_M = 0.6
EDGE_M = 0.1
"""Props may stand on the carriageway by this much."""


def props_beside(props: Sequence[Prop], drivable: BaseGeometry, lost: Counter[str]) -> list[Prop]:
    """Leave out props on the carriageway or on the spot of another, and poles that carry a sign; count them as lost."""
    import shapely

    places_m = np.array([prop.position_world_m for prop in props]).reshape(-1, 2)
    inside = drivable.buffer(-EDGE_M)
    shapely.prepare(inside)
    on_road = shapely.contains_xy(inside, places_m)
    spots = [tuple(spot) for spot in np.round(places_m / SAME_SPOT_M).astype(int).tolist()]
    carries = {spot for spot, prop in zip(spots, props, strict=True) if prop.kind in ("sign", "traffic_light")}
    seen: set[tuple[object, ...]] = set()
    kept: list[Prop] = []
    for prop, spot, is_inside in zip(props, spots, on_road.tolist(), strict=True):
        if is_inside:
            lost[f"props over the carriageway ({prop.kind})"] += 1
        elif (prop.kind, *spot) in seen or (prop.kind == "pole" and spot in carries):
            lost[f"props on the spot of another ({prop.kind})"] += 1
        else:
            seen.add((prop.kind, *spot))
            kept.append(prop)
    return kept
