"""HTML report: `index.html` and a page per scene that needs nothing from anywhere.

    index.html                    all scenes, with what is counted over them
    <scene>/index.html            key frames with their 2-D boxes, the scene from above, tables
    <scene>/preview.mp4, .jpg     the mosaic, which the page shows and the index links

A page holds its pictures (smaller copies), labels and script, so it may be sent around alone; the preview is the one
thing beside it. The preview is the data set's own where it has one, and drawn anew otherwise.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.canvas import on_canvas
from scenegen.dataset.export.html.facts import count_labels, flatten, provenance_of
from scenegen.dataset.export.html.page import LabelCounts, fill, json_for_script, resource, table
from scenegen.dataset.export.html.viewer_data import moment_data, picture_urls, static_data
from scenegen.dataset.preview import Mosaic
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.video_file import VideoFile
from scenegen.types.record import RECORDED_MODEL_ID

JPEG_QUALITY = 92


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    cards = []
    totals: dict[str, LabelCounts] = {}
    for scene in job.scenes():
        folder = job.folder / scene.scene_id
        folder.mkdir()
        _write_preview(job, scene, folder)
        counts = count_labels(scene)
        for name, count in counts.items():
            totals[name] = totals[name] + count if name in totals else count
        moments = []
        for step in range(scene.num_steps):
            if scene.is_key_frame[step]:
                moments.append({**moment_data(scene, step), "pictures": picture_urls(scene, step)})
            job.step_done()
        (folder / "index.html").write_text(_scene_page(scene, moments, counts), encoding="utf-8")
        cards.append(_card(scene, counts))
    (job.folder / "index.html").write_text(_index_page(job, cards, totals), encoding="utf-8")


def _scene_page(scene: Scene, moments: list[dict[str, Any]], counts: Mapping[str, LabelCounts]) -> str:
    attributes = scene.attrs
    timeline, environment = attributes["timeline"], attributes["environment"]
    summary = (
        f"{timeline['duration_s']:.1f} s at {timeline['rate_hz']:g} Hz, {len(scene.cameras)} cameras, "
        f"{environment['weather']}, {environment['time_of_day']}, split {attributes['split']}"
    )
    return fill(
        resource("scene.html"),
        title=html.escape(scene.scene_id),
        prompt=html.escape(attributes["prompt"]),
        summary=html.escape(summary),
        style=resource("style.css"),
        labels=LabelCounts.as_table(counts),
        provenance=table(("", ""), provenance_of(scene)),
        scores=table(("score", "value"), flatten(attributes["scores"])) if attributes["scores"] else "<p>none</p>",
        data=json_for_script({**static_data(scene), "moments": moments}),
        script=resource("viewer.js"),
    )


def _index_page(job: ExportJob, cards: list[str], totals: Mapping[str, LabelCounts]) -> str:
    entries = [entry for entry in job.dataset.manifest.scenes if entry.scene_id in job.scene_ids]
    seconds = sum(entry.num_steps / entry.rate_hz for entry in entries)
    summary = f"{len(entries)} scenes, {seconds:.0f} s, {sum(entry.num_steps for entry in entries)} steps"
    return fill(
        resource("index.html"),
        summary=html.escape(summary),
        nature="Every picture and label is synthetic."
        if all(entry.model_id != RECORDED_MODEL_ID for entry in entries)
        else "Pictures of recorded scenes are real: see each scene's provenance.",
        style=resource("style.css"),
        cards="\n".join(cards),
        labels=LabelCounts.as_table(totals),
    )


def _card(scene: Scene, counts: Mapping[str, LabelCounts]) -> str:
    tracks = ", ".join(f"{count.tracks} {name.replace('_', ' ')}" for name, count in counts.items() if count.tracks)
    model = scene.attrs["model"]
    link = html.escape(f"{scene.scene_id}/index.html")
    return (
        f'<a class="card" href="{link}"><img src="{html.escape(scene.scene_id)}/preview.jpg" alt="" loading="lazy">'
        f"<h2>{html.escape(scene.scene_id)}</h2><p>{html.escape(scene.attrs['prompt'])}</p>"
        f'<p class="small">{html.escape(scene.attrs["split"])} &middot; {html.escape(model["model_id"])} &middot; '
        f"{html.escape(tracks or 'no agents')}</p></a>"
    )


def _write_preview(job: ExportJob, scene: Scene, folder: Path) -> None:
    """Copy the scene's preview as committed, or draw it."""
    storage, previews = job.dataset.storage, scene.receipt.previews
    stored = {PurePosixPath(key).suffix: key for key, entry in previews.items() if storage.size(key) == entry.num_bytes}
    if {".mp4", ".jpg"} <= set(stored):
        for suffix in (".mp4", ".jpg"):
            (folder / f"preview{suffix}").write_bytes(storage.read(stored[suffix]))
        return
    mosaic = Mosaic(scene.record)
    middle = scene.num_steps // 2
    video = VideoFile(folder / "preview.mp4", rate_hz=scene.rate_hz, size_px=mosaic.size_px)
    try:
        for step in range(scene.num_steps):
            rgb = on_canvas(scene, {camera: scene.rgb(camera)[step] for camera in scene.cameras})
            video.append(mosaic.draw(rgb, step=step))
            if step == middle:
                fraction = np.zeros(len(scene.layout.agents), np.float32)
                boxes = scene.boxes(step)
                fraction[boxes.track_id] = boxes.visible_fraction
                still = mosaic.draw_with_boxes(rgb, step=step, visible_fraction=fraction)
                Image.fromarray(still).save(folder / "preview.jpg", "JPEG", quality=JPEG_QUALITY)
    finally:
        video.close()
