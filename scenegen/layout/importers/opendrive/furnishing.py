"""Objects and signals of an OpenDRIVE file: crossings, parking bays, buildings, props, standing agents.

Signals become traffic lights and signs that face whom they are meant for; what a sign says is lost. Flat ones of two
types are paint (country OpenDRIVE): 1000003 is a crossing, 294 a stop line. Props over the carriageway (overhead
gantries) would stand in the way of traffic and are left out, as are second props of a kind on one spot.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.ground import GRID_M
from scenegen.layout.importers.opendrive.format import Corner, OpenDrive, Repeat, Road, RoadObject, RoadSignal
from scenegen.layout.importers.opendrive.plan_view import poses_along
from scenegen.layout.importers.roadside import props_beside
from scenegen.layout.importers.source_tracks import open_ring
from scenegen.types.layout import Area, LaneLine, Prop
from scenegen.types.taxonomy import AgentCategory

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

PAINTED_CROSSING, PAINTED_STOP_LINE = "1000003", "294"
FLAT_M = 0.1
"""Signals lower than this are paint."""
MOST_REPEATED = 10_000
CONTINUOUS_STEP_M = {"hedge": 4.0, "tree": 6.0}
HEDGE_M = 2.5
"""Vegetation up to this height is a hedge, above it trees."""
CATEGORY_OF_OBJECT = {
    "car": AgentCategory.CAR,
    "van": AgentCategory.CAR,
    "bus": AgentCategory.BUS,
    "trailer": AgentCategory.TRAILER,
    "bike": AgentCategory.BICYCLE,
    "motorbike": AgentCategory.MOTORCYCLE,
    "pedestrian": AgentCategory.PEDESTRIAN,
}
SMALLEST_OUTLINE_M2 = 0.1
PROP_OF_OBJECT = {"tree": "tree", "pole": "pole", "streetLamp": "street_lamp"}


@dataclass(frozen=True, kw_only=True)
class StandingThing:
    """An agent of the map, which never moves. Frame of the file."""

    name: str
    category: AgentCategory
    position_m: Float64[np.ndarray, "2"]
    heading_rad: float
    size_lwh_m: tuple[float, float, float]


@dataclass(kw_only=True)
class Furnishing:
    """What objects and signals add to a map, frame of the file, and what was lost of them, by kind."""

    areas: list[Area] = field(default_factory=list)
    lane_lines: list[LaneLine] = field(default_factory=list)
    props: list[Prop] = field(default_factory=list)
    things: list[StandingThing] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)


def furnish(drive: OpenDrive, drivable: BaseGeometry) -> Furnishing:
    """Turn all objects and signals of a file into what a layout has; markings of crossings are the world's stripes.

    Raises:
        LayoutError: an object is repeated more than `MOST_REPEATED` times.
    """
    made = Furnishing()
    for road in drive.roads.values():
        for signal in road.signals:
            _add_signal(made, road, signal)
        for item in road.objects:
            _add_object(made, road, item)
    _drop_misplaced(made, drivable)
    return made


def _at(road: Road, s_m: float, t_m: float) -> tuple[Float64[np.ndarray, "2"], float]:
    """Return a place beside a road, and the road's heading there."""
    poses = poses_along(road, np.array([s_m]))
    return poses.beside(t_m)[0], float(poses.heading_rad[0])


def _add_signal(made: Furnishing, road: Road, signal: RoadSignal) -> None:
    place_m, along_rad = _at(road, signal.s_m, signal.t_m)
    if signal.height_m < FLAT_M and signal.kind in (PAINTED_CROSSING, PAINTED_STOP_LINE) and signal.width_m > 0.0:
        _paint_signal(made, road, signal)
        return
    if signal.orientation == "none":
        made.lost["signals for both directions, which face one"] += 1
    facing_rad = along_rad + signal.heading_offset_rad + (0.0 if signal.orientation == "-" else np.pi)
    top_m = signal.z_offset_m + signal.height_m
    made.props.append(
        Prop(
            kind="traffic_light" if signal.is_dynamic else "sign",
            position_world_m=place_m,
            heading_rad=float(np.arctan2(np.sin(facing_rad), np.cos(facing_rad))),
            height_m=top_m if top_m > 1.0 else None,
        )
    )


