"""A vehicle from the next lane moves in front of the ego."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.edits.lanes import lane_beside
from scenegen.layout.edits.longer import Way, way_of
from scenegen.layout.edits.subject import find_agent, is_rolling, keep_to_road, new_id, put_agent, step_at
from scenegen.layout.importers.source_tracks import velocity_by_differences
from scenegen.layout.motion import DEFAULT_SIZE_LWH_M, EGO_SIZE_LWH_M
from scenegen.layout.overlap import ego_as_agent
from scenegen.layout.paths import Path
from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.taxonomy import AgentCategory

SIDES = {"left": 1.0, "right": -1.0}
NEXT_LANE_M = (2.0, 6.5)
"""How far beside the ego the middle of the next lane is."""
OVERTAKING_MPS = 3.0
"""How much faster than the ego a new vehicle comes."""
HARDEST_MPS2 = 4.0
SHORTEST_M = 5.0
"""Nobody changes lanes on less way than this."""


@dataclass(frozen=True, kw_only=True)
class _Start:
    """Where a vehicle is when it begins to change lanes, as the ego sees it along its own way."""

    ahead_m: float
    closing_mps: float
    left_m: float


def cut_in(
    layout: Layout,
    agent: str | None = None,
    *,
    at_s: float,
    gap_m: float,
    side: str | None = None,
    over_s: float = 3.0,
) -> Layout:
    """Let a vehicle change from the next lane to the ego's, and be `gap_m` ahead of it at `at_s`, bumper to bumper.

    The change takes `over_s`; lateral and relative longitudinal motion are cubic in time. From `at_s` on the vehicle
    keeps that distance along the ego's way. With `agent`, the one of that id does so from where it is when it begins,
    and its track until then stays. Without, a new car comes from behind, 3 m/s faster than the ego.

    Args:
        layout: any layout.
        agent: id of the vehicle; a new one if not given.
        at_s: when it is in the ego's lane.
        gap_m: from the ego's front to its rear.
        side: `left` or `right`, for a new vehicle; left if there is a lane, else right, if not given.
        over_s: how long the change of lanes takes.

    Raises:
        LayoutError: no lane or no such vehicle beside the ego, a gap that it cannot reach by 4 m/s2, an ego that does
            not move, or somebody in its way.
    """
    if not 1.0 <= over_s <= 10.0:
        raise LayoutError("over_s from 1 to 10", found=f"{over_s:g}", where=layout.layout_id)
    if not 0.5 <= gap_m <= 100.0:
        raise LayoutError("gap_m from 0.5 to 100", found=f"{gap_m:g}", where=layout.layout_id)
    end, begin = step_at(layout, at_s), step_at(layout, at_s - over_s, key="at_s minus over_s")
    ego = ego_as_agent(layout.ego)
    if not is_rolling(ego):
        raise LayoutError("an ego that moves", found="one that stands", where=layout.layout_id)
    track = _new_car(layout) if agent is None else find_agent(layout, agent)
    target_m = 0.5 * EGO_SIZE_LWH_M[0] + gap_m + 0.5 * float(track.size_lwh_m[0])
    room_m = 60.0 + OVERTAKING_MPS * at_s
    way = way_of(layout, ego, before_m=room_m, after_m=room_m + target_m)
    if agent is None:
        start = _from_behind(layout, way, begin, target_m, over_s, side)
    else:
        start = _as_it_is(layout, way, track, begin)
        _require_reachable(start, target_m, over_s, layout, track)
    changed = _driven(layout, way, track, start, target_m, begin, end, is_new=agent is None)
    return put_agent(layout, keep_to_road(layout, changed, step=end))


def _new_car(layout: Layout) -> AgentTrack:
    steps = layout.timeline.num_steps
    size_lwh_m = np.array(DEFAULT_SIZE_LWH_M[AgentCategory.CAR])
    return AgentTrack(
        agent_id=new_id(layout, None, stem="cut_in"),
        category=AgentCategory.CAR,
        size_lwh_m=size_lwh_m,
        center_world_m=np.tile([0.0, 0.0, 0.5 * size_lwh_m[2]], (steps, 1)),
        heading_rad=np.zeros(steps),
        velocity_world_mps=np.zeros((steps, 2)),
        valid=np.ones(steps, bool),
        attribute="vehicle.moving",
        source_category="car",
    )


def _from_behind(layout: Layout, way: Way, begin: int, target_m: float, over_s: float, side: str | None) -> _Start:
    """Return a start from which even braking to the ego's speed ends at the target."""
    if side is not None and side not in SIDES:
        raise LayoutError("side left or right", found=repr(side), where=layout.layout_id)
    ahead_m = target_m - 0.5 * OVERTAKING_MPS * over_s
    at = way.path.at(way.s_m[begin : begin + 1] + ahead_m)
    for name in [side] if side is not None else list(SIDES):
        left_m = lane_beside(
            layout, at.position_m[0], heading_rad=float(at.heading_rad[0]), side=SIDES[name],
            from_m=NEXT_LANE_M[0], to_m=NEXT_LANE_M[1],
        )  # fmt: skip
        if left_m is not None:
            return _Start(ahead_m=ahead_m, closing_mps=OVERTAKING_MPS, left_m=left_m)
    raise LayoutError(
        f"a lane of the ego's direction on its {side or 'left or right'}",
        found=f"none within {NEXT_LANE_M[1]:g} m at {begin / layout.timeline.rate_hz:.2f} s",
        where=layout.layout_id,
        fix="another time, or another side",
    )


