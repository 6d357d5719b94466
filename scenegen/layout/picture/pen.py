"""What pictures are drawn with: one protocol, one pen for pixels (Pillow) and one for SVG text.

Units are pixels of the finished picture, x right and y down. Matplotlib would draw both, but is no dependency of ours
and takes a second to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Protocol

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

Rgb = tuple[int, int, int]
Points = Sequence[tuple[float, float]]
SHARPNESS = 2
"""Pixels are drawn this many times smaller and then averaged, which smooths edges."""
ANCHORS = {"left": "lm", "middle": "mm", "right": "rm"}


class Pen(Protocol):
    """Draws on a picture of `size_px` (width, height)."""

    size_px: tuple[int, int]

    def polygon(
        self, points: Points, *, fill: Rgb, outline: Rgb | None = None, holes: Sequence[Points] = (), hint: str = ""
    ) -> None:
        """Fill a polygon; its holes stay as they were. `hint` is shown where a reader points at it, if it can be."""

    def line(self, points: Points, *, color: Rgb, width: float) -> None:
        """Draw a line through points."""

    def circle(self, center: tuple[float, float], *, radius: float, fill: Rgb) -> None:
        """Fill a circle."""

    def text(
        self, at: tuple[float, float], words: str, *, size: float, color: Rgb, anchor: str = "left", halo: Rgb | None
    ) -> None:
        """Write one line whose left end, middle or right end is at a point, halfway up."""


@lru_cache(maxsize=64)
def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def text_width(words: str, size: float) -> float:
    """Return how many pixels a line of text takes."""
    return float(_font(size).getlength(words))


class RasterPen:
    """Draws pixels."""

    def __init__(self, size_px: tuple[int, int], background: Rgb) -> None:
        self.size_px = size_px
        self._image = Image.new("RGB", (SHARPNESS * size_px[0], SHARPNESS * size_px[1]), background)
        self._draw = ImageDraw.Draw(self._image)

    def polygon(
        self, points: Points, *, fill: Rgb, outline: Rgb | None = None, holes: Sequence[Points] = (), hint: str = ""
    ) -> None:
        """Fill a polygon."""
        if len(points) < 2:
            return
        if not holes:
            self._draw.polygon(_fine(points), fill=fill, outline=outline)
            return
        mask = Image.new("L", self._image.size, 0)
        pen = ImageDraw.Draw(mask)
        pen.polygon(_fine(points), fill=255)
        for hole in holes:
            pen.polygon(_fine(hole), fill=0)
        self._image.paste(fill, mask=mask)

    def line(self, points: Points, *, color: Rgb, width: float) -> None:
        """Draw a line through points."""
        if len(points) > 1:
            self._draw.line(_fine(points), fill=color, width=max(1, round(SHARPNESS * width)), joint="curve")

    def circle(self, center: tuple[float, float], *, radius: float, fill: Rgb) -> None:
        """Fill a circle."""
        (x, y), r = (SHARPNESS * center[0], SHARPNESS * center[1]), SHARPNESS * radius
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def text(
        self, at: tuple[float, float], words: str, *, size: float, color: Rgb, anchor: str = "left", halo: Rgb | None
    ) -> None:
        """Write one line."""
        self._draw.text(
            (SHARPNESS * at[0], SHARPNESS * at[1]), words, fill=color, font=_font(SHARPNESS * size),
            anchor=ANCHORS[anchor], stroke_width=2 * SHARPNESS if halo else 0, stroke_fill=halo,
        )  # fmt: skip

    def finish(self) -> UInt8[np.ndarray, "H W 3"]:
        """Return the picture."""
        return np.asarray(self._image.resize(self.size_px, Image.Resampling.BOX), np.uint8)


def _fine(points: Points) -> list[tuple[float, float]]:
    return [(SHARPNESS * x, SHARPNESS * y) for x, y in points]


class SvgPen:
    """Writes SVG elements; hints become tooltips."""

    def __init__(self, size_px: tuple[int, int], background: Rgb) -> None:
        self.size_px = size_px
        width, height = size_px
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
            f'<rect width="{width}" height="{height}" fill="{_css(background)}"/>',
        ]

    def polygon(
        self, points: Points, *, fill: Rgb, outline: Rgb | None = None, holes: Sequence[Points] = (), hint: str = ""
    ) -> None:
        """Fill a polygon."""
        if len(points) < 2:
            return
        rings = " ".join(f"M{_pairs(ring)}Z" for ring in (points, *holes))
        stroke = f' stroke="{_css(outline)}" stroke-width="0.6"' if outline else ""
        body = f"><title>{escape(hint)}</title></path>" if hint else "/>"
        self._parts.append(f'<path d="{rings}" fill="{_css(fill)}" fill-rule="evenodd"{stroke}{body}')

    def line(self, points: Points, *, color: Rgb, width: float) -> None:
        """Draw a line through points."""
        if len(points) > 1:
            self._parts.append(
                f'<path d="M{_pairs(points)}" fill="none" stroke="{_css(color)}" stroke-width="{max(width, 0.3):.2f}"/>'
            )

    def circle(self, center: tuple[float, float], *, radius: float, fill: Rgb) -> None:
        """Fill a circle."""
        self._parts.append(f'<circle cx="{center[0]:.2f}" cy="{center[1]:.2f}" r="{radius:.2f}" fill="{_css(fill)}"/>')

    def text(
        self, at: tuple[float, float], words: str, *, size: float, color: Rgb, anchor: str = "left", halo: Rgb | None
    ) -> None:
        """Write one line."""
        where = {"left": "start", "middle": "middle", "right": "end"}[anchor]
        around = f' stroke="{_css(halo)}" stroke-width="3" paint-order="stroke"' if halo else ""
        self._parts.append(
            f'<text x="{at[0]:.2f}" y="{at[1] + 0.35 * size:.2f}" font-size="{size:g}" fill="{_css(color)}" '
            f'text-anchor="{where}"{around}>{escape(words)}</text>'
        )

    def finish(self) -> str:
        """Return the text of the file."""
        return "\n".join([*self._parts, "</svg>"]) + "\n"


def _css(rgb: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _pairs(points: Points) -> str:
    return "L".join(f"{x:.2f},{y:.2f}" for x, y in points)
