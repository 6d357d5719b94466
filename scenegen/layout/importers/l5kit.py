"""Lyft Level 5 / Woven prediction data set (L5Kit): scenes of 25 s at 10 Hz as perception saw them, in a Zarr store.

Read against the published format. Exact: centroid, yaw and velocity of every agent and the recording car's pose,
moved to its first position. A size is the median over a track, a label the one that is likeliest over a track. The
car's `ego_translation` is taken for the middle of its box, around which L5Kit draws it, so its rear axle is taken to
lie behind by our own car's distance. Boxes stand on the ground.

The semantic map is read where `semantic_map/semantic_map.pb` and `meta.json` lie beside the folder that the store is
in, as in the data set (`l5kit_map.py`); otherwise the road is assumed (`assumed_road.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.errors import LayoutError
from scenegen.layout.importers.assumed_road import CITY_STREET, build_assumed_road
from scenegen.layout.importers.l5kit_map import L5KitMap, read_l5kit_map, read_world_from_ecef
from scenegen.layout.importers.source_agents import (
    OwnCar,
    RecordedStates,
    build_recorded_agent,
    ego_of_box,
    said_of_velocities,
)
from scenegen.layout.importers.source_tracks import layout_id_of, require_plausible
from scenegen.layout.importers.zarr2_table import Fields, Zarr2Table
from scenegen.types import AgentCategory, AgentTrack, Environment, Layout, SourceReport, Timeline

LICENCE = "CC BY-NC-SA 4.0 (Lyft Level 5 prediction data set, Woven Planet): not commercial, attribution, share alike"
RATE_HZ = 10.0
STAMP_TOLERANCE = 0.2
"""Largest deviation of a step from the rate, as a share of it."""
MOST_FRAMES, MOST_TRACKS = 20_000, 10_000
ORTHONORMAL = 1e-3
SCENE_FIELDS: Fields = {"frame_index_interval": ("i", (2,)), "host": ("U", ()), "start_time": ("i", ())}
FRAME_FIELDS: Fields = {
    "timestamp": ("i", ()),
    "agent_index_interval": ("i", (2,)),
    "ego_translation": ("f", (3,)),
    "ego_rotation": ("f", (3, 3)),
}
LABELS = (
    "NOT_SET", "UNKNOWN", "DONTCARE", "CAR", "VAN", "TRAM", "BUS", "TRUCK", "EMERGENCY_VEHICLE", "OTHER_VEHICLE",
    "BICYCLE", "MOTORCYCLE", "CYCLIST", "MOTORCYCLIST", "PEDESTRIAN", "ANIMAL", "AVRESEARCH_DONTCARE",
)  # fmt: skip
"""In the order of `label_probabilities`, without `PERCEPTION_LABEL_`."""
AGENT_FIELDS: Fields = {
    "centroid": ("f", (2,)),
    "extent": ("f", (3,)),
    "yaw": ("f", ()),
    "velocity": ("f", (2,)),
    "track_id": ("u", ()),
    "label_probabilities": ("f", (len(LABELS),)),
}
CATEGORY_OF_LABEL = {
    "CAR": AgentCategory.CAR,
    "VAN": AgentCategory.CAR,
    "EMERGENCY_VEHICLE": AgentCategory.CAR,
    "TRAM": AgentCategory.BUS,
    "BUS": AgentCategory.BUS,
    "TRUCK": AgentCategory.TRUCK,
    "BICYCLE": AgentCategory.BICYCLE,
    "CYCLIST": AgentCategory.BICYCLE,
    "MOTORCYCLE": AgentCategory.MOTORCYCLE,
    "MOTORCYCLIST": AgentCategory.MOTORCYCLE,
    "PEDESTRIAN": AgentCategory.PEDESTRIAN,
    "ANIMAL": AgentCategory.ANIMAL,
}
ATTRIBUTE_OF_LABEL = {
    "BICYCLE": "cycle.without_rider",
    "MOTORCYCLE": "cycle.without_rider",
    "CYCLIST": "cycle.with_rider",
    "MOTORCYCLIST": "cycle.with_rider",
}


def read_l5kit(path: Path, number: int | None) -> Layout:
    """Read one scene of a store; without a number, the only one.

    Args:
        path: a folder `NAME.zarr` with `scenes`, `frames` and `agents`.
        number: of the scene, from 0.

    Raises:
        LayoutError: a part of the store or the map is missing, damaged, holds NaN or contradicts another one.
        DependencyError: there is a map, and protobuf or pyproj is not installed.
    """
    if not (path / ".zgroup").is_file():
        raise LayoutError("a Zarr store of version 2, a folder with .zgroup", found="none", where=str(path))
    frames_table, scene, number = _open_scene(path, number)
    begin, end = (int(bound) for bound in scene["frame_index_interval"])
    where = f"{frames_table.where}: frames {begin} to {end - 1}"
    if not 1 < end - begin <= MOST_FRAMES:
        raise LayoutError(f"2 to {MOST_FRAMES:,} frames of scene {number}", found=f"{begin} to {end}", where=where)
    frames = frames_table.rows(begin, end)
    _require_steps(frames["timestamp"], where=where)
    own = ego_of_box(*_ego_places(frames, where=where), rate_hz=RATE_HZ, where=where)
    agents_table = Zarr2Table(path / "agents", AGENT_FIELDS)
    agents, labels = _read_agents(agents_table, frames["agent_index_interval"], own.origin_source_m, where=where)
    roads = _roads(path, own, agents)
    return Layout(
        layout_id=layout_id_of("l5kit", f"{path.stem}-{number}"),
        source="l5kit",
        licence=LICENCE,
        timeline=Timeline(rate_hz=RATE_HZ, num_steps=len(frames)),
        road_map=roads.road_map,
        agents=agents,
        ego=own.ego,
        environment=Environment(style="suburb", prompt="a street in Palo Alto, California, by day"),
        report=SourceReport(
            counts={"frames": len(frames), "tracks": len(agents), **dict(sorted(labels.items())), **roads.counts},
            lost=(
                *roads.lost,
                "heights, roll and pitch, the probabilities of labels, traffic light states, the aerial map",
                *said_of_velocities(agents, rate_hz=RATE_HZ),
            ),
        ),
    )


def _open_scene(path: Path, number: int | None) -> tuple[Zarr2Table, np.void, int]:
    """Return the frames' table and the scene's row."""
    scenes = Zarr2Table(path / "scenes", SCENE_FIELDS)
    if number is None and scenes.num_rows != 1:
        raise LayoutError(
            "one scene, or a number",
            found=f"{scenes.num_rows} scenes",
            where=str(path),
            fix=f"say {path.name}/0 to /{scenes.num_rows - 1}",
        )
    number = number or 0
    if number >= scenes.num_rows:
        raise LayoutError(f"a scene {number}", found=f"{scenes.num_rows} scenes, from 0", where=str(path))
    return Zarr2Table(path / "frames", FRAME_FIELDS), scenes.rows(number, number + 1)[0], number


def _require_steps(stamp_ns: Int64[np.ndarray, " T"], *, where: str) -> None:
    """Check that frames follow each other at the rate."""
    elapsed_s = np.diff(stamp_ns.astype(np.float64)) * 1e-9
    uneven = ~(np.abs(elapsed_s * RATE_HZ - 1.0) <= STAMP_TOLERANCE)
    if uneven.any():
        step = int(np.argmax(uneven))
        raise LayoutError(
            f"timestamps at {RATE_HZ:g} Hz", found=f"{elapsed_s[step]:.3f} s after step {step}", where=where
        )


def _ego_places(frames: np.ndarray, *, where: str) -> tuple[Float64[np.ndarray, "T 2"], Float64[np.ndarray, " T"]]:
    """Return place and heading of the recording car, in the source's world."""
    place_m = frames["ego_translation"].astype(np.float64)
    rotation = frames["ego_rotation"].astype(np.float64)
    require_plausible(place_m, name="ego_translation", where=where)
    require_plausible(rotation, name="ego_rotation", where=where)
    off = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    wrong = (off > ORTHONORMAL) | (np.linalg.det(rotation) < 0.0)
    if wrong.any():
        step = int(np.argmax(wrong))
        raise LayoutError(
            "rotations in ego_rotation",
            found=f"one that is {off[step]:.3g} off orthonormal, or mirrors, at step {step}",
            where=where,
        )
    return place_m[:, :2], np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])


