"""Waymo Open Motion scenarios: tracks at 10 Hz and the map around them, from TFRecord files of Scenario messages.

Read against the published format. Exact: x, y, heading and velocity of every box, sizes as the median over its valid
states, moved to the first position of the recording car. Its track is a box like the others, so its rear axle is taken
to lie behind the middle by our own car's distance. Heights are dropped and boxes stand on the ground. Types are coarse:
a vehicle of `LONG_M` or more is a truck, a cyclist a bicycle with its rider.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.source_agents import (
    RecordedStates,
    build_recorded_agent,
    ego_of_box,
    said_of_velocities,
)
from scenegen.layout.importers.source_tracks import layout_id_of, require_plausible
from scenegen.layout.importers.tfrecord import read_record
from scenegen.layout.importers.waymo_map import read_waymo_map
from scenegen.layout.importers.waymo_message import parse_scenario
from scenegen.types import AgentCategory, AgentTrack, Environment, Layout, SourceReport, Timeline

LICENCE = "Waymo Dataset License Agreement for Non-Commercial Use (August 2019): not commercial, attribution"
RATE_HZ = 10.0
STAMP_TOLERANCE = 0.2
"""Largest deviation of a step from the rate, as a share of it."""
MOST_STEPS, MOST_TRACKS = 2_000, 5_000
STATE_FIELDS = ("center_x", "center_y", "heading", "velocity_x", "velocity_y", "length", "width", "height", "valid")
LONG_M = 7.0
WORD_OF_TYPE = {0: "unset", 1: "vehicle", 2: "pedestrian", 3: "cyclist", 4: "other"}
CATEGORY_OF_TYPE = {1: AgentCategory.CAR, 2: AgentCategory.PEDESTRIAN, 3: AgentCategory.BICYCLE}


def read_waymo(path: Path, number: int | None) -> Layout:
    """Read one scenario of a file; without a number, the only one.

    Raises:
        LayoutError: a damaged file, a field that is missing, NaN or contradicts another one.
        DependencyError: protobuf is not installed.
    """
    where = f"{path}: record {number or 0}"
    scenario = parse_scenario(read_record(path, number), where=where)
    if not scenario.scenario_id:
        raise LayoutError("a scenario_id", found="none", where=where)
    num_steps = _num_steps(scenario, where=where)
    tracks = [
        _states_of(track, num_steps, where=f"{where}: tracks[{idx}]") for idx, track in enumerate(scenario.tracks)
    ]
    sdc = _sdc_of(scenario, tracks, where=where)
    own = ego_of_box(tracks[sdc][:, :2], tracks[sdc][:, 2], rate_hz=RATE_HZ, where=f"{where}: tracks[{sdc}]")
    for states in tracks:
        states[:, :2] -= own.origin_source_m
    agents, empty = _agents_of(scenario, tracks, sdc, where=where)
    surroundings = read_waymo_map(scenario, origin_source_m=own.origin_source_m, where=where)
    lit = {state.lane for step in scenario.dynamic_map_states for state in step.lane_states}
    words = Counter(WORD_OF_TYPE.get(track.object_type, "other") for track in scenario.tracks)
    return Layout(
        layout_id=layout_id_of("waymo", scenario.scenario_id),
        source="waymo",
        licence=LICENCE,
        timeline=Timeline(rate_hz=RATE_HZ, num_steps=num_steps),
        road_map=surroundings.road_map,
        agents=agents,
        ego=own.ego,
        environment=Environment(prompt="a street in the United States"),
        report=SourceReport(
            counts={"tracks": len(tracks), **dict(sorted(words.items())), **surroundings.counts},
            lost=(
                "heights; time of day and weather, which the source has not",
                *((f"traffic light states of {len(lit)} lanes",) if lit else ()),
                *((f"{empty} tracks that are never valid",) if empty else ()),
                *surroundings.lost,
                *said_of_velocities(agents, rate_hz=RATE_HZ),
            ),
        ),
    )


def _num_steps(scenario: Any, *, where: str) -> int:
    """Return the number of steps, which must follow each other at the rate."""
    t_s = np.array(scenario.timestamps_seconds)
    if not 1 < len(t_s) <= MOST_STEPS or len(scenario.tracks) > MOST_TRACKS:
        raise LayoutError(
            f"2 to {MOST_STEPS:,} timestamps_seconds and at most {MOST_TRACKS:,} tracks",
            found=f"{len(t_s):,} and {len(scenario.tracks):,}",
            where=where,
        )
    require_plausible(t_s, name="timestamps_seconds", where=where)
    uneven = np.abs(np.diff(t_s) * RATE_HZ - 1.0) > STAMP_TOLERANCE
    if uneven.any():
        step = int(np.argmax(uneven))
        raise LayoutError(
            f"timestamps_seconds at {RATE_HZ:g} Hz",
            found=f"{t_s[step]:.3f} s, then {t_s[step + 1]:.3f} s at step {step + 1}",
            where=where,
        )
    return len(t_s)


def _states_of(track: Any, num_steps: int, *, where: str) -> Float64[np.ndarray, "T 9"]:
    """Return a track's states in the order of `STATE_FIELDS`, zeros where it is not valid."""
    if len(track.states) != num_steps:
        raise LayoutError(f"{num_steps} states", found=f"{len(track.states)}", where=where)
    states = np.zeros((num_steps, len(STATE_FIELDS)))
    for step, state in enumerate(track.states):
        if state.valid:
            states[step] = [getattr(state, name) for name in STATE_FIELDS]
    require_plausible(states, name="states", where=where)
    return states


