"""The scene from above, as one panel of a preview: road map, agents as oriented boxes, ego, camera frusta.

The panel turns with the ego: its x axis points up, its y axis left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from PIL import Image, ImageDraw

from scenegen.dataset.bev_raster import UNIT_RECTANGLE
from scenegen.geometry.lens import unproject_pixels
from scenegen.geometry.rigid import invert_rigid
from scenegen.types import AgentCategory, AgentTrack, Camera, Layout, SceneRecord
from scenegen.types.layout import DASH_M, DASH_PERIOD_M

Rgb = tuple[int, int, int]

GROUND_RGB: Rgb = (33, 38, 36)
AREA_RGB: dict[str, Rgb] = {  # in drawing order
    "grass": (44, 60, 44),
    "sidewalk": (104, 102, 98),
    "drivable": (66, 70, 76),
    "parking": (78, 76, 88),
    "crossing": (150, 152, 154),
    "construction": (120, 88, 44),
    "building": (104, 86, 74),
}
LINE_RGB: dict[str, Rgb] = {"white": (206, 208, 210), "yellow": (226, 178, 56)}
PROP_RGB: Rgb = (70, 120, 66)
EGO_RGB: Rgb = (80, 220, 120)
FRUSTUM_RGB: Rgb = (92, 150, 176)
CATEGORY_RGB: dict[AgentCategory, Rgb] = {
    AgentCategory.CAR: (255, 158, 0),
    AgentCategory.TRUCK: (255, 99, 71),
    AgentCategory.BUS: (255, 127, 80),
    AgentCategory.TRAILER: (255, 140, 0),
    AgentCategory.CONSTRUCTION_VEHICLE: (233, 150, 70),
    AgentCategory.PEDESTRIAN: (96, 156, 255),
    AgentCategory.MOTORCYCLE: (255, 61, 99),
    AgentCategory.BICYCLE: (235, 60, 110),
    AgentCategory.TRAFFIC_CONE: (250, 214, 90),
    AgentCategory.BARRIER: (150, 166, 180),
    AgentCategory.ANIMAL: (190, 140, 90),
    AgentCategory.OTHER: (180, 180, 180),
}

RANGE_M = 80.0
"""Edge of the square that is shown."""
EGO_FROM_BOTTOM = 0.36
"""Where the ego stands, as a share of the panel's height: more road ahead than behind."""
SMOOTHING = 2
"""The panel is drawn this many times larger and then reduced, which smooths its edges."""
FRUSTUM_LENGTH_M = 9.0


@dataclass(frozen=True)
class _Shape:
    """One thing of the map: a polygon, or a line when `width_m` is above zero."""

    points_world_m: Float64[np.ndarray, "N 2"]
    color_rgb: Rgb
    width_m: float = 0.0


