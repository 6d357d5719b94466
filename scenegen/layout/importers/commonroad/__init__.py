"""CommonRoad scenarios: parse, link, let the obstacles move and the ego drive to its goal. Start in `read.py`."""

from scenegen.layout.importers.commonroad.read import read_commonroad

__all__ = ["read_commonroad"]
