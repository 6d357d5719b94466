"""Light and weather in numbers: from the words of a layout's environment to the appearance code."""

from __future__ import annotations

import math

import numpy as np

from scenegen.types import Environment, Lighting, random_generator

ELEVATION_DEG = {"day": (20.0, 65.0), "dusk": (4.0, 12.0), "night": (25.0, 60.0)}
"""Height of the sun above the horizon (of the moon at night), lowest and highest."""
DIRECT_LIGHT = {"clear": (0.85, 1.0), "overcast": (0.04, 0.14), "rain": (0.0, 0.06), "fog": (0.03, 0.12)}
"""Share of the unclouded sun that reaches the ground."""
CLOUD_COVER = {"clear": (0.0, 0.35), "overcast": (0.8, 1.0), "rain": (0.9, 1.0), "fog": (0.7, 0.95)}
DIRECT_OF_TIME = {"day": 1.0, "dusk": 0.75, "night": 0.12}
NIGHT_OF_TIME = {"day": (0.0, 0.0), "dusk": (0.18, 0.35), "night": (0.9, 1.0)}
WARMTH_OF_TIME = {"day": (0.1, 0.45), "dusk": (0.75, 1.0), "night": (0.3, 0.7)}


def build_lighting(environment: Environment, *, seed: int, scene_id: str) -> Lighting:
    """Draw the light of a scene: the environment fixes the kind, the seed varies it.

    Rain and fog are zero unless the weather asks for them; otherwise between 0.5 and 1.

    >>> build_lighting(Environment(weather="fog"), seed=1, scene_id="s").rain
    0.0
    """
    rng = random_generator(seed, scene_id, stage="lighting")
    weather, time_of_day = environment.weather, environment.time_of_day
    azimuth_rad = float(rng.uniform(0.0, 2.0 * math.pi))
    elevation_rad = math.radians(float(rng.uniform(*ELEVATION_DEG[time_of_day])))
    direct = float(rng.uniform(*DIRECT_LIGHT[weather])) * DIRECT_OF_TIME[time_of_day]
    strength = float(rng.uniform(0.5, 1.0))
    overcast = float(rng.uniform(*CLOUD_COVER[weather]))
    night = float(rng.uniform(*NIGHT_OF_TIME[time_of_day]))
    warmth = float(rng.uniform(*WARMTH_OF_TIME[time_of_day]))
    variation = rng.random(4)
    return Lighting(
        sun_direction_world=np.array(
            [
                math.cos(elevation_rad) * math.cos(azimuth_rad),
                math.cos(elevation_rad) * math.sin(azimuth_rad),
                math.sin(elevation_rad),
            ]
        ),
        sun=direct,
        overcast=overcast,
        fog=strength if weather == "fog" else 0.0,
        rain=strength if weather == "rain" else 0.0,
        night=night,
        warmth=warmth,
        variation=(float(variation[0]), float(variation[1]), float(variation[2]), float(variation[3])),
    )
