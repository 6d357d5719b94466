"""The vector map of a ScenarioNet record.

* A lane that comes with a polygon is a lane of the source map; one without is a connector inside an
  intersection. A lane is as wide as twice the median distance of its centre line from its polygon's
  edge. Connectors, and lanes whose centre line leaves its polygon so that this is not a plausible width, are
  as wide as the median lane of the record.
* ScenarioNet writes the outline of nuScenes' drivable area as solid white lines `boundary_*`: closed rings, outer
  ones and holes alike. They are kept as lane lines (the edge of the carriageway), and, by the even-odd
  rule, are the drivable area once more.
* The drivable areas are those rings, cut to the box around all lanes (they reach kilometres beyond the record),
  lane polygons and driveways. In a record without outlines, every lane at its width takes their place.
* nuScenes has no speed limits, and the 100 km/h that ScenarioNet writes to its connectors is dropped; other
  sources keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.record import Record
from scenegen.layout.importers.source_tracks import PLAUSIBLE_WIDTH_M, open_ring, width_in_polygon_m
from scenegen.types import Area, Lane, LaneLine, RoadMap

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

LANE_KIND_OF_TYPE = {
    "LANE_SURFACE_STREET": "vehicle",
    "LANE_SURFACE_UNSTRUCTURE": "vehicle",
    "LANE_FREEWAY": "vehicle",
    "LANE_BIKE_LANE": "bike",
}
LINE_OF_TYPE = {
    "ROAD_LINE_BROKEN_SINGLE_WHITE": ("dashed", "white"),
    "ROAD_LINE_BROKEN_SINGLE_YELLOW": ("dashed", "yellow"),
    "ROAD_LINE_BROKEN_DOUBLE_YELLOW": ("dashed", "yellow"),
    "ROAD_LINE_PASSING_DOUBLE_YELLOW": ("double_solid", "yellow"),
    "ROAD_LINE_SOLID_SINGLE_WHITE": ("solid", "white"),
    "ROAD_LINE_SOLID_SINGLE_YELLOW": ("solid", "yellow"),
    "ROAD_LINE_SOLID_DOUBLE_WHITE": ("double_solid", "white"),
    "ROAD_LINE_SOLID_DOUBLE_YELLOW": ("double_solid", "yellow"),
}
AREA_KIND_OF_TYPE = {"CROSSWALK": "crossing", "BOUNDARY_SIDEWALK": "sidewalk", "DRIVEWAY": "drivable"}
NOT_DRAWN = frozenset({"ROAD_EDGE_BOUNDARY", "ROAD_EDGE_MEDIAN", "ROAD_EDGE_SIDEWALK", "SPEED_BUMP", "STOP_SIGN"})
"""Features that a layout has no word for; they are left out."""
NOMINAL_WIDTH_M = 3.5
"""Width of lanes in a record where no lane has a usable polygon."""
MARGIN_M = 20.0
SMALLEST_AREA_M2 = 1.0
KMH_PER_MPS = 3.6


def read_road_map(record: Record, *, origin_source_m: Float64[np.ndarray, "2"]) -> RoadMap:
    """Read the map features into the world frame, flat at z = 0. Lanes and lines keep their file order.

    Raises:
        LayoutError: a feature is damaged or of an unknown type; the message names it.
    """
    known = {*LANE_KIND_OF_TYPE, *LINE_OF_TYPE, *AREA_KIND_OF_TYPE, *NOT_DRAWN}
    group = record.child("map_features")
    features = {feature_id: group.child(feature_id) for feature_id in group}
    type_of = {feature_id: feature.choice("type", known) for feature_id, feature in features.items()}
    has_limits = record.child("metadata").text("dataset") != "nuscenes"
    lane_features = {name: features[name] for name, kind in type_of.items() if kind in LANE_KIND_OF_TYPE}
    lane_polygons_m = {
        name: _ring_of(feature, origin_source_m) for name, feature in lane_features.items() if feature.has("polygon")
    }
    lanes = _lanes_of(lane_features, lane_polygons_m, origin_source_m, has_limits=has_limits)
    lines = {
        name: _line_of(features[name], LINE_OF_TYPE[kind], origin_source_m)
        for name, kind in type_of.items()
        if kind in LINE_OF_TYPE
    }
    areas = [
        Area(kind=AREA_KIND_OF_TYPE[kind], polygon_world_m=_ring_of(features[name], origin_source_m))
        for name, kind in type_of.items()
        if kind in AREA_KIND_OF_TYPE
    ]
    outlines_m = [line.points_world_m[:, :2] for name, line in lines.items() if name.startswith("boundary_")]
    solid_m = [*lane_polygons_m.values(), *(area.polygon_world_m for area in areas if area.kind == "drivable")]
    drivable = _drivable_areas(lanes, solid_m, outlines_m)
    return RoadMap(
        lanes=lanes,
        lane_lines=tuple(lines.values()),
        areas=(*drivable, *(area for area in areas if area.kind != "drivable")),
    )


def _points_of(
    feature: Record, key: str, origin_source_m: Float64[np.ndarray, "2"], *, at_least: int
) -> Float64[np.ndarray, "N 2"]:
    """Return x and y of a polyline or ring."""
    moved_m: Float64[np.ndarray, "N 2"] = feature.points(key, at_least=at_least) - origin_source_m
    return moved_m


def _ring_of(feature: Record, origin_source_m: Float64[np.ndarray, "2"]) -> Float64[np.ndarray, "N 2"]:
    """Return the corners of a feature's polygon."""
    return open_ring(_points_of(feature, "polygon", origin_source_m, at_least=3))


