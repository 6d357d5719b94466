"""The kernel of the preview: one pass over the pixels, from condition maps to sRGB bytes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8, UInt16

from scenegen.types import STATIC_INSTANCE_OFFSET, Material
from scenegen.video.backbones.preview_agent import BODY, moving
from scenegen.video.backbones.preview_building import standing
from scenegen.video.backbones.preview_noise import Rgb, inlined, mix, noise2
from scenegen.video.backbones.preview_sky import LightState, sky_color, sky_gradient
from scenegen.video.backbones.preview_surface import GRASS, Spot, Surface, foliage, ground
from scenegen.video.hashing import compiled, hash_unit

SKY = int(Material.SKY)
FOLIAGE = int(Material.FOLIAGE)
TONE_STEPS = 4096
TONE_MAX = 8.0
"""Radiance at which every channel has long been white."""
EDGE_BLEND = 0.11
"""Share of each neighbour across a border; condition maps are sampled once per pixel and would show stairs."""
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
    ray_cam: Float64[np.ndarray, "V H W 2"]
    focal_px: Float64[np.ndarray, "V H W"]


def build_tone_table() -> UInt8[np.ndarray, " S"]:
    """Tabulate filmic tone mapping and the sRGB curve over the square root of radiance.

    Source: Narkowicz 2015, "ACES filmic tone mapping curve"; IEC 61966-2-1.
    """
    x = np.linspace(0.0, 1.0, TONE_STEPS) ** 2 * TONE_MAX
    film = np.clip((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), 0.0, 1.0)
    srgb = np.where(film <= 0.0031308, 12.92 * film, 1.055 * film ** (1.0 / 2.4) - 0.055)
    return np.round(srgb * 255.0).astype(np.uint8)


@compiled
def measure_openness(
    material: UInt8[np.ndarray, "H W"],
    instance: UInt16[np.ndarray, "H W"],
    depth_m: Float32[np.ndarray, "H W"],
    point_world_m: Float32[np.ndarray, "H W 3"],
    canonical: Float32[np.ndarray, "H W 3"],
    focal_px: Float64[np.ndarray, "H W"],
    openness: Float32[np.ndarray, "H W"],
) -> None:
    """Estimate how much sky light reaches each point: less at the feet of walls, and on ground beside things."""
    height, width = depth_m.shape
    for i in range(height):
        for j in range(width):
            share = 1.0
            if material[i, j] > GRASS:
                if instance[i, j] < STATIC_INSTANCE_OFFSET:
                    share -= 0.35 * min(1.0, max(0.0, -0.1 - 1.6 * canonical[i, j, 2]))
                else:
                    share -= 0.30 * math.exp(-max(0.0, point_world_m[i, j, 2]) * 1.4)
                openness[i, j] = share
                continue
            radius = min(CONTACT_MAX_PX, CONTACT_RADIUS_M * focal_px[i, j] / depth_m[i, j])
            if radius >= 1.0:
                for sample in range(6):
                    side, reach = sample // 2 - 1, (0.5 + 0.5 * (sample % 2)) * radius
                    a = i - int(reach * (1.0 if side == 0 else 0.45) + 0.5)
                    b = j + int(math.floor(side * reach + 0.5))
                    if a < 0 or b < 0 or b >= width or material[a, b] <= GRASS:
                        continue
                    gap = abs(depth_m[a, b] - depth_m[i, j])
                    share -= 0.13 * max(0.0, 1.0 - gap / 1.6)
            openness[i, j] = max(0.3, share)


@inlined
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
    beam *= 2.1 / (1.0 + (level / 16.0) ** 2) * min(1.0, level / 6.0)
    glow = 0.16 / (1.0 + (level / 16.0) ** 2)
    pool = noise2(spot.x * 0.062, spot.y * 0.062, light.salt + 91)
    street = (0.045 + 0.75 * max(0.0, pool - 0.35) ** 2) * math.exp(-max(0.0, spot.z - 2.0) * 0.16)
    street *= 0.55 + 0.45 * max(0.0, normal[2]) + 0.2 * abs(normal[0])
    white = strength * (beam + glow)
    warm = strength * street * 1.6
    return white + warm, 0.96 * white + 0.78 * warm, 0.88 * white + 0.50 * warm


@inlined
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
        if spot.material <= GRASS:
            dim *= 0.62
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


@inlined
def light_pixel(
    spot: Spot, sun_visible: bool, open_share: float, depth_m: float, ray: tuple[float, float, float],
    lamp: tuple[float, float, float, float, float], light: LightState,
) -> Rgb:  # fmt: skip
    """Return the radiance of a surface point seen along the unit direction `ray`."""
    if spot.material <= GRASS:
        look = ground(spot, light)
    elif spot.material == FOLIAGE:
        look = foliage(spot, light)
    elif spot.material < BODY:
        look = standing(spot, light)
    else:
        look = moving(spot, light)
    rgb = shade(spot, look, sun_visible, open_share, (-ray[0], -ray[1], -ray[2]), lamp, light)
    haze = 1.0 - math.exp(-depth_m * light.haze_per_m)
    return mix(rgb, light.horizon_rgb, haze)


@compiled
def find_row(instance: int, num_agents: int) -> int:
    """Return the row of `Looks` for an instance id of an image; 0 is the ground, the first static."""
    if instance >= STATIC_INSTANCE_OFFSET:
        return num_agents + instance - STATIC_INSTANCE_OFFSET
    return instance - 1 if instance > 0 else num_agents


@compiled
def paint_view(
    semantic: UInt8[np.ndarray, "H W"],
    material: UInt8[np.ndarray, "H W"],
    instance: UInt16[np.ndarray, "H W"],
    depth_m: Float32[np.ndarray, "H W"],
    normal: Float32[np.ndarray, "H W 3"],
    canonical: Float32[np.ndarray, "H W 3"],
    point: Float32[np.ndarray, "H W 3"],
    sun_visible: Bool[np.ndarray, "H W"],
    openness: Float32[np.ndarray, "H W"],
    pose: Float64[np.ndarray, "4 4"],
    ray_cam: Float64[np.ndarray, "H W 2"],
    focal_px: Float64[np.ndarray, "H W"],
    table: Float64[np.ndarray, "N 15"],
    num_agents: int,
    lamp: tuple[float, float, float, float, float],
    light: LightState,
    radiance: Float32[np.ndarray, "H W 3"],
) -> None:
    """Fill `radiance`. Arrays are only ever indexed here: passing one on would count references per pixel."""
    height, width = depth_m.shape
    for i in range(height):
        for j in range(width):
            x, y = ray_cam[i, j, 0], ray_cam[i, j, 1]
            if math.isnan(x):
                radiance[i, j, 0], radiance[i, j, 1], radiance[i, j, 2] = 0.0, 0.0, 0.0
                continue
            length = math.sqrt(x * x + y * y + 1.0)
            rx = (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2]) / length
            ry = (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2]) / length
            rz = (pose[2, 0] * x + pose[2, 1] * y + pose[2, 2]) / length
            if material[i, j] == SKY:
                rgb = sky_color(rx, ry, rz, light)
                radiance[i, j, 0], radiance[i, j, 1], radiance[i, j, 2] = rgb
                continue
            nx, ny, nz = np.float64(normal[i, j, 0]), np.float64(normal[i, j, 1]), np.float64(normal[i, j, 2])
            pixel = np.float64(depth_m[i, j]) / focal_px[i, j]
            level = nx * rx + ny * ry
            turned = abs(level) / (math.sqrt((rx * rx + ry * ry) * (nx * nx + ny * ny)) + 1e-6)
            row = find_row(int(instance[i, j]), num_agents)
            spot = Spot(
                int(material[i, j]), int(semantic[i, j]), int(instance[i, j]),
                np.float64(point[i, j, 0]), np.float64(point[i, j, 1]), np.float64(point[i, j, 2]),
                (np.float64(canonical[i, j, 0]), np.float64(canonical[i, j, 1]), np.float64(canonical[i, j, 2])),
                (nx, ny, nz),
                pixel, pixel / max(abs(level + nz * rz), 0.08), pixel / max(turned, 0.08),
                (table[row, 0], table[row, 1], table[row, 2]),
                (table[row, 3], table[row, 4], table[row, 5]),
                (table[row, 6], table[row, 7], table[row, 8], table[row, 9]),
                (table[row, 10], table[row, 11], table[row, 12]),
                (table[row, 13], table[row, 14]),
            )  # fmt: skip
            rgb = light_pixel(
                spot, sun_visible[i, j], openness[i, j], depth_m[i, j], (rx, ry, rz), lamp, light
            )  # fmt: skip
            radiance[i, j, 0], radiance[i, j, 1], radiance[i, j, 2] = rgb


@compiled
def develop(
    radiance: Float32[np.ndarray, "H W 3"],
    material: UInt8[np.ndarray, "H W"],
    instance: UInt16[np.ndarray, "H W"],
    ray_cam: Float64[np.ndarray, "H W 2"],
    light: LightState,
    tone_table: UInt8[np.ndarray, " S"],
    salt: int,
    frame: UInt8[np.ndarray, "H W 3"],
) -> None:
    """Soften borders of things, let rain fall before the lens, then map radiance to sRGB bytes.

    `salt` differs by step and view.
    """
    height, width = radiance.shape[:2]
    gain = (TONE_STEPS - 1) / math.sqrt(TONE_MAX)
    for i in range(height):
        for j in range(width):
            r, g, b = np.float64(radiance[i, j, 0]), np.float64(radiance[i, j, 1]), np.float64(radiance[i, j, 2])
            for side in range(4):
                p, q = i + (side == 0) - (side == 1), j + (side == 2) - (side == 3)
                if p < 0 or q < 0 or p >= height or q >= width or math.isnan(ray_cam[p, q, 0]):
                    continue
                if material[p, q] != material[i, j] or instance[p, q] != instance[i, j]:
                    r += EDGE_BLEND * (radiance[p, q, 0] - radiance[i, j, 0])
                    g += EDGE_BLEND * (radiance[p, q, 1] - radiance[i, j, 1])
                    b += EDGE_BLEND * (radiance[p, q, 2] - radiance[i, j, 2])
            rgb = (r, g, b)
            if light.wet > 0.0 and hash_unit(j, i // 6, salt) > 1.0 - 0.016 * light.wet:
                rgb = mix(rgb, light.horizon_rgb, 0.10)
            for c in range(3):
                level = math.sqrt(max(0.0, rgb[c])) * gain
                frame[i, j, c] = tone_table[min(TONE_STEPS - 1, int(level + 0.5))]


@compiled
def paint_frames(
    maps: Maps,
    table: Float64[np.ndarray, "N 15"],
    num_agents: int,
    light: LightState,
    lamps: Float64[np.ndarray, "T 5"],
    tone_table: UInt8[np.ndarray, " S"],
    start_step: int,
    frames: UInt8[np.ndarray, "V T H W 3"],
) -> None:
    """Paint every view and step into `frames`."""
    views, steps, height, width = maps.depth_m.shape
    openness = np.empty((height, width), np.float32)
    radiance = np.empty((height, width, 3), np.float32)
    for v in range(views):
        for t in range(steps):
            lamp = (lamps[t, 0], lamps[t, 1], lamps[t, 2], lamps[t, 3], lamps[t, 4])
            material, instance, depth_m = maps.material[v, t], maps.instance[v, t], maps.depth_m[v, t]
            point, canonical = maps.point_world_m[v, t], maps.canonical[v, t]
            measure_openness(material, instance, depth_m, point, canonical, maps.focal_px[v], openness)
            paint_view(
                maps.semantic[v, t], material, instance, depth_m, maps.normal_world[v, t], canonical, point,
                maps.sun_visible[v, t], openness, maps.world_from_cam[v, t], maps.ray_cam[v], maps.focal_px[v],
                table, num_agents, lamp, light, radiance,
            )  # fmt: skip
            salt = (start_step + t) * 64 + v
            develop(radiance, material, instance, maps.ray_cam[v], light, tone_table, salt, frames[v, t])
