"""World scenario (ClipGT), for Cosmos Transfer2.5: parquet tables of a clip, and control videos of every camera.

    scene_annotations/<scene>/<scene>.obstacle.parquet       and calibration_estimate, egomotion_estimate; lane,
                                                             lane_line, road_boundary, crosswalk, pole, traffic_light,
                                                             traffic_sign where the map has any
    scene_annotations/<scene>/<scene>.<camera>.json          stamps of the camera's pictures
    videos/ftheta_<camera>/<scene>.mp4                       the painted pictures
    control_input_hdmap_bbox/ftheta_<camera>/<scene>.mp4     boxes, lines and map, projected
    control_input_edge/, control_input_depth/, control_input_seg/   likewise
    captions/ftheta_camera_front_wide_120fov/<scene>.json    the prompt
    cameras.json                                             which camera became which, and how well its lens was fitted

Sources: columns, frames and file names are those of github.com/nvidia-cosmos/cosmos-transfer2.5,
`docs/world_scenario_parquet.md` (commit 092db6a, 2026) and the loader of ClipGT folders in the same repository; the
folders of the videos are those of its guide to post-training on several views. AlpaSim and NuRec keep the same
tables, without the scene in front of the name, inside their own archives; those need a 3-D reconstruction, which a
scene does not have. What is ours is said in `views`, `tables`, `clip_map`, `painting` and `controls`.

Depth and segmentation are written where the scene holds pixel maps (`dataset.labels=stored`) or a renderer makes
them (`scenegen.rerender`). Videos are H.264 at the
scene's own rate, with an even number of rows and columns (`VideoFile`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.arrow import import_pyarrow
from scenegen.dataset.export.keys import absolute_stamps_us
from scenegen.dataset.export.world_scenario.controls import depth_picture, edge_picture, segmentation_picture
from scenegen.dataset.export.world_scenario.painting import WorldScenarioPainter
from scenegen.dataset.export.world_scenario.tables import ClipTables
from scenegen.dataset.export.world_scenario.views import (
    STANDARD_VIEWS,
    field_of_view_deg,
    file_name,
    fit_lens,
    name_views,
)
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.video_file import VideoFile
from scenegen.errors import DatasetError
from scenegen.types import Camera

CRF = 12
PICTURES, BOXES, EDGES, DEPTH, SEGMENTATION = (
    "videos",
    "control_input_hdmap_bbox",
    "control_input_edge",
    "control_input_depth",
    "control_input_seg",
)


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    import_pyarrow()
    cameras: dict[str, Any] = {}
    for scene in job.scenes():
        names = name_views(scene.rig)
        _write_annotations(job, scene, names)
        _write_caption(job.folder, scene)
        controls = _controls_of(scene)
        _write_videos(job, scene, names, controls)
        cameras[scene.scene_id] = {
            camera.name: _about(camera, names[camera.name], controls) for camera in scene.rig.cameras
        }
    (job.folder / "cameras.json").write_text(json.dumps(cameras, indent=1) + "\n")


def view_folder(sensor: str) -> str:
    """Return the folder of a sensor's videos; there the narrow front camera has no `sat` in its name.

    >>> view_folder("camera:front:tele:sat:30fov")
    'ftheta_camera_front_tele_30fov'
    """
    return f"ftheta_{file_name(sensor.replace(':sat:', ':'))}"


def _about(camera: Camera, sensor: str, controls: tuple[str, ...]) -> dict[str, Any]:
    return {
        "sensor": sensor,
        "videos": view_folder(sensor),
        "field_of_view_deg": round(field_of_view_deg(camera), 2),
        "lens": camera.lens.model,
        "largest_lens_error_px": round(fit_lens(camera).largest_error_px, 4),
        "controls": list(controls),
    }


def _write_annotations(job: ExportJob, scene: Scene, names: Mapping[str, str]) -> None:
    folder = job.folder / "scene_annotations" / scene.scene_id
    folder.mkdir(parents=True)
    stamps_us = absolute_stamps_us(job.dataset, scene)
    ClipTables(folder, scene, stamps_us=stamps_us).write(sensor_names=names)
    stamps = [{"frame_num": step, "timestamp": stamp_us} for step, stamp_us in enumerate(stamps_us.tolist())]
    for sensor in names.values():
        (folder / f"{scene.scene_id}.{file_name(sensor)}.json").write_text(json.dumps(stamps) + "\n")


def _write_caption(folder: Path, scene: Scene) -> None:
    captions = folder / "captions" / view_folder(STANDARD_VIEWS[0].sensor)
    captions.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"caption": scene.attrs["prompt"]}, ensure_ascii=False)
    (captions / f"{scene.scene_id}.json").write_text(content + "\n", encoding="utf-8")


def _controls_of(scene: Scene) -> tuple[str, ...]:
    """Return the folders of a scene's controls: without pixel maps there is no depth and no segmentation."""
    return (BOXES, EDGES, DEPTH, SEGMENTATION) if _has_pixel_maps(scene) else (BOXES, EDGES)


def _has_pixel_maps(scene: Scene) -> bool:
    if scene.has_array(f"cameras/{scene.cameras[0]}/depth"):
        return True
    try:
        scene.depth(scene.cameras[0])
    except DatasetError:  # nothing stored, and no renderer to make it
        return False
    return True


def _write_videos(job: ExportJob, scene: Scene, names: Mapping[str, str], controls: tuple[str, ...]) -> None:
    """Write the videos camera by camera: an encoder holds dozens of pictures, and there are up to sixty videos."""
    painter = WorldScenarioPainter(scene)
    num_pictures = 0
    for camera in scene.rig.cameras:
        with ExitStack() as stack:
            videos = _open_videos(job.folder, scene, camera, view_folder(names[camera.name]), (PICTURES, *controls))
            for video in videos.values():
                stack.callback(video.close)
            for step in range(scene.num_steps):
                for kind, picture in _pictures(scene, camera, painter, step, controls).items():
                    videos[kind].append(picture)
                num_pictures += 1
                if num_pictures % len(scene.cameras) == 0:
                    job.step_done()


def _open_videos(folder: Path, scene: Scene, camera: Camera, view: str, kinds: tuple[str, ...]) -> dict[str, VideoFile]:
    videos = {}
    for kind in kinds:
        (folder / kind / view).mkdir(parents=True, exist_ok=True)
        videos[kind] = VideoFile(
            folder / kind / view / f"{scene.scene_id}.mp4",
            rate_hz=scene.rate_hz,
            size_px=camera.size_px,
            crf=CRF,
        )
    return videos


def _pictures(
    scene: Scene, camera: Camera, painter: WorldScenarioPainter, step: int, controls: tuple[str, ...]
) -> dict[str, UInt8[np.ndarray, "H W 3"]]:
    rgb = scene.rgb(camera.name)[step]
    pictures = {PICTURES: rgb, BOXES: painter.paint(step, camera), EDGES: edge_picture(rgb)}
    if DEPTH in controls:
        pictures[DEPTH] = depth_picture(scene.depth(camera.name)[step])
        pictures[SEGMENTATION] = segmentation_picture(
            scene.semantic(camera.name)[step], scene.instance(camera.name)[step]
        )
    return pictures
