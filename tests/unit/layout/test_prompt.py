"""Text prompts: words to weather and time of day."""

from __future__ import annotations

import pytest

from scenegen.errors import LayoutError
from scenegen.layout.prompt import apply_prompt, read_prompt
from scenegen.layout.sources import read_layout
from scenegen.types import Environment


@pytest.mark.parametrize(
    ("prompt", "weather", "time_of_day"),
    [
        ("A rainy night in the suburbs", "rain", "night"),
        ("misty morning", "fog", "day"),
        ("bright, foggy morning", "fog", "day"),
        ("golden hour", "overcast", "dusk"),
        ("wet street after dark", "rain", "night"),
        ("overcast", "overcast", "night"),
    ],
)
def test_words_decide_and_the_rest_stays(prompt: str, weather: str, time_of_day: str) -> None:
    read = read_prompt(prompt, Environment(weather="overcast", time_of_day="night"))
    assert (read.weather, read.time_of_day, read.prompt) == (weather, time_of_day, prompt)


def test_contradictions_name_the_words() -> None:
    with pytest.raises(LayoutError, match=r"'sunny' \(clear\), 'foggy' \(fog\)"):
        read_prompt("a sunny foggy day", Environment())
    with pytest.raises(LayoutError, match="time of day"):
        read_prompt("noon at midnight", Environment())


def test_a_prompt_without_a_known_word_is_an_error() -> None:
    with pytest.raises(LayoutError, match="a train to nowhere"):
        read_prompt("a train to nowhere", Environment())


def test_words_inside_words_do_not_count() -> None:
    with pytest.raises(LayoutError):
        read_prompt("knights on a driveway", Environment())


def test_a_layout_takes_the_light_of_a_prompt() -> None:
    layout = apply_prompt(read_layout("crossing_pedestrian"), "a foggy evening")
    assert (layout.environment.weather, layout.environment.time_of_day) == ("fog", "dusk")
