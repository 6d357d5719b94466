"""Buildings, walls and street furniture of the preview. Part of the kernel in `preview_shading`.

A facade's canonical coordinate is (metres along the wall from its middle, metres above ground, 0).
"""

from __future__ import annotations

import math

from scenegen.types import STATIC_INSTANCE_OFFSET, Material
from scenegen.video.backbones.preview_noise import Rgb, band, fade, inlined, mix, noise2, noise3, pulse, scale
from scenegen.video.backbones.preview_sky import LightState
from scenegen.video.backbones.preview_surface import BLACK, Spot, Surface
from scenegen.video.hashing import compiled, hash_unit
from scenegen.video.traits import BLIND_SHARE, DOOR_SHARE, SHOP_SHARE

FACADE = int(Material.FACADE)
ROOF = int(Material.ROOF)
WALL = int(Material.WALL)
BARK = int(Material.BARK)
METAL = int(Material.METAL)
SIGN = int(Material.SIGN)
LIT_WINDOWS = 0.35
"""Share of windows with a light on at night."""


@compiled
def window_tone(spot: Spot, bay: int, storey: int, top: float, light: LightState) -> tuple[Rgb, Rgb, float]:
    """Return albedo, emission and mirror share of one window; `top` runs 0..1 from its sill to its lintel."""
    h = hash_unit(bay, storey, spot.instance)
    g = hash_unit(bay + 71, storey, spot.instance + 13)
    tone = 0.5 + h
    albedo: Rgb = (0.020 * tone, 0.030 * tone, 0.044 * tone)
    gloss = 0.55
    if g < BLIND_SHARE and top > 1.0 - 1.6 * g:
        albedo, gloss = (0.42 - 0.3 * h, 0.40 - 0.3 * h, 0.35 - 0.28 * h), 0.14
    if top > 0.86:
        albedo, gloss = scale(albedo, 0.55), 0.2
    emission = BLACK
    if h < LIT_WINDOWS:
        dark = max(0.0, light.night - 0.1) * 1.1
        power = dark * (0.30 + 0.7 * g)
        emission = (0.95 * power, 0.66 * power, 0.30 * power)
        if g > 0.8:
            emission = (0.62 * power, 0.72 * power, 0.80 * power)
    return albedo, emission, gloss


@inlined
def wall_skin(spot: Spot, light: LightState) -> Rgb:
    """Plaster, brick or panels in the building's colour, by a hash of the instance."""
    u, h = spot.canonical[0], spot.canonical[1]
    style = hash_unit(spot.instance, 3, light.salt)
    tone = 1.0 + 0.18 * (noise2(u * 0.25, h * 0.25, spot.instance) - 0.5)
    tone += 0.10 * (noise2(u * 3.0, h * 3.0, spot.instance + 1) - 0.5) * fade(spot.footprint, 0.4)
    if style < 0.45:
        row = math.floor(h * 8.0)
        brick = hash_unit(int(math.floor(u * 3.3 + 0.5 * (row % 2.0))), int(row), spot.instance) - 0.5
        tone += 0.28 * brick * fade(spot.footprint, 0.16)
        tone *= 1.0 - 0.30 * (1.0 - pulse(h * 8.0, 0.84, spot.pixel * 8.0))
    elif style > 0.75:
        tone *= 1.0 - 0.35 * (1.0 - pulse(h * 0.8, 0.97, spot.pixel * 0.8))
    stain = max(0.0, 1.0 - h * 1.4) * 0.22
    grey = 0.3 * spot.primary[0] + 0.6 * spot.primary[1] + 0.1 * spot.primary[2]
    return scale(mix(spot.primary, (grey, grey, grey), 0.18), tone * (1.0 - stain))


