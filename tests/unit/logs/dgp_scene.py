"""A small DGP scene that the tests write themselves: a street with a wall, a parked car and a walker, two cameras.

The ground rises to the car's left, which sits level on its wheels in its own frame: so the test sees whether roll over
the ground is kept. The car's convex outline is painted red into every picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

SIZE_PX = (160, 96)
FOCAL_PX = 90.0
GROUND_SLOPE = 0.03
STEP_M = 0.8
CAM_FROM_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
MOUNTS = {"CAM_A": (0.0, (1.5, 0.0, 1.5)), "CAM_B": (-0.6, (1.5, -0.4, 1.5))}
"""Yaw and place of each camera on the car."""
CAR_PLACE_M, CAR_SIZE_LWH_M = np.array([11.0, -3.0]), np.array([4.4, 1.8, 1.5])
WALKER_PLACE_M, WALKER_SIZE_LWH_M = np.array([9.0, 3.5]), np.array([0.6, 0.6, 1.75])
RED = (255, 0, 0)

Change = Callable[[dict[str, Any]], None]


def write_dgp_scene(folder: Path, *, num_steps: int = 3, change: dict[str, Change] | None = None) -> Path:
    """Write a scene; `change` maps a file name (its last part) to what is done to its JSON before it is written."""
    change = change or {}
    folder.mkdir(parents=True, exist_ok=True)
    data: list[dict[str, Any]] = []
    samples: list[dict[str, Any]] = []
    for step in range(num_steps):
        keys = []
        ego = pose_matrix(0.3, (40.0 + STEP_M * step * np.cos(0.3), 20.0 + STEP_M * step * np.sin(0.3), 5.0))
        boxes = [
            box_row(1, 2, CAR_SIZE_LWH_M, place_of(step, CAR_PLACE_M, CAR_SIZE_LWH_M)),
            box_row(2, 0, WALKER_SIZE_LWH_M, place_of(step, WALKER_PLACE_M, WALKER_SIZE_LWH_M)),
        ]
        _write(folder / f"bounding_box_3d/LIDAR/{step}.json", {"annotations": boxes}, change, name=f"boxes-{step}")
        cloud = folder / f"point_cloud/LIDAR/{step}.npz"
        cloud.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(cloud, data=cloud_of(step))
        content = {"filename": str(cloud.relative_to(folder)), "pose": pose(ego)}
        content["annotations"] = {"1": f"bounding_box_3d/LIDAR/{step}.json"}
        keys.append(_datum(data, step, "LIDAR", "point_cloud", content, after_us=0))
        for name in MOUNTS:
            picture = folder / f"rgb/{name}/{step}.jpg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture_of(name, step)).save(picture, quality=95, subsampling=0)
            drawn = f"bounding_box_2d/{name}/{step}.json"
            _write(folder / drawn, {"annotations": [box2d_row(name, step)]}, change, name=f"drawn-{name}-{step}")
            content = {"filename": str(picture.relative_to(folder)), "width": SIZE_PX[0], "height": SIZE_PX[1]}
            content |= {"pose": pose(ego @ mount(name)), "annotations": {"0": drawn}}
            keys.append(_datum(data, step, name, "image", content, after_us=30_000))
        samples.append({"calibration_key": "calibration", "datum_keys": keys})
    words = [{"id": 0, "name": "Person"}, {"id": 2, "name": "Car"}]
    _write(folder / "ontology/words.json", {"items": words}, change, name="ontology")
    intrinsics = {"fx": FOCAL_PX, "fy": FOCAL_PX, "cx": SIZE_PX[0] / 2, "cy": SIZE_PX[1] / 2, "skew": 0.0}
    calibration = {
        "names": ["LIDAR", *MOUNTS],
        "intrinsics": [dict.fromkeys(intrinsics, 0.0), *(dict(intrinsics) for _ in MOUNTS)],
        "extrinsics": [pose(np.eye(4)), *(pose(mount(name)) for name in MOUNTS)],
    }
    _write(folder / "calibration/calibration.json", calibration, change, name="calibration")
    scene = {"data": data, "samples": samples, "ontologies": {"0": "words", "1": "words"}}
    _write(folder / "scene_test.json", scene, change, name="scene")
    return folder


def mount(name: str) -> Float64[np.ndarray, "4 4"]:
    """Return `ego_from_cam` of a camera."""
    yaw_rad, place_m = MOUNTS[name]
    matrix = pose_matrix(yaw_rad, place_m)
    matrix[:3, :3] = matrix[:3, :3] @ CAM_FROM_BODY
    return matrix


def place_of(step: int, place_m: np.ndarray, size_lwh_m: np.ndarray) -> np.ndarray:
    """Return where the middle of a standing thing is in frame `ego` at a step."""
    x, y = place_m - [STEP_M * step, 0.0]
    return np.array([x, y, GROUND_SLOPE * y + size_lwh_m[2] / 2])


def cloud_of(step: int) -> Float64[np.ndarray, "P 4"]:
    """Return ground, a wall 12 m to the left, and the car's front and side."""
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(-24.0, 24.0, 0.5), np.arange(-24.0, 12.0, 0.5)))
    ground = np.stack([x, y, GROUND_SLOPE * y], axis=1)
    along, up = (grid.ravel() for grid in np.meshgrid(np.arange(-24.0, 24.0, 0.3), np.arange(0.1, 4.0, 0.3)))
    wall = np.stack([along, np.full_like(along, 12.0), GROUND_SLOPE * 12.0 + up], axis=1)
    car_m = place_of(step, CAR_PLACE_M, CAR_SIZE_LWH_M)
    face = np.stack([grid.ravel() for grid in np.meshgrid([-2.19], np.linspace(-0.85, 0.85, 9), [-0.4, 0.0, 0.4])], 1)
    points = np.concatenate([ground, wall, car_m + face])
    return np.column_stack([points, np.full(len(points), 0.5)])


