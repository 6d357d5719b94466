"""The colours that nuScenes draws classes in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from scenegen.types import Semantic

Rgb = tuple[int, int, int]

SEMANTIC_RGB: dict[Semantic, Rgb] = {
    Semantic.OTHERS: (110, 110, 110),
    Semantic.BARRIER: (112, 128, 144),
    Semantic.BICYCLE: (220, 20, 60),
    Semantic.BUS: (255, 127, 80),
    Semantic.CAR: (255, 158, 0),
    Semantic.CONSTRUCTION_VEHICLE: (233, 150, 70),
    Semantic.MOTORCYCLE: (255, 61, 99),
    Semantic.PEDESTRIAN: (0, 0, 230),
    Semantic.TRAFFIC_CONE: (47, 79, 79),
    Semantic.TRAILER: (255, 140, 0),
    Semantic.TRUCK: (255, 99, 71),
    Semantic.DRIVEABLE_SURFACE: (0, 207, 191),
    Semantic.OTHER_FLAT: (175, 0, 75),
    Semantic.SIDEWALK: (75, 0, 75),
    Semantic.TERRAIN: (112, 180, 60),
    Semantic.MANMADE: (222, 184, 135),
    Semantic.VEGETATION: (0, 175, 0),
    Semantic.FREE: (70, 130, 180),
}
"""nuScenes' own, but for `others`, which it draws black; free is sky."""


def semantic_palette(own_rgb: Mapping[Semantic, Rgb] | None = None) -> UInt8[np.ndarray, "K 3"]:
    """Return the colour of every class by its code, some of them other than nuScenes'."""
    return np.array([{**SEMANTIC_RGB, **(own_rgb or {})}[semantic] for semantic in Semantic], np.uint8)
