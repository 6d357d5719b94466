"""Which lane goes on into which: lane links within roads, from road to road, and through junctions.

Links are taken from both sides, and only where the lanes meet in the direction of traffic. Files contradict themselves
now and then (esmini's `soderleden.xodr` links road ends that lie 66 m apart): such links lead nowhere and are reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.opendrive.format import Connection, OpenDrive, Road, RoadLink
from scenegen.layout.importers.opendrive.plan_view import poses_along
from scenegen.layout.importers.opendrive.strips import Strip, StripKey

MEETS_M = 0.05
"""Linked lanes end and begin as near to each other as this, or are reported."""
LARGEST_GAP_M = 2.0
"""Linked lanes that are further apart do not go on into each other."""


@dataclass(frozen=True, kw_only=True)
class LaneGraph:
    """Lanes that follow each lane, and that lead into it, in its driving direction; and what is wrong with links.

    Attributes:
        gaps_m: of every pair that was joined, how far its ends are apart.
    """

    following: dict[StripKey, tuple[StripKey, ...]]
    leading: dict[StripKey, tuple[StripKey, ...]]
    gaps_m: dict[tuple[StripKey, StripKey], float]
    complaints: tuple[str, ...]


def link_lanes(drive: OpenDrive, strips: dict[StripKey, Strip]) -> LaneGraph:
    """Build the graph of lanes.

    Raises:
        LayoutError: a link names a road or junction that is not there, or a road's end is linked to itself.
    """
    _require_targets(drive)
    following: dict[StripKey, list[StripKey]] = {key: [] for key in strips}
    leading: dict[StripKey, list[StripKey]] = {key: [] for key in strips}
    gaps_m: dict[tuple[StripKey, StripKey], float] = {}
    missing, apart = [], []
    ends_m = {key: (strip.centerline_m[0], strip.centerline_m[-1]) for key, strip in strips.items()}
    for first, second in dict.fromkeys(_pairs(drive, strips)):
        if first not in strips or second not in strips:
            missing.append(f"{first[0]}.{first[2]} to {second[0]}.{second[2]}")
            continue
        ways = dict.fromkeys([(first, second), (second, first)])
        gap_m = {way: float(np.linalg.norm(ends_m[way[0]][1] - ends_m[way[1]][0])) for way in ways}
        joined = [way for way in ways if gap_m[way] <= LARGEST_GAP_M]
        if not joined:
            apart.append(f"{strips[first].name} to {strips[second].name} ({min(gap_m.values()):.1f} m)")
        for before, after in joined:
            if after not in following[before]:
                following[before].append(after)
                leading[after].append(before)
                gaps_m[before, after] = gap_m[before, after]
    near = [f"{strips[a].name} to {strips[b].name} ({gap:.2f} m)" for (a, b), gap in gaps_m.items() if gap > MEETS_M]
    complaints = [
        f"{len(found)} lane links {what}: {_some(found)}"
        for what, found in (
            ("to lanes that the file does not have", missing),
            ("between lanes that do not meet in the direction of traffic", apart),
            (f"between lanes that meet with more than {MEETS_M:g} m between them", near),
        )
        if found
    ]
    return LaneGraph(
        following={key: tuple(keys) for key, keys in following.items()},
        leading={key: tuple(keys) for key, keys in leading.items()},
        gaps_m=gaps_m,
        complaints=tuple(complaints),
    )


def _some(found: list[str]) -> str:
    shown = sorted(found)[:3]
    return ", ".join(shown) + (", ..." if len(found) > len(shown) else "")


def _require_targets(drive: OpenDrive) -> None:
    """Check that links name what the file has."""
    for road in drive.roads.values():
        for side, link in (("start", road.predecessor), ("end", road.successor)):
            if link is not None:
                _require_target(drive, road, side, link)
    for connections in drive.junctions.values():
        for connection in connections:
            for name in ("incoming_road", "connecting_road"):
                road_id = getattr(connection, name)
                if road_id and road_id not in drive.roads:
                    raise LayoutError(f"a road of the file as {name}", found=repr(road_id), where=connection.where)


def _require_target(drive: OpenDrive, road: Road, side: str, link: RoadLink) -> None:
    known = drive.junctions if link.is_junction else drive.roads
    if link.element_id not in known:
        what = "junction" if link.is_junction else "road"
        raise LayoutError(f"a {what} of the file", found=repr(link.element_id), where=link.where)
    if not link.is_junction and link.element_id == road.road_id and link.contact == side:
        found = f"the {side} of road {road.road_id!r} linked to itself"
        raise LayoutError("a link to another road end", found=found, where=link.where)


def _end_of(road: Road, side: str) -> Float64[np.ndarray, "2"]:
    s_m = 0.0 if side == "start" else road.length_m
    return np.asarray(poses_along(road, np.array([s_m])).position_m[0])


def _pairs(drive: OpenDrive, strips: dict[StripKey, Strip]) -> list[tuple[StripKey, StripKey]]:
    """List all pairs of lanes that links join, whichever way traffic goes."""
    pairs = []
    sections: dict[str, list[int]] = {road_id: [] for road_id in drive.roads}
    for road_id, idx in dict.fromkeys((key[0], key[1]) for key in strips):
        sections[road_id].append(idx)
    for (road_id, idx, lane_id), strip in strips.items():
        road, own = drive.roads[road_id], sections[road_id]
        place = own.index(idx)
        for step, link, targets in (
            (1, road.successor, strip.lane.successors),
            (-1, road.predecessor, strip.lane.predecessors),
        ):
            if 0 <= place + step < len(own):
                pairs += [((road_id, idx, lane_id), (road_id, own[place + step], target)) for target in targets]
            elif link is not None and not link.is_junction and sections[link.element_id]:
                other = sections[link.element_id][0 if link.contact == "start" else -1]
                pairs += [((road_id, idx, lane_id), (link.element_id, other, target)) for target in targets]
    for connections in drive.junctions.values():
        for connection in connections:
            pairs += _connection_pairs(drive, connection, sections)
    return pairs


def _connection_pairs(
    drive: OpenDrive, connection: Connection, sections: dict[str, list[int]]
) -> list[tuple[StripKey, StripKey]]:
    """Join lanes over a connection: from whichever end of the incoming road lies at the contact point."""
    if (
        not connection.incoming_road
        or not sections[connection.incoming_road]
        or not sections[connection.connecting_road]
    ):
        return []
    incoming, connecting = drive.roads[connection.incoming_road], drive.roads[connection.connecting_road]
    contact_m = _end_of(connecting, connection.contact)
    near = min(("start", "end"), key=lambda side: float(np.linalg.norm(contact_m - _end_of(incoming, side))))
    own = sections[incoming.road_id][0 if near == "start" else -1]
    other = sections[connecting.road_id][0 if connection.contact == "start" else -1]
    return [
        ((incoming.road_id, own, before), (connecting.road_id, other, after)) for before, after in connection.lane_links
    ]
