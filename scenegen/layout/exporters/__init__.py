"""Writers of other people's formats, for layouts that leave."""

from scenegen.layout.exporters.opendrive import layout_to_opendrive

__all__ = ["layout_to_opendrive"]