def _line_of(feature: Record, kind_color: tuple[str, str], origin_source_m: Float64[np.ndarray, "2"]) -> LaneLine:
    """Build a painted line."""
    points_m = _points_of(feature, "polyline", origin_source_m, at_least=2)
    return LaneLine(points_world_m=_on_ground(points_m), kind=kind_color[0], color=kind_color[1])


def _on_ground(points_m: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "N 3"]:
    """Append z = 0."""
    return np.column_stack([points_m, np.zeros(len(points_m))])


def _lanes_of(
    features: dict[str, Record],
    polygons_m: dict[str, Float64[np.ndarray, "_ 2"]],
    origin_source_m: Float64[np.ndarray, "2"],
    *,
    has_limits: bool,
) -> tuple[Lane, ...]:
    """Build the lanes; see the module's text for widths, connectors and limits."""
    center_m = {
        name: _points_of(feature, "polyline", origin_source_m, at_least=2) for name, feature in features.items()
    }
    measured_m = {name: width_in_polygon_m(center_m[name], polygon_m) for name, polygon_m in polygons_m.items()}
    least_m, most_m = PLAUSIBLE_WIDTH_M
    width_m = {name: measured for name, measured in measured_m.items() if least_m <= measured <= most_m}
    typical_width_m = float(np.median(list(width_m.values()))) if width_m else NOMINAL_WIDTH_M
    return tuple(
        Lane(
            lane_id=name,
            centerline_world_m=_on_ground(center_m[name]),
            width_m=width_m.get(name, typical_width_m),
            kind=LANE_KIND_OF_TYPE[feature.text("type")],
            is_intersection=bool(polygons_m) and name not in polygons_m,
            speed_limit_mps=feature.number("speed_limit_kmh") / KMH_PER_MPS
            if has_limits and feature.has("speed_limit_kmh")
            else None,
        )
        for name, feature in features.items()
    )


def _drivable_areas(
    lanes: Sequence[Lane],
    solid_m: Iterable[Float64[np.ndarray, "_ 2"]],
    outlines_m: Iterable[Float64[np.ndarray, "_ 2"]],
) -> tuple[Area, ...]:
    """Unite everything that can be driven on, and cut it to the neighbourhood of the lanes."""
    import shapely

    if not lanes:
        return ()
    points_m = np.concatenate([lane.centerline_world_m[:, :2] for lane in lanes])
    nearby = shapely.box(*(points_m.min(axis=0) - MARGIN_M), *(points_m.max(axis=0) + MARGIN_M))
    parts = [shapely.make_valid(shapely.Polygon(polygon_m)) for polygon_m in solid_m]
    rings = [shapely.make_valid(shapely.Polygon(outline_m)) for outline_m in outlines_m if _is_closed(outline_m)]
    if rings:
        parts.append(shapely.intersection(shapely.symmetric_difference_all(rings), nearby))
    else:
        parts += [
            shapely.LineString(lane.centerline_world_m[:, :2]).buffer(lane.width_m / 2.0, cap_style="flat")
            for lane in lanes
        ]
    return _areas_of(shapely.union_all(parts))


def _is_closed(outline_m: Float64[np.ndarray, "N 2"]) -> bool:
    """Tell whether a polyline is a ring."""
    return len(outline_m) > 3 and bool(np.allclose(outline_m[0], outline_m[-1], atol=1e-6))


def _areas_of(geometry: BaseGeometry) -> tuple[Area, ...]:
    """Turn polygons into areas, slivers left out."""
    import shapely

    return tuple(
        Area(
            kind="drivable",
            polygon_world_m=open_ring(shapely.get_coordinates(polygon.exterior)),
            holes_world_m=tuple(open_ring(shapely.get_coordinates(hole)) for hole in polygon.interiors),
        )
        for polygon in shapely.get_parts(geometry)
        if polygon.geom_type == "Polygon" and polygon.area >= SMALLEST_AREA_M2
    )
