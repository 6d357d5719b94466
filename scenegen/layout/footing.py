"""Where somebody on foot may step: a raster of the road and of what stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64
from PIL import Image, ImageDraw

from scenegen.types.layout import Area, RoadMap

CELL_M = 0.2
ROAD_KINDS = ("drivable", "parking")
WALKABLE_KINDS = ("crossing", "sidewalk")


class Footing:
    """A raster over a rectangle of the world; outside of it nothing is road and nothing stands."""

    def __init__(
        self,
        road_map: RoadMap,
        standing_m: Sequence[Float64[np.ndarray, "4 2"]],
        *,
        low_m: Float64[np.ndarray, "2"],
        high_m: Float64[np.ndarray, "2"],
    ) -> None:
        """Rasterise a map and outlines of boxes that nobody walks through, between two corners of a rectangle."""
        self._low_m = low_m
        width_px, height_px = np.maximum(np.ceil((high_m - low_m) / CELL_M), 1).astype(int)
        self._size_px = (int(width_px), int(height_px))
        road = self._paint([area for kind in ROAD_KINDS for area in road_map.areas_of(kind)])
        walkable = self._paint([area for kind in WALKABLE_KINDS for area in road_map.areas_of(kind)])
        solid = self._paint(road_map.areas_of("building"))
        boxes = Image.fromarray(solid)
        pen = ImageDraw.Draw(boxes)
        for outline_m in standing_m:
            pen.polygon(self._pixels(outline_m), fill=1)
        self._is_road: Bool[np.ndarray, "X Y"] = (road & ~walkable).astype(bool)
        self._is_solid: Bool[np.ndarray, "X Y"] = np.asarray(boxes).astype(bool)

    def steps_where_it_may_not(
        self, from_m: Float64[np.ndarray, "P 2"], points_m: Float64[np.ndarray, "P C L 2"]
    ) -> Bool[np.ndarray, "P C"]:
        """Say which ways, given by L places in order, enter the road or something that stands."""
        start = np.broadcast_to(from_m[:, None, None, :], (*points_m.shape[:2], 1, 2))
        cells = self._cells(np.concatenate([start, points_m], axis=2))
        enters = np.zeros(points_m.shape[:2], bool)
        for raster in (self._is_road, self._is_solid):
            there = raster[cells[..., 1], cells[..., 0]]
            enters |= (there[..., 1:] & ~there[..., :-1]).any(axis=-1)
        return enters

    def is_road(self, points_m: Float64[np.ndarray, "*P 2"]) -> Bool[np.ndarray, "*P"]:
        """Say which places are on the road and not on a crossing."""
        cells = self._cells(points_m)
        return np.asarray(self._is_road[cells[..., 1], cells[..., 0]])

    def _cells(self, points_m: Float64[np.ndarray, "*P 2"]) -> Int64[np.ndarray, "*P 2"]:
        cells = np.floor((points_m - self._low_m) / CELL_M).astype(np.int64)
        return np.clip(cells, 0, np.array(self._size_px) - 1)

    def _pixels(self, points_m: Float64[np.ndarray, "N 2"]) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in (points_m - self._low_m) / CELL_M - 0.5]

    def _paint(self, areas: Sequence[Area]) -> np.ndarray:
        painted = np.zeros(self._size_px[::-1], np.uint8)
        for area in areas:
            image = Image.new("L", self._size_px, 0)
            pen = ImageDraw.Draw(image)
            pen.polygon(self._pixels(area.polygon_world_m), fill=1)
            for hole_m in area.holes_world_m:
                pen.polygon(self._pixels(hole_m), fill=0)
            painted |= np.asarray(image)
        return painted
