"""Ego-frame steps of a scene, true occupancy and layout picture, as the reference design is given them.

Every array covers `OCC3D_GRID`: 80 m by 80 m around the ego in columns of 0.4 m, 16 levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64, UInt8

from scenegen.occupancy.agents import build_agent_shapes
from scenegen.occupancy.latent_ar.codes import Surface, group_semantics
from scenegen.occupancy.raster import paint
from scenegen.occupancy.site import Site, region_of
from scenegen.occupancy.views import cut_semantics, cut_shapes
from scenegen.types import OCC3D_GRID, GridSpec, Layout, World

FRAME_RATE_HZ = 2.0
"""Steps of the reference design are key frames: 60 in 30 s."""
UNKNOWN_STYLE = 0


@dataclass(frozen=True, kw_only=True)
class LayoutFrames:
    """What the model is told of T steps.

    Attributes:
        surface: `Surface` of every column.
        agents: `Group` of the agents' boxes over every column, FREE where there is none.
        world_from_ego: poses.
        style: number of the world's style, `UNKNOWN_STYLE` where it has none.
    """

    surface: UInt8[np.ndarray, "T X Y"]
    agents: UInt8[np.ndarray, "T X Y"]
    world_from_ego: Float64[np.ndarray, "T 4 4"]
    style: int = UNKNOWN_STYLE

    def __len__(self) -> int:
        return len(self.surface)


@dataclass(frozen=True, kw_only=True)
class OccupancyFrames:
    """T steps with their true occupancy: `groups` holds a `Group` per voxel."""

    layout: LayoutFrames
    groups: UInt8[np.ndarray, "T X Y Z"]


def frame_steps(layout: Layout) -> list[int]:
    """Return the steps of a layout that are frames of the reference design: those at `FRAME_RATE_HZ`."""
    return np.nonzero(layout.timeline.is_key_frame(key_rate_hz=FRAME_RATE_HZ))[0].tolist()


def picture_layout(site: Site, *, steps: list[int], style: int = UNKNOWN_STYLE) -> LayoutFrames:
    """Cut the layout picture of some steps out of the ground plan and the agents' tracks."""
    surface = _paint_surfaces(site)
    poses = site.layout.ego.world_from_ego[steps]
    agents = [
        cut_shapes(build_agent_shapes(site.layout, step=step), world_from_ego=pose)
        for step, pose in zip(steps, poses, strict=True)
    ]
    return LayoutFrames(
        surface=np.stack([_look_up(surface, site, world_from_ego=pose) for pose in poses]),
        agents=np.stack([group_semantics(cut).max(axis=2) for cut in agents]),
        world_from_ego=poses,
        style=style,
    )


def cut_frames(world: World, site: Site, *, steps: list[int], style: int = UNKNOWN_STYLE) -> OccupancyFrames:
    """Cut true occupancy and layout picture of some steps out of a world and its site."""
    groups = [
        group_semantics(
            cut_semantics(
                world,
                build_agent_shapes(site.layout, step=step),
                world_from_ego=site.layout.ego.world_from_ego[step],
            )
        )
        for step in steps
    ]
    return OccupancyFrames(layout=picture_layout(site, steps=steps, style=style), groups=np.stack(groups))


def column_centres_m(grid: GridSpec = OCC3D_GRID) -> Float64[np.ndarray, "X Y 2"]:
    """Return the middles of a grid's columns in its own frame."""
    axes = [grid.origin_m[axis] + grid.voxel_m * (np.arange(grid.shape[axis]) + 0.5) for axis in (0, 1)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


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


def _look_up(
    raster: UInt8[np.ndarray, "GX GY"], site: Site, *, world_from_ego: Float64[np.ndarray, "4 4"]
) -> UInt8[np.ndarray, "X Y"]:
    """Return the raster's values under the columns of the ego frame; OPEN outside of it."""
    world_m = column_centres_m() @ world_from_ego[:2, :2].T + world_from_ego[:2, 3]
    cells = np.floor(site.ground_frame.to_cells(world_m)).astype(np.int64)
    inside = ((cells >= 0) & (cells < site.ground_frame.shape)).all(axis=-1)
    clipped = np.clip(cells, 0, np.array(site.ground_frame.shape) - 1)
    return np.where(inside, raster[clipped[..., 0], clipped[..., 1]], Surface.OPEN).astype(np.uint8)
