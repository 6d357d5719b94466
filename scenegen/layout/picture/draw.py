"""One picture of a layout at one step."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from scenegen.errors import LayoutError
from scenegen.layout.picture.agents import draw_agents
from scenegen.layout.picture.ground import BACKGROUND, draw_ground
from scenegen.layout.picture.margins import draw_coordinates, draw_key, draw_title
from scenegen.layout.picture.pen import Pen, RasterPen, SvgPen
from scenegen.layout.picture.view import View, view_of
from scenegen.types.layout import Layout

WIDTH_PX = 1400
AnyPen = TypeVar("AnyPen", bound=Pen)


def draw_layout(
    layout: Layout, *, step: int = 0, width_px: int = WIDTH_PX, around_m: float | None = None
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a layout from above at one step: north (world y) up, ego green, arrows one second of velocity long.

    Args:
        layout: any layout.
        step: who is there then is drawn.
        width_px: of the picture; its height follows from what is shown.
        around_m: shows this far to either side of the ego; None shows the ego's whole way.

    Raises:
        LayoutError: the layout has no such step.
    """
    view = _view(layout, step, width_px, around_m)
    return _draw(RasterPen(view.size_px, BACKGROUND), view, layout, step).finish()


def layout_to_svg(layout: Layout, *, step: int = 0, width_px: int = WIDTH_PX, around_m: float | None = None) -> str:
    """Draw the same picture as the text of an SVG file; boxes tell id, speed and place to who points at them.

    Raises:
        LayoutError: the layout has no such step.
    """
    view = _view(layout, step, width_px, around_m)
    return _draw(SvgPen(view.size_px, BACKGROUND), view, layout, step).finish()


def _view(layout: Layout, step: int, width_px: int, around_m: float | None) -> View:
    if not 0 <= step < layout.timeline.num_steps:
        raise LayoutError(f"a step from 0 to {layout.timeline.num_steps - 1}", found=f"{step}", where=layout.layout_id)
    if around_m is not None and not 1.0 <= around_m <= 5_000.0:
        raise LayoutError("from 1 to 5000 m around the ego", found=f"{around_m:g}", where=layout.layout_id)
    return view_of(layout, width_px=width_px, step=step, around_m=around_m)


def _draw(pen: AnyPen, view: View, layout: Layout, step: int) -> AnyPen:
    draw_ground(pen, view, layout)
    draw_coordinates(pen, view)
    num_without_id = draw_agents(pen, view, layout, step)
    draw_title(pen, view, layout, step)
    draw_key(pen, view, layout, step, num_without_id=num_without_id)
    return pen
