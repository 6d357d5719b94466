"""ASAM OpenSCENARIO XML: entities, positions and a storyboard that is played. Start in `read.py`."""

from scenegen.layout.importers.openscenario.read import read_openscenario

__all__ = ["read_openscenario"]
