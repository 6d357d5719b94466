"""Exact rasters of polygons: a cell belongs to a polygon when its centre lies inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float64, Int64, UInt8
from shapely.geometry.base import BaseGeometry

from scenegen.occupancy.compiled import compiled


@dataclass(frozen=True, kw_only=True)
class RasterFrame:
    """Where a raster lies in the world: cell (i, j) spans `origin_m + cell_m * (i, j)` to one cell further."""

    origin_m: tuple[float, float]
    cell_m: float
    shape: tuple[int, int]

    def to_cells(self, points_world_m: Float64[np.ndarray, "*N 2"]) -> Float64[np.ndarray, "*N 2"]:
        """Convert world metres to fractional cell coordinates."""
        return np.asarray((points_world_m - np.asarray(self.origin_m)) / self.cell_m)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Some cells of a raster. `is_complete` is False where part of the asked region lies outside the raster."""

    i: Int64[np.ndarray, " N"]
    j: Int64[np.ndarray, " N"]
    is_complete: bool

    def without(self, mask: Bool[np.ndarray, "X Y"]) -> Cells:
        """Return the cells outside `mask`."""
        outside = ~mask[self.i, self.j]
        return Cells(i=self.i[outside], j=self.j[outside], is_complete=self.is_complete)


def paint(
    raster: UInt8[np.ndarray, "GX GY"],
    frame: RasterFrame,
    *,
    region: BaseGeometry,
    value: int,
    only_on: Sequence[int] | None = None,
) -> None:
    """Set the cells of `raster` whose centre lies in `region` to `value`, in place.

    `region` is in world metres; holes are respected, lines and points paint nothing. `only_on` lists the materials
    that may be painted over; None means all.
    """
    allowed = np.ones(256, np.bool_)
    if only_on is not None:
        allowed[:] = False
        allowed[list(only_on)] = True
    for polygon in polygons_of(region):
        _fill_rings(raster, _edges_in_cells(polygon, frame), np.uint8(value), allowed)


def mask_of(region: BaseGeometry, frame: RasterFrame) -> Bool[np.ndarray, "GX GY"]:
    """Return True where a cell's centre lies in `region`."""
    raster = np.zeros(frame.shape, np.uint8)
    paint(raster, frame, region=region, value=1)
    return raster.astype(np.bool_)


def coarsen_any(fine: Bool[np.ndarray, "GX GY"], *, factor: int) -> Bool[np.ndarray, "X Y"]:
    """Return True where any of the `factor` x `factor` fine cells of a coarse cell is True."""
    size_x, size_y = fine.shape[0] // factor, fine.shape[1] // factor
    blocks = fine[: size_x * factor, : size_y * factor].reshape(size_x, factor, size_y, factor)
    return np.asarray(blocks.any(axis=(1, 3)))


def cells_of_rectangle(
    frame: RasterFrame,
    *,
    world_from_thing: Float64[np.ndarray, "4 4"],
    size_m: tuple[float, float],
    margin_m: float = 0.0,
) -> Cells:
    """Return the cells whose centre lies in an oriented rectangle, grown by `margin_m` on every side."""
    half = np.array([size_m[0] / 2 + margin_m, size_m[1] / 2 + margin_m])
    rotation, centre = world_from_thing[:2, :2], world_from_thing[:2, 3]
    reach = np.abs(rotation) @ half
    low = np.floor(frame.to_cells(centre - reach)).astype(int)
    high = np.ceil(frame.to_cells(centre + reach)).astype(int)
    is_complete = bool((low >= 0).all() and (high <= frame.shape).all())
    low, high = np.maximum(low, 0), np.minimum(high, frame.shape)
    if (high <= low).any():
        nothing = np.zeros(0, np.int64)
        return Cells(i=nothing, j=nothing, is_complete=False)
    x = frame.origin_m[0] + (np.arange(low[0], high[0]) + 0.5) * frame.cell_m - centre[0]
    y = frame.origin_m[1] + (np.arange(low[1], high[1]) + 0.5) * frame.cell_m - centre[1]
    along = x[:, None] * rotation[0, 0] + y[None, :] * rotation[1, 0]
    across = x[:, None] * rotation[0, 1] + y[None, :] * rotation[1, 1]
    i, j = np.nonzero((np.abs(along) <= half[0]) & (np.abs(across) <= half[1]))
    return Cells(i=i + low[0], j=j + low[1], is_complete=is_complete)


def cells_of_disc(
    frame: RasterFrame, *, centre_world_m: Float64[np.ndarray, "2"], radius_m: float, margin_m: float = 0.0
) -> Cells:
    """Return the cells whose centre lies in a disc grown by `margin_m`."""
    pose = np.eye(4)
    pose[:2, 3] = centre_world_m
    square = cells_of_rectangle(frame, world_from_thing=pose, size_m=(2 * radius_m, 2 * radius_m), margin_m=margin_m)
    x = frame.origin_m[0] + (square.i + 0.5) * frame.cell_m - centre_world_m[0]
    y = frame.origin_m[1] + (square.j + 0.5) * frame.cell_m - centre_world_m[1]
    inside = x**2 + y**2 <= (radius_m + margin_m) ** 2
    return Cells(i=square.i[inside], j=square.j[inside], is_complete=square.is_complete)


def polygons_of(region: BaseGeometry) -> list[shapely.Polygon]:
    """Return the polygons of any geometry, in order."""
    parts = shapely.get_parts(region) if hasattr(region, "geoms") else [region]
    polygons: list[shapely.Polygon] = []
    for part in parts:
        if isinstance(part, shapely.Polygon):
            if not part.is_empty:
                polygons.append(part)
        elif hasattr(part, "geoms"):
            polygons.extend(polygons_of(part))
    return polygons


def _edges_in_cells(polygon: shapely.Polygon, frame: RasterFrame) -> Float64[np.ndarray, "E 4"]:
    """Return all edges of all rings as (x0, y0, x1, y1) in cell coordinates."""
    edges = []
    for ring in (polygon.exterior, *polygon.interiors):
        corners = frame.to_cells(shapely.get_coordinates(ring))
        edges.append(np.concatenate([corners[:-1], corners[1:]], axis=1))
    return np.ascontiguousarray(np.concatenate(edges))


@compiled
def _fill_rings(
    raster: UInt8[np.ndarray, "GX GY"],
    edges: Float64[np.ndarray, "E 4"],
    value: np.uint8,
    allowed: Bool[np.ndarray, "256"],
) -> None:
    """Fill by scan lines of constant x with the even-odd rule."""
    first = max(0, int(np.floor(min(edges[:, 0].min(), edges[:, 2].min()))))
    last = min(raster.shape[0], int(np.ceil(max(edges[:, 0].max(), edges[:, 2].max()))) + 1)
    crossings = np.empty(len(edges))
    for i in range(first, last):
        x = i + 0.5
        count = 0
        for e in range(len(edges)):
            x0, x1 = edges[e, 0], edges[e, 2]
            if (x0 <= x) != (x1 <= x):
                crossings[count] = edges[e, 1] + (x - x0) * (edges[e, 3] - edges[e, 1]) / (x1 - x0)
                count += 1
        ordered = np.sort(crossings[:count])
        for pair in range(0, count - 1, 2):
            begin = max(0, int(np.ceil(ordered[pair] - 0.5)))
            end = min(raster.shape[1], int(np.ceil(ordered[pair + 1] - 0.5)))
            for j in range(begin, end):
                if allowed[raster[i, j]]:
                    raster[i, j] = value
