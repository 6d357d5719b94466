"""MCAP: `<scene>.mcap`, which Foxglove, Rerun and Lichtblick open. JSON messages with Foxglove's schemas.

| topic | schema | when |
|---|---|---|
| `/tf_static` | FrameTransforms: ego to every camera and to the LiDAR | once |
| `/map` | SceneUpdate: areas, lanes, painted lines | once |
| `/tf` | FrameTransforms: world to ego | every step |
| `/agents` | SceneUpdate: boxes; id is the agent's | every step |
| `/camera/<name>/image` | CompressedImage: the stored file, byte for byte | every step |
| `/camera/<name>/calibration` | CameraCalibration | every step |
| `/camera/<name>/boxes` | ImageAnnotations: 2-D boxes of what is visible | every step |
| `/lidar` | PointCloud: x, y, z, intensity, instance, ring | key frames |

`/lidar` and `/camera/<name>/boxes` are there where the scene holds these labels. Frames are `world`, `ego`, `lidar` and
the names of the cameras, with scenegen's axes. Log time and publish time are the step's stamp, on the clock that
`keys.absolute_stamps_us` sets for all formats. The metadata record `scenegen` says what the scene is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.bev_panel import AREA_RGB, CATEGORY_RGB, LINE_RGB
from scenegen.dataset.durable import output_errors
from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.keys import absolute_stamps_us
from scenegen.dataset.export.mcap_file import foxglove
from scenegen.dataset.export.mcap_file.calibration import describe_lens
from scenegen.dataset.labels import Boxes, Boxes2d, LidarSweep
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.rotations import rotation_wxyz
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DependencyError
from scenegen.types import AgentCategory, Camera

IMAGE_FORMATS = {".jpg": "jpeg", ".png": "png"}
POINT_TYPE = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z", "intensity")),
        ("instance", "<u2"),
        ("ring", "<u2"),
    ]
)
LANE_RGB = (96, 132, 160)
LANE_WIDTH_M, OUTLINE_WIDTH_M = 0.1, 0.15
BOX_ALPHA = 0.5
BOX_LINE_PX = 2.0
FONT_PX = 12.0


class SceneFile:
    """One MCAP file. A topic is declared when its first message comes. Use as a context manager.

    Raises:
        DependencyError: mcap is not installed.
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            from mcap.writer import Writer
        except ImportError as error:
            raise DependencyError(
                "mcap, which writes MCAP files", found=str(error), fix="pip install 'scenegen[mcap]'"
            ) from error
        self._path = path
        with output_errors(path):
            self._stream = path.open("wb")
        self._writer = Writer(self._stream)
        self._writer.start(profile="", library="scenegen")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._num_sent: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stream, output_errors(self._path):
            if kind is None:
                self._writer.finish()

    def describe(self, facts: Mapping[str, str]) -> None:
        """Add the metadata record."""
        with output_errors(self._path):
            self._writer.add_metadata("scenegen", dict(facts))

    def send(self, topic: str, schema: str, message: foxglove.Json, *, stamp_ns: int) -> None:
        """Append a message of one of `foxglove.SCHEMAS`."""
        if topic not in self._channels:
            self._channels[topic] = self._declare(topic, schema)
            self._num_sent[topic] = 0
        with output_errors(self._path):
            self._writer.add_message(
                self._channels[topic],
                log_time=stamp_ns,
                publish_time=stamp_ns,
                sequence=self._num_sent[topic],
                data=json.dumps(message, separators=(",", ":"), allow_nan=False).encode(),
            )
        self._num_sent[topic] += 1

    def _declare(self, topic: str, schema: str) -> int:
        with output_errors(self._path):
            if schema not in self._schemas:
                content = json.dumps(foxglove.SCHEMAS[schema]).encode()
                name = f"foxglove.{schema}"
                self._schemas[schema] = self._writer.register_schema(name=name, encoding="jsonschema", data=content)
            return int(
                self._writer.register_channel(topic=topic, message_encoding="json", schema_id=self._schemas[schema])
            )


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    for scene in job.scenes():
        stamps_ns = [int(stamp_us) * 1000 for stamp_us in absolute_stamps_us(job.dataset, scene)]
        with SceneFile(job.folder / f"{scene.scene_id}.mcap") as file:
            file.describe(_facts(scene))
            file.send("/tf_static", "FrameTransforms", _static_transforms(scene, stamps_ns[0]), stamp_ns=stamps_ns[0])
            file.send("/map", "SceneUpdate", _map_update(scene, stamps_ns[0]), stamp_ns=stamps_ns[0])
            pictures = {camera.name: PictureFiles(scene, camera.name) for camera in scene.rig.cameras}
            for step, stamp_ns in enumerate(stamps_ns):
                _send_step(file, scene, step, stamp_ns)
                for camera in scene.rig.cameras:
                    _send_camera(file, scene, camera, pictures[camera.name], step=step, stamp_ns=stamp_ns)
                job.step_done()


