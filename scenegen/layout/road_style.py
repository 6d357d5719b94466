"""Styles of random roads: what kind of network a kind of place has."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class RoadStyle:
    """Ranges (low, high) and shares that random roads are drawn from.

    Attributes:
        kinds: share of each kind of road.
        lane_shares: of 1, 2 and 3 lanes per direction.
        lane_width_m, sidewalk_m: of cross sections.
        parking_chance: of either side, on roads of one lane per direction and on wider ones.
        marking_shares: of `double`, `solid`, `dashed` and `none` along the middle.
        edge_chance: that edges are painted.
        narrow_mps, wide_mps, junction_mps: the ego's speed on roads of one lane, on wider ones, through junctions.
        radius_m, angle_rad: of bends.
        swing_radius_m: of roads that swing from side to side.
        crossing_shares: of 0 to 3 crossings along a road.
        crossing_chance: of an arm of a junction.
        num_cyclists: at least, and less than.
    """

    kinds: dict[str, float]
    lane_shares: tuple[float, float, float] = (0.62, 0.3, 0.08)
    lane_width_m: Range = (3.0, 3.8)
    sidewalk_m: Range = (1.8, 5.0)
    parking_chance: Range = (0.6, 0.4)
    marking_shares: tuple[float, float, float, float] = (0.35, 0.2, 0.35, 0.1)
    edge_chance: float = 0.7
    narrow_mps: Range = (4.5, 9.0)
    wide_mps: Range = (6.0, 12.0)
    junction_mps: Range = (5.0, 9.5)
    radius_m: Range = (35.0, 90.0)
    angle_rad: Range = (0.6, 1.6)
    swing_radius_m: Range = (60.0, 120.0)
    crossing_shares: tuple[float, float, float, float] = (0.15, 0.4, 0.3, 0.15)
    crossing_chance: float = 0.75
    num_cyclists: tuple[int, int] = (3, 13)


ROAD_KINDS = {
    "straight": 0.34,
    "curve": 0.16,
    "s_curve": 0.1,
    "crossroads": 0.22,
    "t_junction": 0.1,
    "roundabout": 0.08,
}
MIXED_ROADS = RoadStyle(kinds=ROAD_KINDS)
"""Roads of a layout that asks for no style."""


def _kinds(*shares: float) -> dict[str, float]:
    return dict(zip(ROAD_KINDS, shares, strict=True))


ROAD_STYLES: dict[str, RoadStyle] = {
    "dense_city": RoadStyle(
        kinds=_kinds(0.3, 0.05, 0.0, 0.45, 0.18, 0.02), lane_shares=(0.4, 0.45, 0.15), sidewalk_m=(2.6, 5.0),
        parking_chance=(0.7, 0.5), crossing_shares=(0.05, 0.3, 0.4, 0.25), crossing_chance=0.95,
    ),
    "suburb": RoadStyle(
        kinds=_kinds(0.22, 0.25, 0.2, 0.12, 0.15, 0.06), lane_shares=(0.97, 0.03, 0.0), sidewalk_m=(1.8, 3.0),
        parking_chance=(0.55, 0.3), marking_shares=(0.1, 0.1, 0.4, 0.4), edge_chance=0.3,
        crossing_shares=(0.4, 0.4, 0.15, 0.05), crossing_chance=0.4,
    ),
    "rural": RoadStyle(
        kinds=_kinds(0.34, 0.26, 0.26, 0.04, 0.08, 0.02), lane_shares=(1.0, 0.0, 0.0), sidewalk_m=(0.0, 0.0),
        parking_chance=(0.0, 0.0), marking_shares=(0.1, 0.2, 0.5, 0.2), edge_chance=0.6, narrow_mps=(9.0, 17.0),
        radius_m=(80.0, 220.0), angle_rad=(0.3, 1.1), swing_radius_m=(80.0, 200.0),
        crossing_shares=(1.0, 0.0, 0.0, 0.0), crossing_chance=0.0, num_cyclists=(0, 5),
    ),
    "highway": RoadStyle(
        kinds=_kinds(0.5, 0.28, 0.22, 0.0, 0.0, 0.0), lane_shares=(0.0, 0.55, 0.45), lane_width_m=(3.5, 3.8),
        sidewalk_m=(0.0, 0.0), parking_chance=(0.0, 0.0), marking_shares=(1.0, 0.0, 0.0, 0.0), edge_chance=1.0,
        wide_mps=(15.0, 23.0), radius_m=(250.0, 600.0), angle_rad=(0.2, 0.6), swing_radius_m=(300.0, 700.0),
        crossing_shares=(1.0, 0.0, 0.0, 0.0), num_cyclists=(0, 1),
    ),
    "industrial": RoadStyle(
        kinds=_kinds(0.4, 0.14, 0.04, 0.18, 0.18, 0.06), lane_shares=(0.8, 0.2, 0.0), lane_width_m=(3.4, 3.8),
        sidewalk_m=(1.8, 2.6), parking_chance=(0.3, 0.2), crossing_shares=(0.5, 0.4, 0.1, 0.0), crossing_chance=0.4,
        num_cyclists=(0, 6),
    ),
}  # fmt: skip
"""By the names that `Environment.style` knows."""
