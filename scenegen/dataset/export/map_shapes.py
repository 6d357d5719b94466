"""What foreign maps want and a layout does not spell out: edges and connections of lanes, outlines on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.types import Area, Lane, Prop

CONNECTED_M = 0.5
CONNECTED_RAD = 0.5


def lane_connections(lanes: Sequence[Lane]) -> list[tuple[int, int]]:
    """Return (before, after) of lanes of which one begins where the other ends, in about the same direction."""
    if not lanes:
        return []
    first = np.stack([lane.centerline_world_m[0, :2] for lane in lanes])
    last = np.stack([lane.centerline_world_m[-1, :2] for lane in lanes])
    begins = np.stack([lane.centerline_world_m[1, :2] for lane in lanes]) - first
    ends = last - np.stack([lane.centerline_world_m[-2, :2] for lane in lanes])
    is_near = np.linalg.norm(last[:, None] - first[None], axis=-1) <= CONNECTED_M
    turn_rad = np.abs(np.angle(np.exp(1j * (_heading_rad(ends)[:, None] - _heading_rad(begins)[None]))))
    return [(before, after) for before, after in np.argwhere(is_near & (turn_rad <= CONNECTED_RAD)).tolist()]


def lane_edges(lane: Lane) -> tuple[Float64[np.ndarray, "N 3"], Float64[np.ndarray, "N 3"]]:
    """Return the left and the right edge of a lane: its centre line moved sideways by half its width.

    >>> line = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    >>> left, right = lane_edges(Lane(lane_id="a", centerline_world_m=line, width_m=3.0))
    >>> left[:, 1].tolist(), right[:, 1].tolist()
    ([1.5, 1.5], [-1.5, -1.5])
    """
    half_m = 0.5 * lane.width_m
    return moved_left(lane.centerline_world_m, half_m), moved_left(lane.centerline_world_m, -half_m)


def moved_left(line_m: Float64[np.ndarray, "N 3"], distance_m: float) -> Float64[np.ndarray, "N 3"]:
    """Move every point of a line to its left, level."""
    along = np.gradient(line_m[:, :2], axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    moved = line_m.copy()
    moved[:, 0] -= distance_m * along[:, 1]
    moved[:, 1] += distance_m * along[:, 0]
    return moved


def crossing_edges(area: Area) -> tuple[Float64[np.ndarray, "2 2"], Float64[np.ndarray, "2 2"]]:
    """Return the two long sides of the smallest rectangle around a crossing, in the same direction."""
    import shapely

    rectangle = shapely.Polygon(area.polygon_world_m).minimum_rotated_rectangle
    a, b, c, d = np.array(rectangle.exterior.coords)[:4, :2]
    if np.linalg.norm(b - a) < np.linalg.norm(c - b):
        a, b, c, d = b, c, d, a
    return np.stack([a, b]), np.stack([d, c])


def area_polygon(area: Area) -> Any:
    """Return an area with its holes as a valid shape of shapely."""
    import shapely

    return shapely.make_valid(shapely.Polygon(area.polygon_world_m, area.holes_world_m))


def polygons_of(shape: Any) -> list[Any]:
    """Return the polygons that a shape of shapely is made of, without its points and lines."""
    return [part for part in getattr(shape, "geoms", [shape]) if part.geom_type == "Polygon" and not part.is_empty]


def outlines_m(shape: Any) -> list[Float64[np.ndarray, "_ 3"]]:
    """Return the rings of a shape of shapely, outer and inner, on the ground; the last point is the first."""
    rings = [ring for polygon in polygons_of(shape) for ring in (polygon.exterior, *polygon.interiors)]
    return [on_ground(np.array(ring.coords)) for ring in rings]


def on_ground(points_m: Float64[np.ndarray, "N _"]) -> Float64[np.ndarray, "N 3"]:
    """Put points on the ground, z = 0."""
    return np.concatenate([points_m[:, :2], np.zeros((len(points_m), 1))], axis=1)


def upright_m(prop: Prop, *, usual_height_m: float) -> Float64[np.ndarray, "2 3"]:
    """Return the foot and the top of a prop."""
    x_m, y_m = prop.position_world_m
    return np.array([[x_m, y_m, 0.0], [x_m, y_m, prop.height_m or usual_height_m]])


def _heading_rad(along: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, " N"]:
    heading: Float64[np.ndarray, " N"] = np.arctan2(along[:, 1], along[:, 0])
    return heading