def _send_step(file: SceneFile, scene: Scene, step: int, stamp_ns: int) -> None:
    pose = _transform("world", "ego", scene.ego2global[step], stamp_ns)
    file.send("/tf", "FrameTransforms", {"transforms": [pose]}, stamp_ns=stamp_ns)
    file.send("/agents", "SceneUpdate", _agents_update(scene, scene.boxes(step), stamp_ns), stamp_ns=stamp_ns)
    if scene.is_key_frame[step] and scene.has_array("lidar/ptr"):
        file.send("/lidar", "PointCloud", _point_cloud(scene.lidar(step), stamp_ns), stamp_ns=stamp_ns)


def _send_camera(
    file: SceneFile, scene: Scene, camera: Camera, pictures: PictureFiles, *, step: int, stamp_ns: int
) -> None:
    topic, when = f"/camera/{camera.name}", foxglove.time_of(stamp_ns)
    picture = pictures[step]
    image = {
        "timestamp": when,
        "frame_id": camera.name,
        "data": base64.b64encode(picture.content).decode(),
        "format": IMAGE_FORMATS[picture.suffix],
    }
    file.send(f"{topic}/image", "CompressedImage", image, stamp_ns=stamp_ns)
    file.send(f"{topic}/calibration", "CameraCalibration", _calibration(camera, when), stamp_ns=stamp_ns)
    if scene.has_array("objects2d/ptr"):
        annotations = _annotations(scene.boxes(step), scene.boxes2d(step, camera.name), when)
        file.send(f"{topic}/boxes", "ImageAnnotations", annotations, stamp_ns=stamp_ns)


def _facts(scene: Scene) -> dict[str, str]:
    attributes = scene.attrs
    errors_px = {camera.name: describe_lens(camera).largest_error_px for camera in scene.rig.cameras}
    return {
        "scene_id": scene.scene_id,
        "synthetic": str(scene.is_synthetic).lower(),
        "split": attributes["split"],
        "prompt": attributes["prompt"],
        "seed": str(attributes["seed"]),
        "code_version": attributes["code_version"],
        "config_sha256": attributes["config_sha256"],
        "content_sha256": scene.receipt.content_sha256,
        **{f"model.{key}": str(value) for key, value in attributes["model"].items()},
        **{f"source.{key}": str(value) for key, value in attributes["source"].items()},
        "calibration_error_px": json.dumps({name: round(error_px, 3) for name, error_px in errors_px.items()}),
    }


def _transform(parent: str, child: str, parent_from_child: Float64[np.ndarray, "4 4"], stamp_ns: int) -> foxglove.Json:
    return {
        "timestamp": foxglove.time_of(stamp_ns),
        "parent_frame_id": parent,
        "child_frame_id": child,
        "translation": foxglove.vector(parent_from_child[:3, 3]),
        "rotation": foxglove.quaternion(rotation_wxyz(parent_from_child[:3, :3])),
    }


def _static_transforms(scene: Scene, stamp_ns: int) -> foxglove.Json:
    sensors = {camera.name: camera.ego_from_cam for camera in scene.rig.cameras}
    if scene.has_array("lidar/ptr"):
        sensors["lidar"] = scene.lidar2ego
    return {"transforms": [_transform("ego", name, pose, stamp_ns) for name, pose in sensors.items()]}


def _map_update(scene: Scene, stamp_ns: int) -> foxglove.Json:
    """Return the road map: one entity each for the outlines of areas, the lanes, and the painted lines."""
    road_map = scene.layout.road_map
    outlines = [
        foxglove.line(ring, rgb=AREA_RGB[area.kind], width_m=OUTLINE_WIDTH_M, kind=foxglove.LINE_LOOP)
        for area in road_map.areas
        for ring in (area.polygon_world_m, *area.holes_world_m)
    ]
    lanes = [foxglove.line(lane.centerline_world_m, rgb=LANE_RGB, width_m=LANE_WIDTH_M) for lane in road_map.lanes]
    painted = [
        foxglove.line(line.points_world_m, rgb=LINE_RGB[line.color], width_m=line.width_m)
        for line in road_map.lane_lines
    ]
    parts = {"areas": outlines, "lanes": lanes, "lane_lines": painted}
    return {
        "deletions": [],
        "entities": [
            foxglove.entity(name, frame_id="world", stamp_ns=stamp_ns, facts=[], lines=lines)
            for name, lines in parts.items()
        ],
    }


