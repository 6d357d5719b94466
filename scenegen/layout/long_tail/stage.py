"""Choose a road for an event, stage it, and see that the ego sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.layout.long_tail.event import Event, Site
from scenegen.layout.long_tail.on_foot import animal, jaywalker, stroller
from scenegen.layout.long_tail.on_wheels import debris, emergency_vehicle, stalled_truck, wrong_way_cyclist
from scenegen.layout.procedural_roads import plan_roads
from scenegen.layout.road_style import MIXED_ROADS, ROAD_STYLES, RoadStyle
from scenegen.types.layout import AgentTrack, EgoTrack
from scenegen.types.seeding import random_generator

TEMPLATES: dict[str, Callable[[Site], Event | None]] = {
    "jaywalker": jaywalker,
    "wrong_way_cyclist": wrong_way_cyclist,
    "stroller": stroller,
    "animal": animal,
    "stalled_truck": stalled_truck,
    "emergency_vehicle": emergency_vehicle,
    "debris": debris,
}
EVENTS = tuple(TEMPLATES)
EVENT_STYLES: dict[str, tuple[str | None, ...]] = {
    "jaywalker": (None, "dense_city"),
    "wrong_way_cyclist": (None, "dense_city", "suburb", "industrial"),
    "stroller": (None, "dense_city", "suburb"),
    "animal": (None, "suburb", "rural", "rural"),
    "stalled_truck": (None, "rural", "highway", "industrial"),
    "emergency_vehicle": (None, "dense_city", "suburb", "highway"),
    "debris": (None, "rural", "highway", "industrial"),
}
"""Kinds of place an event is drawn in; None is any mixture."""
SEEN_WITHIN_M = 40.0
SEEN_HALF_RAD = np.deg2rad(30.0)
SEEN_S = 1.0
MOST_ATTEMPTS = 60
_ALONG_A_ROAD = {"straight": 0.5, "curve": 0.3, "s_curve": 0.2}


def stage_event(
    kind: str, seed: int, name: str, *, duration_s: float, times_s: Float64[np.ndarray, " T"], style: str | None
) -> Iterator[tuple[Event, str | None]]:
    """Draw roads and stage an event on them, again and again: every (event, style) that found a place.

    Whoever fills the scene takes the first that works, so the same seed gives the same scene. Where `style` is None the
    event chooses its own.
    """
    for attempt in range(MOST_ATTEMPTS):
        rng = random_generator(seed, name, stage="event", chunk=attempt)
        styles = EVENT_STYLES[kind] if style is None else (style,)
        chosen = styles[int(rng.integers(len(styles)))]
        plan = plan_roads(rng, duration_s=duration_s, style=_roads_for(kind, chosen))
        event = TEMPLATES[kind](Site(plan, times_s, rng))
        if event is not None:
            yield event, chosen


def _roads_for(kind: str, style: str | None) -> RoadStyle:
    """Return the roads of a style without junctions, and with what the event needs beside them."""
    roads = replace(MIXED_ROADS if style is None else ROAD_STYLES[style], kinds=_ALONG_A_ROAD)
    if kind == "jaywalker":
        return replace(roads, parking_chance=(1.0, 1.0), lane_width_m=(3.3, 3.8), crossing_shares=(1.0, 0.0, 0.0, 0.0))
    if kind == "stroller":
        return replace(roads, crossing_shares=(1.0, 0.0, 0.0, 0.0))
    return roads


def seen_steps(ego: EgoTrack, track: AgentTrack, *, within_m: float = SEEN_WITHIN_M) -> Bool[np.ndarray, " T"]:
    """Say at which steps an agent is before the ego: within a distance and 30 degrees of straight ahead."""
    apart_m = track.center_world_m[:, :2] - ego.position_world_m[:, :2]
    bearing_rad = np.arctan2(apart_m[:, 1], apart_m[:, 0]) - ego.heading_rad
    bearing_rad = np.abs(np.arctan2(np.sin(bearing_rad), np.cos(bearing_rad)))
    return np.asarray(track.valid & (bearing_rad < SEEN_HALF_RAD) & (np.linalg.norm(apart_m, axis=1) < within_m))
