"""Park something large between the ego and an agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.edits.lanes import lane_heading
from scenegen.layout.edits.subject import find_agent, find_category, new_id, off_road_steps, put_agent, step_at
from scenegen.layout.motion import DEFAULT_SIZE_LWH_M, standing_track
from scenegen.layout.overlap import Crowd, ego_as_agent
from scenegen.layout.validate import points_in_polygon
from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.taxonomy import AgentCategory

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

MARGIN_M = 0.3
LANE_WITHIN_M = 8.0
ON_LANE_M = 1.8
"""Nearer to a lane's centre line than this, a parked vehicle blocks it: the last choice."""
SHARES = np.arange(0.95, 0.09, -0.01)
"""Of the way from the ego to the agent, far ones first."""


def occlude_agent(layout: Layout, agent: str, *, at_s: float, category: str = "truck") -> Layout:
    """Park a vehicle on the ego's line of sight to an agent, so that at `at_s` it hides the whole box, seen from above.

    Tried are places on the line of sight, parallel to the nearest lane: first beside the lanes, then on them, those
    nearest to the agent first; only where the vehicle stands in nobody's way at any step. It is higher than the agent.
    To park at a chosen place, insert a vehicle there.

    Raises:
        LayoutError: no such agent, it is not there at that time, or there is no place between.
    """
    target, kind, step = find_agent(layout, agent), find_category(category), step_at(layout, at_s)
    where, size_lwh_m = f"{layout.layout_id}: agent {agent!r}", DEFAULT_SIZE_LWH_M[kind]
    if not target.valid[step]:
        raise LayoutError("a time at which the agent is there", found=f"{at_s:g} s", where=where)
    if size_lwh_m[2] <= target.size_lwh_m[2]:
        found = f"{kind.label}, {size_lwh_m[2]:g} m"
        raise LayoutError(f"a category higher than {target.size_lwh_m[2]:.2f} m", found=found, where=where)
    tracks = (ego_as_agent(layout.ego), *layout.agents)
    crowd = Crowd(layout.timeline.num_steps, capacity=len(tracks))
    for track in tracks:
        crowd.add(track)
    beside: list[AgentTrack] = []
    on_lane: list[AgentTrack] = []
    in_the_way: dict[str, None] = {}
    for parked in _hiding(layout, target, kind, step):
        conflict = crowd.first_conflict(parked, margin_m=MARGIN_M)
        if conflict is not None:
            in_the_way[tracks[conflict[0]].agent_id] = None
            continue
        lane = lane_heading(layout, parked.center_world_m[0, :2], within_m=ON_LANE_M)
        (beside if lane is None else on_lane).append(parked)
    if not beside and not on_lane:
        raise LayoutError(
            f"room for a {kind.label} of {size_lwh_m[0]:g} m between the ego and the agent at {at_s:g} s",
            found=f"in the way: {', '.join(in_the_way)}" if in_the_way else "no place on the road",
            where=where,
            fix="another time or category" + (", or remove who is in the way" if in_the_way else ""),
        )
    return put_agent(layout, [*beside, *on_lane][0])


def _hiding(layout: Layout, target: AgentTrack, kind: AgentCategory, step: int) -> Iterator[AgentTrack]:
    """Go through parked vehicles that hide the target, are on the road and outside of buildings."""
    import shapely

    eye_m = ego_as_agent(layout.ego).center_world_m[step, :2]
    sight: list[BaseGeometry] = [shapely.LineString([eye_m, corner]) for corner in _corners(target, step)]
    buildings = layout.road_map.areas_of("building")
    name = new_id(layout, None, stem="occluder")
    for share in SHARES:
        place_m = eye_m + share * (target.center_world_m[step, :2] - eye_m)
        heading_rad = lane_heading(layout, place_m, within_m=LANE_WITHIN_M)
        parked = standing_track(
            (float(place_m[0]), float(place_m[1])),
            float(layout.ego.heading_rad[step]) if heading_rad is None else heading_rad,
            num_steps=layout.timeline.num_steps,
            agent_id=name,
            category=kind,
            size_lwh_m=DEFAULT_SIZE_LWH_M[kind],
        )
        corners_m = _corners(parked, 0)
        box = shapely.Polygon(corners_m)
        if not all(box.intersects(line) for line in sight) or off_road_steps(layout, parked).any():
            continue
        if not any(points_in_polygon(corners_m, area.polygon_world_m).any() for area in buildings):
            yield parked


def _corners(track: AgentTrack, step: int) -> Float64[np.ndarray, "4 2"]:
    cos, sin = np.cos(track.heading_rad[step]), np.sin(track.heading_rad[step])
    half_m = 0.5 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * track.size_lwh_m[:2]
    return np.asarray(half_m @ np.array([[cos, sin], [-sin, cos]]) + track.center_world_m[step, :2])
