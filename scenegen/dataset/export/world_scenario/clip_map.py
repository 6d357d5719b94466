"""The road map as the format has it: rails, painted lines, boundaries, crosswalks, poles, lights and signs.

What is ours: rails are the centre line moved by half the lane's width, and virtual, because paint is in
`lane_line`; a boundary is the outline of everything drivable (areas and lanes together); heights that the layout
leaves open are the world's, but for trees, of which it draws 5.5 to 10 m; signs have one size. Layouts
know no stop lines and no road markings beyond lines and crossings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.export.map_shapes import area_polygon, moved_left, outlines_m, upright_m
from scenegen.types import LaneLine, Prop, RoadMap
from scenegen.types.layout import DOUBLE_GAP_M, USUAL_HEIGHT_M

TREE_HEIGHT_M = 7.0
POLE_CATEGORY = {
    "tree": "TREE",
    "pole": "UNKNOWN",
    "street_lamp": "LIGHT",
    "bollard": "UNKNOWN",
    "traffic_light": "UNKNOWN",
    "sign": "SIGN",
}
PLATE_SIZE_M = {"traffic_light": (0.24, 0.32, 0.9), "sign": (0.03, 0.65, 0.65)}
"""Length, width and height of the head of a light and of the plate of a sign; their upper edge is the prop's height."""
PLATE_AHEAD_M = {"traffic_light": 0.16, "sign": 0.07}
"""How far they stand before their post, in the direction they face."""
SIMPLIFIED_M = 0.02


@dataclass(frozen=True, kw_only=True)
class Plate:
    """A traffic light's head or a sign's plate: a box, world frame."""

    kind: str
    center_world_m: Float64[np.ndarray, "3"]
    size_lwh_m: Float64[np.ndarray, "3"]
    heading_rad: float


def boundaries_world_m(road_map: RoadMap) -> list[Float64[np.ndarray, "_ 3"]]:
    """Return the closed outlines of what is drivable, outer and inner; the last point is the first."""
    import shapely

    lanes = [
        shapely.LineString(lane.centerline_world_m[:, :2]).buffer(0.5 * lane.width_m, cap_style="flat")
        for lane in road_map.lanes
        if lane.kind != "walk" and len(lane.centerline_world_m) > 1
    ]
    areas = [area_polygon(area) for area in road_map.areas if area.kind in ("drivable", "parking")]
    return outlines_m(shapely.union_all([*lanes, *areas]).simplify(SIMPLIFIED_M))


def painted_lines(line: LaneLine) -> tuple[Float64[np.ndarray, "N 3"], ...]:
    """Return the lines that are painted: two for a double line."""
    if line.kind != "double_solid":
        return (line.points_world_m,)
    half_m = 0.5 * (line.width_m + DOUBLE_GAP_M)
    return (moved_left(line.points_world_m, half_m), moved_left(line.points_world_m, -half_m))


def pole_world_m(prop: Prop) -> Float64[np.ndarray, "2 3"]:
    """Return the foot and the top of a prop."""
    return upright_m(prop, usual_height_m=TREE_HEIGHT_M if prop.kind == "tree" else USUAL_HEIGHT_M[prop.kind])


def plates_of(road_map: RoadMap) -> tuple[Plate, ...]:
    """Return the heads of traffic lights and the plates of signs."""
    plates = []
    for prop in road_map.props:
        if prop.kind in PLATE_SIZE_M:
            size_m = np.array(PLATE_SIZE_M[prop.kind])
            top_m = pole_world_m(prop)[1]
            ahead_m = PLATE_AHEAD_M[prop.kind] * np.array([np.cos(prop.heading_rad), np.sin(prop.heading_rad)])
            center_m = top_m + np.array([*ahead_m, -0.5 * size_m[2]])
            plates.append(
                Plate(kind=prop.kind, center_world_m=center_m, size_lwh_m=size_m, heading_rad=prop.heading_rad)
            )
    return tuple(plates)
