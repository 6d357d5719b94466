"""The kernel of the preview: one pass over the pixels, from condition maps to sRGB bytes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8, UInt16

from scenegen.types import STATIC_INSTANCE_OFFSET, Material
from scenegen.video.backbones.preview_agent import BODY, moving
from scenegen.video.backbones.preview_building import standing
from scenegen.video.backbones.preview_noise import Rgb, compiled, hash_unit, mix, noise2
from scenegen.video.backbones.preview_sky import LightState, sky_color, sky_gradient
from scenegen.video.backbones.preview_surface import GRASS, Spot, Surface, foliage, ground

SKY = int(Material.SKY)
FOLIAGE = int(Material.FOLIAGE)
TONE_STEPS = 4096
TONE_MAX = 8.0
"""Radiance at which every channel has long been white."""
CONTACT_RADIUS_M = 0.45
CONTACT_MAX_PX = 14.0


class Maps(NamedTuple):
    """The condition maps the kernel reads, and the poses they were seen from."""

    semantic: UInt8[np.ndarray, "V T H W"]
    material: UInt8[np.ndarray, "V T H W"]
    instance: UInt16[np.ndarray, "V T H W"]
    depth_m: Float32[np.ndarray, "V T H W"]
    normal_world: Float32[np.ndarray, "V T H W 3"]
    canonical: Float32[np.ndarray, "V T H W 3"]
    point_world_m: Float32[np.ndarray, "V T H W 3"]
    sun_visible: Bool[np.ndarray, "V T H W"]
    world_from_cam: Float64[np.ndarray, "V T 4 4"]
    K: Float64[np.ndarray, "V 3 3"]


class Looks(NamedTuple):
    """Appearance of every instance: agents first, then statics from row `num_agents` on."""

    num_agents: int
    primary_rgb: Float64[np.ndarray, "N 3"]
    secondary_rgb: Float64[np.ndarray, "N 3"]
    pattern: Float64[np.ndarray, "N 4"]
    size_lwh_m: Float64[np.ndarray, "N 3"]
    axis_world: Float64[np.ndarray, "N 2"]


def build_tone_table() -> UInt8[np.ndarray, " S"]:
    """Tabulate filmic tone mapping and the sRGB curve over the square root of radiance.

    Source: Narkowicz 2015, "ACES filmic tone mapping curve"; IEC 61966-2-1.
    """
    x = np.linspace(0.0, 1.0, TONE_STEPS) ** 2 * TONE_MAX
    film = np.clip((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), 0.0, 1.0)
    srgb = np.where(film <= 0.0031308, 12.92 * film, 1.055 * film ** (1.0 / 2.4) - 0.055)
    return np.round(srgb * 255.0).astype(np.uint8)


@compiled
def read_spot(
    maps: Maps, looks: Looks, v: int, t: int, i: int, j: int, to_cam: tuple[float, float, float]
) -> Spot:
    """Gather one pixel. `to_cam` is the unit vector from the surface to the camera."""
    nx = np.float64(maps.normal_world[v, t, i, j, 0])
    ny = np.float64(maps.normal_world[v, t, i, j, 1])
    nz = np.float64(maps.normal_world[v, t, i, j, 2])
    instance = int(maps.instance[v, t, i, j])
    row = looks.num_agents
    if instance >= STATIC_INSTANCE_OFFSET:
        row += instance - STATIC_INSTANCE_OFFSET
    elif instance > 0:
        row = instance - 1
    pixel = np.float64(maps.depth_m[v, t, i, j]) / maps.K[v, 0, 0]
    facing = abs(nx * to_cam[0] + ny * to_cam[1] + nz * to_cam[2])
    flat = math.sqrt(to_cam[0] ** 2 + to_cam[1] ** 2) * math.sqrt(nx * nx + ny * ny) + 1e-6
    turned = min(1.0, abs(nx * to_cam[0] + ny * to_cam[1]) / flat)
    p, s, a = looks.primary_rgb[row], looks.secondary_rgb[row], looks.pattern[row]
    size = looks.size_lwh_m[row]
    point, canonical = maps.point_world_m[v, t, i, j], maps.canonical[v, t, i, j]
    return Spot(
        int(maps.material[v, t, i, j]),
        int(maps.semantic[v, t, i, j]),
        instance,
        np.float64(point[0]),
        np.float64(point[1]),
        np.float64(point[2]),
        (np.float64(canonical[0]), np.float64(canonical[1]), np.float64(canonical[2])),
        (nx, ny, nz),
        pixel,
        pixel / max(facing, 0.08),
        pixel / max(turned, 0.08),
        (p[0], p[1], p[2]),
        (s[0], s[1], s[2]),
        (a[0], a[1], a[2], a[3]),
        (size[0], size[1], size[2]),
        (looks.axis_world[row, 0], looks.axis_world[row, 1]),
    )


@compiled
def openness(maps: Maps, v: int, t: int, i: int, j: int, spot: Spot) -> float:
    """Estimate how much sky light reaches a point: less at the feet of walls, and on ground beside things."""
    if spot.material > GRASS:
        if spot.instance < STATIC_INSTANCE_OFFSET:
            return 1.0 - 0.35 * min(1.0, max(0.0, -0.1 - 1.6 * spot.canonical[2]))
        return 1.0 - 0.30 * math.exp(-max(0.0, spot.z) * 1.4)
    radius = min(CONTACT_MAX_PX, CONTACT_RADIUS_M / spot.pixel)
    if radius < 1.0:
        return 1.0
    open_share = 1.0
    height, width = maps.depth_m.shape[2], maps.depth_m.shape[3]
    for side in range(-1, 2):
        for ring in range(1, 3):
            reach = 0.5 * ring * radius
            a = i - int(reach * (1.0 if side == 0 else 0.45) + 0.5)
            b = j + int(side * reach + 0.5 * side)
            if a < 0 or b < 0 or b >= width or a >= height or int(maps.material[v, t, a, b]) <= GRASS:
                continue
            gap = abs(np.float64(maps.depth_m[v, t, a, b]) - np.float64(maps.depth_m[v, t, i, j]))
            open_share -= 0.13 * max(0.0, 1.0 - gap / 1.6)
    return max(0.3, open_share)


@compiled
def lamp_light(
    spot: Spot, normal: tuple[float, float, float], lamp: tuple[float, float, float, float, float], light: LightState
) -> Rgb:
    """Light of the ego's headlamps and of street lamps at night.

    `lamp` is (x, y, z) of the headlamps and the horizontal direction of their beam.
    """
    strength = max(0.0, light.night - 0.15) * 1.18
    dx, dy, dz = spot.x - lamp[0], spot.y - lamp[1], spot.z - lamp[2]
    distance = math.sqrt(dx * dx + dy * dy + dz * dz) + 1e-3
    level = math.sqrt(dx * dx + dy * dy) + 1e-3
    facing = max(0.0, -(normal[0] * dx + normal[1] * dy + normal[2] * dz) / distance)
    cone = min(1.0, max(0.0, ((dx * lamp[3] + dy * lamp[4]) / level - 0.62) * 3.4))
    low_beam = 1.0 / (1.0 + math.exp(min(30.0, 2.2 * (spot.z - 1.7 - 0.02 * level))))
    beam = cone * cone * (3.0 - 2.0 * cone) * (0.25 + 0.75 * low_beam) * (0.35 + 0.65 * facing)
    beam *= 3.4 / (1.0 + (level / 13.0) ** 2) * min(1.0, level / 4.0)
    glow = 0.16 / (1.0 + (level / 16.0) ** 2)
    pool = noise2(spot.x * 0.062, spot.y * 0.062, light.salt + 91)
    street = (0.10 + 0.85 * max(0.0, pool - 0.35) ** 2) * math.exp(-max(0.0, spot.z - 2.0) * 0.16)
    street *= 0.55 + 0.45 * max(0.0, normal[2]) + 0.2 * abs(normal[0])
    white = strength * (beam + glow)
    warm = strength * street * 1.6
    return white + warm, 0.96 * white + 0.78 * warm, 0.88 * white + 0.50 * warm


@compiled
def shade(
    spot: Spot, look: Surface, sun_visible: bool, open_share: float, to_cam: tuple[float, float, float],
    lamp: tuple[float, float, float, float, float], light: LightState,
) -> Rgb:  # fmt: skip
    """Light a surface: sun, sky, bounce, lamps; then what it mirrors, and its own light."""
    nx, ny, nz = look.normal
    sun = light.sun_direction
    facing = nx * sun[0] + ny * sun[1] + nz * sun[2]
    if spot.material == FOLIAGE:
        facing = 0.35 + 0.65 * facing
    direct = max(0.0, facing) if sun_visible else 0.0
    up = 0.5 + 0.5 * nz
    ambient = mix(light.bounce_rgb, light.sky_rgb, up)
    extra = (0.0, 0.0, 0.0)
    if light.night > 0.15:
        extra = lamp_light(spot, look.normal, lamp, light)
    r = look.albedo[0] * (direct * light.sun_rgb[0] + open_share * ambient[0] + extra[0])
    g = look.albedo[1] * (direct * light.sun_rgb[1] + open_share * ambient[1] + extra[1])
    b = look.albedo[2] * (direct * light.sun_rgb[2] + open_share * ambient[2] + extra[2])
    if look.gloss > 0.0:
        nx, ny, nz = spot.normal
        cos = nx * to_cam[0] + ny * to_cam[1] + nz * to_cam[2]
        mx, my, mz = 2.0 * cos * nx - to_cam[0], 2.0 * cos * ny - to_cam[1], 2.0 * cos * nz - to_cam[2]
        sky = sky_gradient(mz, light)
        # Below the horizon a mirror sees ground and houses, which are darker than the sky.
        dim = 1.0 if mz > 0.12 else 0.35 + 0.65 * max(0.0, mz) / 0.12
        grazing = 1.0 - min(1.0, abs(cos))
        fresnel = look.gloss * (0.16 + 0.84 * grazing * grazing * grazing) * open_share
        if spot.material == BODY:
            fresnel = look.gloss * (0.45 + 0.55 * grazing)
        r, g, b = (
            r * (1.0 - fresnel) + sky[0] * fresnel * dim,
            g * (1.0 - fresnel) + sky[1] * fresnel * dim,
            b * (1.0 - fresnel) + sky[2] * fresnel * dim,
        )
        glint = mx * sun[0] + my * sun[1] + mz * sun[2]
        if sun_visible and glint > 0.9 and facing > 0.0:
            spike = look.gloss * ((glint - 0.9) * 10.0) ** 6 * 1.6
            r, g, b = r + spike * light.sun_rgb[0], g + spike * light.sun_rgb[1], b + spike * light.sun_rgb[2]
    return r + look.emission[0], g + look.emission[1], b + look.emission[2]


@compiled
def paint_pixel(
    maps: Maps, looks: Looks, light: LightState, lamp: tuple[float, float, float, float, float],
    v: int, t: int, i: int, j: int, ray: tuple[float, float, float],
) -> Rgb:  # fmt: skip
    """Return the radiance of one pixel. `ray` is its unit viewing direction in the world."""
    if int(maps.material[v, t, i, j]) == SKY:
        return sky_color(ray[0], ray[1], ray[2], light)
    to_cam = (-ray[0], -ray[1], -ray[2])
    spot = read_spot(maps, looks, v, t, i, j, to_cam)
    if spot.material <= GRASS:
        look = ground(spot, light)
    elif spot.material == FOLIAGE:
        look = foliage(spot, light)
    elif spot.material < BODY:
        look = standing(spot, light)
    else:
        look = moving(spot, light)
    open_share = openness(maps, v, t, i, j, spot)
    rgb = shade(spot, look, bool(maps.sun_visible[v, t, i, j]), open_share, to_cam, lamp, light)
    haze = 1.0 - math.exp(-np.float64(maps.depth_m[v, t, i, j]) * light.haze_per_m)
    return mix(rgb, light.horizon_rgb, haze)


@compiled
def paint_frames(
    maps: Maps,
    looks: Looks,
    light: LightState,
    lamps: Float64[np.ndarray, "T 5"],
    tone_table: UInt8[np.ndarray, " S"],
    start_step: int,
    frames: UInt8[np.ndarray, "V T H W 3"],
) -> None:
    """Paint every pixel of every view and step into `frames`."""
    views, steps, height, width = maps.depth_m.shape
    gain = (TONE_STEPS - 1) / math.sqrt(TONE_MAX)
    for v in range(views):
        fx, fy, ox, oy = maps.K[v, 0, 0], maps.K[v, 1, 1], maps.K[v, 0, 2], maps.K[v, 1, 2]
        for t in range(steps):
            pose = maps.world_from_cam[v, t]
            lamp = (lamps[t, 0], lamps[t, 1], lamps[t, 2], lamps[t, 3], lamps[t, 4])
            for i in range(height):
                y = (i + 0.5 - oy) / fy
                for j in range(width):
                    x = (j + 0.5 - ox) / fx
                    length = math.sqrt(x * x + y * y + 1.0)
                    ray = (
                        (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2]) / length,
                        (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2]) / length,
                        (pose[2, 0] * x + pose[2, 1] * y + pose[2, 2]) / length,
                    )
                    rgb = paint_pixel(maps, looks, light, lamp, v, t, i, j, ray)
                    if light.wet > 0.0:
                        drop = hash_unit(j + i // 7, i // 9, (start_step + t) * 64 + v)
                        if drop > 1.0 - 0.022 * light.wet:
                            rgb = mix(rgb, light.horizon_rgb, 0.16)
                    for c in range(3):
                        level = math.sqrt(max(0.0, rgb[c])) * gain
                        frames[v, t, i, j, c] = tone_table[min(TONE_STEPS - 1, int(level + 0.5))]