class BevPanel:
    """Draws any step of one scene; the map is prepared once."""

    def __init__(self, record: SceneRecord, *, size_px: int) -> None:
        self._layout = record.layout
        self._cameras = record.rig.cameras
        self._size_px = size_px
        self._px_per_m = SMOOTHING * size_px / RANGE_M
        self._shapes = _map_shapes(record.layout)
        self._centers_m = np.array([shape.points_world_m.mean(axis=0) for shape in self._shapes]).reshape(-1, 2)
        radii = [np.ptp(shape.points_world_m, axis=0).max() + shape.width_m for shape in self._shapes]
        self._radii_m = np.array(radii, np.float64)

    def draw(self, step: int) -> UInt8[np.ndarray, "H W 3"]:
        """Draw one step."""
        image = Image.new("RGB", (SMOOTHING * self._size_px,) * 2, GROUND_RGB)
        draw = ImageDraw.Draw(image)
        world_from_ego = self._layout.ego.world_from_ego[step]
        ego_from_world = invert_rigid(world_from_ego)
        for shape_idx in np.flatnonzero(self._is_near(world_from_ego[:2, 3])):
            self._draw_shape(draw, self._shapes[shape_idx], ego_from_world)
        for camera in self._cameras:
            self._draw_frustum(draw, camera)
        for agent in self._layout.agents:
            if agent.valid[step]:
                self._draw_agent(draw, agent, step, ego_from_world)
        ego_box_m = UNIT_RECTANGLE * [4.6, 1.9] + [1.4, 0.0]
        draw.polygon(self._pixels(ego_box_m), fill=EGO_RGB)
        draw.polygon(self._pixels(np.array([[3.3, 0.0], [2.0, 0.7], [2.0, -0.7]])), fill=GROUND_RGB)
        return np.asarray(image.reduce(SMOOTHING))

    def _is_near(self, ego_world_m: Float64[np.ndarray, "2"]) -> Bool[np.ndarray, " N"]:
        distance_m = np.linalg.norm(self._centers_m - ego_world_m, axis=1)
        near: Bool[np.ndarray, " N"] = distance_m < self._radii_m + RANGE_M
        return near

    def _pixels(self, points_ego_m: Float64[np.ndarray, "N 2"]) -> list[tuple[float, float]]:
        """Ego metres to pixels of the large drawing: x up, y left."""
        edge_px = SMOOTHING * self._size_px
        columns = 0.5 * edge_px - points_ego_m[:, 1] * self._px_per_m
        rows = (1.0 - EGO_FROM_BOTTOM) * edge_px - points_ego_m[:, 0] * self._px_per_m
        return list(zip(columns.tolist(), rows.tolist(), strict=True))

    def _draw_shape(self, draw: ImageDraw.ImageDraw, shape: _Shape, ego_from_world: Float64[np.ndarray, "4 4"]) -> None:
        pixels = self._pixels(_move(shape.points_world_m, ego_from_world))
        if shape.width_m > 0.0:
            draw.line(pixels, fill=shape.color_rgb, width=max(1, round(shape.width_m * self._px_per_m)), joint="curve")
        else:
            draw.polygon(pixels, fill=shape.color_rgb)

    def _draw_frustum(self, draw: ImageDraw.ImageDraw, camera: Camera) -> None:
        width, height = camera.size_px
        edge_px = np.stack([np.linspace(0.0, width, 2 * width + 1), np.full(2 * width + 1, 0.5 * height)], axis=-1)
        rays_cam = unproject_pixels(edge_px, camera)
        rays_cam = rays_cam[np.isfinite(rays_cam).all(axis=-1)]
        if not len(rays_cam):
            return
        rays_ego = np.concatenate([rays_cam[[0, -1]], np.ones((2, 1))], axis=-1) @ camera.ego_from_cam[:3, :3].T
        flat = rays_ego[:, :2] / np.maximum(np.linalg.norm(rays_ego[:, :2], axis=1, keepdims=True), 1e-9)
        apex_m = camera.ego_from_cam[:2, 3]
        for end_m in apex_m + FRUSTUM_LENGTH_M * flat:
            draw.line(self._pixels(np.stack([apex_m, end_m])), fill=FRUSTUM_RGB, width=SMOOTHING)

    def _draw_agent(
        self, draw: ImageDraw.ImageDraw, agent: AgentTrack, step: int, ego_from_world: Float64[np.ndarray, "4 4"]
    ) -> None:
        center_m = agent.center_world_m[step, :2]
        heading = agent.heading_rad[step]
        world_from_box = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
        corners_m = (UNIT_RECTANGLE * np.maximum(agent.size_lwh_m[:2], 0.5)) @ world_from_box.T + center_m
        outline = self._pixels(_move(corners_m, ego_from_world))
        color = CATEGORY_RGB[agent.category]
        draw.polygon(outline, fill=tuple(channel * 5 // 8 for channel in color), outline=color, width=SMOOTHING)
        draw.line(outline[:2], fill=(255, 255, 255), width=SMOOTHING)
        arrow_m = np.stack([center_m, center_m + agent.velocity_world_mps[step]])
        if np.linalg.norm(agent.velocity_world_mps[step]) > 0.2:
            draw.line(self._pixels(_move(arrow_m, ego_from_world)), fill=color, width=SMOOTHING)


def _move(
    points_world_m: Float64[np.ndarray, "N 2"], ego_from_world: Float64[np.ndarray, "4 4"]
) -> Float64[np.ndarray, "N 2"]:
    """Move ground points (z = 0) to the ego frame and drop their height."""
    points_ego_m: Float64[np.ndarray, "N 2"] = points_world_m @ ego_from_world[:2, :2].T + ego_from_world[:2, 3]
    return points_ego_m


def _map_shapes(layout: Layout) -> list[_Shape]:
    """List what is drawn of the map, lowest first."""
    road_map = layout.road_map
    shapes = [
        _Shape(lane.centerline_world_m[:, :2], AREA_RGB["drivable"], lane.width_m)
        for lane in road_map.lanes
        if lane.kind != "walk" and len(lane.centerline_world_m) > 1
    ]
    for kind, color in AREA_RGB.items():
        for area in road_map.areas_of(kind):
            shapes.append(_Shape(area.polygon_world_m, color))
            shapes.extend(_Shape(hole, GROUND_RGB) for hole in area.holes_world_m)
    for line in road_map.lane_lines:
        shapes.extend(
            _Shape(part, LINE_RGB[line.color], max(line.width_m, 0.2))
            for part in dashes_of(line.points_world_m, line.kind)
        )
    disc = np.stack([np.cos(np.linspace(0.0, 2.0 * np.pi, 8)), np.sin(np.linspace(0.0, 2.0 * np.pi, 8))], axis=1)
    for prop in road_map.props:
        radius_m = 1.3 if prop.kind in ("tree", "hedge") else 0.25
        shapes.append(_Shape(prop.position_world_m + radius_m * disc, PROP_RGB))
    return shapes


def dashes_of(points_world_m: Float64[np.ndarray, "N 3"], kind: str) -> list[Float64[np.ndarray, "M 2"]]:
    """Cut a dashed line into its dashes as they are painted in the world; other lines stay whole."""
    points = points_world_m[:, :2]
    if kind != "dashed" or len(points) < 2:
        return [points] if len(points) > 1 else []
    along_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    starts = np.arange(0.0, along_m[-1], DASH_PERIOD_M)
    ends = np.minimum(starts + DASH_M, along_m[-1])
    at = np.stack([starts, 0.5 * (starts + ends), ends], axis=1)
    return list(np.stack([np.interp(at, along_m, points[:, axis]) for axis in range(2)], axis=-1))
