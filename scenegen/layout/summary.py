"""A layout in numbers: what `scenegen layout show --json` prints."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.taxonomy import AgentCategory


def summarise_layout(layout: Layout) -> dict[str, Any]:
    """Count and measure a layout at its own rate. The ego is not among the agents.

    `num_boxes` counts agents times steps where valid. `map.length_m` is that of the source's roads where it has
    reference lines, else of all lanes. Importers that report have two more keys, `source_counts` and `lost`, and edited
    layouts have `edits`. Speeds are finite differences of box centres between neighbouring valid steps, in the
    ground plane.
    """
    counts = Counter(agent.category for agent in layout.agents)
    rate_hz = layout.timeline.rate_hz
    speeds: dict[str, dict[str, float]] = {}
    for category in sorted(counts):
        speed_mps = speeds_of(layout, category)
        if len(speed_mps):
            speeds[category.label] = {
                "mean": round(float(speed_mps.mean()), 4),
                "p95": round(float(np.percentile(speed_mps, 95)), 4),
                "max": round(float(speed_mps.max()), 4),
            }
    way_m = np.linalg.norm(np.diff(layout.ego.position_world_m[:, :2], axis=0), axis=1)
    road_map = layout.road_map
    lane_m = sum(
        float(np.linalg.norm(np.diff(lane.centerline_world_m, axis=0), axis=1).sum()) for lane in road_map.lanes
    )
    summary: dict[str, Any] = {
        "layout_id": layout.layout_id,
        "source": layout.source,
        "duration_s": round(layout.timeline.duration_s, 6),
        "rate_hz": rate_hz,
        "num_steps": layout.timeline.num_steps,
        "num_agents": len(layout.agents),
        "agents": {category.label: counts[category] for category in sorted(counts)},
        "num_boxes": int(sum(int(agent.valid.sum()) for agent in layout.agents)),
        "speed_mps": speeds,
        "ego": {
            "distance_m": round(float(way_m.sum()), 3),
            "mean_speed_mps": round(float(way_m.mean() * rate_hz), 4) if len(way_m) else 0.0,
        },
        "map": {
            "lanes": len(road_map.lanes),
            "lane_lines": len(road_map.lane_lines),
            "crossings": len(road_map.areas_of("crossing")),
            "drivable_areas": len(road_map.areas_of("drivable")),
            "roads": road_map.num_roads,
            "length_m": round(lane_m, 3),
        },
    }
    if layout.edits:
        summary["edits"] = list(layout.edits)
    if layout.report is not None:
        if layout.report.road_length_m is not None:
            summary["map"]["length_m"] = round(layout.report.road_length_m, 3)
        summary["source_counts"] = dict(layout.report.counts)
        summary["lost"] = list(layout.report.lost)
    return summary


def speeds_of(layout: Layout, category: AgentCategory) -> Float64[np.ndarray, " N"]:
    """Return all speeds of one category, between neighbouring steps at which an agent is valid."""
    found = [_speeds(agent, layout.timeline.rate_hz) for agent in layout.agents if agent.category is category]
    return np.concatenate(found) if found else np.zeros(0)


def _speeds(agent: AgentTrack, rate_hz: float) -> Float64[np.ndarray, " N"]:
    moved_m = np.linalg.norm(np.diff(agent.center_world_m[:, :2], axis=0), axis=1)
    both = agent.valid[1:] & agent.valid[:-1]
    return np.asarray(moved_m[both] * rate_hz)