def _sdc_of(scenario: Any, tracks: list[Float64[np.ndarray, "T 9"]], *, where: str) -> int:
    """Return which track is the recording car's; it must be valid at every step."""
    if not scenario.HasField("sdc_track_index"):
        raise LayoutError("sdc_track_index, the recording car", found="none", where=where)
    sdc = int(scenario.sdc_track_index)
    if not 0 <= sdc < len(tracks):
        raise LayoutError(f"sdc_track_index from 0 to {len(tracks) - 1}", found=f"{sdc}", where=where)
    valid = tracks[sdc][:, -1] > 0.5
    if not valid.all():
        raise LayoutError(
            "the recording car at every step",
            found=f"none at step {int(np.argmin(valid))}",
            where=f"{where}: tracks[{sdc}]",
        )
    return sdc


def _agents_of(
    scenario: Any, tracks: list[Float64[np.ndarray, "T 9"]], sdc: int, *, where: str
) -> tuple[tuple[AgentTrack, ...], int]:
    """Build an agent of every other track that is ever valid; and count those that are not."""
    agents, empty = [], 0
    seen: set[int] = set()
    for idx, (track, states) in enumerate(zip(scenario.tracks, tracks, strict=True)):
        valid = states[:, -1] > 0.5
        if track.id in seen:
            raise LayoutError("unique ids", found=f"{track.id} twice", where=f"{where}: tracks[{idx}]")
        seen.add(track.id)
        if idx == sdc:
            continue
        if not valid.any():
            empty += 1
            continue
        agents.append(_agent_of(track, states, valid, where=f"{where}: tracks[{idx}]"))
    return tuple(agents), empty


def _agent_of(
    track: Any, states: Float64[np.ndarray, "T 9"], valid: Bool[np.ndarray, " T"], *, where: str
) -> AgentTrack:
    size_lwh_m = np.median(states[valid, 5:8], axis=0)
    category = CATEGORY_OF_TYPE.get(track.object_type, AgentCategory.OTHER)
    if category == AgentCategory.CAR and size_lwh_m[0] >= LONG_M:
        category = AgentCategory.TRUCK
    return build_recorded_agent(
        RecordedStates(
            step_idx=np.flatnonzero(valid),
            center_m=states[valid, :2],
            heading_rad=states[valid, 2],
            velocity_mps=states[valid, 3:5],
        ),
        agent_id=str(track.id),
        category=category,
        source_category=WORD_OF_TYPE.get(track.object_type, "other"),
        size_lwh_m=size_lwh_m.tolist(),
        num_steps=len(valid),
        where=where,
        attribute="cycle.with_rider" if category == AgentCategory.BICYCLE else "",
    )
