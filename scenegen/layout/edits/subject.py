"""What edits share: whom they are about, at which step, and whether the result has room in the scene."""

from __future__ import annotations

import difflib
import fnmatch
import math
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError
from scenegen.layout.overlap import Crowd, ego_as_agent
from scenegen.layout.validate import is_off_road
from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.taxonomy import VEHICLE_CATEGORIES, AgentCategory, parse_category

REACH_M = 1_000.0
"""Nothing is placed further than this from the ego's way."""
ROAD_USERS = VEHICLE_CATEGORIES - {AgentCategory.BICYCLE}
"""Who may not be put beside the road."""
ROLLING_M = 1.0
"""Who never gets this far from where they were first stands."""


def find_agent(layout: Layout, agent_id: str) -> AgentTrack:
    """Return an agent by id, or by a pattern like `16c75c92*` that only its id matches.

    Raises:
        LayoutError: there is none, or several; the message names those with a similar id.
    """
    found = [agent for agent in layout.agents if agent.agent_id == agent_id]
    found = found or [agent for agent in layout.agents if fnmatch.fnmatchcase(agent.agent_id, agent_id)]
    if len(found) > 1:
        names = ", ".join(agent.agent_id for agent in found[:12])
        raise LayoutError("the id of one agent", found=f"{agent_id!r}, which means {names}", where=layout.layout_id)
    if found:
        if not found[0].valid.any():
            where = f"{layout.layout_id}: agent {agent_id!r}"
            raise LayoutError("an agent that is there at some time", found="none", where=where)
        return found[0]
    known = [agent.agent_id for agent in layout.agents]
    close = difflib.get_close_matches(agent_id, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    listed = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    raise LayoutError(
        "the id of an agent", found=repr(agent_id), where=layout.layout_id, fix=f"{hint}agents: {listed or 'none'}"
    )


def find_category(name: str) -> AgentCategory:
    """Return a category by name. Raises LayoutError where there is none."""
    category = parse_category(name)
    if category is None:
        labels = [known.label for known in AgentCategory]
        close = difflib.get_close_matches(name, labels, n=1)
        raise LayoutError(
            f"a category out of {', '.join(labels)}",
            found=repr(name),
            where="category",
            fix=f"did you mean {close[0]!r}?" if close else "",
        )
    return category


def new_id(layout: Layout, wanted: str | None, *, stem: str) -> str:
    """Return the wanted id, or the first free `stem_N`. Raises LayoutError where the wanted one is taken."""
    taken = {agent.agent_id for agent in layout.agents} | {"ego"}
    if wanted is None:
        return next(name for n in range(1, len(taken) + 2) if (name := f"{stem}_{n}") not in taken)
    if wanted in taken or not wanted:
        raise LayoutError("an agent id that is free", found=repr(wanted), where=layout.layout_id)
    return wanted


def step_at(layout: Layout, at_s: float, *, key: str = "at_s") -> int:
    """Return the step nearest to a time. Raises LayoutError outside the timeline."""
    timeline = layout.timeline
    end_s = (timeline.num_steps - 1) / timeline.rate_hz
    if not -1e-9 <= at_s <= end_s + 1e-9:
        raise LayoutError(
            f"{key} from 0 to {end_s:.2f} s", found=f"{at_s:g}", where=layout.layout_id,
            fix="the scene ends there; `generate` goes on from there by itself",
        )  # fmt: skip
    return round(at_s * timeline.rate_hz)


def require_finite(**numbers: float | None) -> None:
    """Raise LayoutError for a number that is none; edits by text have looked at theirs already."""
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise LayoutError(f"a finite {name}", found=f"{number}", where="edit")


def is_rolling(track: AgentTrack) -> bool:
    """Say whether an agent gets away from its first place."""
    places_m = track.center_world_m[track.valid, :2]
    return bool(np.linalg.norm(places_m - places_m[0], axis=1).max() > ROLLING_M)


def put_agent(layout: Layout, track: AgentTrack) -> Layout:
    """Return the layout with a track in the place of the one of its id, or added at the end.

    Raises:
        LayoutError: the track is nowhere, far from everything, a vehicle beside the road, or runs into somebody. What
            the track of that id did before, it may do again.
    """
    before = next((agent for agent in layout.agents if agent.agent_id == track.agent_id), None)
    if not track.valid.any():
        raise LayoutError("an agent that is there at some time", found="none", where=_who(layout, track))
    _require_near(layout, track)
    _require_road(layout, track, before)
    _require_free(layout, track, before)
    if before is None:
        return replace(layout, agents=(*layout.agents, track))
    agents = tuple(track if agent.agent_id == track.agent_id else agent for agent in layout.agents)
    return replace(layout, agents=agents)


def keep_to_road(layout: Layout, track: AgentTrack, *, step: int | None = None) -> AgentTrack:
    """Limit a vehicle's presence to where its way is on the mapped road, as `follow` in a file does with its lanes.

    The unbroken part at `step` stays, or the longest one. Who is beside the road at that step, or always, and who is no
    road user, stays as they are.
    """
    off = off_road_steps(layout, track)
    on = track.valid & ~off
    if not off.any() or not on.any() or (step is not None and not on[step]):
        return track
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8))).reshape(-1, 2)
    lasts = edges[:, 1] - edges[:, 0]
    first, stop = edges[int(np.argmax(lasts if step is None else (edges[:, 0] <= step) & (step < edges[:, 1])))]
    steps = np.arange(len(on))
    return replace(track, valid=track.valid & (steps >= first) & (steps < stop))


