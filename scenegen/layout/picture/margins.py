"""What is around the map: title, key, scale bar and coordinates."""

from __future__ import annotations

import math

import numpy as np

from scenegen.layout.picture.agents import ARROW_RGB, CATEGORY_RGB, EDGE_RGB, EGO_RGB, shown_agents
from scenegen.layout.picture.pen import Pen, Rgb, text_width
from scenegen.layout.picture.view import KEY_PX, TITLE_PX, View
from scenegen.types.layout import Layout

PAPER_RGB: Rgb = (250, 250, 248)
INK_RGB: Rgb = (30, 30, 34)
GRID_RGB: Rgb = (150, 160, 145)
TITLE_SIZE, KEY_SIZE, TICK_SIZE = 15.0, 12.0, 10.0
TICK_APART_PX = 130.0
SCALE_BAR_PX = 150.0


def draw_coordinates(pen: Pen, view: View) -> None:
    """Draw crosses and numbers at round world coordinates, for people who want to put something there."""
    every_m = round_length(TICK_APART_PX / view.scale)
    x_min, y_min, x_max, y_max = view.bounds_world_m
    xs, ys = _rounds(x_min, x_max, every_m), _rounds(y_min, y_max, every_m)
    arm_m = 4.0 / view.scale
    for x in xs:
        for y in ys:
            for reach in (np.array([arm_m, 0.0]), np.array([0.0, arm_m])):
                at = np.array([x, y])
                pen.line(view.pixels(np.stack([at - reach, at + reach])), color=GRID_RGB, width=0.8)
    _, top, _, bottom = view.map_px
    for x in xs:
        ((at_x, _),) = view.pixels(np.array([[x, 0.0]]))
        if 30.0 < at_x < view.size_px[0] - 30.0:
            pen.text((at_x, bottom - 9.0), f"x {x:g}", size=TICK_SIZE, color=INK_RGB, anchor="middle", halo=PAPER_RGB)
    for y in ys:
        ((_, at_y),) = view.pixels(np.array([[0.0, y]]))
        if top + 12.0 < at_y < bottom - 24.0:
            pen.text((5.0, at_y), f"y {y:g}", size=TICK_SIZE, color=INK_RGB, halo=PAPER_RGB)


def draw_title(pen: Pen, view: View, layout: Layout, step: int) -> None:
    """Write what is shown: layout, time, weather."""
    width = view.size_px[0]
    pen.polygon([(0, 0), (width, 0), (width, TITLE_PX), (0, TITLE_PX)], fill=PAPER_RGB)
    timeline, environment = layout.timeline, layout.environment
    when = f"{step / timeline.rate_hz:.2f} s of {timeline.duration_s:.2f} s"
    facts = f"{environment.weather}, {environment.time_of_day}, {when}, step {step} at {timeline.rate_hz:g} Hz"
    edited = f", {len(layout.edits)} edits" if layout.edits else ""
    name = f"{layout.layout_id} ({layout.source}{edited})"
    room = width - 30.0 - text_width(facts, KEY_SIZE)
    pen.text((10.0, 0.5 * TITLE_PX), _shortened(name, TITLE_SIZE, room), size=TITLE_SIZE, color=INK_RGB, halo=None)
    pen.text((width - 10.0, 0.5 * TITLE_PX), facts, size=KEY_SIZE, color=INK_RGB, anchor="right", halo=None)


def draw_key(pen: Pen, view: View, layout: Layout, step: int, *, num_without_id: int) -> None:
    """Explain colours and arrows, count who is there, and draw the scale bar."""
    width, height = view.size_px
    top = height - KEY_PX
    pen.polygon([(0, top), (width, top), (width, height), (0, height)], fill=PAPER_RGB)
    upper, lower = top + 17.0, top + 41.0
    bar_from = _draw_scale_bar(pen, view, upper)
    x = _swatch(pen, 10.0, upper, "ego and its way", EGO_RGB)
    there = [agent.category for agent in shown_agents(view, layout, step)]
    for category, rgb in CATEGORY_RGB.items():
        count = there.count(category)
        words = f"{category.label.replace('_', ' ')} {count}"
        if count and x + 18.0 + text_width(words, KEY_SIZE) < bar_from:
            x = _swatch(pen, x, upper, words, rgb)
    pen.line([(10.0, lower), (30.0, lower)], color=ARROW_RGB, width=1.4)
    pen.polygon([(36.0, lower), (29.0, lower - 3.0), (29.0, lower + 3.0)], fill=ARROW_RGB)
    notes = "one second of velocity; lighter end: front; grey arrow heads: lanes' directions; x east, y north, metres"
    if num_without_id:
        notes += f"; {num_without_id} ids without room, see --around"
    pen.text((42.0, lower), _shortened(notes, KEY_SIZE, width - 52.0), size=KEY_SIZE, color=INK_RGB, halo=None)


def _swatch(pen: Pen, x: float, y: float, words: str, rgb: Rgb) -> float:
    """Draw a colour with its meaning; return where the next one begins."""
    pen.polygon([(x, y - 5), (x + 12, y - 5), (x + 12, y + 5), (x, y + 5)], fill=rgb, outline=EDGE_RGB)
    pen.text((x + 17.0, y), words, size=KEY_SIZE, color=INK_RGB, halo=None)
    return x + 17.0 + text_width(words, KEY_SIZE) + 14.0


def _draw_scale_bar(pen: Pen, view: View, y: float) -> float:
    """Draw a bar of a round length at the right; return where it begins."""
    length_m = round_length(SCALE_BAR_PX / view.scale)
    right = view.size_px[0] - 12.0
    left = right - view.px(length_m)
    pen.line([(left, y + 4.0), (right, y + 4.0)], color=INK_RGB, width=2.0)
    for end in (left, right):
        pen.line([(end, y), (end, y + 8.0)], color=INK_RGB, width=2.0)
    pen.text(
        (0.5 * (left + right), y - 6.0), f"{length_m:g} m", size=KEY_SIZE, color=INK_RGB, anchor="middle", halo=None
    )
    return left - 10.0


def round_length(at_most_m: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 50, ... (and their tenths) that is not longer.

    >>> round_length(37.0), round_length(0.7)
    (20.0, 0.5)
    """
    power = 10.0 ** math.floor(math.log10(at_most_m))
    return next(factor * power for factor in (5.0, 2.0, 1.0) if factor * power <= at_most_m * (1.0 + 1e-9))


def _rounds(low: float, high: float, every: float) -> list[float]:
    return [k * every for k in range(math.ceil(low / every), math.floor(high / every) + 1)]


def _shortened(words: str, size: float, room: float) -> str:
    if text_width(words, size) <= room:
        return words
    while words and text_width(words + "...", size) > room:
        words = words[:-1]
    return words + "..."
