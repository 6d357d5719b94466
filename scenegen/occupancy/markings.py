"""Paint on the road: lane lines, zebra stripes, stop lines, as regions in world metres."""

from __future__ import annotations

import numpy as np
import shapely
from jaxtyping import Float64
from shapely import ops
from shapely.geometry.base import BaseGeometry

from scenegen.occupancy.site import region_of
from scenegen.types import Area, Lane, LaneLine, Layout

DASH_M, DASH_PERIOD_M = 3.0, 7.5
DOUBLE_GAP_M = 0.14
STRIPE_M, STRIPE_PERIOD_M = 0.5, 1.0
STOP_LINE_WIDTH_M = 0.4
STOP_LINE_DISTANCE_M = 1.0
STOP_LINE_APPROACH_M = 8.0
"""A lane gets a stop line only if at least this much of it leads up to the crossing."""


def line_region(line: LaneLine) -> BaseGeometry:
    """Return the painted surface of a lane line; dashes start at its first point."""
    axis = shapely.LineString(line.points_world_m[:, :2])
    if line.kind == "double_solid":
        offset_m = (line.width_m + DOUBLE_GAP_M) / 2
        sides = [axis.offset_curve(offset_m), axis.offset_curve(-offset_m)]
        return shapely.union_all([_ribbon(side, line.width_m) for side in sides])
    if line.kind == "dashed":
        starts = np.arange(0.0, axis.length, DASH_PERIOD_M)
        dashes = [ops.substring(axis, s, min(s + DASH_M, axis.length)) for s in starts]
        return shapely.MultiPolygon(
            [part for dash in dashes for part in shapely.get_parts(_ribbon(dash, line.width_m)) if not part.is_empty]
        )
    return _ribbon(axis, line.width_m)


def stripes_region(crossing: Area, *, lanes: tuple[Lane, ...]) -> BaseGeometry:
    """Return the zebra stripes of a crossing: bars along the driving direction, side by side along the walk.

    The walk runs along the longer axis of the area; where the area is nearly square, across the nearest lane.
    """
    region = region_of(crossing)
    centre, walk, length_m, depth_m = walk_axis(region, lanes=lanes)
    drive = np.array([-walk[1], walk[0]])
    count = max(1, int(np.floor((length_m - STRIPE_M) / STRIPE_PERIOD_M)) + 1)
    first_m = -(count - 1) * STRIPE_PERIOD_M / 2
    bars = []
    for index in range(count):
        middle = centre + walk * (first_m + index * STRIPE_PERIOD_M)
        a, b = walk * STRIPE_M / 2, drive * (depth_m / 2 + 0.5)
        bars.append(shapely.Polygon([middle - a - b, middle + a - b, middle + a + b, middle - a + b]))
    return shapely.union_all(bars).intersection(region)


def walk_axis(
    region: BaseGeometry, *, lanes: tuple[Lane, ...]
) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"], float, float]:
    """Return (centre, unit walking direction, extent along it, extent across it) of a crossing."""
    rectangle = shapely.get_coordinates(region.minimum_rotated_rectangle)[:4]
    centre = rectangle.mean(axis=0)
    edges = np.array([rectangle[1] - rectangle[0], rectangle[2] - rectangle[1]])
    lengths = np.linalg.norm(edges, axis=1)
    long, short = (0, 1) if lengths[0] >= lengths[1] else (1, 0)
    if lengths[long] < 1.3 * lengths[short]:
        drive = _direction_at(lanes, centre)
        if drive is not None and abs(edges[long] @ drive) / lengths[long] > np.sqrt(0.5):
            long, short = short, long
    return centre, edges[long] / lengths[long], float(lengths[long]), float(lengths[short])


def stop_lines(layout: Layout) -> list[tuple[Lane, Float64[np.ndarray, "2 2"], BaseGeometry]]:
    """Return (lane, (right end, left end) of the line, painted surface) for every lane that meets a crossing."""
    crossings = [region_of(area) for area in layout.road_map.areas_of("crossing")]
    found = []
    for lane in layout.road_map.lanes:
        if lane.kind not in ("vehicle", "bus") or lane.is_intersection:
            continue
        axis = shapely.LineString(lane.centerline_world_m[:, :2])
        for crossing in crossings:
            common = axis.intersection(crossing)
            if common.is_empty:
                continue
            entry_m = min(axis.project(shapely.Point(point)) for point in shapely.get_coordinates(common))
            stop_m = entry_m - STOP_LINE_DISTANCE_M - STOP_LINE_WIDTH_M / 2
            if stop_m < STOP_LINE_APPROACH_M:
                continue
            here = shapely.get_coordinates(axis.interpolate(stop_m))[0]
            ahead = shapely.get_coordinates(axis.interpolate(stop_m + 0.5))[0] - here
            ahead /= max(float(np.linalg.norm(ahead)), 1e-9)
            left = np.array([-ahead[1], ahead[0]]) * (lane.width_m / 2 - 0.1)
            ends = np.stack([here - left, here + left])
            found.append((lane, ends, shapely.LineString(ends).buffer(STOP_LINE_WIDTH_M / 2, cap_style="flat")))
    return found


def _ribbon(axis: BaseGeometry, width_m: float) -> BaseGeometry:
    return axis.buffer(width_m / 2, cap_style="flat", join_style="mitre")


def _direction_at(lanes: tuple[Lane, ...], point_world_m: Float64[np.ndarray, "2"]) -> Float64[np.ndarray, "2"] | None:
    """Return the unit direction of the nearest vehicle lane, or None where there is no lane."""
    best, direction = np.inf, None
    for lane in lanes:
        if lane.kind == "walk" or len(lane.centerline_world_m) < 2:
            continue
        points = lane.centerline_world_m[:, :2]
        distance = np.linalg.norm(points - point_world_m, axis=1)
        nearest = int(distance[:-1].argmin())
        if distance[nearest] < best:
            best = float(distance[nearest])
            step = points[nearest + 1] - points[nearest]
            direction = step / max(float(np.linalg.norm(step)), 1e-9)
    return direction
