"""Something is in the way that should not be: a wrong-way cyclist, a stalled truck, debris, a vehicle with priority."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenegen.layout.long_tail.event import FRONT_M, Event, Site, move_aside
from scenegen.layout.motion import Stop, Travel, standing_track, track_along
from scenegen.layout.paths import make_path, offset_polyline
from scenegen.layout.procedural_draws import draw_size
from scenegen.types.layout import AgentTrack
from scenegen.types.taxonomy import AgentCategory

EMERGENCY: dict[str, tuple[AgentCategory, tuple[float, float, float], tuple[int, int, int]]] = {
    "police": (AgentCategory.CAR, (4.8, 1.9, 1.6), (225, 228, 235)),
    "ambulance": (AgentCategory.TRUCK, (6.3, 2.2, 2.8), (240, 240, 236)),
    "fire_engine": (AgentCategory.TRUCK, (8.6, 2.5, 3.3), (190, 28, 24)),
}
DEBRIS: dict[str, tuple[float, float, float]] = {
    "tyre": (0.65, 0.65, 0.25),
    "box": (0.8, 0.6, 0.5),
    "ladder": (1.8, 0.45, 0.12),
    "branch": (1.6, 0.5, 0.3),
    "bumper": (1.5, 0.4, 0.35),
}


def wrong_way_cyclist(site: Site) -> Event | None:
    """Let a cyclist come towards the ego along the right edge of its lane."""
    rng = site.rng
    meet_m = site.draw_place(8.0, 19.0)
    half_lane_m = 0.5 * site.section.lane_width_m
    if meet_m is None or not site.entry.is_outer:
        return None
    speed_mps = float(rng.uniform(3.0, 6.0))
    meet_s = site.time_at(meet_m)
    edge = make_path(offset_polyline(site.path.points_m, -(half_lane_m - float(rng.uniform(0.1, 0.3))))[::-1])
    meet_edge_m = edge.length_m * (1.0 - meet_m / site.path.length_m)
    s_m = meet_edge_m + speed_mps * (site.times_s - meet_s)
    cyclist = track_along(
        edge,
        Travel(s_m, np.full(len(s_m), speed_mps)),
        agent_id="wrong_way_cyclist",
        category=AgentCategory.BICYCLE,
        size_lwh_m=draw_size(rng, AgentCategory.BICYCLE),
        valid=(s_m >= 0.0) & (s_m <= edge.length_m),
    )
    cyclist = replace(cyclist, source_category="bicycle.wrong_way")
    aside_m = float(rng.uniform(0.45, 0.7))
    path = move_aside(site.path, left_m=aside_m, from_m=meet_m - 14.0, to_m=meet_m + 10.0, ease_m=16.0)
    slower_mps = site.plan.ego_cruise_mps * float(rng.uniform(0.6, 0.85))
    speeds = ((meet_m - 35.0, slower_mps), (meet_m + 5.0, site.plan.ego_cruise_mps))
    return site.event("a cyclist rides towards us on the wrong side", (cyclist,), path=path, speeds=speeds)


def stalled_truck(site: Site) -> Event | None:
    """Let a truck stand in the ego's lane behind a warning triangle; the ego passes it, or stops behind it."""
    rng, section = site.rng, site.section
    rear_m = site.draw_place(9.0, 18.0)
    if rear_m is None or not site.entry.is_outer:
        return None
    truck_lwh_m = draw_size(rng, AgentCategory.TRUCK)
    triangle_m = rear_m - float(rng.uniform(12.0, 22.0))
    truck = _standing(site, rear_m + 0.5 * truck_lwh_m[0], -0.1, "stalled_truck", AgentCategory.TRUCK, truck_lwh_m)
    triangle = _standing(
        site, triangle_m, -0.5 * section.lane_width_m + 0.3, "warning_triangle", AgentCategory.OTHER, (0.1, 0.45, 0.45)
    )
    driver = _standing(
        site,
        rear_m + float(rng.uniform(-6.0, 8.0)),
        -(site.lane_left_m - section.kerb_right_m) - 0.7,
        "truck_driver",
        AgentCategory.PEDESTRIAN,
        draw_size(rng, AgentCategory.PEDESTRIAN),
    )
    tracks = (truck, triangle, driver)
    if rng.random() < 0.35:
        stop = Stop(at_m=rear_m - float(rng.uniform(2.0, 4.0)))
        return site.event("a stalled truck blocks the lane", tracks, stops=(stop,))
    ease_m = max(18.0, 2.6 * site.plan.ego_cruise_mps)
    left_m = max(section.lane_width_m if section.lanes_forward > 1 else 0.0, 0.5 * truck_lwh_m[1] + 1.75)
    path = move_aside(site.path, left_m=left_m, from_m=rear_m - 4.0, to_m=rear_m + truck_lwh_m[0] + 6.0, ease_m=ease_m)
    speeds = ((rear_m - 50.0, 0.75 * site.plan.ego_cruise_mps), (rear_m + 15.0, site.plan.ego_cruise_mps))
    beyond_m = site.on_road(rear_m + truck_lwh_m[0] + ease_m + 12.0)
    if section.lanes_forward > 1:
        return site.event("a stalled truck stands in the lane", tracks, path=path, speeds=speeds)
    others = site.hold_others(beyond_m, from_s=site.time_at(rear_m) - 9.0, to_s=site.time_at(rear_m) + 8.0)
    return site.event("a stalled truck stands in the lane", tracks, path=path, speeds=speeds, others=others)


