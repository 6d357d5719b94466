"""nuScenes by the tables of its devkit. Start in `read.py`."""

from scenegen.layout.importers.nuscenes.read import read_nuscenes
from scenegen.layout.importers.nuscenes.tables import scene_names

__all__ = ["read_nuscenes", "scene_names"]
