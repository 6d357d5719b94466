"""Layouts drawn at random: any seed is a whole traffic scene, the same one for ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenegen.layout.procedural_roads import RoadPlan, plan_roads
from scenegen.layout.procedural_traffic import Traffic
from scenegen.layout.road_style import MIXED_ROADS, ROAD_STYLES
from scenegen.layout.roads import assemble_road_map
from scenegen.types.layout import Environment, Layout, RoadMap
from scenegen.types.seeding import random_generator
from scenegen.types.timeline import Timeline

WEATHER_SHARES = {"clear": 0.4, "overcast": 0.25, "rain": 0.2, "fog": 0.15}
TIME_SHARES = {"day": 0.65, "dusk": 0.15, "night": 0.2}
_ROAD_WORDS = {
    "straight": "a street",
    "curve": "a bending street",
    "s_curve": "a winding street",
    "crossroads": "a crossroads with signals",
    "t_junction": "a T-junction",
    "roundabout": "a roundabout",
}
_PLACE_WORDS = {
    "dense_city": "in a dense city",
    "suburb": "in a suburb",
    "rural": "in the country",
    "highway": "of many lanes out of town",
    "industrial": "in an industrial area",
}


def build_procedural_layout(
    seed: int,
    *,
    duration_s: float = 30.0,
    rate_hz: float = 12.0,
    road_kind: str | None = None,
    style: str | None = None,
) -> Layout:
    """Draw a traffic scene: roads, ego route, vehicles, cyclists, people, parked cars, road works, weather.

    Nothing overlaps anything, traffic keeps its distance and waits at signals and for people who cross. The same
    seed gives the same layout. `road_kind` is one of `road_style.ROAD_KINDS`; drawn when None. `style` is the kind of
    place, one of `road_style.ROAD_STYLES`; None is any mixture.
    """
    name = "procedural" if style is None else f"procedural_{style}"
    rng = random_generator(seed, name, stage="layout")
    timeline = Timeline(rate_hz=rate_hz, num_steps=max(2, round(duration_s * rate_hz)))
    times_s = np.arange(timeline.num_steps) / rate_hz
    plan = plan_roads(
        rng, duration_s=duration_s, kind=road_kind, style=MIXED_ROADS if style is None else ROAD_STYLES[style]
    )
    traffic = Traffic(plan, times_s, rng)
    traffic.fill()
    road_map = assemble_road_map(plan.pieces, areas=plan.areas)
    return Layout(
        layout_id=f"{name}_{seed}",
        source="procedural",
        licence="CC0-1.0",
        timeline=timeline,
        road_map=_with_lines(road_map, plan),
        agents=tuple(traffic.tracks),
        ego=traffic.ego,
        environment=_draw_environment(rng, plan, style),
    )


def _with_lines(road_map: RoadMap, plan: RoadPlan) -> RoadMap:
    return replace(road_map, lane_lines=(*road_map.lane_lines, *plan.lines))


def _draw_environment(rng: np.random.Generator, plan: RoadPlan, style: str | None) -> Environment:
    weather = str(rng.choice(list(WEATHER_SHARES), p=list(WEATHER_SHARES.values())))
    time_of_day = str(rng.choice(list(TIME_SHARES), p=list(TIME_SHARES.values())))
    when = {"day": "by day", "dusk": "at dusk", "night": "at night"}[time_of_day]
    sky = {"clear": "under a clear sky", "overcast": "under clouds", "rain": "in the rain", "fog": "in fog"}[weather]
    where = _ROAD_WORDS[plan.kind] if style is None else f"{_ROAD_WORDS[plan.kind]} {_PLACE_WORDS[style]}"
    return Environment(weather=weather, time_of_day=time_of_day, prompt=f"{where} {when} {sky}", style=style)