def _agents_update(scene: Scene, boxes: Boxes, stamp_ns: int) -> foxglove.Json:
    """Return all boxes of a step; those of earlier steps go."""
    agents = scene.layout.agents
    entities = []
    for row in range(len(boxes)):
        cube = {
            "pose": {
                "position": foxglove.vector(boxes.center_world_m[row]),
                "orientation": foxglove.quaternion(boxes.rotation_wxyz[row]),
            },
            "size": foxglove.vector(boxes.size_lwh_m[row]),
            "color": foxglove.color(CATEGORY_RGB[AgentCategory(int(boxes.category[row]))], alpha=BOX_ALPHA),
        }
        lidar = {} if boxes.stored_lidar_pts is None else {"num_lidar_pts": int(boxes.stored_lidar_pts[row])}
        facts = foxglove.metadata(
            category=boxes.category_names[boxes.category[row]],
            attribute=boxes.attribute[row],
            track_id=int(boxes.track_id[row]),
            speed_mps=round(float(np.linalg.norm(boxes.velocity_world_mps[row])), 3),
            visible_fraction=round(float(boxes.visible_fraction[row]), 4),
            **lidar,
        )
        name = agents[boxes.track_id[row]].agent_id
        entities.append(foxglove.entity(name, frame_id="world", stamp_ns=stamp_ns, facts=facts, cubes=[cube]))
    deletion = {"timestamp": foxglove.time_of(stamp_ns), "type": foxglove.DELETE_ALL, "id": ""}
    return {"deletions": [deletion], "entities": entities}


def _calibration(camera: Camera, when: foxglove.Json) -> foxglove.Json:
    lens = describe_lens(camera)
    width, height = camera.size_px
    return {
        "timestamp": when,
        "frame_id": camera.name,
        "width": width,
        "height": height,
        "distortion_model": lens.model,
        "D": list(lens.coefficients),
        "K": lens.K.ravel().tolist(),
        "R": np.eye(3).ravel().tolist(),
        "P": np.concatenate([lens.K, np.zeros((3, 1))], axis=1).ravel().tolist(),
    }


def _annotations(boxes: Boxes, seen: Boxes2d, when: foxglove.Json) -> foxglove.Json:
    """Return the 2-D boxes of a picture. Foxglove counts pixels from the outer corner, as scenegen does."""
    points, texts = [], []
    for row in range(len(seen)):
        box = int(seen.box[row])
        x1, y1, x2, y2 = (float(edge) for edge in seen.xyxy_px[row])
        tint = foxglove.color(CATEGORY_RGB[AgentCategory(int(boxes.category[box]))])
        name = boxes.category_names[boxes.category[box]]
        facts = foxglove.metadata(
            track_id=int(boxes.track_id[box]),
            depth_m=round(float(seen.depth_m[row]), 3),
            visible_fraction=round(float(seen.visible_fraction[row]), 4),
            num_px=int(seen.num_px[row]),
        )
        corners = [{"x": x, "y": y} for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
        none = foxglove.color((0, 0, 0), alpha=0.0)
        points.append(
            {
                "timestamp": when,
                "type": foxglove.IMAGE_LINE_LOOP,
                "points": corners,
                "outline_color": tint,
                "outline_colors": [],
                "fill_color": none,
                "thickness": BOX_LINE_PX,
                "metadata": facts,
            }
        )
        texts.append(
            {
                "timestamp": when,
                "position": corners[0],
                "text": f"{name} {int(boxes.track_id[box])}",
                "font_size": FONT_PX,
                "text_color": tint,
                "background_color": none,
                "metadata": [],
            }
        )
    return {"circles": [], "points": points, "texts": texts}


def _point_cloud(sweep: LidarSweep, stamp_ns: int) -> foxglove.Json:
    rows = np.zeros(len(sweep), POINT_TYPE)
    for axis, name in enumerate("xyz"):
        rows[name] = sweep.points_lidar_m[:, axis]
    for name in ("intensity", "instance", "ring"):
        rows[name] = getattr(sweep, name)
    fields: list[dict[str, Any]] = []
    for name in POINT_TYPE.names or ():
        kind, offset = POINT_TYPE.fields[name][:2] if POINT_TYPE.fields else (None, 0)
        fields.append({"name": name, "offset": offset, "type": foxglove.NUMERIC_TYPES[str(kind)]})
    return {
        "timestamp": foxglove.time_of(stamp_ns),
        "frame_id": "lidar",
        "pose": foxglove.IDENTITY_POSE,
        "point_stride": POINT_TYPE.itemsize,
        "fields": fields,
        "data": base64.b64encode(rows.tobytes()).decode(),
    }
