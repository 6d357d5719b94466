"""Class lists and codes: semantic classes, agent categories, materials.

Semantic classes follow Occ3D-nuScenes (CONVENTIONS.md). A material says what a surface is made of, at
the level a shape or the ground raster fixes it (car glass, lane marking, roof); it is finer than the
semantic class and is what the appearance models key on.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Integer


class Semantic(IntEnum):
    """Occ3D-nuScenes classes; 17 is free space, and sky in an image."""

    OTHERS = 0
    BARRIER = 1
    BICYCLE = 2
    BUS = 3
    CAR = 4
    CONSTRUCTION_VEHICLE = 5
    MOTORCYCLE = 6
    PEDESTRIAN = 7
    TRAFFIC_CONE = 8
    TRAILER = 9
    TRUCK = 10
    DRIVEABLE_SURFACE = 11
    OTHER_FLAT = 12
    SIDEWALK = 13
    TERRAIN = 14
    MANMADE = 15
    VEGETATION = 16
    FREE = 17


class Material(IntEnum):
    """What a surface is made of; fixed by the layout and the world, never by a picture."""

    SKY = 0
    ASPHALT = 1
    MARKING_WHITE = 2
    MARKING_YELLOW = 3
    CROSSING = 4
    PARKING = 5
    SIDEWALK = 6
    KERB = 7
    GRASS = 8
    FACADE = 9
    ROOF = 10
    WALL = 11
    FOLIAGE = 12
    BARK = 13
    METAL = 14
    SIGN = 15
    BODY = 16
    GLASS = 17
    TYRE = 18
    HEADLIGHT = 19
    TAILLIGHT = 20
    SKIN = 21
    CLOTH_UPPER = 22
    CLOTH_LOWER = 23
    HAIR = 24
    CONE = 25
    BARRIER = 26
    CARGO = 27


class AgentCategory(IntEnum):
    """Agent categories: the ten nuScenes detection classes, animals, and everything else."""

    CAR = 0
    TRUCK = 1
    BUS = 2
    TRAILER = 3
    CONSTRUCTION_VEHICLE = 4
    PEDESTRIAN = 5
    MOTORCYCLE = 6
    BICYCLE = 7
    TRAFFIC_CONE = 8
    BARRIER = 9
    ANIMAL = 10
    OTHER = 11

    @property
    def label(self) -> str:
        """Lower-case name used in files and on the command line."""
        return self.name.lower()


SEMANTIC_OF_CATEGORY: dict[AgentCategory, Semantic] = {
    AgentCategory.CAR: Semantic.CAR,
    AgentCategory.TRUCK: Semantic.TRUCK,
    AgentCategory.BUS: Semantic.BUS,
    AgentCategory.TRAILER: Semantic.TRAILER,
    AgentCategory.CONSTRUCTION_VEHICLE: Semantic.CONSTRUCTION_VEHICLE,
    AgentCategory.PEDESTRIAN: Semantic.PEDESTRIAN,
    AgentCategory.MOTORCYCLE: Semantic.MOTORCYCLE,
    AgentCategory.BICYCLE: Semantic.BICYCLE,
    AgentCategory.TRAFFIC_CONE: Semantic.TRAFFIC_CONE,
    AgentCategory.BARRIER: Semantic.BARRIER,
    AgentCategory.ANIMAL: Semantic.OTHERS,
    AgentCategory.OTHER: Semantic.OTHERS,
}

SEMANTIC_OF_GROUND: dict[Material, Semantic] = {
    Material.ASPHALT: Semantic.DRIVEABLE_SURFACE,
    Material.MARKING_WHITE: Semantic.DRIVEABLE_SURFACE,
    Material.MARKING_YELLOW: Semantic.DRIVEABLE_SURFACE,
    Material.CROSSING: Semantic.DRIVEABLE_SURFACE,
    Material.PARKING: Semantic.OTHER_FLAT,
    Material.SIDEWALK: Semantic.SIDEWALK,
    Material.KERB: Semantic.SIDEWALK,
    Material.GRASS: Semantic.TERRAIN,
}

VEHICLE_CATEGORIES = frozenset(
    {
        AgentCategory.CAR,
        AgentCategory.TRUCK,
        AgentCategory.BUS,
        AgentCategory.TRAILER,
        AgentCategory.CONSTRUCTION_VEHICLE,
        AgentCategory.MOTORCYCLE,
        AgentCategory.BICYCLE,
    }
)

STATIC_INSTANCE_OFFSET = 0x8000
"""Instance ids in images: 0 nothing, 1 + agent index for agents, this offset + index for static things."""


def belongs_to_agent(instance: Integer[np.ndarray, "*N"]) -> Bool[np.ndarray, "*N"]:
    """Return which instance ids are those of agents.

    >>> belongs_to_agent(np.array([0, 1, STATIC_INSTANCE_OFFSET], np.uint16)).tolist()
    [False, True, False]
    """
    return (instance > 0) & (instance < STATIC_INSTANCE_OFFSET)


def parse_category(name: str) -> AgentCategory | None:
    """Return the category called `name` (lower case, underscores), or None."""
    try:
        return AgentCategory[name.upper()]
    except KeyError:
        return None