def _paint_signal(made: Furnishing, road: Road, signal: RoadSignal) -> None:
    """Paint a crossing (`width` across, `value` along the road) or a stop line."""
    half_m = 0.5 * signal.width_m
    if signal.kind == PAINTED_STOP_LINE:
        ends_m = np.stack([_at(road, signal.s_m, signal.t_m + side * half_m)[0] for side in (1.0, -1.0)])
        made.lane_lines.append(LaneLine(points_world_m=np.column_stack([ends_m, np.zeros(2)]), width_m=0.4))
        return
    depth_m = signal.value if signal.value > 0.0 else 3.5
    corners = [(-0.5, 1.0), (-0.5, -1.0), (0.5, -1.0), (0.5, 1.0)]
    ring_m = np.stack([_at(road, signal.s_m + a * depth_m, signal.t_m + b * half_m)[0] for a, b in corners])
    made.areas.append(Area(kind="crossing", polygon_world_m=ring_m))


def _add_object(made: Furnishing, road: Road, item: RoadObject) -> None:
    name = item.name.lower()
    if item.kind in ("crosswalk", "parkingSpace", "building"):
        _add_area(made, road, item)
    elif item.kind in CATEGORY_OF_OBJECT or "cone" in name:
        category = CATEGORY_OF_OBJECT.get(item.kind, AgentCategory.TRAFFIC_CONE)
        for number, (place_m, heading_rad, height_m) in enumerate(_places(road, item, step_m=0.0)):
            size_lwh_m = (item.length_m, item.width_m, height_m)
            thing_name = f"object_{item.object_id or 'x'}_{len(made.things)}_{number}"
            made.things.append(
                StandingThing(
                    name=thing_name, category=category, position_m=place_m, heading_rad=heading_rad,
                    size_lwh_m=size_lwh_m,
                )
            )  # fmt: skip
    elif item.kind in PROP_OF_OBJECT or item.kind == "vegetation" or "post" in name or "pole" in name:
        _add_props(made, road, item, name)
    else:
        made.lost["markings of objects"] += len(item.markings)
        made.lost[f"objects of type {item.kind!r}" + (f" ({item.name})" if item.name else "")] += 1


def _add_props(made: Furnishing, road: Road, item: RoadObject, name: str) -> None:
    kind = PROP_OF_OBJECT.get(item.kind, "bollard" if "post" in name else "pole")
    if item.kind == "vegetation":
        height_m = max([item.height_m, *(repeat.height_m for repeat in item.repeats)])
        kind = "hedge" if "hedge" in name or 0.0 < height_m <= HEDGE_M else "tree"
    for place_m, heading_rad, height_m in _places(road, item, step_m=CONTINUOUS_STEP_M.get(kind, 0.0)):
        made.props.append(
            Prop(
                kind=kind,
                position_world_m=place_m,
                heading_rad=heading_rad,
                height_m=height_m if height_m > 0.0 else None,
            )
        )


def _places(road: Road, item: RoadObject, *, step_m: float) -> list[tuple[Float64[np.ndarray, "2"], float, float]]:
    """Return place, heading and height of an object and its repetitions; `step_m` is how to divide a continuous row."""
    if not item.repeats:
        place_m, along_rad = _at(road, item.s_m, item.t_m)
        return [(place_m, along_rad + item.heading_rad, item.height_m)]
    places = []
    for repeat in item.repeats:
        for s_m, t_m in _row(repeat, item, step_m):
            place_m, along_rad = _at(road, s_m, t_m)
            heading_rad = along_rad + (item.heading_rad if repeat.distance_m > 0.0 else 0.0)
            places.append((place_m, heading_rad, repeat.height_m or item.height_m))
    return places


