"""Lanelet2 maps (OSM files) as layouts.

Why our own reader: the wheel `lanelet2` 1.2.3 reads a file with entities, or of another OSM version, as an empty map
without a word, takes ids that are no numbers for 0, and names neither file nor line where something is wrong.

* Geographic coordinates become metres by a transverse Mercator projection of the map's own middle (pyproj): x east,
  y north. Nodes with `local_x` and `local_y` are taken at these.
* A lanelet is a lane (`lanelets.py`) and a piece of ground by its subtype; areas are ground or buildings. Ground is
  flat; what is drivable is taken from parking, sidewalks and grass.
* The file has neither agents nor an ego. The ego drives the longest route at the stated limits, 50 km/h where there is
  none. Lanelets that are not one-way may be driven along both ways.
* Of large maps only what lies within `KEEP_M` of the ego's way is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.ground import GROUND_KINDS, areal, areas_of, unite_ground
from scenegen.layout.importers.lanelet2.fittings import lane_lines_of, props_of, speed_limits_mps, tagged_limits_mps
from scenegen.layout.importers.lanelet2.primitives import Primitives, read_primitives
from scenegen.layout.importers.lanelet2.surfaces import read_areas, read_lanelets
from scenegen.layout.importers.lanelets import Lanelet, environment_of, lanes_of, outlines_by_ground, route_lanes_of
from scenegen.layout.importers.longest_route import ROUTE_TIMELINE, drive_longest_route
from scenegen.layout.importers.moved import moved_to_ego
from scenegen.layout.importers.roadside import props_beside
from scenegen.layout.importers.source_tracks import layout_id_of
from scenegen.layout.importers.xml_file import read_xml
from scenegen.types.layout import Area, EgoTrack, Layout, RoadMap, SourceReport

LICENCE = "unknown: that of the Lanelet2 map"
LARGE_MAP_M = 20_000.0
KEEP_M = 1_000.0


def read_lanelet2(path: Path) -> Layout:
    """Read a map as a layout of 30 s with an ego that drives its longest route.

    Raises:
        LayoutError: a malformed file, references in vain, or no lane to drive on; the message names file and element.
        DependencyError: pyproj is not installed.
    """
    primitives = read_primitives(read_xml(path, root="osm"))
    lost: Counter[str] = Counter(primitives.others)
    lanelets, following = read_lanelets(
        primitives, speed_limits_mps(primitives, lost), tagged_limits_mps(primitives), lost
    )
    areas = read_areas(primitives, lost)
    ego, _ = drive_longest_route(route_lanes_of(lanelets), following, where=str(path))
    told = ["no ego and no traffic in the file: the ego drives the longest route, alone"]
    if sum(lanelet.length_m for lanelet in lanelets.values()) > LARGE_MAP_M:
        near = {name: lanelet for name, lanelet in lanelets.items() if _is_near(lanelet.centerline_m, ego)}
        areas = [area for area in areas if _is_near(area.polygon_world_m, ego)]
        far = len(lanelets) - len(near)
        told.append(f"what lies further than {KEEP_M:g} m from the ego's way: {far} of {len(lanelets)} lanelets")
        lanelets = near
    road_map = _road_map(primitives, lanelets, areas, ego, lost)
    two_way = sum(lanelet.is_two_way for lanelet in lanelets.values())
    if two_way:
        told.append(f"the second direction of {two_way} lanelets that are not one-way: lanes have one")
    urban = sum(relation.tags.get("location") == "urban" for relation in primitives.relations.values())
    return moved_to_ego(
        Layout(
            layout_id=layout_id_of("lanelet2", path.stem),
            source="lanelet2",
            licence=LICENCE,
            timeline=ROUTE_TIMELINE,
            road_map=road_map,
            agents=(),
            ego=ego,
            environment=environment_of(road_map, is_motorway=False, is_urban=2 * urban > len(primitives.relations)),
            report=SourceReport(
                counts=_counts(primitives),
                lost=(*told, *(f"{count} {what}" for what, count in sorted(lost.items()))),
            ),
        )
    )


def _is_near(points_m: Float64[np.ndarray, "N 2"], ego: EgoTrack) -> bool:
    """Say whether any point lies in the box around the ego's way."""
    way_m = ego.position_world_m[:, :2]
    low_m, high_m = way_m.min(axis=0) - KEEP_M, way_m.max(axis=0) + KEEP_M
    return bool(((points_m >= low_m) & (points_m <= high_m)).all(axis=1).any())


def _road_map(
    primitives: Primitives, lanelets: Mapping[str, Lanelet], areas: list[Area], ego: EgoTrack, lost: Counter[str]
) -> RoadMap:
    import shapely

    outlines = outlines_by_ground(lanelets.values())
    for area in areas:
        if area.kind in GROUND_KINDS:
            outlines.setdefault(area.kind, []).append(shapely.Polygon(area.polygon_world_m, area.holes_world_m))
    ground = unite_ground(outlines)
    lines = [line for line in lane_lines_of(primitives, lost) if _is_near(line.points_world_m[:, :2], ego)]
    props = [prop for prop in props_of(primitives) if _is_near(prop.position_world_m[None], ego)]
    return RoadMap(
        lanes=lanes_of(lanelets.values()),
        lane_lines=tuple(lines),
        areas=(
            *(area for kind, region in ground.items() for area in areas_of(region, kind)),
            *(area for outline in outlines.get("crossing", ()) for area in areas_of(areal(outline), "crossing")),
            *(area for area in areas if area.kind not in GROUND_KINDS),
        ),
        props=tuple(props_beside(props, ground["drivable"], lost)),
    )


def _counts(primitives: Primitives) -> dict[str, int]:
    """Count the file by its own words; relations by their type and subtype."""
    counts = dict(primitives.counts)
    names = {"lanelet": "lanelets", "multipolygon": "areas", "regulatory_element": "regulatory_elements"}
    counts.update(dict.fromkeys(names.values(), 0))
    for relation in primitives.relations.values():
        counts[names[relation.kind]] += 1
        word = f"{relation.kind}_{relation.subtype}"
        counts[word] = counts.get(word, 0) + 1
    return counts
