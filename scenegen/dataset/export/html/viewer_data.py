"""What the page's script draws: map, boxes, 2-D boxes and pictures, as JSON. World frame, metres, to the centimetre."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from jaxtyping import Float64
from PIL import Image

from scenegen.dataset.bev_panel import AREA_RGB, CATEGORY_RGB, LINE_RGB
from scenegen.dataset.rotations import yaw_rad
from scenegen.dataset.stored_scene import Scene
from scenegen.types import AgentCategory
from scenegen.types.layout import DASH_M, DASH_PERIOD_M

WIDEST_PICTURE_PX = 480
JPEG_QUALITY = 82


def static_data(scene: Scene) -> dict[str, Any]:
    """Return what does not change: cameras, categories, the map, and the path of the ego."""
    road_map = scene.layout.road_map
    return {
        "cameras": [{"name": camera.name, "size": list(camera.size_px)} for camera in scene.rig.cameras],
        "categories": [
            {"name": category.label.replace("_", " "), "rgb": list(CATEGORY_RGB[category])}
            for category in AgentCategory
        ],
        "agents": [agent.agent_id for agent in scene.layout.agents],
        "areas": [
            {
                "rgb": list(rgb),
                "rings": [_points(ring) for ring in (area.polygon_world_m, *area.holes_world_m)],
            }
            for kind, rgb in AREA_RGB.items()
            for area in road_map.areas_of(kind)
        ],
        "lanes": [
            {"points": _points(lane.centerline_world_m), "width": lane.width_m, "rgb": list(AREA_RGB["drivable"])}
            for lane in road_map.lanes
            if lane.kind != "walk"
        ],
        "lines": [
            {
                "points": _points(line.points_world_m),
                "rgb": list(LINE_RGB[line.color]),
                "dash": [DASH_M, DASH_PERIOD_M - DASH_M] if line.kind == "dashed" else [],
            }
            for line in road_map.lane_lines
        ],
        "path": _points(scene.ego2global[:, :3, 3]),
    }


def moment_data(scene: Scene, step: int) -> dict[str, Any]:
    """Return the labels of one step, a key frame."""
    pose, boxes = scene.ego2global[step], scene.boxes(step)
    yaw = yaw_rad(boxes.rotation_wxyz)
    speed_mps = np.linalg.norm(boxes.velocity_world_mps, axis=1)
    points = [None] * len(boxes) if boxes.stored_lidar_pts is None else boxes.stored_lidar_pts.tolist()
    rows = [
        {
            "track": int(boxes.track_id[row]),
            "category": int(boxes.category[row]),
            "attribute": boxes.attribute[row],
            "center": np.round(boxes.center_world_m[row], 2).tolist(),
            "size": np.round(boxes.size_lwh_m[row], 2).tolist(),
            "yaw": round(float(yaw[row]), 4),
            "speed": round(float(speed_mps[row]), 2),
            "visible": round(float(boxes.visible_fraction[row]), 3),
            "points": points[row],
            "found": None if np.isnan(boxes.found_share[row]) else round(float(boxes.found_share[row]), 3),
        }
        for row in range(len(boxes))
    ]
    return {
        "step": step,
        "seconds": round(float(scene.timestamps_us[step]) / 1e6, 3),
        "ego": [
            round(float(pose[0, 3]), 2),
            round(float(pose[1, 3]), 2),
            round(float(np.arctan2(pose[1, 0], pose[0, 0])), 4),
        ],
        "speed": round(float(np.linalg.norm(scene.layout.ego.velocity_world_mps[step])), 2),
        "boxes": rows,
        "boxes2d": [_boxes2d(scene, step, camera) for camera in scene.cameras],
    }


def picture_urls(scene: Scene, step: int) -> list[str]:
    """Return the pictures of one step, at most `WIDEST_PICTURE_PX` wide, as data URLs in the order of the rig."""
    return [_data_url(Image.fromarray(scene.rgb(camera)[step])) for camera in scene.cameras]


def _data_url(image: Image.Image) -> str:
    if image.width > WIDEST_PICTURE_PX:
        height = max(1, round(image.height * WIDEST_PICTURE_PX / image.width))
        image = image.resize((WIDEST_PICTURE_PX, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _boxes2d(scene: Scene, step: int, camera: str) -> list[list[float]] | None:
    """Return (box, x1, y1, x2, y2, visible fraction) of what a camera sees; None in a scene without 2-D boxes."""
    if not scene.has_array("objects2d/ptr"):
        return None
    seen = scene.boxes2d(step, camera)
    return [
        [int(seen.box[row]), *seen.xyxy_px[row].tolist(), round(float(seen.visible_fraction[row]), 3)]
        for row in range(len(seen))
    ]


def _points(points_m: Float64[np.ndarray, "N _"]) -> list[list[float]]:
    rounded: list[list[float]] = np.round(points_m[:, :2], 2).tolist()
    return rounded
