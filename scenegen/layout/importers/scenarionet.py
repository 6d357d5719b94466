"""ScenarioNet records: one pickle per scene, with tracks at 10 Hz and the vector map around them.

The pickle is read with a restricted unpickler. What is exact: x, y, heading and size of every agent, and the ego
path, moved to the first ego position. The ego `position` of a nuScenes record is the nuScenes ego pose (it equals
the CAN bus pose on the same scene to the millimetre), so it already is the middle of the rear axle.

What is approximate, because a layout's ground is flat at z = 0 and the records carry no ground height: agents stand
on the ground (their z is half their height; ego z is zero in a record while agent z follows the terrain).

Velocities are the record's own, which are forward differences of its positions. ScenarioNet has no next
position for the last valid step and writes zero there; that step repeats the velocity before it.

Time of day is not in a record. All nuScenes scenes of the `singapore-hollandvillage` map that ScenarioNet's test
records cover were driven at night, so that map means night here; every other map means day.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import planar_poses
from scenegen.layout.importers.nuscenes_words import CATEGORY_OF_NUSCENES, NUSCENES_LICENCE, category_of_nuscenes
from scenegen.layout.importers.record import Record
from scenegen.layout.importers.restricted_pickle import read_restricted_pickle
from scenegen.layout.importers.scenarionet_map import read_road_map
from scenegen.layout.importers.source_tracks import hold_last_valid, layout_id_of
from scenegen.types import AgentCategory, AgentTrack, EgoTrack, Environment, Layout, Timeline

LICENCE_OF_DATASET = {"nuscenes": NUSCENES_LICENCE}
NIGHT_MAPS = frozenset({"singapore-hollandvillage"})
RIDDEN_SPEED_MPS = 1.0
"""A cycle that ever moves faster than this has a rider; nuScenes records do not say."""
STAMP_TOLERANCE_S = 1e-3

CATEGORY_OF_TYPE = {
    "VEHICLE": AgentCategory.CAR,
    "PEDESTRIAN": AgentCategory.PEDESTRIAN,
    "CYCLIST": AgentCategory.BICYCLE,
    "TRAFFIC_CONE": AgentCategory.TRAFFIC_CONE,
    "TRAFFIC_BARRIER": AgentCategory.BARRIER,
}
"""ScenarioNet type to ours, for records whose tracks carry no nuScenes class."""


def read_scenarionet(path: Path) -> Layout:
    """Read one ScenarioNet record.

    Args:
        path: a `sd_*.pkl` file.

    Raises:
        LayoutError: the file is missing, damaged, unsafe, lacks a key or holds NaN.
    """
    record = Record(read_restricted_pickle(path), where=str(path))
    metadata = record.child("metadata")
    metadata.choice("coordinate", ("right-handed",))
    timeline = _timeline_of(record)
    tracks = record.child("tracks")
    ego_id = metadata.text("sdc_id")
    ego = tracks.child(ego_id).child("state")
    origin_source_m = ego.columns("position", 2, num_rows=timeline.num_steps)[0]
    dataset = metadata.text("dataset")
    map_name = metadata.text("map")
    time_of_day = "night" if map_name in NIGHT_MAPS else "day"
    return Layout(
        layout_id=layout_id_of(dataset, record.text("id")),
        source="scenarionet",
        licence=LICENCE_OF_DATASET.get(dataset, f"not stated in the record: that of the data set {dataset!r}"),
        timeline=timeline,
        road_map=read_road_map(record, origin_source_m=origin_source_m),
        agents=tuple(
            _agent_of(tracks.child(track_id), track_id, timeline, origin_source_m=origin_source_m)
            for track_id in tracks
            if track_id != ego_id
        ),
        ego=_ego_of(ego, timeline, origin_source_m=origin_source_m),
        environment=Environment(time_of_day=time_of_day, prompt=f"a street in {map_name}, {time_of_day}"),
    )


def _timeline_of(record: Record) -> Timeline:
    """Return the record's steps; they must be equally spaced."""
    metadata = record.child("metadata")
    num_steps = int(record.number("length"))
    period_s = metadata.number("sample_rate")
    if period_s <= 0.0 or num_steps < 1:
        raise LayoutError("positive length and sample_rate", found=f"{num_steps}, {period_s}", where=record.where)
    t_s = metadata.numbers("ts", (num_steps,))
    uneven = np.abs(t_s - t_s[0] - np.arange(num_steps) * period_s) > STAMP_TOLERANCE_S
    if uneven.any():
        step = int(np.argmax(uneven))
        raise LayoutError(f"ts every {period_s:g} s", found=f"{t_s[step]} at step {step}", where=metadata.where)
    return Timeline(rate_hz=1.0 / period_s, num_steps=num_steps)


