"""Two pixels of different images: do they show the same piece of surface? And what colour lies between pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from scenegen.types import STATIC_INSTANCE_OFFSET, ConditionMaps, Material

STATIC_TOLERANCE = 0.05
"""Points of a static thing agree within this share of their distance from the camera."""
AGENT_TOLERANCE = 0.15
"""Points of an agent agree within this share of its box."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Continuous places in images, one for each of N pixels of another image.

    Attributes:
        view, step: which image, as indices of `ConditionMaps`.
        uv_px: where in it; pixel (0, 0) spans [0, 1) x [0, 1).
        row, column: the pixel that holds the place.
    """

    view: Int64[np.ndarray, " N"]
    step: int
    uv_px: Float32[np.ndarray, "N 2"]
    row: Int64[np.ndarray, " N"]
    column: Int64[np.ndarray, " N"]


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """N pixels of the images of one step."""

    view: Int64[np.ndarray, " N"]
    step: int
    row: Int64[np.ndarray, " N"]
    column: Int64[np.ndarray, " N"]

    def select(self, chosen: Bool[np.ndarray, " N"]) -> Pixels:
        """Keep some of them."""
        return Pixels(view=self.view[chosen], step=self.step, row=self.row[chosen], column=self.column[chosen])


def place_points(uv_px: Float32[np.ndarray, "N 2"], *, view: Int64[np.ndarray, " N"], step: int) -> Places:
    """Note places together with the pixels that hold them."""
    cell = np.floor(uv_px).astype(np.int64)
    return Places(view=view, step=step, uv_px=uv_px, row=cell[:, 1], column=cell[:, 0])


def keep_places(places: Places, chosen: Bool[np.ndarray, " N"]) -> Places:
    """Keep some of them."""
    return Places(
        view=places.view[chosen],
        step=places.step,
        uv_px=places.uv_px[chosen],
        row=places.row[chosen],
        column=places.column[chosen],
    )


def same_surface(maps: ConditionMaps, here: Pixels, there: Places) -> Bool[np.ndarray, " N"]:
    """Say which pairs show the same surface: thing and material are the same, and the place on the thing agrees.

    Ground needs no more than its material, as nothing of the ground hides other ground. Sky is never the same.
    """
    a = (here.view, here.step, here.row, here.column)
    b = (there.view, there.step, there.row, there.column)
    instance = maps.instance[a]
    same = (instance == maps.instance[b]) & (maps.material[a] == maps.material[b]) & (maps.material[a] != Material.SKY)
    is_static = instance >= STATIC_INSTANCE_OFFSET
    is_agent = (instance > 0) & ~is_static
    camera_m = maps.world_from_cam[here.view, here.step, :3, 3]
    distance_m = np.linalg.norm(maps.point_world_m[a] - camera_m, axis=1)
    apart_m = np.linalg.norm(maps.point_world_m[a] - maps.point_world_m[b], axis=1)
    apart_of_box = np.abs(maps.canonical[a] - maps.canonical[b]).max(axis=1)
    fits = np.where(is_static, apart_m <= STATIC_TOLERANCE * distance_m, True)
    return same & np.where(is_agent, apart_of_box <= AGENT_TOLERANCE, fits)


def sample_places(rgb: UInt8[np.ndarray, "V T H W 3"], places: Places) -> Float32[np.ndarray, "N 3"]:
    """Return colours at places, linear between the four nearest pixel centres; the rim is repeated."""
    height, width = rgb.shape[2:4]
    x = np.clip(places.uv_px[:, 0] - 0.5, 0.0, width - 1.0)
    y = np.clip(places.uv_px[:, 1] - 0.5, 0.0, height - 1.0)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    share_x, share_y = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    images = rgb[:, places.step]
    upper = images[places.view, top, left] * (1 - share_x) + images[places.view, top, right] * share_x
    lower = images[places.view, bottom, left] * (1 - share_x) + images[places.view, bottom, right] * share_x
    return (upper * (1 - share_y) + lower * share_y).astype(np.float32)


def pixel_colors(rgb: UInt8[np.ndarray, "V T H W 3"], pixels: Pixels) -> Float32[np.ndarray, "N 3"]:
    """Return the colours of pixels."""
    return rgb[pixels.view, pixels.step, pixels.row, pixels.column].astype(np.float32)
