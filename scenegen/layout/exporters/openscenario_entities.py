"""Entities and weather in the words of OpenSCENARIO 1.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from scenegen.layout.importers.openscenario.entities import CATEGORY_PROPERTY, EGO_NAMES
from scenegen.types.layout import AgentTrack, Environment
from scenegen.types.taxonomy import AgentCategory

REAR_AXLE_SHARE = 0.3
"""Of the length, from the middle of the box back to the rear axle; the front axle is as far ahead."""


class _Word(NamedTuple):
    """Element and category of an entity; a category with no word of its own takes the nearest."""

    tag: str
    kind: str


WORDS: dict[AgentCategory, _Word] = {
    AgentCategory.CAR: _Word("Vehicle", "car"),
    AgentCategory.TRUCK: _Word("Vehicle", "truck"),
    AgentCategory.BUS: _Word("Vehicle", "bus"),
    AgentCategory.TRAILER: _Word("Vehicle", "trailer"),
    AgentCategory.CONSTRUCTION_VEHICLE: _Word("Vehicle", "truck"),
    AgentCategory.MOTORCYCLE: _Word("Vehicle", "motorbike"),
    AgentCategory.BICYCLE: _Word("Vehicle", "bicycle"),
    AgentCategory.PEDESTRIAN: _Word("Pedestrian", "pedestrian"),
    AgentCategory.ANIMAL: _Word("Pedestrian", "animal"),
    AgentCategory.TRAFFIC_CONE: _Word("MiscObject", "obstacle"),
    AgentCategory.BARRIER: _Word("MiscObject", "barrier"),
    AgentCategory.OTHER: _Word("MiscObject", "none"),
}
CLOUDS = {"clear": "free", "overcast": "overcast", "rain": "rainy", "fog": "cloudy"}
VISUAL_RANGE_M = {"clear": 100_000.0, "overcast": 50_000.0, "rain": 5_000.0, "fog": 80.0}
RAIN_MMPH = 4.0
HOUR = {"day": 12, "dusk": 20, "night": 1}
SUN_ELEVATION_RAD = {"day": 0.9, "dusk": 0.03, "night": -0.6}
SUN_LUX = {"day": 50_000.0, "dusk": 400.0, "night": 1.0}


def entity_names(agents: Sequence[AgentTrack]) -> list[str]:
    """Return names of the ego and all agents: their ids, but that `$` would begin a parameter."""
    names = [agent.agent_id.replace("$", "_") for agent in agents]
    taken = {name.lower() for name in names}
    ego = next(name for name in ("Ego", *EGO_NAMES, "Ego_of_scenegen") if name.lower() not in taken)
    return [ego, *names]


def add_entity(entities: ElementTree.Element, name: str, track: AgentTrack, *, axle_m: float) -> None:
    """Add a scenario object whose reference point is `axle_m` behind the middle of its box, on the ground."""
    holder = ElementTree.SubElement(entities, "ScenarioObject", name=name)
    word = WORDS[track.category]
    kind = track.category.label
    if word.tag == "Vehicle":
        body = ElementTree.SubElement(holder, "Vehicle", name=kind, vehicleCategory=word.kind)
    elif word.tag == "Pedestrian":
        body = ElementTree.SubElement(
            holder, "Pedestrian", name=kind, pedestrianCategory=word.kind, mass="75", model=kind
        )
    else:
        body = ElementTree.SubElement(holder, "MiscObject", name=kind, miscObjectCategory=word.kind, mass="10")
    ElementTree.SubElement(body, "ParameterDeclarations")
    _add_box(body, track, axle_m)
    if word.tag == "Vehicle":
        _add_chassis(body, track, axle_m)
    properties = ElementTree.SubElement(body, "Properties")
    ElementTree.SubElement(properties, "Property", name=CATEGORY_PROPERTY, value=kind)
    if track.color_rgb is not None:
        ElementTree.SubElement(
            properties, "Property", name="color", value="#{:02x}{:02x}{:02x}".format(*track.color_rgb)
        )


def _add_box(body: ElementTree.Element, track: AgentTrack, axle_m: float) -> None:
    box = ElementTree.SubElement(body, "BoundingBox")
    up_m = float(track.center_world_m[int(np.argmax(track.valid)), 2])
    ElementTree.SubElement(box, "Center", x=_number(axle_m), y="0", z=_number(up_m))
    length_m, width_m, height_m = track.size_lwh_m
    ElementTree.SubElement(
        box, "Dimensions", length=_number(length_m), width=_number(width_m), height=_number(height_m)
    )


def _add_chassis(body: ElementTree.Element, track: AgentTrack, axle_m: float) -> None:
    ElementTree.SubElement(body, "Performance", maxSpeed="70", maxAcceleration="10", maxDeceleration="10")
    axles = ElementTree.SubElement(body, "Axles")
    length_m, width_m, height_m = (float(value) for value in track.size_lwh_m)
    wheel_m = min(0.65, 0.6 * height_m)
    front_m = axle_m + REAR_AXLE_SHARE * length_m
    for tag, at_m, steering in (("FrontAxle", front_m, "0.5"), ("RearAxle", 0.0, "0")):
        ElementTree.SubElement(
            axles, tag, maxSteering=steering, wheelDiameter=_number(wheel_m), trackWidth=_number(0.85 * width_m),
            positionX=_number(at_m), positionZ=_number(0.5 * wheel_m),
        )  # fmt: skip


def add_environment(actions: ElementTree.Element, environment: Environment) -> None:
    """Add weather and time of day as an initial action."""
    action = ElementTree.SubElement(ElementTree.SubElement(actions, "GlobalAction"), "EnvironmentAction")
    place = ElementTree.SubElement(action, "Environment", name="environment")
    ElementTree.SubElement(place, "ParameterDeclarations")
    time, weather = environment.time_of_day, environment.weather
    ElementTree.SubElement(place, "TimeOfDay", animation="false", dateTime=f"2000-06-21T{HOUR[time]:02d}:00:00")
    sky = ElementTree.SubElement(place, "Weather", cloudState=CLOUDS[weather])
    ElementTree.SubElement(
        sky, "Sun", azimuth="2.5", elevation=_number(SUN_ELEVATION_RAD[time]), intensity=_number(SUN_LUX[time])
    )
    ElementTree.SubElement(sky, "Fog", visualRange=_number(VISUAL_RANGE_M[weather]))
    is_wet = weather == "rain"
    ElementTree.SubElement(
        sky, "Precipitation", precipitationType="rain" if is_wet else "dry",
        precipitationIntensity=_number(RAIN_MMPH if is_wet else 0.0),
    )  # fmt: skip
    ElementTree.SubElement(place, "RoadCondition", frictionScaleFactor="0.7" if is_wet else "1")


def _number(value: float) -> str:
    return repr(round(float(value), 6))
