"""How much of the light of a LiDAR, at 905 nm, each material sends back: round figures of ours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from scenegen.types import Material

REFLECTIVITY: dict[Material, float] = {
    Material.SKY: 0.0,
    Material.ASPHALT: 0.15,
    Material.MARKING_WHITE: 0.8,
    Material.MARKING_YELLOW: 0.6,
    Material.CROSSING: 0.8,
    Material.PARKING: 0.17,
    Material.SIDEWALK: 0.3,
    Material.KERB: 0.35,
    Material.GRASS: 0.4,
    Material.FACADE: 0.4,
    Material.ROOF: 0.3,
    Material.WALL: 0.4,
    Material.FOLIAGE: 0.5,
    Material.BARK: 0.3,
    Material.METAL: 0.4,
    Material.SIGN: 0.95,
    Material.BODY: 0.5,
    Material.GLASS: 0.1,
    Material.TYRE: 0.05,
    Material.HEADLIGHT: 0.6,
    Material.TAILLIGHT: 0.7,
    Material.SKIN: 0.5,
    Material.CLOTH_UPPER: 0.5,
    Material.CLOTH_LOWER: 0.35,
    Material.HAIR: 0.2,
    Material.CONE: 0.8,
    Material.BARRIER: 0.5,
    Material.CARGO: 0.4,
}


def reflectivity_by_code() -> Float64[np.ndarray, " 256"]:
    """Return the reflectivity, 0 to 1, of every code of a material."""
    table = np.zeros(256)
    table[[int(material) for material in REFLECTIVITY]] = list(REFLECTIVITY.values())
    return table
