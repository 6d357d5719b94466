"""Writers of other people's formats, for layouts that leave."""

from scenegen.layout.exporters.opendrive import layout_to_opendrive
from scenegen.layout.exporters.openscenario import layout_to_openscenario

__all__ = ["layout_to_opendrive", "layout_to_openscenario"]
