"""World-scenario pictures: what a camera would see of boxes, lines and map if nothing else were there, on black.

Colours are those of the format's renderer (`config_color_bbox.json` and `config_color_hdmap.json` of version v3, and
`config_color_geometry_laneline.json`). What is ours: the drawing itself (no depth buffer: the map lies under the
boxes, and boxes, poles and plates are drawn from far to near), the widths of lines, and the range.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from PIL import Image, ImageDraw

from scenegen.dataset.bev_panel import dashes_of
from scenegen.dataset.export.map_shapes import on_ground
from scenegen.dataset.export.world_scenario import clip_map
from scenegen.dataset.export.world_scenario.tables import obstacle_category
from scenegen.dataset.labels import Boxes
from scenegen.dataset.rotations import rotation_matrices
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.wireframe import EDGES, UNIT_CORNERS, cut_behind
from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, planar_pose, transform_points
from scenegen.types import Camera

Rgb = tuple[int, int, int]

GRADIENT_RGB: dict[str, tuple[Rgb, Rgb]] = {
    "car": ((0, 46, 136), (126, 206, 255)),
    "truck": ((204, 55, 0), (255, 192, 64)),
    "pedestrian": ((148, 0, 62), (255, 124, 171)),
    "cyclist": ((0, 80, 66), (102, 208, 198)),
    "others": ((53, 26, 20), (166, 136, 125)),
}
"""Colours at the front and at the back of a box."""
GROUP_OF_CATEGORY = {
    "automobile": "car",
    "other_vehicle": "car",
    "heavy_truck": "truck",
    "bus": "truck",
    "trailer": "truck",
    "person": "pedestrian",
    "rider": "cyclist",
}
EDGE_RGB: Rgb = (200, 200, 200)
LINE_RGB: dict[str, Rgb] = {"white": (255, 255, 255), "yellow": (255, 255, 0)}
BOUNDARY_RGB: Rgb = (253, 1, 232)
CROSSWALK_RGB: Rgb = (139, 93, 255)
POLE_RGB: Rgb = (183, 69, 177)
PLATE_RGB: dict[str, Rgb] = {"traffic_light": (100, 100, 100), "sign": (8, 2, 255)}

RANGE_M = 120.0
NEAR_M = 0.1
PIECE_M = 2.0
"""Longest straight piece; lenses bend what is longer."""
NUM_STRIPS = 8
"""Pieces of a box along its length, each of one colour of the gradient."""
ROWS_PER_LINE_PX = 240
"""A picture this high has lines one pixel wide."""


@dataclass(frozen=True, kw_only=True)
class Segments:
    """Straight pieces of lines, world frame, each with its colour."""

    ends_world_m: Float64[np.ndarray, "S 2 3"]
    rgb: UInt8[np.ndarray, "S 3"]


@dataclass(frozen=True, kw_only=True)
class Solid:
    """A box to paint: its pose, size, and the colours of its front and back."""

    world_from_box: Float64[np.ndarray, "4 4"]
    size_lwh_m: Float64[np.ndarray, "3"]
    front_rgb: Rgb
    back_rgb: Rgb


class WorldScenarioPainter:
    """Paints any step of a scene for any of its cameras; the map is prepared once."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        road_map = scene.layout.road_map
        lines = [
            (on_ground(part), LINE_RGB[line.color])
            for line in road_map.lane_lines
            for painted in clip_map.painted_lines(line)
            for part in dashes_of(painted, line.kind)
        ]
        lines += [(ring, BOUNDARY_RGB) for ring in clip_map.boundaries_world_m(road_map)]
        self._flat = _join([_cut(points, rgb) for points, rgb in lines])
        poles = [prop for prop in road_map.props if prop.kind in clip_map.POLE_CATEGORY]
        self._poles = [_cut(clip_map.pole_world_m(prop), POLE_RGB) for prop in poles]
        self._crosswalks = [
            _cut(_closed(on_ground(area.polygon_world_m)), CROSSWALK_RGB).ends_world_m[:, 0]
            for area in road_map.areas_of("crossing")
        ]
        self._plates = [_plate_solid(plate) for plate in clip_map.plates_of(road_map)]

    def paint(self, step: int, camera: Camera) -> UInt8[np.ndarray, "H W 3"]:
        """Paint one picture."""
        image = Image.new("RGB", camera.size_px)
        canvas = _Canvas(image, camera, world_from_ego=self._scene.ego2global[step])
        for ring in self._crosswalks:
            canvas.fill(ring, CROSSWALK_RGB)
        canvas.lines(self._flat)
        solids = [*self._plates, *_agent_solids(self._scene.boxes(step))]
        things: list[tuple[float, Solid | Segments]] = [
            (canvas.distance_m(solid.world_from_box[:3, 3]), solid) for solid in solids
        ]
        things += [(canvas.distance_m(pole.ends_world_m[0, 0]), pole) for pole in self._poles]
        for distance_m, thing in sorted(things, key=lambda pair: -pair[0]):
            if distance_m > RANGE_M:
                continue
            if isinstance(thing, Segments):
                canvas.lines(thing)
            else:
                canvas.solid(thing)
        return np.asarray(image)


