"""Ego-frame steps of a scene, true occupancy and layout picture, as the reference design is given them.

Every array covers `OCC3D_GRID`: 80 m by 80 m around the ego in columns of 0.4 m, 16 levels. Worlds are read as
`WorldVoxels`, without thin things, so that the reference design learns what the other occupancy models learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from jaxtyping import Bool, Float64, Int64, UInt8

from scenegen.occupancy.agents import build_agent_shapes
from scenegen.occupancy.fixed import FixedVoxels
from scenegen.occupancy.latent_ar.codes import (
    GROUP_OF_GROUND,
    GROUP_OF_SOLID,
    GROUP_OF_SURFACE,
    Group,
    Surface,
    group_semantics,
)
from scenegen.occupancy.raster import RasterFrame, paint
from scenegen.occupancy.site import Site, region_of
from scenegen.occupancy.views import cut_shapes
from scenegen.occupancy.voxels import OpenGround, SolidClass, WorldVoxels, columns_of
from scenegen.types import OCC3D_GRID, Layout

FRAME_RATE_HZ = 2.0
"""Steps of the reference design are key frames: 60 in 30 s."""
GROUND_LEVEL = 2
"""The level that contains z = 0 under an upright ego."""
NOT_FIXED = 255


@dataclass(frozen=True, kw_only=True)
class LayoutFrames:
    """What the model is told of T steps.

    Attributes:
        surface: `Surface` of every column.
        agents: `Group` of every voxel inside an agent, FREE elsewhere.
        world_from_ego: poses.
        style: name of the world's style, empty where it has none.
    """

    surface: UInt8[np.ndarray, "T X Y"]
    agents: UInt8[np.ndarray, "T X Y Z"]
    world_from_ego: Float64[np.ndarray, "T 4 4"]
    style: str = ""

    def __len__(self) -> int:
        return len(self.surface)

    def take(self, steps: Sequence[int]) -> LayoutFrames:
        """Return some of the steps."""
        rows = list(steps)
        return replace(
            self, surface=self.surface[rows], agents=self.agents[rows], world_from_ego=self.world_from_ego[rows]
        )


def frame_steps(layout: Layout) -> list[int]:
    """Return the steps of a layout that are frames of the reference design: those at `FRAME_RATE_HZ`."""
    is_frame = layout.timeline.is_key_frame(key_rate_hz=FRAME_RATE_HZ)
    return [int(step) for step in np.nonzero(is_frame)[0]]


def picture_layout(site: Site, *, steps: list[int], style: str = "") -> LayoutFrames:
    """Cut the layout picture of some steps out of the ground plan and the agents' tracks."""
    surface = _paint_surfaces(site)
    poses = site.layout.ego.world_from_ego[steps]
    return LayoutFrames(
        surface=np.stack([look_up_columns(surface, site.ground_frame, pose, outside=Surface.OPEN) for pose in poses]),
        agents=np.stack([_cut_agents(site, step) for step in steps]),
        world_from_ego=poses,
        style=style,
    )


def cut_frames(voxels: WorldVoxels, told: LayoutFrames) -> UInt8[np.ndarray, "T X Y Z"]:
    """Cut the true occupancy, a `Group` per voxel, of steps whose layout picture is given out of their world."""
    frames = np.full((len(told), *OCC3D_GRID.shape), Group.FREE, np.uint8)
    for frame, surface, agents, pose in zip(frames, told.surface, told.agents, told.world_from_ego, strict=True):
        solid = look_up_columns(voxels.solid, columns_of(voxels), pose, outside=SolidClass.FREE)
        ground = look_up_columns(voxels.ground, columns_of(voxels), pose, outside=OpenGround.TERRAIN)
        count = min(solid.shape[2], frame.shape[2] - GROUND_LEVEL)
        frame[..., GROUND_LEVEL : GROUND_LEVEL + count] = GROUP_OF_SOLID[solid[..., :count]]
        floor = frame[..., GROUND_LEVEL]
        fixed_floor = GROUP_OF_SURFACE[surface]
        floor_group = np.where(fixed_floor != Group.FREE, fixed_floor, GROUP_OF_GROUND[ground])
        frame[..., GROUND_LEVEL] = np.where(floor == Group.FREE, floor_group, floor)
        _put_agents(frame, agents)
    return frames