def off_road_steps(layout: Layout, track: AgentTrack) -> Bool[np.ndarray, " T"]:
    """Mark the steps at which a vehicle is beside the road; none where the layout maps no road."""
    off = np.zeros(len(track.valid), bool)
    if track.category in ROAD_USERS and layout.road_map.areas_of("drivable"):
        off[track.valid] = is_off_road(layout, track.center_world_m[track.valid, :2])
    return off


def _who(layout: Layout, track: AgentTrack) -> str:
    return f"{layout.layout_id}: agent {track.agent_id!r}"


def _require_near(layout: Layout, track: AgentTrack) -> None:
    way_m = layout.ego.position_world_m[:: max(1, round(layout.timeline.rate_hz)), :2]
    first = int(np.argmax(track.valid))
    distance_m = _nearest_m(track.center_world_m[first, :2], way_m)
    if distance_m > REACH_M:
        raise LayoutError(
            f"a place within {REACH_M:g} m of the ego's way", found=f"{distance_m:.0f} m", where=_who(layout, track)
        )


def _nearest_m(place_m: Float64[np.ndarray, "2"], way_m: Float64[np.ndarray, "N 2"]) -> float:
    return float(np.linalg.norm(way_m - place_m, axis=1).min())


def _require_road(layout: Layout, track: AgentTrack, before: AgentTrack | None) -> None:
    off = off_road_steps(layout, track)
    if not off.any() or (before is not None and off_road_steps(layout, before).any()):
        return
    step = int(np.argmax(off))
    raise LayoutError(
        f"a {track.category.label} on the road",
        found=f"{track.center_world_m[step, :2].round(2).tolist()} beside it at {_time(layout, step)}",
        where=_who(layout, track),
        fix="`scenegen layout show REF --png FILE` shows the roads with a grid of metres",
    )


def _require_free(layout: Layout, track: AgentTrack, before: AgentTrack | None) -> None:
    """Refuse overlaps with others; with whom an agent overlapped before the edit (recordings do), it still may."""
    others = [ego_as_agent(layout.ego), *(a for a in layout.agents if a.agent_id != track.agent_id)]
    while (conflict := _first_conflict(others, track)) is not None:
        row, step = conflict
        if before is not None and _first_conflict([others[row]], before) is not None:
            others.pop(row)
            continue
        name = others[row].agent_id
        raise LayoutError(
            "boxes that do not overlap",
            found=f"it runs into {'the ego' if row == 0 and name == 'ego' else repr(name)} at {_time(layout, step)}",
            where=_who(layout, track),
            fix="another place or time" + ("" if name == "ego" else f", or remove({name}) first"),
        )


def _first_conflict(others: list[AgentTrack], track: AgentTrack) -> tuple[int, int] | None:
    crowd = Crowd(len(track.valid), capacity=max(1, len(others)))
    for other in others:
        crowd.add(other)
    return crowd.first_conflict(track)


def _time(layout: Layout, step: int) -> str:
    return f"{step / layout.timeline.rate_hz:.2f} s"
