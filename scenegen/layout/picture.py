"""A layout seen from above."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, ImageDraw

from scenegen.layout.overlap import ego_as_agent
from scenegen.types.layout import AgentTrack, LaneLine, Layout
from scenegen.types.taxonomy import AgentCategory

Rgb = tuple[int, int, int]
BACKGROUND: Rgb = (206, 219, 190)
AREA_RGB: dict[str, Rgb] = {
    "grass": (176, 204, 150),
    "sidewalk": (205, 203, 198),
    "drivable": (98, 101, 107),
    "parking": (122, 125, 134),
    "crossing": (226, 226, 222),
    "construction": (226, 178, 110),
    "building": (172, 142, 122),
}
LINE_RGB: dict[str, Rgb] = {"white": (240, 240, 240), "yellow": (240, 196, 60)}
PROP_RGB: dict[str, Rgb] = {"tree": (74, 128, 66), "hedge": (88, 140, 76)}
CATEGORY_RGB: dict[AgentCategory, Rgb] = {
    AgentCategory.CAR: (70, 140, 230),
    AgentCategory.TRUCK: (150, 96, 200),
    AgentCategory.BUS: (36, 180, 180),
    AgentCategory.TRAILER: (120, 90, 160),
    AgentCategory.CONSTRUCTION_VEHICLE: (214, 150, 30),
    AgentCategory.PEDESTRIAN: (236, 64, 72),
    AgentCategory.MOTORCYCLE: (240, 120, 190),
    AgentCategory.BICYCLE: (250, 150, 60),
    AgentCategory.TRAFFIC_CONE: (255, 110, 20),
    AgentCategory.BARRIER: (236, 90, 60),
    AgentCategory.ANIMAL: (130, 90, 60),
    AgentCategory.OTHER: (150, 150, 150),
}
EGO_RGB: Rgb = (40, 200, 90)
SHARPNESS = 2
"""The picture is drawn this many times larger and then reduced, which smooths its edges."""


class _Canvas:
    """World metres to pixels of an oversized image, north up."""

    def __init__(self, center_m: Float64[np.ndarray, "2"], extent_m: float, size_px: int) -> None:
        self.scale = SHARPNESS * size_px / extent_m
        self.center_m, self.half_px = center_m, 0.5 * SHARPNESS * size_px
        self.image = Image.new("RGB", (SHARPNESS * size_px,) * 2, BACKGROUND)
        self.draw = ImageDraw.Draw(self.image)
        self.size_px = size_px

    def pixels(self, points_m: Float64[np.ndarray, "N K"]) -> list[tuple[float, float]]:
        offset = (np.asarray(points_m)[:, :2] - self.center_m) * self.scale
        return [(self.half_px + float(x), self.half_px - float(y)) for x, y in offset]

    def width(self, width_m: float) -> int:
        return max(1, round(width_m * self.scale))

    def finish(self) -> UInt8[np.ndarray, "H W 3"]:
        return np.asarray(self.image.resize((self.size_px, self.size_px), Image.Resampling.BOX), np.uint8)


def draw_layout(
    layout: Layout, *, step: int = 0, size_px: int = 900, extent_m: float | None = None
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a layout from above at one step: north (world y) up, ego green, arrows one second of velocity long.

    `extent_m` is the edge of the square that is shown, centred on the ego; None shows the ego's whole way.
    """
    path_m = layout.ego.position_world_m[:, :2]
    if extent_m is None:
        center_m = 0.5 * (path_m.min(axis=0) + path_m.max(axis=0))
        extent_m = float((path_m.max(axis=0) - path_m.min(axis=0)).max()) + 60.0
    else:
        center_m = path_m[step]
    canvas = _Canvas(center_m, extent_m, size_px)
    _draw_map(canvas, layout)
    canvas.draw.line(canvas.pixels(path_m), fill=EGO_RGB, width=canvas.width(0.35))
    for agent in layout.agents:
        if agent.valid[step]:
            _draw_trail(canvas, agent, step, layout.timeline.rate_hz)
    for agent in layout.agents:
        if agent.valid[step]:
            _draw_agent(canvas, agent, step, CATEGORY_RGB[agent.category])
    _draw_agent(canvas, ego_as_agent(layout.ego), step, EGO_RGB)
    return canvas.finish()


def _draw_map(canvas: _Canvas, layout: Layout) -> None:
    for kind, rgb in AREA_RGB.items():
        for area in layout.road_map.areas_of(kind):
            if area.holes_world_m:
                _fill_with_holes(canvas, area.polygon_world_m, area.holes_world_m, rgb)
            else:
                canvas.draw.polygon(canvas.pixels(area.polygon_world_m), fill=rgb)
            if kind == "crossing":
                _draw_zebra(canvas, area.polygon_world_m)
            if kind == "building":
                outline = canvas.pixels(area.polygon_world_m)
                canvas.draw.line([*outline, outline[0]], fill=(120, 96, 80), width=canvas.width(0.4))
    for line in layout.road_map.lane_lines:
        _draw_line(canvas, line)
    for prop in layout.road_map.props:
        radius_m = 1.6 if prop.kind in PROP_RGB else 0.35
        ((x, y),) = canvas.pixels(prop.position_world_m[None])
        r = radius_m * canvas.scale
        canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=PROP_RGB.get(prop.kind, (60, 60, 70)))