def _read_agents(
    table: Zarr2Table, intervals: Int64[np.ndarray, "T 2"], origin_m: Float64[np.ndarray, "2"], *, where: str
) -> tuple[tuple[AgentTrack, ...], Counter[str]]:
    """Read the agents of all frames of a scene and group them by track; and count labels."""
    begins, ends = intervals[:, 0], intervals[:, 1]
    apart = (begins > ends) | (np.concatenate([begins[:1], ends[:-1]]) != begins)
    if apart.any():
        step = int(np.argmax(apart))
        raise LayoutError(
            "agent_index_interval that goes on where the frame before ends",
            found=f"{intervals[step].tolist()} at step {step}",
            where=where,
        )
    rows = table.rows(int(begins[0]), int(ends[-1]))
    columns = {}
    for name in ("centroid", "extent", "yaw", "velocity", "label_probabilities"):
        columns[name] = rows[name].astype(np.float64)
        require_plausible(columns[name], name=name, where=f"{table.where}: rows from {begins[0]}")
    step_idx = np.repeat(np.arange(len(intervals)), ends - begins)
    order = np.lexsort((step_idx, rows["track_id"]))
    track_ids, starts = np.unique(rows["track_id"][order], return_index=True)
    if len(track_ids) > MOST_TRACKS:
        raise LayoutError(f"at most {MOST_TRACKS:,} tracks", found=f"{len(track_ids):,}", where=table.where)
    agents: list[AgentTrack] = []
    labels: Counter[str] = Counter()
    for track_id, rows_of_track in zip(track_ids, np.split(order, starts[1:]), strict=True):
        label = LABELS[int(np.argmax(columns["label_probabilities"][rows_of_track].sum(axis=0)))]
        labels[label] += 1
        agents.append(
            build_recorded_agent(
                RecordedStates(
                    step_idx=step_idx[rows_of_track],
                    center_m=columns["centroid"][rows_of_track] - origin_m,
                    heading_rad=columns["yaw"][rows_of_track],
                    velocity_mps=columns["velocity"][rows_of_track],
                ),
                agent_id=str(track_id),
                category=CATEGORY_OF_LABEL.get(label, AgentCategory.OTHER),
                source_category=label,
                size_lwh_m=np.median(columns["extent"][rows_of_track], axis=0).tolist(),
                num_steps=len(intervals),
                where=f"{table.where}: track {track_id}",
                attribute=ATTRIBUTE_OF_LABEL.get(label, ""),
            )
        )
    return tuple(agents), labels


def _roads(path: Path, own: OwnCar, agents: Sequence[AgentTrack]) -> L5KitMap:
    """Read the data set's map where it is, or assume a road."""
    root = path.resolve().parent.parent
    map_path, meta_path = root / "semantic_map" / "semantic_map.pb", root / "meta.json"
    if map_path.is_file() and meta_path.is_file():
        return read_l5kit_map(map_path, world_from_ecef=read_world_from_ecef(meta_path), own=own)
    road = build_assumed_road(own.ego, agents, section=CITY_STREET, rate_hz=RATE_HZ)
    return L5KitMap(road_map=road.road_map, counts={}, lost=road.lost)
