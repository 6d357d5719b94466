"""nuScenes v1.0: thirteen tables, pictures, LiDAR sweeps, vector map, map mask, CAN bus and splits.

The stock devkit opens it: `NuScenes(version="v1.0-scenegen", dataroot=...)`, `NuScenesMap(map_name="boston-seaport")`,
`NuScenesCanBus(dataroot=...)`, and its evaluations with the split `scenegen_train`, `scenegen_val` or `scenegen_test`.
"""

from __future__ import annotations

import json
from typing import Any

from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.keys import token_of
from scenegen.dataset.export.nuscenes.can_bus import write_can_bus
from scenegen.dataset.export.nuscenes.lidar import CHANNEL
from scenegen.dataset.export.nuscenes.map_mask import write_map_mask
from scenegen.dataset.export.nuscenes.scene_tables import LOCATION, ScenePlace, SceneTables, place_scene
from scenegen.dataset.export.nuscenes.sheet import Sheet, build_sheet
from scenegen.dataset.export.nuscenes.tables import Tables, open_tables
from scenegen.dataset.export.nuscenes.vector_map import write_vector_map
from scenegen.dataset.stored_scene import Scene

VERSION = "v1.0-scenegen"
SPLITS = ("train", "val", "test")
MAP_NOTE = {
    "what": "maps of generated scenes, laid out side by side; no real place",
    "name": f"{LOCATION}, because the devkit's map reader accepts four names only",
}


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    sheet = build_sheet(job.scenes())
    channels: dict[str, None] = {}
    log_tokens: list[str] = []
    about: dict[str, dict[str, Any]] = {}
    with open_tables(job.folder / VERSION) as tables:
        for scene in job.scenes():
            place = place_scene(job, sheet, scene)
            writer = SceneTables(scene, place, tables)
            writer.write(job.step_done)
            write_can_bus(
                job.folder / "can_bus", scene, name=place.name, stamps_us=place.stamps_us, shift_m=place.shift_m
            )
            channels |= dict.fromkeys(scene.cameras)
            log_tokens.append(writer.log_token)
            about[place.name] = _about(scene, place)
        _add_sensors(tables, [*channels, CHANNEL])
        _write_map(job, sheet, tables, log_tokens)
    _write_splits(job, about)


def _about(scene: Scene, place: ScenePlace) -> dict[str, Any]:
    attributes = scene.attrs
    return {
        "scene_id": scene.scene_id,
        "split": attributes["split"],
        "synthetic": scene.is_synthetic,
        "prompt": attributes["prompt"],
        "model": attributes["model"],
        "source": attributes["source"],
        "map_from_world_m": place.shift_m.tolist(),
        "start_us": int(place.stamps_us[0]),
    }


def _add_sensors(tables: Tables, channels: list[str]) -> None:
    for channel in channels:
        modality = "lidar" if channel == CHANNEL else "camera"
        tables.add("sensor", {"token": token_of("sensor", channel), "channel": channel, "modality": modality})


def _write_map(job: ExportJob, sheet: Sheet, tables: Tables, log_tokens: list[str]) -> None:
    token = token_of("map", *sorted(tile.key for tile in sheet.tiles()))
    filename = f"maps/{token}.png"
    write_vector_map(job.folder / "maps" / "expansion" / f"{LOCATION}.json", sheet, note=MAP_NOTE)
    write_map_mask(job.folder / filename, sheet)
    tables.add("map", {"category": "semantic_prior", "token": token, "filename": filename, "log_tokens": log_tokens})


def _write_splits(job: ExportJob, about: dict[str, dict[str, Any]]) -> None:
    """Write the splits under names that the devkit does not take for its own, and what each scene is."""
    splits = {
        f"scenegen_{split}": [name for name, facts in about.items() if facts["split"] == split] for split in SPLITS
    }
    splits["scenegen_all"] = list(about)
    (job.folder / VERSION / "splits.json").write_text(json.dumps(splits, indent=1) + "\n")
    (job.folder / VERSION / "scenegen_scenes.json").write_text(json.dumps(about, indent=1) + "\n")
