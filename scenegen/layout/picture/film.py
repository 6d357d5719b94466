"""A layout from above as an animated GIF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from scenegen.errors import LayoutError, OutputError
from scenegen.layout.picture.agents import ARROW_RGB, CATEGORY_RGB, EGO_RGB
from scenegen.layout.picture.draw import draw_layout
from scenegen.layout.picture.ground import AREA_RGB, BACKGROUND, LINE_RGB, PROP_RGB
from scenegen.layout.picture.margins import PAPER_RGB
from scenegen.types.layout import Layout

FILM_HZ = 5.0
FILM_WIDTH_PX = 640
MOST_PICTURES = 1_000
NUM_COLORS = 128


def write_gif(
    layout: Layout,
    path: Path,
    *,
    around_m: float | None = None,
    width_px: int = FILM_WIDTH_PX,
    rate_hz: float = FILM_HZ,
) -> int:
    """Write a film in real time at about `rate_hz` and return its number of pictures; `around_m` follows the ego.

    Raises:
        LayoutError: more than `MOST_PICTURES`.
        OutputError: the file cannot be written.
    """
    every = max(1, round(layout.timeline.rate_hz / rate_hz))
    steps = range(0, layout.timeline.num_steps, every)
    if len(steps) > MOST_PICTURES:
        raise LayoutError(
            f"at most {MOST_PICTURES} pictures", found=f"{len(steps)}", where=layout.layout_id, fix="crop the layout"
        )
    pictures = _pictures(layout, steps, around_m, width_px)
    try:
        next(pictures).save(
            path,
            format="GIF",
            save_all=True,
            append_images=pictures,
            duration=round(1000.0 * every / layout.timeline.rate_hz),
            loop=0,
        )
    except OSError as error:
        raise OutputError("a writable file", found=error.strerror or str(error), where=str(path)) from error
    return len(steps)


def _pictures(layout: Layout, steps: range, around_m: float | None, width_px: int) -> Iterator[Image.Image]:
    """Draw the pictures, all with the same colours, so that nothing flickers."""
    palette: Image.Image | None = None
    for step in steps:
        picture = Image.fromarray(draw_layout(layout, step=step, width_px=width_px, around_m=around_m))
        if palette is None:
            palette = _palette(picture)
        yield picture.quantize(palette=palette, dither=Image.Dither.NONE)


def _palette(picture: Image.Image) -> Image.Image:
    """Return the colours that mean something, and those that a picture needs most beside them."""
    named = [EGO_RGB, ARROW_RGB, PAPER_RGB, BACKGROUND]
    for table in (CATEGORY_RGB, AREA_RGB, LINE_RGB, PROP_RGB):
        named += table.values()
    wanted = picture.quantize(NUM_COLORS - len(named))
    others = (wanted.getpalette() or [])[: 3 * (NUM_COLORS - len(named))]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(value for rgb in named for value in rgb), *others])
    return palette
