"""OpenDRIVE road networks (`.xodr`, revisions 1.4 to 1.8) as layouts.

Why our own reader: of the parsers on PyPI, `pyxodr` (last release 2023) knows no road marks, objects, signals, borders
or `poly3` by arc length and parses by lxml; `pyopendrive` needs Python 3.12; the others convert to another format.

* A lane of a layout is one `<lane>` of one lane section that vehicles, buses or bicycles drive along. Its direction
  follows the traffic rule and the sign of its id; its width is the median.
* The ground is flat: elevation, superelevation and road shapes are read where they have to be and reported as lost.
* The file has neither agents nor an ego. The ego drives the longest route at the lanes' speeds (`route.py`); there is
  no other traffic than vehicles that the file places as objects.
* The world frame is the file's, moved to the ego's first position. `geoReference` is not applied.
* Of large maps only what lies within `KEEP_M` of the ego's way is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.layout.importers.ground import areas_of
from scenegen.layout.importers.longest_route import ROUTE_TIMELINE
from scenegen.layout.importers.moved import moved_to_ego
from scenegen.layout.importers.opendrive.areas import LANE_KIND_OF_TYPE, ground_of, unknown_types
from scenegen.layout.importers.opendrive.format import OpenDrive, Road
from scenegen.layout.importers.opendrive.furnishing import Furnishing, StandingThing, furnish
from scenegen.layout.importers.opendrive.links import LaneGraph, link_lanes
from scenegen.layout.importers.opendrive.marks import lane_lines_of
from scenegen.layout.importers.opendrive.parse import parse_opendrive
from scenegen.layout.importers.opendrive.plan_view import height_along
from scenegen.layout.importers.opendrive.route import drive_through
from scenegen.layout.importers.opendrive.strips import (
    SectionLines,
    Strip,
    StripKey,
    build_strips,
    cut_lines,
    cut_strip,
)
from scenegen.layout.importers.source_tracks import layout_id_of
from scenegen.layout.motion import DEFAULT_SIZE_LWH_M, standing_track
from scenegen.types.layout import (
    AgentTrack,
    EgoTrack,
    Environment,
    Lane,
    Layout,
    RoadMap,
    SourceReport,
)

LICENCE = "unknown: that of the OpenDRIVE file"
LARGE_MAP_M = 20_000.0
KEEP_M = 1_000.0
FLAT_M = 0.2
LENGTH_M = 1.0
NARROWEST_LANE_M = 0.5
HIGHWAY_MPS = 22.0


@dataclass(frozen=True, kw_only=True)
class Network:
    """A file with its lanes sampled and linked, frame of the file."""

    drive: OpenDrive
    strips: dict[StripKey, Strip]
    lines: list[SectionLines]
    graph: LaneGraph


def read_network(path: Path) -> Network:
    """Read an OpenDRIVE file, sample its lanes and link them.

    Raises:
        LayoutError: a malformed file; the message names file and element.
    """
    drive = parse_opendrive(path)
    strips, lines = build_strips(drive)
    return Network(drive=drive, strips=strips, lines=lines, graph=link_lanes(drive, strips))


def read_opendrive(path: Path) -> Layout:
    """Read an OpenDRIVE file as a layout of 30 s with an ego that drives its longest route.

    Raises:
        LayoutError: a malformed file, or one without a lane to drive on; the message names file and element.
    """
    network = read_network(path)
    ego, _ = drive_through(network.strips, network.graph, where=str(path))
    return assemble_layout(
        network,
        ego=ego,
        frame=Layout(
            layout_id=layout_id_of("opendrive", path.stem),
            source="opendrive",
            licence=LICENCE,
            timeline=ROUTE_TIMELINE,
            road_map=RoadMap(),
            agents=(),
            ego=ego,
            report=SourceReport(lost=("no ego and no traffic in the file: the ego drives the longest route, alone",)),
        ),
    )


def assemble_layout(network: Network, *, ego: EgoTrack, frame: Layout) -> Layout:
    """Add map, standing agents and report to a layout that has the rest, all moved to the ego's first position.

    Args:
        network: what the file says.
        ego: its track, in the frame of the file.
        frame: a layout whose agents and ego are in the frame of the file.
    """
    strips, lines, cut = _near(network, ego)
    drive = network.drive
    if cut:
        roads = {key[0] for key in strips}
        drive = replace(drive, roads={name: road for name, road in drive.roads.items() if name in roads})
    ground = ground_of(strips)
    furnishing = furnish(drive, ground["drivable"])
    painted, lost_marks = lane_lines_of(lines, strips.values())
    lanes, narrow = _lanes_of(strips)
    road_map = RoadMap(
        lanes=lanes,
        lane_lines=(*painted, *furnishing.lane_lines),
        areas=(*(area for kind, region in ground.items() for area in areas_of(region, kind)), *furnishing.areas),
        props=tuple(furnishing.props),
        num_roads=len(network.drive.roads),
    )
    things = tuple(_standing_agent(thing, frame.timeline.num_steps) for thing in furnishing.things)
    told = frame.report.lost if frame.report is not None else ()
    lost = (
        *told,
        *([cut] if cut else []),
        *_lost(network, furnishing, {**lost_marks, **unknown_types(strips.values())}, narrow),
    )
    return moved_to_ego(
        replace(
            frame,
            road_map=road_map,
            agents=(*frame.agents, *things),
            ego=ego,
            environment=_environment(road_map, network),
            report=SourceReport(counts=network.drive.counts(), lost=lost, road_length_m=network.drive.length_m),
        )
    )


def _near(network: Network, ego: EgoTrack) -> tuple[dict[StripKey, Strip], list[SectionLines], str]:
    """Keep all lanes and section lines, or what is near the ego's way if the map is large; say what was cut."""
    if sum(strip.length_m for strip in network.strips.values()) <= LARGE_MAP_M:
        return network.strips, network.lines, ""
    way_m = ego.position_world_m[:, :2]
    low_m, high_m = way_m.min(axis=0) - KEEP_M, way_m.max(axis=0) + KEEP_M

    def is_near(points_m: Float64[np.ndarray, "N 2"]) -> Bool[np.ndarray, " N"]:
        return np.asarray(((points_m >= low_m) & (points_m <= high_m)).all(axis=1))

    near = {key: is_near(strip.outer_m) for key, strip in network.strips.items()}
    strips = {key: cut_strip(network.strips[key], inside) for key, inside in near.items() if inside.any()}
    near_lines = [(line, is_near(line.reference.position_m)) for line in network.lines]
    lines = [cut_lines(line, inside) for line, inside in near_lines if inside.any()]
    far = len(near) - len(strips)
    cut = f"what lies further than {KEEP_M:g} m from the ego's way: {far} of {len(near)} lanes, and parts of others"
    return strips, lines, cut


