"""One nuScenes key frame as mmdetection3d's information file describes it: pictures, sweep, calibration, boxes.

The file has, for every camera, where the LiDAR of the step's moment was seen from the camera at its own exposure
(`lidar2cam`): the ego's motion in between is in it. Boxes are in the LiDAR's frame (x right, y forward), middle of the
box, length, width, height and yaw. Its per-camera boxes are projections of them; they are kept as annotated 2-D boxes,
matched to the 3-D boxes by their place.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import invert_rigid, planar_pose
from scenegen.layout.importers.checked_json import Node, check_principal_point, intrinsics_of, rigid_matrix
from scenegen.layout.importers.nuscenes_words import NUSCENES_LICENCE
from scenegen.layout.importers.restricted_pickle import read_restricted_pickle
from scenegen.layout.importers.source_tracks import layout_id_of
from scenegen.types import AgentCategory, parse_category
from scenegen.types.recorded_log import (
    RecordedBox,
    RecordedBox2d,
    RecordedCamera,
    RecordedImage,
    RecordedLog,
    RecordedStep,
    RecordedSweep,
)

SIZE_PX = (1600, 900)
NUSCENES_FROM_LIDAR = np.array(
    [[0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""nuScenes' LiDAR has x right and y forward; frame `lidar` has x forward and y left."""
MATCH_M = 0.05
MOST_SIZE_M = 60.0


def read_keyframe_logs(path: Path) -> list[RecordedLog]:
    """Read the key frames of an information file, one scene each.

    Args:
        path: the file, or the folder with one `keyframe_*_info.pkl` and `samples/`.

    Raises:
        LayoutError: a file missing, damaged, or a pickle that asks for anything but numpy.
    """
    file = path
    if path.is_dir():
        files = sorted(path.glob("keyframe_*_info.pkl"))
        if len(files) != 1:
            found = ", ".join(file.name for file in files) or "none"
            raise LayoutError("one file keyframe_*_info.pkl", found=found, where=str(path), fix="name the file")
        file = files[0]
    document = Node(read_restricted_pickle(file), file.name)
    categories = document.get("metainfo").get("categories")
    if not isinstance(categories.value, dict):
        raise LayoutError("names of classes", found=f"{categories.value!r:.60}", where=categories.where)
    words = {Node(number, categories.where).whole(): str(name) for name, number in categories.value.items()}
    items = document.get("data_list").items()
    if not items:
        raise LayoutError("at least one key frame", found="none", where=file.name)
    return [_read_keyframe(item, words, file) for item in items]


def _read_keyframe(item: Node, words: dict[int, str], file: Path) -> RecordedLog:
    folder = file.parent
    lidar = item.get("lidar_points")
    ego_from_nuscenes = rigid_matrix(lidar.get("lidar2ego"))
    source_from_ego = rigid_matrix(item.get("ego2global"))
    boxes = tuple(
        _box_of(row, f"{idx}", words, ego_from_nuscenes) for idx, row in enumerate(item.get("instances").items())
    )
    names = sorted(item.get("images").value) if isinstance(item.get("images").value, dict) else []
    if not names:
        raise LayoutError("pictures", found="none", where=item.get("images").where)
    cameras, images = [], {}
    for name in names:
        camera, image = _camera_of(item, name, words, boxes, source_from_ego @ ego_from_nuscenes, folder)
        cameras.append(camera)
        images[name] = image
    sweep_name = f"samples/LIDAR_TOP/{lidar.get('lidar_path').text()}"
    step = RecordedStep(
        stamp_us=round(item.get("timestamp").number(least=0.0, most=1e11) * 1e6),
        source_from_ego=source_from_ego,
        boxes=boxes,
        images=images,
        sweep=RecordedSweep(
            path=Node(sweep_name, f"{lidar.where}.lidar_path").file(folder),
            format="nuscenes_bin",
            ego_from_lidar=ego_from_nuscenes @ NUSCENES_FROM_LIDAR,
            sensor_lidar_m=np.zeros(3),
        ),
    )
    token = item.get("token").text()
    scene = file.stem.removeprefix("keyframe_").removesuffix("_info")
    return RecordedLog(
        log_id=layout_id_of("nuscenes", f"{scene}-{token[:8]}"),
        source="nuscenes_keyframe",
        licence=NUSCENES_LICENCE,
        cameras=tuple(cameras),
        steps=(step,),
        counts={"key frames": 1, "boxes": len(boxes), **{name: len(images[name].boxes2d or ()) for name in names}},
        lost=(
            "the map, radar points and attributes",
            "the ego's speed: there is one key frame",
        ),
    )


