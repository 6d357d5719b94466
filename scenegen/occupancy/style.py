"""Styles: what kind of place a scene is, as ranges that the rules of the static world draw from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from scenegen.occupancy.buildings import HALLS, HOUSES, ROW, TOWERS, BuildingStyle

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class FenceRule:
    """Hedges and walls along property lines.

    Attributes:
        chance: that a garden has any.
        park_chance: that a park is offered any.
        hedge_chance: range of the chance that it is a hedge; otherwise a wall, or nothing.
        hedge_heights_m, wall_heights_m: heights to choose from.
        away_m: distance from the edge of the street.
        opening_chance: after each piece of a fence.
    """

    chance: float = 0.85
    park_chance: float = 0.4
    hedge_chance: Range = (0.1, 0.8)
    hedge_heights_m: tuple[float, ...] = (0.8, 1.2, 1.6)
    wall_heights_m: tuple[float, ...] = (0.8, 1.2, 2.0)
    away_m: float = 0.9
    opening_chance: float = 0.3


@dataclass(frozen=True, kw_only=True)
class PlantRule:
    """Trees, as ranges (low, high).

    Attributes:
        spacing_m: between street trees.
        street_chance: that a block has street trees.
        per_park_m: trees of a park per metre of its edge.
        park_depth_m: how far from the edge they stand.
        per_hectare: single trees strewn over open land.
    """

    spacing_m: Range = (7.0, 13.0)
    street_chance: Range = (0.2, 0.95)
    per_park_m: Range = (0.15, 0.4)
    park_depth_m: Range = (2.0, 24.0)
    per_hectare: Range = (10.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class PlaceStyle:
    """One kind of place. Ranges are (low, high).

    Attributes:
        zones: what a block can be; None is a park, a wood or a field.
        zone_concentration: of the Dirichlet distribution that the zones' shares are drawn from.
        zone_floor: added to every share before they are scaled to one.
        block_m: length of a block along its street.
        sidewalk_m: width of sidewalks that are grown where the layout has none.
        has_lamps: whether streets are lit.
        sign_gap_m: distance between signs, poles and bollards.
        fences, plants: see there.
    """

    zones: tuple[BuildingStyle | None, ...] = (ROW, HOUSES, TOWERS, HALLS, None)
    zone_concentration: tuple[float, ...] = (1.1, 1.0, 0.6, 0.4, 0.5)
    zone_floor: float = 0.03
    block_m: Range = (35.0, 90.0)
    sidewalk_m: Range = (2.2, 4.0)
    has_lamps: bool = True
    sign_gap_m: Range = (18.0, 60.0)
    fences: FenceRule = FenceRule()
    plants: PlantRule = PlantRule()


MIXED = PlaceStyle()
"""A layout that names no style: town, suburb, high-rise, works or greenery, mixed to some degree."""
_CITY_ROW = replace(ROW, width_m=(10.0, 22.0), depth_m=(11.0, 16.0), height_m=(13.0, 23.6), gap_m=(0.0, 0.0))
_TERRACE = replace(
    HOUSES, width_m=(6.4, 8.8), depth_m=(8.0, 10.0), height_m=(5.2, 7.2), setback_m=(2.5, 5.0), gap_m=(0.0, 0.2)
)
_FARM = replace(HOUSES, width_m=(9.0, 16.0), setback_m=(8.0, 22.0), gap_m=(14.0, 45.0))
_BARN = replace(
    HALLS, width_m=(12.0, 24.0), height_m=(4.8, 7.2), setback_m=(12.0, 30.0), gap_m=(20.0, 60.0), gable_chance=0.9,
    parapet_chance=0.0,
)  # fmt: skip
_DEPOT = replace(HALLS, width_m=(22.0, 44.0), depth_m=(16.0, 30.0), setback_m=(26.0, 40.0), gap_m=(15.0, 50.0))
_YARD_HALL = replace(
    HALLS, width_m=(20.0, 46.0), depth_m=(16.0, 32.0), height_m=(6.0, 12.0), setback_m=(6.0, 18.0), gap_m=(5.0, 18.0),
    gable_chance=0.15, parapet_chance=0.7, paved_front=True, paved_front_m=26.0, paved_side_m=9.0, has_fence=True,
)  # fmt: skip
_OFFICE = replace(
    TOWERS, width_m=(14.0, 24.0), height_m=(7.2, 12.8), gap_m=(8.0, 20.0), paved_front_m=16.0, paved_side_m=6.0
)
_SILO = replace(_YARD_HALL, width_m=(8.0, 12.0), depth_m=(8.0, 12.0), height_m=(14.0, 22.0), gable_chance=0.0)

PLACE_STYLES: dict[str, PlaceStyle] = {
    "dense_city": PlaceStyle(
        zones=(_CITY_ROW, ROW, TOWERS, HALLS, None), zone_concentration=(8.0, 3.0, 3.5, 0.2, 0.6), zone_floor=0.0,
        fences=FenceRule(chance=0.5, hedge_chance=(0.1, 0.5)),
        plants=PlantRule(street_chance=(0.1, 0.7), per_hectare=(2.0, 15.0)), sidewalk_m=(3.0, 5.0),
    ),
    "suburb": PlaceStyle(
        zones=(_TERRACE, HOUSES, TOWERS, HALLS, None), zone_concentration=(2.5, 9.0, 0.1, 0.15, 0.8), zone_floor=0.0,
        fences=FenceRule(chance=0.95, hedge_chance=(0.45, 0.85)),
        plants=PlantRule(street_chance=(0.3, 0.95), per_hectare=(35.0, 100.0)), sidewalk_m=(1.8, 3.0),
    ),
    "rural": PlaceStyle(
        zones=(_FARM, HOUSES, _BARN, HALLS, None), zone_concentration=(1.4, 0.4, 0.9, 0.05, 8.0), zone_floor=0.0,
        block_m=(40.0, 130.0), has_lamps=False, sign_gap_m=(50.0, 140.0), sidewalk_m=(0.0, 0.0),
        fences=FenceRule(
            chance=0.5, park_chance=0.35, hedge_chance=(0.5, 1.0), hedge_heights_m=(1.2, 1.6, 2.4),
            wall_heights_m=(0.8, 1.2), away_m=2.4, opening_chance=0.15,
        ),
        plants=PlantRule(
            spacing_m=(9.0, 18.0), street_chance=(0.0, 0.5), per_park_m=(0.0, 1.3), park_depth_m=(4.0, 60.0),
            per_hectare=(3.0, 45.0),
        ),
    ),
    "highway": PlaceStyle(
        zones=(_DEPOT, HOUSES, TOWERS, HALLS, None), zone_concentration=(0.9, 0.05, 0.05, 0.1, 8.0), zone_floor=0.0,
        block_m=(70.0, 200.0), has_lamps=False, sign_gap_m=(60.0, 180.0), sidewalk_m=(0.0, 0.0),
        fences=FenceRule(
            chance=0.8, park_chance=0.6, hedge_chance=(0.15, 0.5), hedge_heights_m=(1.6, 2.4, 3.2),
            wall_heights_m=(2.8, 3.6, 4.4), away_m=4.0, opening_chance=0.02,
        ),
        plants=PlantRule(
            spacing_m=(10.0, 20.0), street_chance=(0.0, 0.1), per_park_m=(0.0, 1.0), park_depth_m=(8.0, 50.0),
            per_hectare=(2.0, 30.0),
        ),
    ),
    "industrial": PlaceStyle(
        zones=(_YARD_HALL, HALLS, _OFFICE, _SILO, None), zone_concentration=(7.0, 1.5, 1.5, 0.8, 0.8), zone_floor=0.0,
        block_m=(60.0, 150.0), sidewalk_m=(1.8, 3.0),
        fences=FenceRule(
            chance=0.95, hedge_chance=(0.05, 0.3), hedge_heights_m=(1.2, 1.6, 2.0), wall_heights_m=(1.6, 2.0, 2.4),
            opening_chance=0.2,
        ),
        plants=PlantRule(street_chance=(0.0, 0.3), per_hectare=(0.0, 12.0)),
    ),
}  # fmt: skip
"""By the names that `Environment.style` knows."""


@dataclass(frozen=True, kw_only=True)
class District:
    """The character of a whole scene, drawn once.

    Attributes:
        style: the kind of place, and its ranges for what is drawn later.
        zone_weights: chance of each of the style's zones.
        autumn: share of trees in autumn colours.
        tree_spacing_m: distance between street trees.
        street_tree_chance: chance that a block has street trees.
        hedge_chance: chance that a garden is fenced by a hedge; otherwise by a wall or by nothing.
        lamp_spacing_m, lamp_height_m: of the street lamps.
        sidewalk_width_m: of sidewalks that are grown.
    """

    style: PlaceStyle
    zone_weights: Float64[np.ndarray, "5"]
    autumn: float
    tree_spacing_m: float
    street_tree_chance: float
    hedge_chance: float
    lamp_spacing_m: float
    lamp_height_m: float
    sidewalk_width_m: float


def draw_district(generator: np.random.Generator, style_name: str | None) -> District:
    """Draw the character of a scene of a style (a key of PLACE_STYLES), or of `MIXED`."""
    style = MIXED if style_name is None else PLACE_STYLES[style_name]
    weights = generator.dirichlet(np.array(style.zone_concentration)) + style.zone_floor
    return District(
        style=style,
        zone_weights=weights / weights.sum(),
        autumn=float(generator.choice([0.0, 0.05, 0.25, 0.7], p=[0.5, 0.25, 0.15, 0.1])),
        tree_spacing_m=float(generator.uniform(*style.plants.spacing_m)),
        street_tree_chance=float(generator.uniform(*style.plants.street_chance)),
        hedge_chance=float(generator.uniform(*style.fences.hedge_chance)),
        lamp_spacing_m=float(generator.uniform(24.0, 31.0)),
        lamp_height_m=float(generator.uniform(5.5, 8.0)),
        sidewalk_width_m=float(generator.uniform(*style.sidewalk_m)),
    )
