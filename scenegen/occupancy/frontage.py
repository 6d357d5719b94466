"""Frontages: the edges of streets, walked at equal steps, with the open side on the right-hand side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64
from shapely.geometry.base import BaseGeometry

from scenegen.occupancy.raster import polygons_of
from scenegen.occupancy.site import Site

STEP_M = 1.0
SMOOTH_STEPS = 4
INSIDE_M = 1.0
SHORTEST_M = 8.0


@dataclass(frozen=True, kw_only=True)
class Frontage:
    """An edge between street and open land, sampled every `STEP_M`.

    Attributes:
        point_world_m: samples in walking order.
        outward: unit normals, away from the street.
        is_loop: whether the last sample is followed by the first.
    """

    point_world_m: Float64[np.ndarray, "N 2"]
    outward: Float64[np.ndarray, "N 2"]
    is_loop: bool

    def __len__(self) -> int:
        return len(self.point_world_m)

    @property
    def key(self) -> str:
        """Where it begins and ends, in decimetres: what tells it from other edges of the same region."""
        return ",".join(f"{round(10 * x)}" for x in (*self.point_world_m[0], *self.point_world_m[-1]))

    def heading_rad(self, index: int) -> float:
        """Return the yaw of a thing at sample `index` whose x axis follows the street and whose -y faces it."""
        outward = self.outward[index]
        return float(np.arctan2(-outward[0], outward[1]))


def frontages_of(region: BaseGeometry, site: Site) -> list[Frontage]:
    """Return the edges of `region` inside the extents, longest pieces whole, edges of the extents left out."""
    x_min, y_min, x_max, y_max = site.bounds_world_m
    low = np.array([x_min, y_min]) + INSIDE_M
    high = np.array([x_max, y_max]) - INSIDE_M
    found: list[Frontage] = []
    for polygon in polygons_of(region.simplify(0.1)):
        oriented = shapely.geometry.polygon.orient(polygon, 1.0)
        for ring in (oriented.exterior, *oriented.interiors):
            if ring.length < SHORTEST_M:
                continue
            count = max(8, int(ring.length / STEP_M))
            points = shapely.get_coordinates(
                shapely.line_interpolate_point(ring, np.arange(count) * ring.length / count)
            )
            found.extend(_pieces(points, ((points > low) & (points < high)).all(axis=1)))
    return found


def _pieces(points: Float64[np.ndarray, "N 2"], inside: np.ndarray) -> list[Frontage]:
    """Cut a closed ring where it leaves the extents."""
    tangent = _smooth(np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0))
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    outward = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    if inside.all():
        return [Frontage(point_world_m=points, outward=outward, is_loop=True)]
    first = int(np.argmin(inside))  # an outside sample: the walk can begin after it
    order = np.roll(np.arange(len(points)), -first)
    runs = np.split(order, np.nonzero(np.diff(inside[order].astype(np.int8)))[0] + 1)
    return [
        Frontage(point_world_m=points[run], outward=outward[run], is_loop=False)
        for run in runs
        if inside[run[0]] and len(run) * STEP_M >= SHORTEST_M
    ]


def _smooth(values: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "N 2"]:
    """Average over `SMOOTH_STEPS` neighbours on either side of a closed ring."""
    shifted = [np.roll(values, shift, axis=0) for shift in range(-SMOOTH_STEPS, SMOOTH_STEPS + 1)]
    return np.asarray(np.mean(shifted, axis=0))
