"""Lanelets, which CommonRoad and Lanelet2 maps are made of: a left and a right bound, in driving direction.

A lanelet becomes a lane, a piece of ground, or both. The middle between the bounds is taken at equal shares of their
lengths where they have different numbers of points. Frame: that of the file, metres.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.ground import GRID_M, areal
from scenegen.layout.importers.longest_route import NARROWEST_M, RouteLane
from scenegen.layout.importers.source_tracks import path_length_m
from scenegen.layout.roads import flat
from scenegen.types.layout import Environment, Lane, RoadMap

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

SPACING_M = 1.0
MOST_SAMPLES = 20_000
WIDEST_M = 200.0
LARGEST_GAP_M = 2.0
"""Linked lanelets that are further apart do not go on into each other."""
HIGHWAY_MPS = 22.0
SHARED_GROUND = 0.25
"""Of a lanelet: neighbours and followers share less."""
MOST_NEIGHBOURS = 50
"""Of a lanelet, that are looked at."""

RouteKey = tuple[str, bool]
"""A lanelet, and whether it is driven against its direction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lanelet:
    """One lanelet as its source has it.

    Attributes:
        ground: the kind of ground that it is, `crossing` included; None for none.
        lane_kind: what drives along it, one of `LANE_KINDS`; None for nothing.
        is_two_way: it is driven along in both directions.
    """

    lanelet_id: str
    left_m: Float64[np.ndarray, "N 2"]
    right_m: Float64[np.ndarray, "M 2"]
    ground: str | None
    lane_kind: str | None
    limit_mps: float | None
    is_intersection: bool
    is_two_way: bool
    where: str

    @cached_property
    def centerline_m(self) -> Float64[np.ndarray, "N 2"]:
        """Middle between the bounds, points that coincide left out."""
        if len(self.left_m) == len(self.right_m):
            middle_m = 0.5 * (self.left_m + self.right_m)
        else:
            longest_m = max(path_length_m(self.left_m), path_length_m(self.right_m))
            shares = np.linspace(0.0, 1.0, min(max(2, int(np.ceil(longest_m / SPACING_M)) + 1), MOST_SAMPLES))
            middle_m = 0.5 * (_at_shares(self.left_m, shares) + _at_shares(self.right_m, shares))
        apart = np.concatenate([[True], np.linalg.norm(np.diff(middle_m, axis=0), axis=1) > 1e-6])
        line_m = middle_m[apart]
        if len(line_m) < 2:
            raise LayoutError("bounds whose middle is a line", found="a point", where=self.where)
        return line_m

    @cached_property
    def length_m(self) -> float:
        """Length of the middle."""
        return path_length_m(self.centerline_m)

    @cached_property
    def widths_m(self) -> Float64[np.ndarray, " S"]:
        """Distance between the bounds across the lanelet, at eleven places of its middle."""
        import shapely

        places = shapely.line_interpolate_point(
            shapely.LineString(self.centerline_m), np.linspace(0.05, 0.95, 11), normalized=True
        )
        left, right = shapely.LineString(self.left_m), shapely.LineString(self.right_m)
        return np.asarray(shapely.distance(places, left) + shapely.distance(places, right))

    @property
    def outline(self) -> BaseGeometry:
        """The polygon between the bounds."""
        import shapely

        return shapely.Polygon(np.concatenate([self.left_m, self.right_m[::-1]]))

    @property
    def is_drivable(self) -> bool:
        """Whether the ego may drive along it: made for vehicles, and nowhere too narrow."""
        return self.lane_kind in ("vehicle", "bus") and float(self.widths_m.min()) >= NARROWEST_M


def _at_shares(line_m: Float64[np.ndarray, "N 2"], shares: Float64[np.ndarray, " S"]) -> Float64[np.ndarray, "S 2"]:
    along_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line_m, axis=0), axis=1))])
    return np.stack([np.interp(shares * along_m[-1], along_m, line_m[:, axis]) for axis in (0, 1)], axis=1)


def lanes_of(lanelets: Iterable[Lanelet]) -> tuple[Lane, ...]:
    """Return the lanelets that something drives along.

    Those that share much of their ground with others lead over an intersection, whatever the source says.

    Raises:
        LayoutError: a lanelet is wider than `WIDEST_M`.
    """
    lanes = []
    driven = [lanelet for lanelet in lanelets if lanelet.lane_kind is not None]
    for lanelet, shared in zip(driven, _shared_ground(driven), strict=True):
        width_m = float(np.median(lanelet.widths_m))
        if width_m > WIDEST_M:
            raise LayoutError(f"a width of at most {WIDEST_M:g} m", found=f"{width_m:.3g} m", where=lanelet.where)
        lanes.append(
            Lane(
                lane_id=lanelet.lanelet_id,
                centerline_world_m=flat(lanelet.centerline_m),
                width_m=max(width_m, 0.1),
                kind=lanelet.lane_kind or "vehicle",
                is_intersection=lanelet.is_intersection or shared > SHARED_GROUND,
                speed_limit_mps=lanelet.limit_mps,
            )
        )
    return tuple(lanes)


def _shared_ground(lanelets: Sequence[Lanelet]) -> Float64[np.ndarray, " N"]:
    """Return which share of each lanelet the other one has that overlaps it most."""
    import shapely

    outlines = np.array([areal(lanelet.outline) for lanelet in lanelets], object)
    tree = shapely.STRtree(outlines)
    shares = np.zeros(len(lanelets))
    for idx, outline in enumerate(outlines):
        others = tree.query(outline, predicate="intersects")
        others = others[others != idx][:MOST_NEIGHBOURS]
        if len(others):
            common_m2 = shapely.area(shapely.intersection(outlines[others], outline, grid_size=GRID_M))
            shares[idx] = common_m2.max() / max(outline.area, 1e-6)
    return shares


def outlines_by_ground(lanelets: Iterable[Lanelet]) -> dict[str, list[BaseGeometry]]:
    """Collect the outlines of each kind of ground."""
    outlines: dict[str, list[BaseGeometry]] = {}
    for lanelet in lanelets:
        if lanelet.ground is not None:
            outlines.setdefault(lanelet.ground, []).append(lanelet.outline)
    return outlines


def route_lanes_of(lanelets: Mapping[str, Lanelet]) -> dict[RouteKey, RouteLane]:
    """Return the lanelets that the ego may drive along; those of both directions twice."""
    lanes: dict[RouteKey, RouteLane] = {}
    for name, lanelet in lanelets.items():
        if not lanelet.is_drivable:
            continue
        for is_reversed in (False, True) if lanelet.is_two_way else (False,):
            line_m = lanelet.centerline_m[::-1] if is_reversed else lanelet.centerline_m
            lanes[name, is_reversed] = RouteLane(
                centerline_m=line_m, length_m=lanelet.length_m, limit_mps=lanelet.limit_mps
            )
    return lanes


def environment_of(road_map: RoadMap, *, is_motorway: bool, is_urban: bool) -> Environment:
    """Choose the kind of place: highway by most of the limits, any one where there are sidewalks."""
    limits_mps = [lane.speed_limit_mps for lane in road_map.lanes if lane.speed_limit_mps is not None]
    is_fast = bool(limits_mps) and float(np.median(limits_mps)) >= HIGHWAY_MPS
    if is_motorway or is_fast:
        return Environment(prompt="a highway by day", style="highway")
    if road_map.areas_of("sidewalk") or is_urban:
        return Environment(prompt="a street by day", style=None if road_map.areas_of("sidewalk") else "suburb")
    return Environment(prompt="a road by day", style="rural")
