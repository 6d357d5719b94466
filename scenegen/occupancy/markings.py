"""Paint on the road: lane lines, zebra stripes, stop lines, as regions in world metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64
from shapely import ops
from shapely.geometry.base import BaseGeometry

from scenegen.occupancy.site import region_of
from scenegen.types import Area, Lane, LaneLine, Layout
from scenegen.types.layout import DASH_M, DASH_PERIOD_M, DOUBLE_GAP_M

STRIPE_M, STRIPE_PERIOD_M = 0.5, 1.0
STOP_LINE_WIDTH_M = 0.4
STOP_LINE_DISTANCE_M = 1.0
STOP_LINE_APPROACH_M = 8.0
"""A lane gets a stop line only if at least this much of it leads up to the crossing."""


@dataclass(frozen=True, kw_only=True)
class StopLine:
    """Where a lane stops in front of a crossing.

    Attributes:
        ends_world_m: right and left end, seen in driving direction.
        surface: the painted bar.
        is_given: whether the layout already has a line there, so that none needs painting.
    """

    ends_world_m: Float64[np.ndarray, "2 2"]
    surface: BaseGeometry
    is_given: bool


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


def stop_lines(layout: Layout) -> list[StopLine]:
    """Return where every lane that meets a crossing has to stop."""
    crossings = [region_of(area) for area in layout.road_map.areas_of("crossing")]
    found = []
    for lane in layout.road_map.lanes:
        if lane.kind not in ("vehicle", "bus") or lane.is_intersection or len(lane.centerline_world_m) < 2:
            continue
        axis = shapely.LineString(lane.centerline_world_m[:, :2])
        for crossing in crossings:
            common = axis.intersection(crossing)
            if common.is_empty:
                continue
            entry_m = min(axis.project(shapely.Point(point)) for point in shapely.get_coordinates(common))
            if entry_m >= STOP_LINE_APPROACH_M:
                approach = ops.substring(axis, entry_m - STOP_LINE_APPROACH_M, entry_m)
                found.append(_stop_line(lane, approach, layout.road_map.lane_lines))
    return found


def _stop_line(lane: Lane, approach: BaseGeometry, lines: tuple[LaneLine, ...]) -> StopLine:
    """Return the stop line at the end of an approach; the layout's own painted line across it counts as one."""
    given = any(approach.crosses(shapely.LineString(line.points_world_m[:, :2])) for line in lines)
    stop_m = approach.length - STOP_LINE_DISTANCE_M - STOP_LINE_WIDTH_M / 2
    here = shapely.get_coordinates(approach.interpolate(stop_m))[0]
    ahead = shapely.get_coordinates(approach.interpolate(stop_m + 0.5))[0] - here
    ahead /= max(float(np.linalg.norm(ahead)), 1e-9)
    left = np.array([-ahead[1], ahead[0]]) * (lane.width_m / 2 - 0.1)
    ends = np.stack([here - left, here + left])
    return StopLine(
        ends_world_m=ends,
        surface=shapely.LineString(ends).buffer(STOP_LINE_WIDTH_M / 2, cap_style="flat"),
        is_given=given,
    )


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
