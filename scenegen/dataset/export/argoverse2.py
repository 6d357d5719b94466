"""Argoverse 2 sensor logs: `<split>/<log id>/` with annotations, poses, calibration, pictures, sweeps and vector map.

Log ids are UUIDs made of scene ids; `logs.csv` names the scene of each. Annotations, poses and pictures come at every
step, sweeps at key frames. What is converted: boxes go to the ego frame of their stamp, sweeps from the LiDAR's to the
ego frame, stamps to nanoseconds since 1970. The ego frame keeps its origin on the ground, under the rear axle; the
original's is at the height of the axle. Areas lose their holes, and `OTHER` is a category that Argoverse does not have.
"""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.arrow import import_pyarrow
from scenegen.dataset.export.keys import TOKEN_SPACE, absolute_stamps_us
from scenegen.dataset.export.map_shapes import crossing_edges, lane_connections, lane_edges
from scenegen.dataset.export.nuscenes.scene_tables import check_pinholes
from scenegen.dataset.labels import LidarSweep
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.rotations import rotation_matrices, rotation_wxyz
from scenegen.dataset.stored_scene import Scene
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import AgentCategory, AgentTrack, RoadMap

NAME_OF_CATEGORY: dict[AgentCategory, str] = {
    AgentCategory.CAR: "REGULAR_VEHICLE",
    AgentCategory.TRUCK: "TRUCK",
    AgentCategory.BUS: "BUS",
    AgentCategory.TRAILER: "VEHICULAR_TRAILER",
    AgentCategory.CONSTRUCTION_VEHICLE: "LARGE_VEHICLE",
    AgentCategory.PEDESTRIAN: "PEDESTRIAN",
    AgentCategory.MOTORCYCLE: "MOTORCYCLIST",
    AgentCategory.BICYCLE: "BICYCLIST",
    AgentCategory.TRAFFIC_CONE: "CONSTRUCTION_CONE",
    AgentCategory.BARRIER: "CONSTRUCTION_BARREL",
    AgentCategory.ANIMAL: "ANIMAL",
    AgentCategory.OTHER: "OTHER",
}
WITHOUT_RIDER = {"MOTORCYCLIST": "MOTORCYCLE", "BICYCLIST": "BICYCLE"}
LANE_TYPE_OF_KIND = {"vehicle": "VEHICLE", "bus": "BUS", "bike": "BIKE"}
CITY = "SGN"
"""No city of Argoverse."""
LIDAR_NAME = "up_lidar"
FULL_INTENSITY = 255.0
POSE_COLUMNS = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    import_pyarrow()
    with (job.folder / "logs.csv").open("w", encoding="utf-8", newline="") as file:
        logs = csv.writer(file)
        logs.writerow(["log_id", "split", "scene_id"])
        for scene in job.scenes():
            check_pinholes(scene, format="argoverse2")
            log_id = log_id_of(scene.scene_id)
            logs.writerow([log_id, scene.attrs["split"], scene.scene_id])
            _write_log(job, scene, job.folder / scene.attrs["split"] / log_id)


def log_id_of(scene_id: str) -> str:
    """Return the log id of a scene."""
    return str(uuid.uuid5(TOKEN_SPACE, f"{scene_id}/log"))


def _write_log(job: ExportJob, scene: Scene, folder: Path) -> None:
    stamps_ns = absolute_stamps_us(job.dataset, scene) * 1000
    for part in ("calibration", "map", "sensors/lidar", *(f"sensors/cameras/{name}" for name in scene.cameras)):
        (folder / part).mkdir(parents=True)
    _write_table(folder / "city_SE3_egovehicle.feather", {"timestamp_ns": stamps_ns, **_poses(scene.ego2global)})
    _write_table(folder / "annotations.feather", _annotations(scene, stamps_ns))
    _write_calibration(folder / "calibration", scene)
    name = f"log_map_archive_{folder.name}____{CITY}_city_0.json"
    (folder / "map" / name).write_text(json.dumps(_vector_map(scene.layout.road_map)))
    pictures = {camera: PictureFiles(scene, camera) for camera in scene.cameras}
    for step in range(scene.num_steps):
        for camera, stored in pictures.items():
            path = folder / "sensors" / "cameras" / camera / f"{int(stamps_ns[step])}{stored.suffix}"
            path.write_bytes(stored[step].content)
        if scene.is_key_frame[step]:
            columns = _sweep(scene.lidar(step), scene.lidar2ego)
            _write_table(folder / "sensors" / "lidar" / f"{int(stamps_ns[step])}.feather", columns)
        job.step_done()


def _write_table(path: Path, columns: Mapping[str, Any]) -> None:
    pyarrow = import_pyarrow()
    pyarrow.feather.write_feather(pyarrow.table(dict(columns)), str(path), compression="lz4")


def _poses(pose: Float64[np.ndarray, "N 4 4"]) -> dict[str, Float64[np.ndarray, " N"]]:
    values = np.concatenate([rotation_wxyz(pose[:, :3, :3]), pose[:, :3, 3]], axis=1)
    return dict(zip(POSE_COLUMNS, np.ascontiguousarray(values.T), strict=True))


