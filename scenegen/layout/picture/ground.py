"""Areas, painted lines and props."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from scenegen.layout.picture.pen import Pen, Rgb
from scenegen.layout.picture.view import View
from scenegen.types.layout import DASH_M, DASH_PERIOD_M, Lane, LaneLine, Layout

BACKGROUND: Rgb = (206, 219, 190)
AREA_RGB: dict[str, Rgb] = {
    "grass": (176, 204, 150),
    "sidewalk": (205, 203, 198),
    "drivable": (98, 101, 107),
    "parking": (122, 125, 134),
    "crossing": (226, 226, 222),
    "construction": (226, 178, 110),
    "building": (172, 142, 122),
}
LINE_RGB: dict[str, Rgb] = {"white": (240, 240, 240), "yellow": (240, 196, 60)}
PROP_RGB: dict[str, Rgb] = {"tree": (74, 128, 66), "hedge": (88, 140, 76)}
LANE_RGB: Rgb = (134, 137, 143)
LANE_ARROW_M = 18.0
"""Between the arrows that show which way a lane runs."""


def draw_ground(pen: Pen, view: View, layout: Layout) -> None:
    """Draw everything of the map that the view shows."""
    road_map = layout.road_map
    has_areas = bool(road_map.areas_of("drivable"))
    if not has_areas:
        for lane in road_map.lanes:
            if view.shows(lane.centerline_world_m, margin_m=lane.width_m):
                color = AREA_RGB["sidewalk" if lane.kind == "walk" else "drivable"]
                pen.line(view.pixels(lane.centerline_world_m), color=color, width=view.px(lane.width_m))
    for kind, rgb in AREA_RGB.items():
        for area in road_map.areas_of(kind):
            if not view.shows(area.polygon_world_m):
                continue
            outline = (120, 96, 80) if kind == "building" else None
            holes = [view.pixels(hole_m) for hole_m in area.holes_world_m]
            pen.polygon(view.pixels(area.polygon_world_m), fill=rgb, outline=outline, holes=holes)
            if kind == "crossing":
                _draw_zebra(pen, view, area.polygon_world_m)
    for lane in road_map.lanes:
        if view.shows(lane.centerline_world_m):
            _draw_direction(pen, view, lane)
    for line in road_map.lane_lines:
        if view.shows(line.points_world_m):
            _draw_line(pen, view, line)
    for prop in road_map.props:
        if view.shows(prop.position_world_m[None], margin_m=2.0):
            radius_m = 1.6 if prop.kind in PROP_RGB else 0.35
            (at,) = view.pixels(prop.position_world_m[None])
            fill = PROP_RGB.get(prop.kind, (60, 60, 70))
            pen.circle(at, radius=max(view.px(radius_m), 1.0), fill=fill)


def _draw_zebra(pen: Pen, view: View, outline_m: Float64[np.ndarray, "N 2"]) -> None:
    """Stripe a four-cornered crossing across its long side; other outlines stay plain."""
    if len(outline_m) != 4:
        return
    first, second = outline_m[1] - outline_m[0], outline_m[2] - outline_m[1]
    if np.linalg.norm(first) < np.linalg.norm(second):
        stripe_m, walk_m, origin_m = first, second, outline_m[0]
    else:
        stripe_m, walk_m, origin_m = second, -first, outline_m[1]
    count = max(2, int(np.linalg.norm(walk_m) / 1.1))
    for k in range(count):
        low, high = origin_m + walk_m * ((k + 0.5) / count), origin_m + walk_m * ((k + 1.0) / count)
        corners = np.stack([low, low + stripe_m, high + stripe_m, high])
        pen.polygon(view.pixels(corners), fill=AREA_RGB["drivable"])


def _draw_direction(pen: Pen, view: View, lane: Lane) -> None:
    """Draw arrow heads along a lane's centre line, where the picture is large enough for them."""
    if view.scale < 2.0 or lane.kind == "walk" or len(lane.centerline_world_m) < 2:
        return
    points_m, length_m = _measured(lane.centerline_world_m[:, :2])
    for at_m in np.arange(0.5 * min(LANE_ARROW_M, float(length_m[-1])), length_m[-1], LANE_ARROW_M):
        tip = _at(points_m, length_m, np.array([at_m + 0.6, at_m - 0.6]).clip(0.0, float(length_m[-1])))
        way = tip[0] - tip[1]
        norm = float(np.linalg.norm(way))
        if norm > 1e-6:
            ahead, left = way / norm, np.array([-way[1], way[0]]) / norm
            wings = np.stack([tip[0] + 0.6 * ahead, tip[1] + 0.45 * left, tip[1] - 0.45 * left])
            pen.polygon(view.pixels(wings), fill=LANE_RGB)


def _draw_line(pen: Pen, view: View, line: LaneLine) -> None:
    rgb, width = LINE_RGB[line.color], max(view.px(line.width_m), 0.7)
    if line.kind == "dashed":
        points_m, length_m = _measured(line.points_world_m[:, :2])
        for begin_m in np.arange(0.0, length_m[-1], DASH_PERIOD_M):
            ends_m = np.array([begin_m, min(begin_m + DASH_M, length_m[-1])])
            pen.line(view.pixels(_at(points_m, length_m, ends_m)), color=rgb, width=width)
        return
    is_double = line.kind == "double_solid"
    pen.line(view.pixels(line.points_world_m), color=rgb, width=width * (3.0 if is_double else 1.0))
    if is_double:
        pen.line(view.pixels(line.points_world_m), color=AREA_RGB["drivable"], width=width)


def _measured(points_m: Float64[np.ndarray, "N 2"]) -> tuple[Float64[np.ndarray, "N 2"], Float64[np.ndarray, " N"]]:
    """Return a line with the length of it up to every point."""
    return points_m, np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_m, axis=0), axis=1))])


def _at(
    points_m: Float64[np.ndarray, "N 2"], length_m: Float64[np.ndarray, " N"], at_m: Float64[np.ndarray, " K"]
) -> Float64[np.ndarray, "K 2"]:
    return np.stack([np.interp(at_m, length_m, points_m[:, axis]) for axis in (0, 1)], axis=1)
