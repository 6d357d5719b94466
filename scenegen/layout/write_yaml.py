"""Write any layout as a YAML file that reads back to the same layout.

Roads become explicit lanes, lines and areas; agents become tracks with every step where they are valid. Numbers are
written with all their digits. Where an agent is not valid the file says nothing, as long as the reader's rule for that
(`hold_unsaid`) gives the same bits; else it writes the numbers, marked as not valid. So all comes back bit by bit but
for the source, which is `file` then, and what an importer reports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float64, Int64

from scenegen.errors import OutputError
from scenegen.layout.yaml_agents import hold_unsaid
from scenegen.types.layout import AgentTrack, Area, Lane, LaneLine, Layout, Prop


def layout_to_yaml(layout: Layout) -> str:
    """Return the text of the YAML file of a layout; what an importer lost stands above it as comments."""
    lost = layout.report.lost if layout.report is not None else ()
    return "".join(f"# lost: {what}\n" for what in lost) + yaml.dump(
        _spec_of(layout), Dumper=_Dumper, sort_keys=False, width=118, allow_unicode=True
    )


def write_yaml_layout(layout: Layout, path: Path) -> None:
    """Write a layout to a YAML file.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(layout_to_yaml(layout), encoding="utf-8")
    except OSError as error:
        raise OutputError("a writable file", found=error.strerror or str(error), where=str(path)) from error


class _Flow(list[Any]):
    """A list that is written on one line."""


class _FlowDict(dict[str, Any]):
    """A mapping that is written on one line."""


DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The same dumper in C, where libyaml is there."""


class _Dumper(DUMPER):  # type: ignore[misc]
    """Repeats instead of aliases, and some parts on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(_Flow, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, True))
_Dumper.add_representer(_FlowDict, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, True))


def _spec_of(layout: Layout) -> dict[str, Any]:
    environment = layout.environment
    road_map = layout.road_map
    words: dict[str, Any] = {
        "weather": environment.weather,
        "time_of_day": environment.time_of_day,
        "prompt": environment.prompt,
    }
    if environment.reference_image is not None:
        words["reference_image"] = environment.reference_image
    if environment.style is not None:
        words["style"] = environment.style
    history: dict[str, Any] = {"edits": list(layout.edits)} if layout.edits else {}
    if layout.recorded_until_step is not None:
        history["recorded_until_step"] = int(layout.recorded_until_step)
    poses = layout.ego.world_from_ego[:, :3, :].reshape(-1, 12)
    return {
        "version": 1,
        "id": layout.layout_id,
        "licence": layout.licence,
        "duration_s": float(layout.timeline.duration_s),
        "rate_hz": float(layout.timeline.rate_hz),
        "environment": words,
        **history,
        "num_roads": int(road_map.num_roads),
        "lanes": [_lane(lane) for lane in road_map.lanes],
        "lane_lines": [_line(line) for line in road_map.lane_lines],
        "areas": [_area(area) for area in road_map.areas],
        "props": [_prop(prop) for prop in road_map.props],
        "agents": [_agent(agent) for agent in layout.agents],
        "ego": {
            "world_from_ego": [_Flow(row) for row in poses.tolist()],
            "velocity_mps": _rows(layout.ego.velocity_world_mps),
        },
    }


def _rows(points: Float64[np.ndarray, "N C"]) -> _Flow:
    return _Flow([_Flow(row) for row in points.tolist()])


def _lane(lane: Lane) -> dict[str, Any]:
    spec: dict[str, Any] = {"id": lane.lane_id, "width_m": float(lane.width_m), "kind": lane.kind}
    if lane.is_intersection:
        spec["is_intersection"] = True
    if lane.speed_limit_mps is not None:
        spec["speed_limit_mps"] = float(lane.speed_limit_mps)
    return {**spec, "centerline": _rows(lane.centerline_world_m)}


def _line(line: LaneLine) -> dict[str, Any]:
    points = _rows(line.points_world_m)
    return {"kind": line.kind, "color": line.color, "width_m": float(line.width_m), "points": points}


def _area(area: Area) -> dict[str, Any]:
    spec: dict[str, Any] = {"kind": area.kind, "polygon": _rows(area.polygon_world_m)}
    if area.holes_world_m:
        spec["holes"] = [_rows(hole) for hole in area.holes_world_m]
    if area.height_m:
        spec["height_m"] = float(area.height_m)
    return spec


def _prop(prop: Prop) -> dict[str, Any]:
    spec = _FlowDict(
        kind=prop.kind, position=_Flow(prop.position_world_m.tolist()), heading_rad=float(prop.heading_rad)
    )
    if prop.height_m is not None:
        spec["height_m"] = float(prop.height_m)
    return spec


def _agent(agent: AgentTrack) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "id": agent.agent_id,
        "category": agent.category.label,
        "size_lwh_m": _Flow(agent.size_lwh_m.tolist()),
        "attribute": agent.attribute,
        "source_category": agent.source_category,
    }
    if agent.color_rgb is not None:
        spec["color"] = _Flow(int(value) for value in agent.color_rgb)
    rows = np.column_stack([agent.center_world_m, agent.heading_rad, agent.velocity_world_mps])
    unlike = (_bits(rows) != _bits(hold_unsaid(rows, agent.valid))).any(axis=1) & ~agent.valid
    kind = np.where(agent.valid, 1, np.where(unlike, 0, -1))
    if not agent.valid.any():
        kind[:] = 0
    first = np.flatnonzero(np.concatenate([[True], kind[1:] != kind[:-1]]))
    stops = np.append(first[1:], len(kind))
    spec["track"] = [
        _span(rows, int(begin), int(stop), is_valid=bool(kind[begin]))
        for begin, stop in zip(first, stops, strict=True)
        if kind[begin] >= 0
    ]
    return spec


def _span(rows: Float64[np.ndarray, "T 6"], first: int, stop: int, *, is_valid: bool) -> dict[str, Any]:
    """Return one unbroken span; what never changes is a single number."""
    names = ("x_m", "y_m", "z_m", "heading_rad", "vx_mps", "vy_mps")
    values = {
        name: float(column[0]) if (_bits(column) == _bits(column[:1])).all() else _Flow(column.tolist())
        for name, column in zip(names, rows[first:stop].T, strict=True)
    }
    return {"first_step": first, "num_steps": stop - first, **({} if is_valid else {"valid": False}), **values}


def _bits(values: Float64[np.ndarray, "*N"]) -> Int64[np.ndarray, "*N"]:
    """Return numbers as integers, for which 0 and -0 are two."""
    return np.ascontiguousarray(values).view(np.int64)