def _as_it_is(layout: Layout, way: Way, track: AgentTrack, begin: int) -> _Start:
    """Return the start of a vehicle that is in the scene, if it is in the next lane."""
    where = f"{layout.layout_id}: agent {track.agent_id!r}"
    rate_hz = layout.timeline.rate_hz
    window = slice(max(begin - 1, 0), begin + 1)
    if not track.valid[window].all():
        raise LayoutError(
            "an agent that is there when it begins", found=f"none at {begin / rate_hz:.2f} s", where=where
        )
    steps = [max(begin - 1, 0), begin, min(begin + 1, len(track.valid) - 1)]
    along = [_beside(way.path, track.center_world_m[step, :2]) for step in steps]
    ahead_m = np.array([s_m - way.s_m[step] for step, (s_m, _) in zip(steps, along, strict=True)])
    closing_mps = float(ahead_m[-1] - ahead_m[0]) * rate_hz / max(steps[-1] - steps[0], 1)
    left_m = along[1][1]
    turn = track.heading_rad[begin] - float(way.path.at(np.array([along[1][0]])).heading_rad[0])
    if not NEXT_LANE_M[0] <= abs(left_m) <= NEXT_LANE_M[1] or np.cos(turn) < np.cos(np.pi / 6):
        raise LayoutError(
            f"an agent in the lane beside the ego's at {begin / rate_hz:.2f} s, going its way",
            found=f"it is {left_m:.1f} m left of the ego's way and turned by {np.rad2deg(turn):.0f} degrees",
            where=where,
        )
    return _Start(ahead_m=float(ahead_m[1]), closing_mps=closing_mps, left_m=left_m)


def _beside(path: Path, place_m: Float64[np.ndarray, "2"]) -> tuple[float, float]:
    """Return how far along a path, and left of it, a place is."""
    idx = int(np.argmin(np.linalg.norm(path.points_m - place_m, axis=1)))
    heading_rad, offset_m = float(path.heading_rad[idx]), place_m - path.points_m[idx]
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    return float(path.s_m[idx] + offset_m @ [cos, sin]), float(offset_m @ [-sin, cos])


def _require_reachable(start: _Start, target_m: float, over_s: float, layout: Layout, track: AgentTrack) -> None:
    """Refuse a gap that needs hard braking or acceleration against the ego."""
    hardest = max(abs(6.0 * (target_m - start.ahead_m) - 4.0 * start.closing_mps * over_s),
                  abs(6.0 * (target_m - start.ahead_m) - 2.0 * start.closing_mps * over_s)) / over_s**2  # fmt: skip
    if hardest > HARDEST_MPS2:
        evenly_m = start.ahead_m + 0.5 * start.closing_mps * over_s
        gap_m = evenly_m - 0.5 * (EGO_SIZE_LWH_M[0] + float(track.size_lwh_m[0]))
        raise LayoutError(
            f"a gap that it reaches by at most {HARDEST_MPS2:g} m/s2",
            found=f"{hardest:.1f} m/s2",
            where=f"{layout.layout_id}: agent {track.agent_id!r}",
            fix=f"changing speed evenly it would be {gap_m:.1f} m ahead of the ego; or change at_s or over_s",
        )


def _driven(
    layout: Layout, way: Way, track: AgentTrack, start: _Start, target_m: float, begin: int, end: int, *, is_new: bool
) -> AgentTrack:
    """Return the track: as it was until `begin` (or coming from behind), then beside the ego's way and on it."""
    rate_hz = layout.timeline.rate_hz
    t_s = (np.arange(layout.timeline.num_steps) - begin) / rate_hz
    over_s = (end - begin) / rate_hz
    part = np.clip(t_s / over_s, 0.0, 1.0)
    rise = part**2 * (3.0 - 2.0 * part)
    ahead_m = start.ahead_m + (target_m - start.ahead_m) * rise
    ahead_m += start.closing_mps * over_s * part * (1.0 - part) ** 2 + np.minimum(t_s, 0.0) * start.closing_mps
    s_m = way.s_m + ahead_m
    own = slice(0 if is_new else begin, None)
    if (np.diff(s_m[own]) < -1e-6).any() or s_m[end] - s_m[begin] < SHORTEST_M:
        raise LayoutError(
            f"at least {SHORTEST_M:g} m of way forward for the change of lanes",
            found=f"{s_m[end] - s_m[begin]:.1f} m, the ego being that slow",
            where=f"{layout.layout_id}: agent {track.agent_id!r}",
            fix="choose a time at which the ego drives",
        )
    left_m = start.left_m * (1.0 - rise)
    at = way.path.at(s_m)
    normal = np.stack([-np.sin(at.heading_rad), np.cos(at.heading_rad)], axis=1)
    position_m = at.position_m + left_m[:, None] * normal
    velocity_mps = velocity_by_differences(position_m, t_s)
    along_mps = np.maximum(np.linalg.norm(velocity_mps, axis=1), 0.5)
    heading_rad = at.heading_rad + np.arctan2(np.gradient(left_m, t_s), along_mps)
    center_m, turned_rad, moved_mps = (
        track.center_world_m.copy(), track.heading_rad.copy(), track.velocity_world_mps.copy(),
    )  # fmt: skip
    center_m[own, :2], turned_rad[own], moved_mps[own] = position_m[own], heading_rad[own], velocity_mps[own]
    valid = track.valid.copy()
    valid[own] = True
    return replace(
        track, center_world_m=center_m, heading_rad=turned_rad, velocity_world_mps=moved_mps, valid=valid,
        attribute="vehicle.moving",
    )  # fmt: skip
