"""OpenSCENARIO 1.x scenarios (`.xosc`) as layouts, on the OpenDRIVE network that they name.

Why our own reader: `scenariogeneration` writes scenarios, `esmini` plays them in C++, and no package on PyPI that
installs with our versions gives the tracks of a scenario.

The storyboard is played in steps of 1/24 s. Understood are: entities with boxes and categories, also from catalogs;
positions in the world, on roads, lanes and routes, and relative ones; speeds (also relative ones that are kept), lane
changes, lane offsets, routes and polyline trajectories with or without times; triggers by time, state of the
storyboard, headway, time to collision, distance, speed, reached positions and collisions; entities added and deleted.
An event whose trigger is not understood does not happen. Controllers, trailers, swarms and everything else is reported
as lost.

* The ego is the entity named Ego, else the first vehicle. The recording car has its own size, and brakes before its
  road ends.
* Entities drive at the speeds of the storyboard, without regard to curves or to each other; boxes that overlap are
  reported. Where their lane ends, they leave.
* The scene lasts until the stop trigger, at most `LONGEST_S`; `generate` continues it to any length.
* Speeds are those of positions: differences over one step of the layout.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from scenegen.geometry.rigid import planar_poses
from scenegen.layout.importers.opendrive.read import assemble_layout, read_network
from scenegen.layout.importers.openscenario.actor import Actor
from scenegen.layout.importers.openscenario.catalogs import Catalogs, road_file
from scenegen.layout.importers.openscenario.entities import Entity, ego_of, read_entities
from scenegen.layout.importers.openscenario.environment import read_environment
from scenegen.layout.importers.openscenario.parameters import declared_in, resolve
from scenegen.layout.importers.openscenario.places import Places
from scenegen.layout.importers.openscenario.story import Storyboard
from scenegen.layout.importers.source_tracks import hold_last_valid, layout_id_of, velocity_by_differences
from scenegen.layout.importers.xml_file import XmlElement, read_xml
from scenegen.layout.motion import default_attribute
from scenegen.layout.overlap import find_overlaps
from scenegen.types.layout import AgentTrack, EgoTrack, Layout, RoadMap, SourceReport
from scenegen.types.timeline import Timeline

LICENCE = "unknown: those of the OpenSCENARIO and OpenDRIVE files"
RATE_HZ = 12.0
STEPS_PER_STEP = 2
LONGEST_S = 30.0
SHORTEST_STEPS = 12
MOST_ENTITIES = 500


@dataclass(kw_only=True)
class _Recording:
    """Reference point, heading and presence of one entity, step by step."""

    x_m: list[float] = field(default_factory=list)
    y_m: list[float] = field(default_factory=list)
    heading_rad: list[float] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)

    def add(self, actor: Actor) -> None:
        self.x_m.append(float(actor.position_m[0]))
        self.y_m.append(float(actor.position_m[1]))
        self.heading_rad.append(actor.heading_rad)
        self.valid.append(actor.is_present)


def read_openscenario(path: Path) -> Layout:
    """Play a scenario and return its layout.

    Raises:
        LayoutError: a malformed file, catalog or road network, a path that escapes, or an ego that is never placed;
            the message names file and element.
    """
    raw = read_xml(path, root="OpenSCENARIO")
    header = raw.one("FileHeader")
    if header.integer("revMajor") != 1:
        header.fail("OpenSCENARIO of revMajor 1", header.word("revMajor"))
    header.integer("revMinor")
    root = resolve(raw, {})
    if root.first("Catalog") is not None:
        root.fail("a scenario", "a catalog")
    network = read_network(road_file(path, root))
    catalogs = Catalogs(scenario=path, root=root)
    entities = read_entities(root, catalogs)
    if len(entities) > MOST_ENTITIES:
        root.one("Entities").fail(f"at most {MOST_ENTITIES} entities", f"{len(entities)}")
    ego_name = ego_of(entities, root)
    places = Places(network, catalogs)
    actors = {name: Actor(entity=entity, places=places, is_ego=name == ego_name) for name, entity in entities.items()}
    board = Storyboard(root, actors, declared_in(raw), 1.0 / (RATE_HZ * STEPS_PER_STEP))
    tracks = _play(board, actors)
    if not all(tracks[ego_name].valid):
        root.one("Storyboard").fail(f"an init position of the ego {ego_name!r}", "none")
    timeline = Timeline(rate_hz=RATE_HZ, num_steps=len(tracks[ego_name].valid))
    ego = _ego_track(tracks[ego_name], entities[ego_name], timeline)
    agents = tuple(
        _agent_track(entities[name], track, timeline)
        for name, track in tracks.items()
        if name != ego_name and any(track.valid)
    )
    never = [f"entity {name!r}, which is never placed" for name, track in tracks.items() if not any(track.valid)]
    own = [
        f"size of the ego {ego_name!r}: the recording car has its own",
        *(w for e in entities.values() for w in e.lost),
    ]
    frame = Layout(
        layout_id=layout_id_of("openscenario", path.stem),
        source="openscenario",
        licence=LICENCE,
        timeline=timeline,
        road_map=RoadMap(),
        agents=agents,
        ego=ego,
        report=SourceReport(lost=(*own, *never, *board.lost, *_unplayed(board), *_unread(root))),
    )
    layout = assemble_layout(network, ego=ego, frame=frame)
    report = layout.report or SourceReport()
    sky = read_environment(root)
    layout = replace(layout, environment=replace(layout.environment, weather=sky.weather, time_of_day=sky.time_of_day))
    return replace(layout, report=replace(report, lost=(*report.lost, *_collisions(layout, set(entities)))))


def _collisions(layout: Layout, names: set[str]) -> list[str]:
    """Name the entities that run into each other, as the storyboard has them."""
    moving = replace(layout, agents=tuple(agent for agent in layout.agents if agent.agent_id in names))
    return [
        f"boxes of {first!r} and {second!r} overlap at {step / layout.timeline.rate_hz:.1f} s: nobody gives way"
        for first, second, step in find_overlaps(moving)
    ]


def _play(board: Storyboard, actors: dict[str, Actor]) -> dict[str, _Recording]:
    """Run the storyboard and record every entity at the rate of the layout."""
    tracks = {name: _Recording() for name in actors}
    step_s = 1.0 / (RATE_HZ * STEPS_PER_STEP)
    board.play_init()
    has_stopped = False
    for step in range(round(LONGEST_S * RATE_HZ) * STEPS_PER_STEP):
        board.time_s = step * step_s
        if step:
            for actor in actors.values():
                actor.step(board.time_s, step_s)
        has_stopped = board.play_step() or has_stopped
        if step % STEPS_PER_STEP == 0:
            for name, actor in actors.items():
                tracks[name].add(actor)
            if has_stopped and step // STEPS_PER_STEP + 1 >= SHORTEST_STEPS:
                break
    return tracks


def _ego_track(track: _Recording, entity: Entity, timeline: Timeline) -> EgoTrack:
    """Return the track of the rear axle, which is where the reference point should be."""
    heading_rad = np.unwrap(track.heading_rad)
    ahead = np.stack([np.cos(heading_rad), np.sin(heading_rad)], axis=1)
    position_m = np.stack([track.x_m, track.y_m], axis=1) + entity.rear_axle_m * ahead
    t_s = np.arange(timeline.num_steps) / timeline.rate_hz
    return EgoTrack(
        world_from_ego=planar_poses(np.column_stack([position_m, np.zeros(len(t_s))]), heading_rad),
        velocity_world_mps=velocity_by_differences(position_m, t_s),
    )


def _agent_track(entity: Entity, track: _Recording, timeline: Timeline) -> AgentTrack:
    """Return the track of the middle of the box, standing on the ground."""
    valid = np.array(track.valid)
    heading_rad = np.array(track.heading_rad)
    ahead_m, left_m, up_m = entity.center_m
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    position_m = np.stack([track.x_m, track.y_m], axis=1)
    position_m += np.stack([cos * ahead_m - sin * left_m, sin * ahead_m + cos * left_m], axis=1)
    t_s = np.arange(timeline.num_steps) / timeline.rate_hz
    velocity_mps = np.zeros((len(t_s), 2))
    velocity_mps[valid] = velocity_by_differences(position_m[valid], t_s[valid])
    size_lwh_m = np.array(entity.size_lwh_m)
    height_m = max(up_m, 0.5 * entity.size_lwh_m[2])
    top_mps = float(np.linalg.norm(velocity_mps, axis=1).max())
    return AgentTrack(
        agent_id=entity.name,
        category=entity.category,
        size_lwh_m=size_lwh_m,
        center_world_m=hold_last_valid(np.column_stack([position_m, np.full(len(t_s), height_m)]), valid),
        heading_rad=hold_last_valid(heading_rad, valid),
        velocity_world_mps=hold_last_valid(velocity_mps, valid),
        valid=valid,
        attribute=default_attribute(entity.category, top_mps),
        source_category=entity.source_category,
        color_rgb=entity.color_rgb,
    )


def _unplayed(board: Storyboard) -> list[str]:
    """Name the events that did not happen while the scenario was played."""
    return [
        f"event {node.name!r}: it did not happen within {board.time_s:.1f} s"
        for story in board.stories
        for node in story.everything()
        if node.kind == "event" and not node.has_begun
    ]


def _unread(root: XmlElement) -> list[str]:
    """Name parts of a file that are never looked at."""
    road_network = root.one("RoadNetwork")
    unread = [f"<{child.tag}> of the road network" for child in road_network.children if child.tag != "LogicFile"]
    known = ("FileHeader", "CatalogLocations", "RoadNetwork", "Entities", "Storyboard")
    unread += [f"<{child.tag}>" for child in root.children if child.tag not in known and child.children]
    selections = root.one("Entities").all("EntitySelection")
    return unread + [f"entity selection {item.word('name', '')!r}" for item in selections]
