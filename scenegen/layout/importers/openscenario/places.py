"""Positions of a scenario: world, road, lane, route, and those relative to an entity."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.opendrive.plan_view import poses_along
from scenegen.layout.importers.opendrive.read import Network
from scenegen.layout.importers.opendrive.strips import Strip, StripKey
from scenegen.layout.importers.openscenario.catalogs import Catalogs
from scenegen.layout.importers.openscenario.course import course_from, roads_between
from scenegen.layout.importers.xml_file import XmlElement

NEAREST_LANE_M = 3.0
BEYOND_M = 1.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """A pose, and the lane that it is on, where there is one.

    Attributes:
        is_along: whether the heading runs with the lane's traffic.
    """

    position_m: Float64[np.ndarray, "2"]
    heading_rad: float
    key: StripKey | None
    is_along: bool = True


class UnknownPlaceError(Exception):
    """A kind of position that is not understood; its text is the element's tag."""


FindEntity = Callable[[XmlElement], Place]


class Places:
    """Resolves `<Position>` elements on a road network."""

    def __init__(self, network: Network, catalogs: Catalogs) -> None:
        self.network, self.catalogs = network, catalogs
        self._names = list(network.strips)
        strips = [network.strips[key] for key in self._names]
        self._middle_m = np.concatenate([0.5 * (strip.inner_m + strip.outer_m) for strip in strips])
        self._owner = np.repeat(np.arange(len(strips)), [len(strip.s_m) for strip in strips])

    def resolve(self, position: XmlElement, entity: FindEntity) -> Place:
        """Return the place of a `<Position>`; `entity` returns the place of an element's `entityRef`.

        Raises:
            LayoutError: a road, lane or entity that does not exist, or a number that is none.
            UnknownPlaceError: a kind of position that is not understood.
        """
        if len(position.children) != 1:
            position.fail("one position", f"{len(position.children)}")
        (item,) = position.children
        kinds: dict[str, Callable[[], Place]] = {
            "WorldPosition": lambda: self._world(item),
            "RelativeWorldPosition": lambda: self._relative_world(item, entity(item)),
            "RelativeObjectPosition": lambda: self._relative_object(item, entity(item)),
            "RoadPosition": lambda: self.on_road(item, item.word("roadId"), item.number("s"), item.number("t")),
            "RelativeRoadPosition": lambda: self._relative_road(item, entity(item)),
            "LanePosition": lambda: self._lane(item),
            "RelativeLanePosition": lambda: self._relative_lane(item, entity(item)),
            "RoutePosition": lambda: self._route(item, entity),
        }
        if item.tag not in kinds:
            raise UnknownPlaceError(item.tag)
        return kinds[item.tag]()

    def strip_at(self, element: XmlElement, road_id: str, lane_id: int, s_m: float) -> tuple[Strip, float]:
        """Return the lane of a road at a distance, and the distance within the road.

        Raises:
            LayoutError: no such road or lane, or beyond the road.
        """
        road = self.network.drive.roads.get(road_id)
        if road is None:
            element.fail("a road of the road network", repr(road_id))
        if not -BEYOND_M <= s_m <= road.length_m + BEYOND_M:
            element.fail(f"s within the {road.length_m:.1f} m of road {road_id!r}", f"{s_m:g}")
        s_m = min(max(s_m, 0.0), road.length_m)
        for idx in range(len(road.sections) - 1, -1, -1):
            if road.sections[idx].s_m <= s_m + 1e-9 and any((road_id, idx, n) in self.network.strips for n in (-1, 1)):
                break
        key = (road_id, idx, lane_id)
        if key not in self.network.strips:
            element.fail(f"a lane of road {road_id!r} at s = {s_m:g}", str(lane_id))
        return self.network.strips[key], s_m

    def on_lane(self, element: XmlElement, road_id: str, lane_id: int, s_m: float, offset_m: float) -> Place:
        """Return the place in the middle of a lane plus an offset to the left of its road."""
        strip, s_m = self.strip_at(element, road_id, lane_id, s_m)
        middle_m = 0.5 * (strip.inner_m + strip.outer_m)
        at_m = np.array([np.interp(s_m, strip.s_m, middle_m[:, axis]) for axis in (0, 1)])
        along_rad = float(poses_along(self.network.drive.roads[road_id], np.array([s_m])).heading_rad[0])
        position_m = at_m + offset_m * np.array([-np.sin(along_rad), np.cos(along_rad)])
        lane_rad = along_rad if strip.runs_with_s else along_rad + np.pi
        return self._oriented(element, position_m, lane_rad, lane_rad, strip.key)

    def on_road(self, element: XmlElement, road_id: str, s_m: float, t_m: float) -> Place:
        """Return the place `t_m` left of a road's reference line, heading along the road's `s`."""
        road = self.network.drive.roads.get(road_id)
        if road is None:
            element.fail("a road of the road network", repr(road_id))
        if not -BEYOND_M <= s_m <= road.length_m + BEYOND_M:
            element.fail(f"s within the {road.length_m:.1f} m of road {road_id!r}", f"{s_m:g}")
        poses = poses_along(road, np.array([s_m]))
        heading_rad = float(poses.heading_rad[0])
        return self._oriented(element, poses.beside(t_m)[0], heading_rad, heading_rad, None)

    def _oriented(
        self,
        element: XmlElement,
        position_m: Float64[np.ndarray, "2"],
        base_rad: float,
        default_rad: float,
        key: StripKey | None,
    ) -> Place:
        """Apply an `<Orientation>`; find the lane where it is not known."""
        orientation = element.first("Orientation")
        heading_rad = default_rad
        if orientation is not None:
            turn_rad = orientation.number("h", 0.0)
            heading_rad = base_rad + turn_rad if orientation.word("type", "absolute") == "relative" else turn_rad
        return self.place_at(position_m, heading_rad, key)

    def place_at(self, position_m: Float64[np.ndarray, "2"], heading_rad: float, key: StripKey | None = None) -> Place:
        """Return a place with its lane: the given one, or the nearest."""
        if key is None:
            squared = ((self._middle_m - position_m) ** 2).sum(axis=1)
            nearest = int(np.argmin(squared))
            found = self._names[int(self._owner[nearest])]
            half_m = 0.5 * float(self.network.strips[found].width_m.max())
            if squared[nearest] <= max(NEAREST_LANE_M, half_m) ** 2:
                key = found
        if key is None:
            return Place(position_m=position_m, heading_rad=heading_rad, key=None)
        line_m = self.network.strips[key].centerline_m
        idx = min(int(np.argmin(((line_m - position_m) ** 2).sum(axis=1))), len(line_m) - 2)
        way_m = line_m[idx + 1] - line_m[idx]
        is_along = bool(way_m @ np.array([np.cos(heading_rad), np.sin(heading_rad)]) >= 0.0)
        return Place(position_m=position_m, heading_rad=heading_rad, key=key, is_along=is_along)

    def is_on_lane(self, position_m: Float64[np.ndarray, "2"]) -> bool:
        """Say whether a position lies on the nearest lane of any type but none and border."""
        counts = np.array([self.network.strips[key].lane.kind not in ("none", "border") for key in self._names])
        squared = np.where(counts[self._owner], ((self._middle_m - position_m) ** 2).sum(axis=1), np.inf)
        nearest = int(np.argmin(squared))
        strip = self.network.strips[self._names[int(self._owner[nearest])]]
        return bool(np.sqrt(squared[nearest]) <= 0.5 * float(strip.width_m.max()) + 0.1)

    def _world(self, item: XmlElement) -> Place:
        return self.place_at(np.array([item.number("x"), item.number("y")]), item.number("h", 0.0))

    def _relative_world(self, item: XmlElement, base: Place) -> Place:
        position_m = base.position_m + np.array([item.number("dx"), item.number("dy")])
        return self._oriented(item, position_m, base.heading_rad, base.heading_rad, None)

    def _relative_object(self, item: XmlElement, base: Place) -> Place:
        cos, sin = np.cos(base.heading_rad), np.sin(base.heading_rad)
        dx_m, dy_m = item.number("dx"), item.number("dy")
        position_m = base.position_m + np.array([cos * dx_m - sin * dy_m, sin * dx_m + cos * dy_m])
        return self._oriented(item, position_m, base.heading_rad, base.heading_rad, None)

    def _road_coordinates(self, item: XmlElement, base: Place) -> tuple[str, int, float, float]:
        """Return road, lane, s and t of a place that is on a lane."""
        if base.key is None:
            item.fail("an entity on a lane", "one beside the roads")
        road_id, _, lane_id = base.key
        strip = self.network.strips[base.key]
        poses = poses_along(self.network.drive.roads[road_id], strip.s_m)
        idx = int(np.argmin(((poses.position_m - base.position_m) ** 2).sum(axis=1)))
        away_m, heading_rad = base.position_m - poses.position_m[idx], poses.heading_rad[idx]
        s_m = float(strip.s_m[idx] + away_m @ np.array([np.cos(heading_rad), np.sin(heading_rad)]))
        return road_id, lane_id, s_m, float(away_m @ np.array([-np.sin(heading_rad), np.cos(heading_rad)]))

    def _relative_road(self, item: XmlElement, base: Place) -> Place:
        road_id, _, s_m, t_m = self._road_coordinates(item, base)
        return self.on_road(item, road_id, s_m + item.number("ds"), t_m + item.number("dt"))

    def _lane(self, item: XmlElement) -> Place:
        return self.on_lane(
            item, item.word("roadId"), item.integer("laneId"), item.number("s"), item.number("offset", 0.0)
        )

    def _relative_lane(self, item: XmlElement, base: Place) -> Place:
        road_id, lane_id, s_m, _ = self._road_coordinates(item, base)
        runs_with_s = self.network.strips[base.key].runs_with_s if base.key is not None else True
        sense = 1.0 if runs_with_s == base.is_along else -1.0
        ahead_m = item.number("ds") if item.has("ds") else sense * item.number("dsLane")
        target = shifted_lane(lane_id, item.integer("dLane"), sense)
        return self.on_lane(item, road_id, target, s_m + ahead_m, item.number("offset", 0.0))

    def _route(self, item: XmlElement, entity: FindEntity) -> Place:
        """Return the place on a route that lies `pathS` from its first waypoint."""
        route = self.route_of(item.one("RouteRef"))
        inside = item.one("InRoutePosition").first("FromLaneCoordinates")
        if inside is None:
            raise UnknownPlaceError("RoutePosition without FromLaneCoordinates")
        first = self.resolve(route[0].one("Position"), entity)
        if first.key is None:
            route[0].fail("a waypoint on a lane", "one beside the roads")
        roads = self.roads_of(route, entity)
        course = course_from(self.network, first.key, is_along=True, roads=roads)
        begin_m, _ = course.project(first.position_m)
        at = course.path.at(np.array([begin_m + inside.number("pathS")]))
        return self.place_at(
            at.position_m[0], float(at.heading_rad[0]), course.key_at(begin_m + inside.number("pathS"))
        )

    def route_of(self, holder: XmlElement) -> list[XmlElement]:
        """Return the waypoints of the `<Route>` or `<CatalogReference>` of an element, at least one."""
        reference = holder.first("CatalogReference")
        route = self.catalogs.entry(reference) if reference is not None else holder.one("Route")
        waypoints = route.all("Waypoint")
        if not waypoints:
            route.fail("waypoints", "none")
        return waypoints

    def roads_of(self, waypoints: list[XmlElement], entity: FindEntity) -> tuple[str, ...]:
        """Return the roads that a route runs over."""
        places = [self.resolve(waypoint.one("Position"), entity) for waypoint in waypoints]
        roads: list[str] = []
        for before, after in itertools.pairwise(places):
            if before.key is not None and after.key is not None:
                roads += roads_between(self.network, before.key, after.key) or ()
        return tuple(dict.fromkeys(roads))


def shifted_lane(lane_id: int, by: int, sense: float) -> int:
    """Count lanes to the left (positive) as seen by who drives with (`sense` 1) or against `s`; lane 0 does not count.

    >>> shifted_lane(-1, 1, 1.0), shifted_lane(1, 1, -1.0), shifted_lane(-2, -1, 1.0)
    (1, -1, -3)
    """
    target = lane_id + round(sense) * by
    if lane_id < 0 <= target:
        return target + 1
    if target <= 0 < lane_id:
        return target - 1
    return target
