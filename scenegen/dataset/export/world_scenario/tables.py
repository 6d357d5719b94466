"""The parquet tables of a clip. Source of the columns: see the package's docstring.

The clip's frame is where the ego stands at the first step: x ahead, y left, z up. Quaternions are x, y, z, w. Stamps
are microseconds on the clock that `keys.absolute_stamps_us` sets for all formats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.dataset.export.arrow import import_pyarrow
from scenegen.dataset.export.map_shapes import lane_edges, on_ground
from scenegen.dataset.export.world_scenario import clip_map
from scenegen.dataset.export.world_scenario.views import rig_json
from scenegen.dataset.rotations import rotation_matrices, rotation_wxyz
from scenegen.dataset.stored_scene import Scene
from scenegen.geometry.rigid import invert_rigid, planar_pose, transform_points
from scenegen.types import AgentCategory, Lane, LaneLine

TABLE_VERSION = 1
OBSTACLE_CATEGORY: dict[AgentCategory, str] = {
    AgentCategory.CAR: "automobile",
    AgentCategory.TRUCK: "heavy_truck",
    AgentCategory.BUS: "bus",
    AgentCategory.TRAILER: "trailer",
    AgentCategory.CONSTRUCTION_VEHICLE: "other_vehicle",
    AgentCategory.PEDESTRIAN: "person",
    AgentCategory.MOTORCYCLE: "rider",
    AgentCategory.BICYCLE: "rider",
    AgentCategory.TRAFFIC_CONE: "protruding_object",
    AgentCategory.BARRIER: "protruding_object",
    AgentCategory.ANIMAL: "animal",
    AgentCategory.OTHER: "protruding_object",
}
LINE_STYLE = {"solid": "SOLID_SINGLE", "dashed": "LONG_DASHED_SINGLE", "double_solid": "SOLID_GROUP"}
VEHICLE_TYPE = {"vehicle": "CAR", "bus": "BUS", "bike": "BICYCLE"}
MPH_PER_MPS = 3600.0 / 1609.344
Row = dict[str, Any]


class ClipTables:
    """Writes the tables of one scene into a folder."""

    def __init__(self, folder: Path, scene: Scene, *, stamps_us: Int64[np.ndarray, " T"]) -> None:
        self._folder = folder
        self._scene = scene
        self._stamps_us = stamps_us
        self._clip_from_world = invert_rigid(scene.ego2global[0])

    def write(self, *, sensor_names: Mapping[str, str]) -> None:
        """Write every table; those of the map only where the map has such things."""
        self._write("calibration_estimate", self._calibration(sensor_names))
        self._write("egomotion_estimate", self._egomotion())
        self._write("obstacle", self._obstacles())
        road_map = self._scene.layout.road_map
        lanes = [lane for lane in road_map.lanes if lane.kind in VEHICLE_TYPE]
        self._write_map("lane", [self._lane(lane) for lane in lanes])
        self._write_map("lane_line", [self._lane_line(line) for line in road_map.lane_lines])
        boundaries = clip_map.boundaries_world_m(road_map)
        self._write_map("road_boundary", [self._place(ring, "road_boundary") for ring in boundaries])
        crossings = [area.polygon_world_m for area in road_map.areas_of("crossing")]
        self._write_map("crosswalk", [self._place(on_ground(ring), "PEDESTRIAN") for ring in crossings])
        poles = [prop for prop in road_map.props if prop.kind in clip_map.POLE_CATEGORY]
        rows = [self._place(clip_map.pole_world_m(prop), clip_map.POLE_CATEGORY[prop.kind]) for prop in poles]
        self._write_map("pole", rows)
        plates = clip_map.plates_of(road_map)
        for table, kind, category in (
            ("traffic_light", "traffic_light", "traffic_light"),
            ("traffic_sign", "sign", "TRAFFIC_SIGN_INFORMATION"),
        ):
            self._write_map(table, [self._plate(plate, category) for plate in plates if plate.kind == kind])

    def _calibration(self, sensor_names: Mapping[str, str]) -> list[Row]:
        rig = self._scene.rig
        content = {"name": rig.name, "rig_json": rig_json(rig, names=dict(sensor_names))}
        return [{"key": self._key(timestamp_micros=-1), "calibration_estimate": content, "version": TABLE_VERSION}]

    def _egomotion(self) -> list[Row]:
        poses = self._clip_from_world @ self._scene.ego2global
        rotations = rotation_wxyz(poses[:, :3, :3])
        return [
            {
                "key": self._key(timestamp_micros=int(stamp_us)),
                "egomotion_estimate": {
                    "name": "scenegen",
                    "location": _xyz(pose[:3, 3]),
                    "orientation": _xyzw(rotation),
                },
                "version": TABLE_VERSION,
            }
            for stamp_us, pose, rotation in zip(self._stamps_us, poses, rotations, strict=True)
        ]

    def _obstacles(self) -> list[Row]:
        rows = []
        for step, stamp_us in enumerate(self._stamps_us.tolist()):
            boxes = self._scene.boxes(step)
            centers_m = transform_points(self._clip_from_world, boxes.center_world_m)
            rotations = _turned(boxes.rotation_wxyz, self._clip_from_world)
            for row in range(len(boxes)):
                obstacle = {
                    "trackline_id": str(int(boxes.track_id[row])),
                    "center": _xyz(centers_m[row]),
                    "size": _xyz(boxes.size_lwh_m[row]),
                    "orientation": _xyzw(rotations[row]),
                    "category": obstacle_category(int(boxes.category[row]), boxes.attribute[row]),
                }
                key = self._key(timestamp_micros=stamp_us, label_class_id="obstacle")
                rows.append({"key": key, "obstacle": obstacle, "version": TABLE_VERSION})
        return rows

    def _lane(self, lane: Lane) -> Row:
        left, right = lane_edges(lane)
        limit_mps = lane.speed_limit_mps
        return {
            "left_rail": self._points(left),
            "right_rail": self._points(right),
            "left_edge_styles": ["VIRTUAL"] * (len(left) - 1),
            "right_edge_styles": ["VIRTUAL"] * (len(right) - 1),
            "left_edge_colors": ["WHITE"] * (len(left) - 1),
            "right_edge_colors": ["WHITE"] * (len(right) - 1),
            "speed_limit": None if limit_mps is None else limit_mps * MPH_PER_MPS,
            "vehicle_types": [VEHICLE_TYPE[lane.kind]],
        }

    def _lane_line(self, line: LaneLine) -> Row:
        size = len(line.points_world_m)
        return {
            "line_rail": self._points(line.points_world_m),
            "styles": [LINE_STYLE[line.kind]] * size,
            "colors": [line.color.upper()] * size,
        }

    def _place(self, points_world_m: Float64[np.ndarray, "N 3"], category: str) -> Row:
        return {"category": category, "location": self._points(points_world_m)}

    def _plate(self, plate: clip_map.Plate, category: str) -> Row:
        pose = self._clip_from_world @ planar_pose(0.0, 0.0, plate.heading_rad)
        return {
            "center": _xyz(transform_points(self._clip_from_world, plate.center_world_m)),
            "dimensions": _xyz(plate.size_lwh_m),
            "orientation": _xyzw(rotation_wxyz(pose[:3, :3])),
            "category": category,
        }

    def _points(self, points_world_m: Float64[np.ndarray, "N 3"]) -> list[dict[str, float]]:
        return [_xyz(point) for point in transform_points(self._clip_from_world, points_world_m)]

    def _key(self, **more: Any) -> Row:
        return {"clip_id": self._scene.scene_id, **more}

    def _write_map(self, name: str, contents: Sequence[Row]) -> None:
        if contents:
            key = self._key(label_class_id=name, map_id=self._scene.layout.layout_id, map_id_version="1")
            self._write(name, [{"key": key, name: content, "version": TABLE_VERSION} for content in contents])

    def _write(self, name: str, rows: list[Row]) -> None:
        arrow = import_pyarrow()
        table = arrow.Table.from_pylist(rows, schema=table_schema(name))
        arrow.parquet.write_table(table, self._folder / f"{self._scene.scene_id}.{name}.parquet")


def obstacle_category(category: int, attribute: str) -> str:
    """Return the format's word for an agent; a cycle that nobody rides is none of its riders."""
    kind = AgentCategory(category)
    if kind in (AgentCategory.BICYCLE, AgentCategory.MOTORCYCLE) and attribute == "cycle.without_rider":
        return "protruding_object"
    return OBSTACLE_CATEGORY[kind]


