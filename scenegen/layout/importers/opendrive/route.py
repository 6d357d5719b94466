"""The ego of an OpenDRIVE map: it drives the longest route over lanes made for vehicles."""

from __future__ import annotations

from collections.abc import Mapping

from scenegen.layout.importers.longest_route import NARROWEST_M, RouteLane, drive_longest_route
from scenegen.layout.importers.opendrive.areas import LANE_KIND_OF_TYPE
from scenegen.layout.importers.opendrive.links import LaneGraph
from scenegen.layout.importers.opendrive.strips import Strip, StripKey
from scenegen.types.layout import EgoTrack


def drive_through(
    strips: Mapping[StripKey, Strip], graph: LaneGraph, *, where: str
) -> tuple[EgoTrack, tuple[StripKey, ...]]:
    """Return the ego's track in the frame of the file, and the lanes it drives over.

    Raises:
        LayoutError: the file has no lane to drive on.
    """
    lanes = {
        key: RouteLane(
            centerline_m=strip.centerline_m,
            length_m=strip.length_m,
            limit_mps=strip.speed_limit_mps,
            from_middle=float(abs(key[2])),
        )
        for key, strip in strips.items()
        if is_drivable(strip)
    }
    return drive_longest_route(lanes, graph.following, where=where)


def is_drivable(strip: Strip) -> bool:
    """Say whether the ego may drive along a lane: made for vehicles, and nowhere too narrow."""
    is_for_vehicles = LANE_KIND_OF_TYPE.get(strip.lane.kind) in ("vehicle", "bus")
    return is_for_vehicles and float(strip.width_m.min()) >= NARROWEST_M
