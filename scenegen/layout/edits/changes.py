"""What is different between two layouts, for people to read."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from scenegen.types.layout import AgentTrack, Layout, RoadMap


def describe_changes(before: Layout, after: Layout) -> list[str]:
    """Return a line per agent that was added (`+`), removed (`-`) or changed (`~`), and per other part that changed."""
    old = {agent.agent_id: agent for agent in before.agents}
    new = {agent.agent_id: agent for agent in after.agents}
    lines = [f"- {name} ({old[name].category.label})" for name in old if name not in new]
    lines += [f"+ {name} ({new[name].category.label})" for name in new if name not in old]
    for name in new:
        if name in old and (changes := _agent_changes(old[name], new[name], after.timeline.rate_hz)):
            lines.append(f"~ {name}: {', '.join(changes)}")
    if before.timeline != after.timeline:
        lines.append(f"~ scene: {before.timeline.duration_s:g} s became {after.timeline.duration_s:g} s")
    ego_before, ego_after = before.ego.world_from_ego, after.ego.world_from_ego
    if ego_before.shape != ego_after.shape or not np.array_equal(ego_before, ego_after):
        lines.append("~ ego: another way")
    if not _is_same_map(before.road_map, after.road_map):
        lines.append("~ roads, areas and props")
    for item in fields(before.environment):
        was, now = getattr(before.environment, item.name), getattr(after.environment, item.name)
        if was != now:
            lines.append(f"~ {item.name}: {was or 'none'} became {now or 'none'}")
    return lines


def _agent_changes(before: AgentTrack, after: AgentTrack, rate_hz: float) -> list[str]:
    changes = []
    if before.category is not after.category:
        changes.append(f"{before.category.label} became {after.category.label}")
    if not np.array_equal(before.size_lwh_m, after.size_lwh_m):
        changes.append(f"size {before.size_lwh_m.tolist()} became {after.size_lwh_m.tolist()} m")
    if len(before.valid) != len(after.valid):
        return [*changes, "cut in time"]
    both = before.valid & after.valid
    moved_m = np.linalg.norm((after.center_world_m - before.center_world_m)[both, :2], axis=1)
    if len(moved_m) and moved_m.max() > 0.0:
        first = int(np.flatnonzero(both)[int(np.argmax(moved_m > 0.0))])
        changes.append(f"up to {moved_m.max():.2f} m elsewhere, from {first / rate_hz:.2f} s on")
    if not np.array_equal(before.valid, after.valid):
        changes.append(f"there at {int(after.valid.sum())} steps, before at {int(before.valid.sum())}")
    return changes


def _is_same_map(before: RoadMap, after: RoadMap) -> bool:
    if before is after:
        return True
    lines_before = [lane.centerline_world_m for lane in before.lanes] + [a.polygon_world_m for a in before.areas]
    lines_after = [lane.centerline_world_m for lane in after.lanes] + [a.polygon_world_m for a in after.areas]
    return len(lines_before) == len(lines_after) and all(map(np.array_equal, lines_before, lines_after))