class _Canvas:
    """A picture of one camera at one step, in world coordinates."""

    def __init__(self, image: Image.Image, camera: Camera, *, world_from_ego: Float64[np.ndarray, "4 4"]) -> None:
        self._draw = ImageDraw.Draw(image)
        self._camera = camera
        world_from_cam = world_from_ego @ camera.ego_from_cam
        self._cam_from_world = invert_rigid(world_from_cam)
        self._position_m = world_from_cam[:3, 3]
        self._line_px = max(1, round(camera.size_px[1] / ROWS_PER_LINE_PX))

    def distance_m(self, point_world_m: Float64[np.ndarray, "3"]) -> float:
        """Return how far a point is from the camera."""
        return float(np.linalg.norm(point_world_m - self._position_m))

    def lines(self, segments: Segments) -> None:
        """Draw the pieces that are near and in front."""
        ends_cam_m = transform_points(self._cam_from_world, segments.ends_world_m)
        is_near = np.linalg.norm(ends_cam_m, axis=-1).min(axis=1) < RANGE_M
        is_ahead = is_near & (ends_cam_m[:, :, 2] > NEAR_M).any(axis=1)
        ends_px = project_points(cut_behind(ends_cam_m[is_ahead], near_m=NEAR_M), self._camera)
        is_drawn = np.isfinite(ends_px).all(axis=(1, 2)) & self._touches(ends_px)
        for (start, end), rgb in zip(ends_px[is_drawn], segments.rgb[is_ahead][is_drawn], strict=True):
            self._draw.line([tuple(start), tuple(end)], fill=tuple(rgb.tolist()), width=self._line_px)

    def fill(self, ring_world_m: Float64[np.ndarray, "N 3"], rgb: Rgb) -> None:
        """Fill a flat polygon; corners outside the field of view of the lens are left out."""
        ring_cam_m = transform_points(self._cam_from_world, ring_world_m)
        if np.linalg.norm(ring_cam_m, axis=1).min() > RANGE_M:
            return
        corners_px = project_points(_cut_off_behind(ring_cam_m), self._camera)
        corners_px = corners_px[np.isfinite(corners_px).all(axis=1)]
        if len(corners_px) > 2:
            self._draw.polygon([tuple(corner) for corner in corners_px], fill=rgb)

    def solid(self, solid: Solid) -> None:
        """Fill the faces of a box that look at the camera, and draw their edges."""
        box_from_world = invert_rigid(solid.world_from_box)
        position_m = transform_points(box_from_world, self._position_m)
        is_facing = (FACE_NORMALS * position_m).sum(axis=1) > 0.5 * np.abs(FACE_NORMALS @ solid.size_lwh_m)
        visible = is_facing[STRIP_FACE]
        cam_from_box = self._cam_from_world @ solid.world_from_box
        quads_cam_m = transform_points(cam_from_box, STRIP_CORNERS[visible] * solid.size_lwh_m)
        if not (quads_cam_m[:, :, 2] > NEAR_M).any():
            return
        front, back = np.array(solid.front_rgb), np.array(solid.back_rgb)
        colors = np.rint(back + STRIP_SHARE[visible, None] * (front - back)).astype(np.int64)
        for quad_cam_m, rgb in zip(quads_cam_m, colors.tolist(), strict=True):
            corners_px = project_points(_cut_off_behind(quad_cam_m), self._camera)
            corners_px = corners_px[np.isfinite(corners_px).all(axis=1)]
            if len(corners_px) > 2:
                self._draw.polygon([tuple(corner) for corner in corners_px], fill=tuple(rgb))
        self._outline(solid, is_facing)

    def _outline(self, solid: Solid, is_facing: Bool[np.ndarray, "6"]) -> None:
        corners_world_m = transform_points(solid.world_from_box, UNIT_CORNERS * solid.size_lwh_m)
        is_visible = (EDGE_ON_FACE & is_facing).any(axis=1)
        pieces = [_cut(corners_world_m[edge], EDGE_RGB) for edge in EDGES[is_visible]]
        if pieces:
            self.lines(_join(pieces))

    def _touches(self, ends_px: Float64[np.ndarray, "S 2 2"]) -> Bool[np.ndarray, " S"]:
        """Return which pieces may cross the picture, by their bounding boxes."""
        low, high = ends_px.min(axis=1), ends_px.max(axis=1)
        inside: Bool[np.ndarray, " S"] = ((high >= 0.0) & (low <= np.array(self._camera.size_px))).all(axis=1)
        return inside