def _lanes_of(strips: Mapping[StripKey, Strip]) -> tuple[tuple[Lane, ...], int]:
    """Return the lanes that are driven along, and how many were too narrow to be one."""
    lanes, narrow = [], 0
    for strip in strips.values():
        kind = LANE_KIND_OF_TYPE.get(strip.lane.kind)
        if kind is None:
            continue
        width_m = float(np.median(strip.width_m))
        if float(strip.width_m.max()) < NARROWEST_LANE_M:
            narrow += 1
            continue
        center_m = strip.centerline_m
        lanes.append(
            Lane(
                lane_id=strip.name,
                centerline_world_m=np.column_stack([center_m, np.zeros(len(center_m))]),
                width_m=max(width_m, NARROWEST_LANE_M),
                kind=kind,
                is_intersection=strip.in_junction,
                speed_limit_mps=strip.speed_limit_mps,
            )
        )
    return tuple(lanes), narrow


def _standing_agent(thing: StandingThing, num_steps: int) -> AgentTrack:
    usual = DEFAULT_SIZE_LWH_M[thing.category]
    size_lwh_m = tuple(given if given > 0.0 else usual[axis] for axis, given in enumerate(thing.size_lwh_m))
    return standing_track(
        (float(thing.position_m[0]), float(thing.position_m[1])),
        thing.heading_rad,
        num_steps=num_steps,
        agent_id=thing.name,
        category=thing.category,
        size_lwh_m=size_lwh_m,
    )


def _lost(network: Network, furnishing: Furnishing, counted: Mapping[str, int], narrow: int) -> list[str]:
    """Say in sentences what the layout does not have."""
    lost = list(network.graph.complaints)
    heights_m = np.concatenate([height_along(line.road, line.s_m) for line in network.lines])
    if float(np.ptp(heights_m)) > FLAT_M:
        lost.append(
            f"elevation from {heights_m.min():.1f} to {heights_m.max():.1f} m: the ground is flat, and roads above one "
            "another meet"
        )
    short = [road.road_id for road in network.drive.roads.values() if abs(_plan_end_m(road) - road.length_m) > LENGTH_M]
    if short:
        lost.append(
            f"{len(short)} roads whose geometry ends more than {LENGTH_M:g} m from their length: {', '.join(short[:3])}"
        )
    if narrow:
        lost.append(f"{narrow} driving lanes narrower than {NARROWEST_LANE_M:g} m everywhere")
    tallies: Counter[str] = Counter(furnishing.lost)
    tallies.update(counted)
    lost += [f"{count} {what}" for what, count in sorted(tallies.items()) if count]
    lost += [f"{count} elements <{tag}>" for tag, count in network.drive.unread.items()]
    return lost


def _plan_end_m(road: Road) -> float:
    last = road.plan[-1]
    return last.s_m + last.length_m


def _environment(road_map: RoadMap, network: Network) -> Environment:
    """Choose the kind of place: any where there are sidewalks, else highway or rural, by speed limit or road type."""
    if road_map.areas_of("sidewalk"):
        return Environment(prompt="a street by day")
    roads = network.drive.roads.values()
    is_fast = any((lane.speed_limit_mps or 0.0) >= HIGHWAY_MPS for lane in road_map.lanes)
    is_motorway = any(kind == "motorway" for road in roads for _, kind, _ in road.speeds)
    style = "highway" if is_fast or is_motorway else "rural"
    return Environment(prompt="a road by day", style=style)
