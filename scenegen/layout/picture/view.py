"""Which part of the world a picture shows, and where a place lies in it: north (world y) up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.layout.picture.pen import Points
from scenegen.types.layout import Layout

TITLE_PX, KEY_PX = 34, 58
"""Strips above and below the map."""
AROUND_WAY_M = 30.0
AROUND_HEIGHT = 0.7
"""Of the view around the ego, height over width."""
WIDEST = 2.4
"""Of the map, width over height; a long straight street is shown with what is beside it."""


@dataclass(frozen=True, kw_only=True)
class View:
    """World to pixels. The map fills the width and lies between the title and the key.

    Attributes:
        center_world_m: in the middle of the map.
        scale: pixels per metre.
        size_px: of the whole picture (width, height).
    """

    center_world_m: Float64[np.ndarray, "2"]
    scale: float
    size_px: tuple[int, int]

    @property
    def map_px(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the map."""
        return 0.0, float(TITLE_PX), float(self.size_px[0]), float(self.size_px[1] - KEY_PX)

    @property
    def bounds_world_m(self) -> tuple[float, float, float, float]:
        """Lowest x and y, highest x and y that are shown."""
        half_m = 0.5 * np.array([self.size_px[0], self.size_px[1] - TITLE_PX - KEY_PX]) / self.scale
        (x_min, y_min), (x_max, y_max) = self.center_world_m - half_m, self.center_world_m + half_m
        return float(x_min), float(y_min), float(x_max), float(y_max)

    def pixels(self, points_m: Float64[np.ndarray, "N C"]) -> Points:
        """Return where places are in the picture."""
        left, top, right, bottom = self.map_px
        offset = (np.asarray(points_m)[:, :2] - self.center_world_m) * self.scale
        x, y = 0.5 * (left + right) + offset[:, 0], 0.5 * (top + bottom) - offset[:, 1]
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def shows(self, points_m: Float64[np.ndarray, "N C"], *, margin_m: float = 0.0) -> bool:
        """Say whether anything of a shape may be seen."""
        if not len(points_m):
            return False
        x_min, y_min, x_max, y_max = self.bounds_world_m
        low, high = points_m[:, :2].min(axis=0) - margin_m, points_m[:, :2].max(axis=0) + margin_m
        return bool(low[0] <= x_max and high[0] >= x_min and low[1] <= y_max and high[1] >= y_min)

    def px(self, length_m: float) -> float:
        """Return a length in pixels."""
        return length_m * self.scale


def view_of(layout: Layout, *, width_px: int, step: int, around_m: float | None) -> View:
    """Return the view of the ego's whole way, or one 2 `around_m` wide (and less high) around the ego at a step."""
    way_m = layout.ego.position_world_m[:, :2]
    if around_m is not None:
        height_px = round(AROUND_HEIGHT * width_px)
        scale = width_px / (2.0 * around_m)
        return View(center_world_m=way_m[step], scale=scale, size_px=(width_px, height_px + TITLE_PX + KEY_PX))
    low, high = way_m.min(axis=0) - AROUND_WAY_M, way_m.max(axis=0) + AROUND_WAY_M
    wide_m, high_m = (float(value) for value in high - low)
    high_m = max(high_m, wide_m / WIDEST)
    wide_m = max(wide_m, high_m)
    height_px = round(width_px * high_m / wide_m)
    return View(
        center_world_m=0.5 * (low + high), scale=width_px / wide_m, size_px=(width_px, height_px + TITLE_PX + KEY_PX)
    )
