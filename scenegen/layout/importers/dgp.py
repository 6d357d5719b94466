"""Scenes in TRI's Dataset Governance Policy format (DDAD and its relatives): `dgp:SCENE_DIR`.

Read by hand: the `dgp` package wants torch, protobuf and twenty pinned others for what is six kinds of JSON file.

Exact: poses, calibration, boxes, point counts, 2-D boxes, pictures and clouds, each at its own stamp. The step's
moment is its cloud's. The frame of the cloud is taken as the vehicle's, with its origin on the ground: its `extrinsics`
are the identity. Tracks are those of `instance_id`. There is no map: a road is assumed along the ego's way.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import invert_rigid
from scenegen.layout.importers.checked_json import (
    Node,
    check_principal_point,
    intrinsics_of,
    read_json,
    rigid,
    rotation_of,
)
from scenegen.layout.importers.log_layout import flat_layout
from scenegen.layout.importers.source_tracks import layout_id_of
from scenegen.types import AgentCategory, Layout
from scenegen.types.recorded_log import (
    RecordedBox,
    RecordedBox2d,
    RecordedCamera,
    RecordedImage,
    RecordedLog,
    RecordedStep,
    RecordedSweep,
)

LICENCE = (
    "format and test scene MIT (Toyota Research Institute); recordings like DDAD's CC BY-NC-SA 4.0: "
    "research and testing, not commercial, attribution, share alike"
)
BOX2D_KEY, BOX3D_KEY = "0", "1"
"""Kinds of annotation by number, as in the format's own enumeration."""
MOST_SIZE_M = 60.0
CATEGORY_OF_DGP = {
    "Person": AgentCategory.PEDESTRIAN,
    "Pedestrian": AgentCategory.PEDESTRIAN,
    "Truck": AgentCategory.TRUCK,
    "Car": AgentCategory.CAR,
    "Bus/RV/Caravan": AgentCategory.BUS,
    "Motorcycle": AgentCategory.MOTORCYCLE,
    "Bicycle": AgentCategory.BICYCLE,
    "Trailer": AgentCategory.TRAILER,
}
"""Other classes (Wheeled Slow, Train, Towed Object) become OTHER."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def read_dgp(path: Path) -> Layout:
    """Read the layout of a scene folder, or of its `scene_*.json`.

    Raises:
        LayoutError: a file missing, damaged or inconsistent, with file and element.
    """
    return flat_layout(read_dgp_log(path))


def read_dgp_log(path: Path) -> RecordedLog:
    """Read everything but pixels and points of a scene.

    Raises:
        LayoutError: a file missing, damaged or inconsistent, with file and element.
    """
    file = _scene_file(path)
    folder = file.parent
    document = read_json(file)
    data = _by_key(document.get("data"))
    words = _words_of(document, folder)
    samples = document.get("samples").items()
    if not samples:
        raise LayoutError("at least one sample", found="none", where=f"{file.name}.samples")
    calibrations = {
        key: _calibration_of(folder, key, where=sample.where)
        for sample in samples
        for key in [sample.get("calibration_key").text()]
    }
    if len(calibrations) > 1:
        raise LayoutError("one calibration of a scene", found=f"{len(calibrations)}", where=f"{file.name}.samples")
    calibration = next(iter(calibrations.values()))
    names = _image_names(samples[0], data)
    steps = [_step_of(sample, data, names, calibration, words, folder) for sample in samples]
    for before, step, sample in zip(steps[:-1], steps[1:], samples[1:], strict=True):
        if step.stamp_us <= before.stamp_us:
            raise LayoutError("a stamp after the sample before", found=f"{step.stamp_us} us", where=sample.where)
    clouds = sum(step.sweep is not None for step in steps)
    return RecordedLog(
        log_id=layout_id_of("dgp", folder.name),
        source="dgp",
        licence=LICENCE,
        cameras=_cameras_of(names, calibration, samples[0], data),
        steps=tuple(steps),
        counts={
            "samples": len(steps),
            "cameras": len(names),
            "pictures": len(steps) * len(names),
            "clouds": clouds,
            "3-D boxes": sum(len(step.boxes) for step in steps),
            "2-D boxes": sum(len(image.boxes2d or ()) for step in steps for image in step.images.values()),
        },
        lost=("agent features and attributes, occlusion and truncation of boxes, radar and semantic maps",),
    )


def _scene_file(path: Path) -> Path:
    if path.is_file():
        return path
    files = sorted(path.glob("scene_*.json"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise LayoutError("one file scene_*.json", found=found, where=str(path), fix="name the file")
    return files[0]


def _by_key(data: Node) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for item in data.items():
        key = item.get("key").text()
        if key in found:
            raise LayoutError("a key of its own", found=f"{key!r} a second time", where=item.where)
        found[key] = item
    return found


def _words_of(document: Node, folder: Path) -> dict[str, dict[int, str]]:
    """Return, by kind of annotation, the word of every class id."""
    words: dict[str, dict[int, str]] = {}
    ontologies = document.get("ontologies")
    for kind in (BOX2D_KEY, BOX3D_KEY):
        if not ontologies.has(kind):
            continue
        name = f"ontology/{ontologies.get(kind).text()}.json"
        file = Node(name, ontologies.where).file(folder)
        words[kind] = {
            item.get("id").whole(most=1_000_000): item.get("name").text()
            for item in read_json(file).get("items").items()
        }
    return words


def _calibration_of(folder: Path, key: str, *, where: str) -> dict[str, tuple[Node, Node]]:
    """Return (intrinsics, extrinsics) by sensor."""
    document = read_json(Node(f"calibration/{key}.json", where).file(folder))
    names = [item.text() for item in document.get("names").items()]
    intrinsics, extrinsics = document.get("intrinsics").items(), document.get("extrinsics").items()
    if not len(names) == len(intrinsics) == len(extrinsics):
        found = f"{len(names)} names, {len(intrinsics)} intrinsics, {len(extrinsics)} extrinsics"
        raise LayoutError("as many intrinsics and extrinsics as names", found=found, where=document.where)
    return dict(zip(names, zip(intrinsics, extrinsics, strict=True), strict=True))


def _datums(sample: Node, data: dict[str, Node], kind: str) -> dict[str, tuple[Node, Node]]:
    """Return (datum, its content of a kind) of a sample by sensor name."""
    found: dict[str, tuple[Node, Node]] = {}
    for key in sample.get("datum_keys").items():
        if key.text() not in data:
            raise LayoutError("the key of a datum", found=f"{key.text()!r:.60}", where=key.where)
        item = data[key.text()]
        content = item.get("datum")
        if content.has(kind):
            found[item.get("id").get("name").text()] = (item, content.get(kind))
    return found


def _image_names(sample: Node, data: dict[str, Node]) -> tuple[str, ...]:
    names = tuple(sorted(_datums(sample, data, "image")))
    if not names:
        raise LayoutError("pictures", found="none", where=sample.where)
    return names


def _cameras_of(
    names: tuple[str, ...], calibration: dict[str, tuple[Node, Node]], sample: Node, data: dict[str, Node]
) -> tuple[RecordedCamera, ...]:
    images = _datums(sample, data, "image")
    cameras = []
    for name in names:
        intrinsics, extrinsics = _of_sensor(calibration, name, sample)
        image = images[name][1]
        size_px = (image.get("width").whole(least=1, most=65535), image.get("height").whole(least=1, most=65535))
        K = intrinsics_of(*(intrinsics.get(key) for key in ("fx", "fy", "cx", "cy")))
        check_principal_point(K, size_px, where=intrinsics.where)
        if abs(intrinsics.get("skew").number()) > 1e-6 if intrinsics.has("skew") else False:
            raise LayoutError("no skew", found=f"{intrinsics.get('skew').value}", where=intrinsics.where)
        cameras.append(RecordedCamera(name=name, K=K, ego_from_cam=_pose_of(extrinsics), size_px=size_px))
    return tuple(cameras)


def _of_sensor(calibration: dict[str, tuple[Node, Node]], name: str, sample: Node) -> tuple[Node, Node]:
    if name not in calibration:
        known = ", ".join(calibration)
        raise LayoutError(f"a calibration of {name!r}", found=f"those of {known}", where=sample.where)
    return calibration[name]


def _step_of(
    sample: Node,
    data: dict[str, Node],
    names: tuple[str, ...],
    calibration: dict[str, tuple[Node, Node]],
    words: dict[str, dict[int, str]],
    folder: Path,
) -> RecordedStep:
    clouds = _datums(sample, data, "point_cloud")
    if len(clouds) != 1:
        raise LayoutError("one point cloud per sample", found=f"{len(clouds)}", where=sample.where)
    lidar_name, (item, cloud) = next(iter(clouds.items()))
    ego_from_lidar = _pose_of(_of_sensor(calibration, lidar_name, sample)[1])
    source_from_ego = _pose_of(cloud.get("pose")) @ invert_rigid(ego_from_lidar)
    images = _datums(sample, data, "image")
    missing = [name for name in names if name not in images]
    if missing:
        raise LayoutError(f"a picture of {missing[0]!r}", found=f"those of {', '.join(images)}", where=sample.where)
    mounts_m = [_pose_of(_of_sensor(calibration, name, sample)[1])[:3, 3] for name in names]
    boxes_file = cloud.get("annotations").get(BOX3D_KEY).file(folder)
    return RecordedStep(
        stamp_us=_stamp_us(item),
        source_from_ego=source_from_ego,
        boxes=_boxes_of(boxes_file, words.get(BOX3D_KEY, {}), ego_from_lidar),
        images={name: _image_of(*images[name], words, folder) for name in names},
        sweep=RecordedSweep(
            path=cloud.get("filename").file(folder),
            format="dgp_npz",
            ego_from_lidar=ego_from_lidar,
            # The format does not say where beams begin: several sensors around the roof, among the cameras.
            sensor_lidar_m=(invert_rigid(ego_from_lidar) @ [*np.mean(mounts_m, axis=0), 1.0])[:3],
        ),
    )


def _image_of(item: Node, image: Node, words: dict[str, dict[int, str]], folder: Path) -> RecordedImage:
    annotations = image.get("annotations")
    boxes2d: tuple[RecordedBox2d, ...] | None = None
    if annotations.has(BOX2D_KEY):
        document = read_json(annotations.get(BOX2D_KEY).file(folder))
        boxes2d = tuple(_box2d_of(row, words.get(BOX2D_KEY, {})) for row in document.get("annotations").items())
    return RecordedImage(
        path=image.get("filename").file(folder),
        stamp_us=_stamp_us(item),
        source_from_cam=_pose_of(image.get("pose")),
        boxes2d=boxes2d,
    )


def _box2d_of(row: Node, words: dict[int, str]) -> RecordedBox2d:
    box = row.get("box")
    x, y = (box.get(key).number(least=-1e6, most=1e6) for key in "xy")
    width, height = (box.get(key).number(least=0.0, most=1e6) for key in "wh")
    return RecordedBox2d(
        xyxy_px=(x, y, x + width, y + height),
        source_category=_word(row, words),
        track_id=str(row.get("instance_id").whole(most=2**63)),
    )


def _boxes_of(file: Path, words: dict[int, str], ego_from_lidar: Float64[np.ndarray, "4 4"]) -> tuple[RecordedBox, ...]:
    boxes: dict[str, RecordedBox] = {}
    for row in read_json(file).get("annotations").items():
        box, word = row.get("box"), _word(row, words)
        track_id = str(row.get("instance_id").whole(most=2**63))
        if track_id in boxes:
            raise LayoutError("one box per instance and moment", found=f"{track_id} twice", where=row.where)
        size = [box.get(key).number(least=1e-3, most=MOST_SIZE_M) for key in ("length", "width", "height")]
        boxes[track_id] = RecordedBox(
            track_id=track_id,
            category=CATEGORY_OF_DGP.get(word, AgentCategory.OTHER),
            source_category=word,
            size_lwh_m=np.array(size),
            ego_from_box=ego_from_lidar @ _pose_of(box.get("pose")),
            num_lidar_pts=row.get("num_points").whole(most=2**31 - 1) if row.has("num_points") else None,
        )
    return tuple(boxes.values())


def _word(row: Node, words: dict[int, str]) -> str:
    class_id = row.get("class_id").whole(most=1_000_000)
    if class_id not in words:
        raise LayoutError("a class of the ontology", found=str(class_id), where=row.where)
    return words[class_id]


def _pose_of(pose: Node) -> Float64[np.ndarray, "4 4"]:
    rotation, translation = pose.get("rotation"), pose.get("translation")
    wxyz = np.array([rotation.get(f"q{axis}").number() for axis in "wxyz"])
    return rigid(rotation_of(wxyz, where=rotation.where), np.array([translation.get(axis).number() for axis in "xyz"]))


def _stamp_us(item: Node) -> int:
    stamp: Any = item.get("id").get("timestamp")
    try:
        moment = datetime.datetime.fromisoformat(stamp.text())
    except ValueError as error:
        raise LayoutError("a time stamp", found=f"{stamp.value!r:.60}", where=stamp.where) from error
    if moment.tzinfo is None:
        raise LayoutError("a time stamp with its zone", found=f"{stamp.value!r:.60}", where=stamp.where)
    return (moment - _EPOCH) // datetime.timedelta(microseconds=1)
