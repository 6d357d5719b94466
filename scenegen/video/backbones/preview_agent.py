"""Vehicles, people, cones and barriers of the preview. Part of the kernel in `preview_shading`.

An agent's canonical coordinate is its place in its own box, -0.5..0.5: x forward, y left, z up.
"""

from __future__ import annotations

from scenegen.types import Material, Semantic
from scenegen.video.backbones.preview_noise import Rgb, band, inlined, mix, noise3, pulse, scale
from scenegen.video.backbones.preview_sky import LightState
from scenegen.video.backbones.preview_surface import BLACK, Spot, Surface
from scenegen.video.hashing import hash_unit

BODY = int(Material.BODY)
GLASS = int(Material.GLASS)
TYRE = int(Material.TYRE)
HEADLIGHT = int(Material.HEADLIGHT)
TAILLIGHT = int(Material.TAILLIGHT)
SKIN = int(Material.SKIN)
CLOTH_UPPER = int(Material.CLOTH_UPPER)
CLOTH_LOWER = int(Material.CLOTH_LOWER)
HAIR = int(Material.HAIR)
CONE = int(Material.CONE)
BARRIER = int(Material.BARRIER)
CARGO = int(Material.CARGO)
CAR = int(Semantic.CAR)
BUS = int(Semantic.BUS)
MOTORCYCLE = int(Semantic.MOTORCYCLE)
BICYCLE = int(Semantic.BICYCLE)
CAR_LENGTH_M = 4.6
BUS_LENGTH_M = 11.0
TRIM: Rgb = (0.030, 0.031, 0.033)


@inlined
def car_body(spot: Spot, light: LightState) -> Surface:
    """Painted sheet metal: door gaps, handles, dark sills and bumpers, grille, number plates."""
    cx, cy, cz = spot.canonical
    px = spot.across / CAR_LENGTH_M
    pz = spot.pixel / 1.6
    rgb = scale(spot.primary, 0.88)
    gloss = 0.16
    side = abs(cy) > 0.40 and abs(cx) < 0.44
    if side and cz > -0.33 and cz < 0.12:
        gap = 0.012
        line = band(cx, 0.175, 0.175 + gap, px) + band(cx, -0.045, -0.045 + gap, px) + band(cx, -0.25, -0.25 + gap, px)
        handle = band(cz, -0.02, 0.02, pz) * (band(cx, -0.03, 0.02, px) + band(cx, -0.235, -0.185, px))
        rgb = mix(rgb, scale(rgb, 0.25), min(1.0, line))
        rgb = mix(rgb, (0.35, 0.35, 0.36), 0.6 * handle)
    lower = band(cz, -0.6, -0.30, pz)
    rgb = mix(rgb, mix(TRIM, scale(rgb, 0.35), 0.3), lower)
    gloss *= 1.0 - lower
    if abs(cx) > 0.455 and cz < 0.05:
        plate = band(cy, -0.14, 0.14, spot.pixel / 1.8) * band(cz, -0.26, -0.17, pz)
        if cx > 0.0:
            grille = band(cy, -0.30, 0.30, spot.pixel / 1.8) * band(cz, -0.15, -0.03, pz)
            rgb, gloss = mix(rgb, TRIM, grille), gloss * (1.0 - grille)
        rgb = mix(rgb, (0.66, 0.66, 0.60), plate)
    return Surface(rgb, gloss, BLACK, spot.normal)


@inlined
def big_body(spot: Spot, light: LightState) -> Surface:
    """Bus or truck sheet metal: a stripe in the second colour, panel gaps, a dark skirt."""
    cx, _, cz = spot.canonical
    rgb = spot.primary
    stripe = band(cz, -0.20, -0.12, spot.pixel / 3.0) + 0.8 * band(cz, 0.40, 0.47, spot.pixel / 3.0)
    rgb = mix(rgb, spot.secondary, min(1.0, stripe))
    panel = pulse(cx * 8.0, 0.04, spot.across * 8.0 / BUS_LENGTH_M)
    rgb = scale(rgb, 1.0 - 0.45 * panel)
    rgb = mix(rgb, TRIM, band(cz, -0.6, -0.36, spot.pixel / 3.0))
    return Surface(rgb, 0.12, BLACK, spot.normal)


