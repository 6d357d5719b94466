"""RDS-HQ, what the Cosmos-Drive-Dreams toolkit renders control videos from: a folder a kind, one webdataset tar a clip.

Written: `pose`, `vehicle_pose`, `pinhole_intrinsic` or `ftheta_intrinsic`, `timestamp`, `all_object_info`, `3d_lanes`,
`3d_lanelines`, `3d_road_boundaries`, `3d_crosswalks`, `3d_poles`, `captions`, and `dataset_scenegen.json` for the
toolkit's `config` folder. Clips are named `<uuid>_<start in microseconds>`; `clips.csv` names the scene of each.

What is converted: the toolkit counts frames at 30 Hz, and labels at every third of them. Poses and boxes in between are
interpolated from the scene's own steps (positions linearly, rotations along the shortest arc), those on a step are
exact. Poses are camera to world, in the scene's own world frame. Pictures are not part of it: see `mp4`.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.keys import TOKEN_SPACE, absolute_stamps_us
from scenegen.dataset.export.map_shapes import area_polygon, on_ground, outlines_m, upright_m
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DatasetError
from scenegen.types import AgentCategory, AgentTrack, Camera, RoadMap
from scenegen.types.layout import MOVING_MPS, USUAL_HEIGHT_M

FRAME_RATE_HZ, LABEL_EVERY = 30, 3
TYPE_OF_CATEGORY: dict[AgentCategory, str] = {
    AgentCategory.CAR: "Car",
    AgentCategory.TRUCK: "Truck",
    AgentCategory.BUS: "Bus",
    AgentCategory.TRAILER: "Truck",
    AgentCategory.CONSTRUCTION_VEHICLE: "Truck",
    AgentCategory.PEDESTRIAN: "Pedestrian",
    AgentCategory.MOTORCYCLE: "Cyclist",
    AgentCategory.BICYCLE: "Cyclist",
}
OTHER_TYPE = "Others"
MAP_TYPES = ("lanelines", "road_boundaries", "crosswalks", "poles")
POLE_KINDS = ("pole", "street_lamp")
NUM_FTHETA = 6


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A time between two steps: `before` and, `share` of the way to it, `after`."""

    before: int
    after: int
    share: float


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    cameras: dict[str, None] = {}
    with (job.folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        clips = csv.writer(file)
        clips.writerow(["clip_id", "split", "scene_id"])
        for scene in job.scenes():
            clip_id = clip_id_of(scene, start_us=int(absolute_stamps_us(job.dataset, scene)[0]))
            clips.writerow([clip_id, scene.attrs["split"], scene.scene_id])
            _write_clip(job, scene, clip_id)
            cameras |= dict.fromkeys(scene.cameras)
            for _ in range(scene.num_steps):
                job.step_done()
    (job.folder / "dataset_scenegen.json").write_text(json.dumps(_toolkit_settings(list(cameras)), indent=2) + "\n")


def clip_id_of(scene: Scene, *, start_us: int) -> str:
    """Return the name of a scene's clip."""
    return f"{uuid.uuid5(TOKEN_SPACE, f'{scene.scene_id}/clip')}_{start_us}"


def moments_of(scene: Scene) -> list[Moment]:
    """Return the frames of a clip: 30 a second, from the first step to the last."""
    stamps_s = scene.timestamps_us / 1e6
    frames_s = np.arange(int(np.floor(stamps_s[-1] * FRAME_RATE_HZ + 1e-3)) + 1) / FRAME_RATE_HZ
    moments = []
    for frame_s in frames_s.tolist():
        before = int(np.searchsorted(stamps_s, frame_s + 1e-6, side="right")) - 1
        after = min(before + 1, len(stamps_s) - 1)
        length_s = float(stamps_s[after] - stamps_s[before])
        share = (frame_s - float(stamps_s[before])) / length_s if length_s else 0.0
        moments.append(Moment(before=before, after=after, share=share if share > 1e-4 else 0.0))
    return moments


def _write_clip(job: ExportJob, scene: Scene, clip_id: str) -> None:
    moments = moments_of(scene)
    ego = np.stack([_pose_at(scene.ego2global, moment) for moment in moments])
    cameras = scene.rig.cameras
    start_us = int(clip_id.rpartition("_")[2])
    contents: dict[str, dict[str, Any]] = {
        "vehicle_pose": {f"{idx:06d}.vehicle_pose.npy": pose for idx, pose in enumerate(ego)},
        "pose": {
            f"{idx:06d}.pose.{camera.name}.npy": pose @ camera.ego_from_cam
            for idx, pose in enumerate(ego)
            for camera in cameras
        },
        "timestamp": {
            f"{idx:06d}.timestamp_micros.txt": str(start_us + round(idx * 1e6 / FRAME_RATE_HZ))
            for idx in range(len(moments))
        },
        "all_object_info": {
            f"{idx:06d}.all_object_info.json": _objects(scene, moments[idx])
            for idx in range(0, len(moments), LABEL_EVERY)
        },
        **_intrinsics(scene),
        **{f"3d_{name}": {f"{name}.json": labels} for name, labels in map_labels(scene.layout.road_map).items()},
    }
    for folder, content in contents.items():
        write_tar(job.folder / folder / f"{clip_id}.tar", clip_id, content)
    caption = job.folder / "captions" / f"{clip_id}.txt"
    caption.parent.mkdir(exist_ok=True)
    caption.write_text(scene.attrs["prompt"] + "\n")


def write_tar(path: Path, key: str, content: Mapping[str, Any]) -> None:
    """Write one webdataset sample: arrays as `.npy`, texts and JSON as they are. Equal content gives equal bytes."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, value in content.items():
            stream = io.BytesIO()
            if isinstance(value, np.ndarray):
                np.save(stream, value)
            else:
                stream.write((value if isinstance(value, str) else json.dumps(value, allow_nan=False)).encode())
            member = tarfile.TarInfo(f"{key}.{name}")
            member.size = stream.tell()
            stream.seek(0)
            tar.addfile(member, stream)


def _pose_at(poses: Float64[np.ndarray, "T 4 4"], moment: Moment) -> Float64[np.ndarray, "4 4"]:
    from scipy.spatial.transform import Rotation, Slerp

    before, after = poses[moment.before], poses[moment.after]
    if moment.share == 0.0:
        return before
    pose = before + moment.share * (after - before)
    turn = Slerp([0.0, 1.0], Rotation.from_matrix(np.stack([before[:3, :3], after[:3, :3]])))
    pose[:3, :3] = turn(moment.share).as_matrix()
    return pose


def _objects(scene: Scene, moment: Moment) -> dict[str, Any]:
    """Return every agent that is there before and after a moment."""
    objects = {}
    for agent in scene.layout.agents:
        if not (agent.valid[moment.before] and (moment.share == 0.0 or agent.valid[moment.after])):
            continue
        speed_mps = float(np.linalg.norm(agent.velocity_world_mps[moment.before]))
        objects[agent.agent_id] = {
            "object_to_world": _agent_pose(agent, moment).tolist(),
            "object_lwh": agent.size_lwh_m.tolist(),
            "object_is_moving": speed_mps > MOVING_MPS,
            "object_type": TYPE_OF_CATEGORY.get(agent.category, OTHER_TYPE),
        }
    return objects


def _agent_pose(agent: AgentTrack, moment: Moment) -> Float64[np.ndarray, "4 4"]:
    from scenegen.geometry.rigid import planar_poses

    steps = [moment.before, moment.after]
    return _pose_at(
        planar_poses(agent.center_world_m[steps], agent.heading_rad[steps]),
        Moment(before=0, after=1, share=moment.share),
    )


def _intrinsics(scene: Scene) -> dict[str, dict[str, Any]]:
    """Return the intrinsics by kind of lens.

    Raises:
        DatasetError: the format has no words for a lens.
    """
    found: dict[str, dict[str, Any]] = {}
    for camera in scene.rig.cameras:
        if camera.lens.model == "pinhole":
            kind, values = "pinhole_intrinsic", _pinhole(camera)
        elif camera.lens.model == "f_theta" and len(camera.lens.coefficients) <= NUM_FTHETA:
            kind, values = "ftheta_intrinsic", _ftheta(camera)
        else:
            raise DatasetError(
                f"pinhole cameras, or f_theta ones of at most {NUM_FTHETA} coefficients; rds_hq knows no other",
                found=f"{camera.name} ({camera.lens.model} of {len(camera.lens.coefficients)})",
                where=f"scene {scene.scene_id}",
                fix="generate with another rig, for example hyperion7",
            )
        found.setdefault(kind, {})[f"{kind}.{camera.name}.npy"] = values
    return found


def _pinhole(camera: Camera) -> Float64[np.ndarray, "6"]:
    K = camera.K
    return np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2], *camera.size_px], np.float64)


def _ftheta(camera: Camera) -> Float64[np.ndarray, "14"]:
    """Return centre, size, polynomial from angle to pixels, 0 for that direction, and an identity of stretch."""
    powers = np.zeros(NUM_FTHETA)
    powers[: len(camera.lens.coefficients)] = camera.lens.coefficients
    return np.array([camera.K[0, 2], camera.K[1, 2], *camera.size_px, *powers, 0.0, 1.0, 0.0, 0.0], np.float64)


def map_labels(road_map: RoadMap) -> dict[str, Any]:
    """Return the labels of every kind of map element."""
    return {
        "lanes": _labels("polyline3d", [lane.centerline_world_m for lane in road_map.lanes]),
        "lanelines": _labels("polyline3d", [line.points_world_m for line in road_map.lane_lines]),
        "road_boundaries": _labels("polyline3d", _road_edges(road_map)),
        "crosswalks": _labels("surface", [on_ground(area.polygon_world_m) for area in road_map.areas_of("crossing")]),
        "poles": _labels("polyline3d", _poles(road_map)),
    }


def _labels(shape: str, parts: list[Float64[np.ndarray, "_ 3"]]) -> dict[str, Any]:
    return {"labels": [{"labelData": {"shape3d": {shape: {"vertices": part.tolist()}}}} for part in parts]}


def _road_edges(road_map: RoadMap) -> list[Float64[np.ndarray, "_ 3"]]:
    """Return the outlines of all drivable ground together."""
    import shapely

    return outlines_m(shapely.union_all([area_polygon(area) for area in road_map.areas_of("drivable")]))


def _poles(road_map: RoadMap) -> list[Float64[np.ndarray, "_ 3"]]:
    props = [prop for prop in road_map.props if prop.kind in POLE_KINDS]
    return [upright_m(prop, usual_height_m=USUAL_HEIGHT_M[prop.kind]) for prop in props]


def _toolkit_settings(cameras: list[str]) -> dict[str, Any]:
    """Return what `render_from_rds_hq.py` reads as `config/dataset_scenegen.json`."""
    chunk = {"TARGET_CHUNK_FRAME": 121, "OVERLAP_FRAME": 0, "TARGET_RENDER_FPS": FRAME_RATE_HZ}
    size = {"RESIZE_RESOLUTION": [1280, 720], "TO_COSMOS_RESOLUTION": "resize"}
    return {
        "CAMERAS": cameras,
        "MINIMAP_TYPES": list(MAP_TYPES),
        "INPUT_POSE_FPS": FRAME_RATE_HZ,
        "INPUT_LIDAR_FPS": FRAME_RATE_HZ // LABEL_EVERY,
        "COSMOS_RESOLUTION": [1280, 704],
        "NOT_POST_TRAINING": {**size, **chunk, "MAX_CHUNK": 1},
        "POST_TRAINING": {**size, **chunk},
    }
