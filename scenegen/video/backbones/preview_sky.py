"""Light and sky of the preview: numbers derived once per scene, and the colour of a direction."""

from __future__ import annotations

import math
from typing import NamedTuple

from scenegen.types import Lighting
from scenegen.video.backbones.preview_noise import Rgb, mix, noise2, scale
from scenegen.video.hashing import compiled, hash_unit
from scenegen.video.traits import trait_salt


class LightState(NamedTuple):
    """What the kernel knows about light; colours are linear radiance, directions in the world frame."""

    sun_direction: tuple[float, float, float]
    sun_rgb: Rgb
    sky_rgb: Rgb
    bounce_rgb: Rgb
    zenith_rgb: Rgb
    horizon_rgb: Rgb
    cloud_rgb: Rgb
    glow_rgb: Rgb
    cloud_cover: float
    haze_per_m: float
    wet: float
    night: float
    overcast: float
    variation: tuple[float, float, float, float]
    salt: int


def _mix(a: Rgb, b: Rgb, t: float) -> Rgb:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


def _times(a: Rgb, *factors: float) -> Rgb:
    t = math.prod(factors)
    return (a[0] * t, a[1] * t, a[2] * t)


def _plus(a: Rgb, b: Rgb) -> Rgb:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def build_light_state(lighting: Lighting, *, seed: int, scene_id: str) -> LightState:
    """Turn the appearance code into radiances. Constants were tuned by eye against street photographs."""
    night, overcast, fog, rain = lighting.night, lighting.overcast, lighting.fog, lighting.rain
    dusk = 4.0 * night * (1.0 - night) if night < 0.5 else 0.0
    x, y, z = (float(c) for c in lighting.sun_direction_world)
    warm = lighting.warmth
    sun_tint = _mix((1.0, 0.94, 0.84), (1.0, 0.66, 0.36), warm * warm)
    sun_tint = _mix(sun_tint, (0.55, 0.68, 1.0), max(0.0, 2.0 * night - 1.0))
    # A low sun lights walls, hardly the ground; lift it a little so that dusk is not merely dark.
    sun_rgb = _times(sun_tint, 2.05 * lighting.sun, 1.0 + 0.5 * dusk)

    blue = _mix((0.10, 0.26, 0.66), (0.16, 0.33, 0.62), lighting.variation[0])
    zenith = _mix(blue, (0.16, 0.18, 0.38), dusk)
    horizon = _mix((0.62, 0.75, 0.90), (1.00, 0.55, 0.30), dusk)
    grey = _mix((0.66, 0.70, 0.75), (0.40, 0.43, 0.48), rain)
    grey = _mix(grey, (0.50, 0.42, 0.42), dusk)
    zenith = _mix(zenith, _times(grey, 0.85), overcast * overcast)
    horizon = _mix(horizon, _times(grey, 1.08), overcast * overcast)
    dark = max(0.0, (night - 0.5) * 2.0)
    zenith = _mix(zenith, (0.003, 0.005, 0.013), dark)
    horizon = _mix(horizon, (0.026, 0.023, 0.028), dark)

    ambient = _mix((0.33, 0.40, 0.53), (0.64, 0.66, 0.70), overcast)
    ambient = _mix(ambient, (0.52, 0.47, 0.56), dusk)
    ambient = _mix(_times(ambient, 1.0 - 0.30 * dusk - 0.22 * rain), (0.037, 0.041, 0.060), dark)
    bounce = _times(_plus(_times(sun_rgb, max(z, 0.0)), ambient), 0.24)
    bounce = (bounce[0], bounce[1] * 0.95, bounce[2] * 0.85)
    cloud = _mix(_mix((0.98, 0.98, 1.0), (1.0, 0.62, 0.46), dusk), _times(grey, 1.25), overcast * overcast)
    cloud = _mix(cloud, (0.020, 0.020, 0.026), dark)
    return LightState(
        sun_direction=(x, y, z),
        sun_rgb=sun_rgb,
        sky_rgb=ambient,
        bounce_rgb=bounce,
        zenith_rgb=zenith,
        horizon_rgb=horizon,
        cloud_rgb=cloud,
        glow_rgb=_times(sun_tint, lighting.sun, 1.0 - 0.5 * overcast),
        cloud_cover=0.25 + 0.35 * lighting.variation[1] + 0.4 * overcast,
        haze_per_m=1.0 / 900.0 + fog * fog / 46.0 + rain / 420.0,
        wet=rain,
        night=night,
        overcast=overcast,
        variation=lighting.variation,
        salt=trait_salt(seed, scene_id),
    )


@compiled
def sky_gradient(dz: float, light: LightState) -> Rgb:
    """Cloudless sky at direction height dz; also what glossy surfaces mirror. Darkens below the horizon."""
    if dz < 0.0:
        return scale(light.horizon_rgb, max(0.35, 1.0 + 2.5 * dz))
    return mix(light.horizon_rgb, light.zenith_rgb, min(1.0, math.sqrt(dz) * 1.15))


@compiled
def sky_color(dx: float, dy: float, dz: float, light: LightState) -> Rgb:
    """Radiance of the sky seen along a unit world direction: gradient, clouds, glow, stars."""
    if dz <= 0.0:
        return light.horizon_rgb
    rgb = sky_gradient(dz, light)
    towards = dx * light.sun_direction[0] + dy * light.sun_direction[1] + dz * light.sun_direction[2]
    if towards > 0.0:
        near = towards * towards
        near *= near
        near *= near
        halo = near * near * near
        disc = min(1.0, max(0.0, (towards - 0.99955) * 5000.0)) * (1.0 - light.overcast)
        g = 0.16 * near + 0.40 * halo + 3.0 * disc
        rgb = (rgb[0] + light.glow_rgb[0] * g, rgb[1] + light.glow_rgb[1] * g, rgb[2] + light.glow_rgb[2] * g)
    # Clouds lie on a plane; the offset keeps them from shrinking without limit at the horizon.
    s = 1.7 / (dz + 0.16)
    px, py = dx * s + 31.0 * light.variation[2], dy * s + 17.0 * light.variation[3]
    n = 0.55 * noise2(px, py, light.salt) + 0.30 * noise2(px * 2.1, py * 2.1, light.salt + 1)
    n += 0.15 * noise2(px * 4.3, py * 4.3, light.salt + 2)
    edge = min(1.0, max(0.0, (n - 0.92 + light.cloud_cover) * 2.6))
    shape = edge * edge * (3.0 - 2.0 * edge) * min(1.0, dz * 7.0)
    rgb = mix(rgb, scale(light.cloud_rgb, 0.72 + 0.5 * n), 0.72 * shape)
    if light.night > 0.5:
        star = hash_unit(int(math.floor(dx * 170.0)), int(math.floor(dy * 170.0)), int(math.floor(dz * 170.0)))
        if star > 0.9978:
            glint = 0.22 * (1.0 - light.overcast) * (1.0 - shape) * min(1.0, 4.0 * dz)
            rgb = (rgb[0] + glint, rgb[1] + glint, rgb[2] + glint)
    return rgb
