"""What the reference design knows: classes of voxels, and what its layout picture can say of a column."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from jaxtyping import UInt8

from scenegen.types import Semantic


class Group(IntEnum):
    """Occ3D classes, those of agents joined: what a small model can be asked for."""

    FREE = 0
    DRIVEABLE = 1
    OTHER_FLAT = 2
    SIDEWALK = 3
    TERRAIN = 4
    MANMADE = 5
    VEGETATION = 6
    VEHICLE = 7
    CYCLE = 8
    PERSON = 9
    THING = 10


NUM_GROUPS = len(Group)
GROUND_GROUPS = (Group.DRIVEABLE, Group.OTHER_FLAT, Group.SIDEWALK, Group.TERRAIN)
STATIC_GROUPS = (Group.FREE, *GROUND_GROUPS, Group.MANMADE, Group.VEGETATION)
AGENT_GROUPS = (Group.VEHICLE, Group.CYCLE, Group.PERSON, Group.THING)

_GROUP_OF: dict[Semantic, Group] = {
    Semantic.OTHERS: Group.THING,
    Semantic.BARRIER: Group.THING,
    Semantic.BICYCLE: Group.CYCLE,
    Semantic.BUS: Group.VEHICLE,
    Semantic.CAR: Group.VEHICLE,
    Semantic.CONSTRUCTION_VEHICLE: Group.VEHICLE,
    Semantic.MOTORCYCLE: Group.CYCLE,
    Semantic.PEDESTRIAN: Group.PERSON,
    Semantic.TRAFFIC_CONE: Group.THING,
    Semantic.TRAILER: Group.VEHICLE,
    Semantic.TRUCK: Group.VEHICLE,
    Semantic.DRIVEABLE_SURFACE: Group.DRIVEABLE,
    Semantic.OTHER_FLAT: Group.OTHER_FLAT,
    Semantic.SIDEWALK: Group.SIDEWALK,
    Semantic.TERRAIN: Group.TERRAIN,
    Semantic.MANMADE: Group.MANMADE,
    Semantic.VEGETATION: Group.VEGETATION,
    Semantic.FREE: Group.FREE,
}


class Surface(IntEnum):
    """What the layout says of the ground of a column; OPEN where it says nothing, UNSAID in a blank layout."""

    OPEN = 0
    ROAD = 1
    CROSSING = 2
    PARKING = 3
    SIDEWALK = 4
    LAWN = 5
    BUILDING = 6
    UNSAID = 7


NUM_SURFACES = len(Surface)
GROUP_OF_SURFACE = np.zeros(NUM_SURFACES, np.uint8)
"""The ground class that a surface asks for; FREE where it asks for none."""
GROUP_OF_SURFACE[[Surface.ROAD, Surface.CROSSING]] = Group.DRIVEABLE
GROUP_OF_SURFACE[Surface.PARKING] = Group.OTHER_FLAT
GROUP_OF_SURFACE[Surface.SIDEWALK] = Group.SIDEWALK
GROUP_OF_SURFACE[Surface.LAWN] = Group.TERRAIN

GROUP_OF_SOLID = np.array([Group.FREE, Group.MANMADE, Group.VEGETATION], np.uint8)
"""By `SolidClass`."""
GROUP_OF_GROUND = np.array([Group.TERRAIN, Group.SIDEWALK], np.uint8)
"""By `OpenGround`."""


def group_semantics(semantics: UInt8[np.ndarray, "*N"]) -> UInt8[np.ndarray, "*N"]:
    """Return the groups of Occ3D classes.

    >>> group_semantics(np.array([17, 11, 10, 7], np.uint8)).tolist()
    [0, 1, 7, 9]
    """
    table = np.zeros(256, np.uint8)
    for semantic, group in _GROUP_OF.items():
        table[semantic] = group
    return table[semantics]
