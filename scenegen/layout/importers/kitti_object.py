"""KITTI object detection, one frame per scene: left colour picture, Velodyne sweep, calibration, labels.

The ego frame, after KITTI's drawing of the car: the rear axle is 0.76 m behind the Velodyne, which is 1.73 m over the
road. A label is a box in the rectified frame of camera 0, the picture is that of camera 2, whose place on the car
follows from P2. Cyclists' boxes hold the rider. `DontCare` regions stay as annotated 2-D boxes only. Frames are not
in sequence: nothing moves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64
from PIL import Image, UnidentifiedImageError

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import invert_rigid
from scenegen.layout.importers.checked_json import check_principal_point, file_inside, rigid
from scenegen.layout.importers.kitti_text import lines_of, number_of, read_calibration
from scenegen.layout.importers.kitti_tracking import ATTRIBUTE_OF_SOURCE, CATEGORY_OF_SOURCE, LICENCE
from scenegen.layout.importers.source_tracks import layout_id_of
from scenegen.types import AgentCategory
from scenegen.types.recorded_log import (
    RecordedBox,
    RecordedBox2d,
    RecordedCamera,
    RecordedImage,
    RecordedLog,
    RecordedStep,
    RecordedSweep,
)

CAMERA = "CAM_LEFT"
EGO_FROM_VELO_M = (0.76, 0.0, 1.73)
NUM_COLUMNS = (15, 16)
"""Of a label; the last is a detector's score."""
PROJECTION_NUMBERS = 12


def read_kitti_logs(path: Path) -> list[RecordedLog]:
    """Read all labelled frames of a folder, or the one that the path names (`ROOT/000001`).

    Args:
        path: ROOT or ROOT/training with `image_2`, `velodyne`, `calib` and `label_2`; or ROOT/FRAME.

    Raises:
        LayoutError: a file missing or damaged; with file and line.
    """
    root, frame = (path, "") if path.is_dir() else (path.parent, path.name)
    folder = next((place for place in (root, root / "training") if (place / "label_2").is_dir()), None)
    if folder is None:
        raise LayoutError("a folder label_2, here or under training", found="none", where=str(root))
    frames = sorted(file.stem for file in (folder / "label_2").glob("*.txt"))
    if frame and frame not in frames:
        raise LayoutError("a labelled frame", found=f"{frame!r}", where=str(folder / "label_2"))
    return [_read_frame(folder, name) for name in ([frame] if frame else frames)]


def _read_frame(folder: Path, frame: str) -> RecordedLog:
    where = f"{folder}: frame {frame}"
    picture = file_inside(folder, f"image_2/{frame}.png", where=where)
    sweep = file_inside(folder, f"velodyne/{frame}.bin", where=where)
    calib = file_inside(folder, f"calib/{frame}.txt", where=where)
    labels = file_inside(folder, f"label_2/{frame}.txt", where=where)
    ego_from_velo = rigid(np.eye(3), np.array(EGO_FROM_VELO_M))
    velo_from_rect = _rigid_closely(read_calibration(calib).velo_from_cam)
    K, cam_from_rect = _projection_of(calib)
    ego_from_cam = ego_from_velo @ velo_from_rect @ invert_rigid(cam_from_rect)
    size_px = _size_px(picture)
    check_principal_point(K, size_px, where=f"{calib}: P2")
    boxes, boxes2d = _labels_of(labels, frame, ego_from_velo @ velo_from_rect)
    step = RecordedStep(
        stamp_us=0,
        source_from_ego=np.eye(4),
        boxes=boxes,
        images={CAMERA: RecordedImage(path=picture, stamp_us=0, source_from_cam=ego_from_cam, boxes2d=boxes2d)},
        sweep=RecordedSweep(path=sweep, format="kitti_bin", ego_from_lidar=ego_from_velo, sensor_lidar_m=np.zeros(3)),
    )
    counts: dict[str, int] = {"frames": 1, "2-D boxes": len(boxes2d)}
    for box in boxes2d:
        counts[box.source_category] = counts.get(box.source_category, 0) + 1
    return RecordedLog(
        log_id=layout_id_of("kitti", frame),
        source="kitti",
        licence=LICENCE,
        cameras=(RecordedCamera(name=CAMERA, K=K, ego_from_cam=ego_from_cam, size_px=size_px),),
        steps=(step,),
        counts=counts,
        lost=(
            "truncation, occlusion and observation angle of labels; the other three cameras",
            "the ego's speed: frames are not in sequence",
        ),
    )


