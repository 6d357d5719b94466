"""A layout seen from above: PNG, SVG and GIF by one drawing code with two pens."""

from scenegen.layout.picture.draw import draw_layout, layout_to_svg
from scenegen.layout.picture.film import write_gif

__all__ = ["draw_layout", "layout_to_svg", "write_gif"]