@inlined
def shopfront(spot: Spot, skin: Rgb, phase: float, bay_width: float, light: LightState) -> Surface:
    """Ground floor: show windows under a coloured fascia, a door in every third bay."""
    h = spot.canonical[1]
    storey = spot.pattern[1]
    bay = int(math.floor(phase))
    w, pixel = spot.across / bay_width, spot.pixel
    is_door = (bay + spot.instance) % 3 == 0
    duty, sill = (0.42, 0.02) if is_door else (0.84, 0.45)
    lintel = storey * 0.70
    frame = pulse(phase, min(0.96, duty + 0.22 / bay_width), w) * band(h, sill - 0.10, lintel + 0.10, pixel)
    glass = pulse(phase, duty, w) * band(h, sill, lintel, pixel)
    if is_door:
        glass *= 1.0 - 0.9 * pulse(phase + 0.5, 0.05, w)
    tone, glow, gloss = window_tone(spot, bay, -1, (h - sill) / (lintel - sill), light)
    rgb = mix(skin, scale(spot.secondary, 0.8), frame)
    rgb = mix(rgb, tone, glass)
    fascia = band(h, storey * 0.76, storey * 0.95, pixel)
    sign = hash_unit(bay // 3, 5, spot.instance)
    board: Rgb = (0.10 + 0.5 * sign, 0.12 + 0.35 * abs(sign - 0.5), 0.42 - 0.36 * sign)
    rgb = mix(rgb, mix(spot.secondary, board, 0.5), fascia)
    lamp = max(0.0, light.night - 0.4) * 0.8 * fascia * (1.0 if sign > 0.5 else 0.2)
    light_rgb = (
        glow[0] * glass + board[0] * lamp,
        glow[1] * glass + board[1] * lamp,
        glow[2] * glass + board[2] * lamp,
    )
    return Surface(rgb, gloss * glass, light_rgb, spot.normal)


@inlined
def door(spot: Spot, skin: Rgb, phase: float, bay_width: float) -> Surface:
    """House door in the second colour, with a pale frame, a step and a pane."""
    h, w = spot.canonical[1], spot.across / bay_width
    frame = pulse(phase, 1.45 / bay_width, w) * band(h, -1.0, 2.45, spot.pixel)
    leaf = pulse(phase, 1.10 / bay_width, w) * band(h, 0.18, 2.25, spot.pixel)
    pane = pulse(phase, 0.70 / bay_width, w) * band(h, 1.55, 2.05, spot.pixel)
    rgb = mix(mix(skin, (0.55, 0.54, 0.51), frame), scale(spot.secondary, 0.6), leaf)
    return Surface(mix(rgb, (0.04, 0.05, 0.06), pane), 0.4 * pane, BLACK, spot.normal)


@inlined
def facade(spot: Spot, light: LightState) -> Surface:
    """A wall with a grid of windows, ledges between storeys, a parapet, and perhaps shops below."""
    u, h = spot.canonical[0], spot.canonical[1]
    bay_width, storey = max(0.8, spot.pattern[0]), max(1.5, spot.pattern[1])
    skin = wall_skin(spot, light)
    along = abs(spot.normal[0] * spot.axis[0] + spot.normal[1] * spot.axis[1]) > 0.7
    length = spot.size[1] if along else spot.size[0]
    bays = math.floor(max(0.0, length - 0.8) / bay_width)
    phase = u / bay_width + 0.5 * bays
    floor = math.floor(h / storey)
    floors = math.floor((spot.size[2] - 0.4) / storey)
    ledge = pulse(h / storey + 0.5, 0.10, spot.pixel / storey) * (1.0 if h > 0.6 * storey else 0.0)
    shade = band(h - storey * math.floor(h / storey), storey * 0.90, storey * 0.95, spot.pixel)
    skin = scale(mix(skin, mix(spot.secondary, (0.6, 0.6, 0.58), 0.5), 0.55 * ledge), 1.0 - 0.25 * shade)
    if h > floors * storey + 0.12:
        return Surface(scale(skin, 0.82), 0.0, BLACK, spot.normal)
    if phase < 0.0 or phase >= bays:
        return Surface(skin, 0.0, BLACK, spot.normal)
    if floor < 1.0:
        if hash_unit(spot.instance, 9, light.salt) < SHOP_SHARE:
            return shopfront(spot, skin, phase, bay_width, light)
        if hash_unit(int(math.floor(phase)), 0, spot.instance) < DOOR_SHARE:
            return door(spot, skin, phase, bay_width)
    w, v = spot.across / bay_width, spot.pixel / storey
    wide = min(0.94, max(0.2, spot.pattern[2]))
    tall = min(0.90, max(0.2, spot.pattern[3]))
    frame = pulse(phase, min(0.97, wide + 0.20 / bay_width), w) * pulse(h / storey, min(0.96, tall + 0.16 / storey), v)
    glass = pulse(phase, wide, w) * pulse(h / storey, tall, v)
    if wide * bay_width > 1.0:
        glass *= 1.0 - pulse(phase + 0.5, 0.07 / bay_width, w)
    top = (h / storey - floor - 0.5) / tall + 0.5
    tone, glow, gloss = window_tone(spot, int(math.floor(phase)), int(floor), top, light)
    sharp = fade(max(w, v), 0.9)
    mean = LIT_WINDOWS * max(0.0, light.night - 0.1) * 0.6 * (1.0 - sharp)
    tone = mix((0.06, 0.07, 0.08), tone, sharp)
    rgb = mix(mix(skin, mix(spot.secondary, (0.66, 0.65, 0.62), 0.5), frame), tone, glass)
    own = (
        glass * (glow[0] * sharp + 0.95 * mean),
        glass * (glow[1] * sharp + 0.68 * mean),
        glass * (glow[2] * sharp + 0.36 * mean),
    )
    return Surface(rgb, glass * gloss, own, spot.normal)


@inlined
def wall(spot: Spot, light: LightState) -> Surface:
    """Garden wall or fence: courses of blocks, level in z, joints along the wall."""
    along = spot.x * spot.normal[1] - spot.y * spot.normal[0]
    course = math.floor(spot.z * 2.5)
    joint = pulse(spot.z * 2.5 + 0.5, 0.10, spot.pixel * 2.5)
    joint = max(joint, pulse(along * 1.4 + 0.5 * (course % 2.0), 0.05, spot.across * 1.4))
    block = hash_unit(int(math.floor(along * 1.4 + 0.5 * (course % 2.0) + 0.5)), int(course), spot.instance) - 0.5
    tone = (1.0 + 0.30 * block * fade(spot.footprint, 0.7)) * (1.0 - 0.4 * joint)
    tone *= 1.0 + 0.2 * (noise3(spot.x, spot.y, spot.z, light.salt + 71) - 0.5)
    return Surface(scale(spot.primary, tone), 0.0, BLACK, spot.normal)


@inlined
def sign_plate(spot: Spot, light: LightState) -> Surface:
    """Traffic sign in its colour on white or white on its colour, with a border; retro-reflects at night."""
    h = hash_unit(spot.instance, 7, light.salt)
    face: Rgb = (0.70, 0.70, 0.68)
    rim: Rgb = spot.primary
    if h < 0.6:
        face, rim = spot.primary, (0.70, 0.70, 0.70)
    # The plate hangs at the top of its post and is at most 0.8 m high.
    from_top = (0.5 - spot.canonical[2]) * spot.size[2]
    edge = max(abs(spot.canonical[1]), min(0.5, abs(from_top / 0.7 - 0.5)))
    edge = max(edge, 0.5 if spot.normal[2] > 0.5 else 0.0)
    rgb = mix(face, rim, min(1.0, max(0.0, (edge - 0.36) * 20.0)))
    return Surface(rgb, 0.04, scale(rgb, 0.30 * max(0.0, light.night - 0.4)), spot.normal)


@inlined
def standing(spot: Spot, light: LightState) -> Surface:
    """Colour what people built: buildings, walls, poles, signs; and trunks."""
    material = spot.material
    if material == FACADE:
        return facade(spot, light)
    if material == WALL:
        return wall(spot, light)
    if material == SIGN:
        return sign_plate(spot, light)
    if material == ROOF:
        tone = 0.75 + 0.5 * noise2(spot.x * 0.6, spot.y * 0.6, light.salt + 72)
        return Surface(scale(mix(spot.secondary, (0.16, 0.14, 0.13), 0.6), tone), 0.0, BLACK, spot.normal)
    if material == BARK:
        ridge = noise2((spot.x + spot.y) * 14.0, spot.z * 2.0, light.salt + 73)
        rgb = scale(mix(spot.secondary, (0.105, 0.075, 0.052), 0.5), 0.7 + 0.6 * ridge * fade(spot.pixel, 0.12))
        return Surface(rgb, 0.0, BLACK, spot.normal)
    if spot.instance < STATIC_INSTANCE_OFFSET:
        return Surface((0.24, 0.24, 0.25), 0.20, BLACK, spot.normal)
    return Surface(mix(spot.primary, (0.13, 0.135, 0.14), 0.75), 0.10, BLACK, spot.normal)
