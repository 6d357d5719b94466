"""Layouts drawn at random: any seed is a whole traffic scene, the same one for ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenegen.errors import LayoutError
from scenegen.layout.long_tail import seen_steps, stage_event
from scenegen.layout.procedural_roads import RoadPlan, plan_roads
from scenegen.layout.procedural_traffic import Traffic
from scenegen.layout.ring import RingTraffic, plan_ring
from scenegen.layout.road_style import MIXED_ROADS, ROAD_STYLES
from scenegen.layout.roads import assemble_road_map
from scenegen.layout.traffic_mix import DRAWN_MIX, TrafficMix
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
    "ring": "a street that leads round a block",
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
    event: str | None = None,
    mix: TrafficMix = DRAWN_MIX,
) -> Layout:
    """Draw a traffic scene: roads, ego route, vehicles, cyclists, people, parked cars, road works, weather.

    Nothing overlaps anything, traffic keeps its distance and waits at signals and for people who cross. The same
    seed gives the same layout. `road_kind` is one of `road_style.ROAD_KINDS`; drawn when None. `style` is the kind of
    place, one of `road_style.ROAD_STYLES`; None is any mixture. `event` is one of `long_tail.EVENTS`, which happens in
    front of the ego, in a place of its own choice where no style is given. `mix` says how much traffic, and of what.

    Raises:
        LayoutError: no road was found on which the event fits into the duration.
    """
    if event is not None:
        return _build_event_layout(seed, event, duration_s=duration_s, rate_hz=rate_hz, style=style, mix=mix)
    name = "procedural" if style is None else f"procedural_{style}"
    rng = random_generator(seed, name, stage="layout")
    timeline = Timeline(rate_hz=rate_hz, num_steps=max(2, round(duration_s * rate_hz)))
    times_s = np.arange(timeline.num_steps) / rate_hz
    plan = plan_roads(
        rng, duration_s=duration_s, kind=road_kind, style=MIXED_ROADS if style is None else ROAD_STYLES[style]
    )
    traffic = Traffic(plan, times_s, rng, mix=mix)
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


def _build_event_layout(
    seed: int, kind: str, *, duration_s: float, rate_hz: float, style: str | None, mix: TrafficMix
) -> Layout:
    """Stage an event on the first drawn road that has room for it, with traffic around."""
    name = f"procedural_{kind}" if style is None else f"procedural_{style}_{kind}"
    timeline = Timeline(rate_hz=rate_hz, num_steps=max(2, round(duration_s * rate_hz)))
    times_s = np.arange(timeline.num_steps) / rate_hz
    staged = stage_event(kind, seed, name, duration_s=duration_s, times_s=times_s, style=style)
    for attempt, (event, chosen) in enumerate(staged):
        rng = random_generator(seed, name, stage="traffic", chunk=attempt)
        traffic = Traffic(event.plan, times_s, rng, ego_travel=event.travel, mix=mix)
        if not traffic.stage(event.tracks) or seen_steps(traffic.ego, event.tracks[0]).sum() < rate_hz:
            continue
        traffic.fill()
        environment = _draw_environment(rng, event.plan, chosen)
        return Layout(
            layout_id=f"{name}_{seed}",
            source="procedural",
            licence="CC0-1.0",
            timeline=timeline,
            road_map=_with_lines(assemble_road_map(event.plan.pieces, areas=event.plan.areas), event.plan),
            agents=tuple(traffic.tracks),
            ego=traffic.ego,
            environment=replace(environment, prompt=f"{environment.prompt}, {event.words}"),
        )
    raise LayoutError(
        f"room for {kind} within {duration_s:g} s",
        found="none on any road that was drawn",
        where=f"{name}_{seed}",
        fix="draw it for longer: procedural:EVENT/60s/SEED" if duration_s < 20.0 else "take another seed",
    )


def build_ring_layout(
    seed: int,
    *,
    duration_s: float = 30.0,
    rate_hz: float = 12.0,
    style: str | None = None,
    mix: TrafficMix = DRAWN_MIX,
) -> Layout:
    """Draw a closed street on which everybody is back after `duration_s`, a lap (`layout.ring`).

    Raises:
        LayoutError: the lap is too short.
    """
    name = "procedural_ring" if style is None else f"procedural_ring_{style}"
    rng = random_generator(seed, name, stage="layout")
    timeline = Timeline(rate_hz=rate_hz, num_steps=round(duration_s * rate_hz))
    plan = plan_ring(rng, lap_s=timeline.num_steps / rate_hz, style=style)
    traffic = RingTraffic(plan, np.arange(timeline.num_steps) / rate_hz, rng, mix=mix)
    traffic.fill()
    return Layout(
        layout_id=f"{name}_{seed}",
        source="procedural",
        licence="CC0-1.0",
        timeline=timeline,
        road_map=assemble_road_map(plan.pieces, areas=plan.areas),
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
