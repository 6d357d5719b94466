"""The ground raster: what the surface is made of, in cells of 0.1 m."""

from __future__ import annotations

import numpy as np
import shapely
from jaxtyping import UInt8

from scenegen.occupancy.compiled import compiled
from scenegen.occupancy.markings import line_region, stop_lines, stripes_region
from scenegen.occupancy.raster import paint
from scenegen.occupancy.site import Site, region_of
from scenegen.types import Material

KERB_WIDTH_CELLS = 2
ROAD_MATERIALS = (Material.ASPHALT, Material.PARKING)


def paint_ground(site: Site) -> UInt8[np.ndarray, "GX GY"]:
    """Return the material of every ground cell, before anything is built on it.

    Painted in the order grass, sidewalk, asphalt, parking, lawns the layout asks for, then markings and zebra
    stripes on asphalt only; last, sidewalk within 0.2 m of the roadway becomes kerb.
    """
    layout = site.layout
    frame = site.ground_frame
    ground = np.full(frame.shape, Material.GRASS, np.uint8)
    paint(ground, frame, region=site.sidewalk, value=Material.SIDEWALK)
    paint(ground, frame, region=site.drivable, value=Material.ASPHALT)
    paint(ground, frame, region=site.parking, value=Material.PARKING)
    paint(ground, frame, region=site.lawn, value=Material.GRASS)

    for line in layout.road_map.lane_lines:
        if len(line.points_world_m) < 2:
            continue
        color = Material.MARKING_YELLOW if line.color == "yellow" else Material.MARKING_WHITE
        paint(ground, frame, region=line_region(line), value=color, only_on=ROAD_MATERIALS)
    _paint_crossings(ground, site)
    _edge_with_kerb(ground, np.isin(np.arange(256), (Material.SIDEWALK,)), KERB_WIDTH_CELLS)
    return ground


def _paint_crossings(ground: UInt8[np.ndarray, "GX GY"], site: Site) -> None:
    """Clear lines and parking under each crossing, then paint its stripes and the stop lines in front of it."""
    layout, frame = site.layout, site.ground_frame
    covered = (Material.MARKING_WHITE, Material.MARKING_YELLOW, Material.PARKING)
    for area in layout.road_map.areas_of("crossing"):
        region = region_of(area)
        paint(ground, frame, region=region.buffer(0.3), value=Material.ASPHALT, only_on=covered)
        stripes = stripes_region(area, lanes=layout.road_map.lanes)
        paint(ground, frame, region=stripes, value=Material.CROSSING, only_on=(Material.ASPHALT,))
    bars = [line.surface for line in stop_lines(layout) if not line.is_given]
    paint(ground, frame, region=shapely.union_all(bars), value=Material.MARKING_WHITE, only_on=(Material.ASPHALT,))


@compiled
def _edge_with_kerb(ground: UInt8[np.ndarray, "GX GY"], becomes_kerb: np.ndarray, width: int) -> None:
    """Turn cells of the given materials that lie within `width` cells of the roadway into kerb, in place."""
    size_x, size_y = ground.shape
    for i in range(size_x):
        for j in range(size_y):
            if not becomes_kerb[ground[i, j]]:
                continue
            for ni in range(max(0, i - width), min(size_x, i + width + 1)):
                for nj in range(max(0, j - width), min(size_y, j + width + 1)):
                    if 1 <= ground[ni, nj] <= 5:  # ASPHALT, both markings, CROSSING, PARKING
                        ground[i, j] = 7  # KERB
                        break
                if ground[i, j] == 7:
                    break