def _annotations(scene: Scene, stamps_ns: Int64[np.ndarray, " T"]) -> dict[str, Any]:
    """Return the columns of all boxes of a scene."""
    agents = scene.layout.agents
    parts: dict[str, list[Any]] = {name: [] for name in ("stamp", "track", "size", "pose", "points")}
    for step in range(scene.num_steps):
        boxes = scene.boxes(step)
        world_from_agent = np.tile(np.eye(4), (len(boxes), 1, 1))
        world_from_agent[:, :3, :3] = rotation_matrices(boxes.rotation_wxyz)
        world_from_agent[:, :3, 3] = boxes.center_world_m
        parts["stamp"].append(np.full(len(boxes), stamps_ns[step]))
        parts["track"].append(boxes.track_id)
        parts["size"].append(boxes.size_lwh_m)
        parts["pose"].append(invert_rigid(scene.ego2global[step]) @ world_from_agent)
        parts["points"].append(boxes.num_lidar_pts.astype(np.int64))
    track = np.concatenate(parts["track"]).tolist()
    uuids = [str(uuid.uuid5(TOKEN_SPACE, f"{scene.scene_id}/track/{idx}")) for idx in range(len(agents))]
    names = [category_name(agent) for agent in agents]
    size = np.concatenate(parts["size"])
    return {
        "timestamp_ns": np.concatenate(parts["stamp"]),
        "track_uuid": [uuids[idx] for idx in track],
        "category": [names[idx] for idx in track],
        **{name: size[:, column].copy() for column, name in enumerate(("length_m", "width_m", "height_m"))},
        **_poses(np.concatenate(parts["pose"])),
        "num_interior_pts": np.concatenate(parts["points"]),
    }


def category_name(agent: AgentTrack) -> str:
    """Return Argoverse's category of an agent; that of the log it came from, where it came from Argoverse."""
    if agent.source_category.isupper():
        return agent.source_category
    name = NAME_OF_CATEGORY[agent.category]
    return WITHOUT_RIDER.get(name, name) if agent.attribute == "cycle.without_rider" else name


def _write_calibration(folder: Path, scene: Scene) -> None:
    cameras = scene.rig.cameras
    poses = np.stack([*(camera.ego_from_cam for camera in cameras), scene.lidar2ego])
    names = [*(camera.name for camera in cameras), LIDAR_NAME]
    _write_table(folder / "egovehicle_SE3_sensor.feather", {"sensor_name": names, **_poses(poses)})
    K = np.stack([camera.K for camera in cameras])
    size = np.array([camera.size_px for camera in cameras], np.uint16)
    intrinsics = {"fx_px": K[:, 0, 0], "fy_px": K[:, 1, 1], "cx_px": K[:, 0, 2], "cy_px": K[:, 1, 2]}
    bends = {name: np.zeros(len(cameras)) for name in ("k1", "k2", "k3")}
    _write_table(
        folder / "intrinsics.feather",
        {
            "sensor_name": names[:-1],
            **{name: values.copy() for name, values in intrinsics.items()},
            **bends,
            "height_px": size[:, 1].copy(),
            "width_px": size[:, 0].copy(),
        },
    )


def _sweep(sweep: LidarSweep, lidar2ego: Float64[np.ndarray, "4 4"]) -> dict[str, Any]:
    points = transform_points(lidar2ego, sweep.points_lidar_m.astype(np.float64)).astype(np.float32)
    return {
        **{name: points[:, axis].copy() for axis, name in enumerate("xyz")},
        "intensity": np.round(sweep.intensity * FULL_INTENSITY).astype(np.uint8),
        "laser_number": sweep.ring,
        "offset_ns": np.zeros(len(sweep), np.int32),
    }


def _vector_map(road_map: RoadMap) -> dict[str, Any]:
    """Return lanes, crossings and drivable areas under running numbers."""
    lanes = [lane for lane in road_map.lanes if lane.kind in LANE_TYPE_OF_KIND]
    connections = lane_connections(lanes)
    segments = {}
    for idx, lane in enumerate(lanes):
        left, right = lane_edges(lane)
        segments[str(idx + 1)] = {
            "id": idx + 1,
            "is_intersection": lane.is_intersection,
            "lane_type": LANE_TYPE_OF_KIND[lane.kind],
            "left_lane_boundary": _corners(left),
            "left_lane_mark_type": "UNKNOWN",
            "right_lane_boundary": _corners(right),
            "right_lane_mark_type": "UNKNOWN",
            "successors": [after + 1 for before, after in connections if before == idx],
            "predecessors": [before + 1 for before, after in connections if after == idx],
            "right_neighbor_id": None,
            "left_neighbor_id": None,
        }
    number = len(lanes)
    crossings, drivable = {}, {}
    for area in road_map.areas_of("crossing"):
        number += 1
        first, second = crossing_edges(area)
        crossings[str(number)] = {"edge1": _corners(first), "edge2": _corners(second), "id": number}
    for area in road_map.areas_of("drivable"):
        number += 1
        drivable[str(number)] = {"area_boundary": _corners(area.polygon_world_m), "id": number}
    return {"pedestrian_crossings": crossings, "lane_segments": segments, "drivable_areas": drivable}


def _corners(points_m: Float64[np.ndarray, "N _"]) -> Sequence[dict[str, float]]:
    return [{"x": float(x), "y": float(y), "z": 0.0} for x, y in points_m[:, :2]]
