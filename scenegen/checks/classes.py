"""The twelve classes that a judge tells apart in a picture; the finer Occ3D classes join their group."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from jaxtyping import UInt8

from scenegen.types import Material, Semantic


class JudgeClass(IntEnum):
    """What the judge tells apart."""

    SKY = 0
    ROAD = 1
    MARKING = 2
    SIDEWALK = 3
    TERRAIN = 4
    MANMADE = 5
    VEGETATION = 6
    CAR = 7
    LARGE_VEHICLE = 8
    TWO_WHEELER = 9
    PEDESTRIAN = 10
    TRAFFIC_OBJECT = 11


_OF_SEMANTIC = {
    Semantic.OTHERS: JudgeClass.TRAFFIC_OBJECT,
    Semantic.BARRIER: JudgeClass.TRAFFIC_OBJECT,
    Semantic.BICYCLE: JudgeClass.TWO_WHEELER,
    Semantic.BUS: JudgeClass.LARGE_VEHICLE,
    Semantic.CAR: JudgeClass.CAR,
    Semantic.CONSTRUCTION_VEHICLE: JudgeClass.LARGE_VEHICLE,
    Semantic.MOTORCYCLE: JudgeClass.TWO_WHEELER,
    Semantic.PEDESTRIAN: JudgeClass.PEDESTRIAN,
    Semantic.TRAFFIC_CONE: JudgeClass.TRAFFIC_OBJECT,
    Semantic.TRAILER: JudgeClass.LARGE_VEHICLE,
    Semantic.TRUCK: JudgeClass.LARGE_VEHICLE,
    Semantic.DRIVEABLE_SURFACE: JudgeClass.ROAD,
    Semantic.OTHER_FLAT: JudgeClass.ROAD,
    Semantic.SIDEWALK: JudgeClass.SIDEWALK,
    Semantic.TERRAIN: JudgeClass.TERRAIN,
    Semantic.MANMADE: JudgeClass.MANMADE,
    Semantic.VEGETATION: JudgeClass.VEGETATION,
    Semantic.FREE: JudgeClass.SKY,
}
_TABLE = np.array([_OF_SEMANTIC[Semantic(code)] for code in range(len(Semantic))], np.uint8)
_PAINT = (Material.MARKING_WHITE, Material.MARKING_YELLOW, Material.CROSSING)


def judge_labels(semantic: UInt8[np.ndarray, "*N"], material: UInt8[np.ndarray, "*N"]) -> UInt8[np.ndarray, "*N"]:
    """Return the judge's classes of condition maps: the truth it is held against."""
    labels = _TABLE[semantic]
    return np.where(np.isin(material, _PAINT), np.uint8(JudgeClass.MARKING), labels)


AGENT_KINDS = (JudgeClass.CAR, JudgeClass.LARGE_VEHICLE, JudgeClass.TWO_WHEELER, JudgeClass.PEDESTRIAN)
"""Kinds of agents that the judge finds one by one, in the order of its heatmaps."""


def kind_of_semantic(semantic: Semantic) -> JudgeClass:
    """Return the judge's class of a semantic class.

    >>> kind_of_semantic(Semantic.TRUCK).name
    'LARGE_VEHICLE'
    """
    return _OF_SEMANTIC[semantic]
