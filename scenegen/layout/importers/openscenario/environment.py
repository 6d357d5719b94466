"""Weather and time of day of a scenario, as far as the words of a layout go."""

from __future__ import annotations

from scenegen.layout.importers.xml_file import XmlElement
from scenegen.types.layout import Environment

FOG_BELOW_M = 500.0
"""A visual range below this is fog: the meteorological limit is 1 km, that of a scene's buildings less."""
CLOUDED = ("cloudy", "overcast", "rainy")
DUSK_HOURS = (5, 6, 19, 20, 21)
NIGHT_HOURS = (22, 23, 0, 1, 2, 3, 4)


def read_environment(root: XmlElement) -> Environment:
    """Read the `<Environment>` of the initial actions; without one it is a clear day.

    Rain and fog come before clouds. A hour of 5, 6 or 19 to 21 is dusk, one of 22 to 4 is night.

    Raises:
        LayoutError: a number that is none.
    """
    place = environment_of(root)
    if place is None:
        return Environment()
    return Environment(weather=_weather(place.first("Weather")), time_of_day=_time(place.first("TimeOfDay")))


def environment_of(root: XmlElement) -> XmlElement | None:
    """Return the environment that the initial actions describe, or None."""
    init = root.one("Storyboard").one("Init").one("Actions")
    for action in init.all("GlobalAction"):
        holder = action.first("EnvironmentAction")
        if holder is not None and holder.first("Environment") is not None:
            return holder.one("Environment")
    return None


def _weather(sky: XmlElement | None) -> str:
    if sky is None:
        return "clear"
    rain, fog = sky.first("Precipitation"), sky.first("Fog")
    if rain is not None and rain.word("precipitationType", "dry") == "rain":
        wet = rain.number("precipitationIntensity" if rain.has("precipitationIntensity") else "intensity", 0.0)
        if wet > 0.0:
            return "rain"
    if fog is not None and fog.number("visualRange", 1e5) < FOG_BELOW_M:
        return "fog"
    return "overcast" if sky.word("cloudState", "free") in CLOUDED else "clear"


def _time(element: XmlElement | None) -> str:
    """Return the time of day of `2000-06-21T20:00:00`."""
    if element is None:
        return "day"
    text = element.word("dateTime", "")
    _, _, clock = text.partition("T")
    if not clock[:2].isdecimal() or int(clock[:2]) > 23:
        element.fail("a dateTime like 2000-06-21T20:00:00", repr(text))
    hour = int(clock[:2])
    return "night" if hour in NIGHT_HOURS else "dusk" if hour in DUSK_HOURS else "day"