def _projection_of(calib: Path) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, "4 4"]]:
    """Return K of camera 2, and its pose from the rectified frame of camera 0."""
    rows = {words[0]: (line, words[1:]) for line, words in lines_of(calib)}
    if "P2:" not in rows:
        raise LayoutError("a matrix P2", found=f"{', '.join(rows)!r:.80}", where=str(calib))
    line, words = rows["P2:"]
    where = f"{calib}:{line}: P2"
    if len(words) != PROJECTION_NUMBERS:
        raise LayoutError(f"{PROJECTION_NUMBERS} numbers", found=f"{len(words)}", where=where)
    matrix = np.array([number_of(word, where=where) for word in words]).reshape(3, 4)
    K = matrix[:, :3]
    is_pinhole = min(K[0, 0], K[1, 1]) > 1.0 and np.allclose(K[2], [0.0, 0.0, 1.0]) and K[0, 1] == K[1, 0] == 0.0
    if not is_pinhole:
        raise LayoutError("a pinhole without skew in P2", found=f"{K.tolist()}", where=where)
    return K, rigid(np.eye(3), np.linalg.solve(K, matrix[:, 3]))


def _labels_of(
    file: Path, frame: str, ego_from_rect: Float64[np.ndarray, "4 4"]
) -> tuple[tuple[RecordedBox, ...], tuple[RecordedBox2d, ...]]:
    boxes: list[RecordedBox] = []
    boxes2d: list[RecordedBox2d] = []
    for line, words in lines_of(file):
        where = f"{file}:{line}"
        if len(words) not in NUM_COLUMNS:
            raise LayoutError(f"{NUM_COLUMNS[0]} columns", found=f"{len(words)}", where=where)
        kind, numbers = words[0], [number_of(word, where=where) for word in words[1:15]]
        left, top, right, bottom = numbers[3:7]
        if not (left < right and top < bottom):
            raise LayoutError("left, top, right, bottom of a box", found=f"{numbers[3:7]}", where=where)
        track_id = "" if kind == "DontCare" else f"{frame}.{line}"
        boxes2d.append(RecordedBox2d(xyxy_px=(left, top, right, bottom), source_category=kind, track_id=track_id))
        if kind == "DontCare":
            continue
        height, width, length = numbers[7:10]
        if min(height, width, length) <= 0.0:
            raise LayoutError("a positive height, width and length", found=f"{numbers[7:10]}", where=where)
        boxes.append(
            RecordedBox(
                track_id=track_id,
                category=CATEGORY_OF_SOURCE.get(kind, AgentCategory.OTHER),
                source_category=kind,
                size_lwh_m=np.array([length, width, height]),
                ego_from_box=ego_from_rect @ _rect_from_box(np.array(numbers[10:13]), numbers[13], height),
                attribute=ATTRIBUTE_OF_SOURCE.get(kind, ""),
            )
        )
    return tuple(boxes), tuple(boxes2d)


def _rect_from_box(
    bottom_m: Float64[np.ndarray, "3"], rotation_y_rad: float, height_m: float
) -> Float64[np.ndarray, "4 4"]:
    """Return the pose of a box's middle: x along its length, z up; KITTI turns about the camera's y, downward."""
    cos, sin = np.cos(rotation_y_rad), np.sin(rotation_y_rad)
    rotation = np.array([[cos, sin, 0.0], [0.0, 0.0, -1.0], [-sin, cos, 0.0]])
    return rigid(rotation, bottom_m - [0.0, height_m / 2.0, 0.0])


def _rigid_closely(pose: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    """Return a pose with its rotation made orthonormal: files have seven digits."""
    left, _, right = np.linalg.svd(pose[:3, :3])
    return rigid(left @ right, pose[:3, 3])


def _size_px(picture: Path) -> tuple[int, int]:
    """Read the size from the picture's header: KITTI's calibration does not have it."""
    try:
        with Image.open(picture, formats=("PNG", "JPEG")) as image:
            return image.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise LayoutError("a PNG picture", found=f"{type(error).__name__}", where=str(picture)) from error
