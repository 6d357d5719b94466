"""Recorded logs to layouts: tracks out of the boxes of single steps, and a road where the source has none.

Two forms, which differ in how the ground is treated:

* `flat_layout`, for generating: as every importer, the ego upright on the ground, boxes standing on it.
* `level_layout`, for the log's own pictures: the ego keeps its height, roll and pitch over the ground plane beneath
  it, and boxes their exact place on the car, so that what is projected lands where the pictures show it. Boxes
  lose only their own roll and pitch over that plane.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from scenegen.geometry.rigid import invert_rigid, planar_poses
from scenegen.layout.importers.assumed_road import CITY_STREET, build_assumed_road
from scenegen.layout.importers.source_tracks import hold_last_valid, velocity_by_differences
from scenegen.types import AgentTrack, EgoTrack, Layout, Timeline
from scenegen.types.layout import SourceReport
from scenegen.types.recorded_log import RecordedBox, RecordedLog


def flat_layout(log: RecordedLog) -> Layout:
    """Return the layout to generate from: the ego upright on the ground, every box standing on it.

    Raises:
        LayoutError: arrays that make no sense.
    """
    poses = planar_poses(_place_m(log), _heading_rad(log))
    return _layout(log, poses, lost=("roll, pitch and heights over the ground: the ego and all boxes stand on it",))


def level_layout(log: RecordedLog, ego_from_ground: Sequence[Float64[np.ndarray, "4 4"]]) -> Layout:
    """Return the layout of the log's own pictures.

    Args:
        log: the recording.
        ego_from_ground: per step, the pose on the car of the ground below it: origin beneath the ego's own, z along
            the normal of the ground, x forward.

    Raises:
        LayoutError: arrays that make no sense.
    """
    planar = planar_poses(_place_m(log), _heading_rad(log))
    poses = np.stack([world @ invert_rigid(ground) for world, ground in zip(planar, ego_from_ground, strict=True)])
    return _layout(log, poses, lost=("roll and pitch of boxes over the ground plane beneath the car",), is_level=True)


def _place_m(log: RecordedLog) -> Float64[np.ndarray, "T 3"]:
    """Return the ego's x and y from its first position, z zero."""
    place_m = np.stack([step.source_from_ego[:3, 3] for step in log.steps])
    place_m = place_m - place_m[0]
    place_m[:, 2] = 0.0
    return place_m


def _heading_rad(log: RecordedLog) -> Float64[np.ndarray, " T"]:
    forward = np.stack([step.source_from_ego[:2, 0] for step in log.steps])
    return np.arctan2(forward[:, 1], forward[:, 0])


def _layout(
    log: RecordedLog, world_from_ego: Float64[np.ndarray, "T 4 4"], *, lost: tuple[str, ...], is_level: bool = False
) -> Layout:
    place_m = _place_m(log)
    ego = EgoTrack(
        world_from_ego=world_from_ego, velocity_world_mps=velocity_by_differences(place_m[:, :2], log.elapsed_s)
    )
    agents, resized_m = _agents_of(log, world_from_ego, is_level=is_level)
    said = list(lost)
    if resized_m > 0.01:
        said.append(f"changes of a track's size, up to {resized_m:.2f} m: the median is kept")
    road_map = log.road_map
    if road_map is None:
        road = build_assumed_road(ego, agents, section=CITY_STREET, rate_hz=log.rate_hz)
        road_map, said = road.road_map, [*said, *road.lost]
    return Layout(
        layout_id=log.log_id,
        source=log.source,
        licence=log.licence,
        timeline=Timeline(rate_hz=log.rate_hz, num_steps=len(log.steps)),
        road_map=road_map,
        agents=agents,
        ego=ego,
        environment=log.environment,
        report=SourceReport(counts=dict(log.counts), lost=(*log.lost, *said)),
    )


def _agents_of(
    log: RecordedLog, world_from_ego: Float64[np.ndarray, "T 4 4"], *, is_level: bool
) -> tuple[tuple[AgentTrack, ...], float]:
    """Return all tracks in the order of their first boxes, and by how much a size changes at most."""
    boxes_of: dict[str, dict[int, RecordedBox]] = {}
    for step_idx, step in enumerate(log.steps):
        for box in step.boxes:
            boxes_of.setdefault(box.track_id, {})[step_idx] = box
    agents, resized_m = [], 0.0
    for track_id, boxes in boxes_of.items():
        sizes = np.stack([box.size_lwh_m for box in boxes.values()])
        size = np.median(sizes, axis=0)
        resized_m = max(resized_m, float(np.abs(sizes - size).max()))
        agents.append(_track(log, track_id, boxes, size, world_from_ego, is_level=is_level))
    return tuple(agents), resized_m


def _track(
    log: RecordedLog,
    track_id: str,
    boxes: dict[int, RecordedBox],
    size_lwh_m: Float64[np.ndarray, "3"],
    world_from_ego: Float64[np.ndarray, "T 4 4"],
    *,
    is_level: bool,
) -> AgentTrack:
    num_steps = len(log.steps)
    steps = np.array(list(boxes))
    poses = np.stack([world_from_ego[idx] @ box.ego_from_box for idx, box in boxes.items()])
    valid = np.zeros(num_steps, np.bool_)
    valid[steps] = True
    center, heading, velocity = np.zeros((num_steps, 3)), np.zeros(num_steps), np.zeros((num_steps, 2))
    center[steps] = poses[:, :3, 3]
    if not is_level:
        center[steps, 2] = size_lwh_m[2] / 2
    heading[steps] = np.arctan2(poses[:, 1, 0], poses[:, 0, 0])
    velocity[steps] = velocity_by_differences(center[steps, :2], log.elapsed_s[steps])
    for idx, box in boxes.items():
        if box.velocity_ego_mps is not None:
            velocity[idx] = (world_from_ego[idx][:3, :3] @ [*box.velocity_ego_mps, 0.0])[:2]
    last = boxes[max(boxes)]
    words = Counter(box.category for box in boxes.values())
    category = words.most_common(1)[0][0]
    attributes = Counter(box.attribute for box in boxes.values())
    return AgentTrack(
        agent_id=track_id,
        category=category,
        size_lwh_m=size_lwh_m,
        center_world_m=hold_last_valid(center, valid),
        heading_rad=hold_last_valid(heading, valid),
        velocity_world_mps=velocity,
        valid=valid,
        attribute=attributes.most_common(1)[0][0],
        source_category=last.source_category,
    )
