"""Argoverse 2 motion-forecasting scenarios: one parquet table of tracks at 10 Hz and the vector map around them.

Read against the published format. Exact: x, y, heading and velocity of every track, moved to the first position of
the recording car, which is the track `AV`. Approximate, because the source has neither sizes nor heights: boxes have
the usual size of their type and stand on the ground. Positions are middles of boxes by the format's text, the AV's
too, so its rear axle is taken to lie behind by our own car's distance.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from scenegen.errors import LayoutError
from scenegen.layout.importers.argoverse2_map import read_vector_map
from scenegen.layout.importers.arrow_table import ArrowTable, read_parquet
from scenegen.layout.importers.source_agents import (
    RecordedStates,
    build_recorded_agent,
    ego_of_box,
    said_of_velocities,
)
from scenegen.layout.importers.source_tracks import layout_id_of
from scenegen.layout.motion import DEFAULT_SIZE_LWH_M
from scenegen.types import AgentCategory, AgentTrack, Environment, Layout, SourceReport, Timeline

LICENCE = "CC BY-NC-SA 4.0 (Argoverse 2 motion forecasting data set, Argo AI): not commercial, attribution, share alike"
RATE_HZ = 10.0
RATE_TOLERANCE = 0.05
EGO_TRACK = "AV"
CATEGORY_OF_SOURCE = {
    "vehicle": AgentCategory.CAR,
    "pedestrian": AgentCategory.PEDESTRIAN,
    "motorcyclist": AgentCategory.MOTORCYCLE,
    "cyclist": AgentCategory.BICYCLE,
    "bus": AgentCategory.BUS,
    "riderless_bicycle": AgentCategory.BICYCLE,
    "construction": AgentCategory.TRAFFIC_CONE,
    "static": AgentCategory.OTHER,
    "background": AgentCategory.OTHER,
    "unknown": AgentCategory.OTHER,
}
ATTRIBUTE_OF_SOURCE = {
    "motorcyclist": "cycle.with_rider",
    "cyclist": "cycle.with_rider",
    "riderless_bicycle": "cycle.without_rider",
}
TRACK_QUALITY = ("track fragments", "unscored tracks", "scored tracks", "focal tracks")
"""By the number in column `object_category`."""
STATE_COLUMNS = ("position_x", "position_y", "heading", "velocity_x", "velocity_y")
TEXT_COLUMNS = ("track_id", "object_type", "scenario_id", "focal_track_id", "city")
COLUMNS = (
    *TEXT_COLUMNS,
    *STATE_COLUMNS,
    "object_category",
    "timestep",
    "start_timestamp",
    "end_timestamp",
    "num_timestamps",
)


def read_argoverse2_motion(path: Path) -> Layout:
    """Read one motion-forecasting scenario.

    Args:
        path: folder with `scenario_ID.parquet` and `log_map_archive_ID.json`.

    Raises:
        LayoutError: a file is missing, truncated, lacks a column or holds NaN; no track `AV`, or one with gaps.
        DependencyError: pyarrow is not installed.
    """
    tables = sorted(path.glob("scenario_*.parquet")) if path.is_dir() else []
    if len(tables) != 1:
        raise LayoutError("a folder with one scenario_*.parquet", found=f"{len(tables)} of them", where=str(path))
    table = read_parquet(tables[0], COLUMNS)
    track_id, timestep = table.text("track_id"), table.integers("timestep")
    is_ego = track_id == EGO_TRACK
    num_steps = _num_steps(table, timestep, is_ego)
    rows_of_track = _rows_of_tracks(track_id, timestep)
    states = table.numbers(STATE_COLUMNS)
    ego_rows = rows_of_track.pop(EGO_TRACK)
    where = f"{table.where}: track {EGO_TRACK!r}"
    own = ego_of_box(states[ego_rows, :2], states[ego_rows, 2], rate_hz=RATE_HZ, where=where)
    states[:, :2] -= own.origin_source_m
    source_type = table.text("object_type")
    agents = tuple(
        _agent_of(
            name, rows, states, timestep, source_type, num_steps=num_steps, where=f"{table.where}: track {name!r}"
        )
        for name, rows in rows_of_track.items()
    )
    city = str(table.text("city")[0])
    return Layout(
        layout_id=layout_id_of("av2_motion", str(table.text("scenario_id")[0])),
        source="av2_motion",
        licence=LICENCE,
        timeline=Timeline(rate_hz=RATE_HZ, num_steps=num_steps),
        road_map=read_vector_map(path, origin_city_m=np.append(own.origin_source_m, 0.0)),
        agents=agents,
        ego=own.ego,
        environment=Environment(prompt=f"a city street in {city.replace('-', ' ').replace('_', ' ').title()} by day"),
        report=SourceReport(
            counts=_counts(table, {EGO_TRACK: ego_rows, **rows_of_track}),
            lost=(
                "sizes of boxes: the source has none, every type has one usual size",
                "heights, roll and pitch: the source has none",
                "what is to be predicted, and which track is focal: all tracks are agents",
                *said_of_velocities(agents, rate_hz=RATE_HZ),
            ),
        ),
    )


def _num_steps(table: ArrowTable, timestep: Int64[np.ndarray, " N"], is_ego: Bool[np.ndarray, " N"]) -> int:
    """Return the number of steps, which the ego track has all of; they must follow the rate."""
    if not is_ego.any():
        raise LayoutError(f"a track {EGO_TRACK!r}", found="none", where=table.where)
    ego_steps = np.sort(timestep[is_ego])
    gap = np.flatnonzero(ego_steps != np.arange(len(ego_steps)))
    if len(gap):
        raise LayoutError(
            f"track {EGO_TRACK!r} at every step from 0",
            found=f"{ego_steps[gap[0]]} as its step {gap[0]}",
            where=table.where,
        )
    stated = int(table.integers("num_timestamps")[0])
    if len(ego_steps) > stated or stated < 2:
        raise LayoutError(f"num_timestamps of at least {max(2, len(ego_steps))}", found=f"{stated}", where=table.where)
    elapsed_s = int(table.nanoseconds("end_timestamp")[0] - table.nanoseconds("start_timestamp")[0]) * 1e-9
    if abs(elapsed_s * RATE_HZ / (stated - 1) - 1.0) > RATE_TOLERANCE:
        raise LayoutError(
            f"{stated} stamps at {RATE_HZ:g} Hz",
            found=f"{elapsed_s:.3f} s from the first to the last",
            where=table.where,
        )
    return len(ego_steps)


def _rows_of_tracks(track_id: np.ndarray, timestep: Int64[np.ndarray, " N"]) -> dict[str, Int64[np.ndarray, " N"]]:
    """Group rows by track, each in order of time; tracks in order of their ids."""
    order = np.lexsort((timestep, track_id))
    names, starts = np.unique(track_id[order], return_index=True)
    return {str(name): rows for name, rows in zip(names, np.split(order, starts[1:]), strict=True)}


def _agent_of(
    name: str,
    rows: Int64[np.ndarray, " M"],
    states: np.ndarray,
    timestep: Int64[np.ndarray, " N"],
    source_type: np.ndarray,
    *,
    num_steps: int,
    where: str,
) -> AgentTrack:
    where = f"{where}: track {name!r}"
    kinds = set(source_type[rows])
    if len(kinds) != 1 or not kinds <= CATEGORY_OF_SOURCE.keys():
        raise LayoutError(
            f"one object_type out of {', '.join(CATEGORY_OF_SOURCE)}", found=str(sorted(kinds)), where=where
        )
    kind = str(kinds.pop())
    category = CATEGORY_OF_SOURCE[kind]
    return build_recorded_agent(
        RecordedStates(
            step_idx=timestep[rows],
            center_m=states[rows, :2],
            heading_rad=states[rows, 2],
            velocity_mps=states[rows, 3:],
        ),
        agent_id=name,
        category=category,
        source_category=kind,
        size_lwh_m=DEFAULT_SIZE_LWH_M[category],
        num_steps=num_steps,
        where=where,
        attribute=ATTRIBUTE_OF_SOURCE.get(kind, ""),
    )


def _counts(table: ArrowTable, rows_of_track: dict[str, Int64[np.ndarray, " N"]]) -> dict[str, int]:
    quality = table.integers("object_category")
    wrong = (quality < 0) | (quality >= len(TRACK_QUALITY))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise LayoutError("an object_category of 0 to 3", found=f"{quality[row]} at row {row}", where=table.where)
    by_quality = Counter(TRACK_QUALITY[quality[rows[0]]] for rows in rows_of_track.values())
    states = sum(len(rows) for rows in rows_of_track.values())
    return {"tracks": len(rows_of_track), "states": states, **{name: by_quality[name] for name in TRACK_QUALITY}}
