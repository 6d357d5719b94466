"""Somebody steps or runs onto the road: a jaywalker from behind a bus, a stroller on a crossing, an animal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from scenegen.layout.long_tail.event import Event, Site
from scenegen.layout.motion import Stop, Travel, standing_track, track_along
from scenegen.layout.paths import Path
from scenegen.layout.procedural_draws import draw_size
from scenegen.layout.procedural_roads import LINE_BEFORE_CROSSING_M, Crosswalk
from scenegen.layout.roads import crossing_area, stop_lines
from scenegen.types.layout import AgentTrack
from scenegen.types.taxonomy import AgentCategory

ANIMALS: dict[str, tuple[tuple[float, float, float], tuple[float, float]]] = {
    "deer": ((1.6, 0.5, 1.35), (3.0, 6.5)),
    "dog": ((0.95, 0.32, 0.65), (2.0, 5.0)),
    "cat": ((0.5, 0.2, 0.3), (2.0, 4.5)),
    "boar": ((1.4, 0.5, 0.85), (2.5, 5.5)),
}
"""Size, and range of speeds."""
OWN_SIDE_M = 2.0
"""The ego waits until a crosser is this far beyond the middle of its lane."""


def jaywalker(site: Site) -> Event | None:
    """Let somebody cross in front of a standing bus that hides them until late."""
    rng, section = site.rng, site.section
    place_m = site.draw_place(8.0, 18.0)
    if place_m is None or section.parking_right_m == 0.0 or section.sidewalk_m == 0.0:
        return None
    bus_lwh_m = (float(rng.uniform(10.5, 12.5)), 2.45, float(rng.uniform(3.0, 3.3)))
    road_m = site.on_road(place_m)
    bus_left_m = section.kerb_right_m + 0.08 + 0.5 * bus_lwh_m[1]
    bus_road_m = road_m - float(rng.uniform(0.9, 1.8)) - 0.5 * bus_lwh_m[0]
    bus = standing_track(
        site.at(bus_road_m, bus_left_m).tolist(),
        site.heading_rad(bus_road_m),
        num_steps=len(site.times_s),
        agent_id="hiding_bus",
        category=AgentCategory.BUS,
        size_lwh_m=bus_lwh_m,
        attribute="vehicle.stopped",
    )
    speed_mps = float(rng.uniform(1.3, 2.4))
    begin_m = section.kerb_right_m - float(rng.uniform(0.4, 0.9))
    end_m = section.kerb_left_m + 0.9
    hidden_m = bus_left_m + 0.5 * bus_lwh_m[1] - begin_m
    line_m = place_m - 2.2
    brakes_s = site.brake_time(line_m, float(rng.uniform(2.6, 3.8)))
    starts_s = brakes_s - hidden_m / speed_mps
    if starts_s < 1.0:
        return None
    path = site.across(road_m, begin_m, end_m, onward_m=float(rng.choice([-1.0, 1.0])) * 40.0)
    person = _crosser(site, path, starts_s, speed_mps, "jaywalker", draw_size(rng, AgentCategory.PEDESTRIAN))
    clear_s = starts_s + (site.lane_left_m + OWN_SIDE_M - begin_m) / speed_mps
    across_s = starts_s + (end_m - begin_m) / speed_mps
    return site.event(
        "somebody steps out from behind a bus",
        (person, bus),
        stops=(Stop(at_m=line_m, from_s=brakes_s, to_s=clear_s),),
        others=site.hold_others(road_m, from_s=brakes_s - 2.0, to_s=across_s),
    )


def stroller(site: Site) -> Event | None:
    """Let somebody push a stroller over a crossing, slowly."""
    rng, section = site.rng, site.section
    place_m = site.draw_place(8.0, 17.0)
    if place_m is None or section.sidewalk_m == 0.0:
        return None
    road_m = site.on_road(place_m)
    side = float(rng.choice([-1.0, 1.0]))
    begin_m, end_m = (section.kerb_left_m + 1.6, section.kerb_right_m - 1.0)
    if side < 0.0:
        begin_m, end_m = section.kerb_right_m - 1.6, section.kerb_left_m + 1.0
    speed_mps = float(rng.uniform(0.8, 1.3))
    line_m = place_m - LINE_BEFORE_CROSSING_M - 0.4
    brakes_s = site.brake_time(line_m, float(rng.uniform(1.6, 2.6)))
    starts_s = brakes_s - 0.5
    if starts_s < 1.0:
        return None
    path = site.across(road_m, begin_m, end_m, onward_m=float(rng.choice([-1.0, 1.0])) * 30.0)
    pram_lwh_m = (float(rng.uniform(0.85, 1.0)), 0.6, float(rng.uniform(0.95, 1.1)))
    person_lwh_m = draw_size(rng, AgentCategory.PEDESTRIAN)
    ahead_m = 0.5 * (pram_lwh_m[0] + person_lwh_m[0]) + 0.15
    pram = _crosser(
        site, path, starts_s, speed_mps, "stroller", pram_lwh_m, ahead_m=ahead_m, category=AgentCategory.OTHER
    )
    person = _crosser(site, path, starts_s, speed_mps, "pushing_person", person_lwh_m)
    across_s = starts_s + (abs(end_m - begin_m) + 0.5) / speed_mps
    event = site.event(
        "somebody pushes a stroller over a crossing",
        (replace(pram, attribute="", source_category="stroller"), person),
        stops=(Stop(at_m=line_m, from_s=brakes_s, to_s=across_s),),
        others=site.hold_others(road_m, from_s=brakes_s - 1.0, to_s=across_s, clear_m=LINE_BEFORE_CROSSING_M + 0.4),
        crosswalks=(Crosswalk(frame=site.frame, at_m=road_m, window_s=None),),
    )
    plan = replace(
        event.plan,
        lines=(*event.plan.lines, *stop_lines(site.frame, road_m, clear_m=LINE_BEFORE_CROSSING_M)),
        areas=(*event.plan.areas, crossing_area(site.frame, road_m)),
    )
    return replace(event, plan=plan)


def animal(site: Site) -> Event | None:
    """Let an animal run across the road."""
    rng, section = site.rng, site.section
    place_m = site.draw_place(7.0, 19.0)
    if place_m is None:
        return None
    kind = str(rng.choice(list(ANIMALS)))
    size_lwh_m, speeds_mps = ANIMALS[kind]
    speed_mps = float(rng.uniform(*speeds_mps))
    side = float(rng.choice([-1.0, 1.0]))
    beyond_m = section.sidewalk_m + float(rng.uniform(3.0, 9.0))
    begin_m, end_m = section.kerb_left_m + beyond_m, section.kerb_right_m - beyond_m
    if side < 0.0:
        begin_m, end_m = end_m, begin_m
    road_m = site.on_road(place_m)
    line_m = place_m - 3.0
    brakes_s = site.brake_time(line_m, float(rng.uniform(2.6, 3.8)))
    entry_m = beyond_m + max(section.parking_left_m, section.parking_right_m)
    starts_s = brakes_s + 0.3 - entry_m / speed_mps
    if starts_s < 0.5:
        return None
    path = site.across(road_m, begin_m, end_m)
    runner = _crosser(site, path, starts_s, speed_mps, "animal", size_lwh_m, category=AgentCategory.ANIMAL)
    runner = replace(runner, source_category=kind, attribute="")
    past_m = abs(site.lane_left_m - begin_m) + OWN_SIDE_M
    return site.event(
        f"a {kind} runs across the road",
        (runner,),
        stops=(Stop(at_m=line_m, from_s=brakes_s, to_s=starts_s + past_m / speed_mps),),
        others=site.hold_others(
            road_m, from_s=brakes_s - 1.5, to_s=starts_s + abs(end_m - begin_m) / speed_mps, clear_m=4.0
        ),
    )


def _crosser(
    site: Site,
    path: Path,
    starts_s: float,
    speed_mps: float,
    agent_id: str,
    size_lwh_m: tuple[float, float, float] | Float64[np.ndarray, "3"],
    *,
    ahead_m: float = 0.0,
    category: AgentCategory = AgentCategory.PEDESTRIAN,
) -> AgentTrack:
    """Return somebody who stands at the start of a path until a time, and then goes along it."""
    s_m = ahead_m + speed_mps * np.clip(site.times_s - starts_s, 0.0, None)
    s_m = np.minimum(s_m, path.length_m - 1.2 + ahead_m)
    return track_along(
        path,
        Travel(s_m, np.gradient(s_m, site.times_s)),
        agent_id=agent_id,
        category=category,
        size_lwh_m=size_lwh_m,
    )
