"""The parts of L5Kit's semantic map that a layout needs. Field numbers are facts of the published format."""

from __future__ import annotations

from functools import cache
from typing import Any

from scenegen.layout.importers.protobuf_schema import Fields, build_message_type, parse_message

_FIELDS: Fields = {
    "Empty": {},
    "GlobalId": {"id": (1, "bytes", False)},
    "GeoLocation": {"lat_e7": (1, "sfixed32", False), "lng_e7": (2, "sfixed32", False)},
    "GeoFrame": {"origin": (1, "GeoLocation", False), "bearing_degrees": (2, "float", False)},
    "RoadNetworkSegment": {"speed_limit_meters_per_second": (9, "float", False)},
    "Boundary": {
        "vertex_deltas_x_cm": (1, "sint32", True),
        "vertex_deltas_y_cm": (2, "sint32", True),
        "divider_type": (4, "int32", True),
        "type_change_point_cm": (5, "int32", True),
    },
    "AccessRestriction": {"type": (1, "int32", False)},
    "Lane": {
        "parent_segment_or_junction": (1, "GlobalId", False),
        "geo_frame": (2, "GeoFrame", False),
        "left_boundary": (3, "Boundary", False),
        "right_boundary": (4, "Boundary", False),
        "access_restriction": (11, "AccessRestriction", False),
    },
    "TrafficControlElement": {
        "geo_frame": (2, "GeoFrame", False),
        "points_x_deltas_cm": (3, "sint32", True),
        "points_y_deltas_cm": (4, "sint32", True),
        "pedestrian_crosswalk": (16, "Empty", False),
    },
    "Element": {
        "segment": (1, "RoadNetworkSegment", False),
        "lane": (3, "Lane", False),
        "traffic_control_element": (4, "TrafficControlElement", False),
        "junction": (5, "Empty", False),
    },
    "MapElement": {"id": (1, "GlobalId", False), "element": (2, "Element", False)},
    "MapFragment": {"elements": (2, "MapElement", True)},
}


def parse_map(content: bytes, *, where: str) -> Any:
    """Parse one MapFragment message.

    Raises:
        LayoutError: the bytes are no such message.
        DependencyError: protobuf is not installed.
    """
    return parse_message(_map_type(), content, expected="a MapFragment message", where=where)


@cache
def _map_type() -> Any:
    return build_message_type(_FIELDS, "MapFragment", package="scenegen.l5kit")
