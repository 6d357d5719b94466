"""Readers of other people's formats. Every foreign convention ends here; what leaves is a `Layout`.

Common to all of them: the world frame is the source's own, moved so that the first ego position is its
origin (orientation kept); the ground is flat at z = 0; agents keep the source's stamps and rate.
"""

from scenegen.layout.importers.argoverse2 import read_argoverse2
from scenegen.layout.importers.argoverse2_motion import read_argoverse2_motion
from scenegen.layout.importers.comma2k19 import read_comma2k19
from scenegen.layout.importers.commonroad import read_commonroad
from scenegen.layout.importers.kitti_tracking import read_kitti_tracking
from scenegen.layout.importers.l5kit import read_l5kit
from scenegen.layout.importers.lanelet2 import read_lanelet2
from scenegen.layout.importers.nuscenes import read_nuscenes
from scenegen.layout.importers.opendrive import read_opendrive
from scenegen.layout.importers.openscenario import read_openscenario
from scenegen.layout.importers.scenarionet import read_scenarionet
from scenegen.layout.importers.waymo import read_waymo

__all__ = [
    "read_argoverse2",
    "read_argoverse2_motion",
    "read_comma2k19",
    "read_commonroad",
    "read_kitti_tracking",
    "read_l5kit",
    "read_lanelet2",
    "read_nuscenes",
    "read_opendrive",
    "read_openscenario",
    "read_scenarionet",
    "read_waymo",
]