def _fill_with_holes(
    canvas: _Canvas, outline_m: Float64[np.ndarray, "N 2"], holes_m: tuple[Float64[np.ndarray, "M 2"], ...], rgb: Rgb
) -> None:
    mask = Image.new("L", canvas.image.size, 0)
    pen = ImageDraw.Draw(mask)
    pen.polygon(canvas.pixels(outline_m), fill=255)
    for hole_m in holes_m:
        pen.polygon(canvas.pixels(hole_m), fill=0)
    canvas.image.paste(rgb, mask=mask)


def _draw_zebra(canvas: _Canvas, outline_m: Float64[np.ndarray, "N 2"]) -> None:
    """Stripe a four-cornered crossing across its long side; other outlines stay plain."""
    if len(outline_m) != 4:
        return
    first, second = outline_m[1] - outline_m[0], outline_m[2] - outline_m[1]
    a, b = (first, second) if np.linalg.norm(first) < np.linalg.norm(second) else (second, first)
    corner = outline_m[0] if a is first else outline_m[1]
    if a is first:
        walk_m, origin_m = b, corner
    else:
        walk_m, origin_m = -b, corner
    count = max(2, int(np.linalg.norm(walk_m) / 1.1))
    for k in range(count):
        low, high = origin_m + walk_m * ((k + 0.5) / count), origin_m + walk_m * ((k + 1.0) / count)
        canvas.draw.polygon(canvas.pixels(np.stack([low, low + a, high + a, high])), fill=AREA_RGB["drivable"])


def _draw_line(canvas: _Canvas, line: LaneLine) -> None:
    rgb, width = LINE_RGB[line.color], canvas.width(line.width_m)
    points_m = line.points_world_m[:, :2]
    if line.kind == "dashed":
        length_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_m, axis=0), axis=1))])
        for begin_m in np.arange(0.0, length_m[-1], 6.0):
            at_m = np.array([begin_m, min(begin_m + 3.0, length_m[-1])])
            dash_m = np.stack([np.interp(at_m, length_m, points_m[:, axis]) for axis in (0, 1)], axis=1)
            canvas.draw.line(canvas.pixels(dash_m), fill=rgb, width=width)
        return
    canvas.draw.line(canvas.pixels(points_m), fill=rgb, width=width * (3 if line.kind == "double_solid" else 1))
    if line.kind == "double_solid":
        canvas.draw.line(canvas.pixels(points_m), fill=AREA_RGB["drivable"], width=width)


def _draw_trail(canvas: _Canvas, agent: AgentTrack, step: int, rate_hz: float) -> None:
    begin = max(0, step - round(2.0 * rate_hz))
    seen = agent.valid[begin : step + 1]
    trail_m = agent.center_world_m[begin : step + 1, :2][seen]
    if len(trail_m) > 1:
        red, green, blue = CATEGORY_RGB[agent.category]
        pale = ((red + 200) // 2, (green + 200) // 2, (blue + 200) // 2)
        canvas.draw.line(canvas.pixels(trail_m), fill=pale, width=canvas.width(0.25))


def _draw_agent(canvas: _Canvas, agent: AgentTrack, step: int, rgb: Rgb) -> None:
    """Draw a box with a lighter front, and an arrow as long as one second of motion."""
    cos, sin = np.cos(agent.heading_rad[step]), np.sin(agent.heading_rad[step])
    turn = np.array([[cos, sin], [-sin, cos]])
    center_m = agent.center_world_m[step, :2]
    half = 0.5 * np.maximum(agent.size_lwh_m[:2], 0.7)
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
    canvas.draw.polygon(canvas.pixels(corners @ turn + center_m), fill=rgb, outline=(25, 25, 30))
    front = np.array([[1.0, 1.0], [0.62, 1.0], [0.62, -1.0], [1.0, -1.0]]) * half
    pale = (min(rgb[0] + 70, 255), min(rgb[1] + 70, 255), min(rgb[2] + 70, 255))
    canvas.draw.polygon(canvas.pixels(front @ turn + center_m), fill=pale)
    velocity = agent.velocity_world_mps[step]
    if np.linalg.norm(velocity) > 0.3:
        ends = canvas.pixels(np.stack([center_m, center_m + velocity]))
        canvas.draw.line(ends, fill=(20, 20, 20), width=canvas.width(0.18))