def table_schema(name: str) -> Any:
    """Return the Arrow schema of a table."""
    pa = import_pyarrow()

    def struct(**fields: Any) -> Any:
        return pa.struct([pa.field(field, kind) for field, kind in fields.items()])

    text, number, texts = pa.string(), pa.float64(), pa.list_(pa.string())
    xyz = struct(x=number, y=number, z=number)
    xyzw = struct(x=number, y=number, z=number, w=number)
    line, place = pa.list_(xyz), struct(category=text, location=pa.list_(xyz))
    plate = struct(center=xyz, dimensions=xyz, orientation=xyzw, category=text)
    stamped = {"clip_id": text, "timestamp_micros": pa.int64()}
    mapped = {"clip_id": text, "label_class_id": text, "map_id": text, "map_id_version": text}
    edges = dict.fromkeys(("left_edge_styles", "right_edge_styles", "left_edge_colors", "right_edge_colors"), texts)
    contents = {
        "calibration_estimate": (stamped, struct(name=text, rig_json=text)),
        "egomotion_estimate": (stamped, struct(name=text, location=xyz, orientation=xyzw)),
        "obstacle": (
            {**stamped, "label_class_id": text},
            struct(trackline_id=text, center=xyz, size=xyz, orientation=xyzw, category=text),
        ),
        "lane": (
            mapped,
            struct(left_rail=line, right_rail=line, **edges, speed_limit=number, vehicle_types=texts),
        ),
        "lane_line": (mapped, struct(line_rail=line, styles=texts, colors=texts)),
        "road_boundary": (mapped, place),
        "crosswalk": (mapped, place),
        "pole": (mapped, place),
        "traffic_light": (mapped, plate),
        "traffic_sign": (mapped, plate),
    }
    key, content = contents[name]
    return pa.schema([("key", struct(**key)), (name, content), ("version", pa.uint64())])


def _turned(
    rotations: Float64[np.ndarray, "N 4"], dst_from_src: Float64[np.ndarray, "4 4"]
) -> Float64[np.ndarray, "N 4"]:
    """Move rotations (w, x, y, z) to another frame."""
    return rotation_wxyz(dst_from_src[:3, :3] @ rotation_matrices(rotations)) if len(rotations) else rotations


def _xyz(values: Float64[np.ndarray, "3"]) -> dict[str, float]:
    return dict(zip("xyz", values.tolist(), strict=True))


def _xyzw(wxyz: Float64[np.ndarray, "4"]) -> dict[str, float]:
    return dict(zip("wxyz", wxyz.tolist(), strict=True))
