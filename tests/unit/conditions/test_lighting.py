"""Lighting follows the environment's words, and only its details vary with the seed."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.conditions.lighting import build_lighting
from scenegen.types import Environment
from scenegen.types.layout import TIMES_OF_DAY, WEATHERS

EVERY_ENVIRONMENT = [Environment(weather=w, time_of_day=t) for w in WEATHERS for t in TIMES_OF_DAY]


@pytest.mark.parametrize("environment", EVERY_ENVIRONMENT, ids=lambda e: f"{e.weather}-{e.time_of_day}")
def test_every_environment_gives_a_unit_sun_above_the_horizon_and_weights_in_range(environment: Environment) -> None:
    for seed in range(20):
        lighting = build_lighting(environment, seed=seed, scene_id="s")
        assert np.linalg.norm(lighting.sun_direction_world) == pytest.approx(1.0)
        assert lighting.sun_direction_world[2] > 0.05
        code = lighting.code()
        assert ((code >= 0.0) & (code <= 1.0)).all()


def test_same_key_gives_the_same_light_and_another_key_does_not() -> None:
    environment = Environment()
    first = build_lighting(environment, seed=1, scene_id="a")
    again = build_lighting(environment, seed=1, scene_id="a")
    assert np.array_equal(first.code(), again.code())
    assert np.array_equal(first.sun_direction_world, again.sun_direction_world)
    for other in (build_lighting(environment, seed=2, scene_id="a"), build_lighting(environment, seed=1, scene_id="b")):
        assert not np.array_equal(first.code(), other.code())


@pytest.mark.parametrize(("time_of_day", "low_deg", "high_deg"), [("day", 20.0, 65.0), ("dusk", 4.0, 12.0)])
def test_sun_height_follows_the_time_of_day(time_of_day: str, low_deg: float, high_deg: float) -> None:
    for seed in range(50):
        lighting = build_lighting(Environment(time_of_day=time_of_day), seed=seed, scene_id="s")
        assert low_deg <= np.degrees(np.arcsin(lighting.sun_direction_world[2])) <= high_deg


def test_weather_sets_its_own_weight_only() -> None:
    def light(weather: str, time_of_day: str = "day"):  # type: ignore[no-untyped-def]
        return build_lighting(Environment(weather=weather, time_of_day=time_of_day), seed=3, scene_id="s")

    assert light("rain").rain >= 0.5 and light("rain").fog == 0.0
    assert light("fog").fog >= 0.5 and light("fog").rain == 0.0
    assert light("clear").rain == light("clear").fog == light("overcast").rain == 0.0
    assert light("clear").sun > 4 * light("overcast").sun
    assert light("clear").night == 0.0 < light("clear", "dusk").night < light("clear", "night").night
