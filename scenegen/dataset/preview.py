"""Something to look at: a mosaic of all cameras beside the scene from above, as a video and as one picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from scenegen.dataset.bev_panel import CATEGORY_RGB, BevPanel
from scenegen.dataset.durable import output_errors
from scenegen.dataset.video_file import VideoFile
from scenegen.dataset.wireframe import box_corners_world_m, project_edges
from scenegen.types import AgentCategory, Camera, SceneChunk, SceneRecord

FRONT_ROW_DEG = 95.0
"""Views that look less than this away from straight ahead stand in the upper row."""
MAX_PER_ROW = 4
MARGIN_RGB = (16, 17, 19)
MARGIN_PX = 4
SMALL_WIDTH_PX = 320
"""Views narrower than this are shown twice as large."""
MIN_PANEL_PX = 320
BLOCK_PX = 16
MIN_VISIBLE_HEIGHT_PX = 8.0


@dataclass(frozen=True, kw_only=True)
class _Moment:
    """The step that stands for the scene, the best so far."""

    rank: tuple[int, int]
    step: int
    rgb: UInt8[np.ndarray, "V H W 3"]
    visible_fraction: np.ndarray[Any, Any]


class PreviewWriter:
    """Writes `<folder>/<scene_id>.mp4` chunk by chunk, and `.jpg` at `close`. Memory holds one step.

    Use as a context manager: leaving it lets go of the file, finished or not.

    Raises:
        DependencyError: PyAV is not installed.
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, record: SceneRecord) -> None:
        self._record = record
        self._mosaic = Mosaic(record)
        self._video = VideoFile(
            folder / f"{record.scene_id}.mp4", rate_hz=record.layout.timeline.rate_hz, size_px=self._mosaic.size_px
        )
        self._picture_path = folder / f"{record.scene_id}.jpg"
        self._moment: _Moment | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._video.close()

    def append(self, chunk: SceneChunk) -> None:
        """Add the steps of a chunk."""
        for offset in range(chunk.rgb.shape[1]):
            step = chunk.start_step + offset
            self._video.append(self._mosaic.draw(chunk.rgb[:, offset], step=step))
            self._consider(chunk, offset)

    def close(self) -> None:
        """Finish the video and write the picture, which also has the agents' boxes."""
        self._video.close()
        if self._moment is None:
            return
        picture = self._mosaic.draw_with_boxes(
            self._moment.rgb, step=self._moment.step, visible_fraction=self._moment.visible_fraction
        )
        with output_errors(self._picture_path):
            Image.fromarray(picture).save(self._picture_path, "JPEG", quality=92, subsampling=0)

    def _consider(self, chunk: SceneChunk, offset: int) -> None:
        """Keep the step with most visible pedestrians; among equals the one nearest to the middle."""
        step = chunk.start_step + offset
        seen = chunk.visible_height_px[offset] >= MIN_VISIBLE_HEIGHT_PX
        agents = zip(self._record.layout.agents, seen, strict=True)
        num_pedestrians = sum(bool(is_seen) and agent.category is AgentCategory.PEDESTRIAN for agent, is_seen in agents)
        rank = (num_pedestrians, -abs(step - self._record.layout.timeline.num_steps // 2))
        if self._moment is None or rank > self._moment.rank:
            self._moment = _Moment(
                rank=rank,
                step=step,
                rgb=chunk.rgb[:, offset].copy(),
                visible_fraction=chunk.visible_fraction[offset].copy(),
            )


class Mosaic:
    """Arranges the views of a rig, and the panel from above, into one picture."""

    def __init__(self, record: SceneRecord) -> None:
        self._record = record
        self._cameras = {camera.name: camera for camera in record.rig.cameras}
        self._zoom = 2 if record.rig.size_px[0] < SMALL_WIDTH_PX else 1
        self._views_px = {
            camera.name: (camera.size_px[0] * self._zoom, camera.size_px[1] * self._zoom)
            for camera in record.rig.cameras
        }
        rows = _arrange(record.rig.cameras)
        views_width = max(sum(self._views_px[name][0] + MARGIN_PX for name in row) for row in rows)
        views_height = sum(self._row_height_px(row) + MARGIN_PX for row in rows) - MARGIN_PX
        self._panel_px = max(views_height, MIN_PANEL_PX)
        self.size_px = (_whole_blocks(views_width + self._panel_px), _whole_blocks(self._panel_px))
        self._places = self._place_views(rows, top_px=(self._panel_px - views_height) // 2)
        self._panel = BevPanel(record, size_px=self._panel_px)
        self._font = ImageFont.load_default(size=13)
        self._name_images = {name: self._text_image(name) for name in (*self._cameras, record.scene_id)}

    def draw(self, rgb: UInt8[np.ndarray, "V H W 3"], *, step: int) -> UInt8[np.ndarray, "H2 W2 3"]:
        """Draw one step; views are in the order of the rig."""
        return np.asarray(self._compose(rgb, step=step))

    def draw_with_boxes(
        self, rgb: UInt8[np.ndarray, "V H W 3"], *, step: int, visible_fraction: np.ndarray[Any, Any]
    ) -> UInt8[np.ndarray, "H2 W2 3"]:
        """Draw one step with the boxes of the agents that any camera sees."""
        image = self._compose(rgb, step=step)
        for name, (left, top) in self._places.items():
            width, height = self._views_px[name]
            view = image.crop((left, top, left + width, top + height))
            self._draw_boxes(view, self._cameras[name], step=step, visible_fraction=visible_fraction)
            image.paste(view, (left, top))
        return np.asarray(image)

    def _compose(self, rgb: UInt8[np.ndarray, "V H W 3"], *, step: int) -> Image.Image:
        image = Image.new("RGB", self.size_px, MARGIN_RGB)
        draw = ImageDraw.Draw(image)
        view_of = dict(zip(self._cameras, rgb, strict=True))
        for name, (left, top) in self._places.items():
            width, height = self._cameras[name].size_px
            view = Image.fromarray(np.ascontiguousarray(view_of[name][:height, :width]))
            image.paste(view.resize(self._views_px[name], Image.Resampling.BILINEAR), (left, top))
            self._paste_name(image, (left + 5, top + 3), name)
        panel_left = self.size_px[0] - self._panel_px
        image.paste(Image.fromarray(self._panel.draw(step)), (panel_left, 0))
        timeline = self._record.layout.timeline
        speed_mps = float(np.linalg.norm(self._record.layout.ego.velocity_world_mps[step]))
        seconds = step / timeline.rate_hz
        self._write(draw, (panel_left + 8, 5), f"{seconds:5.1f} s   ego {3.6 * speed_mps:.0f} km/h")
        self._paste_name(image, (panel_left + 8, self._panel_px - 20), self._record.scene_id)
        return image

    def _write(self, draw: ImageDraw.ImageDraw, place_px: tuple[int, int], text: str) -> None:
        draw.text(place_px, text, font=self._font, fill="white", stroke_width=1, stroke_fill="black")

    def _text_image(self, text: str) -> Image.Image:
        """Render a text that never changes; rendering costs more than pasting."""
        image = Image.new("RGBA", (int(self._font.getlength(text)) + 4, 20))
        self._write(ImageDraw.Draw(image), (1, 0), text)
        return image

    def _paste_name(self, image: Image.Image, place_px: tuple[int, int], name: str) -> None:
        text = self._name_images[name]
        image.paste(text, place_px, text)

    def _row_height_px(self, row: tuple[str, ...]) -> int:
        return max(self._views_px[name][1] for name in row)

    def _place_views(self, rows: tuple[tuple[str, ...], ...], *, top_px: int) -> dict[str, tuple[int, int]]:
        """Return the left upper corner of every view; rows and what stands in them are centred."""
        places = {}
        row_widths_px = [sum(self._views_px[name][0] + MARGIN_PX for name in row) for row in rows]
        for row, row_width_px in zip(rows, row_widths_px, strict=True):
            left_px = (max(row_widths_px) - row_width_px) // 2
            for name in row:
                width_px, height_px = self._views_px[name]
                places[name] = (left_px, top_px + (self._row_height_px(row) - height_px) // 2)
                left_px += width_px + MARGIN_PX
            top_px += self._row_height_px(row) + MARGIN_PX
        return places

    def _draw_boxes(
        self, view: Image.Image, camera: Camera, *, step: int, visible_fraction: np.ndarray[Any, Any]
    ) -> None:
        draw = ImageDraw.Draw(view)
        layout = self._record.layout
        for agent, fraction in zip(layout.agents, visible_fraction, strict=True):
            if not agent.valid[step] or fraction <= 0.0:
                continue
            corners_m = box_corners_world_m(
                agent.center_world_m[step], agent.size_lwh_m, heading_rad=agent.heading_rad[step]
            )
            ends_px, is_front = project_edges(corners_m, camera, world_from_ego=layout.ego.world_from_ego[step])
            color = CATEGORY_RGB[agent.category]
            for (start, end), is_front_edge in zip(self._zoom * ends_px, is_front, strict=True):
                edge_rgb = (255, 255, 255) if is_front_edge else color
                draw.line([tuple(start), tuple(end)], fill=edge_rgb, width=1)


def _arrange(cameras: tuple[Camera, ...]) -> tuple[tuple[str, ...], ...]:
    """Put views where they look: from left to right, those ahead above those behind; long rows are cut in two."""
    ahead, behind = [], []
    for camera in cameras:
        axis = camera.ego_from_cam[:3, 2]
        yaw_deg = round(float(np.degrees(np.arctan2(axis[1], axis[0]))))
        left_m = float(camera.ego_from_cam[1, 3])
        if abs(yaw_deg) < FRONT_ROW_DEG:
            ahead.append((-yaw_deg, -left_m, camera.name))
        else:
            behind.append((yaw_deg % 360, -left_m, camera.name))
    rows = []
    for row in (sorted(ahead), sorted(behind)):
        names = tuple(name for _, _, name in row)
        parts = -(-len(names) // MAX_PER_ROW)
        rows += [tuple(part.tolist()) for part in np.array_split(np.array(names), parts)] if parts else []
    return tuple(rows)


def _whole_blocks(length_px: int) -> int:
    """Round up to the encoder's blocks, so that none is partly unused."""
    return -(-length_px // BLOCK_PX) * BLOCK_PX
