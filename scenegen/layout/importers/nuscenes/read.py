"""nuScenes scenes by their tables and nuscenes-devkit.

What is exact: x, y, heading, size and attribute of every annotation, and the ego poses, at the times of the record
(`tracks.py`). Velocities of agents are the devkit's, those of the ego differences of its poses.

What is approximate, because a layout's ground is flat at z = 0 and nuScenes has no ground height: agents stand on the
ground, the ego's rear axle (the ego pose of nuScenes) is upright on it. An attribute that changes with time becomes
the most frequent one. Night and rain are read from the scene's description, as is usual with this data set.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from scenegen.layout.importers.nuscenes.expansion import read_expansion
from scenegen.layout.importers.nuscenes.scene import SceneRows, open_scene
from scenegen.layout.importers.nuscenes.tables import Row
from scenegen.layout.importers.nuscenes.tracks import (
    LONGEST_GAP_S,
    RATE_HZ,
    agent_of,
    attributes_of,
    ego_of,
    key_steps,
    timeline_of,
)
from scenegen.layout.importers.nuscenes_words import NUSCENES_LICENCE
from scenegen.layout.importers.source_tracks import layout_id_of
from scenegen.types.layout import Environment, Layout, RoadMap, SourceReport


def read_nuscenes(path: Path) -> Layout:
    """Read one scene.

    Args:
        path: ROOT, ROOT/VERSION, or either with the scene's name behind it; what is left out must be the only one.

    Raises:
        LayoutError: no such scene, a table missing or damaged, a chain broken, a value not finite; with file and token.
        DependencyError: nuscenes-devkit is not installed.
    """
    opened = open_scene(path)
    version, database, rows, scene = opened.version, opened.database, opened.rows, opened.rows.scene
    timeline = timeline_of(rows)
    ego, origin_m = ego_of(rows, timeline, version)
    location = str(database.get("log", scene["log_token"])["location"])
    agents = tuple(
        agent_of(database, instance, rows, timeline, origin_m=origin_m, folder=version) for instance in rows.annotations
    )
    expansion = version.parent / "maps" / "expansion" / f"{location}.json"
    road_map, map_counts, lost_map = (
        read_expansion(expansion, ego.position_world_m[:, :2], origin_m=origin_m)
        if expansion.is_file()
        else (RoadMap(), {}, [f"the roads: there is no map expansion maps/expansion/{location}.json"])
    )
    return Layout(
        layout_id=layout_id_of("nuscenes", scene["name"]),
        source="nuscenes",
        licence=NUSCENES_LICENCE,
        timeline=timeline,
        road_map=road_map,
        agents=agents,
        ego=ego,
        environment=environment_of(scene, location),
        report=SourceReport(
            counts={
                "samples": len(rows.samples),
                "sample_data": rows.num_sample_data,
                "ego poses read": len(rows.ego_poses),
                "instances": len(rows.annotations),
                "annotations": sum(len(track) for track in rows.annotations.values()),
                **map_counts,
            },
            lost=(*_lost(database, rows, version), *lost_map),
        ),
    )


def environment_of(scene: Row, location: str) -> Environment:
    """Read night and rain from the description."""
    description = str(scene.get("description", ""))
    words = description.lower()
    time_of_day = "night" if re.search(r"\bnight\b", words) else "day"
    is_rainy = re.search(r"(?<!after )\brain(y|ing)?\b", words) is not None
    weather = "rain" if is_rainy else "clear"
    what = f": {description}" if description else ""
    return Environment(weather=weather, time_of_day=time_of_day, prompt=f"a street in {location}, {time_of_day}{what}")


def _lost(database: Any, rows: SceneRows, version: Path) -> list[str]:
    """Say what of the tables a layout has no place for."""
    lost = ["pictures and sweeps, visibility and point counts, roll and pitch, heights over the ground"]
    tracks = rows.annotations.values()
    alone = sum(len(track) == 1 for track in tracks)
    if alone:
        lost.append(f"the duration and velocity of {alone} instances with a single annotation: they last one step")
    changing = sum(len(attributes_of(database, track, version / "sample_annotation.json")) > 1 for track in tracks)
    if changing:
        lost.append(f"changes of attribute of {changing} instances: the most frequent one is kept")
    gaps = sum(
        bool((np.diff([rows.sample_s[rows.sample_of[row["sample_token"]]] for row in track]) > LONGEST_GAP_S).any())
        for track in tracks
    )
    if gaps:
        lost.append(
            f"where {gaps} instances were in gaps of more than {LONGEST_GAP_S:g} s: they are not there meanwhile"
        )
    moved_s = float(np.abs(key_steps(rows) / RATE_HZ - rows.sample_s).max())
    lost.append(f"the exact times of key frames: steps are up to {moved_s * 1e3:.0f} ms beside them, places move along")
    return lost