def _row(repeat: Repeat, item: RoadObject, step_m: float) -> list[tuple[float, float]]:
    distance_m = repeat.distance_m or step_m or repeat.length_m or 1.0
    count = int(repeat.length_m / distance_m + 1e-6) + 1
    if count > MOST_REPEATED:
        raise LayoutError(f"an object repeated at most {MOST_REPEATED} times", found=f"{count}", where=item.where)
    share = np.arange(count) * distance_m / (repeat.length_m or 1.0)
    return [
        (repeat.s_m + part * repeat.length_m, repeat.t_start_m + part * (repeat.t_end_m - repeat.t_start_m))
        for part in share.tolist()
    ]


def _add_area(made: Furnishing, road: Road, item: RoadObject) -> None:
    """Add the outlines of a crossing, parking space or building; without any, the rectangle of its size."""
    kind = {"crosswalk": "crossing", "parkingSpace": "parking", "building": "building"}[item.kind]
    for place_m, heading_rad, height_m in _places(road, item, step_m=0.0):
        for corners in item.outlines or (_rectangle(item),):
            points_m = np.array([_corner(road, corner, place_m, heading_rad) for corner in corners]).reshape(-1, 2)
            if kind == "parking":
                _paint_markings(
                    made, item, {corner.corner_id: at for corner, at in zip(corners, points_m, strict=True)}
                )
            points_m = open_ring(points_m)
            if len(points_m) == 2:
                points_m = _band(points_m, max((width for width, _ in item.markings), default=item.width_m))
            if len(points_m) < 3 or not _area_m2(points_m) > SMALLEST_OUTLINE_M2:
                made.lost[f"outlines of {item.kind} without an area"] += 1
                continue
            tall_m = max(height_m, *(corner.height_m for corner in corners)) if kind == "building" else 0.0
            made.areas.append(Area(kind=kind, polygon_world_m=points_m, height_m=tall_m))


def _paint_markings(made: Furnishing, item: RoadObject, corner_m: dict[str, Float64[np.ndarray, "2"]]) -> None:
    """Paint the lines of a parking space from corner to corner."""
    for width_m, ids in item.markings:
        points = [corner_m[name] for name in ids if name in corner_m]
        if len(points) >= 2:
            line_m = np.column_stack([np.stack(points), np.zeros(len(points))])
            made.lane_lines.append(LaneLine(points_world_m=line_m, width_m=width_m if width_m > 0.0 else 0.1))


def _rectangle(item: RoadObject) -> tuple[Corner, ...]:
    half = np.array([0.5 * item.length_m, 0.5 * item.width_m])
    return tuple(
        Corner(corner_id=str(n), is_local=True, first_m=x * half[0], second_m=y * half[1], height_m=item.height_m)
        for n, (x, y) in enumerate([(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)])
    )


def _corner(
    road: Road, corner: Corner, place_m: Float64[np.ndarray, "2"], heading_rad: float
) -> Float64[np.ndarray, "2"]:
    if not corner.is_local:
        return _at(road, corner.first_m, corner.second_m)[0]
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    u, v = corner.first_m, corner.second_m
    return np.asarray(place_m + np.array([cos * u - sin * v, sin * u + cos * v]))


def _band(ends_m: Float64[np.ndarray, "2 2"], width_m: float) -> Float64[np.ndarray, "4 2"]:
    way_m = ends_m[1] - ends_m[0]
    side_m = 0.5 * width_m * np.array([-way_m[1], way_m[0]]) / max(float(np.linalg.norm(way_m)), 1e-9)
    return np.stack([ends_m[0] + side_m, ends_m[1] + side_m, ends_m[1] - side_m, ends_m[0] - side_m])


def _area_m2(ring_m: Float64[np.ndarray, "N 2"]) -> float:
    x, y = (ring_m - ring_m[0]).T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _drop_misplaced(made: Furnishing, drivable: BaseGeometry) -> None:
    """Leave out props on the carriageway or on the spot of another, and buildings on the road."""
    import shapely

    made.props = props_beside(made.props, drivable, made.lost)
    areas = []
    for area in made.areas:
        outline = shapely.make_valid(shapely.Polygon(area.polygon_world_m))
        if (
            area.kind == "building"
            and shapely.intersection(outline, drivable, grid_size=GRID_M).area > 0.1 * outline.area
        ):
            made.lost["buildings on the carriageway"] += 1
        else:
            areas.append(area)
    made.areas = areas
