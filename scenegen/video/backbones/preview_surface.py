"""What one pixel shows, and the colour of ground and plants. Part of the kernel in `preview_shading`."""

from __future__ import annotations

import math
from typing import NamedTuple

from scenegen.types import Material
from scenegen.video.backbones.preview_noise import Rgb, fade, inlined, mix, noise2, noise3, pulse, scale
from scenegen.video.backbones.preview_sky import LightState
from scenegen.video.hashing import compiled, hash_unit

MARKING_WHITE = int(Material.MARKING_WHITE)
MARKING_YELLOW = int(Material.MARKING_YELLOW)
CROSSING = int(Material.CROSSING)
PARKING = int(Material.PARKING)
SIDEWALK = int(Material.SIDEWALK)
KERB = int(Material.KERB)
GRASS = int(Material.GRASS)
BLACK: Rgb = (0.0, 0.0, 0.0)


class Spot(NamedTuple):
    """One visible surface point. Lengths in metres, world frame; `pattern`, colours from its appearance row.

    `pixel` is the width of a pixel at this depth, `footprint` its length along the surface, `across` its
    width along a wall. `axis` is the x axis of the thing that the point belongs to.
    """

    material: int
    semantic: int
    instance: int
    x: float
    y: float
    z: float
    canonical: tuple[float, float, float]
    normal: tuple[float, float, float]
    pixel: float
    footprint: float
    across: float
    primary: Rgb
    secondary: Rgb
    pattern: tuple[float, float, float, float]
    size: tuple[float, float, float]
    axis: tuple[float, float]


class Surface(NamedTuple):
    """How a point answers to light: diffuse albedo, mirror share, own light, and the normal to shade with."""

    albedo: Rgb
    gloss: float
    emission: Rgb
    normal: tuple[float, float, float]


@inlined
def asphalt(spot: Spot, light: LightState) -> Rgb:
    """Grey with large patches, cracks along cell borders, and grain that fades with distance."""
    salt = light.salt
    x, y = spot.x, spot.y
    base = 0.060 + 0.055 * light.variation[2]
    tone = 1.0 + 0.34 * (noise2(x * 0.13, y * 0.13, salt + 11) - 0.5)
    tone += 0.22 * (noise2(x * 0.9, y * 0.9, salt + 12) - 0.5) * fade(spot.footprint, 1.2)
    tone += 0.26 * (noise2(x * 9.0, y * 9.0, salt + 13) - 0.5) * fade(spot.footprint, 0.15)
    # Repaired rectangles: one cell in nine is a darker or lighter slab.
    patch = hash_unit(int(math.floor(x * 0.27)), int(math.floor(y * 0.21)), salt + 14)
    if patch < 0.07:
        tone *= 0.80
    elif patch > 0.96:
        tone *= 1.16
    seam = noise2(x * 0.35, y * 0.35, salt + 15) - 0.5
    torn = min(1.0, max(0.0, (noise2(x * 0.11, y * 0.11, salt + 16) - 0.58) * 8.0))
    crack = 1.0 - min(1.0, abs(seam + 0.10 * (noise2(x * 2.3, y * 2.3, salt + 17) - 0.5)) * 60.0)
    tone *= 1.0 - 0.36 * torn * crack * fade(spot.footprint, 0.4)
    value = base * tone
    return value * 1.0, value * 0.995, value * 1.01 + 0.002


@compiled
def paint(spot: Spot, light: LightState, fresh: Rgb) -> Rgb:
    """Road paint, a little worn: where the wear noise is high the asphalt shows."""
    wear = noise2(spot.x * 5.0, spot.y * 5.0, light.salt + 21) * 0.5
    wear += noise2(spot.x * 0.7, spot.y * 0.7, light.salt + 22) * 0.5
    amount = 0.10 + 0.45 * max(0.0, wear - 0.52) * 2.5 * (0.4 + 0.6 * fade(spot.footprint, 0.3))
    return mix(fresh, asphalt(spot, light), min(0.6, amount))


