"""Small nuScenes tables that the tests write themselves, and the real scene 0916 put together from its parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Tables = dict[str, list[dict[str, Any]]]
START_US = 1_600_000_000_000_000
STAMPS_US = (0, 400_000, 950_000, 1_450_000, 1_950_000)
EGO_START_M = (700.0, 1800.0)
EGO_MPS, WALKER_MPS = 6.0, 1.5
LOCATION = "boston-seaport"

CATEGORY_NAMES = ("vehicle.car", "human.pedestrian.adult", "vehicle.bicycle", "movable_object.trafficcone")
ATTRIBUTE_NAMES = ("vehicle.moving", "pedestrian.moving", "pedestrian.standing", "cycle.with_rider")


def chain(rows: list[dict[str, Any]]) -> None:
    """Link rows by prev and next."""
    for idx, row in enumerate(rows):
        row["prev"] = rows[idx - 1]["token"] if idx else ""
        row["next"] = rows[idx + 1]["token"] if idx + 1 < len(rows) else ""


def small_tables() -> Tables:
    """The ego drives north at 6 m/s, a car 20 m before it; a walker goes east from the second sample on, a cyclist is
    annotated once, a cone stands. Key frames are 0.40 s, 0.55 s and 0.50 s apart."""
    north = [0.5**0.5, 0.0, 0.0, 0.5**0.5]
    samples = [
        {"token": f"sample-{idx}", "timestamp": START_US + stamp, "scene_token": "scene"}
        for idx, stamp in enumerate(STAMPS_US)
    ]
    chain(samples)
    poses = [
        {
            "token": f"pose-{idx}",
            "timestamp": row["timestamp"],
            "rotation": north,
            "translation": [EGO_START_M[0], EGO_START_M[1] + EGO_MPS * STAMPS_US[idx] * 1e-6, 0.0],
        }
        for idx, row in enumerate(samples)
    ]
    tracks: dict[
        str, tuple[str, str, tuple[float, ...], list[float], Callable[[float], tuple[float, float]], range]
    ] = {
        "car": ("vehicle.car", "vehicle.moving", (1.9, 4.5, 1.6), north, lambda t: (0.0, 20.0 + EGO_MPS * t), range(5)),
        "walker": (
            *("human.pedestrian.adult", "pedestrian.moving", (0.6, 0.5, 1.8), [1.0, 0.0, 0.0, 0.0]),
            lambda t: (3.0 + WALKER_MPS * t, 15.0),
            range(1, 5),
        ),
        "cyclist": ("vehicle.bicycle", "cycle.with_rider", (0.6, 1.8, 1.7), north, lambda t: (-4.0, 9.0), range(2, 3)),
        "cone": ("movable_object.trafficcone", "", (0.4, 0.4, 0.7), north, lambda t: (5.0, 5.0), range(5)),
    }
    annotations = []
    for name, (_, attribute, size_wlh, rotation, place, seen) in tracks.items():
        own = []
        for idx in seen:
            x, y = place(STAMPS_US[idx] * 1e-6)
            own.append(
                {
                    "token": f"{name}-{idx}",
                    "sample_token": f"sample-{idx}",
                    "instance_token": name,
                    "attribute_tokens": [attribute] if attribute else [],
                    "visibility_token": "4",
                    "translation": [EGO_START_M[0] + x, EGO_START_M[1] + y, 1.0],
                    "size": list(size_wlh),
                    "rotation": list(rotation),
                    "num_lidar_pts": 5,
                    "num_radar_pts": 0,
                }
            )
        chain(own)
        annotations += own
    return {
        "category": [{"token": name, "name": name, "description": ""} for name in CATEGORY_NAMES],
        "attribute": [{"token": name, "name": name, "description": ""} for name in ATTRIBUTE_NAMES],
        "visibility": [{"token": "4", "level": "v80-100", "description": ""}],
        "instance": [{"token": name, "category_token": track[0]} for name, track in tracks.items()],
        "sensor": [{"token": "lidar", "channel": "LIDAR_TOP", "modality": "lidar"}],
        "calibrated_sensor": [{"token": "calibrated", "sensor_token": "lidar"}],
        "ego_pose": poses,
        "log": [{"token": "log", "location": LOCATION}],
        "scene": [
            {
                "token": "scene",
                "name": "scene-0001",
                "description": "Night, after rain, a walker",
                "log_token": "log",
                "nbr_samples": 5,
                "first_sample_token": "sample-0",
                "last_sample_token": "sample-4",
            }
        ],
        "sample": samples,
        "sample_data": [
            {
                "token": f"data-{idx}",
                "sample_token": row["token"],
                "ego_pose_token": f"pose-{idx}",
                "calibrated_sensor_token": "calibrated",
                "timestamp": row["timestamp"],
                "is_key_frame": True,
            }
            for idx, row in enumerate(samples)
        ],
        "sample_annotation": annotations,
        "map": [{"token": "map", "category": "semantic_prior", "filename": "maps/prior.png", "log_tokens": ["log"]}],
    }


def write_tables(root: Path, tables: Tables, *, version: str = "v1.0-mini") -> Path:
    """Write tables under a root, and an empty raster where the devkit looks for one."""
    folder = root / version
    folder.mkdir(parents=True)
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    for row in tables["map"]:
        (root / row["filename"]).parent.mkdir(parents=True, exist_ok=True)
        (root / row["filename"]).touch()
    return folder


def small_expansion() -> dict[str, Any]:
    """A drivable square with a hole, a lane, a connector, dividers of two types, a crossing, a walkway, a car park."""
    nodes: list[dict[str, Any]] = []
    polygons: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []

    def node_tokens(*points: tuple[float, float]) -> list[str]:
        first = len(nodes)
        for x, y in points:
            nodes.append({"token": f"node-{len(nodes)}", "x": EGO_START_M[0] + x, "y": EGO_START_M[1] + y})
        return [f"node-{idx}" for idx in range(first, len(nodes))]

    def polygon(token: str, *corners: tuple[float, float], hole: tuple[tuple[float, float], ...] = ()) -> str:
        holes = [{"node_tokens": node_tokens(*hole)}] if hole else []
        polygons.append({"token": token, "exterior_node_tokens": node_tokens(*corners), "holes": holes})
        return token

    def line(token: str, *points: tuple[float, float]) -> str:
        lines.append({"token": token, "node_tokens": node_tokens(*points)})
        return token

    def box(x0: float, y0: float, x1: float, y1: float) -> tuple[tuple[float, float], ...]:
        return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))

    def straight(y0: float, y1: float) -> list[dict[str, Any]]:
        x, y, north = EGO_START_M[0], EGO_START_M[1], np.pi / 2
        return [
            {
                "start_pose": [x, y + y0, north],
                "end_pose": [x, y + y1, north],
                "shape": "LSR",
                "radius": 999.999,
                "segment_length": [0.0, y1 - y0, 0.0],
            }
        ]

    divider = line("divider-line", (2.0, -30.0), (2.0, 0.0), (2.0, 20.0), (2.0, 40.0))
    types = ("SINGLE_DASHED_WHITE", "DOUBLE_SOLID_YELLOW", "NIL", "NIL")
    return {
        "version": "1.3",
        "canvas_edge": [2979.5, 2118.1],
        "polygon": polygons,
        "line": lines,
        "node": nodes,
        "drivable_area": [
            {
                "token": "road",
                "polygon_tokens": [polygon("road-p", *box(-30, -900, 30, 900), hole=box(10, 40, 20, 50))],
            }
        ],
        "road_segment": [],
        "road_block": [],
        "lane": [
            {
                "token": "lane",
                "polygon_token": polygon("lane-p", *box(-2, -30, 2, 40)),
                "lane_type": "CAR",
                "left_lane_divider_segments": [],
                "right_lane_divider_segments": [],
            }
        ],
        "lane_connector": [
            {"token": "connector", "polygon_token": polygon("connector-p", *box(-5, 40, 5, 60)), "lane_type": "CAR"}
        ],
        "ped_crossing": [{"token": "crossing", "polygon_token": polygon("crossing-p", *box(-8, 12, 8, 16))}],
        "walkway": [{"token": "walkway", "polygon_token": polygon("walkway-p", *box(30, -50, 34, 50))}],
        "stop_line": [],
        "carpark_area": [{"token": "parking", "polygon_token": polygon("parking-p", *box(-40, 0, -31, 20))}],
        "road_divider": [{"token": "middle", "line_token": line("middle-line", (-2.0, -30.0), (-2.0, 40.0))}],
        "lane_divider": [
            {
                "token": "divider",
                "line_token": divider,
                "lane_divider_segments": [
                    {"node_token": token, "segment_type": kind}
                    for token, kind in zip(lines[0]["node_tokens"], types, strict=True)
                ],
            }
        ],
        "traffic_light": [],
        "arcline_path_3": {"lane": straight(-30.0, 40.0), "connector": straight(40.0, 60.0)},
        "connectivity": {},
    }


NAME_OF_CLASS = {
    "bicycle": "vehicle.bicycle",
    "motorcycle": "vehicle.motorcycle",
    "pedestrian": "human.pedestrian.adult",
    "bus": "vehicle.bus.rigid",
    "car": "vehicle.car",
    "trailer": "vehicle.trailer",
    "truck": "vehicle.truck",
    "construction_vehicle": "vehicle.construction",
    "traffic_cone": "movable_object.trafficcone",
    "barrier": "movable_object.barrier",
}


def real_tables(shared: Path) -> tuple[Tables, dict[str, np.ndarray]]:
    """Put the tables of scene 0916 together: published rows, and its key frames of boxes in the global frame.

    Returns:
        The tables, and the velocities that the key frames state, x and y in the global frame, by annotation token.
    """
    from scipy.spatial.transform import Rotation

    data = shared / "nuscenes_mini"
    partial = {file.stem: json.loads(file.read_text()) for file in (data / "v1.0-mini_partial").glob("*.json")}
    record = json.loads((data / "keyframes_scene-0916.json").read_text())
    (scene,) = [row for row in partial["scene"] if row["name"] == "scene-0916"]
    sensor = next(row["token"] for row in partial["sensor"] if row["channel"] == "LIDAR_TOP")
    calibrated = next(row for row in partial["calibrated_sensor"] if row["sensor_token"] == sensor)
    category_of = {row["name"]: row["token"] for row in partial["category"]}
    tracks: dict[int, list[dict[str, Any]]] = {}
    class_of: dict[int, str] = {}
    stated: dict[str, np.ndarray] = {}
    poses, sample_data = [], []
    for frame in record["frames"]:
        lidar = frame["LIDAR_TOP"]
        global_from_lidar = np.array(lidar["extrinsics"])
        turn = Rotation.from_matrix(global_from_lidar[:3, :3])
        for idx, box in enumerate(lidar["annotations"]["boxes3d"]):
            track = lidar["annotations"]["boxes3d_track_ids"][idx]
            class_of[track] = record["class_names"][lidar["annotations"]["boxes3d_classes"][idx]]
            token = f"{frame['token']}-{track}"
            x, y, z, w = (turn * Rotation.from_quat([*box[7:], box[6]])).as_quat()
            velocity = turn.apply(np.nan_to_num(np.array(lidar["annotations"]["boxes3d_velocities"][idx], float)))
            stated[token] = velocity[:2]
            tracks.setdefault(track, []).append(
                {
                    "token": token,
                    "sample_token": frame["token"],
                    "instance_token": str(track),
                    "attribute_tokens": [],
                    "translation": (turn.apply(box[:3]) + global_from_lidar[:3, 3]).tolist(),
                    "size": box[3:6],
                    "rotation": [w, x, y, z],
                }
            )
        poses.append(
            {
                "token": f"pose-{frame['token']}",
                "timestamp": lidar["timestamp"],
                "translation": frame["can_bus"][:3],
                "rotation": frame["can_bus"][3:7],
            }
        )
        sample_data.append(
            {
                "token": f"data-{frame['token']}",
                "sample_token": frame["token"],
                "ego_pose_token": poses[-1]["token"],
                "calibrated_sensor_token": calibrated["token"],
                "timestamp": lidar["timestamp"],
                "is_key_frame": True,
            }
        )
    for rows in tracks.values():
        chain(rows)
    tables = {
        **{name: partial[name] for name in ("category", "attribute", "visibility", "sensor", "log", "map")},
        "calibrated_sensor": [calibrated],
        "scene": [scene],
        "sample": [row for row in partial["sample"] if row["scene_token"] == scene["token"]],
        "sample_data": sample_data,
        "ego_pose": poses,
        "instance": [
            {"token": str(track), "category_token": category_of[NAME_OF_CLASS[name]]}
            for track, name in class_of.items()
        ],
        "sample_annotation": [row for rows in tracks.values() for row in rows],
    }
    return tables, stated