def debris(site: Site) -> Event | None:
    """Strew one to three lost things on one side of the ego's lane; the ego slows and drives by on the other."""
    rng = site.rng
    place_m = site.draw_place(7.0, 19.0)
    if place_m is None:
        return None
    side = -1.0 if site.entry.is_outer else float(rng.choice([-1.0, 1.0]))
    pieces, reach_m = [], 0.0
    for number in range(int(rng.integers(1, 4))):
        kind = str(rng.choice(list(DEBRIS)))
        size_lwh_m = tuple(float(v) for v in np.array(DEBRIS[kind]) * rng.uniform(0.85, 1.15, 3))
        aside_m = float(rng.uniform(0.9, 1.4))
        turn_rad = float(rng.uniform(-np.pi, np.pi))
        at_m = place_m + 2.6 * number
        agent_id = "debris" if number == 0 else f"debris_{number + 1}"
        piece = _standing(site, at_m, side * aside_m, agent_id, AgentCategory.OTHER, size_lwh_m, turn_rad=turn_rad)
        pieces.append(replace(piece, source_category=f"debris.{kind}"))
        half_m = 0.5 * float(abs(np.sin(turn_rad)) * size_lwh_m[0] + abs(np.cos(turn_rad)) * size_lwh_m[1])
        reach_m = max(reach_m, half_m + 0.95 + 0.3 - aside_m)
    path = move_aside(
        site.path, left_m=-side * max(reach_m, 0.0), from_m=place_m - 5.0, to_m=place_m + 10.0, ease_m=18.0
    )
    slower_mps = site.plan.ego_cruise_mps * float(rng.uniform(0.5, 0.8))
    speeds = ((place_m - 30.0, slower_mps), (place_m + 8.0, site.plan.ego_cruise_mps))
    return site.event("debris lies on the road", pieces, path=path, speeds=speeds)


def emergency_vehicle(site: Site) -> Event | None:
    """Let a police car, ambulance or fire engine come from behind and overtake the ego, which makes room."""
    rng, section = site.rng, site.section
    pass_m = site.draw_place(8.0, 14.0)
    if pass_m is None:
        return None
    kind = str(rng.choice(list(EMERGENCY)))
    category, size_lwh_m, rgb = EMERGENCY[kind]
    pass_s = site.time_at(pass_m)
    cruise_mps = site.plan.ego_cruise_mps
    speed_mps = max(cruise_mps * float(rng.uniform(1.35, 1.7)), 9.0)
    spread_m = 2.2 * speed_mps
    left_m = max(section.lane_width_m * 0.9, 0.95 + 0.5 * size_lwh_m[1] + 0.75)
    over = move_aside(site.path, left_m=left_m, from_m=pass_m - spread_m, to_m=pass_m + 0.8 * spread_m, ease_m=28.0)
    s_m = pass_m + speed_mps * (site.times_s - pass_s)
    vehicle = track_along(
        over,
        Travel(s_m, np.full(len(s_m), speed_mps)),
        agent_id="emergency_vehicle",
        category=category,
        size_lwh_m=size_lwh_m,
        valid=(s_m >= 0.0) & (s_m <= over.length_m),
        color_rgb=rgb,
    )
    vehicle = replace(vehicle, source_category=f"emergency_vehicle.{kind}")
    room_m = -min(0.4, 0.5 * section.lane_width_m - 1.15)
    path = move_aside(site.path, left_m=room_m, from_m=pass_m - 12.0, to_m=pass_m + 8.0, ease_m=18.0)
    speeds = ((pass_m - FRONT_M - 20.0, 0.6 * cruise_mps), (pass_m + 4.0, cruise_mps))
    beyond_m = site.on_road(min(pass_m + 2.5 * spread_m, site.path.length_m))
    others = site.hold_others(beyond_m, from_s=pass_s - 9.0, to_s=pass_s + 6.0)
    words = f"{'an' if kind == 'ambulance' else 'a'} {kind.replace('_', ' ').replace('police', 'police car')} overtakes"
    return site.event(words, (vehicle,), path=path, speeds=speeds, others=others)


def _standing(
    site: Site,
    at_m: float,
    left_m: float,
    agent_id: str,
    category: AgentCategory,
    size_lwh_m: tuple[float, ...],
    *,
    turn_rad: float = 0.0,
) -> AgentTrack:
    """Return something that stands at a place of the ego's path, `left_m` to its left."""
    at = site.path.at(np.array([at_m]))
    heading_rad = float(at.heading_rad[0])
    position_m = at.position_m[0] + left_m * np.array([-np.sin(heading_rad), np.cos(heading_rad)])
    track = standing_track(
        position_m.tolist(),
        heading_rad + turn_rad,
        num_steps=len(site.times_s),
        agent_id=agent_id,
        category=category,
        size_lwh_m=size_lwh_m,
    )
    return replace(track, source_category=agent_id if category is not AgentCategory.PEDESTRIAN else "pedestrian")
