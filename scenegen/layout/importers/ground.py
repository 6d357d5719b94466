"""What the ground is made of, where a source says it lane by lane: outlines by kind become areas without overlaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.source_tracks import open_ring
from scenegen.types.layout import Area

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

GROUND_KINDS = ("drivable", "parking", "sidewalk", "grass")
"""Earlier kinds are taken from later ones."""
CLOSING_M = 0.1
SMALLEST_AREA_M2 = 0.5
GRID_M = 1e-4
"""Overlays are computed on this grid, which is what makes them safe for any input."""
SIMPLER_BY_M = 0.02
"""Slits that this opens between neighbours are closed again."""


def unite_ground(outlines: Mapping[str, Iterable[BaseGeometry]]) -> dict[str, BaseGeometry]:
    """Unite the outlines of each kind of ground, close slits, and take what is drivable from the rest, and so on."""
    import shapely

    parts = {
        kind: [areal(shapely.simplify(outline, SIMPLER_BY_M)) for outline in outlines.get(kind, ())]
        for kind in GROUND_KINDS
    }
    united = {kind: _closed(shapely.union_all(found, grid_size=GRID_M)) for kind, found in parts.items()}
    taken = united["drivable"]
    for kind in GROUND_KINDS[1:]:
        united[kind] = areal(shapely.difference(united[kind], taken, grid_size=GRID_M))
        taken = areal(shapely.union(taken, united[kind], grid_size=GRID_M))
    return united


def areal(outline: BaseGeometry) -> BaseGeometry:
    """Make an outline valid and keep what has an area: an outline that crosses itself leaves lines, too."""
    import shapely

    valid = shapely.make_valid(outline)
    if valid.geom_type in ("Polygon", "MultiPolygon"):
        return valid
    parts = shapely.get_parts(shapely.get_parts(valid))
    return shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon"])


def _closed(region: BaseGeometry) -> BaseGeometry:
    """Close slits between neighbours."""
    closed = region.buffer(CLOSING_M, join_style="mitre").buffer(-CLOSING_M, join_style="mitre")
    return areal(closed)


def areas_of(region: BaseGeometry, kind: str, *, height_m: float = 0.0) -> list[Area]:
    """Split a region into areas, slivers left out."""
    import shapely

    found = []
    for part in shapely.get_parts(shapely.simplify(region, SIMPLER_BY_M)):
        if part.geom_type != "Polygon" or part.area < SMALLEST_AREA_M2:
            continue
        holes = tuple(_ring(hole) for hole in part.interiors if shapely.Polygon(hole).area >= SMALLEST_AREA_M2)
        found.append(Area(kind=kind, polygon_world_m=_ring(part.exterior), holes_world_m=holes, height_m=height_m))
    return found


def _ring(ring: BaseGeometry) -> Float64[np.ndarray, "N 2"]:
    import shapely

    return open_ring(shapely.get_coordinates(ring))
