"""Lanelet2 maps: OSM primitives, lanelets and areas, regulatory elements, painted lines. Start in `read.py`."""

from scenegen.layout.importers.lanelet2.read import read_lanelet2

__all__ = ["read_lanelet2"]
