"""The map mask of nuScenes: a grey PNG, 10 pixels a metre, 255 on roads and pavements, north up.

Written band by band, because a sheet of a hundred scenes has more pixels than a machine has memory.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageDraw

from scenegen.dataset.export.map_shapes import polygons_of
from scenegen.dataset.export.nuscenes.sheet import Sheet, Tile

PIXELS_PER_M = 10
BAND_ROWS = 256
MASKED_KINDS = ("drivable", "sidewalk", "crossing", "parking")
_INSIDE = 255


def write_map_mask(path: Path, sheet: Sheet) -> None:
    """Write the mask of a whole sheet."""
    width, height = (int(length) * PIXELS_PER_M for length in sheet.size_m)
    polygons = [polygon for tile in sheet.tiles() for polygon in _masked_polygons(tile)]
    polygons.sort(key=lambda polygon: -polygon.area)  # what lies in another's hole is drawn after it
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _write_part(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        packer = zlib.compressobj(1)
        for first_row in range(0, height, BAND_ROWS):
            band = _draw_band(polygons, first_row, size_px=(width, min(BAND_ROWS, height - first_row)), height=height)
            lines = np.pad(np.asarray(band), ((0, 0), (1, 0)))  # filter byte 0 before every line
            _write_part(file, b"IDAT", packer.compress(lines.tobytes()))
        _write_part(file, b"IDAT", packer.flush())
        _write_part(file, b"IEND", b"")


def _masked_polygons(tile: Tile) -> list[Any]:
    """Return the union of all ground that counts, on the sheet, as simple polygons with holes."""
    import shapely

    areas = [
        shapely.Polygon(area.polygon_world_m + tile.shift_m, [hole + tile.shift_m for hole in area.holes_world_m])
        for area in tile.road_map.areas
        if area.kind in MASKED_KINDS
    ]
    return polygons_of(shapely.union_all([shapely.make_valid(area) for area in areas]))


def _draw_band(polygons: list[Any], first_row: int, *, size_px: tuple[int, int], height: int) -> Image.Image:
    band = Image.new("L", size_px, 0)
    draw = ImageDraw.Draw(band)
    north_m, south_m = (height - first_row) / PIXELS_PER_M, (height - first_row - size_px[1]) / PIXELS_PER_M
    for polygon in polygons:
        _, low_m, _, high_m = polygon.bounds
        if low_m > north_m or high_m < south_m:
            continue
        for ring, value in [(polygon.exterior, _INSIDE), *((hole, 0) for hole in polygon.interiors)]:
            corners = np.array(ring.coords)[:, :2] * [PIXELS_PER_M, -PIXELS_PER_M] + [0.0, height - first_row]
            draw.polygon([tuple(corner) for corner in corners.tolist()], fill=value)
    return band


def _write_part(file: BinaryIO, kind: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + kind + content)
    file.write(struct.pack(">I", zlib.crc32(kind + content)))