def cut_fixed(fixed: FixedVoxels, told: LayoutFrames) -> UInt8[np.ndarray, "T X Y Z"]:
    """Return what the layout fixes of the occupancy of some steps: a `Group`, or NOT_FIXED.

    Fixed are given things, free space over roads, walkways and where anybody passes, the ground of given regions, and
    agents. The levels under the ground are left out: anybody gets them right.
    """
    frames = np.full((len(told), *OCC3D_GRID.shape), NOT_FIXED, np.uint8)
    is_fixed = fixed.is_solid_fixed()
    column_frame = columns_of(fixed.given)
    for frame, surface, agents, pose in zip(frames, told.surface, told.agents, told.world_from_ego, strict=True):
        solid = GROUP_OF_SOLID[look_up_columns(fixed.given.solid, column_frame, pose, outside=SolidClass.FREE)]
        known = look_up_columns(is_fixed, column_frame, pose, outside=False)
        count = min(solid.shape[2], frame.shape[2] - GROUND_LEVEL)
        frame[..., GROUND_LEVEL : GROUND_LEVEL + count] = np.where(known, solid, NOT_FIXED)[..., :count]
        floor = GROUP_OF_SURFACE[surface]
        is_bare = frame[..., GROUND_LEVEL] == Group.FREE
        says = np.where(floor != Group.FREE, floor, NOT_FIXED)
        frame[..., GROUND_LEVEL] = np.where(is_bare, says, frame[..., GROUND_LEVEL])
        _put_agents(frame, agents)
    return frames


def column_centres_m() -> Float64[np.ndarray, "X Y 2"]:
    """Return the middles of the ego grid's columns in frame `ego`."""
    axes = [
        OCC3D_GRID.origin_m[axis] + OCC3D_GRID.voxel_m * (np.arange(OCC3D_GRID.shape[axis]) + 0.5) for axis in (0, 1)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _cut_agents(site: Site, step: int) -> UInt8[np.ndarray, "X Y Z"]:
    shapes = build_agent_shapes(site.layout, step=step)
    return group_semantics(cut_shapes(shapes, world_from_ego=site.layout.ego.world_from_ego[step]))


def _put_agents(frame: UInt8[np.ndarray, "X Y Z"], agents: UInt8[np.ndarray, "X Y Z"]) -> None:
    """Mark agents in place; the ground and what lies under it stay as they are."""
    above = slice(GROUND_LEVEL + 1, None)
    frame[..., above] = np.where(agents[..., above] != Group.FREE, agents[..., above], frame[..., above])


def _paint_surfaces(site: Site) -> UInt8[np.ndarray, "GX GY"]:
    """Return the surface of every ground cell."""
    raster = np.full(site.ground_frame.shape, Surface.OPEN, np.uint8)
    road_map = site.layout.road_map
    crossings = shapely.union_all([region_of(area) for area in road_map.areas_of("crossing")])
    buildings = shapely.union_all([region_of(area) for area in road_map.areas_of("building")])
    regions = (
        (buildings, Surface.BUILDING),
        (site.sidewalk, Surface.SIDEWALK),
        (site.drivable, Surface.ROAD),
        (site.parking, Surface.PARKING),
        (crossings.intersection(site.drivable), Surface.CROSSING),
        (site.lawn, Surface.LAWN),
    )
    for region, surface in regions:
        paint(raster, site.ground_frame, region=region, value=surface)
    return raster


def look_up_columns(
    columns: np.ndarray, frame: RasterFrame, world_from_ego: Float64[np.ndarray, "4 4"], *, outside: int
) -> np.ndarray:
    """Return the values of the columns under the middles of the ego grid's columns, `outside` where there are none."""
    cells, inside = _cells_under(frame, world_from_ego)
    found = columns[cells[..., 0], cells[..., 1]]
    found[~inside] = outside
    return found


def _cells_under(
    frame: RasterFrame, world_from_ego: Float64[np.ndarray, "4 4"]
) -> tuple[Int64[np.ndarray, "X Y 2"], Bool[np.ndarray, "X Y"]]:
    world_m = column_centres_m() @ world_from_ego[:2, :2].T + world_from_ego[:2, 3]
    cells = np.floor(frame.to_cells(world_m)).astype(np.int64)
    inside = ((cells >= 0) & (cells < frame.shape)).all(axis=-1)
    return np.clip(cells, 0, np.array(frame.shape) - 1), inside
