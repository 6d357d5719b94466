"""CommonRoad scenarios (XML of versions 2018b and 2020a) as layouts.

Why our own reader: commonroad-io, the field's, pins protobuf 3.20.2 against our 7; its XML part cannot be installed
without it.

* A lanelet is a lane (`lanelets.py`); widths are the median distance between its bounds. Types without lane become
  ground: sidewalks, crosswalks, parking, shoulders.
* Steps are those of the file, from the planning problem's initial state to the last state or the end of the goal's
  time. A map without anything that moves lasts 30 s.
* The ego drives from the planning problem's initial state to its goal (`goal.py`), over the longest route where there
  is no planning problem. Agents follow their recorded tracks and do not see it; boxes that overlap are reported.
* The world frame is the file's, moved to the ego's first position.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from scenegen.layout.importers.commonroad.goal import drive_to_goal, read_problem
from scenegen.layout.importers.commonroad.network import Network, read_network
from scenegen.layout.importers.commonroad.obstacles import (
    DISAGREES_MPS,
    MOST_STATES,
    area_of,
    obstacles_in,
    states_of,
    track_of,
)
from scenegen.layout.importers.commonroad.signs import Signs, props_of, read_signs
from scenegen.layout.importers.commonroad.values import State
from scenegen.layout.importers.ground import areal, areas_of, unite_ground
from scenegen.layout.importers.lanelets import environment_of, lanes_of, outlines_by_ground, route_lanes_of
from scenegen.layout.importers.longest_route import ROUTE_TIMELINE, drive_longest_route
from scenegen.layout.importers.moved import moved_to_ego
from scenegen.layout.importers.roadside import props_beside
from scenegen.layout.importers.source_tracks import layout_id_of
from scenegen.layout.importers.xml_file import XmlElement, read_xml
from scenegen.layout.overlap import find_overlaps
from scenegen.types.layout import AgentTrack, Area, EgoTrack, Environment, Layout, RoadMap, SourceReport
from scenegen.types.timeline import Timeline

LICENCE = "unknown: that of the CommonRoad file"
VERSIONS = ("2018b", "2020a")
SLOWEST_STEP_S = 10.0
MOTORWAY_TYPES = frozenset({"interstate", "highway"})
MOTORWAY_TAGS = frozenset({"interstate", "highway"})
NIGHT, WET = frozenset({"night"}), frozenset({"light_rain", "heavy_rain", "snow", "hail"})
KNOWN_TAGS = frozenset(
    {"lanelet", "obstacle", "staticObstacle", "dynamicObstacle", "environmentObstacle", "trafficSign", "trafficLight",
     "intersection", "planningProblem", "location", "scenarioTags"}
)  # fmt: skip


def read_commonroad(path: Path) -> Layout:
    """Read a scenario.

    Raises:
        LayoutError: a malformed file or one of another version, references in vain, or an ego that starts beside all
            lanes; the message names file and element.
    """
    root = read_xml(path, root="commonRoad")
    if root.word("commonRoadVersion") not in VERSIONS:
        root.fail(f"commonRoadVersion {' or '.join(VERSIONS)}", repr(root.word("commonRoadVersion")))
    step_s = root.number("timeStepSize")
    if not 0.0 < step_s <= SLOWEST_STEP_S:
        root.fail(f"a timeStepSize above 0 and at most {SLOWEST_STEP_S:g} s", f"{step_s:g}")
    lost: Counter[str] = Counter()
    signs = read_signs(root, lost)
    network = read_network(root, signs.limits_mps, _lanelets_of_junctions(root))
    obstacles = obstacles_in(root)
    areas = [(element, area_of(element)) for element, _ in obstacles]
    solid = [(element, role) for (element, role), (_, area) in zip(obstacles, areas, strict=True) if area is None]
    states = {element.word("id"): states_of(element, role, lost) for element, role in solid if role != "environment"}
    road_map = _road_map(root, network, signs, [area for _, area in areas if area is not None], lost)
    ego, timeline, first_step, told = _ego(root, network, states, step_s, path)
    if len(states) * timeline.num_steps > MOST_STATES:
        root.fail(f"at most {MOST_STATES} steps of all obstacles together", f"{len(states)} x {timeline.num_steps}")
    agents = _agents(solid, states, timeline, first_step, lost)
    layout = Layout(
        layout_id=layout_id_of("commonroad", root.word("benchmarkID", path.stem) or path.stem),
        source="commonroad",
        licence=LICENCE,
        timeline=timeline,
        road_map=road_map,
        agents=agents,
        ego=ego,
        environment=_environment(root, road_map, network),
    )
    sentences = (*told, *_sentences(root, network, lost), *_overlaps(layout))
    return moved_to_ego(replace(layout, report=SourceReport(counts=_counts(root, obstacles, states), lost=sentences)))


def _lanelets_of_junctions(root: XmlElement) -> set[str]:
    """Return what intersections lead over.

    Raises:
        LayoutError: an intersection refers to a lanelet that is not in the file.
    """
    known = {element.attributes.get("id") for element in root.all("lanelet")}
    found: set[str] = set()
    for junction in root.all("intersection"):
        for element in junction.below():
            if not element.has("ref") or element.tag == "isLeftOf":
                continue
            if element.word("ref") not in known:
                element.fail("a lanelet of the file", repr(element.word("ref")))
            if element.tag.startswith("successors"):
                found.add(element.word("ref"))
    return found


def _road_map(root: XmlElement, network: Network, signs: Signs, areas: list[Area], lost: Counter[str]) -> RoadMap:
    outlines = outlines_by_ground(network.lanelets.values())
    ground = unite_ground(outlines)
    props = props_beside(props_of(root, signs, network.lanelets, lost), ground["drivable"], lost)
    return RoadMap(
        lanes=lanes_of(network.lanelets.values()),
        lane_lines=network.lines,
        areas=(
            *(area for kind, region in ground.items() for area in areas_of(region, kind)),
            *(area for outline in outlines.get("crossing", ()) for area in areas_of(areal(outline), "crossing")),
            *areas,
        ),
        props=tuple(props),
    )


def _ego(
    root: XmlElement, network: Network, states: Mapping[str, list[State]], step_s: float, path: Path
) -> tuple[EgoTrack, Timeline, int, list[str]]:
    """Return the ego's track, the timeline, the file's step where it begins, and what is said of both."""
    last = max((found[-1].step for found in states.values()), default=0)
    problems = root.all("planningProblem")
    if not problems:
        timeline = Timeline(rate_hz=1.0 / step_s, num_steps=last + 1) if last > 0 else ROUTE_TIMELINE
        lanes = route_lanes_of(network.lanelets)
        following = {(name, False): [(other, False) for other in found] for name, found in network.following.items()}
        ego, _ = drive_longest_route(lanes, following, where=str(path), timeline=timeline)
        return ego, timeline, 0, ["no planning problem in the file: the ego drives the longest route"]
    problem = read_problem(problems[0], network)
    first = problem.start.step
    num_steps = max(last, problem.goal.last_step, first + 1) - first + 1
    timeline = Timeline(rate_hz=1.0 / step_s, num_steps=num_steps)
    ego, timeline, lost = drive_to_goal(problem, network, timeline)
    told = ["no ego trajectory in the file: the ego drives from its initial state to its goal, looking out for nobody"]
    if len(problems) > 1:
        told.append(f"{len(problems) - 1} more planning problems: the first one is the ego's")
    return ego, timeline, first, [*told, *lost]


def _agents(
    solid: list[tuple[XmlElement, str]],
    states: Mapping[str, list[State]],
    timeline: Timeline,
    first_step: int,
    lost: Counter[str],
) -> tuple[AgentTrack, ...]:
    tracks = []
    for element, role in solid:
        if role == "environment":
            lost[f"environment obstacles of type {element.one('type').text_word()!r}"] += 1
            continue
        track, apart_mps = track_of(
            element, states[element.word("id")], timeline, first_step=first_step, stands=role == "static"
        )
        if apart_mps > DISAGREES_MPS:
            lost[f"obstacles with stated speeds over {DISAGREES_MPS:g} m/s beside those of their positions"] += 1
        if track is None:
            lost["obstacles that are gone before the ego starts"] += 1
        else:
            tracks.append(track)
    return tuple(tracks)


def _counts(
    root: XmlElement, obstacles: list[tuple[XmlElement, str]], states: Mapping[str, list[State]]
) -> dict[str, int]:
    """Count the elements of the file; initial states of obstacles are none of their trajectories."""
    lengths = [len(found) - 1 for found in states.values()]
    counts = {
        "lanelets": len(root.all("lanelet")),
        "traffic_signs": len(root.all("trafficSign")),
        "traffic_lights": len(root.all("trafficLight")),
        "intersections": len(root.all("intersection")),
        "planning_problems": len(root.all("planningProblem")),
        "obstacles": len(obstacles),
        "trajectory_states": sum(lengths),
        "longest_trajectory": max(lengths, default=0),
    }
    for element, _ in obstacles:
        name = f"obstacles_{element.one('type').text_word()}"
        counts[name] = counts.get(name, 0) + 1
    return counts


def _environment(root: XmlElement, road_map: RoadMap, network: Network) -> Environment:
    """Choose the kind of place, and weather and time of day where the file says so."""
    holder = root.first("scenarioTags")
    tags = set(root.word("tags", "").split()) | ({child.tag for child in holder.children} if holder else set())
    found = environment_of(
        road_map,
        is_motorway=bool(MOTORWAY_TAGS & tags) or bool(MOTORWAY_TYPES & set(network.types)),
        is_urban="urban" in network.types or "urban" in tags,
    )
    words = {element.tag: element.text.strip() for element in root.below() if element.tag in ("timeOfDay", "weather")}
    weather = "rain" if words.get("weather") in WET else "fog" if words.get("weather") == "fog" else "clear"
    return replace(found, weather=weather, time_of_day="night" if words.get("timeOfDay") in NIGHT else "day")


def _sentences(root: XmlElement, network: Network, lost: Counter[str]) -> list[str]:
    """Say in sentences what the layout does not have."""
    said = []
    if any(element.tag.lower().endswith("obstacle") for element in root.children):
        said.append("heights of obstacles, which the format does not have: the usual ones of their kind")
    if not any(element.tag == "lineMarking" for element in root.below()):
        said.append("no line markings in the file: none are painted")
    unread: Counter[str] = Counter(child.tag for child in root.children if child.tag not in KNOWN_TAGS)
    tallies = lost + network.lost + Counter({f"elements <{tag}>": count for tag, count in unread.items()})
    return said + [f"{count} {what}" for what, count in sorted(tallies.items())]


def _overlaps(layout: Layout) -> list[str]:
    """Name the agents that run into the ego, and count those that run into each other."""
    found = find_overlaps(layout)
    rate_hz = layout.timeline.rate_hz
    said = [
        f"boxes of {first!r} and the ego overlap at {step / rate_hz:.1f} s: nobody gives way"
        for first, second, step in found
        if second == "ego"
    ]
    others = sum(second != "ego" for _, second, _ in found)
    return said + ([f"{others} pairs of obstacles whose boxes overlap"] if others else [])
