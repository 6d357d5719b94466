"""The site: what the layout fixes of the ground plan, and where nothing may be built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float32, Float64
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from scenegen.errors import WorldError
from scenegen.occupancy.raster import RasterFrame, coarsen_any, mask_of
from scenegen.types import Area, GridSpec, Layout

VOXEL_M = 0.4
GROUND_CELL_M = 0.1
FINE_PER_VOXEL = 4
NUM_LEVELS = 64
MARGIN_M = 75.0
MOST_COLUMNS = 16_000_000
"""About a gigabyte of voxels and ground."""
EGO_HALF_WIDTH_M = 1.1
EGO_REAR_M, EGO_FRONT_M = 1.2, 4.2
EGO_HEIGHT_M = 2.0
SWEPT_MARGIN_CELLS = 1
COVERED_WITHIN_M, COVERED_SHARE = 0.5, 0.3
"""A lane adds to the drivable areas only if more than this share lies farther than this outside of them."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Regions and rasters that every rule consults. Geometry in world metres, clipped to the extents.

    Attributes:
        grid: voxel grid of the world.
        ground_frame: raster of 0.1 m cells, aligned with the voxel columns.
        column_frame: raster of voxel columns.
        roadway: everything wheels may use: drivable areas, lanes, parking, crossings.
        drivable, parking, sidewalk, lawn: regions of the ground.
        is_road: columns touched by the roadway.
        is_paved: columns touched by roadway or sidewalk.
        swept_top_m: height above ground of the tallest agent (or the ego) that ever passes a column, 0 if none.
        ego_path: the way of the ego's rear axle.
    """

    layout: Layout
    grid: GridSpec
    ground_frame: RasterFrame
    column_frame: RasterFrame
    roadway: BaseGeometry
    drivable: BaseGeometry
    parking: BaseGeometry
    sidewalk: BaseGeometry
    lawn: BaseGeometry
    is_road: Bool[np.ndarray, "X Y"]
    is_paved: Bool[np.ndarray, "X Y"]
    swept_top_m: Float32[np.ndarray, "X Y"]
    ego_path: BaseGeometry

    @property
    def keep_out(self) -> Bool[np.ndarray, "X Y"]:
        """Columns where nothing may stand: roadway, and space swept by anyone."""
        return np.asarray(self.is_road | (self.swept_top_m > 0.0))

    @property
    def bounds_world_m(self) -> tuple[float, float, float, float]:
        """(x min, y min, x max, y max) of the grid."""
        x, y = self.column_frame.origin_m
        return x, y, x + VOXEL_M * self.grid.shape[0], y + VOXEL_M * self.grid.shape[1]


def survey_site(layout: Layout, *, sidewalk_width_m: float) -> Site:
    """Lay the grid over the ego path and work out the regions of the ground plan.

    Sidewalks of `sidewalk_width_m` are grown around the roadway where the layout has none.

    Raises:
        WorldError: the layout has neither lanes nor drivable areas near the ego, or its world would be too large.
    """
    grid = _grid_around(layout)
    frame = RasterFrame(
        origin_m=grid.origin_m[:2],
        cell_m=GROUND_CELL_M,
        shape=(grid.shape[0] * FINE_PER_VOXEL, grid.shape[1] * FINE_PER_VOXEL),
    )
    columns = RasterFrame(origin_m=grid.origin_m[:2], cell_m=VOXEL_M, shape=grid.shape[:2])
    x, y = grid.origin_m[:2]
    extents = shapely.box(x, y, x + VOXEL_M * grid.shape[0], y + VOXEL_M * grid.shape[1])

    lawn = _union_of(layout.road_map.areas_of("grass"), extents)
    given = _union_of(layout.road_map.areas_of("drivable"), extents).difference(lawn)
    drivable = given.union(_lane_surface(layout, extents, kinds=("vehicle", "bike", "bus"), unless_in=given))
    parking = _union_of(layout.road_map.areas_of("parking"), extents).difference(drivable)
    if drivable.is_empty:
        raise WorldError(
            "lanes or drivable areas within 75 m of the ego path", found="none", where=f"layout {layout.layout_id!r}"
        )
    roadway = shapely.union_all([drivable, parking])
    sidewalk = _sidewalk_region(layout, roadway, extents, width_m=sidewalk_width_m).difference(lawn)

    is_road = coarsen_any(mask_of(roadway, frame), factor=FINE_PER_VOXEL)
    is_walk = coarsen_any(mask_of(sidewalk, frame), factor=FINE_PER_VOXEL)
    return Site(
        layout=layout,
        grid=grid,
        ground_frame=frame,
        column_frame=columns,
        roadway=roadway,
        drivable=drivable,
        parking=parking,
        sidewalk=sidewalk,
        lawn=lawn.difference(roadway),
        is_road=is_road,
        is_paved=is_road | is_walk,
        swept_top_m=_sweep(layout, columns),
        ego_path=_path_of(layout.ego.position_world_m[:, :2]),
    )


def _grid_around(layout: Layout) -> GridSpec:
    path_world_m = layout.ego.position_world_m[:, :2]
    low = np.floor((path_world_m.min(axis=0) - MARGIN_M) / VOXEL_M)
    size = np.ceil((path_world_m.max(axis=0) + MARGIN_M) / VOXEL_M) - low
    if size.prod() > MOST_COLUMNS:
        raise WorldError(
            f"a world of at most {MOST_COLUMNS * VOXEL_M**2 / 1e6:.2f} km2",
            found=f"{size[0] * VOXEL_M:.0f} m by {size[1] * VOXEL_M:.0f} m around the ego path",
            where=f"layout {layout.layout_id!r}",
            fix="cut the ego path into several layouts",
        )
    return GridSpec(
        origin_m=(float(low[0] * VOXEL_M), float(low[1] * VOXEL_M), 0.0),
        voxel_m=VOXEL_M,
        shape=(int(size[0]), int(size[1]), NUM_LEVELS),
    )


def _at_least_two(points_world_m: Float64[np.ndarray, "T 2"]) -> Float64[np.ndarray, "N 2"]:
    """Repeat a lone point: a line needs two."""
    return points_world_m if len(points_world_m) > 1 else np.repeat(points_world_m, 2, axis=0)


def _path_of(points_world_m: Float64[np.ndarray, "T 2"]) -> BaseGeometry:
    """Return the line through the points, or the point where all are one."""
    moves = np.concatenate([[True], (np.diff(points_world_m, axis=0) != 0.0).any(axis=1)])
    distinct = points_world_m[moves]
    return shapely.LineString(distinct) if len(distinct) > 1 else shapely.Point(distinct[0])


def region_of(area: Area) -> BaseGeometry:
    """Return the polygon of an area, repaired where its ring touches itself."""
    return shapely.make_valid(shapely.Polygon(area.polygon_world_m, list(area.holes_world_m)))


def _union_of(areas: tuple[Area, ...], extents: BaseGeometry) -> BaseGeometry:
    return shapely.union_all([region_of(area).intersection(extents) for area in areas])


def _lane_surface(
    layout: Layout, extents: BaseGeometry, *, kinds: tuple[str, ...], unless_in: BaseGeometry
) -> BaseGeometry:
    """Return the union of the lanes of some kinds, leaving out lanes that lie mostly in a region given already."""
    surfaces = [
        shapely.LineString(_at_least_two(lane.centerline_world_m[:, :2])).buffer(
            lane.width_m / 2, cap_style="flat", join_style="round"
        )
        for lane in layout.road_map.lanes
        if lane.kind in kinds
    ]
    known = unless_in.buffer(COVERED_WITHIN_M)
    surfaces = [s for s in surfaces if s.intersects(extents) and s.difference(known).area > COVERED_SHARE * s.area]
    # closing slits of a few centimetres between neighbouring lanes
    united = shapely.union_all(surfaces).buffer(0.15, join_style="mitre").buffer(-0.15, join_style="mitre")
    return united.intersection(extents)


def _sidewalk_region(layout: Layout, roadway: BaseGeometry, extents: BaseGeometry, *, width_m: float) -> BaseGeometry:
    """Return the sidewalks of the layout, or, where it has none, a band grown around the roadway."""
    ways = _lane_surface(layout, extents, kinds=("walk",), unless_in=roadway)
    given = _union_of(layout.road_map.areas_of("sidewalk"), extents).union(ways)
    if not given.is_empty:
        return given.difference(roadway)
    return roadway.buffer(width_m).intersection(extents).difference(roadway)


def _sweep(layout: Layout, columns: RasterFrame) -> Float32[np.ndarray, "X Y"]:
    """Return the height of the tallest thing that ever passes each column, one column of margin included."""
    top_m = np.zeros(columns.shape, np.float32)
    steps = layout.timeline.num_steps
    ego_centre = np.full((steps, 2), [(EGO_FRONT_M - EGO_REAR_M) / 2, 0.0])
    heading = layout.ego.heading_rad
    ego_world = layout.ego.position_world_m[:, :2] + _rotate(ego_centre, heading)
    ego_size = (EGO_FRONT_M + EGO_REAR_M, 2 * EGO_HALF_WIDTH_M)
    _mark_boxes(top_m, columns, ego_world, heading, size_m=ego_size, top_m=np.full(steps, EGO_HEIGHT_M))
    for agent in layout.agents:
        centre = agent.center_world_m[agent.valid]
        _mark_boxes(
            top_m,
            columns,
            centre[:, :2],
            agent.heading_rad[agent.valid],
            size_m=(float(agent.size_lwh_m[0]), float(agent.size_lwh_m[1])),
            top_m=centre[:, 2] + agent.size_lwh_m[2] / 2,
        )
    return np.asarray(ndimage.maximum_filter(top_m, size=2 * SWEPT_MARGIN_CELLS + 1))


def _rotate(
    points_m: Float64[np.ndarray, "*N 2"], heading_rad: Float64[np.ndarray, "*N"]
) -> Float64[np.ndarray, "*N 2"]:
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    return np.stack(
        [cos * points_m[..., 0] - sin * points_m[..., 1], sin * points_m[..., 0] + cos * points_m[..., 1]], axis=-1
    )


def _mark_boxes(
    raster: Float32[np.ndarray, "X Y"],
    frame: RasterFrame,
    centre_world_m: Float64[np.ndarray, "N 2"],
    heading_rad: Float64[np.ndarray, " N"],
    *,
    size_m: tuple[float, float],
    top_m: Float64[np.ndarray, " N"],
) -> None:
    """Raise the columns touched by a moving rectangle to `top_m`, sampling it every half column."""
    if len(centre_world_m) == 0:
        return
    moved = np.concatenate([[True], np.abs(np.diff(centre_world_m, axis=0)).max(axis=1) > 0.0])
    turned = np.concatenate([[True], np.abs(np.diff(heading_rad)) > 0.0])
    distinct = moved | turned
    centre_world_m, heading_rad, top_m = centre_world_m[distinct], heading_rad[distinct], top_m[distinct]
    along = np.linspace(-size_m[0] / 2, size_m[0] / 2, int(np.ceil(size_m[0] / (frame.cell_m / 2))) + 1)
    across = np.linspace(-size_m[1] / 2, size_m[1] / 2, int(np.ceil(size_m[1] / (frame.cell_m / 2))) + 1)
    local = np.stack(np.meshgrid(along, across, indexing="ij"), axis=-1).reshape(1, -1, 2)
    world = centre_world_m[:, None] + _rotate(np.repeat(local, len(heading_rad), axis=0), heading_rad[:, None])
    cells = np.floor(frame.to_cells(world)).astype(np.int64)
    inside = ((cells >= 0) & (cells < frame.shape)).all(axis=-1)
    heights = np.broadcast_to(top_m[:, None], inside.shape)[inside].astype(np.float32)
    np.maximum.at(raster, (cells[..., 0][inside], cells[..., 1][inside]), heights)


def is_near_ego(site: Site, point_world_m: Float64[np.ndarray, "2"], *, within_m: float) -> bool:
    """Return whether a point lies within some distance of the ego path."""
    return bool(site.ego_path.distance(shapely.Point(point_world_m)) < within_m)
