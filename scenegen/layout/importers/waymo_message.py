"""The parts of Waymo's Scenario message that a layout needs; Waymo's own package needs TensorFlow.

Field numbers are facts of the published format.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from scenegen.layout.importers.protobuf_schema import build_message_type, parse_message

_POINT = {"x": (1, "double", False), "y": (2, "double", False)}
_LINE = {"type": (1, "int32", False), "polyline": (2, "MapPoint", True)}
_POLYGON = {"polygon": (1, "MapPoint", True)}
_FIELDS: dict[str, dict[str, tuple[int, str, bool]]] = {
    "MapPoint": _POINT,
    "ObjectState": {
        "center_x": (2, "double", False),
        "center_y": (3, "double", False),
        "length": (5, "float", False),
        "width": (6, "float", False),
        "height": (7, "float", False),
        "heading": (8, "float", False),
        "velocity_x": (9, "float", False),
        "velocity_y": (10, "float", False),
        "valid": (11, "bool", False),
    },
    "Track": {"id": (1, "int32", False), "object_type": (2, "int32", False), "states": (3, "ObjectState", True)},
    "TrafficSignalLaneState": {"lane": (1, "int64", False), "state": (2, "int32", False)},
    "DynamicMapState": {"lane_states": (1, "TrafficSignalLaneState", True)},
    "BoundarySegment": {
        "lane_start_index": (1, "int32", False),
        "lane_end_index": (2, "int32", False),
        "boundary_feature_id": (3, "int64", False),
    },
    "LaneCenter": {
        "speed_limit_mph": (1, "double", False),
        "type": (2, "int32", False),
        "interpolating": (3, "bool", False),
        "polyline": (8, "MapPoint", True),
        "left_boundaries": (13, "BoundarySegment", True),
        "right_boundaries": (14, "BoundarySegment", True),
    },
    "RoadLine": _LINE,
    "RoadEdge": _LINE,
    "StopSign": {"lane": (1, "int64", True), "position": (2, "MapPoint", False)},
    "Crosswalk": _POLYGON,
    "SpeedBump": _POLYGON,
    "Driveway": _POLYGON,
    "MapFeature": {
        "id": (1, "int64", False),
        "lane": (3, "LaneCenter", False),
        "road_line": (4, "RoadLine", False),
        "road_edge": (5, "RoadEdge", False),
        "stop_sign": (7, "StopSign", False),
        "crosswalk": (8, "Crosswalk", False),
        "speed_bump": (9, "SpeedBump", False),
        "driveway": (10, "Driveway", False),
    },
    "Scenario": {
        "timestamps_seconds": (1, "double", True),
        "tracks": (2, "Track", True),
        "scenario_id": (5, "string", False),
        "sdc_track_index": (6, "int32", False),
        "dynamic_map_states": (7, "DynamicMapState", True),
        "map_features": (8, "MapFeature", True),
    },
}
FEATURE_KINDS = tuple(name for name in _FIELDS["MapFeature"] if name != "id")


def parse_scenario(content: bytes, *, where: str) -> Any:
    """Parse one Scenario message.

    Raises:
        LayoutError: the bytes are no such message.
        DependencyError: protobuf is not installed.
    """
    return parse_message(_scenario_type(), content, expected="a Scenario message", where=where)


@cache
def _scenario_type() -> Any:
    return build_message_type(_FIELDS, "Scenario", package="scenegen.waymo")