@inlined
def cargo(spot: Spot, light: LightState) -> Surface:
    """Box body: vertical ribs, frame edges, a band in the second colour."""
    cx, cy, cz = spot.canonical
    rib = pulse(cx * 14.0, 0.16, spot.across * 14.0 / 7.0)
    rgb = scale(mix(spot.primary, (0.60, 0.60, 0.60), 0.35), 1.0 - 0.30 * rib)
    rgb = mix(rgb, spot.secondary, 0.85 * band(cz, -0.05, 0.16, spot.pixel / 3.0))
    rim = band(cz, 0.46, 0.52, spot.pixel / 3.0) + band(cz, -0.36, -0.30, spot.pixel / 3.0)
    if abs(cx) > 0.47:
        rim += band(cy, -0.02, 0.02, spot.pixel / 2.4)
    return Surface(mix(rgb, (0.24, 0.24, 0.25), min(1.0, rim)), 0.04, BLACK, spot.normal)


@inlined
def cloth(spot: Spot, light: LightState, color: Rgb) -> Surface:
    """Fabric with soft folds that stick to the body."""
    cx, cy, cz = spot.canonical
    fold = noise3(cx * 4.0, cy * 4.0, cz * 11.0, spot.instance) - 0.5
    return Surface(scale(color, 1.0 + 0.45 * fold), 0.0, BLACK, spot.normal)


@inlined
def lamp(spot: Spot, light: LightState, color: Rgb, power: float) -> Surface:
    """Head or tail lamp: coloured lens by day, own light in the dark and in bad weather."""
    lit = min(1.0, light.night * 1.3 + 0.35 * light.wet + 0.25 * light.overcast)
    return Surface(color, 0.25, scale(color, power * (0.06 + lit)), spot.normal)


@inlined
def moving(spot: Spot, light: LightState) -> Surface:
    """Colour a part of an agent."""
    material = spot.material
    cx, cy, cz = spot.canonical
    if material == BODY:
        if spot.semantic == CAR:
            return car_body(spot, light)
        if spot.semantic == MOTORCYCLE or spot.semantic == BICYCLE:
            return Surface(spot.primary, 0.12, BLACK, spot.normal)
        return big_body(spot, light)
    if material == GLASS:
        return Surface((0.012, 0.016, 0.020), 0.85, BLACK, spot.normal)
    if material == TYRE:
        hub = 0.0 if abs(spot.normal[2]) > 0.6 else 0.012
        return Surface((0.018 + hub, 0.018 + hub, 0.020 + hub), 0.02, BLACK, spot.normal)
    if material == HEADLIGHT:
        return lamp(spot, light, (0.85, 0.85, 0.80), 2.2)
    if material == TAILLIGHT:
        return lamp(spot, light, (0.60, 0.020, 0.015), 1.5)
    if material == CARGO:
        return cargo(spot, light)
    if material == SKIN:
        shade = 0.35 + 0.9 * hash_unit(spot.instance, 17, light.salt)
        return Surface(scale((0.52, 0.33, 0.23), shade), 0.02, BLACK, spot.normal)
    if material == CLOTH_UPPER:
        return cloth(spot, light, spot.primary)
    if material == CLOTH_LOWER:
        return cloth(spot, light, spot.secondary)
    if material == HAIR:
        shade = hash_unit(spot.instance, 19, light.salt)
        return Surface((0.03 + 0.12 * shade, 0.022 + 0.07 * shade, 0.016 + 0.03 * shade), 0.03, BLACK, spot.normal)
    if material == CONE:
        white = band(cz, -0.05, 0.12, spot.pixel / 0.8) + band(cz, 0.26, 0.36, spot.pixel / 0.8)
        return Surface(mix((0.80, 0.16, 0.02), (0.75, 0.75, 0.73), min(1.0, white)), 0.03, BLACK, spot.normal)
    stripes = pulse(cy * 4.0 + cx * 4.0 + cz * 1.5, 0.5, spot.footprint * 2.5)
    return Surface(mix((0.62, 0.04, 0.03), (0.72, 0.72, 0.70), stripes), 0.03, BLACK, spot.normal)