@inlined
def sidewalk(spot: Spot, light: LightState) -> Rgb:
    """Pale slabs of one metre with dark joints, each slab of its own tone."""
    x, y = spot.x, spot.y
    joint = 1.0 - pulse(x + 0.5, 0.95, spot.footprint) * pulse(y + 0.5, 0.95, spot.footprint)
    slab = hash_unit(int(math.floor(x + 0.5)), int(math.floor(y + 0.5)), light.salt + 31) - 0.5
    tone = 1.0 + 0.22 * slab * fade(spot.footprint, 1.0)
    tone += 0.20 * (noise2(x * 0.4, y * 0.4, light.salt + 32) - 0.5)
    tone += 0.14 * (noise2(x * 7.0, y * 7.0, light.salt + 33) - 0.5) * fade(spot.footprint, 0.18)
    tone *= 1.0 - 0.50 * joint
    warm = light.variation[0]
    value = (0.20 + 0.07 * light.variation[1]) * tone
    return value * (1.0 + 0.08 * warm), value, value * (0.94 - 0.08 * warm)


@inlined
def grass(spot: Spot, light: LightState) -> Rgb:
    """Lawn: two greens mixed by noise at three scales."""
    x, y, salt = spot.x, spot.y, light.salt
    n = 0.5 * noise2(x * 0.15, y * 0.15, salt + 41) + 0.5 * noise2(x * 0.8, y * 0.8, salt + 42)
    blade = (noise2(x * 6.0, y * 6.0, salt + 43) - 0.5) * fade(spot.footprint, 0.25)
    dry = light.variation[3]
    lush: Rgb = (0.055 + 0.06 * dry, 0.135 + 0.02 * dry, 0.030)
    straw: Rgb = (0.150 + 0.07 * dry, 0.180, 0.060 + 0.02 * dry)
    return scale(mix(lush, straw, n), 1.0 + 0.7 * blade)


@inlined
def ground(spot: Spot, light: LightState) -> Surface:
    """Colour whatever lies on the ground; rain darkens it and makes the road a mirror in puddles."""
    material = spot.material
    porous = 0.0
    if material in (MARKING_WHITE, CROSSING):
        rgb = paint(spot, light, (0.72, 0.72, 0.70))
    elif material == MARKING_YELLOW:
        rgb = paint(spot, light, (0.78, 0.50, 0.06))
    elif material == SIDEWALK:
        rgb = sidewalk(spot, light)
        porous = 0.5
    elif material == KERB:
        stone = pulse((spot.x + spot.y) * 0.7, 0.94, spot.footprint * 0.7)
        rgb = scale((0.36, 0.355, 0.34), 0.70 + 0.30 * stone)
        porous = 0.4
    elif material == GRASS:
        rgb = grass(spot, light)
        porous = 1.0
    elif material == PARKING:
        rgb = scale(mix(asphalt(spot, light), (0.15, 0.14, 0.13), 0.6), 1.15)
    else:
        rgb = asphalt(spot, light)
    if light.wet <= 0.0:
        return Surface(rgb, 0.0, BLACK, spot.normal)
    puddle = noise2(spot.x * 0.33, spot.y * 0.33, light.salt + 51)
    mirror = light.wet * (1.0 - porous) * (0.26 + 0.50 * min(1.0, max(0.0, (puddle - 0.52) * 6.0)))
    return Surface(scale(rgb, 1.0 - 0.38 * light.wet * (1.0 - 0.5 * porous)), mirror, BLACK, spot.normal)


@inlined
def foliage(spot: Spot, light: LightState) -> Surface:
    """Leaf clumps: two tones of the plant's colour, and a normal that forgets the voxel's face."""
    x, y, z = spot.x, spot.y, spot.z
    salt = light.salt + 61 + spot.instance % 977
    big = noise3(x * 1.1, y * 1.1, z * 1.1, salt)
    small = noise3(x * 3.3, y * 3.3, z * 3.3, salt + 1)
    leaf = noise3(x * 9.0, y * 9.0, z * 9.0, salt + 2)
    n = 0.5 * big + 0.5 * (0.5 + (small - 0.5) * fade(spot.pixel, 0.5))
    n += 0.5 * (leaf - 0.5) * fade(spot.pixel, 0.2)
    dark = scale(spot.primary, 0.45)
    bright = mix(scale(spot.primary, 1.5), (0.34, 0.36, 0.10), 0.16)
    rgb = mix(dark, bright, min(1.0, max(0.0, 1.7 * n - 0.35)))
    nx, ny, nz = spot.normal
    a, b = 1.8 * (big - 0.5) + 1.6 * (small - 0.5), 1.8 * (noise2(x + z, y - z, salt + 3) - 0.5)
    mx, my, mz = 0.55 * nx + a, 0.55 * ny + b, 0.55 * nz + 0.35 + 0.8 * (small - 0.5)
    length = (mx * mx + my * my + mz * mz) ** 0.5 + 1e-6
    return Surface(rgb, 0.0, BLACK, (mx / length, my / length, mz / length))