def _box_of(
    row: Node, track_id: str, words: dict[int, str], ego_from_nuscenes: Float64[np.ndarray, "4 4"]
) -> RecordedBox:
    """Return a box; what the file marks as of no detection class, by a label of -1, is OTHER."""
    label = row.get("bbox_label_3d").whole(least=-1, most=1000)
    if label >= 0 and label not in words:
        raise LayoutError("a class of metainfo.categories", found=str(label), where=row.where)
    category = parse_category(words.get(label, "other"))
    x, y, z, length, width, height, yaw_rad = row.get("bbox_3d").numbers(7)
    if not 0.0 < min(length, width, height) <= max(length, width, height) < MOST_SIZE_M:
        raise LayoutError(f"sizes up to {MOST_SIZE_M:g} m", found=f"{[length, width, height]}", where=row.where)
    velocity: Float64[np.ndarray, "2"] | None = None
    speeds = row.get("velocity").items() if row.has("velocity") else []
    if len(speeds) == 2 and all(item.value == item.value for item in speeds):  # NaN where the source does not know
        velocity = (ego_from_nuscenes[:3, :3] @ [speeds[0].number(), speeds[1].number(), 0.0])[:2]
    return RecordedBox(
        track_id=track_id,
        category=AgentCategory.OTHER if category is None else category,
        source_category=words.get(label, "other"),
        size_lwh_m=np.array([length, width, height]),
        ego_from_box=ego_from_nuscenes @ planar_pose(x, y, yaw_rad, z_m=z),
        velocity_ego_mps=velocity,
        num_lidar_pts=row.get("num_lidar_pts").whole(most=2**31 - 1),
    )


def _camera_of(
    item: Node,
    name: str,
    words: dict[int, str],
    boxes: tuple[RecordedBox, ...],
    source_from_nuscenes: Float64[np.ndarray, "4 4"],
    folder: Path,
) -> tuple[RecordedCamera, RecordedImage]:
    image = item.get("images").get(name)
    matrix = image.get("cam2img")
    rows = [row.items() for row in matrix.items()]
    if len(rows) != 3 or any(len(row) != 3 for row in rows):
        raise LayoutError("a 3x3 matrix", found=f"{matrix.value!r:.60}", where=matrix.where)
    K = intrinsics_of(rows[0][0], rows[1][1], rows[0][2], rows[1][2])
    check_principal_point(K, SIZE_PX, where=matrix.where)
    cam_from_nuscenes = rigid_matrix(image.get("lidar2cam"))
    picture = f"samples/{name}/{image.get('img_path').text()}"
    has_drawn = item.has("cam_instances") and item.get("cam_instances").has(name)
    drawn = item.get("cam_instances").get(name) if has_drawn else None
    in_cam = {box.track_id: (cam_from_nuscenes @ _nuscenes_place(box, item))[:3] for box in boxes}
    return (
        RecordedCamera(name=name, K=K, ego_from_cam=rigid_matrix(image.get("cam2ego")), size_px=SIZE_PX),
        RecordedImage(
            path=Node(picture, f"{image.where}.img_path").file(folder),
            stamp_us=round(image.get("timestamp").number(least=0.0, most=1e11) * 1e6),
            source_from_cam=source_from_nuscenes @ invert_rigid(cam_from_nuscenes),
            boxes2d=None if drawn is None else tuple(_box2d_of(row, words, in_cam) for row in drawn.items()),
        ),
    )


def _nuscenes_place(box: RecordedBox, item: Node) -> Float64[np.ndarray, "4"]:
    nuscenes_from_ego = invert_rigid(rigid_matrix(item.get("lidar_points").get("lidar2ego")))
    place: Float64[np.ndarray, "4"] = nuscenes_from_ego @ box.ego_from_box[:, 3]
    return place


def _box2d_of(row: Node, words: dict[int, str], in_cam: dict[str, Float64[np.ndarray, "3"]]) -> RecordedBox2d:
    """Return a 2-D box with the 3-D box whose middle is where the file has it, frame `cam`."""
    left, top, right, bottom = row.get("bbox").numbers(4)
    x, y, z, *_ = row.get("bbox_3d").numbers(7)
    place = np.array([x, y, z])
    nearest = min(in_cam, key=lambda track: float(np.linalg.norm(in_cam[track] - place)), default="")
    is_found = nearest != "" and float(np.linalg.norm(in_cam[nearest] - place)) < MATCH_M
    label = row.get("bbox_label").whole(least=-1, most=1000)
    return RecordedBox2d(
        xyxy_px=(left, top, right, bottom),
        source_category=words.get(label, "other"),
        track_id=nearest if is_found else "",
    )
