"""ASAM OpenDRIVE: parse, evaluate, link, and turn into a layout. Start in `read.py`."""

from scenegen.layout.importers.opendrive.read import read_opendrive

__all__ = ["read_opendrive"]
