"""Words to weather and light: what a text prompt says of a scene's appearance.

A word list, not a learned encoder: what a prompt does can be read here, and a prompt that says two things at once or
nothing at all is told so. The words decide `weather` and `time_of_day`; everything painted and labelled follows from
these two. A prompt that a layout only carries along (as imported logs do) changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace

from scenegen.errors import LayoutError
from scenegen.types import Environment, Layout

WEATHER_WORDS = {
    "clear": ("clear", "sunny", "sunshine", "sunlit", "bright", "cloudless", "fair", "fine", "blue sky", "dry"),
    "overcast": ("overcast", "cloudy", "clouds", "clouded", "grey", "gray", "dull", "gloomy", "leaden"),
    "rain": (
        "rain",
        "rainy",
        "raining",
        "drizzle",
        "drizzly",
        "shower",
        "showers",
        "downpour",
        "wet",
        "storm",
        "stormy",
    ),
    "fog": ("fog", "foggy", "mist", "misty", "haze", "hazy", "smog", "murky"),
}
TIME_WORDS = {
    "day": ("day", "daytime", "daylight", "noon", "midday", "morning", "afternoon"),
    "dusk": ("dusk", "twilight", "sunset", "sundown", "dawn", "sunrise", "evening", "golden hour"),
    "night": ("night", "nighttime", "midnight", "nocturnal", "after dark", "moonlit", "moonlight"),
}
WEAK = {"clear", "bright", "fair", "fine", "dry", "clouds", "wet"}
"""Words that give way to a stronger one: `a bright foggy morning` is foggy, `a wet street in the fog` too."""


def apply_prompt(layout: Layout, prompt: str) -> Layout:
    """Return the layout in the weather and light of `prompt`; what it does not speak of stays.

    Raises:
        LayoutError: the prompt names no weather and no time of day, or two that exclude each other.
    """
    return replace(layout, environment=read_prompt(prompt, layout.environment))


def read_prompt(prompt: str, environment: Environment) -> Environment:
    """Return `environment` changed to what the words say.

    >>> read_prompt("a foggy street after dark", Environment()).time_of_day
    'night'
    """
    weather = _only_one(prompt, WEATHER_WORDS, kind="weather")
    time_of_day = _only_one(prompt, TIME_WORDS, kind="time of day")
    if weather is None and time_of_day is None:
        known = sorted({word for words in (*WEATHER_WORDS.values(), *TIME_WORDS.values()) for word in words})
        raise LayoutError(
            "a prompt with a word for the weather or the time of day",
            found=repr(prompt),
            where="prompt",
            fix=f"known words: {', '.join(known)}",
        )
    return replace(
        environment,
        weather=weather or environment.weather,
        time_of_day=time_of_day or environment.time_of_day,
        prompt=prompt,
    )


def _only_one(prompt: str, table: dict[str, tuple[str, ...]], *, kind: str) -> str | None:
    """Return the one meaning that the prompt's words have, or None where it has no such word."""
    text = f" {' '.join(re.findall(r'[a-z]+', prompt.lower()))} "
    found = {word: meaning for meaning, words in table.items() for word in words if f" {word} " in text}
    strong = {word: meaning for word, meaning in found.items() if word not in WEAK}
    meanings = set((strong or found).values())
    if len(meanings) > 1:
        raise LayoutError(
            f"one {kind} in a prompt",
            found=", ".join(f"{word!r} ({meaning})" for word, meaning in (strong or found).items()),
            where=f"prompt {prompt!r}",
            fix="keep one of the words",
        )
    return next(iter(meanings), None)
