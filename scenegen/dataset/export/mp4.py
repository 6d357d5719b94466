"""Videos: `<scene>/<camera>.mp4` for every camera, `<scene>/mosaic.mp4`, and `<scene>/timestamps.csv`.

H.264 at the scene's own rate. A camera of odd width or height gets its last column or row twice, which 4:2:0 needs.
"""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path

from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.canvas import on_canvas
from scenegen.dataset.preview import Mosaic
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.video_file import VideoFile

CRF = 16
"""Visually lossless; the frames of an export are looked at one by one."""


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    for scene in job.scenes():
        folder = job.folder / scene.scene_id
        folder.mkdir()
        _write_timestamps(folder / "timestamps.csv", scene)
        _write_videos(job, scene, folder)


def _write_videos(job: ExportJob, scene: Scene, folder: Path) -> None:
    rate_hz = scene.rate_hz
    mosaic = Mosaic(scene.record)
    with ExitStack() as stack:
        videos = {
            camera.name: VideoFile(folder / f"{camera.name}.mp4", rate_hz=rate_hz, size_px=camera.size_px, crf=CRF)
            for camera in scene.rig.cameras
        }
        overview = VideoFile(folder / "mosaic.mp4", rate_hz=rate_hz, size_px=mosaic.size_px, crf=CRF)
        for video in (*videos.values(), overview):
            stack.callback(video.close)
        for step in range(scene.num_steps):
            pictures = {camera: scene.rgb(camera)[step] for camera in videos}
            for camera, video in videos.items():
                video.append(pictures[camera])
            overview.append(mosaic.draw(on_canvas(scene, pictures), step=step))
            job.step_done()


def _write_timestamps(path: Path, scene: Scene) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["step", "timestamp_us", "is_key_frame"])
        for step in range(scene.num_steps):
            rows.writerow([step, int(scene.timestamps_us[step]), int(scene.is_key_frame[step])])