def picture_of(name: str, step: int) -> np.ndarray:
    """Return sky and road, and the car's convex outline in red."""
    image = Image.new("RGB", SIZE_PX, (90, 90, 90))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, 0, SIZE_PX[0], SIZE_PX[1] // 2], fill=(120, 160, 220))
    corners = car_corners_px(name, step)
    draw.polygon([tuple(corners[idx]) for idx in ConvexHull(corners).vertices], fill=RED)
    return np.asarray(image)


def car_corners_px(name: str, step: int) -> Float64[np.ndarray, "8 2"]:
    """Return the projected corners of the car's box."""
    signs = np.stack([grid.ravel() for grid in np.meshgrid(*[[-0.5, 0.5]] * 3)], axis=1)
    corners_m = place_of(step, CAR_PLACE_M, CAR_SIZE_LWH_M) + signs * CAR_SIZE_LWH_M
    in_cam = (corners_m - mount(name)[:3, 3]) @ mount(name)[:3, :3]
    return FOCAL_PX * in_cam[:, :2] / in_cam[:, 2:] + np.array(SIZE_PX) / 2


def box2d_row(name: str, step: int) -> dict[str, Any]:
    """Return the annotated box around the car."""
    low, high = car_corners_px(name, step).min(axis=0), car_corners_px(name, step).max(axis=0)
    low, high = low.clip(0, SIZE_PX), high.clip(0, SIZE_PX)
    box = {"x": low[0], "y": low[1], "w": high[0] - low[0], "h": high[1] - low[1]}
    return {"box": box, "class_id": 2, "instance_id": 1}


def box_row(instance_id: int, class_id: int, size_lwh_m: np.ndarray, place_m: np.ndarray) -> dict[str, Any]:
    """Return a 3-D box without a turn."""
    box = dict(zip(("length", "width", "height"), size_lwh_m.tolist(), strict=True))
    box["pose"] = pose(pose_matrix(0.0, tuple(place_m)))
    return {"box": box, "class_id": class_id, "instance_id": instance_id, "num_points": 10 * instance_id}


def pose_matrix(yaw_rad: float, place_m: tuple[float, ...]) -> Float64[np.ndarray, "4 4"]:
    """Return an upright pose."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("z", yaw_rad).as_matrix()
    matrix[:3, 3] = place_m
    return matrix


def pose(matrix: Float64[np.ndarray, "4 4"]) -> dict[str, Any]:
    """Return a pose as the format writes it."""
    x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat().tolist()
    return {
        "rotation": {"qw": w, "qx": x, "qy": y, "qz": z},
        "translation": dict(zip("xyz", matrix[:3, 3].tolist(), strict=True)),
    }


def _datum(
    data: list[dict[str, Any]], step: int, name: str, kind: str, content: dict[str, Any], *, after_us: int
) -> str:
    key = f"{name}-{step}"
    stamp = f"2020-01-01T00:00:{step:02d}.{after_us:06d}Z"
    data.append({"key": key, "id": {"name": name, "timestamp": stamp}, "datum": {kind: content}})
    return key


def _write(file: Path, document: dict[str, Any], change: dict[str, Change], *, name: str) -> None:
    if name in change:
        change[name](document)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document), encoding="utf-8")
