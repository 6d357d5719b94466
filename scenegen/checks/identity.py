"""Does a car keep its colour, over time and from camera to camera?

Light and shading change a car's colour in the truth as well. What is followed is therefore the difference between
the generated and the true colour of the same pixels, which light that is common to both does not change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8, UInt16

from scenegen.types import Material, belongs_to_agent

MIN_BODY_PX = 20
"""A car is looked at in a frame that shows this many pixels of its body."""
MIN_SIGHTINGS = 3
"""A car seen less often has no colour to keep."""
MAX_SHIFT = 8.0
"""A sighting agrees within this distance (CIE 1976) of the car's own median; white to light grey is about 20."""
WHITE_XYZ = (0.95047, 1.0, 1.08883)
XYZ_FROM_RGB = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
"""D65 and the sRGB primaries (IEC 61966-2-1)."""


@dataclass(frozen=True, kw_only=True)
class BodyColors:
    """Colours of the cars of one frame.

    Attributes:
        agent: index of the layout.
        shift_lab: mean generated less mean true colour of its body, CIE L*a*b*.
    """

    agent: Int64[np.ndarray, " N"]
    shift_lab: Float64[np.ndarray, "N 3"]


def body_colors(
    rgb: UInt8[np.ndarray, "H W 3"],
    true_rgb: UInt8[np.ndarray, "H W 3"],
    *,
    material: UInt8[np.ndarray, "H W"],
    instance: UInt16[np.ndarray, "H W"],
) -> BodyColors:
    """Compare the body colours of all cars with enough pixels in a frame."""
    is_body = (material == Material.BODY) & belongs_to_agent(instance)
    agents = instance[is_body].astype(np.int64) - 1
    counts = np.bincount(agents)
    chosen = np.nonzero(counts >= MIN_BODY_PX)[0]
    difference = lab_of_srgb(rgb[is_body]).astype(np.float64) - lab_of_srgb(true_rgb[is_body])
    sums = np.stack([np.bincount(agents, weights=difference[:, c], minlength=len(counts)) for c in range(3)], axis=1)
    return BodyColors(agent=chosen, shift_lab=sums[chosen] / counts[chosen, None])


def keeps_color(agent: Int64[np.ndarray, " N"], shift_lab: Float64[np.ndarray, "N 3"]) -> IdentityFinding:
    """Say of every sighting of a scene whether it has its car's usual colour."""
    is_asked = np.zeros(len(agent), np.bool_)
    is_kept = np.zeros(len(agent), np.bool_)
    for a in np.unique(agent):
        own = np.nonzero(agent == a)[0]
        if len(own) < MIN_SIGHTINGS:
            continue
        usual = np.median(shift_lab[own], axis=0)
        is_asked[own] = True
        is_kept[own] = np.linalg.norm(shift_lab[own] - usual, axis=1) <= MAX_SHIFT
    return IdentityFinding(is_asked=is_asked, is_kept=is_kept)


@dataclass(frozen=True, kw_only=True)
class IdentityFinding:
    """Of N sightings: whether its car was seen often enough, and whether the colour is the car's usual one."""

    is_asked: Bool[np.ndarray, " N"]
    is_kept: Bool[np.ndarray, " N"]


def lab_of_srgb(rgb: UInt8[np.ndarray, "*N 3"]) -> Float32[np.ndarray, "*N 3"]:
    """Convert sRGB bytes to CIE L*a*b* under D65.

    >>> lab_of_srgb(np.array([[255, 255, 255], [255, 0, 0]], np.uint8)).round().tolist()
    [[100.0, 0.0, 0.0], [53.0, 80.0, 67.0]]
    """
    value = rgb.astype(np.float32) / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array(XYZ_FROM_RGB, np.float32).T / np.array(WHITE_XYZ, np.float32)
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    # Rounding puts white a hair off the axis; adding zero turns -0.0 into 0.0.
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return lab.astype(np.float32)
