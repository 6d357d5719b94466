"""The layout as bird's-eye channels, one vector per column: what an occupancy model is told.

Only what is static is told. Where agents pass is clamped afterwards (`fixed.py`), so that a moved agent changes what
it passes and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from jaxtyping import Float32, Float64
from scipy import ndimage

from scenegen.occupancy.fixed import FixedVoxels
from scenegen.occupancy.raster import mask_of
from scenegen.occupancy.site import VOXEL_M, Site, region_of
from scenegen.occupancy.voxels import SolidClass

CHANNELS = (
    "road", "parking", "crossing", "sidewalk", "lawn", "given_manmade_height", "given_vegetation_height",
    "near_road", "near_street", "from_road_x", "from_road_y", "lane_x", "lane_y", "inside",
)  # fmt: skip
"""Names of the channels. Heights are shares of all levels; `near_*` fall off with the distance; directions are unit
vectors in the world frame, zero where there is none; `inside` is 1 (0 is what padding reads)."""
VECTORS = (("from_road_x", "from_road_y"), ("lane_x", "lane_y"))
NEAR_ROAD_M, NEAR_STREET_M = 30.0, 10.0
LANE_SAMPLE_M = 1.0


def layout_channels(site: Site, fixed: FixedVoxels) -> Float32[np.ndarray, "X Y C"]:
    """Return the channels of all columns of a site."""
    frame = site.column_frame
    road = mask_of(site.roadway, frame)
    street = road | mask_of(site.sidewalk, frame)
    from_road_m, toward = _distance_and_nearest(road)
    from_street_m, _ = _distance_and_nearest(street)
    away = np.stack(np.meshgrid(*map(np.arange, road.shape), indexing="ij")) - toward
    away = away / np.maximum(np.linalg.norm(away, axis=0), 1e-9)
    crossings = [region_of(area) for area in site.layout.road_map.areas_of("crossing")]
    lane = _lane_directions(site, road)
    planes = {
        "road": road,
        "parking": mask_of(site.parking, frame),
        "crossing": mask_of(shapely.union_all(crossings), frame),
        "sidewalk": mask_of(site.sidewalk, frame),
        "lawn": mask_of(site.lawn, frame),
        "given_manmade_height": _height_share(fixed, SolidClass.MANMADE),
        "given_vegetation_height": _height_share(fixed, SolidClass.VEGETATION),
        "near_road": np.exp(-from_road_m / NEAR_ROAD_M),
        "near_street": np.exp(-from_street_m / NEAR_STREET_M),
        "from_road_x": away[0],
        "from_road_y": away[1],
        "lane_x": lane[0],
        "lane_y": lane[1],
        "inside": np.ones(road.shape),
    }
    return np.stack([planes[name] for name in CHANNELS], axis=-1).astype(np.float32)


def turn_columns(columns: np.ndarray, *, quarter_turns: int, mirrored: bool) -> np.ndarray:
    """Return square or oblong columns (X, Y, ...) mirrored in y, then turned counter-clockwise."""
    flipped = columns[:, ::-1] if mirrored else columns
    return np.ascontiguousarray(np.rot90(flipped, k=quarter_turns, axes=(0, 1)))


def turn_channels(
    channels: Float32[np.ndarray, "X Y C"], *, quarter_turns: int, mirrored: bool
) -> Float32[np.ndarray, "X2 Y2 C"]:
    """Turn columns as `turn_columns` does, and the directions they hold with them."""
    turned = turn_columns(channels, quarter_turns=quarter_turns, mirrored=mirrored)
    angle = quarter_turns % 4 * np.pi / 2
    cos, sin = round(np.cos(angle)), round(np.sin(angle))
    for x_name, y_name in VECTORS:
        at_x, at_y = CHANNELS.index(x_name), CHANNELS.index(y_name)
        x, y = turned[..., at_x].copy(), turned[..., at_y].copy()
        if mirrored:
            y = -y
        turned[..., at_x], turned[..., at_y] = cos * x - sin * y, sin * x + cos * y
    return turned


def _distance_and_nearest(mask: np.ndarray) -> tuple[Float64[np.ndarray, "X Y"], np.ndarray]:
    """Return the distance in metres to the nearest column of `mask`, and its indices; far where there is none."""
    if not mask.any():
        return np.full(mask.shape, 1e3), np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"))
    distance, nearest = ndimage.distance_transform_edt(~mask, return_indices=True)
    return distance * VOXEL_M, nearest


def _lane_directions(site: Site, road: np.ndarray) -> Float64[np.ndarray, "2 X Y"]:
    """Return the driving direction of the nearest lane of every road column."""
    points: list[np.ndarray] = []
    directions: list[np.ndarray] = []
    for lane in site.layout.road_map.lanes:
        if lane.kind == "walk" or len(lane.centerline_world_m) < 2:
            continue
        line = shapely.LineString(lane.centerline_world_m[:, :2]).segmentize(LANE_SAMPLE_M)
        corners = shapely.get_coordinates(line)
        step = np.diff(corners, axis=0)
        length = np.linalg.norm(step, axis=1)
        keep = length > 1e-6
        points.append(((corners[:-1] + corners[1:]) / 2)[keep])
        directions.append(step[keep] / length[keep, None])
    out = np.zeros((2, *road.shape))
    i, j = np.nonzero(road)
    if not points or len(i) == 0:
        return out
    centres = np.asarray(site.column_frame.origin_m) + (np.stack([i, j], axis=1) + 0.5) * VOXEL_M
    out[:, i, j] = _direction_of_nearest(centres, points, directions).T
    return out


def _direction_of_nearest(
    centres_m: Float64[np.ndarray, "N 2"], points: Sequence[np.ndarray], directions: Sequence[np.ndarray]
) -> Float64[np.ndarray, "N 2"]:
    from scipy.spatial import cKDTree

    _, nearest = cKDTree(np.concatenate(points)).query(centres_m)
    return np.concatenate(directions)[nearest]


def _height_share(fixed: FixedVoxels, solid: int) -> Float64[np.ndarray, "X Y"]:
    """Return the height of the topmost given voxel of a class as a share of all levels."""
    is_there = fixed.given.solid == solid
    levels = is_there.shape[2]
    top = levels - np.argmax(is_there[..., ::-1], axis=2)
    return np.where(is_there.any(axis=2), top / levels, 0.0)