FACE_NORMALS: Float64[np.ndarray, "6 3"] = np.concatenate([np.eye(3), -np.eye(3)])
"""Front, left, top, back, right, bottom."""
EDGE_ON_FACE: Bool[np.ndarray, "12 6"] = ((UNIT_CORNERS[EDGES] @ FACE_NORMALS.T) == 0.5).all(axis=1)


def _strips() -> Iterator[tuple[int, float, Float64[np.ndarray, "4 3"]]]:
    """Give the pieces of a unit box's faces: face, share of the front's colour, corners."""
    square = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    for face, x in ((0, 0.5), (3, -0.5)):
        yield face, x + 0.5, np.concatenate([np.full((4, 1), x), square], axis=1)
    bounds = np.linspace(-0.5, 0.5, NUM_STRIPS + 1)
    for face in (1, 2, 4, 5):
        across = face % 3
        for start, stop in itertools.pairwise(bounds.tolist()):
            corners = np.zeros((4, 3))
            corners[:, 0] = [start, stop, stop, start]
            corners[:, 3 - across] = [-0.5, -0.5, 0.5, 0.5]
            corners[:, across] = 0.5 * FACE_NORMALS[face, across]
            yield face, 0.5 * (start + stop) + 0.5, corners


STRIP_FACE: Int64[np.ndarray, " Q"] = np.array([face for face, _, _ in _strips()])
STRIP_SHARE: Float64[np.ndarray, " Q"] = np.array([share for _, share, _ in _strips()])
STRIP_CORNERS: Float64[np.ndarray, "Q 4 3"] = np.stack([corners for _, _, corners in _strips()])


def _agent_solids(boxes: Boxes) -> Iterator[Solid]:
    rotations = rotation_matrices(boxes.rotation_wxyz)
    for row in range(len(boxes)):
        pose = np.eye(4)
        pose[:3, :3] = rotations[row]
        pose[:3, 3] = boxes.center_world_m[row]
        category = obstacle_category(int(boxes.category[row]), boxes.attribute[row])
        front_rgb, back_rgb = GRADIENT_RGB[GROUP_OF_CATEGORY.get(category, "others")]
        yield Solid(world_from_box=pose, size_lwh_m=boxes.size_lwh_m[row], front_rgb=front_rgb, back_rgb=back_rgb)


def _plate_solid(plate: clip_map.Plate) -> Solid:
    x_m, y_m, z_m = plate.center_world_m.tolist()
    pose = planar_pose(x_m, y_m, plate.heading_rad, z_m=z_m)
    color = PLATE_RGB[plate.kind]
    return Solid(world_from_box=pose, size_lwh_m=plate.size_lwh_m, front_rgb=color, back_rgb=color)


def _cut(points_world_m: Float64[np.ndarray, "N 3"], rgb: Rgb) -> Segments:
    """Cut a line into straight pieces of at most `PIECE_M`."""
    lengths_m = np.linalg.norm(np.diff(points_world_m, axis=0), axis=1)
    pieces = []
    for start, end, length_m in zip(points_world_m[:-1], points_world_m[1:], lengths_m, strict=True):
        share = np.linspace(0.0, 1.0, max(1, int(np.ceil(length_m / PIECE_M))) + 1)[:, None]
        along = start + share * (end - start)
        pieces.append(np.stack([along[:-1], along[1:]], axis=1))
    ends = np.concatenate(pieces) if pieces else np.zeros((0, 2, 3))
    return Segments(ends_world_m=ends, rgb=np.tile(np.array(rgb, np.uint8), (len(ends), 1)))


def _join(parts: list[Segments]) -> Segments:
    return Segments(
        ends_world_m=np.concatenate([np.zeros((0, 2, 3)), *(part.ends_world_m for part in parts)]),
        rgb=np.concatenate([np.zeros((0, 3), np.uint8), *(part.rgb for part in parts)]),
    )


def _cut_off_behind(ring_cam_m: Float64[np.ndarray, "N 3"]) -> Float64[np.ndarray, "M 3"]:
    """Cut a polygon at the plane before the camera. Source: Sutherland and Hodgman (1974), one plane."""
    is_ahead = ring_cam_m[:, 2] >= NEAR_M
    if is_ahead.all():
        return ring_cam_m
    kept = []
    following = np.roll(ring_cam_m, -1, axis=0)
    for point, following_point, is_in, is_next_in in zip(
        ring_cam_m, following, is_ahead, np.roll(is_ahead, -1), strict=True
    ):
        if is_in:
            kept.append(point)
        if is_in != is_next_in:
            share = (NEAR_M - point[2]) / (following_point[2] - point[2])
            kept.append(point + share * (following_point - point))
    return np.array(kept).reshape(-1, 3)


def _closed(ring_m: Float64[np.ndarray, "N 3"]) -> Float64[np.ndarray, "M 3"]:
    return np.concatenate([ring_m, ring_m[:1]])
