"""Add an agent that stands somewhere, or sets out from there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.continuation import path_ahead
from scenegen.layout.edits.lanes import lane_heading
from scenegen.layout.edits.subject import find_category, keep_to_road, new_id, put_agent, require_finite, step_at
from scenegen.layout.motion import DEFAULT_SIZE_LWH_M, Travel, drive, track_along
from scenegen.layout.paths import Path
from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.taxonomy import VEHICLE_CATEGORIES, AgentCategory

FASTEST_MPS = 70.0
LANE_WITHIN_M = 5.0


def insert_agent(
    layout: Layout,
    category: str,
    *,
    x_m: float,
    y_m: float,
    heading_deg: float | None = None,
    speed_mps: float = 0.0,
    from_s: float = 0.0,
    to_s: float | None = None,
    agent: str | None = None,
) -> Layout:
    """Add an agent of a category's usual box, at a place from `from_s` until `to_s` (the end, if not given).

    Vehicles with a speed follow the lane under them and those after it, slower in curves, until the road ends; others
    go straight. Nobody looks out for others: who would run into somebody is refused.

    Args:
        layout: any layout.
        category: one of the categories of CONVENTIONS.md.
        x_m: of the middle of its box, world.
        y_m: likewise.
        heading_deg: counter-clockwise from x; that of the lane there if not given, else 0.
        speed_mps: wished speed; 0 stands.
        from_s: it is there from then, and sets out then.
        to_s: it is there until then.
        agent: its id; `CATEGORY_1` or the next free number if not given.

    Raises:
        LayoutError: unknown category, id taken, times outside the scene, or no room there.
    """
    require_finite(x_m=x_m, y_m=y_m, heading_deg=heading_deg)
    kind = find_category(category)
    agent_id = new_id(layout, agent, stem=kind.label)
    if not 0.0 <= speed_mps <= FASTEST_MPS:
        raise LayoutError(f"speed_mps from 0 to {FASTEST_MPS:g}", found=f"{speed_mps:g}", where=agent_id)
    first = step_at(layout, from_s, key="from_s")
    last = layout.timeline.num_steps - 1 if to_s is None else step_at(layout, to_s, key="to_s")
    if last < first:
        raise LayoutError("to_s after from_s", found=f"{to_s:g} after {from_s:g}", where=agent_id)
    place_m = np.array([x_m, y_m], np.float64)
    heading_rad = _heading(layout, kind, place_m) if heading_deg is None else float(np.deg2rad(heading_deg))
    track = _set_out(layout, kind, agent_id, place_m, heading_rad, speed_mps, first)
    steps = np.arange(layout.timeline.num_steps)
    track = replace(track, valid=(steps >= first) & (steps <= last))
    return put_agent(layout, keep_to_road(layout, track, step=first))


def _heading(layout: Layout, kind: AgentCategory, place_m: Float64[np.ndarray, "2"]) -> float:
    found = lane_heading(layout, place_m, within_m=LANE_WITHIN_M) if kind in VEHICLE_CATEGORIES else None
    return 0.0 if found is None else found


def _set_out(
    layout: Layout,
    kind: AgentCategory,
    agent_id: str,
    place_m: Float64[np.ndarray, "2"],
    heading_rad: float,
    speed_mps: float,
    first: int,
) -> AgentTrack:
    """Return the track of an agent that waits at a place until a step and moves on from there."""
    steps = layout.timeline.num_steps
    times_s = np.arange(steps - first) / layout.timeline.rate_hz
    reach_m = speed_mps * float(times_s[-1]) + 30.0
    lanes = layout.road_map.lanes if kind in VEHICLE_CATEGORIES and speed_mps else ()
    path: Path = path_ahead(lanes, place_m, heading_rad, reach_m=reach_m)
    travel = Travel(np.zeros(len(times_s)), np.zeros(len(times_s)))
    if speed_mps:
        travel = drive(path, times_s, start_m=0.0, cruise_mps=speed_mps)
    wait = np.zeros(first)
    return track_along(
        path,
        Travel(np.concatenate([wait, travel.s_m]), np.concatenate([wait, travel.speed_mps])),
        agent_id=agent_id,
        category=kind,
        size_lwh_m=DEFAULT_SIZE_LWH_M[kind],
    )