def _velocity_of(state: Record, valid: Bool[np.ndarray, " T"]) -> Float64[np.ndarray, "T 2"]:
    """Return the record's velocities with the last valid step repeating the one before it."""
    velocity_mps = state.columns("velocity", 2, num_rows=len(valid)).copy()
    valid_idx = np.flatnonzero(valid)
    if len(valid_idx) > 1 and not velocity_mps[valid_idx[-1]].any():
        velocity_mps[valid_idx[-1]] = velocity_mps[valid_idx[-2]]
    return velocity_mps


def _valid_of(state: Record, timeline: Timeline) -> Bool[np.ndarray, " T"]:
    """Return where a track exists; somewhere, it must."""
    valid = state.numbers("valid", (timeline.num_steps,)) > 0.5
    if not valid.any():
        raise LayoutError("a track that is valid somewhere", found="no valid step", where=state.where)
    return valid


def _ego_of(state: Record, timeline: Timeline, *, origin_source_m: Float64[np.ndarray, "2"]) -> EgoTrack:
    """Read the ego track, which must be valid at every step."""
    valid = _valid_of(state, timeline)
    if not valid.all():
        step = int(np.argmin(valid))
        raise LayoutError("an ego track valid at every step", found=f"a gap at step {step}", where=state.where)
    position_m = np.zeros((timeline.num_steps, 3))
    position_m[:, :2] = state.columns("position", 2, num_rows=timeline.num_steps) - origin_source_m
    return EgoTrack(
        world_from_ego=planar_poses(position_m, state.numbers("heading", (timeline.num_steps,))),
        velocity_world_mps=_velocity_of(state, valid),
    )


def _agent_of(
    track: Record, track_id: str, timeline: Timeline, *, origin_source_m: Float64[np.ndarray, "2"]
) -> AgentTrack:
    """Read one track."""
    state = track.child("state")
    steps = timeline.num_steps
    valid = _valid_of(state, timeline)
    sizes_m = [state.columns(name, 1, num_rows=steps)[:, 0] for name in ("length", "width", "height")]
    size_lwh_m = np.array([np.median(size_m[valid]) for size_m in sizes_m])
    if (size_lwh_m <= 0.0).any():
        raise LayoutError("positive length, width, height", found=str(size_lwh_m.tolist()), where=state.where)
    velocity_mps = _velocity_of(state, valid)
    center_m = np.full((steps, 3), size_lwh_m[2] / 2.0)
    center_m[:, :2] = state.columns("position", 2, num_rows=steps) - origin_source_m
    source_type = track.text("type")
    source_category = track.child("metadata").text("type", default=source_type)
    category = _category_of(source_category, source_type)
    return AgentTrack(
        agent_id=track_id,
        category=category,
        size_lwh_m=size_lwh_m,
        center_world_m=hold_last_valid(center_m, valid),
        heading_rad=hold_last_valid(state.numbers("heading", (steps,)), valid),
        velocity_world_mps=hold_last_valid(velocity_mps, valid),
        valid=valid,
        attribute=_attribute_of(category, velocity_mps[valid]),
        source_category=source_category,
    )


def _category_of(source_category: str, source_type: str) -> AgentCategory:
    """Map the finer of the two names that is known."""
    if source_category == source_type and source_category not in CATEGORY_OF_NUSCENES:
        return CATEGORY_OF_TYPE.get(source_type, AgentCategory.OTHER)
    return category_of_nuscenes(source_category)


def _attribute_of(category: AgentCategory, velocity_mps: Float64[np.ndarray, "N 2"]) -> str:
    """Tell cycles with a rider from parked ones by their speed."""
    if category not in (AgentCategory.BICYCLE, AgentCategory.MOTORCYCLE):
        return ""
    is_ridden = bool((np.linalg.norm(velocity_mps, axis=1) > RIDDEN_SPEED_MPS).any())
    return "cycle.with_rider" if is_ridden else "cycle.without_rider"
